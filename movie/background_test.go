package movie_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type hookFunc = func(context.Context, string) error

func contextWithTimeout(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(t.Context(), d)
}

// Close ends background work at once: hanging calls and refreshes. Waiting callers get an error, and so do
// later ones.
func TestCloseEndsTheBackground(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		w.film("a", "A1", 1990)
		w.rating.set("a", 3, 6)
		w.get(t, "a")
		w.advance(700 * time.Millisecond)
		w.get(t, "a") // due for a refresh
		w.metadata.before.set(hang)
		w.rating.before.set(hang)
		failed := make(chan error)
		for _, id := range []string{"b", "c", "d", "e"} {
			go func() {
				_, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: id})
				failed <- err
			}()
		}
		go func() {
			_, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
			failed <- err
		}()
		synctest.Wait()
		began := time.Now()
		if err := w.service.Close(); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("Close took %v", took)
		}
		for range 5 {
			if err := <-failed; status.Code(err) == codes.OK {
				t.Error("a call that hung succeeded")
			}
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("callers of a hanging call got their error after %v", took)
		}
		w.ratingConn.take()
		time.Sleep(time.Minute) // in the bubble
		if calls := w.ratingConn.take(); len(calls) != 0 {
			t.Errorf("after Close the rating service was called: %v", calls)
		}
		if _, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "f"}); err == nil {
			t.Error("a film was read after Close")
		}
	})
}

// Spellings of a genre that differ in case share cache entries.
func TestSpellingsOfAGenreShareWhatIsKept(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	w.populate()
	for i, genre := range []string{"Drama", "drama", "DRAMA", "dRAMA"} {
		if _, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", Genre: genre}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Genre: genre}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.client.SearchMovies(t.Context(), &moviev1.SearchMoviesRequest{Q: "1", Genre: genre}); err != nil {
			t.Fatal(err)
		}
		if calls := w.metadataConn.take(); i > 0 && len(calls) != 0 {
			t.Errorf("%s: calls %v, want none", genre, calls)
		}
	}
}
