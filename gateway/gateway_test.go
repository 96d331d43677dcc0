package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"

	"movieexample.com/gateway"
	"movieexample.com/internal/fault"
)

func TestRequestID(t *testing.T) {
	movie := &fakeMovie{}
	server := httptest.NewServer(newGateway(t, gateway.Config{}, movie, nil).Handler())
	t.Cleanup(server.Close)
	for _, c := range []struct {
		sent  string
		taken bool
	}{
		{"", false},
		{"client.7_x-Y", true},
		{strings.Repeat("x", 64), true},
		{strings.Repeat("x", 65), false},
		{"with space", false},
		{"x;y", false},
	} {
		resp := do(t, server.URL, request{method: "GET", path: "/v1/movies/a", header: map[string]string{"X-Request-Id": c.sent}})
		got := resp.Header.Get("X-Request-Id")
		if got == "" || (got == c.sent) != c.taken {
			t.Errorf("sent %q: answered %q, want it taken over: %v", c.sent, got, c.taken)
		}
		if _, id := movie.last(); id != got {
			t.Errorf("the service saw the request id %q, the client %q", id, got)
		}
	}
	resp := do(t, server.URL, request{method: "GET", path: "/nothing"})
	var p fault.Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.RequestID == "" || p.RequestID != resp.Header.Get("X-Request-Id") {
		t.Errorf("problem has the request id %q, the header %q (%v)", p.RequestID, resp.Header.Get("X-Request-Id"), err)
	}
}

func TestRequestTimeout(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{RequestTimeout: 20 * time.Millisecond}, &fakeMovie{}, nil).Handler())
	t.Cleanup(server.Close)
	resp := do(t, server.URL, request{method: "GET", path: "/v1/movies/slow", header: map[string]string{"Grpc-Timeout": "1H"}})
	if resp.StatusCode != http.StatusGatewayTimeout || resp.Header.Get("Content-Type") != fault.ProblemType {
		t.Errorf("status %d, %s; want 504 and a problem", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}

// TestTimeoutSaysWhatIsKnown: after a read there is nothing to know; after a write it may have happened.
func TestTimeoutSaysWhatIsKnown(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{RequestTimeout: 20 * time.Millisecond}, &fakeMovie{}, nil).Handler())
	defer server.Close()
	for _, tc := range []struct {
		request
		want string
	}{
		{request{method: "GET", path: "/v1/movies/slow"}, "the movie service did not answer in time: try again later"},
		{request{method: "PUT", path: "/v1/movies/a", body: `{"title":"Slow"}`}, "the movie service did not answer in time; whether the change was made is not known"},
	} {
		resp := do(t, server.URL, tc.request)
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != http.StatusGatewayTimeout || !strings.Contains(string(body), tc.want) {
			t.Errorf("%s %s: %d %s (%v)\nwant 504 with %q", tc.method, tc.path, resp.StatusCode, body, err, tc.want)
		}
	}
}

// Strictness must not depend on the transfer: a body of unknown length is limited and refused like one of known length.
func TestChunkedBodies(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{}, &fakeMovie{}, nil).Handler())
	t.Cleanup(server.Close)
	for _, c := range []struct {
		method, body string
		want         int
	}{
		{"PUT", `{"title":"T"}`, http.StatusOK},
		{"PUT", `{"title":"` + strings.Repeat("x", gateway.MaxBody) + `"}`, http.StatusRequestEntityTooLarge},
		{"GET", `{}`, http.StatusBadRequest},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+"/v1/movies/a", io.MultiReader(strings.NewReader(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s with a chunked body of %d bytes: %d, want %d", c.method, len(c.body), resp.StatusCode, c.want)
		}
	}
}

// lines is a log that a test can read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func logInto(l *lines) func(*gateway.Deps) {
	return func(d *gateway.Deps) {
		d.Logger = slog.New(slog.NewTextHandler(l, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
}

func TestServeLogsAndShutsDown(t *testing.T) {
	var log lines
	g := newGateway(t, gateway.Config{}, &fakeMovie{}, logInto(&log))
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	base := "http://" + l.Addr().String()
	do(t, base, request{method: "GET", path: "/v1/movies/missing", header: map[string]string{"X-Request-Id": "find-me"}})
	do(t, base, request{method: "GET", path: "/v1/movies/a"})
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	text := log.buf.String()
	if n := strings.Count(text, "msg=request"); n != 2 {
		t.Errorf("%d lines for 2 requests:\n%s", n, text)
	}
	for _, want := range []string{"level=DEBUG", "route=/v1/movies/{id}", "status=404", "request_id=find-me", `problem="no movie has`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not have %q:\n%s", want, text)
		}
	}
}

// panicking is a connection whose calls panic in the gateway's own goroutine.
type panicking struct{ grpc.ClientConnInterface }

func (panicking) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	panic("a secret")
}

func TestPanicIsAProblem(t *testing.T) {
	var log lines
	g := newGateway(t, gateway.Config{}, &fakeMovie{}, func(d *gateway.Deps) {
		d.Movie = panicking{}
		d.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/movies/a", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || w.Header().Get("Content-Type") != fault.ProblemType {
		t.Errorf("got %d %s, want a problem that keeps the secret", w.Code, w.Body)
	}
	if !strings.Contains(log.buf.String(), "a secret") || !strings.Contains(log.buf.String(), "status=500") {
		t.Errorf("the log does not have the panic and the request:\n%s", log.buf.String())
	}
}

// The log has the routes of the metrics, in the same spelling.
func TestLogHasRoutes(t *testing.T) {
	var log lines
	b := &browser{t: t, h: newGateway(t, gateway.Config{}, &fakeMovie{}, logInto(&log)).Handler()}
	for path, route := range map[string]string{
		"/v1/movies/a": "/v1/movies/{id}", "/v1/films": "other", "/": "/", "/movies/a": "/movies/{id}", "/charts/top": "/charts/{chart}",
		"/users/u": "/users/{id}", "/search": "/search", "/search/suggest?q=a": "/search/suggest", "/about": "/about", "/problems": "/problems",
		"/problems/not-found": "/problems/{slug}", "/robots.txt": "/robots.txt", "/sitemap.xml": "/sitemap.xml", "/sitemap-x.xml": "/sitemap-{n}.xml",
		"/favicon.ico": "/favicon.ico", "/docs": "docs", "/docs/docs.css": "docs", "/nothing": "pages-other", "/users/": "pages-other",
	} {
		b.ask("GET", path, "")
		log.mu.Lock()
		text := log.buf.String()
		log.buf.Reset()
		log.mu.Unlock()
		_, line, _ := strings.Cut(text, "msg=request ")
		if !strings.Contains(line, " route="+route+" ") {
			t.Errorf("%s: want route=%s in the log:\n%s", path, route, line)
		}
	}
}

// Series are per route and status, for any paths and methods that clients send.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := newGateway(t, gateway.Config{}, &fakeMovie{}, func(d *gateway.Deps) { d.Metrics = registry }).Handler()
	for _, q := range []request{
		{method: "GET", path: "/v1/movies/a"},
		{method: "GET", path: "/v1/movies/b"},
		{method: "GET", path: "/v1/movies/missing"},
		{method: "GET", path: "/v1/one"},
		{method: "BREW", path: "/v2/two"},
		{method: "GET", path: "/three"},
		{method: "GET", path: "/openapi.json"},
		{method: "GET", path: "/"},
		{method: "HEAD", path: "/movies/a"},
		{method: "GET", path: "/movies/a%2Fb"},
		{method: "GET", path: "/movies/missing"},
		{method: "GET", path: "/movies/poster.svg"},
		{method: "GET", path: "/movies/a/poster.svg"},
		{method: "GET", path: "/movies/a/b"},
		{method: "GET", path: "/sitemap-x.xml"},
		{method: "GET", path: "/assets/no.css"},
		{method: "POST", path: "/about"},
	} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), q.method, q.path, nil))
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP movieexample_http_requests_total Requests answered, by route and HTTP status.
# TYPE movieexample_http_requests_total counter
movieexample_http_requests_total{method="",route="other",status="404"} 1
movieexample_http_requests_total{method="",route="other",status="405"} 2
movieexample_http_requests_total{method="GET",route="/",status="200"} 1
movieexample_http_requests_total{method="GET",route="/assets/{file}",status="404"} 1
movieexample_http_requests_total{method="GET",route="/movies/{id}",status="200"} 3
movieexample_http_requests_total{method="GET",route="/movies/{id}",status="404"} 1
movieexample_http_requests_total{method="GET",route="/movies/{id}/poster.svg",status="200"} 1
movieexample_http_requests_total{method="GET",route="/sitemap-{n}.xml",status="404"} 1
movieexample_http_requests_total{method="GET",route="docs",status="200"} 1
movieexample_http_requests_total{method="GET",route="pages-other",status="404"} 2
movieexample_http_requests_total{method="GET",route="/v1/movies/{id}",status="200"} 2
movieexample_http_requests_total{method="GET",route="/v1/movies/{id}",status="404"} 1
`), "movieexample_http_requests_total")
	if err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	if err := gateway.DefaultConfig().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	for path, change := range map[string]func(*gateway.Config){
		"request_timeout": func(c *gateway.Config) { c.RequestTimeout = -1 },
		"read_timeout":    func(c *gateway.Config) { c.ReadTimeout = time.Hour },
		"idle_timeout":    func(c *gateway.Config) { c.IdleTimeout = 2 * time.Hour },
		"cors_origins":    func(c *gateway.Config) { c.CORSOrigins = []string{"app.example"} },
		"public_url":      func(c *gateway.Config) { c.PublicURL = "films.example" },
		"allowed_hosts":   func(c *gateway.Config) { c.AllowedHosts = []string{"films.lan:80"} },
		"answer_ttl":      func(c *gateway.Config) { c.AnswerTTL = 2 * time.Second },

		"answer_cache_bytes": func(c *gateway.Config) { c.AnswerCacheBytes = 64 },
	} {
		cfg := gateway.DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s out of range: got %v, want an error that begins with its name", path, err)
		}
	}
	// A 0 that a person wrote is out of range too; only New takes a field that is not set for its default (see newGateway).
	err := (gateway.Config{}).Validate()
	for _, path := range []string{"request_timeout", "read_timeout", "idle_timeout", "answer_ttl"} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+path+": ") {
			t.Errorf("%s: 0 passes: %v", path, err)
		}
	}
	if _, err := gateway.New(t.Context(), gateway.Config{}, gateway.Deps{}); err == nil {
		t.Error("a gateway without connections was built")
	}
}

// TestManyRefusalsFewLines: what a client can make happen thousands of times a second does not fill the disk; every request is
// counted, and what is of another kind has its line nevertheless.
func TestManyRefusalsFewLines(t *testing.T) {
	var log lines
	registry := prometheus.NewRegistry()
	b := &browser{t: t, h: newGateway(t, gateway.Config{}, &fakeMovie{}, func(d *gateway.Deps) {
		d.Metrics = registry
		logInto(&log)(d)
	}).Handler()}
	const requests = 2000
	began := time.Now()
	for range requests {
		b.ask("GET", "/v1/movies/a?nonsense=1", "")
	}
	took := time.Since(began)
	b.ask("GET", "/v1/movies?nonsense=1", "")
	log.mu.Lock()
	text := log.buf.String()
	log.mu.Unlock()
	n := 0
	for line := range strings.Lines(text) {
		if strings.Contains(line, "level=INFO") && strings.Contains(line, " route=/v1/movies/{id} ") {
			n++
		}
	}
	if most := 10 * (2 + int(took/time.Second)); n == 0 || n > most {
		t.Errorf("%d lines for %d requests in %v, want from 1 to %d", n, requests, took, most)
	}
	if !strings.Contains(text, " route=/v1/movies ") {
		t.Error("another route's refusal has no line")
	}
	if err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP movieexample_http_requests_total Requests answered, by route and HTTP status.
# TYPE movieexample_http_requests_total counter
movieexample_http_requests_total{method="GET",route="/v1/movies",status="400"} 1
movieexample_http_requests_total{method="GET",route="/v1/movies/{id}",status="400"} 2000
`), "movieexample_http_requests_total"); err != nil {
		t.Error(err)
	}
}
