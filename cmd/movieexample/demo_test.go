package main

import (
	"io"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"movieexample.com/test/system"
)

// tried is one of the commands that the banner proposes, as the request that curl would make of it.
func tried(t *testing.T, command string) *http.Request {
	t.Helper()
	var words []string
	for _, m := range regexp.MustCompile(`'([^']*)'|(\S+)`).FindAllStringSubmatch(command, -1) {
		words = append(words, m[1]+m[2])
	}
	if len(words) < 2 || words[0] != "curl" {
		t.Fatalf("the banner proposes %q, which is no curl command", command)
	}
	method, url, body, header := http.MethodGet, "", "", http.Header{}
	for i := 1; i < len(words); i++ {
		value := func() string {
			i++
			return words[i]
		}
		switch words[i] {
		case "-s":
		case "-X":
			method = value()
		case "-d":
			body = value()
		case "-H":
			name, v, _ := strings.Cut(value(), ": ")
			header.Set(name, v)
		default:
			if strings.HasPrefix(words[i], "-") || url != "" {
				t.Fatalf("the test does not know %q in %q", words[i], command)
			}
			url = words[i]
		}
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header = header
	return req
}

// TestDemo starts the demo as a stranger does, does what the banner says, and starts it again on the same data. It runs
// the program as it is built: with the race detector the whole load would take half a minute, and package client has a
// test for that.
func TestDemo(t *testing.T) {
	bin := system.Build(t)
	data := filepath.Join(t.TempDir(), "demo")
	p, a := startSystemBinary(t, bin, nil, "demo", "--data", data)
	text := p.stdout.String() // the file with the addresses is written after the banner
	for _, part := range []string{
		line("Web pages", a.Gateway), line("REST API", a.Gateway+"/docs"), line("gRPC metadata", a.Metadata), line("gRPC rating", a.Rating), line("gRPC movie", a.Movie),
		line("Kafka, topic ratings", a.Kafka), line("Health and metrics", a.Admin),
		data + " (kept:", "320 films and 100,000 ratings, loaded in ", "The films are real. The ratings are synthetic", "Ctrl-C",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the banner lacks %q", part)
		}
	}
	if !strings.Contains(demoHelp, "320 real films, and 100,000 synthetic ratings") {
		t.Error("the help has other numbers than the banner")
	}
	if times := regexp.MustCompile(`loaded in [\d.]+ s; started in [\d.]+ s`).FindString(text); times == "" {
		t.Error("the banner does not tell the times")
	} else {
		t.Log(times)
	}
	_, after, _ := strings.Cut(text, "Or try:\n")
	block, _, _ := strings.Cut(after, "\n\n")
	commands := strings.Split(strings.TrimRight(block, "\n"), "\n")
	wants := []string{`"title":"The Godfather"`, `"userId":"alice","value":9`, `"title":"The Shawshank Redemption"`}
	if len(commands) != len(wants) {
		t.Fatalf("the banner proposes %d commands, want %d", len(commands), len(wants))
	}
	for i, command := range commands {
		req := tried(t, command)
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		_ = resp.Body.Close()
		if err != nil || resp.StatusCode != http.StatusOK || !strings.Contains(string(body), wants[i]) {
			t.Errorf("%s answers %s %s (%v), want … %s", command, resp.Status, body, err, wants[i])
		}
	}
	if o := start(t, nil, "audit", "--rating-addr", a.Rating).wait(t); o.code != 0 || !strings.HasPrefix(o.stdout, "320 aggregates checked against 100,001 ratings: 0 differences") {
		t.Errorf("audit of the demo: %+v", o)
	}
	// What the user deletes stays deleted.
	send := func(method, address string) int {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), method, address, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Close = true
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if code := send(http.MethodDelete, a.Gateway+"/v1/movies/tt0111161"); code != http.StatusOK {
		t.Errorf("delete a film: %d", code)
	}
	p.signal(t, syscall.SIGINT)
	o := p.wait(t)
	if o.code != 0 || o.stdout != text {
		t.Errorf("exit code %d, and after the banner: %q", o.code, strings.TrimPrefix(o.stdout, text))
	}
	if !strings.HasPrefix(o.stderr, "the demo: 320 films, and 100,000 synthetic ratings") {
		t.Errorf("standard error of a demo that went well:\n%s", o.stderr)
	}

	began := time.Now()
	p, a = startSystemBinary(t, bin, nil, "demo", "--data", data)
	t.Logf("second start: %s", time.Since(began))
	if code := send(http.MethodGet, a.Gateway+"/v1/movies/tt0111161"); code != http.StatusNotFound {
		t.Errorf("the deleted film after the second start: %d", code)
	}
	p.signal(t, syscall.SIGTERM)
	o = p.wait(t)
	if o.code != 0 || !strings.Contains(o.stderr, "it is not loaded again") || !strings.Contains(o.stdout, "100,000 ratings, loaded before; started in ") {
		t.Errorf("second start: %+v", o)
	}
}

// TestDemoOnOtherData: synthetic ratings are not mixed into data that is not the demo's.
func TestDemoOnOtherData(t *testing.T) {
	data := t.TempDir()
	p, _ := startSystemProcess(t, nil, "serve", "--data", data)
	p.signal(t, syscall.SIGTERM)
	if o := p.wait(t); o.code != 0 {
		t.Fatalf("serve: %+v", o)
	}
	o := start(t, nil, append([]string{"demo", "--data", data}, freePorts()...)...).wait(t)
	if o.code != exitUsage || !strings.Contains(o.stderr, data+" holds data that is not the demo's") {
		t.Errorf("%+v", o)
	}
}

// TestDemoInterrupted: Ctrl-C during the load ends in order, and the temporary directory is gone.
func TestDemoInterrupted(t *testing.T) {
	tmp := t.TempDir()
	p := start(t, []string{"TMPDIR=" + tmp}, append([]string{"demo"}, freePorts()...)...)
	p.await(t, "the load", func() bool { return strings.Contains(p.stderr.String(), "the demo: ") })
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 1 || !strings.HasPrefix(left[0].Name(), "movieexample-demo-") {
		t.Errorf("temporary files while it runs: %v, %v", left, err)
	}
	p.signal(t, syscall.SIGINT)
	o := p.wait(t)
	if o.code != exitInterrupted || o.stdout != "" || !strings.HasSuffix(o.stderr, "movieexample: interrupted while loading the demo; loading it again completes it\n") {
		t.Errorf("%+v", o)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
}

// TestDemoThatCannotStart leaves nothing behind either.
func TestDemoThatCannotStart(t *testing.T) {
	tmp := t.TempDir()
	o := start(t, []string{"TMPDIR=" + tmp}, append(append([]string{"demo"}, freePorts()...), "--listen-gateway", "192.0.2.1:1", "--insecure-no-auth")...).wait(t)
	if o.code != exitFailed || strings.Count(o.stderr, "\n") != 1 || !strings.Contains(o.stderr, "--listen-gateway") {
		t.Errorf("%+v", o)
	}
	if left, err := os.ReadDir(tmp); err != nil || len(left) != 0 {
		t.Errorf("left in the temporary directory: %v, %v", left, err)
	}
	o = start(t, []string{"TMPDIR=" + filepath.Join(tmp, "missing")}, append([]string{"demo"}, freePorts()...)...).wait(t)
	if o.code != exitFailed || !strings.Contains(o.stderr, "--data DIR") {
		t.Errorf("without a place for temporary files: %+v", o)
	}
}
