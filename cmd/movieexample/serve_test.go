package main

import (
	"bytes"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/app"
)

// TestServe runs the services in the user's data directory and stops them as service managers do.
func TestServe(t *testing.T) {
	home := t.TempDir()
	for name, tc := range map[string]struct{ xdg, data string }{
		"XDG_DATA_HOME": {filepath.Join(home, "xdg"), filepath.Join(home, "xdg", "movieexample")},
		"HOME":          {"", filepath.Join(home, ".local", "share", "movieexample")},
	} {
		t.Run(name, func(t *testing.T) {
			env := []string{"HOME=" + home, "XDG_DATA_HOME=" + tc.xdg}
			p, a := startSystemProcess(t, env, "serve")
			if a.Data != tc.data || a.PID != p.cmd.Process.Pid {
				t.Errorf("addresses: %+v, want data in %s by process %d", a, tc.data, p.cmd.Process.Pid)
			}
			for _, file := range []string{"metadata/metadata.db", "rating/rating.db", "broker/movieexample.lock"} {
				if _, err := os.Stat(filepath.Join(tc.data, file)); err != nil {
					t.Error(err)
				}
			}
			second := start(t, env, append([]string{"serve", "--log-level", "warn"}, freePorts()...)...).wait(t)
			if second.code != exitFailed || strings.Count(second.stderr, "\n") != 1 || !strings.Contains(second.stderr, "in use by process "+strconv.Itoa(a.PID)) {
				t.Errorf("a second process: %+v", second)
			}
			events := write(t, filepath.Join(t.TempDir(), "events.json"),
				`[{"userId":"1","recordId":"1","recordType":"movie","value":5},{"userId":"1","recordId":"1","recordType":"movie","value":11}]`)
			if o := start(t, nil, "publish", events, "--kafka-brokers", a.Kafka).wait(t); o.code != exitRefused {
				t.Errorf("publishing an event that is refused: %+v", o)
			}
			p.signal(t, syscall.SIGTERM)
			o := p.wait(t)
			if o.code != 0 {
				t.Errorf("exit code %d after SIGTERM", o.code)
			}
			for _, where := range []string{a.Gateway, a.Metadata, a.Rating, a.Movie, a.Kafka, a.Admin, a.Data} {
				if where == "" || !strings.Contains(o.stdout, " "+where+"\n") {
					t.Errorf("standard output lacks the address %q", where)
				}
			}
			if strings.Contains(o.stdout, "level=") || !strings.Contains(o.stderr, `msg=stopping cause="terminated signal received"`) {
				t.Errorf("the log is not on standard error alone")
			}
		})
	}
}

// TestServeOneService: a process without data needs no home, and shows none.
func TestServeOneService(t *testing.T) {
	_, metadata := startSystemProcess(t, nil, "serve", "metadata", "--data", t.TempDir())
	p, a := startSystemProcess(t, []string{"HOME=", "XDG_DATA_HOME="}, "serve", "movie", "--connect-metadata", metadata.Metadata, "--connect-rating", "127.0.0.1:1")
	p.signal(t, syscall.SIGINT)
	o := p.wait(t)
	want := "MovieExample is ready.\n" + line("gRPC movie", a.Movie) + line("Health and metrics", a.Admin)
	if o.code != 0 || o.stdout != want {
		t.Errorf("exit code %d, standard output\n%swant\n%s", o.code, o.stdout, want)
	}
	if diff := cmp.Diff(app.Addresses{Movie: a.Movie, Admin: a.Admin, PID: a.PID}, a); diff != "" {
		t.Errorf("addresses (-want +got):\n%s", diff)
	}
}

// line is a line of a banner.
func line(what, where string) string {
	return "  " + what + strings.Repeat(" ", 23-len(what)) + where + "\n"
}

// TestOldAddressesFile: who waits for the file does not find that of an earlier run, and a process that may not run
// leaves the file of the one that does.
func TestOldAddressesFile(t *testing.T) {
	dir := t.TempDir()
	file := write(t, filepath.Join(dir, "addresses.json"), "old")
	args := slices.Concat([]string{"serve", "--data", filepath.Join(dir, "data"), "--addresses", file}, freePorts())
	p := start(t, nil, args...)
	p.await(t, "new addresses", func() bool {
		text, err := os.ReadFile(file)
		return err == nil && string(text) != "old"
	})
	first, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if o := start(t, nil, args...).wait(t); o.code != exitFailed {
		t.Errorf("a second process: %+v", o)
	}
	if text, err := os.ReadFile(file); err != nil || !bytes.Equal(text, first) {
		t.Errorf("the second process left the file as %q, %v", text, err)
	}
}

// TestSecondSignal: while an orderly stop waits for a request, a second Ctrl-C ends the process at once.
func TestSecondSignal(t *testing.T) {
	p, a := startSystemProcess(t, nil, "serve", "--data", t.TempDir(), "--shutdown-timeout", "5m")
	conn, err := net.Dial("tcp", strings.TrimPrefix(a.Gateway, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	head := "PUT /v1/records/movie/1/ratings/a HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\nContent-Length: 12\r\nExpect: 100-continue\r\n\r\n"
	if _, err := conn.Write([]byte(head)); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 12)); err != nil { // the server waits for the body: the request is in flight
		t.Fatal(err)
	}
	p.signal(t, syscall.SIGINT)
	p.await(t, "the stop to begin", func() bool { return strings.Contains(p.stderr.String(), "msg=stopping") })
	// Between the first signal and its being let through again there is a moment; another signal does no harm.
	p.await(t, "the end", func() bool {
		select {
		case <-p.exited:
			return true
		default:
			_ = p.cmd.Process.Signal(syscall.SIGINT) // fails when it has just ended
			return false
		}
	})
	<-p.exited
	if status, ok := p.cmd.ProcessState.Sys().(interface{ Signal() syscall.Signal }); !ok || status.Signal() != syscall.SIGINT {
		t.Errorf("ended with %s, want by the signal", p.cmd.ProcessState)
	}
}
