package movie_test

import (
	"context"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// A caller that knows of a rating may demand numbers that were read since: cached ones are not used, nor the result of a call
// that began before.
func TestRatingReadYourWrites(t *testing.T) {
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
			t.Errorf("%s: %d votes, want the cached 1", name, got)
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

	// The request does not wait for a call that began too early.
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
		t.Errorf("%d votes while an early call is in flight, want 3", got)
	}
	close(release)
	<-old
	if got := votes(t.Context()); got != 3 {
		t.Errorf("%d votes after the early call returned, want 3", got)
	}
}

// A caller that knows of a write through another process may demand a newer film: a cached one is not used, nor the
// result of a call that began before. It says nothing about ratings, nor does x-read-after about films.
func TestFilmReadYourWrites(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	w.film("a", "Old", 2000)
	w.film("b", "B", 2000)
	w.rating.set("a", 1, 5)
	since := func(key string, at time.Time) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), key, strconv.FormatInt(at.UnixMicro(), 10))
	}
	get := func(ctx context.Context, id string) string {
		t.Helper()
		r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
		if err != nil {
			return status.Code(err).String()
		}
		return r.GetMovie().GetTitle()
	}
	get(t.Context(), "a")
	w.film("a", "New", 2000)
	w.advance(time.Millisecond)
	now := w.clock()
	for name, ctx := range map[string]context.Context{
		"nothing demanded": t.Context(),
		"new ratings":      since("x-read-after", now),
		"an earlier time":  since("x-film-read-after", now.Add(-time.Millisecond)),
		"no time":          metadata.AppendToOutgoingContext(t.Context(), "x-film-read-after", "now"),
	} {
		if got := get(ctx, "a"); got != "Old" {
			t.Errorf("%s: %s, want the cached Old", name, got)
		}
	}
	w.metadataConn.take()
	w.ratingConn.take()
	for range 3 { // the first reads
		if got := get(since("x-film-read-after", now), "a"); got != "New" {
			t.Errorf("got %s, want New", got)
		}
	}
	if got := get(t.Context(), "a"); got != "New" {
		t.Errorf("afterwards %s, want the New that was read", got)
	}
	if films, ratings := w.metadataConn.take(), w.ratingConn.take(); len(films) != 1 || films["GetMovie"] != 1 || len(ratings) != 0 {
		t.Errorf("calls for films %v and for ratings %v, want one for the film", films, ratings)
	}

	// One that was deleted is gone, alone and in a batch, and one that came back is there.
	batch := func(at time.Time) (films, missing int) {
		t.Helper()
		r, err := w.client.BatchGetMovies(since("x-film-read-after", at), &moviev1.BatchGetMoviesRequest{Ids: []string{"a", "b"}})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.GetMovies()), len(r.GetMissingIds())
	}
	w.metadata.remove("a")
	w.advance(time.Millisecond)
	if got := get(t.Context(), "a"); got != "New" {
		t.Errorf("nothing demanded after the delete: %s, want the cached New", got)
	}
	if films, missing := batch(w.clock()); films != 1 || missing != 1 {
		t.Errorf("a batch with a deleted film: %d films, %d missing", films, missing)
	}
	if got := get(since("x-film-read-after", w.clock()), "a"); got != codes.NotFound.String() {
		t.Errorf("a deleted film: %s", got)
	}
	w.film("a", "Back", 2000)
	w.advance(time.Millisecond)
	if films, missing := batch(w.clock().Add(time.Second)); films != 2 || missing != 0 {
		t.Errorf("a batch for a caller whose clock is ahead: %d films, %d missing", films, missing)
	}
}

// A caller that knows of a write does not wait for a call that began before it, and that call caches nothing when it returns:
// neither that a film does not exist, nor one that was deleted.
func TestFilmReadYourWritesSkipsEarlierCalls(t *testing.T) {
	for name, write := range map[string]struct {
		do        func(w *world)
		old, want string
	}{
		"create": {func(w *world) { w.film("new", "New", 2000) }, "NotFound", "New"},
		"change": {func(w *world) { w.film("a", "New", 2000) }, "Old", "New"},
		"delete": {func(w *world) { w.metadata.remove("a") }, "Old", "NotFound"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newVersionedWorld(t, movie.Config{})
			w.film("a", "Old", 2000)
			id := map[bool]string{true: "new", false: "a"}[name == "create"]
			get := func(ctx context.Context) string {
				r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
				if err != nil {
					return status.Code(err).String()
				}
				return r.GetMovie().GetTitle()
			}
			entered := make(chan struct{}, 2)
			held, release := hold(t)
			w.metadata.after.set(func(context.Context, string) error {
				entered <- struct{}{}
				<-held
				return nil
			})
			// A film alone and a page with it: films of pages are cached, too.
			film, list := make(chan string, 1), make(chan error, 1)
			go func() { film <- get(t.Context()) }()
			go func() {
				_, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
				list <- err
			}()
			<-entered
			<-entered
			w.metadata.after.set(nil)
			write.do(w)
			w.advance(time.Millisecond)
			demanding := metadata.AppendToOutgoingContext(t.Context(), "x-film-read-after", strconv.FormatInt(w.clock().UnixMicro(), 10))
			if got := get(demanding); got != write.want {
				t.Errorf("while early calls are in flight: %s, want %s", got, write.want)
			}
			release()
			if got := <-film; got != write.old {
				t.Errorf("the early call brought %s, want %s", got, write.old)
			}
			if err := <-list; err != nil {
				t.Error(err)
			}
			if got := get(demanding); got != write.want {
				t.Errorf("after the early calls returned: %s, want %s", got, write.want)
			}
		})
	}
}
