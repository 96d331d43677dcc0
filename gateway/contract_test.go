package gateway_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/gateway"
)

var update = flag.Bool("update", false, "write the golden files")

// request is one row of the contract: what is sent.
type request struct {
	method, path, body string
	header             map[string]string
}

// do sends a request as written: the path is not cleaned or encoded again.
func do(t testing.TB, base string, q request) *http.Response {
	t.Helper()
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), q.method, base+q.path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range q.header {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// shown is an answer as the golden file has it.
func shown(t testing.TB, q request, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s", q.method, q.path)
	for k, v := range q.header {
		if k != "X-Request-Id" {
			fmt.Fprintf(&b, " [%s: %s]", k, v)
		}
	}
	if q.body != "" {
		fmt.Fprintf(&b, " %.200s", strings.ReplaceAll(q.body, "\n", "\\n"))
	}
	fmt.Fprintf(&b, "\n%d", resp.StatusCode)
	for _, k := range []string{"Content-Type", "Cache-Control", "Etag", "Link", "Content-Location", "Vary", "Allow", "Accept-Encoding", "Retry-After"} {
		if v := resp.Header.Get(k); v != "" {
			fmt.Fprintf(&b, " %s: %s;", k, v)
		}
	}
	b.WriteByte('\n')
	var pretty bytes.Buffer
	if len(body) > 0 && json.Indent(&pretty, body, "", "  ") == nil {
		body = bytes.TrimSpace(pretty.Bytes())
	}
	b.Write(body)
	b.WriteString("\n\n")
	return b.String()
}

// TestContract sends every kind of request, good and bad, and compares the answers byte by byte with the golden file.
// After a wanted change: go test ./gateway -run Contract -update, then review the file like code.
func TestContract(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{}, &fakeMovie{}, nil).Handler())
	t.Cleanup(server.Close)
	var all strings.Builder
	for _, section := range contract() {
		fmt.Fprintf(&all, "# %s\n\n", section.title)
		for _, q := range section.requests {
			if q.header == nil {
				q.header = map[string]string{}
			}
			q.header["X-Request-Id"] = "test"
			all.WriteString(shown(t, q, do(t, server.URL, q)))
		}
	}
	const file = "testdata/contract.golden"
	if *update {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(all.String(), "\n")); diff != "" {
		t.Errorf("answers differ from %s (-golden +now):\n%s", file, diff)
	}
}

type section struct {
	title    string
	requests []request
}

func contract() []section {
	const films = "/v1/movies"
	put := func(body string) request { return request{method: "PUT", path: films + "/a", body: body} }
	get := func(path string) request { return request{method: "GET", path: path} }
	on := func(q request, name, value string) request {
		q.header = map[string]string{name: value}
		return q
	}
	return []section{
		{"Good requests", []request{
			get(films + "/tt0111161"),
			get(films + "/bare"),
			put(`{"title":"T","year":1999,"genres":["Drama"],"externalIds":{"imdb":"tt0000001"},"etag":"v1","runtime_minutes":90}`),
			put(` {"id":"a","title":"null and text","year":null,"genres":null,"runtimeMinutes":90.0,"ratingStatus":"fresh","ratingSummary":{"mean":5,"histogram":[1,2],"asOfTime":"2026-01-02T03:04:05Z"}} `),
			{method: "DELETE", path: films + "/a"},
			{method: "DELETE", path: films + "/a?etag=v1"},
			get(films),
			get(films + "?genre=Science%20Fiction&minYear=1990&max_year=1999&orderBy=year+desc&page_size=5000"),
			get(films + ":lookup?imdb_id=tt0111161"),
			get(films + ":lookup?movielensId=318"),
			{method: "POST", path: films + ":batchGet", body: `{"ids":["a","b"]}`, header: map[string]string{"Content-Type": "application/json; charset=utf-8"}},
			get("/v1/charts/top?decade=1990&genre=Drama"),
			get("/v1/movies:search?q=Heat&decade=1990&pageToken=t"),
			get("/v1/movies:suggest?q=Hea&page_size=3"),
			get("/v1/movies/a/similar"),
			get("/v1/stats"),
			get("/v1/records/movie/a/ratingHistory"),
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9.0, "userId": "u"}`},
			get("/v1/records/movie/a/ratings/u"),
			{method: "DELETE", path: "/v1/records/movie/a/ratings/u"},
			get("/v1/records/movie/a/ratingSummary"),
			get("/v1/users/u/ratings?recordType=movie"),
			{method: "HEAD", path: films + "/a"},
			{method: "OPTIONS", path: films + "/a"},
		}},
		{"Ids", []request{
			get(films + "/a:b"),
			get(films + "/a%2Fb"),
			get(films + "/a%252Fb"),
			get(films + "/a%20b+c"),
			get(films + "/%C3%A9t%C3%A9"),
			get(films + "/.."),
			get(films + "/%ff"),
		}},
		{"What a service says", []request{
			get(films + "/missing"),
			get(films + "/down"),
			get(films + "/broken"),
			get(films + "/panic"),
			get(films + "?page_size=-1"),
			put(`{}`),
			put(`{"title":"Old","etag":"v0"}`),
			put(`{"title":"Taken","externalIds":{"imdb":"tt0111161"}}`),
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 11}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 0}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": null}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `null`},
			get("/v1/records/movie/a/ratings"),
		}},
		{"Routes and methods", []request{
			get("/v1/films"),
			get(films + "/"),
			get(films + "/a/b"),
			get("/v2/movies/a"),
			get(films + ":frobnicate"),
			{method: "POST", path: films + "/a", body: "{}"},
			{method: "POST", path: films + "/a", body: "{}", header: map[string]string{"X-HTTP-Method-Override": "GET"}},
			{method: "PATCH", path: films},
			{method: "GET", path: films + ":batchGet"},
			{method: "POST", path: "/"},
			{method: "BREW", path: films},
			{method: "OPTIONS", path: "/"},
			get("/v1"),
			on(get("/v1/films"), "Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
			get("/nothing"),
		}},
		{"Query parameters", []request{
			get(films + "?colour=red"),
			get(films + "/a?verbose=1"),
			get(films + "?min_year=nineteen"),
			get(films + "?minYear=&genre=&page_size="),
			get(films + "?genre=&genre=Drama"),
			get("/v1/movies:search?q="),
			get(films + "?page_size=99999999999"),
			get(films + "?genre=Drama&genre=War"),
			get(films + "?page_size=1&pageSize=2"),
			get(films + "?genre=%ff"),
			get(films + "?genre=%zz"),
			get(films + "?genre=a;b"),
			get(films + "/a?id=b"),
			get("/v1/charts/top?decade=1990.5"),
			{method: "PUT", path: films + "/a?etag=v1", body: `{"title":"T"}`},
		}},
		{"Conditions", []request{
			on(get(films+"/tt0111161"), "If-None-Match", `"x", W/"v1.dc2b7e781aaabf01"`),
			on(get(films+"/tt0111161"), "If-None-Match", `"v1"`),
			on(get(films+"/missing"), "If-None-Match", "*"),
			on(get(films+"/tt0111161"), "If-Match", `"other"`),
			on(put(`{"title":"T"}`), "If-Match", `W/"v1.dc2b7e781aaabf01"`),
			on(put(`{"title":"T"}`), "If-Match", `v1`),
			on(put(`{"title":"T","etag":"v1"}`), "If-Match", `"v1"`),
			on(put(`{"title":"T","etag":"v1"}`), "If-Match", `"v2"`),
			on(put(`{"title":"Old"}`), "If-Match", `"v0"`),
			on(put(`{"title":"T"}`), "If-Unmodified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
			on(put(`{"title":"T"}`), "If-None-Match", "*"),
			on(put(`{"title":"T"}`), "If-None-Match", `"v1"`),
			on(request{method: "PUT", path: films + "/missing", body: `{"title":"T"}`}, "If-None-Match", "*"),
			on(request{method: "PUT", path: films + "/missing", body: `{"title":"T"}`}, "If-Match", "*"),
			on(request{method: "DELETE", path: films + "/a"}, "If-Match", `"v1"`),
			on(request{method: "DELETE", path: films + "/a?etag=v2"}, "If-Match", `"v1"`),
			on(request{method: "DELETE", path: films + "/a"}, "If-None-Match", "*"),
			on(request{method: "DELETE", path: films + "/a"}, "If-Unmodified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
			on(request{method: "POST", path: films + ":batchGet", body: `{"ids":["a"]}`}, "If-Modified-Since", ""),
			on(request{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9}`}, "If-Match", "*"),
			on(get(films+"/bare"), "If-Modified-Since", "Sat, 29 Oct 1994 19:43:31 GMT"),
			on(get("/v1/stats"), "Range", "bytes=0-9"),
		}},
		{"Fields", []request{
			get(films + "/a?fields=title,ratingSummary.mean,external_ids"),
			get(films + "/a?fields=year,title,title"),
			get(films + "/a?fields="),
			get("/v1/movies:search?q=Heat&fields=hits.movie.id,hits.titlePieces.text,total&pageSize=1"),
			get("/v1/charts/top?fields=entries.movie.title,entries"),
			{method: "PUT", path: films + "/a?fields=etag", body: `{"title":"T","etag":"v1"}`},
			{method: "POST", path: films + ":batchGet?fields=missingIds", body: `{"ids":["a"]}`},
			get(films + "/a?fields=ratingSummary.average,titel,title.length"),
			get(films + "?fields=movies.id,,x"),
			get(films + "/a?fields=title&fields=id"),
			get(films + "/a?fields=" + strings.Repeat("id,", 50) + "id"),
			{method: "DELETE", path: films + "/a?fields=id"},
		}},
		{"Bodies", []request{
			put(``),
			put(" \n "),
			put(`{"title":"T","colour":"red","externalIds":{"letterboxd":"x"}}`),
			put(`{"title":5,"year":"next","genres":"Drama","externalIds":[],"runtimeMinutes":1.5,"ratingSummary":{"asOfTime":"yesterday","mean":"high"}}`),
			put(`{"title":"T","genres":["Drama",7,null,["x"]]}`),
			put(`{"title":"T","title":"U","original_title":"a","originalTitle":"b"}`),
			put(`{"id":"b","title":"T"}`),
			put(`{"year":3000000000}`),
			put("{\n  \"title\": \"T\",\n  \"year\": 1999,\n}"),
			put(`{"title":"T"`),
			put(`{"title":"T"} {}`),
			put(`{"title":"T"}x`),
			put(`["a"]`),
			put(`null`),
			put(`"a"`),
			put("{\"title\":\"\xff\"}"),
			put(`{"title":"` + strings.Repeat("x", gateway.MaxBody) + `"}`),
			{method: "PUT", path: films + "/a", body: `title=T`, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
			{method: "PUT", path: films + "/a", body: `{"title":"T"}`, header: map[string]string{"Content-Type": "application/json; charset=latin1"}},
			{method: "PUT", path: films + "/a", body: `{"title":"T"}`, header: map[string]string{"Content-Encoding": "gzip"}},
			{method: "GET", path: films + "/a", body: `{}`},
			{method: "DELETE", path: films + "/a", body: `{}`},
			{method: "POST", path: films + ":batchGet", body: `{"ids":"a"}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9, "userId": "v", "stars": 3}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9.5}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": "9"}`},
			put(`{"title":"T","year":"1999","ratingSummary":{"mean":"NaN","histogram":[1,"2"]}}`),
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": [[{}, null]]}`},
		}},
	}
}
