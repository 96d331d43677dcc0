package gateway_test

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"movieexample.com/gateway"
	"movieexample.com/internal/fault"
)

const browserAccept = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

func newSite(t *testing.T, cfg gateway.Config) *browser {
	t.Helper()
	return &browser{t: t, h: newGateway(t, cfg, &fakeMovie{}, nil).Handler()}
}

// Documents have an ETag, may be asked for again with it, and cannot be framed.
func TestDocuments(t *testing.T) {
	b := newSite(t, gateway.Config{})
	for path, kind := range map[string]string{
		"/":                   "text/html",
		"/about":              "text/html",
		"/problems":           "text/html",
		"/problems/not-found": "text/html",
		"/robots.txt":         "text/plain",
		"/openapi.json":       "application/json",
		"/docs":               "text/html",
	} {
		w := b.ask("GET", path, "", browserAccept)
		b.want(w, 200)
		h := w.Header()
		if !strings.HasPrefix(h.Get("Content-Type"), kind) || h.Get("ETag") == "" || h.Get("X-Frame-Options") != "DENY" ||
			h.Get("X-Content-Type-Options") != "nosniff" || h.Get("Referrer-Policy") == "" || h.Get("Cache-Control") == "" || h.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v", path, h)
		}
		if kind == "text/html" && !strings.Contains(h.Get("Content-Security-Policy"), "frame-ancestors") {
			t.Errorf("%s: Content-Security-Policy %q", path, h.Get("Content-Security-Policy"))
		}
		again := b.ask("GET", path, "", "If-None-Match: "+h.Get("ETag"))
		if again.Code != 304 || again.Body.Len() > 0 {
			t.Errorf("%s: with its ETag %s: %d, %d bytes", path, h.Get("ETag"), again.Code, again.Body.Len())
		}
		refused := b.ask("POST", path, "x")
		b.want(refused, 405, "/problems/method-not-allowed")
		if refused.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
			t.Errorf("%s: Allow %q", path, refused.Header().Get("Allow"))
		}
	}
}

// Who asks for HTML gets a page that helps, everybody else a problem; below /v1 all is JSON.
func TestNothingThere(t *testing.T) {
	b := newSite(t, gateway.Config{})
	for _, tc := range []struct {
		path, accept string
		page         bool
	}{
		{"/nothing", browserAccept, true},
		{"/movies/x/y/z", browserAccept, true},
		{"/nothing", "Accept: text/html", true},
		{"/nothing", "Accept: application/xhtml+xml;q=0.4", true},
		{"/nothing", "Accept: text/html;q=0.4, application/json;q=0.5", false},
		{"/nothing", "Accept: text/html;q=0", false},
		{"/nothing", "Accept: text/html;q=x", false},
		{"/nothing", "Accept: */*", false},
		{"/nothing", "Accept: application/json", false},
		{"/nothing", "", false},
		{"/assets/nothing.css", "Accept: text/css,*/*;q=0.1", false},
		{"/v2/movies", "", false},
		{"/v1x", browserAccept, true},
		{"/v1", browserAccept, false},
		{"/v1/", browserAccept, false},
		{"/v1/nothing", browserAccept, false},
		{"/v1/movies/missing", browserAccept, false},
	} {
		w := b.ask("GET", tc.path, "", tc.accept)
		kind := fault.ProblemType
		if tc.page {
			kind = "text/html; charset=utf-8"
		}
		if w.Code != 404 || w.Header().Get("Content-Type") != kind {
			t.Errorf("GET %s [%s]: %d %s, want 404 %s", tc.path, tc.accept, w.Code, w.Header().Get("Content-Type"), kind)
		}
		if !tc.page {
			checkProblem(t, w)
		}
	}
}

// A page names itself by the address that was configured, or by the Host header; what is no host is refused.
func TestHost(t *testing.T) {
	for name, tc := range map[string]struct {
		public, host string
		status       int
		want         string
	}{
		"from the request": {"", "films.example:8080", 200, "http://films.example:8080/"},
		"an address":       {"", "[::1]:8080", 200, "http://[::1]:8080/"},
		"configured":       {"https://films.example", "other.example", 200, "https://films.example/"},
		"markup":           {"", `x"><script>`, 400, "Host"},
		"a path":           {"", "x/y", 400, "Host"},
		"user":             {"", "user@x", 400, "Host"},
		"empty":            {"", "", 400, "Host"},
		"endless":          {"", strings.Repeat("x", 300), 400, "Host"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newGateway(t, gateway.Config{PublicURL: tc.public}, &fakeMovie{}, nil).Handler()
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/robots.txt", nil)
			r.Host = tc.host
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if w.Code != tc.status || !strings.Contains(w.Body.String(), tc.want) {
				t.Errorf("got %d %s, want %d with %q", w.Code, w.Body, tc.status, tc.want)
			}
		})
	}
}

// The type of every problem that the contract's requests can bring about resolves to a page of ours that explains it.
func TestProblemTypesResolve(t *testing.T) {
	b := newSite(t, gateway.Config{})
	seen := map[string]bool{}
	for _, s := range contract() {
		for _, q := range s.requests {
			headers := []string{}
			for name, v := range q.header {
				headers = append(headers, name+": "+v)
			}
			w := b.ask(q.method, q.path, q.body, headers...)
			if w.Code < 400 {
				continue
			}
			var p fault.Problem
			if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil {
				t.Fatalf("%s %s: %s", q.method, q.path, w.Body)
			}
			if seen[p.Type] {
				continue
			}
			seen[p.Type] = true
			b.want(b.ask("GET", p.Type, "", browserAccept), 200, p.Title)
		}
	}
	if len(seen) < 10 {
		t.Errorf("only %d types were seen", len(seen))
	}
}
