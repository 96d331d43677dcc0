package clients_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
)

// testProblems provokes the errors that a client can, and holds them to the examples of the document.
func testProblems(t *testing.T, gateway string) {
	doc := readDocument(t)
	const film = "/v1/movies/tt0133093"
	for _, tc := range []struct {
		response       string
		status         string
		method, target string
		body           string
		header         http.Header
	}{
		{response: "InvalidRequest", status: "400", method: "GET", target: "/v1/movies?page_size=many"},
		{response: "HostNotAllowed", status: "403", method: "PUT", target: film, body: `{"title":"T"}`, header: http.Header{"Host": {"films.example"}}},
		{response: "NotFound", status: "404", method: "GET", target: "/v1/movies/no-such-movie"},
		{response: "Conflict", status: "409", method: "PUT", target: film, body: `{"title":"T","etag":"old"}`},
		{response: "PreconditionFailed", status: "412", method: "PUT", target: film, body: `{"title":"T"}`, header: http.Header{"If-Match": {`"old"`}}},
		{response: "BodyTooLarge", status: "413", method: "PUT", target: film, body: `{"title":"` + strings.Repeat("x", 64<<10) + `"}`},
		{response: "UnsupportedMediaType", status: "415", method: "PUT", target: film, body: `title=T`, header: http.Header{"Content-Type": {"text/plain"}}},
	} {
		t.Run(tc.status, func(t *testing.T) {
			want := doc.Components.Responses[tc.response].Content["application/problem+json"]
			res, text := ask(t, tc.method, gateway+tc.target, []byte(tc.body), tc.header)
			if res.Header.Get("Content-Type") != "application/problem+json" || !strings.HasPrefix(res.Status, tc.status) {
				t.Fatalf("got %s %s: %s", res.Status, res.Header.Get("Content-Type"), text)
			}
			check(t, doc, "the answer", want.Schema, text)
			if *update {
				record(t, "problem-"+tc.status, text)
				return
			}
			got, _ := decode(t, text).(map[string]any)
			sample, _ := want.Example.(map[string]any)
			steady(got)
			for _, member := range []string{"type", "title", "status", "detail", "code"} {
				if member == "detail" && (tc.status == "409" || tc.status == "412") {
					continue // names the etag of the film
				}
				if got[member] != sample[member] {
					t.Errorf("%s is %q, in the example %q: record it again with -update", member, got[member], sample[member])
				}
			}
			kind, _ := got["type"].(string)
			if page, _ := ask(t, http.MethodGet, gateway+kind, nil, nil); page.StatusCode != http.StatusOK || !strings.HasPrefix(page.Header.Get("Content-Type"), "text/html") {
				t.Errorf("the type %s leads to %s, not to a page that explains it", kind, page.Status)
			}
		})
	}
	for name, r := range doc.Components.Responses {
		sample, err := json.Marshal(r.Content["application/problem+json"].Example)
		if err != nil {
			t.Fatal(err)
		}
		check(t, doc, "the example of "+name, r.Content["application/problem+json"].Schema, sample)
	}
}
