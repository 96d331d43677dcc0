package bench_test

import (
	"context"
	"testing"
	"time"

	"google.golang.org/grpc"

	"movieexample.com/gen/book"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// constant answers every call with the same message, which is all a gRPC server can do in less time.
type constant struct {
	moviev1.UnimplementedMovieServiceServer
	own *moviev1.GetMovieResponse
}

func (c constant) GetMovie(context.Context, *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	return c.own, nil
}

// bookConstant is constant for the book API.
type bookConstant struct {
	book.UnimplementedMovieServiceServer
	details *book.GetMovieDetailsResponse
}

func (c bookConstant) GetMovieDetails(context.Context, *book.GetMovieDetailsRequest) (*book.GetMovieDetailsResponse, error) {
	return c.details, nil
}

// BenchmarkMovieDetails compares warm movie details over one gRPC hop (loopback TCP) with a bare grpc-go server that
// returns a constant message: the same message. Both sides have the same client and are asked by four callers at once.
func BenchmarkMovieDetails(b *testing.B) {
	p := newMovieProcess(b, movie.Config{})
	ln := listen(b)
	go func() {
		if err := p.server.Serve(ln); err != nil {
			b.Error(err)
		}
	}()
	ours := dial(b, ln.Addr().String())
	ask := func(conn grpc.ClientConnInterface) (own, old func(int) error) {
		own = func(int) error {
			_, err := moviev1.NewMovieServiceClient(conn).GetMovie(context.Background(), &moviev1.GetMovieRequest{Id: film})
			return err
		}
		old = func(int) error {
			_, err := book.NewMovieServiceClient(conn).GetMovieDetails(context.Background(), &book.GetMovieDetailsRequest{MovieId: film})
			return err
		}
		return own, old
	}

	answer, err := moviev1.NewMovieServiceClient(ours).GetMovie(b.Context(), &moviev1.GetMovieRequest{Id: film})
	if err != nil {
		b.Fatal(err)
	}
	details, err := book.NewMovieServiceClient(ours).GetMovieDetails(b.Context(), &book.GetMovieDetailsRequest{MovieId: film})
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer()
	moviev1.RegisterMovieServiceServer(server, constant{own: answer})
	book.RegisterMovieServiceServer(server, bookConstant{details: details})
	bareListener := listen(b)
	go func() {
		if err := server.Serve(bareListener); err != nil {
			b.Error(err)
		}
	}()
	defer server.Stop()
	bare := dial(b, bareListener.Addr().String())

	ourOwn, ourOld := ask(ours)
	bareOwn, bareOld := ask(bare)
	side := func(call func(int) error) func() float64 {
		return func() float64 { return loaded(b, 4, 300*time.Millisecond, call) }
	}
	for b.Loop() {
		sides := []func() float64{side(ourOwn), side(bareOwn), side(ourOld), side(bareOld)}
		inTurns(1, sides...) // warm
		m := inTurns(12, sides...)
		against(b, "own", "GetMovie over one gRPC hop, warm / constant message", "calls", m[0], m[1], 0.7)
		against(b, "book", "book GetMovieDetails over one gRPC hop, warm / constant message", "calls", m[2], m[3], 0.7)
	}
}
