package movie_test

import (
	"testing"

	"google.golang.org/grpc"

	"movieexample.com/gen/book"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// captured keeps what Register registers, so that the handler can be measured without a transport.
type captured map[string]any

func (c captured) RegisterService(desc *grpc.ServiceDesc, impl any) { c[desc.ServiceName] = impl }

func TestWarmMovieAllocates(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	w.rating.set("a", 1, 5)
	doors := captured{}
	w.service.Register(doors)
	own := doors["movieexample.movie.v1.MovieService"].(moviev1.MovieServiceServer)
	old := doors["MovieService"].(book.MovieServiceServer)
	ctx, req, bookReq := t.Context(), &moviev1.GetMovieRequest{Id: "a"}, &book.GetMovieDetailsRequest{MovieId: "a"}
	for name, call := range map[string]func() error{
		"GetMovie":        func() error { _, err := own.GetMovie(ctx, req); return err },
		"GetMovieDetails": func() error { _, err := old.GetMovieDetails(ctx, bookReq); return err },
	} {
		if err := call(); err != nil {
			t.Fatal(err)
		}
		n := testing.AllocsPerRun(200, func() {
			if err := call(); err != nil {
				t.Error(err)
			}
		})
		if n > 1 {
			t.Errorf("warm %s: %v allocations, want at most 1", name, n)
		}
	}
}

func BenchmarkGetMovieWarm(b *testing.B) {
	w := newWorld(b, movie.Config{})
	w.film("a", "A", 2000)
	w.rating.set("a", 1, 5)
	req := &moviev1.GetMovieRequest{Id: "a"}
	doors := captured{}
	w.service.Register(doors)
	own := doors["movieexample.movie.v1.MovieService"].(moviev1.MovieServiceServer)
	b.Run("handler", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := own.GetMovie(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("in-process", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if _, err := w.client.GetMovie(b.Context(), req); err != nil {
				b.Fatal(err)
			}
		}
	})
}
