package bench_test

import (
	"context"
	"testing"

	"movieexample.com/gen/book"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/movie"
)

// TestAllocationsPerWarmDetails keeps the cost of the question that is asked most from growing unseen: a film with its
// rating, from the caches of the movie service, over the in-process connection that the gateway uses. What remains is the
// connection's own (see the test of the same kind in internal/rpc) and the answer's copy, which is the caller's.
func TestAllocationsPerWarmDetails(t *testing.T) {
	if raceEnabled {
		t.Log("not counted: the race detector allocates")
		return
	}
	p := newMovieProcess(t, movie.Config{})
	ctx := rpc.WithRequestID(context.Background(), "allocations")
	own, old := moviev1.NewMovieServiceClient(p.server.Conn()), book.NewMovieServiceClient(p.server.Conn())
	for _, tc := range []struct {
		name string
		most float64 // two more than there are
		call func() error
	}{
		{"GetMovie", 26, func() error {
			_, err := own.GetMovie(ctx, &moviev1.GetMovieRequest{Id: film})
			return err
		}},
		{"GetMovieDetails", 20, func() error {
			_, err := old.GetMovieDetails(ctx, &book.GetMovieDetailsRequest{MovieId: film})
			return err
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if err := tc.call(); err != nil {
				t.Fatal(err)
			}
			// Many runs: the cached rating is read again once a second, and that must not show.
			got := testing.AllocsPerRun(2000, func() {
				if err := tc.call(); err != nil {
					t.Fatal(err)
				}
			})
			if got > tc.most {
				t.Errorf("%v allocations per warm call, want at most %v", got, tc.most)
			}
		})
	}
}
