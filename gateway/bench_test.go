package gateway_test

import (
	"bufio"
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"testing"
	"time"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// warmMovie answers as the movie service does when a film is warm: always with the same message.
type warmMovie struct {
	moviev1.UnimplementedMovieServiceServer
	answer *moviev1.GetMovieResponse
}

func (w warmMovie) GetMovie(context.Context, *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	return w.answer, nil
}

// BenchmarkGetMovieREST compares GET /v1/movies/{id} with a bare net/http handler that writes the same bytes, over
// kept-alive loopback connections whose client end does as little as possible. The target is bare/ours ≥ 0.5.
//
// "ratio" asks both in turn and reports the median of the pairs, so that whatever else the machine does meets both alike; the
// others are for profiles.
func BenchmarkGetMovieREST(b *testing.B) {
	g := newGateway(b, gateway.Config{}, warmMovie{answer: &moviev1.GetMovieResponse{Movie: film("tt0111161")}}, nil)
	var body []byte
	ours := g.Handler()
	bare := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Content-Length", strconv.Itoa(len(body)))
		_, _ = w.Write(body)
	})
	a := dial(b, ours)
	a.ask(b)
	body = bytes.Clone(a.body)

	b.Run("ratio", func(b *testing.B) {
		const batch = 50
		x, y := dial(b, ours), dial(b, bare)
		var oursTook, bareTook, ratios []float64 // per batch
		for b.Loop() {
			start := time.Now()
			for range batch {
				x.ask(b)
			}
			half := time.Now()
			for range batch {
				y.ask(b)
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
					c.ask(b)
				}
			})
		})
	}
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// client is a connection to a server of its own.
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

// ask asks for one film and reads the answer into c.body.
func (c *client) ask(b *testing.B) {
	const request = "GET /v1/movies/tt0111161 HTTP/1.1\r\nHost: localhost\r\nUser-Agent: bench\r\nAccept: application/json\r\n\r\n"
	if _, err := io.WriteString(c.conn, request); err != nil {
		b.Error(err)
		return
	}
	var err error
	if c.body, err = answer(c.in, c.body); err != nil {
		b.Error(err)
	}
}

// answer reads one answer of status 200 with a Content-Length.
func answer(in *bufio.Reader, body []byte) ([]byte, error) {
	const name = "Content-Length: "
	length := 0
	for first := true; ; first = false {
		line, err := in.ReadSlice('\n')
		if err != nil {
			return nil, err
		}
		switch {
		case first && string(line) != "HTTP/1.1 200 OK\r\n":
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
