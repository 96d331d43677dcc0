package movie_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"movieexample.com/gen/book"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

func TestRatingDown(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("known", "K", 2000)
	w.film("unknown", "U", 2000)
	w.film("unrated", "N", 2000)
	w.rating.set("known", 9, 8)
	w.get(t, "known")
	w.get(t, "unrated")
	w.advance(time.Minute)
	w.rating.before.set(down)
	w.ratingConn.take()

	m := w.get(t, "known")
	if m.GetRatingStatus() != "stale" || m.GetRatingSummary().GetVotes() != 9 || m.GetRatingSummary().GetAsOfTime().GetSeconds() != 1_700_000_000 {
		t.Errorf("known film: status %q, summary %v; want stale with the last known summary and its own time", m.GetRatingStatus(), m.GetRatingSummary())
	}
	for _, id := range []string{"unknown", "unrated"} {
		if m := w.get(t, id); m.GetRatingStatus() != "unavailable" || m.RatingSummary != nil {
			t.Errorf("%s film: status %q, summary %v; want unavailable without summary", id, m.GetRatingStatus(), m.GetRatingSummary())
		}
	}
	list, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"known", "unknown", "missing"}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := list.GetMovies()[0].GetRatingStatus(), list.GetMovies()[1].GetRatingStatus(); a != "stale" || b != "unavailable" {
		t.Errorf("batch: statuses %q, %q; want stale, unavailable", a, b)
	}
	if calls := w.ratingConn.take(); calls["GetRatingSummary"]+calls["BatchGetRatingSummaries"] != 1 {
		t.Errorf("calls to a service that is down: %v, want one within the pause", calls)
	}

	// The book API cannot say how good a number is.
	b, err := w.book.GetMovieDetails(t.Context(), &book.GetMovieDetailsRequest{MovieId: "known"})
	if err != nil || b.GetMovieDetails().GetRating() != 8 {
		t.Errorf("book, known: got %v, %v; want the last known 8", b, err)
	}
	_, err = w.book.GetMovieDetails(t.Context(), &book.GetMovieDetailsRequest{MovieId: "unknown"})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "rating service") {
		t.Errorf("book, unknown: got %v, want UNAVAILABLE that names the rating service", err)
	}

	// Last known values expire.
	w.advance(2 * time.Hour)
	if got := w.get(t, "known").GetRatingStatus(); got != "unavailable" {
		t.Errorf("after RatingStaleFor: status %q, want unavailable", got)
	}

	// One probe after the pause finds the service back.
	w.rating.before.set(nil)
	w.advance(time.Second)
	w.ratingConn.take()
	if m := w.get(t, "known"); m.GetRatingStatus() != "fresh" {
		t.Errorf("service is back: status %q, want fresh", m.GetRatingStatus())
	}
	if m := w.get(t, "unrated"); m.GetRatingStatus() != "unrated" {
		t.Errorf("service is back: status %q, want unrated", m.GetRatingStatus())
	}
}

func TestRatingHangs(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTimeout: 30 * time.Millisecond})
	w.film("a", "A", 2000)
	w.film("b", "B", 2000)
	w.rating.before.set(hang)
	if m := w.get(t, "a"); m.GetRatingStatus() != "unavailable" {
		t.Errorf("status %q, want unavailable", m.GetRatingStatus())
	}
	w.ratingConn.take()
	for range 10 {
		if m := w.get(t, "b"); m.GetRatingStatus() != "unavailable" {
			t.Errorf("status %q, want unavailable", m.GetRatingStatus())
		}
	}
	if calls := w.ratingConn.take(); len(calls) != 0 {
		t.Errorf("calls within the pause after a timeout: %v, want none", calls)
	}
}

// After the pause one call probes the service; meanwhile no other request waits.
func TestOneProbe(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTimeout: time.Second})
	w.film("a", "A", 2000)
	w.film("b", "B", 2000)
	w.rating.before.set(down)
	w.get(t, "a")
	w.advance(time.Second)
	entered := make(chan struct{})
	held, release := hold(t)
	w.rating.before.set(func(context.Context, string) error {
		close(entered) // a second probe would panic here
		<-held
		return nil
	})
	probe := make(chan string, 1)
	go func() {
		r, _ := w.client.GetMovie(context.Background(), &moviev1.GetMovieRequest{Id: "a"})
		probe <- r.GetMovie().GetRatingStatus()
	}()
	<-entered
	w.ratingConn.take()
	if got := w.get(t, "b").GetRatingStatus(); got != "unavailable" {
		t.Errorf("during the probe: status %q, want unavailable", got)
	}
	if calls := w.ratingConn.take(); len(calls) != 0 {
		t.Errorf("during the probe: calls %v, want none", calls)
	}
	release()
	if got := <-probe; got != "unrated" {
		t.Errorf("the probe got %q, want unrated", got)
	}
}

// A caller with less patience than RatingTimeout gets the film too, in its own time.
func TestRatingHangsLongerThanTheCallerWaits(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTimeout: time.Second})
	w.film("a", "A", 2000)
	w.rating.before.set(hang)
	for name, call := range map[string]func(ctx context.Context) (*moviev1.Movie, error){
		"get": func(ctx context.Context) (*moviev1.Movie, error) {
			r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: "a"})
			return r.GetMovie(), err
		},
		"batch": func(ctx context.Context) (*moviev1.Movie, error) {
			r, err := w.client.BatchGetMovies(ctx, &moviev1.BatchGetMoviesRequest{Ids: []string{"a"}})
			if err != nil {
				return nil, err
			}
			return r.GetMovies()[0], nil
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		m, err := call(ctx)
		cancel()
		if err != nil || m.GetRatingStatus() != "unavailable" {
			t.Errorf("%s: got %v, %v; want the film with status unavailable", name, m, err)
		}
	}
}

// An answer that is an error, not an absence, does not take the film away either.
func TestRatingBroken(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	w.rating.before.set(func(context.Context, string) error { return errors.New("disk on fire") })
	if m := w.get(t, "a"); m.GetRatingStatus() != "unavailable" {
		t.Errorf("status %q, want unavailable", m.GetRatingStatus())
	}
	w.rating.before.set(nil)
	if m := w.get(t, "a"); m.GetRatingStatus() != "unrated" {
		t.Errorf("status %q right after, want unrated: a service that answers is asked again", m.GetRatingStatus())
	}
}
