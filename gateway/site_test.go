package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"movieexample.com/gateway"
	"movieexample.com/internal/fault"
)

const browserAccept = "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"

func newSite(t *testing.T, cfg gateway.Config) *browser {
	t.Helper()
	return &browser{t: t, h: newGateway(t, cfg, &fakeMovie{}, nil).Handler()}
}

// Documents have an ETag, can be revalidated with it, and cannot be framed.
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

// TestIndex: /v1 says where everything is, and is read like every other resource.
func TestIndex(t *testing.T) {
	b := newSite(t, gateway.Config{})
	w := b.ask("GET", "/v1", "", browserAccept)
	b.want(w, 200)
	var index struct {
		Name, Version, OpenAPI, Docs string
		Links                        []struct{ Operation, Path string }
	}
	if err := json.Unmarshal(w.Body.Bytes(), &index); err != nil || index.Name == "" || index.Version == "" || len(index.Links) < 13 {
		t.Fatalf("%v: %s", err, w.Body)
	}
	paths := []string{index.OpenAPI, index.Docs}
	for _, link := range index.Links {
		if strings.HasPrefix(link.Operation, "list") && !strings.Contains(link.Path, "{") || link.Operation == "getStats" {
			paths = append(paths, link.Path)
		}
	}
	if len(paths) != 4 {
		t.Errorf("the index has %v", paths)
	}
	for _, path := range paths {
		b.want(b.ask("GET", path, ""), 200)
	}
	head := b.ask("HEAD", "/v1", "")
	if head.Code != 200 || head.Header().Get("Content-Length") != w.Header().Get("Content-Length") || head.Header().Get("ETag") != w.Header().Get("ETag") {
		t.Errorf("HEAD: %d %v", head.Code, head.Header())
	}
	b.want(b.ask("GET", "/v1", "", "If-None-Match: "+w.Header().Get("ETag")), 304)
	b.want(b.ask("GET", "/v1", "", `If-Match: "other"`), 412, "/problems/precondition-failed")
	b.want(b.ask("GET", "/v1?colour=red", ""), 400, "/problems/invalid-argument")
	refused := b.ask("POST", "/v1", "{}")
	b.want(refused, 405, "/problems/method-not-allowed")
	if refused.Header().Get("Allow") != "GET, HEAD, OPTIONS" {
		t.Errorf("Allow %q", refused.Header().Get("Allow"))
	}
}

// Clients that accept HTML get a page that helps, all others a problem; below /v1 all is JSON.
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
		{"/v1/v1", browserAccept, false},
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

// One rule for every error: what a browser asks for is a page, what others ask for a problem, which says what the service said.
func TestErrorsOfPages(t *testing.T) {
	for name, keep := range map[string]gateway.Config{"kept": gateway.DefaultConfig(), "not kept": {}} {
		t.Run(name, func(t *testing.T) {
			keep.RequestTimeout = 100 * time.Millisecond
			var log lines
			b := &browser{t: t, h: newGateway(t, keep, &fakeMovie{}, logInto(&log)).Handler()}
			for _, tc := range []struct {
				path   string
				status int
				typ    string
				detail string
			}{
				{"/movies/missing", 404, "/problems/not-found", `no movie has the id "missing"`},
				{"/movies/down", 503, "/problems/unavailable", "the metadata service cannot be reached: try again later"},
				{"/movies/slow", 504, "/problems/deadline-exceeded", "the movie service did not answer in time: try again later"},
				{"/movies/broken", 500, "/problems/internal", "internal error"},
				{"/movies/%ff", 404, "/problems/no-such-route", "there is nothing at this address; the API is described at /docs, the pages begin at /"},
				{"/search?q=%ff", 400, "/problems/invalid-argument", "the request is not valid"},
			} {
				w := b.ask("GET", tc.path, "", "Accept: */*")
				b.want(w, tc.status)
				checkProblem(t, w)
				var p fault.Problem
				if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Type != tc.typ || p.Detail != tc.detail {
					t.Errorf("%s: %v %+v, want %s: %s", tc.path, err, p, tc.typ, tc.detail)
				}
				if again := w.Header().Get("Retry-After"); (again != "") != (tc.status == 503 || tc.status == 504) {
					t.Errorf("%s: Retry-After %q", tc.path, again)
				}
				page := b.ask("GET", tc.path, "", browserAccept)
				b.want(page, tc.status, "<!DOCTYPE html>")
				if again := page.Header().Get("Retry-After"); (again != "") != (tc.status == 503 || tc.status == 504) {
					t.Errorf("%s: the page has Retry-After %q", tc.path, again)
				}
			}
			log.mu.Lock()
			defer log.mu.Unlock()
			for _, line := range strings.Split(log.buf.String(), "\n") {
				if strings.Contains(line, "path=/movies/down") && strings.Contains(line, "msg=request") &&
					!(strings.Contains(line, "level=WARN") && strings.Contains(line, `problem="the metadata service cannot be reached`)) {
					t.Errorf("the log does not say why: %s", line)
				}
			}
		})
	}
}

// A page's address with a slash at its end leads to the page, and nowhere else.
func TestSlashAtTheEnd(t *testing.T) {
	b := newSite(t, gateway.DefaultConfig())
	for path, want := range map[string]string{
		"/charts/top/":                 "/charts/top",
		"/charts/top//":                "/charts/top",
		"/charts/top/?genre=War&x=%2F": "/charts/top?genre=War&x=%2F",
		"/movies/a%2Fb/":               "/movies/a%2Fb",
		"/search/?q=a/":                "/search?q=a/",
		"/about/":                      "/about",
		"/about/?":                     "/about",
		"/robots.txt/":                 "/robots.txt",
		"/movies/evil.example/":        "/movies/evil.example",
		"//":                           "",
		"//evil.example/":              "",
		"//evil.example//":             "",
		"//evil.example/about/":        "",
		"/\\evil.example/":             "",
		"/%5Cevil.example/":            "",
		"/movies//":                    "",
		"/movies/":                     "",
		"/nothing/":                    "",
		"/v1/movies/":                  "",
		"/v1/":                         "",
	} {
		for _, method := range []string{"GET", "HEAD", "POST"} {
			r := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
			r.RequestURI = path
			u, err := url.ParseRequestURI(path)
			if err != nil {
				t.Fatal(err)
			}
			r.URL = u
			w := httptest.NewRecorder()
			b.h.ServeHTTP(w, r)
			status, want := http.StatusPermanentRedirect, want
			if method == "POST" {
				want = ""
			}
			if want == "" {
				status = http.StatusNotFound
				if method == "POST" && (!strings.HasPrefix(path, "/v1") || path == "/v1/movies/") {
					status = w.Code // not allowed, or not there
				}
			}
			if w.Code != status || w.Header().Get("Location") != want {
				t.Errorf("%s %s: %d to %q, want %d to %q", method, path, w.Code, w.Header().Get("Location"), status, want)
			}
		}
	}
}

// A page names itself by the address that was configured, or by the Host header; an invalid host is refused.
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
