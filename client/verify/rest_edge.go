package verify

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"github.com/klauspost/compress/zstd"
)

// restEdgeScenarios are about HTTP itself.
func restEdgeScenarios() []Scenario {
	return []Scenario{
		{Area: AreaREST, Door: Gateway, Promise: "HEAD has the status and headers of GET, and no body.", ask: restHead},
		{Area: AreaREST, Door: Gateway, Promise: "OPTIONS and 405 name the methods of a path in Allow.", ask: restAllow},
		{Area: AreaREST, Door: Gateway, Promise: "gzip and zstd have the content and the ETag of the plain answer.", ask: restCodings},
		{Area: AreaREST, Door: Gateway, Promise: "An unknown query parameter, or one given twice, is 400 and named with what is allowed.", ask: restParameters},
		{Area: AreaREST, Door: Gateway, Promise: "The type of every problem is the address of a page that explains it.", ask: restProblemTypes},
		{Area: AreaREST, Door: Gateway, Promise: "An unknown path, a body that is too large and one that is not JSON are 404, 413 and 415.", ask: restWrongRequests},
		{Area: AreaREST, Door: Gateway, Promise: "A request id is returned, in errors too, and an invalid one is replaced.", ask: restRequestID},
		{Area: AreaREST, Door: Gateway, Promise: "Reads are revalidated, errors and writes are not stored by caches, and no answer may be taken for another type.", ask: restHeaders},
		{Area: AreaREST, Door: Gateway, Promise: "/openapi.json is OpenAPI 3.1, and every operation in it exists.", ask: restDocument},
	}
}

func restHead(t *trial) {
	id := t.name("film")
	t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	get, head := t.get(moviePath(id)), t.send(http.MethodHead, moviePath(id), "").is(http.StatusOK)
	same(t, "the length of the body", len(head.body), 0)
	for _, name := range []string{"ETag", "Content-Type", "Content-Length", "Cache-Control"} {
		same(t, name, head.header.Get(name), get.header.Get(name))
	}
	t.send(http.MethodHead, moviePath(t.name("none")), "").is(http.StatusNotFound)
}

func restAllow(t *trial) {
	const want = "DELETE, GET, HEAD, OPTIONS, PUT"
	path := moviePath(t.name("none"))
	same(t, "Allow of OPTIONS", t.send(http.MethodOptions, path, "").is(http.StatusNoContent).header.Get("Allow"), want)
	a := t.send(http.MethodPatch, path, `{}`)
	a.refuses(http.StatusMethodNotAllowed)
	same(t, "Allow of 405", a.header.Get("Allow"), want)
}

func restCodings(t *trial) {
	id := t.name("film")
	body := fmt.Sprintf(`{"title":%q,"description":%q}`, word(9), strings.Repeat("All work and no play makes a dull film. ", 60))
	t.putFilm(id, body).is(http.StatusOK)
	plain := t.get(moviePath(id))
	same(t, "Content-Encoding of the plain answer", plain.header.Get("Content-Encoding"), "")
	for coding, decode := range map[string]func(io.Reader) (io.Reader, error){
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	} {
		a := t.get(moviePath(id), "Accept-Encoding: "+coding)
		same(t, "Content-Encoding", a.header.Get("Content-Encoding"), coding)
		same(t, "the ETag", a.tag(), plain.tag())
		t.has("Vary", a.header.Get("Vary"), "Accept-Encoding")
		t.must(len(a.body) < len(plain.body), fmt.Sprintf("fewer than %d bytes", len(plain.body)), "%d", len(a.body))
		in, err := decode(bytes.NewReader(a.body))
		if err == nil {
			a.body, err = io.ReadAll(in)
		}
		t.must(err == nil, "bytes in "+coding, "%v", err)
		same(t, "the content", string(a.body), string(plain.body))
	}
}

func restParameters(t *trial) {
	p := t.send(http.MethodGet, "/v1/movies?page_sise=3", "").refuses(http.StatusBadRequest, "page_sise")
	t.has("the detail", p.Detail, "page_size", "order_by")
	t.send(http.MethodGet, "/v1/movies?page_size=2&page_size=3", "").refuses(http.StatusBadRequest, "page_size")
	t.send(http.MethodGet, "/v1/movies?page_size=many", "").refuses(http.StatusBadRequest, "page_size")
	t.send(http.MethodGet, "/v1/movies?order_by=rating", "").refuses(http.StatusBadRequest, "order_by")
	t.send(http.MethodGet, "/v1/movies?minYear=1800", "").refuses(http.StatusBadRequest, "min")
}

func restProblemTypes(t *trial) {
	id := t.name("film")
	t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	var types []string
	for _, p := range []problem{
		t.send(http.MethodGet, "/v1/movies?page_size=many", "").refuses(http.StatusBadRequest),
		t.send(http.MethodGet, moviePath(t.name("none")), "").refuses(http.StatusNotFound),
		t.send(http.MethodGet, "/v1/nothing/here", "").refuses(http.StatusNotFound),
		t.send(http.MethodPatch, moviePath(id), `{}`).refuses(http.StatusMethodNotAllowed),
		t.send(http.MethodPut, moviePath(id), `{"title":"T","etag":"old"}`).refuses(http.StatusConflict),
		t.send(http.MethodPut, moviePath(id), `{"title":"T"}`, `If-Match: "old"`).refuses(http.StatusPreconditionFailed),
		t.send(http.MethodPut, moviePath(id), `T`, `Content-Type: text/plain`).refuses(http.StatusUnsupportedMediaType),
	} {
		t.must(!slices.Contains(types, p.Type), "its own type for each", "%s again", p.Type)
		types = append(types, p.Type)
		t.page(p.Type).has(p.Title)
	}
}

func restWrongRequests(t *trial) {
	id := t.name("film")
	t.send(http.MethodGet, "/v1/nothing/here", "").refuses(http.StatusNotFound)
	t.putFilm(id, `{"title":"`+strings.Repeat("x", 64<<10)+`"}`).refuses(http.StatusRequestEntityTooLarge)
	t.putFilm(id, t.filmBody("A"), "Content-Type: text/plain").refuses(http.StatusUnsupportedMediaType)
	t.send(http.MethodGet, moviePath(id), "").is(http.StatusNotFound)
}

func restRequestID(t *trial) {
	const header = "X-Request-Id"
	id := t.name("request")
	same(t, header, t.get("/v1/stats", header+": "+id).header.Get(header), id)
	a := t.send(http.MethodGet, moviePath(t.name("none")), "", header+": "+id)
	same(t, header, a.header.Get(header), id)
	same(t, "requestId", a.refuses(http.StatusNotFound).RequestID, id)
	made := t.get("/v1/stats", header+": not <an> id").header.Get(header)
	t.must(made != "" && !strings.Contains(made, "<"), "a request id of the gateway's", "%q", made)
	t.must(made != t.get("/v1/stats").header.Get(header), "another one for each request", "%q again", made)
}

func restHeaders(t *trial) {
	id := t.name("film")
	put := t.putFilm(id, t.filmBody(word(9))).is(http.StatusOK)
	read := t.get(moviePath(id))
	missing := t.send(http.MethodGet, moviePath(t.name("none")), "")
	same(t, "Cache-Control of a read", read.header.Get("Cache-Control"), "no-cache")
	same(t, "Cache-Control of a write", put.header.Get("Cache-Control"), "no-store")
	same(t, "Cache-Control of an error", missing.header.Get("Cache-Control"), "no-store")
	for _, a := range []*answer{put, read, missing, t.page("/")} {
		same(t, "X-Content-Type-Options", a.header.Get("X-Content-Type-Options"), "nosniff")
		t.must(a.header.Get("Referrer-Policy") != "", "a Referrer-Policy", "none")
	}
}

func restDocument(t *trial) {
	var doc struct {
		OpenAPI string
		Paths   map[string]map[string]json.RawMessage
	}
	t.get("/openapi.json").decode(&doc)
	t.must(strings.HasPrefix(doc.OpenAPI, "3.1"), "OpenAPI 3.1", "%q", doc.OpenAPI)
	t.must(len(doc.Paths) >= 10, "at least ten paths", "%d", len(doc.Paths))
	for path, operations := range doc.Paths {
		real := path
		for {
			before, rest, found := strings.Cut(real, "{")
			if !found {
				break
			}
			_, after, _ := strings.Cut(rest, "}")
			real = before + "x" + after
		}
		allow := strings.Split(t.send(http.MethodOptions, real, "").is(http.StatusNoContent).header.Get("Allow"), ", ")
		for name := range operations {
			if method := strings.ToUpper(name); slices.Contains([]string{"GET", "PUT", "POST", "DELETE", "PATCH"}, method) {
				t.must(slices.Contains(allow, method), method+" "+path+" is allowed", "only %v", allow)
			}
		}
	}
	for _, path := range []string{"/v1/movies/{id}", "/v1/movies:search", "/v1/charts/{chart}", "/v1/records/{record_type}/{record_id}/ratings/{user_id}"} {
		t.must(doc.Paths[path] != nil, "the path "+path, "none")
	}
}
