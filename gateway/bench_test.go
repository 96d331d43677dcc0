package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// warmMovie answers as the movie service does when all is warm: always with the same messages.
type warmMovie struct {
	moviev1.UnimplementedMovieServiceServer
	one    *moviev1.GetMovieResponse
	list   *moviev1.ListMoviesResponse
	search *moviev1.SearchMoviesResponse
}

func newWarmMovie() warmMovie {
	w := warmMovie{one: &moviev1.GetMovieResponse{Movie: film("tt0111161")}, list: &moviev1.ListMoviesResponse{NextPageToken: "next"}, search: &moviev1.SearchMoviesResponse{Total: 20}}
	for i := range 50 {
		w.list.Movies = append(w.list.Movies, film("tt"+strconv.Itoa(i)))
	}
	for i := range 20 {
		w.search.Hits = append(w.search.Hits, &moviev1.SearchMoviesResponse_Hit{
			Movie: film("tt" + strconv.Itoa(i)), Match: "title",
			TitlePieces: []*moviev1.TextPiece{{Text: "The "}, {Text: "Shawshank", Matched: true}, {Text: " Redemption"}},
		})
	}
	return w
}

func (w warmMovie) GetMovie(context.Context, *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	return w.one, nil
}

func (w warmMovie) ListMovies(context.Context, *moviev1.ListMoviesRequest) (*moviev1.ListMoviesResponse, error) {
	return w.list, nil
}

func (w warmMovie) SearchMovies(context.Context, *moviev1.SearchMoviesRequest) (*moviev1.SearchMoviesResponse, error) {
	return w.search, nil
}

// BenchmarkREST compares the most frequent requests with a bare net/http handler that writes the same bytes, over kept-alive
// loopback connections whose client end does as little as possible, and with services that have their answers ready: it is the gateway's
// own cost. For details the target is bare/ours ≥ 0.5.
//
// "ratio" calls both in turn and reports the median of the pairs, so that other load affects both alike; the others are for
// profiles.
func BenchmarkREST(b *testing.B) {
	uncached := newGateway(b, gateway.Config{}, newWarmMovie(), nil).Handler()
	kept := newGateway(b, gateway.DefaultConfig(), newWarmMovie(), nil).Handler()
	for _, bench := range []struct{ name, path, header string }{
		{"kept-details", "/v1/movies/tt0111161", ""},
		{"kept-list", "/v1/movies?page_size=50", ""},
		{"kept-page", "/about", ""},
		{"details", "/v1/movies/tt0111161", ""},
		{"details-304", "/v1/movies/tt0111161", "If-None-Match: *\r\n"},
		{"details-fields", "/v1/movies/tt0111161?fields=id,title,ratingSummary.mean", ""},
		{"list", "/v1/movies?page_size=50", ""},
		{"list-fields", "/v1/movies?page_size=50&fields=movies.id,movies.title,nextPageToken", ""},
		{"search", "/v1/movies:search?q=shawshank&page_size=20", ""},
	} {
		b.Run(bench.name, func(b *testing.B) {
			target := "GET " + bench.path + " HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: application/json\r\n" + bench.header + "\r\n"
			var body []byte
			status := http.StatusOK
			ours := uncached
			if strings.HasPrefix(bench.name, "kept-") {
				ours = kept
			}
			if bench.header != "" {
				status = http.StatusNotModified
			}
			bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if status == http.StatusOK {
					w.Header().Set("Content-Type", "application/json")
					w.Header().Set("Content-Length", strconv.Itoa(len(body)))
				}
				w.WriteHeader(status)
				_, _ = w.Write(body)
			})
			a := dial(b, ours)
			a.ask(b, target)
			body = bytes.Clone(a.body)
			compare(b, target, ours, bare)
		})
	}
}

// compare runs the two handlers against each other.
func compare(b *testing.B, target string, ours, bare http.Handler) {
	b.Run("ratio", func(b *testing.B) {
		const batch = 50
		x, y := dial(b, ours), dial(b, bare)
		var oursTook, bareTook, ratios []float64 // per batch
		for b.Loop() {
			start := time.Now()
			for range batch {
				x.ask(b, target)
			}
			half := time.Now()
			for range batch {
				y.ask(b, target)
			}
			o, n := float64(half.Sub(start)), float64(time.Since(half))
			oursTook, bareTook, ratios = append(oursTook, o/batch), append(bareTook, n/batch), append(ratios, n/o)
		}
		b.ReportMetric(median(oursTook), "ours-ns/req")
		b.ReportMetric(median(bareTook), "bare-ns/req")
		b.ReportMetric(median(ratios), "bare/ours")
		b.ReportMetric(0, "ns/op")
	})
	for name, h := range map[string]http.Handler{"ours": ours, "bare": bare} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				c := dial(b, h)
				for pb.Next() {
					c.ask(b, target)
				}
			})
		})
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// client is a connection to its own server.
type client struct {
	conn net.Conn
	in   *bufio.Reader
	body []byte
}

func dial(b *testing.B, h http.Handler) *client {
	b.Helper()
	l := listen(b)
	server := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); _ = server.Serve(l) }()
	b.Cleanup(func() { _ = server.Close(); <-done })
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &client{conn: conn, in: bufio.NewReader(conn)}
}

// ask sends a request and reads the answer into c.body.
func (c *client) ask(b *testing.B, request string) {
	if _, err := io.WriteString(c.conn, request); err != nil {
		b.Error(err)
		return
	}
	var err error
	if c.body, err = answer(c.in, c.body); err != nil {
		b.Error(err)
	}
}

// answer reads one answer of status 200 with a Content-Length, or one of 304.
func answer(in *bufio.Reader, body []byte) ([]byte, error) {
	const name = "Content-Length: "
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		switch {
		case first && string(line) != "HTTP/1.1 200 OK\r\n" && string(line) != "HTTP/1.1 304 Not Modified\r\n":
			return nil, strconv.ErrSyntax
		case len(line) == 2:
			if cap(body) < length {
				body = make([]byte, length)
			}
			_, err := io.ReadFull(in, body[:length])
			return body[:length], err
		case len(line) > len(name) && string(line[:len(name)]) == name:
			if length, err = strconv.Atoi(string(line[len(name) : len(line)-2])); err != nil {
				return nil, err
			}
		}
	}
}

// TestAllocations holds what a request costs in allocations: they do not depend on the machine. It is the whole way from the
// handler to the (in-process) service and back.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		return // the race detector allocates
	}
	uncached := newGateway(t, gateway.Config{}, newWarmMovie(), nil).Handler()
	stopped := time.Now()
	kept := newGateway(t, gateway.DefaultConfig(), newWarmMovie(), func(d *gateway.Deps) { d.Now = func() time.Time { return stopped } }).Handler()
	for _, tc := range []struct {
		path, header string
		most         float64
	}{
		// Three are the request's id, two the map of headers, and one holds the rest.
		{"kept /v1/movies/tt0111161", "", 8},
		{"kept /v1/movies?page_size=50", "", 10},
		{"kept /v1/movies?page_size=50", "Accept-Encoding: gzip, deflate, br, zstd", 10},
		{"/v1/movies/tt0111161", "", 66},
		{"/v1/movies/tt0111161", `If-None-Match: "x"`, 67},
		{"/v1/movies?page_size=50", "", 430}, // 376 of them copy the films on their way through the connection
		{"/v1/movies/tt0111161?fields=id,title", "", 72},
	} {
		path, again := strings.CutPrefix(tc.path, "kept ")
		h := uncached
		if again {
			h = kept
		}
		r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
		if name, v, ok := strings.Cut(tc.header, ": "); ok {
			r.Header.Set(name, v)
		}
		got := testing.AllocsPerRun(200, func() { h.ServeHTTP(discard{http.Header{}}, r) })
		if got > tc.most {
			t.Errorf("GET %s [%s] allocates %v times, at most %v are allowed", tc.path, tc.header, got, tc.most)
		}
	}
}

// discard is a response that is not read.
type discard struct{ header http.Header }

func (d discard) Header() http.Header       { return d.header }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}
