package app_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"movieexample.com/app"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/telemetry"
)

func TestMain(m *testing.M) {
	if kafka.IsBrokerProcess() {
		os.Exit(kafka.RunBrokerProcess())
	}
	goleak.VerifyTestMain(m)
}

// testConfig is the default configuration on free ports, with data in dir.
func testConfig(dir string) app.Config {
	cfg := app.DefaultConfig()
	cfg.DataDir = dir
	free := "127.0.0.1:0"
	cfg.Listen = app.Listen{Gateway: free, Metadata: free, Rating: free, Movie: free, Kafka: free, Admin: free}
	return cfg
}

// process is an app that runs.
type process struct {
	app.Addresses
	log    *syncBuffer
	cancel context.CancelFunc
	ready  <-chan struct{}
	ended  chan struct{}
	err    error // of Run; read after ended
}

// run starts an app and returns when it is ready. The test's end stops it, and wants an orderly stop.
func run(t *testing.T, cfg app.Config, services ...string) *process {
	t.Helper()
	p := launch(t, cfg, services...)
	<-p.ready
	return p
}

// launch is run without waiting.
func launch(t *testing.T, cfg app.Config, services ...string) *process {
	t.Helper()
	p := &process{log: &syncBuffer{}, ended: make(chan struct{})}
	logger, err := telemetry.NewLogger(p.log, cfg.Log)
	if err != nil {
		t.Fatal(err)
	}
	a, err := app.New(t.Context(), cfg, app.Options{Services: services, Logger: logger})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	p.cancel = cancel
	go func() {
		defer close(p.ended)
		p.err = a.Run(ctx)
	}()
	t.Cleanup(func() {
		if err := p.stop(); err != nil {
			t.Errorf("stop: %v", err)
		}
		if t.Failed() {
			t.Logf("log of %v:\n%s", services, p.log)
		}
	})
	p.ready, p.Addresses = a.Ready(), a.Addresses()
	return p
}

// stop asks for an orderly stop and returns what Run returned.
func (p *process) stop() error {
	p.cancel()
	<-p.ended
	return p.err
}

// syncBuffer is a log that is read while it is written.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// answer is a response with its whole body.
type answer struct {
	status int
	body   string
}

// ask sends one request on a new connection and closes the connection afterwards.
func ask(t *testing.T, method, url, body string) answer {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{resp.StatusCode, string(text)}
}

// mustAsk is ask for a request that succeeds.
func mustAsk(t *testing.T, method, url, body string) string {
	t.Helper()
	a := ask(t, method, url, body)
	if a.status != http.StatusOK {
		t.Fatalf("%s %s answers %d: %s", method, url, a.status, a.body)
	}
	return a.body
}

// film is what the tests look at in a movie.
type film struct {
	Title         string
	RatingStatus  string
	RatingSummary *struct{ Votes int }
}

func (f film) votes() int {
	if f.RatingSummary == nil {
		return 0
	}
	return f.RatingSummary.Votes
}

func getFilm(t *testing.T, gateway, id string) film {
	t.Helper()
	var f film
	text := mustAsk(t, http.MethodGet, gateway+"/v1/movies/"+id, "")
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return f
}

// awaitFilm asks until the film is as wanted.
func awaitFilm(t *testing.T, gateway, id, status string, votes int) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); ; <-tick.C {
		f := getFilm(t, gateway, id)
		if f.RatingStatus == status && f.votes() == votes {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("film %s is %s with %d votes, want %s with %d", id, f.RatingStatus, f.votes(), status, votes)
		}
	}
}

// TestSeparateProcesses runs each service as a separate app, with real connections and an external broker.
func TestSeparateProcesses(t *testing.T) {
	broker, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := broker.Close(); err != nil {
			t.Error(err)
		}
	}()
	metadata := run(t, testConfig(t.TempDir()), "metadata")
	cfg := testConfig(t.TempDir())
	cfg.Rating.Brokers, cfg.Database = []string{broker.Addr()}, "embedded"
	rating := run(t, cfg, "rating")
	ratingCfg := cfg
	ratingCfg.Listen.Rating = rating.Rating // where it comes back

	cfg = testConfig("")
	cfg.Connect = app.Connect{Metadata: metadata.Metadata, Rating: rating.Rating}
	movie := run(t, cfg, "movie")
	cfg.Connect.Movie = movie.Movie
	gateway := run(t, cfg, "gateway")

	for name, got := range map[string]app.Addresses{"metadata": metadata.Addresses, "rating": rating.Addresses, "movie": movie.Addresses, "gateway": gateway.Addresses} {
		want := app.Addresses{Admin: got.Admin, PID: os.Getpid()}
		switch name {
		case "metadata":
			want.Metadata, want.Data = got.Metadata, got.Data
		case "rating":
			want.Rating, want.Data = got.Rating, got.Data
		case "movie":
			want.Movie = got.Movie
		case "gateway":
			want.Gateway = got.Gateway
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s has more than its own addresses (-want +got):\n%s", name, diff)
		}
	}

	url := gateway.Gateway
	for _, id := range []string{"tt1", "tt2"} {
		mustAsk(t, http.MethodPut, url+"/v1/movies/"+id, `{"title": "A Film", "year": 1999}`)
	}
	mustAsk(t, http.MethodPut, url+"/v1/records/movie/tt1/ratings/alice", `{"value": 9}`)
	awaitFilm(t, url, "tt1", "fresh", 1)
	publish(t, broker.Addr(), `{"userId":"bob","recordId":"tt1","recordType":"movie","value":7}`)
	awaitFilm(t, url, "tt1", "fresh", 2)

	if err := rating.stop(); err != nil {
		t.Fatal(err)
	}
	awaitFilm(t, url, "tt1", "stale", 2)
	if f := getFilm(t, url, "tt2"); f.RatingStatus != "unavailable" || f.Title != "A Film" {
		t.Errorf("without the rating service a film whose rating was never read is %+v, want the rating unavailable", f)
	}
	if got := ask(t, http.MethodGet, movie.Admin+"/readyz", ""); got.status != http.StatusOK {
		t.Errorf("movie can answer without rating, but is not ready: %+v", got)
	}
	publish(t, broker.Addr(), `{"userId":"carol","recordId":"tt1","recordType":"movie","value":8}`)

	run(t, ratingCfg, "rating")
	awaitFilm(t, url, "tt1", "fresh", 3)
	awaitFilm(t, url, "tt2", "unrated", 0)
}

func publish(t *testing.T, broker, event string) {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{broker}})
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	// Any producer will do: no key, no header.
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "ratings", Value: []byte(event)}).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// TestEventsRightAfterReady: who publishes as soon as the process is ready does not hear that there is no topic.
func TestEventsRightAfterReady(t *testing.T) {
	p := run(t, testConfig(t.TempDir()))
	publish(t, p.Kafka, `{"userId":"bob","recordId":"tt1","recordType":"movie","value":7}`)
	mustAsk(t, http.MethodPut, p.Gateway+"/v1/movies/tt1", `{"title": "A Film"}`)
	awaitFilm(t, p.Gateway, "tt1", "fresh", 1)
}

// TestNewClosesEverything lets each listener in turn fail; the same data directory serves the next try at once, and in
// the end.
func TestNewClosesEverything(t *testing.T) {
	leaks := goleak.IgnoreCurrent()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	dir := t.TempDir()
	for name, listener := range map[string]func(*app.Listen) *string{
		"gateway":  func(l *app.Listen) *string { return &l.Gateway },
		"metadata": func(l *app.Listen) *string { return &l.Metadata },
		"rating":   func(l *app.Listen) *string { return &l.Rating },
		"movie":    func(l *app.Listen) *string { return &l.Movie },
		"kafka":    func(l *app.Listen) *string { return &l.Kafka },
		"admin":    func(l *app.Listen) *string { return &l.Admin },
	} {
		cfg := testConfig(dir)
		*listener(&cfg.Listen) = taken
		a, err := app.New(t.Context(), cfg, app.Options{})
		if a != nil || err == nil {
			t.Fatalf("%s: no error on an address that is taken", name)
		}
		for _, part := range []string{taken, "for " + name + " is taken", "--listen-" + name + " host:port"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: the message lacks %q: %v", name, part, err)
			}
		}
		if strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: one thing is wrong, and the message has several lines: %v", name, err)
		}
		goleak.VerifyNone(t, leaks)
	}
	run(t, testConfig(dir))
}

// TestNewSaysWhatIsWrong has data that cannot be used, one line about each.
func TestNewSaysWhatIsWrong(t *testing.T) {
	for name, tc := range map[string]struct {
		prepare func(t *testing.T, dir string)
		parts   []string
	}{
		"damaged database": {
			func(t *testing.T, dir string) {
				if err := os.MkdirAll(filepath.Join(dir, "rating"), 0o755); err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(filepath.Join(dir, "rating", "rating.db"), bytes.Repeat([]byte("no database "), 1000), 0o600); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"start rating", "rating.db", "not an SQLite database"},
		},
		"a file in the way": {
			func(t *testing.T, dir string) {
				if err := os.WriteFile(filepath.Join(dir, "metadata"), nil, 0o600); err != nil {
					t.Fatal(err)
				}
			},
			[]string{"metadata", "not a directory", "--data DIR"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			tc.prepare(t, dir)
			_, err := app.New(t.Context(), testConfig(dir), app.Options{})
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range tc.parts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("the message lacks %q: %v", part, err)
				}
			}
			if strings.Contains(err.Error(), "\n") {
				t.Errorf("several lines: %v", err)
			}
		})
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	first := run(t, testConfig(dir))
	for _, services := range [][]string{nil, {"metadata"}} {
		_, err := app.New(t.Context(), testConfig(dir), app.Options{Services: services})
		if err == nil || !strings.Contains(err.Error(), "is in use by process") || !strings.Contains(err.Error(), dir) {
			t.Errorf("%v on the data of another process: %v", services, err)
		}
	}
	mustAsk(t, http.MethodGet, first.Gateway+"/v1/movies", "")
	if err := first.stop(); err != nil {
		t.Fatal(err)
	}
	run(t, testConfig(dir))
}

// TestLog looks at the log as an operator does: what an orderly run of a process that has its data says.
func TestLog(t *testing.T) {
	dir := t.TempDir()
	if err := run(t, testConfig(dir)).stop(); err != nil {
		t.Fatal(err)
	}
	p := run(t, testConfig(dir))
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(20 * time.Second); !strings.Contains(p.log.String(), `msg="ingesting rating events"`); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatal("ingestion does not begin")
		}
	}
	if err := p.stop(); err != nil {
		t.Fatal(err)
	}
	text := p.log.String()
	for _, part := range []string{
		"msg=starting version=", "services=metadata,rating,movie,gateway",
		"msg=ready gateway=" + p.Gateway + " metadata=" + p.Metadata + " rating=" + p.Rating + " movie=" + p.Movie +
			" kafka=" + p.Kafka + " admin=" + p.Admin + " data=" + dir + " pid=",
		"msg=stopping cause=", "msg=stopped took=",
	} {
		if !strings.Contains(text, part) {
			t.Errorf("the log lacks %q", part)
		}
	}
	if strings.ContainsAny(text, "{\x1b") {
		t.Error("the log has a struct or an escape sequence in it")
	}
	// The first run may have ended before it had the partitions; then the second begins them, with a line each.
	if lines := strings.Count(text, "\n") - strings.Count(text, "starting ingestion of a new partition"); lines > 8 {
		t.Errorf("%d lines for a start and a stop", lines)
	}
	if strings.Contains(text, "level=WARN") || strings.Contains(text, "level=ERROR") {
		t.Error("an orderly run has warnings")
	}
	if t.Failed() {
		t.Log(text)
	}
}

func TestAddressesFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "addresses.json")
	want := app.Addresses{Gateway: "http://127.0.0.1:1", Data: "/data", PID: 7}
	for range 2 { // also over an older one
		if err := want.WriteFile(path); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := string(text), "{\n  \"gateway\": \"http://127.0.0.1:1\",\n  \"data\": \"/data\",\n  \"pid\": 7\n}\n"; got != want {
		t.Errorf("the file is %s, want %s", got, want)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o644 {
		t.Errorf("the file's mode: %v, %v", info.Mode(), err)
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 1 {
		t.Errorf("left in the directory: %v, %v", files, err)
	}
	if err := want.WriteFile(filepath.Join(dir, "missing", "addresses.json")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("in a directory that is not there: %v", err)
	}
	// A directory of that name cannot be replaced by a file; nothing is left then either.
	if err := os.Mkdir(filepath.Join(dir, "taken"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := want.WriteFile(filepath.Join(dir, "taken")); err == nil {
		t.Error("a directory was replaced")
	}
	if files, err := os.ReadDir(dir); err != nil || len(files) != 2 {
		t.Errorf("left in the directory: %v, %v", files, err)
	}
}

// TestStartOptions: the zero Options run everything, quietly.
func TestStartOptions(t *testing.T) {
	a, err := app.New(t.Context(), testConfig(t.TempDir()), app.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Run(ctx); err != nil {
		t.Errorf("a process that is stopped before it ran: %v", err)
	}
	if _, err := app.New(t.Context(), testConfig(t.TempDir()), app.Options{Services: []string{"films"}}); err == nil || !strings.Contains(err.Error(), `"films"`) {
		t.Errorf("a service that is not there: %v", err)
	}
	if names := strings.Join(app.ServiceNames(), " "); names != "metadata rating movie gateway" {
		t.Errorf("services: %s", names)
	}
}
