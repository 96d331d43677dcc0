package test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/system"
)

// TestTerminateUnderLoad stops the process with SIGTERM while events and synchronous writes flow in: it ends in time,
// with exit code 0, and nothing that was acknowledged is lost.
func TestTerminateUnderLoad(t *testing.T) {
	const seed, events = 5, 4_000
	p := newPlan(seed, events)
	c := newCrashRun(t, system.Build(t), p, seed)
	for range 3 {
		proc := system.Start(t, c.bin, c.data)
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		conn := dialRating(t, proc.Rating)
		watch := watchIngestion(ctx, conn)
		stopWriters := c.writers.start(ctx, conn)
		before := c.writers.count(true)
		pub := c.publish(ctx, proc.Kafka, min(2_000, len(c.queue)))
		for pub.end() == 0 || c.writers.count(true) == before { // load is on
			select {
			case <-ctx.Done():
				t.Fatal("no load within a minute")
			case <-time.After(time.Millisecond):
			}
		}
		took, err := proc.Terminate(10 * time.Second)
		if err != nil {
			t.Fatal(err)
		}
		t.Logf("ended %s after SIGTERM", took.Round(time.Millisecond))
		cancel()
		stopWriters()
		watch.stop()
		pub.stop()
		_ = conn.Close()
		if strings.Contains(proc.Log(), "level=ERROR") {
			t.Errorf("errors in the log of an orderly stop:\n%s", proc.Log())
		}
	}
	c.drain()
	if found := c.said.Check(c.read(p)); len(found) > 0 {
		t.Errorf("%d violations:\n%s", len(found), found)
	}
}

// TestSecondProcess starts a second process on the data of a running one.
func TestSecondProcess(t *testing.T) {
	bin, data := system.Build(t), t.TempDir()
	first := system.Start(t, bin, data)
	_, err := system.TryStart(t, bin, "serve", "--data", data)
	if err == nil {
		t.Fatal("a second process runs on the same data")
	}
	for _, part := range []string{"is in use by process " + jsonNumber(first.PID()), data, "choose another data directory"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the message lacks %q:\n%v", part, err)
		}
	}
	// The first one did not suffer.
	resp, err := http.Get(first.Gateway + "/v1/movies")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("the first process answers %s", resp.Status)
	}
}

// TestTakenPort gives each listener in turn an address that is taken.
func TestTakenPort(t *testing.T) {
	bin := system.Build(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	for _, name := range []string{"gateway", "metadata", "rating", "movie", "kafka", "admin"} {
		t.Run(name, func(t *testing.T) {
			args := []string{"serve", "--data", t.TempDir()}
			for _, l := range []string{"gateway", "metadata", "rating", "movie", "kafka", "admin"} {
				addr := "127.0.0.1:0"
				if l == name {
					addr = ln.Addr().String()
				}
				args = append(args, "--listen-"+l, addr)
			}
			r := system.Run(t.Context(), t, bin, args...)
			if r.Code != 1 || !strings.Contains(r.Stderr, ln.Addr().String()) || !strings.Contains(r.Stderr, "--listen-"+name+" ") {
				t.Errorf("exit code %d, message:\n%s\nwant 1 and a message that names the address and --listen-%s", r.Code, r.Stderr, name)
			}
		})
	}
}

// TestRefusals are mistakes of an operator that must not start anything; each message says what to do.
func TestRefusals(t *testing.T) {
	bin := system.Build(t)
	file := func(text string) string {
		path := filepath.Join(t.TempDir(), "config.yaml")
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for _, tc := range []struct {
		name  string
		args  []string
		code  int
		wants []string
	}{
		{"open listener", []string{"serve", "--listen-gateway", "0.0.0.0:0"}, 2, []string{"listen.gateway", "--insecure-no-auth", "no authentication"}},
		{"open broker", []string{"serve", "--listen-kafka", "192.0.2.1:9092"}, 2, []string{"listen.kafka", "--insecure-no-auth"}},
		{"two listeners on one address", []string{"serve", "--listen-metadata", "127.0.0.1:29555", "--listen-rating", "127.0.0.1:29555"}, 2, []string{"listen.rating", "listen.metadata", "its own"}},
		{"movie alone", []string{"serve", "movie"}, 2, []string{"--connect-metadata", "--connect-rating"}},
		{"rating alone on the embedded broker", []string{"serve", "rating"}, 2, []string{"--rating-brokers"}},
		{"unknown service", []string{"serve", "films"}, 2, []string{"films", "metadata, rating, movie, gateway"}},
		{"unknown flag", []string{"serve", "--gateway-port", "1"}, 2, []string{"--gateway-port", "serve --help"}},
		{"unknown command", []string{"start"}, 2, []string{"start", "--help"}},
		{"unknown key", []string{"config", "validate", "--config", file("rating:\n  chart_min_vote: 3\n")}, 2, []string{"rating.chart_min_vote", "config.yaml:2", "chart_min_votes"}},
		{"value out of range", []string{"config", "validate", "--config", file("rating:\n  chart_min_votes: -1\n")}, 2, []string{"rating.chart_min_votes", "config.yaml:2", "from 1 to"}},
		{"no such file", []string{"config", "validate", "--config", "/nowhere/config.yaml"}, 2, []string{"/nowhere/config.yaml"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			r := system.Run(t.Context(), t, bin, append(tc.args, dataFlag(tc.args, t.TempDir())...)...)
			if r.Code != tc.code {
				t.Errorf("exit code %d, want %d", r.Code, tc.code)
			}
			for _, part := range tc.wants {
				if !strings.Contains(r.Stderr, part) {
					t.Errorf("the message lacks %q", part)
				}
			}
			if r.Stdout != "" {
				t.Errorf("on standard output: %s", r.Stdout)
			}
			t.Logf("message: %s", r.Stderr)
		})
	}
}

// dataFlag keeps a test off the user's data directory, should the refusal not come.
func dataFlag(args []string, dir string) []string {
	if args[0] == "serve" {
		return []string{"--data", dir}
	}
	return nil
}

func jsonNumber(n int) string {
	text, err := json.Marshal(n)
	if err != nil {
		panic(err)
	}
	return string(text)
}
