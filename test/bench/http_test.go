package bench_test

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"movieexample.com/app"
)

// BenchmarkMovieREST compares GET /v1/movies/{id} of the whole system in one process, warm, with a bare net/http handler
// that writes the same bytes. Four kept-alive connections each ask again as soon as they have the answer; their end does as
// little as it can, because what it does is in both sides and would bring the ratio nearer to one.
func BenchmarkMovieREST(b *testing.B) {
	system := startApp(b)
	putFilm(b, dial(b, system.Metadata), dial(b, system.Rating))
	ours := hostOf(system.Gateway)
	handler := &constantBody{}
	bare := startBare(b, handler)
	path := "/v1/movies/" + film

	first := newWebClient(b, ours)
	body, err := first.get(path)
	if err != nil {
		b.Fatal(err)
	}
	handler.body = bytes.Clone(body)

	side := func(addr string) func() float64 {
		clients := []*webClient{newWebClient(b, addr), newWebClient(b, addr), newWebClient(b, addr), newWebClient(b, addr)}
		return func() float64 {
			return loaded(b, len(clients), 300*time.Millisecond, func(client int) error {
				got, err := clients[client].get(path)
				if err == nil && len(got) == 0 {
					err = errors.New("an empty answer")
				}
				return err
			})
		}
	}
	for b.Loop() {
		sides := []func() float64{side(ours), side(bare)}
		inTurns(1, sides...) // warm
		m := inTurns(16, sides...)
		against(b, "rest", "GET /v1/movies/{id} in one process, warm / bare net/http handler", "requests", m[0], m[1], 0.5)
	}
}

// startApp starts everything in this process on free ports and returns where it listens.
func startApp(b *testing.B) app.Addresses {
	b.Helper()
	const anyPort = "127.0.0.1:0"
	cfg := app.DefaultConfig()
	cfg.DataDir = b.TempDir()
	cfg.Listen = app.Listen{Gateway: anyPort, Metadata: anyPort, Rating: anyPort, Movie: anyPort, Kafka: anyPort, Admin: anyPort}
	a, err := app.New(b.Context(), cfg, app.Options{})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- a.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			b.Error(err)
		}
	})
	<-a.Ready()
	return a.Addresses()
}

// hostOf returns the host:port of a URL without a path.
func hostOf(url string) string { return strings.TrimPrefix(url, "http://") }

// constantBody is the handler to compare with.
type constantBody struct{ body []byte }

func (h *constantBody) ServeHTTP(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(h.body) // a client that has gone is its own affair
}

func startBare(b *testing.B, h http.Handler) string {
	b.Helper()
	ln := listen(b)
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan error, 1)
	go func() { done <- server.Serve(ln) }()
	b.Cleanup(func() {
		if err := server.Close(); err != nil {
			b.Error(err)
		}
		if err := <-done; !errors.Is(err, http.ErrServerClosed) {
			b.Error(err)
		}
	})
	return ln.Addr().String()
}

// webClient is one kept-alive connection. It understands just enough HTTP/1.1 for answers with a Content-Length.
type webClient struct {
	conn net.Conn
	in   *bufio.Reader
	host string
	// accept is the request header of that name.
	accept string
	out    []byte
	body   []byte
}

func newWebClient(b *testing.B, addr string) *webClient {
	b.Helper()
	conn, err := (&net.Dialer{}).DialContext(b.Context(), "tcp", addr)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = conn.Close() })
	return &webClient{conn: conn, in: bufio.NewReader(conn), host: addr, accept: "application/json"}
}

// get returns the body of an answer of status 200; it is valid until the next call.
func (c *webClient) get(path string) ([]byte, error) {
	c.out = fmt.Appendf(c.out[:0], "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: %s\r\n\r\n", path, c.host, c.accept)
	if _, err := c.conn.Write(c.out); err != nil {
		return nil, err
	}
	line, err := c.in.ReadSlice('\n')
	if err != nil {
		return nil, err
	}
	if !bytes.HasPrefix(line, []byte("HTTP/1.1 200 ")) {
		return nil, fmt.Errorf("answered %q", line)
	}
	length := -1
	for {
		if line, err = c.in.ReadSlice('\n'); err != nil {
			return nil, err
		}
		if len(bytes.TrimSpace(line)) == 0 {
			break
		}
		if name, value, _ := bytes.Cut(line, []byte(":")); bytes.EqualFold(name, []byte("Content-Length")) {
			if length, err = strconv.Atoi(string(bytes.TrimSpace(value))); err != nil {
				return nil, err
			}
		}
	}
	if length < 0 {
		return nil, errors.New("an answer without Content-Length")
	}
	if cap(c.body) < length {
		c.body = make([]byte, length)
	}
	c.body = c.body[:length]
	_, err = io.ReadFull(c.in, c.body)
	return c.body, err
}
