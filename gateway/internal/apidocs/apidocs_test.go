package apidocs_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"movieexample.com/gateway/internal/apidocs"
)

func ask(t *testing.T, method, path, etag string) *http.Response {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, nil)
	if etag != "" {
		r.Header.Set("If-None-Match", etag)
	}
	w := httptest.NewRecorder()
	apidocs.Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, path string) string {
	t.Helper()
	var b strings.Builder
	if err := ask(t, http.MethodGet, path, "").Write(&b); err != nil {
		t.Fatal(err)
	}
	_, text, ok := strings.Cut(b.String(), "\r\n\r\n")
	if !ok {
		t.Fatalf("GET %s: no body", path)
	}
	return text
}

func TestFiles(t *testing.T) {
	for path, contentType := range map[string]string{
		"/openapi.json":  "application/json",
		"/docs":          "text/html; charset=utf-8",
		"/docs/docs.css": "text/css; charset=utf-8",
	} {
		got := ask(t, http.MethodGet, path, "")
		etag := got.Header.Get("ETag")
		if got.StatusCode != http.StatusOK || got.Header.Get("Content-Type") != contentType || got.ContentLength < 1000 {
			t.Errorf("GET %s: %d, %q, %d bytes", path, got.StatusCode, got.Header.Get("Content-Type"), got.ContentLength)
		}
		if etag == "" || got.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("GET %s: ETag %q, Cache-Control %q: an old answer could outlive an upgrade", path, etag, got.Header.Get("Cache-Control"))
		}
		if again := ask(t, http.MethodGet, path, etag); again.StatusCode != http.StatusNotModified {
			t.Errorf("GET %s with its ETag: %d, want 304", path, again.StatusCode)
		}
		if other := ask(t, http.MethodGet, path, `W/"other"`); other.StatusCode != http.StatusOK {
			t.Errorf("GET %s with another ETag: %d, want 200", path, other.StatusCode)
		}
		if head := ask(t, http.MethodHead, path, ""); head.StatusCode != http.StatusOK || head.Header.Get("ETag") != etag {
			t.Errorf("HEAD %s: %d, ETag %q, want 200, %q", path, head.StatusCode, head.Header.Get("ETag"), etag)
		}
		if post := ask(t, http.MethodPost, path, ""); post.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("POST %s: %d, want 405", path, post.StatusCode)
		}
	}
	if got := ask(t, http.MethodGet, "/docs/other", ""); got.StatusCode != http.StatusNotFound {
		t.Errorf("GET /docs/other: %d, want 404", got.StatusCode)
	}
	if got := ask(t, http.MethodGet, "/docs/", ""); got.Header.Get("Location") != "/docs" {
		t.Errorf("GET /docs/: %d to %q, want a redirect to /docs", got.StatusCode, got.Header.Get("Location"))
	}
}

// TestPageNeedsNobody: what the policy would block must not be on the page in the first place.
func TestPageNeedsNobody(t *testing.T) {
	page := body(t, "/docs")
	for _, bad := range []string{"<script", "<style", " style=", " onclick", "<iframe", "<form"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page contains %q", bad)
		}
	}
	loads := regexp.MustCompile(`(?:src|href)="([^"]*)"`)
	for _, m := range loads.FindAllStringSubmatch(page, -1) {
		if !strings.HasPrefix(m[1], "/") && !strings.HasPrefix(m[1], "#") || strings.HasPrefix(m[1], "//") {
			t.Errorf("the page refers to %q, which is not on this server", m[1])
		}
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		if ids[m[1]] {
			t.Errorf("the id %q is there twice", m[1])
		}
		ids[m[1]] = true
	}
	for _, m := range loads.FindAllStringSubmatch(page, -1) {
		if id, ok := strings.CutPrefix(m[1], "#"); ok && !ids[id] {
			t.Errorf("a link leads to #%s, which is not there", id)
		}
	}
	if strings.Contains(body(t, "/docs/docs.css"), "url(") {
		t.Error("the style sheet loads something")
	}
}

// TestFont: with the address of the font, the page may load it.
func TestFont(t *testing.T) {
	get := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		apidocs.Handler(apidocs.Options{FontURL: `/assets/league").1a2b.woff2`}).ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil))
		return w
	}
	style := get("/docs/docs.css")
	if !strings.Contains(style.Body.String(), `src: url("/assets/league%22%29.1a2b.woff2")`) {
		t.Errorf("the style sheet does not load the font, or not in quotes: %.200s", style.Body)
	}
	if same := ask(t, http.MethodGet, "/docs/docs.css", style.Header().Get("ETag")); same.StatusCode != http.StatusOK {
		t.Error("the style sheets with the font and without it have one ETag")
	}
	if policy := get("/docs").Header().Get("Content-Security-Policy"); !strings.Contains(policy, "font-src 'self'") {
		t.Errorf("the page's policy %q blocks the font", policy)
	}
	if policy := ask(t, http.MethodGet, "/docs", "").Header.Get("Content-Security-Policy"); strings.Contains(policy, "font-src") {
		t.Errorf("without a font the policy %q allows one", policy)
	}
}

// TestOperations: every route is described.
func TestOperations(t *testing.T) {
	var doc struct {
		Paths map[string]map[string]struct {
			OperationID string
			Summary     string
			Description string
			Tags        []string
			Parameters  []struct {
				Ref         string `json:"$ref"`
				Name        string
				Description string
			}
			RequestBody *struct {
				Content map[string]struct{ Example any }
			}
			Responses map[string]struct {
				Ref         string `json:"$ref"`
				Description string
				Content     map[string]struct{ Example any }
			}
		}
		Components struct {
			Schemas map[string]struct {
				Description string
				Properties  map[string]struct{ Description string }
			}
			Responses map[string]struct {
				Description string
				Content     map[string]struct{ Example any }
			}
		}
	}
	if err := json.Unmarshal(apidocs.Document(), &doc); err != nil {
		t.Fatal(err)
	}
	page, count := body(t, "/docs"), 0
	for path, item := range doc.Paths {
		for method, op := range item {
			count++
			at := method + " " + path
			if op.OperationID == "" || op.Summary == "" || op.Description == "" || len(op.Tags) != 1 {
				t.Errorf("%s: has no id, summary, description or tag", at)
			}
			if !strings.Contains(page, `<h3 id="`+op.OperationID+`">`) {
				t.Errorf("%s: %s is not on the page", at, op.OperationID)
			}
			for _, p := range op.Parameters {
				if p.Ref == "" && p.Description == "" {
					t.Errorf("%s: the parameter %s has no description", at, p.Name)
				}
			}
			if op.RequestBody != nil && op.RequestBody.Content["application/json"].Example == nil {
				t.Errorf("%s: the body has no example", at)
			}
			if ok := op.Responses["200"]; ok.Description == "" || ok.Content["application/json"].Example == nil {
				t.Errorf("%s: 200 has no description or no example", at)
			}
			failures := []string{"400", "500", "503", "504"}
			if at == "get /v1" {
				failures = failures[:2] // the index calls no service
			}
			for _, status := range failures {
				if op.Responses[status].Ref == "" {
					t.Errorf("%s: does not describe %s", at, status)
				}
			}
		}
	}
	if count < 19 {
		t.Errorf("%d operations, want 19 or more", count)
	}
	for name, s := range doc.Components.Schemas {
		if s.Description == "" {
			t.Errorf("the schema %s has no description", name)
		}
		for property, p := range s.Properties {
			if p.Description == "" {
				t.Errorf("%s.%s has no description", name, property)
			}
		}
	}
	for name, r := range doc.Components.Responses {
		if r.Description == "" || r.Content["application/problem+json"].Example == nil {
			t.Errorf("the response %s has no description or no example", name)
		}
	}
}
