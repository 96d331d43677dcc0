package movie_test

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// metadataStatuses are what every view says of its films.
func (w *world) metadataStatuses(t testing.TB) map[string]func() (string, error) {
	one := func(m *moviev1.Movie, err error) (string, error) {
		return m.GetTitle() + ":" + m.GetMetadataStatus(), err
	}
	many := func(films []*moviev1.Movie, err error) (string, error) {
		var all []string
		for _, m := range films {
			s, _ := one(m, nil)
			all = append(all, s)
		}
		return strings.Join(all, " "), err
	}
	return map[string]func() (string, error){
		"details": func() (string, error) {
			r, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "a"})
			return one(r.GetMovie(), err)
		},
		"batch": func() (string, error) {
			r, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"a", "b"}})
			return many(r.GetMovies(), err)
		},
		"list": func() (string, error) {
			r, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
			return many(r.GetMovies(), err)
		},
		"search": func() (string, error) {
			r, err := w.client.SearchMovies(t.Context(), &moviev1.SearchMoviesRequest{Q: "1"})
			var films []*moviev1.Movie
			for _, h := range r.GetHits() {
				films = append(films, h.GetMovie())
			}
			return many(films, err)
		},
		"chart": func() (string, error) {
			r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "popular"})
			var films []*moviev1.Movie
			for _, e := range r.GetEntries() {
				films = append(films, e.GetMovie())
			}
			return many(films, err)
		},
		"similar": func() (string, error) {
			r, err := w.client.ListSimilarMovies(t.Context(), &moviev1.ListSimilarMoviesRequest{Id: "a"})
			var films []*moviev1.Movie
			for _, s := range r.GetMovies() {
				films = append(films, s.GetMovie())
			}
			return many(films, err)
		},
	}
}

// While the metadata service cannot be reached, known responses are served and marked stale; an unknown one is an
// error that names the service.
func TestLastKnownFilmsWhileMetadataIsAway(t *testing.T) {
	for name, trouble := range map[string]hookFunc{"down": down, "hangs": hang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newVersionedWorld(t, movie.Config{})
				w.populate()
				views := w.metadataStatuses(t)
				check := func(when, want string) {
					t.Helper()
					for name, view := range views {
						expected := "A1:" + want + " B1:" + want
						switch name {
						case "details":
							expected = "A1:" + want
						case "similar":
							expected = "B1:" + want
						}
						if got, err := view(); err != nil || got != expected {
							t.Errorf("%s: the %s shows %q, %v; want %q", when, name, got, err, expected)
						}
					}
				}
				check("first", "fresh")
				w.metadata.before.set(trouble)
				w.metadata.version.before.set(trouble)
				w.advance(time.Minute)
				began := time.Now()
				for range 50 {
					check("during the outage", "stale")
				}
				// Not every request waits for a service that hangs.
				if took := time.Since(began); took > 5*time.Second {
					t.Errorf("300 answers took %v", took)
				}
				if _, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "c"}); !strings.Contains(err.Error(), "metadata service") ||
					status.Code(err) != codes.Unavailable && status.Code(err) != codes.DeadlineExceeded {
					t.Errorf("a film of which nothing is known: %v, want an error that names the metadata service", err)
				}
				if n := w.log.with("level=WARN"); n != 1 {
					t.Errorf("one outage is logged %d times", n)
				}
				w.metadata.before.set(nil)
				w.metadata.version.before.set(nil)
				w.film("c", "C1", 1990)
				w.metadata.remove("c")
				time.Sleep(time.Second) // in the bubble: who hangs comes back
				w.advance(2 * time.Second)
				check("after the outage", "fresh")
				if n := w.log.with("metadata service is back"); n != 1 {
					t.Errorf("the end of the outage is logged %d times", n)
				}
			})
		})
	}
}

// Stale films are counted, and expire after their time.
func TestLastKnownFilmsAreCountedAndForgotten(t *testing.T) {
	metrics := prometheus.NewRegistry()
	w := newWorldWith(t, movie.Config{MetadataStaleFor: time.Hour}, metrics)
	w.film("a", "A1", 1990)
	w.get(t, "a")
	w.metadata.before.set(down)
	w.advance(59 * time.Minute)
	for range 3 {
		if m := w.get(t, "a"); m.GetMetadataStatus() != "stale" {
			t.Errorf("the film is %q, want stale", m.GetMetadataStatus())
		}
	}
	want := `
# HELP movieexample_movie_stale_films_total Films answered as they were last known, because the metadata service could not be reached.
# TYPE movieexample_movie_stale_films_total counter
movieexample_movie_stale_films_total 3
`
	if err := testutil.GatherAndCompare(metrics, strings.NewReader(want), "movieexample_movie_stale_films_total"); err != nil {
		t.Error(err)
	}
	w.advance(2 * time.Minute)
	if _, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "a"}); status.Code(err) != codes.Unavailable {
		t.Errorf("after its time: %v, want UNAVAILABLE", err)
	}
}

// A timeout of a caller with very little time does not open the breaker.
func TestImpatientCallersDoNotMakeFilmsStale(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		w.film("a", "A1", 1990)
		w.get(t, "a")
		w.metadata.before.set(hang)
		ctx, cancel := contextWithTimeout(t, time.Millisecond)
		defer cancel()
		if _, err := w.client.PutMovie(ctx, &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "b", Title: "B"}}); err == nil {
			t.Fatal("the write did not hang")
		}
		w.metadata.before.set(nil)
		w.advance(time.Minute)
		if m := w.get(t, "a"); m.GetMetadataStatus() != "fresh" {
			t.Errorf("the film is %q, want fresh", m.GetMetadataStatus())
		}
	})
}
