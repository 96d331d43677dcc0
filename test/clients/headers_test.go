package clients_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testLinks follows every link of the reference page, as a user would after starting the demo.
func testLinks(t *testing.T, gateway string) {
	res, page := ask(t, http.MethodGet, gateway+"/docs", nil, nil)
	if res.StatusCode != http.StatusOK {
		t.Fatalf("GET /docs: %s", res.Status)
	}
	seen := map[string]bool{}
	for _, m := range regexp.MustCompile(`(?:href|src)="(/[^"]*)"`).FindAllStringSubmatch(string(page), -1) {
		link := strings.ReplaceAll(m[1], "&amp;", "&")
		if seen[link] {
			continue
		}
		seen[link] = true
		res, text := ask(t, http.MethodGet, gateway+link, nil, nil)
		if res.StatusCode != http.StatusOK {
			t.Errorf("/docs links to %s, which is %s: %.200s", link, res.Status, text)
		}
		if strings.Contains(string(text), `":[]`) && strings.HasPrefix(link, "/v1/users/") {
			t.Errorf("/docs links to %s, which shows an empty list: %s", link, text)
		}
	}
	if len(seen) < 20 {
		t.Errorf("/docs has %d links, want at least one for every GET and the site's own", len(seen))
	}
}

// described are the headers that the document speaks of. Those that every server sends and no client of an API looks at are left out.
var described = []string{"Cache-Control", "Content-Location", "Etag", "Link", "Retry-After", "X-Request-Id"}

// testHeaders compares the headers that the document has for each status with those that come.
func testHeaders(t *testing.T, gateway string) {
	doc := readDocument(t)
	links := 0
	for _, op := range doc.operations() {
		t.Run(op.ID, func(t *testing.T) {
			var body []byte
			if op.Body != nil {
				var err error
				if body, err = json.Marshal(op.Body.Content["application/json"].Example); err != nil {
					t.Fatal(err)
				}
			}
			last := false // the example is the last page of a list: it has no Link
			// send returns the answer's header, after it was compared.
			send := func(status int, target string, header http.Header) http.Header {
				t.Helper()
				res, text := ask(t, op.method, gateway+target, body, header)
				want, ok := op.Responses[fmt.Sprint(status)]
				if res.StatusCode != status || !ok {
					t.Errorf("%s %s with %v: %d (%.200s), want %d, in the document: %v", op.method, target, header, res.StatusCode, text, status, ok)
					return res.Header
				}
				if want.Ref != "" {
					want = doc.Components.Responses[want.Ref[strings.LastIndexByte(want.Ref, '/')+1:]]
				}
				if strings.Contains(string(text), `"nextPageToken":""`) {
					last = true
				}
				if res.Header.Get("Link") != "" {
					links++
				}
				var has []string
				for _, name := range described {
					if res.Header.Get(name) != "" {
						has = append(has, name)
					}
				}
				var says []string
				for name := range want.Headers {
					if name != "Link" || !last {
						says = append(says, http.CanonicalHeaderKey(name))
					}
				}
				slices.Sort(says)
				if !slices.Equal(has, says) {
					t.Errorf("%s %s with %v: %d has the headers %v, in the document %v", op.method, target, header, status, has, says)
				}
				return res.Header
			}
			unknown := op.target() + "?no_such_parameter=1"
			if strings.Contains(op.target(), "?") {
				unknown = op.target() + "&no_such_parameter=1"
			}
			send(http.StatusBadRequest, unknown, nil)
			if op.method == http.MethodGet {
				target := op.target()
				etag := send(http.StatusOK, target, nil).Get("Etag")
				send(http.StatusOK, target, http.Header{"If-Match": {"*"}, "If-Modified-Since": {"x"}, "If-Unmodified-Since": {"x"}})
				send(http.StatusNotModified, target, http.Header{"If-None-Match": {etag}})
				send(http.StatusPreconditionFailed, target, http.Header{"If-Match": {`"false"`}})
				return
			}
			takes := map[string]bool{}
			for _, p := range op.Parameters {
				switch p.Ref {
				case "#/components/parameters/IfMatch":
					takes["If-Match"] = true
				case "#/components/parameters/OnlyNew":
					takes["If-None-Match"] = true
				}
			}
			if takes["If-Match"] {
				send(http.StatusPreconditionFailed, op.target(), http.Header{"If-Match": {`"false"`}})
				const nine = `"1", "2", "3", "4", "5", "6", "7", "8", "9"`
				send(http.StatusBadRequest, op.target(), http.Header{"If-Match": {nine}})
			}
			for _, name := range []string{"If-Match", "If-None-Match"} {
				if !takes[name] {
					send(http.StatusBadRequest, op.target(), http.Header{name: {"*"}})
				}
			}
			if op.method == http.MethodPost { // it reads
				send(http.StatusOK, op.target(), http.Header{"Host": {"films.example"}})
			} else {
				send(http.StatusForbidden, op.target(), http.Header{"Host": {"films.example"}})
			}
			send(http.StatusOK, op.target(), http.Header{"If-Modified-Since": {"x"}, "If-Unmodified-Since": {"Sat, 29 Oct 1994 19:43:31 GMT"}})
		})
	}
	if links < 9 {
		t.Errorf("%d answers had a Link: too many examples are last pages to tell", links)
	}
}

// testNoRequest sends what the document says never reaches the API.
func testNoRequest(t *testing.T, gateway string) {
	address, err := url.Parse(gateway)
	if err != nil {
		t.Fatal(err)
	}
	const path = "/v1/movies/tt0133093"
	for _, tc := range []struct {
		status        int
		name, request string
	}{
		{400, "a broken % in the path", "GET /v1/movies/%zz HTTP/1.1\r\nHost: h\r\n\r\n"},
		{400, "no Host", "GET " + path + " HTTP/1.1\r\n\r\n"},
		{400, "two Hosts", "GET " + path + " HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n"},
		{400, "a malformed Host", "GET " + path + " HTTP/1.1\r\nHost: a b\r\n\r\n"},
		{417, "another Expect", "GET " + path + " HTTP/1.1\r\nHost: h\r\nExpect: more\r\n\r\n"},
		{431, "a long address", "GET " + path + "?fields=" + strings.Repeat("a", 40<<10) + " HTTP/1.1\r\nHost: h\r\n\r\n"},
		{431, "long headers", "GET " + path + " HTTP/1.1\r\nHost: h\r\nX-Long: " + strings.Repeat("a", 40<<10) + "\r\n\r\n"},
		{501, "an unknown Transfer-Encoding", "PUT " + path + " HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: zip\r\n\r\n"},
		{505, "another version", "GET " + path + " HTTP/3.0\r\nHost: h\r\n\r\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address.Host)
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close()
			if _, err := io.WriteString(conn, tc.request); err != nil {
				t.Fatal(err)
			}
			res, err := http.ReadResponse(bufio.NewReader(conn), nil)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if kind := res.Header.Get("Content-Type"); res.StatusCode != tc.status || !res.Close || strings.Contains(kind, "json") || res.Header.Get("X-Request-Id") != "" {
				t.Errorf("got %d %q, closed: %v, %v; the document says %d in plain text, closed, without an id", res.StatusCode, kind, res.Close, res.Header, tc.status)
			}
		})
	}
}
