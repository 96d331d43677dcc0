package gateway_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
)

// FuzzBody: for any body, the answer is a success or says in our words what is wrong. protojson must accept every body that
// our check accepts: its own texts ("proto: …") never reach a client, and nothing becomes an internal error.
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

// FuzzTarget: for any path and query, the answer is not an internal error, and every error is a problem.
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

// FuzzConditions: for any conditional headers, the answer is one that RFC 9110 defines. A refused write changed nothing, and
// one with If-Match replaced only the version that it names.
func FuzzConditions(f *testing.F) {
	for _, s := range contract() {
		for _, q := range s.requests {
			f.Add(q.header["If-Match"], q.header["If-None-Match"])
		}
	}
	f.Add(`W/"e1.0", ,"x"`, `*`)
	f.Add(`"\x7f"`, `W/W/"e1"`)
	f.Add("*,*", "\"\"")
	f.Add("\"\xd4\"", "")
	catalogue := newFilms()
	h := newGateway(f, gateway.Config{}, catalogue, nil).Handler()
	f.Fuzz(func(t *testing.T, match, none string) {
		b := &browser{t: t, h: h, film: catalogue}
		catalogue.writes, catalogue.stored["a"] = 0, &moviev1.Movie{Id: "a", Title: "One", Etag: "e0"}
		var header []string
		if match != "" {
			header = append(header, "If-Match: "+match)
		}
		if none != "" {
			header = append(header, "If-None-Match: "+none)
		}
		get := b.ask("GET", "/v1/movies/a", "", header...)
		if get.Code != 200 && get.Code != 304 && get.Code != 412 {
			t.Errorf("GET [%q]: %d %s", header, get.Code, get.Body)
		}
		put := b.ask("PUT", "/v1/movies/a", `{"title":"Two"}`, header...)
		if put.Code != 400 && put.Code != 412 && put.Code != 200 || (put.Code == 200) != (b.film.writes == 1) {
			t.Errorf("PUT [%q]: %d %s after %d writes", header, put.Code, put.Body, b.film.writes)
		}
		if put.Code == 200 && none != "" {
			t.Errorf("PUT [%q] wrote over what exists", header)
		}
		if put.Code == 200 && match != "" && !strings.Contains(match, `"e0`) && strings.Trim(match, " \t") != "*" {
			t.Errorf("PUT [%q] wrote over a version that it does not name", header)
		}
		checkProblem(t, put)
	})
}

// FuzzFields: a mask leaves out and never adds or changes: what is answered is a part of the whole answer, in its order.
func FuzzFields(f *testing.F) {
	f.Add("title")
	f.Add("id,ratingSummary.mean,rating_summary.asOfTime,externalIds")
	f.Add("ratingSummary,ratingSummary.votes,,")
	f.Add("ratingSummary..mean,.id,id.,title.x,*")
	h := newGateway(f, gateway.Config{}, &fakeMovie{}, nil).Handler()
	ask := func(t *testing.T, target string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, target, nil))
		return w
	}
	f.Fuzz(func(t *testing.T, fields string) {
		whole, part := map[string]any{}, map[string]any{}
		if err := json.Unmarshal(ask(t, "/v1/movies/a").Body.Bytes(), &whole); err != nil {
			t.Fatal(err)
		}
		w := ask(t, "/v1/movies/a?fields="+url.QueryEscape(fields))
		checkProblem(t, w)
		if w.Code == http.StatusBadRequest {
			return
		}
		if err := json.Unmarshal(w.Body.Bytes(), &part); err != nil || w.Code != http.StatusOK {
			t.Fatalf("fields=%q: %d %s", fields, w.Code, w.Body)
		}
		if !within(part, whole) {
			t.Errorf("fields=%q: %s is no part of the whole answer", fields, w.Body)
		}
		if fields != "" && strings.Count(fields, ",") == 0 && len(part) > 1 {
			t.Errorf("fields=%q: one path, %d fields", fields, len(part))
		}
	})
}

// within reports whether every member of part is in whole, alike.
func within(part, whole map[string]any) bool {
	for name, v := range part {
		inner, ok := v.(map[string]any)
		if !ok {
			if !cmp.Equal(v, whole[name]) {
				return false
			}
			continue
		}
		outer, ok := whole[name].(map[string]any)
		if !ok || !within(inner, outer) {
			return false
		}
	}
	return true
}
