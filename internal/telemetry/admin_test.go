package telemetry_test

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/telemetry"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got); if this is meant, run with -update:\n%s", name, diff)
	}
}

// ask sends one request to an admin handler without a network.
func ask(t *testing.T, a *telemetry.Admin, method, path string, header http.Header) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	r.Host = "127.0.0.1:8090"
	for name, values := range header {
		r.Header[name] = values
	}
	return send(a, r)
}

func send(a *telemetry.Admin, r *http.Request) *http.Response {
	w := httptest.NewRecorder()
	a.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, resp *http.Response) string {
	t.Helper()
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestIndexNamesEveryPath(t *testing.T) {
	a := telemetry.NewAdmin(telemetry.AdminDeps{})
	text := body(t, ask(t, a, http.MethodGet, "/", nil))
	golden(t, "index.txt", text)
	for _, line := range strings.Split(text, "\n") {
		path, _, _ := strings.Cut(line, " ")
		if !strings.HasPrefix(path, "/") {
			continue
		}
		if resp := ask(t, a, http.MethodGet, path, nil); resp.StatusCode != http.StatusOK {
			t.Errorf("the index names %s, which answers %s", path, resp.Status)
		}
	}
}

func TestMethods(t *testing.T) {
	a := telemetry.NewAdmin(telemetry.AdminDeps{})
	for _, path := range []string{"/", "/livez", "/readyz", "/metrics", "/buildinfo", "/debug/pprof/", "/debug/pprof/cmdline"} {
		for method, want := range map[string]int{
			http.MethodGet: http.StatusOK, http.MethodHead: http.StatusOK,
			http.MethodPost: http.StatusMethodNotAllowed, http.MethodPut: http.StatusMethodNotAllowed, http.MethodDelete: http.StatusMethodNotAllowed,
		} {
			resp := ask(t, a, method, path, nil)
			if resp.StatusCode != want {
				t.Errorf("%s %s answers %s, want %d", method, path, resp.Status, want)
			}
			if allow := resp.Header.Get("Allow"); want == http.StatusMethodNotAllowed && allow != "GET, HEAD" {
				t.Errorf("%s %s says Allow: %q", method, path, allow)
			}
			if resp.Header.Get("X-Content-Type-Options") != "nosniff" || resp.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s %s has the headers %v", method, path, resp.Header)
			}
		}
	}
	if resp := ask(t, a, http.MethodGet, "/nothing", nil); resp.StatusCode != http.StatusNotFound {
		t.Errorf("an unknown path answers %s", resp.Status)
	}
}

func TestReadyz(t *testing.T) {
	pass := func(context.Context) error { return nil }
	fail := func(context.Context) error { return errors.New("disk is full") }
	jsonHeader := http.Header{"Accept": {"application/json"}}
	for name, row := range map[string]struct {
		prepare func(*telemetry.Readiness)
		header  http.Header
		status  int
		body    string
	}{
		"no checks":       {func(*telemetry.Readiness) {}, nil, 200, "ok\n"},
		"no checks, JSON": {func(*telemetry.Readiness) {}, jsonHeader, 200, `{"ready":true,"checks":[]}`},
		"passing":         {func(r *telemetry.Readiness) { r.Add("rating-db", pass) }, nil, 200, "rating-db: ok\n"},
		"failing":         {func(r *telemetry.Readiness) { r.Add("rating-db", fail); r.Add("kafka", pass) }, nil, 503, "rating-db: disk is full\nkafka: ok\n"},
		"failing, JSON": {
			func(r *telemetry.Readiness) { r.Add("rating-db", fail); r.Add("kafka", pass) }, jsonHeader, 503,
			`{"ready":false,"checks":[{"name":"rating-db","ok":false,"error":"disk is full"},{"name":"kafka","ok":true}]}`,
		},
		"several reasons": {
			func(r *telemetry.Readiness) {
				r.Add("kafka", func(context.Context) error { return errors.Join(errors.New("one"), errors.New("two")) })
			}, nil, 503, "kafka: one; two\n",
		},
		"optional": {func(r *telemetry.Readiness) { r.AddOptional("rating", fail); r.Add("kafka", pass) }, nil, 200, "rating: degraded: disk is full\nkafka: ok\n"},
		"optional, JSON": {
			func(r *telemetry.Readiness) { r.AddOptional("rating", fail) }, jsonHeader, 200,
			`{"ready":true,"checks":[{"name":"rating","ok":false,"error":"disk is full","optional":true}]}`,
		},
		"panic": {func(r *telemetry.Readiness) { r.Add("kafka", func(context.Context) error { panic("nil map") }) }, nil, 503, "kafka: the check panicked: nil map\n"},
		"draining": {
			func(r *telemetry.Readiness) { r.Add("rating-db", pass); r.SetDraining() }, nil, 503,
			"draining: this process is stopping and accepts no new work\n",
		},
	} {
		t.Run(name, func(t *testing.T) {
			var ready telemetry.Readiness
			row.prepare(&ready)
			resp := ask(t, telemetry.NewAdmin(telemetry.AdminDeps{Ready: ready.Ready}), http.MethodGet, "/readyz", row.header)
			got := body(t, resp)
			if row.header != nil {
				got = compactJSON(t, got)
			}
			if resp.StatusCode != row.status || got != row.body {
				t.Errorf("answers %d %q, want %d %q", resp.StatusCode, got, row.status, row.body)
			}
		})
	}
}

func compactJSON(t *testing.T, text string) string {
	t.Helper()
	var raw json.RawMessage
	if err := json.Unmarshal([]byte(text), &raw); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	compact, err := json.Marshal(raw)
	if err != nil {
		t.Fatal(err)
	}
	return string(compact)
}

// TestHangingCheckIsReported shows that a check which ignores its context neither holds the answer nor piles up.
func TestHangingCheckIsReported(t *testing.T) {
	release, started := make(chan struct{}), make(chan struct{}, 2)
	var ready telemetry.Readiness
	ready.Add("stuck", func(context.Context) error {
		started <- struct{}{}
		<-release
		return nil
	})
	ready.Add("well", func(context.Context) error { return nil })

	probe := func() map[string]error {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		outcomes := map[string]error{}
		for _, c := range ready.Ready(ctx) {
			outcomes[c.Name] = c.Err
		}
		return outcomes
	}
	first := probe()
	if !errors.Is(first["stuck"], context.DeadlineExceeded) || first["well"] != nil {
		t.Errorf("first probe: %v", first)
	}
	if second := probe(); second["stuck"] == nil || !strings.Contains(second["stuck"].Error(), "has not returned yet") {
		t.Errorf("second probe: %v", second)
	}
	if len(started) != 1 {
		t.Errorf("the check was started %d times, want once", len(started))
	}
	close(release)
	for deadline := time.Now().Add(10 * time.Second); probe()["stuck"] != nil; {
		if time.Now().After(deadline) {
			t.Fatal("the check stays failing after it returned")
		}
	}
}

func TestMetricsShowTheRegistryOnly(t *testing.T) {
	reg := telemetry.NewRegistry()
	mine := prometheus.NewCounter(prometheus.CounterOpts{Name: "movieexample_test_total", Help: "Test."})
	reg.MustRegister(mine)
	mine.Add(3)
	text := body(t, ask(t, telemetry.NewAdmin(telemetry.AdminDeps{Gatherer: reg}), http.MethodGet, "/metrics", nil))
	for _, want := range []string{"\nmovieexample_test_total 3\n", "\ngo_goroutines ", "\nprocess_start_time_seconds ", "\nmovieexample_build_info{go_version=\"go"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in the metrics", want)
		}
	}
	other := body(t, ask(t, telemetry.NewAdmin(telemetry.AdminDeps{}), http.MethodGet, "/metrics", nil))
	if strings.Contains(other, "movieexample_test_total") {
		t.Error("the metric of one registry is shown by another")
	}
}

func TestBuildInfoIsServed(t *testing.T) {
	resp := ask(t, telemetry.NewAdmin(telemetry.AdminDeps{}), http.MethodGet, "/buildinfo", nil)
	var got telemetry.Build
	if err := json.Unmarshal([]byte(body(t, resp)), &got); err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("Content-Type") != "application/json" || got != telemetry.BuildInfo() {
		t.Errorf("serves %+v as %s, want %+v", got, resp.Header.Get("Content-Type"), telemetry.BuildInfo())
	}
}

// serve runs an admin listener until the test ends and returns its URL and what Serve returned.
func serve(t *testing.T, a *telemetry.Admin) (url string, served <-chan error) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- a.Serve(ln) }()
	t.Cleanup(func() { _ = a.Shutdown(context.Background()) })
	return "http://" + ln.Addr().String(), done
}

func TestServeUntilShutdown(t *testing.T) {
	a := telemetry.NewAdmin(telemetry.AdminDeps{})
	url, served := serve(t, a)
	resp, err := http.Get(url + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	if got := body(t, resp); resp.StatusCode != http.StatusOK || got != "ok\n" {
		t.Errorf("answers %s %q", resp.Status, got)
	}
	if err := a.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Errorf("Serve returned %v", err)
	}
	if _, err := http.Get(url + "/livez"); err == nil {
		t.Error("the listener is still open")
	}
}

// TestShutdownEndsAProfile starts a profile of a minute; Shutdown must not wait for it.
func TestShutdownEndsAProfile(t *testing.T) {
	a := telemetry.NewAdmin(telemetry.AdminDeps{})
	url, _ := serve(t, a)
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(url + "/debug/pprof/trace?seconds=60")
		if err == nil {
			_, err = io.Copy(io.Discard, resp.Body)
			resp.Body.Close()
		}
		answered <- err
	}()
	// The listener itself shows whether the trace has begun: its goroutine is in the list.
	for deadline := time.Now().Add(10 * time.Second); ; {
		resp, err := http.Get(url + "/debug/pprof/goroutine?debug=1")
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(body(t, resp), "net/http/pprof.sleep") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the trace never began")
		}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	if err := a.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if err := <-answered; err != nil {
		t.Errorf("the profile was cut off instead of ended: %v", err)
	}
}

func TestShutdownCutsOffAtTheDeadline(t *testing.T) {
	entered, release := make(chan struct{}), make(chan struct{})
	defer close(release)
	a := telemetry.NewAdmin(telemetry.AdminDeps{Ready: func(context.Context) []telemetry.Check {
		close(entered)
		<-release
		return nil
	}})
	url, _ := serve(t, a)
	answered := make(chan error, 1)
	go func() {
		resp, err := http.Get(url + "/readyz")
		if err == nil {
			resp.Body.Close()
		}
		answered <- err
	}()
	<-entered
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := a.Shutdown(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("Shutdown returned %v", err)
	}
	if err := <-answered; err == nil {
		t.Error("the request got an answer from a listener that was closed")
	}
}

func TestServeReportsABrokenListener(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ln.Close()
	if err := telemetry.NewAdmin(telemetry.AdminDeps{}).Serve(ln); !errors.Is(err, net.ErrClosed) {
		t.Errorf("Serve returned %v", err)
	}
}
