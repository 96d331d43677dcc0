package main

import (
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestCommandsRightAfterServe: `serve & import` works however quick the command is: it waits for the system, and says so
// where that takes a moment.
func TestCommandsRightAfterServe(t *testing.T) {
	events := write(t, filepath.Join(t.TempDir(), "events.jsonl"), `{"userId":"1","recordId":"1","recordType":"movie","value":5}`+"\n")
	told := false
	for try := range 5 {
		args := []string{"serve", "--data", t.TempDir()}
		addr := map[string]string{}
		for _, name := range []string{"gateway", "metadata", "rating", "movie", "kafka", "admin"} {
			addr[name] = freeAddress(t)
			args = append(args, "--listen-"+name, addr[name])
		}
		p := start(t, nil, args...)
		where := []string{"--rating-addr", addr["rating"]}
		all := slices.Concat(where, []string{"--metadata-addr", addr["metadata"], "--kafka-brokers", addr["kafka"]})
		for _, command := range [][]string{
			slices.Concat([]string{"import", "movielens", dataSet(t, 0)}, all),
			{"publish", events, "--kafka-brokers", addr["kafka"]},
			slices.Concat([]string{"audit"}, where),
			slices.Concat([]string{"ingestion", "list"}, where),
			{"export", "movies", "-", "--metadata-addr", addr["metadata"]},
		}[try : try+1] {
			o := start(t, nil, command...).wait(t)
			if o.code != exitOK {
				t.Errorf("%s right after serve: exit code %d\n%s", command[0], o.code, o.stderr)
			}
			told = told || strings.Contains(o.stderr, "movieexample: waiting for ") && strings.Contains(o.stderr, "--wait")
		}
		p.signal(t, os.Interrupt)
		if o := p.wait(t); o.code != exitOK {
			t.Errorf("serve: exit code %d", o.code)
		}
	}
	if !told {
		t.Error("no command said that it waits: nothing was tried")
	}
}

// TestWaitEnds: a system that does not come is waited for as long as was asked, and the reason is the one that it has.
func TestWaitEnds(t *testing.T) {
	addr := freeAddress(t)
	began := time.Now()
	o := movieexample(t.Context(), "", "audit", "--rating-addr", addr, "--wait", "300ms")
	took := time.Since(began)
	if o.code != exitUnreachable || !strings.Contains(o.stderr, "cannot reach the rating service at "+addr+" (connection refused)") {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}
	if want := "movieexample: waiting for the rating service at " + addr + ": connection refused, for at most 300ms (--wait)\n"; !strings.HasPrefix(o.stderr, want) {
		t.Errorf("standard error\n%swant first\n%s", o.stderr, want)
	}
	if took < 300*time.Millisecond {
		t.Errorf("it gave up after %v", took)
	}
}

// freeAddress is an address without a listener.
func freeAddress(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}
