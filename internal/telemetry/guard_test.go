package telemetry_test

import (
	"bytes"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/telemetry"
)

// TestAdminChecksHost: a page that has let its own name mean this machine learns nothing.
func TestAdminChecksHost(t *testing.T) {
	a := telemetry.NewAdmin(telemetry.AdminDeps{Listen: "admin.example:8090", AllowedHosts: []string{"Metadata-1.example"}})
	for host, want := range map[string]int{
		"127.0.0.1:8090": 200, "[::1]:8090": 200, "10.1.2.3:8090": 200, "localhost": 200, "LOCALHOST:8090": 200, "x.localhost:1": 200,
		"": 200, "admin.example:8090": 200, "metadata-1.example.:8090": 200, "metadata-1.example": 200,
		"evil.example": 403, "evil.example:8090": 403, "127.0.0.1.evil.example": 403, "localhost.evil.example": 403,
		"metadata-1": 403, "0x7f000001": 403, "127.1": 403, "evil.example:8090:1": 403,
	} {
		for _, path := range []string{"/", "/metrics", "/readyz", "/debug/pprof/", "/debug/pprof/cmdline", "/debug/pprof/goroutine?debug=1"} {
			req := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
			req.Host = host
			resp := send(a, req)
			if resp.StatusCode != want {
				t.Errorf("%s for host %q answers %s, want %d", path, host, resp.Status, want)
			}
			if text := body(t, resp); want == http.StatusForbidden && !strings.Contains(text, "admin_allowed_hosts") {
				t.Errorf("the refusal of %q does not say what helps: %s", host, text)
			}
		}
	}
}

// TestAdminShowsNoArguments: a command line may have passwords in it, flags with a database's URL for example.
func TestAdminShowsNoArguments(t *testing.T) {
	a := telemetry.NewAdmin(telemetry.AdminDeps{})
	text := body(t, ask(t, a, http.MethodGet, "/debug/pprof/cmdline", nil))
	if text != os.Args[0] {
		t.Errorf("cmdline shows %q, want the program alone", text)
	}
	for _, path := range []string{"/debug/vars", "/debug/pprof/cmdline?seconds=1", "/debug/pprof/cmdline/"} {
		if text := body(t, ask(t, a, http.MethodGet, path, nil)); len(os.Args) > 1 && strings.Contains(text, os.Args[1]) {
			t.Errorf("%s shows an argument: %s", path, text)
		}
	}
}

// TestProfilesAreBounded: nothing that takes as long as it is told takes longer than a minute.
func TestProfilesAreBounded(t *testing.T) {
	a := telemetry.NewAdmin(telemetry.AdminDeps{})
	for _, path := range []string{"profile", "trace", "heap", "block", "goroutine", "allocs", "mutex", "threadcreate"} {
		for _, seconds := range []string{"100000", "61", "0", "-1", "NaN", "+Inf", "1e9", "60s", "abc"} {
			resp := ask(t, a, http.MethodGet, "/debug/pprof/"+path+"?seconds="+strings.ReplaceAll(seconds, "+", "%2B"), nil)
			if text := body(t, resp); resp.StatusCode != http.StatusBadRequest || !strings.Contains(text, "seconds") || !strings.Contains(text, "60") {
				t.Errorf("%s for %s seconds answers %s: %s", path, seconds, resp.Status, text)
			}
		}
	}
	if resp := ask(t, a, http.MethodGet, "/debug/pprof/trace?seconds=0.01", nil); resp.StatusCode != http.StatusOK {
		t.Errorf("a short trace answers %s", resp.Status)
	}
}

// TestScraperThatHangsUp: it leaves no line that asks to be looked at.
func TestScraperThatHangsUp(t *testing.T) {
	reg := prometheus.NewRegistry()
	many := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "many", Help: strings.Repeat("long ", 100)}, []string{"n"})
	reg.MustRegister(many)
	for i := range 100_000 { // more than the buffers between the two ends have room for
		many.WithLabelValues(strings.Repeat("x", 100) + string(rune('a'+i%26)) + strings.Repeat("y", i%1000)).Set(1)
	}
	var log lockedBuffer
	a := telemetry.NewAdmin(telemetry.AdminDeps{Gatherer: reg, Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- a.Serve(ln) }()
	conn, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Write([]byte("GET /metrics HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Read(make([]byte, 100)); err != nil { // the answer has begun
		t.Fatal(err)
	}
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := a.Shutdown(t.Context()); err != nil { // waits for the answer
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	text := log.String()
	if !strings.Contains(text, "metrics not sent") {
		t.Fatalf("the scrape did not fail: nothing was tried\n%s", text)
	}
	if strings.Contains(text, "level=ERROR") || strings.Contains(text, "level=WARN") {
		t.Errorf("the log complains:\n%s", text)
	}
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
