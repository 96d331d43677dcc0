//go:build servers

package servers_test

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// TestReadme runs the README's commands as they are written there, on the addresses written there.
func TestReadme(t *testing.T) {
	root := filepath.Join("..", "..")
	text, err := os.ReadFile(filepath.Join(root, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	var blocks []string
	for _, m := range regexp.MustCompile("(?ms)^```sh( quickstart)?\n(.*?)^```").FindAllStringSubmatch(string(text), -1) {
		blocks = append(blocks, m[2])
	}
	if len(blocks) != 5 || !strings.Contains(blocks[0], "movieexample demo") || blocks[1] != "make test\n" || !strings.Contains(blocks[3], "import movielens") ||
		!strings.HasPrefix(blocks[4], "make cluster ") || !strings.HasSuffix(blocks[4], "make cluster-down\n") {
		t.Fatalf("the README's blocks are not the demo, make test, the quick start, the import and the cluster any more:\n%s", strings.Join(blocks, "--\n"))
	}
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()

	demo := exec.Command("bash", "-ec", blocks[0])
	demo.Dir, demo.Env = root, newcomersEnv()
	demo.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // go run starts the program as a child: both get the signal
	out := &output{}
	demo.Stdout, demo.Stderr = out, out
	if err := demo.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- demo.Wait() }()
	stopped := false
	defer func() {
		if !stopped {
			_ = syscall.Kill(-demo.Process.Pid, syscall.SIGKILL)
			<-ended
		}
	}()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !strings.Contains(out.String(), "Ctrl-C stops it") {
		select {
		case err := <-ended:
			stopped = true
			t.Fatalf("the demo ended: %v\n%s", err, out.String())
		case <-ctx.Done():
			t.Fatalf("no banner:\n%s", out.String())
		case <-tick.C:
		}
	}
	t.Logf("the demo's banner:\n%s", out.String())

	sh := func(script string) string {
		t.Helper()
		cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
		cmd.Dir, cmd.Env = root, newcomersEnv()
		got, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v\n%s", script, err, got)
		}
		return string(got)
	}
	got := sh(blocks[2])
	t.Logf("the quick start:\n%s", got)
	for _, part := range []string{`"entries":[{"rank":1,`, `"title":"The Shawshank Redemption"`, `"userId":"alice"`, "1 accepted", "0 differences"} {
		if !strings.Contains(got, part) {
			t.Errorf("the quick start's output lacks %q", part)
		}
	}
	// alice and bob are counted once each, whatever the demo had before.
	votes := regexp.MustCompile(`"votes":(\d+)`).FindAllStringSubmatch(strings.Join(moviesOf(got), "\n"), -1)
	if len(votes) != 2 {
		t.Errorf("the quick start shows the film's votes %d times, want 2", len(votes))
	}

	dir := os.Getenv("MOVIELENS_DIR")
	if dir == "" {
		t.Fatal("MOVIELENS_DIR is not set: the README's import needs the data set")
	}
	imported := sh(strings.ReplaceAll(blocks[3], "path/to/ml-latest-small", dir))
	if !strings.Contains(imported, "100,836 published") {
		t.Errorf("the import says:\n%s", imported)
	}

	if err := syscall.Kill(-demo.Process.Pid, syscall.SIGINT); err != nil {
		t.Fatal(err)
	}
	select {
	case <-ended:
		stopped = true
	case <-time.After(15 * time.Second):
		t.Error("the demo runs on after Ctrl-C")
	}

	// The cluster comes, serves, and goes.
	up, down, _ := strings.Cut(blocks[4], "\n")
	defer sh(down)
	started := sh(up)
	t.Logf("the cluster:\n%s", started)
	gateway := regexp.MustCompile(`(?m)^gateway-2 .* (http://\S+) +http://`).FindStringSubmatch(started)
	if gateway == nil {
		t.Fatal("make cluster names no second gateway")
	}
	if got := sh("curl -sf " + gateway[1] + "/v1/stats"); !strings.Contains(got, `"movies":0`) {
		t.Errorf("the cluster's second gateway says %s", got)
	}
}

// newcomersEnv is the environment of a user who has set nothing: the program refuses the variables that tests have.
func newcomersEnv() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "MOVIEEXAMPLE_") })
}

// moviesOf returns the lines that show one film.
func moviesOf(out string) (lines []string) {
	for _, l := range strings.Split(strings.ReplaceAll(out, `}{"`, "}\n{\""), "\n") {
		if strings.HasPrefix(l, `{"id":"tt0111161"`) {
			lines = append(lines, l)
		}
	}
	return lines
}

// output keeps what a process writes.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}
