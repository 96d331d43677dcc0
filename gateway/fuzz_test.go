package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"movieexample.com/gateway"
	"movieexample.com/internal/fault"
)

// FuzzBody: whatever the body, the answer is good or says in our words what is wrong. What our check lets through protojson
// must take: its own texts ("proto: …") never reach a client, and nothing becomes an internal error.
func FuzzBody(f *testing.F) {
	for _, s := range contract() {
		for _, q := range s.requests {
			if q.method == http.MethodPut && len(q.body) < 1000 {
				f.Add(q.body)
			}
		}
	}
	f.Add(`{"title":"\ud800","year":1e3,"ratingSummary":{"histogram":["1",2.0,-0],"votes":"1e2","mean":"NaN","asOfTime":"0000-01-01T00:00:00Z"}}`)
	f.Add(`{"year":" 5","genres":{},"runtimeMinutes":"0x10","id":null,"ratingSummary":{"mean":1e999}}`)
	h := newGateway(f, gateway.Config{}, &fakeMovie{}, nil).Handler()
	f.Fuzz(func(t *testing.T, body string) {
		for _, path := range []string{"/v1/movies/a", "/v1/records/movie/a/ratings/u"} {
			w := httptest.NewRecorder()
			h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodPut, path, strings.NewReader(body)))
			good := w.Code == http.StatusOK || w.Code == http.StatusBadRequest || w.Code == http.StatusConflict || w.Code == http.StatusRequestEntityTooLarge
			if !good || strings.Contains(w.Body.String(), "proto:") || strings.Contains(w.Body.String(), "proto:\u00a0") {
				t.Errorf("PUT %s %q: %d %s", path, body, w.Code, w.Body)
			}
			checkProblem(t, w)
		}
	})
}

// FuzzTarget: whatever the path and query, the answer is no internal error, and an error is a problem.
func FuzzTarget(f *testing.F) {
	for _, s := range contract() {
		for _, q := range s.requests {
			path, query, _ := strings.Cut(q.path, "?")
			f.Add(path, query)
		}
	}
	f.Add("/v1/movies/%2f%00/", "page_size=+1&genre=%00&&=")
	h := newGateway(f, gateway.Config{}, &fakeMovie{}, nil).Handler()
	f.Fuzz(func(t *testing.T, path, query string) {
		target, err := url.Parse(path)
		if err != nil || strings.Contains(path, "panic") || strings.Contains(path, "broken") || strings.Contains(path, "slow") {
			return // net/http refuses it, or the fake fails on purpose
		}
		target.RawQuery = query
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/", nil)
		r.URL = target
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if w.Code == http.StatusInternalServerError {
			t.Errorf("GET %q?%q: %s", path, query, w.Body)
		}
		checkProblem(t, w)
	})
}

func checkProblem(t *testing.T, w *httptest.ResponseRecorder) {
	t.Helper()
	if w.Code < 400 {
		return
	}
	var p fault.Problem
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || p.Status != w.Code || p.Detail == "" || w.Header().Get("Content-Type") != fault.ProblemType {
		t.Errorf("%d %s is no problem: %s", w.Code, w.Header().Get("Content-Type"), w.Body)
	}
}
