package gateway_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// longList answers with many films.
type longList struct{ fakeMovie }

func (*longList) ListMovies(context.Context, *moviev1.ListMoviesRequest) (*moviev1.ListMoviesResponse, error) {
	answer := &moviev1.ListMoviesResponse{NextPageToken: "next"}
	for i := range 20 {
		answer.Movies = append(answer.Movies, film(strconv.Itoa(i)))
	}
	return answer, nil
}

// Every coding has the same content and the same ETag, HEAD has the headers of GET, and 304 has no body in any.
func TestCodings(t *testing.T) {
	t.Run("not cached", func(t *testing.T) { testCodings(t, gateway.Config{}) })
	t.Run("kept", func(t *testing.T) { testCodings(t, gateway.DefaultConfig()) })
}

func testCodings(t *testing.T, cfg gateway.Config) {
	server := httptest.NewServer(newGateway(t, cfg, &longList{}, nil).Handler())
	t.Cleanup(server.Close)
	plain := do(t, server.URL, request{method: "GET", path: "/v1/movies", header: map[string]string{"Accept-Encoding": ""}})
	want, err := io.ReadAll(plain.Body)
	if err != nil || len(want) < 5000 {
		t.Fatalf("%d bytes, %v", len(want), err)
	}
	decode := map[string]func(io.Reader) (io.Reader, error){
		"":     func(r io.Reader) (io.Reader, error) { return r, nil },
		"gzip": func(r io.Reader) (io.Reader, error) { return gzip.NewReader(r) },
		"zstd": func(r io.Reader) (io.Reader, error) { return zstd.NewReader(r) },
	}
	client := http.DefaultTransport.(*http.Transport).Clone()
	client.DisableCompression = true // or it asks for gzip where we ask for nothing
	t.Cleanup(client.CloseIdleConnections)
	for accept, coding := range map[string]string{
		"":                             "",
		"identity":                     "",
		"br":                           "",
		"gzip":                         "gzip",
		"gzip, deflate, br, zstd":      "zstd",
		"gzip;q=1.0, zstd;q=0.5":       "gzip",
		"gzip;q=0.2, zstd;q=0.9":       "zstd",
		"gzip;q=0, zstd;q=0, *;q=0.1":  "",
		"gzip;q=0.5, identity;q=1":     "", // what is liked most
		"identity;q=0.5, gzip;q=0.4":   "",
		"identity;q=0.5, gzip;q=0.5":   "gzip",
		"gzip;q=0.1":                   "gzip", // identity is not named: anything that is counts for more
		"gzip, *;q=0.5":                "gzip",
		"gzip;q=0.2, *":                "zstd",
		"gzip;q=0, *":                  "zstd",
		"*":                            "gzip", // which more know
		"*;q=0":                        "",     // nothing is allowed: then this header is as if not sent
		"identity;q=0, *;q=0":          "",
		"identity;q=0":                 "gzip",
		"identity;q=0, zstd;q=0":       "gzip",
		"*;q=0, zstd":                  "zstd",
		"*;q=0, identity":              "",
		"x-gzip":                       "gzip",
		"X-GZIP;q=0.9, zstd;q=0.1":     "gzip",
		"br\x00gzip":                   "gzip", // two lines
		"identity\x00zstd":             "zstd",
		"\x00gzip;q=0.5\x00zstd;q=0.4": "gzip",
		"GZIP":                         "gzip",
		";;;,,=":                       "",
		"gzip;q=0.5, gzip, zstd;q=0.6": "zstd",
		"zstd;q=x, gzip;level=1;Q=0.1": "gzip",
	} {
		ask := func(method, path string, headers ...string) *http.Response {
			t.Helper()
			r, err := http.NewRequestWithContext(t.Context(), method, server.URL+path, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header["Accept-Encoding"] = strings.Split(accept, "\x00")
			for _, h := range headers {
				name, v, _ := strings.Cut(h, ": ")
				r.Header.Add(name, v)
			}
			resp, err := client.RoundTrip(r)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { resp.Body.Close() })
			return resp
		}
		got := ask("GET", "/v1/movies")
		if got.Header.Get("Content-Encoding") != coding || got.Header.Get("Vary") != "Accept-Encoding" || got.Header.Get("ETag") != plain.Header.Get("ETag") {
			t.Errorf("%q: got %v, want the coding %q and the ETag %s", accept, got.Header, coding, plain.Header.Get("ETag"))
			continue
		}
		r, err := decode[coding](got.Body)
		if err != nil {
			t.Fatal(err)
		}
		if body, err := io.ReadAll(r); err != nil || !bytes.Equal(body, want) {
			t.Errorf("%q: other content, or %v", accept, err)
		}
		head := ask("HEAD", "/v1/movies")
		for _, name := range []string{"Content-Encoding", "Vary", "Etag", "Content-Type", "Content-Length", "Cache-Control", "Link", "X-Content-Type-Options"} {
			if g, h := got.Header.Get(name), head.Header.Get(name); g != h || coding == "" && name == "Content-Length" && h != strconv.Itoa(len(want)) {
				t.Errorf("%q: %s is %q with HEAD, %q with GET", accept, name, h, g)
			}
		}
		not := ask("GET", "/v1/movies", "If-None-Match: "+got.Header.Get("ETag"))
		if rest, _ := io.ReadAll(not.Body); not.StatusCode != 304 || len(rest) > 0 || not.Header.Get("Content-Encoding") != "" || not.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: If-None-Match: got %d %v with %d bytes", accept, not.StatusCode, not.Header, len(rest))
		}
	}
	// What is small is not worth it, unless it must be.
	for accept, coding := range map[string]string{"gzip": "", "gzip, identity;q=0": "gzip", "zstd;q=0.1, *;q=0": "zstd"} {
		header := map[string]string{"Accept-Encoding": accept}
		for range 2 {
			small := do(t, server.URL, request{method: "GET", path: "/v1/stats", header: header})
			if small.Header.Get("Content-Encoding") != coding || coding == "" && small.Header.Get("Content-Length") == "" {
				t.Errorf("%s: a small answer has %v", accept, small.Header)
			}
			r, err := decode[coding](small.Body)
			if err != nil {
				t.Fatal(err)
			}
			if body, err := io.ReadAll(r); err != nil || !bytes.Contains(body, []byte("9742")) {
				t.Errorf("%s: %q, %v", accept, body, err)
			}
		}
		missing := do(t, server.URL, request{method: "GET", path: "/v1/movies/missing", header: header})
		if missing.StatusCode != 404 || missing.Header.Get("Content-Encoding") != coding {
			t.Errorf("%s: a problem has %v", accept, missing.Header)
		}
		gone := do(t, server.URL, request{method: "OPTIONS", path: "/v1/movies/a", header: header})
		if gone.StatusCode != 204 || gone.Header.Get("Content-Encoding") != "" {
			t.Errorf("%s: no content has %v", accept, gone.Header)
		}
	}
}

// Which codings of a body are taken is said with the refusal of one (RFC 9110 §15.5.16), and in several lines too.
func TestCodedBodies(t *testing.T) {
	b := newBrowser(t)
	for _, headers := range [][]string{{"Content-Encoding: gzip"}, {"Content-Encoding: identity", "Content-Encoding: br"}} {
		w := b.ask("PUT", "/v1/movies/a", `{"title":"T"}`, headers...)
		b.want(w, 415, "without Content-Encoding")
		if got := w.Header().Get("Accept-Encoding"); got != "identity" {
			t.Errorf("%v: Accept-Encoding %q, want identity", headers, got)
		}
	}
	b.want(b.ask("PUT", "/v1/movies/a", `{"title":"T"}`, "Content-Encoding: Identity"), 200)
	if w := b.ask("PUT", "/v1/movies/a", "T", "Content-Type: text/plain"); w.Code != 415 || w.Header().Get("Accept-Encoding") != "" {
		t.Errorf("a type that is not taken: %d, Accept-Encoding %q", w.Code, w.Header().Get("Accept-Encoding"))
	}
}

// Range is for GET only (RFC 9110 §14.2).
func TestRangesOfHead(t *testing.T) {
	b := newBrowser(t)
	b.want(b.ask("GET", "/openapi.json", "", "Range: bytes=0-9"), 206)
	want := b.ask("GET", "/openapi.json", "").Header().Get("Content-Length")
	head := b.ask("HEAD", "/openapi.json", "", "Range: bytes=0-9")
	if head.Code != 200 || head.Header().Get("Content-Length") != want || head.Header().Get("Content-Range") != "" {
		t.Errorf("HEAD with Range: %d %v, want 200 and the length %s", head.Code, head.Header(), want)
	}
}

func TestCORS(t *testing.T) {
	for name, tc := range map[string]struct {
		configured []string
		origin     string
		allowed    string // Access-Control-Allow-Origin
	}{
		"none configured": {nil, "https://app.example", ""},
		"the one":         {[]string{"https://app.example", "http://localhost:3000"}, "https://app.example", "https://app.example"},
		"the other":       {[]string{"https://app.example", "http://localhost:3000"}, "http://localhost:3000", "http://localhost:3000"},
		"another":         {[]string{"https://app.example"}, "https://evil.example", ""},
		"another port":    {[]string{"https://app.example"}, "https://app.example:8443", ""},
		"another scheme":  {[]string{"https://app.example"}, "http://app.example", ""},
		"a longer name":   {[]string{"https://app.example"}, "https://app.example.evil.example", ""},
		"null":            {[]string{"https://app.example"}, "null", ""},
		"all":             {[]string{"*"}, "https://any.example", "*"},
	} {
		t.Run(name, func(t *testing.T) {
			b := &browser{t: t, h: newGateway(t, gateway.Config{CORSOrigins: tc.configured, AnswerCacheBytes: 1 << 20}, &fakeMovie{}, nil).Handler()}
			check := func(w *httptest.ResponseRecorder, status int) {
				t.Helper()
				b.want(w, status)
				h := w.Header()
				if got := h.Get("Access-Control-Allow-Origin"); got != tc.allowed {
					t.Errorf("allowed %q, want %q", got, tc.allowed)
				}
				if h.Get("Access-Control-Allow-Credentials") != "" {
					t.Error("credentials are allowed")
				}
				if vary := strings.Join(h.Values("Vary"), ", "); strings.Contains(vary, "Origin") != (tc.configured != nil) {
					t.Errorf("Vary: %s", vary)
				}
			}
			get := b.ask("GET", "/v1/movies/a", "", "Origin: "+tc.origin)
			check(get, 200)
			check(b.ask("GET", "/v1/movies/a", "", "Origin: "+tc.origin), 200) // kept
			if exposed := get.Header().Get("Access-Control-Expose-Headers"); tc.allowed != "" && (!strings.Contains(exposed, "Etag") || !strings.Contains(exposed, "Link") || !strings.Contains(exposed, "X-Request-Id")) {
				t.Errorf("exposed: %s", exposed)
			}
			check(b.ask("GET", "/v1/movies/missing", "", "Origin: "+tc.origin), 404) // scripts read problems too
			check(b.ask("GET", "/openapi.json", "", "Origin: "+tc.origin), 200)
			preflight := b.ask("OPTIONS", "/v1/movies/a", "", "Origin: "+tc.origin, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: content-type,if-match")
			check(preflight, 204)
			if got := preflight.Header().Get("Access-Control-Allow-Methods"); (got == "PUT") != (tc.allowed != "") {
				t.Errorf("allowed methods: %q", got)
			}
			foreign := b.ask("OPTIONS", "/v1/movies/a", "", "Origin: "+tc.origin, "Access-Control-Request-Method: PUT", "Access-Control-Request-Headers: x-evil")
			if foreign.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("a header that the API does not know passed the preflight")
			}
			if options := b.ask("OPTIONS", "/v1/movies/a", "", "Origin: "+tc.origin); options.Code != 204 || options.Header().Get("Allow") != "DELETE, GET, HEAD, OPTIONS, PUT" {
				t.Errorf("OPTIONS: %d, Allow %q", options.Code, options.Header().Get("Allow"))
			}
			if page := b.ask("GET", "/about", "", "Origin: "+tc.origin); page.Header().Get("Access-Control-Allow-Origin") != "" {
				t.Error("pages may be read by other sites")
			}
		})
	}
}

func TestOriginsAndAddressesAreChecked(t *testing.T) {
	for origins, want := range map[string]string{
		"https://app.example":      "",
		"http://localhost:3000":    "",
		"http://[::1]:3000":        "",
		"*":                        "",
		"*,https://app.example":    "one or the other",
		"app.example":              `such as https://app.example`,
		"https://app.example/":     `write "https://app.example"`,
		"https://app.example/path": `write "https://app.example"`,
		"https://app.example?x":    `write "https://app.example"`,
		"https://user@app.example": `write "https://app.example"`,
		"https://App.example":      "lower case",
		"https://app.example:443":  "scheme's own port",
		"https://*.example":        "got",
		"ftp://app.example":        "got",
		"https://":                 "got",
		"":                         "got",
		"http://a.example,https://b.example,null":   `got "null"`,
		"http://a.example,https://b.example:80:8:0": "got",
	} {
		cfg := gateway.DefaultConfig()
		cfg.CORSOrigins = strings.Split(origins, ",")
		checkSetting(t, "cors_origins", origins, cfg.Validate(), want)
	}
	for address, want := range map[string]string{
		"":                           "",
		"https://films.example":      "",
		"https://films.example/":     "",
		"http://127.0.0.1:8080":      "",
		"films.example":              "absolute address",
		"//films.example":            "absolute address",
		"https://films.example/app":  "without a path",
		"https://films.example?x=1":  "without a path",
		"https://a b.example":        "absolute address",
		"https://user@films.example": "without a path",
		"javascript:alert(1)":        "absolute address",
	} {
		cfg := gateway.DefaultConfig()
		cfg.PublicURL = address
		checkSetting(t, "public_url", address, cfg.Validate(), want)
	}
}

func checkSetting(t *testing.T, path, value string, err error, want string) {
	t.Helper()
	if (err == nil) != (want == "") || err != nil && (!strings.HasPrefix(err.Error(), path+": ") || !strings.Contains(err.Error(), want)) {
		t.Errorf("%s %q: got %v, want %q", path, value, err, want)
	}
}

// A body that does not come is the client's slowness, not its mistake.
func TestSlowBody(t *testing.T) {
	g := newGateway(t, gateway.Config{ReadTimeout: 50 * time.Millisecond}, &fakeMovie{}, nil)
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "PUT /v1/movies/a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 20\r\n\r\n{")
	answer, err := io.ReadAll(conn) // to its end: the connection is closed
	if err != nil || !strings.HasPrefix(string(answer), "HTTP/1.1 408 ") || !strings.Contains(string(answer), "/problems/request-timeout") || !strings.Contains(string(answer), "Connection: close") {
		t.Errorf("got %s, %v", answer, err)
	}
	if err := g.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// failing answers each film with an error of the kind that its id says.
type failing struct {
	moviev1.UnimplementedMovieServiceServer
}

func (failing) GetMovie(_ context.Context, r *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	code, err := strconv.Atoi(r.GetId())
	if err != nil {
		return nil, err
	}
	return nil, status.Error(codes.Code(code), "text of the code "+r.GetId())
}

// A code that is not known, of this day or of another, is an internal error whose text stays in the log.
func TestCodes(t *testing.T) {
	var log lines
	b := &browser{t: t, h: newGateway(t, gateway.Config{}, failing{}, logInto(&log)).Handler()}
	for code, want := range map[int]int{
		1: 499, 2: 500, 3: 400, 4: 504, 5: 404, 6: 409, 7: 403, 8: 429, 9: 400, 10: 409, 11: 400, 12: 501, 13: 500, 14: 503, 15: 500, 16: 401,
		17: 500, 99: 500, 1 << 20: 500,
	} {
		path := "/v1/movies/" + strconv.Itoa(code)
		w := b.ask("GET", path, "")
		b.want(w, want, `"type":"/problems/`)
		checkProblem(t, w)
		if want == 500 && strings.Contains(w.Body.String(), "text of the code") {
			t.Errorf("code %d: its text reached the client: %s", code, w.Body)
		}
	}
}

// The log line of a request that failed says which service could not be reached, also if it was called by the movie service.
func TestLogNamesWhoIsDown(t *testing.T) {
	var log lines
	b := &browser{t: t, h: newGateway(t, gateway.Config{}, &fakeMovie{}, logInto(&log)).Handler()}
	b.want(b.ask("GET", "/v1/movies/down", ""), 503)
	if text := log.buf.String(); !strings.Contains(text, "level=WARN") || !strings.Contains(text, `problem="the metadata service cannot be reached: try again later`) {
		t.Errorf("the log does not name it:\n%s", text)
	}
}
