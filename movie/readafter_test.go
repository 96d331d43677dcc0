package movie_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/metadata"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// Who knows that a film was rated may demand numbers that were read since: what is kept will not do, nor the answer of a call
// that began before.
func TestReadAfter(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTTL: 500 * time.Millisecond})
	w.film("a", "A", 2000)
	w.rating.set("a", 1, 5)
	w.get(t, "a")
	w.rating.set("a", 2, 6)
	w.advance(time.Millisecond)
	after := func(at time.Time) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "x-read-after", strconv.FormatInt(at.UnixMicro(), 10))
	}
	votes := func(ctx context.Context) int32 {
		t.Helper()
		r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: "a"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetMovie().GetRatingSummary().GetVotes()
	}
	for name, ctx := range map[string]context.Context{
		"nothing demanded": t.Context(),
		"an earlier time":  after(w.clock().Add(-time.Millisecond)),
		"no time":          metadata.AppendToOutgoingContext(t.Context(), "x-read-after", "now"),
	} {
		if got := votes(ctx); got != 1 {
			t.Errorf("%s: %d votes, want the 1 that is kept", name, got)
		}
	}
	if got := votes(after(w.clock())); got != 2 {
		t.Errorf("%d votes, want the 2 of now", got)
	}
	if got := votes(t.Context()); got != 2 {
		t.Errorf("%d votes afterwards, want the 2 that were read", got)
	}
	batch, err := w.client.BatchGetMovies(after(w.clock().Add(time.Second)), &moviev1.BatchGetMoviesRequest{Ids: []string{"a"}})
	if err != nil || batch.GetMovies()[0].GetRatingSummary().GetVotes() != 2 {
		t.Errorf("with a clock that is behind the caller's: %v, %v", batch, err)
	}

	// A call under way that began too early is not waited for.
	w.advance(time.Second)
	entered, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w.rating.before.set(func(_ context.Context, method string) error {
		if method == "GetRatingSummary" && first.CompareAndSwap(false, true) {
			close(entered)
			<-release
		}
		return nil
	})
	old := make(chan int32, 1)
	go func() { old <- votes(t.Context()) }()
	<-entered
	w.rating.set("a", 3, 6)
	w.advance(time.Millisecond)
	if got := votes(after(w.clock())); got != 3 {
		t.Errorf("%d votes while an early call is under way, want 3", got)
	}
	close(release)
	<-old
	if got := votes(t.Context()); got != 3 {
		t.Errorf("%d votes after the early call has come back, want 3", got)
	}
}
