package movie_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// titles returns the titles of the first page of the list.
func (w *world) titles(t testing.TB) string {
	t.Helper()
	r, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return titlesOf(r.GetMovies())
}

func titlesOf(movies []*moviev1.Movie) string {
	var titles []string
	for _, m := range movies {
		titles = append(titles, m.GetTitle())
	}
	return strings.Join(titles, " ")
}

// A write through this service shows at once in every response with several films, whatever is cached.
func TestWriteShowsInEveryPageAtOnce(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A1", 1990)
	w.film("b", "B1", 1990)
	w.rating.set("a", 3, 6)
	w.rating.set("b", 2, 6)
	pages := map[string]func() string{
		"list": func() string { return w.titles(t) },
		"batch": func() string {
			r, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"a", "b", "c"}})
			if err != nil {
				t.Fatal(err)
			}
			return titlesOf(r.GetMovies())
		},
		"chart": func() string {
			r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "popular"})
			if err != nil {
				t.Fatal(err)
			}
			var movies []*moviev1.Movie
			for _, e := range r.GetEntries() {
				movies = append(movies, e.GetMovie())
			}
			return titlesOf(movies)
		},
		"search": func() string {
			r, err := w.client.SearchMovies(t.Context(), &moviev1.SearchMoviesRequest{Q: "1"})
			if err != nil {
				t.Fatal(err)
			}
			var movies []*moviev1.Movie
			for _, h := range r.GetHits() {
				movies = append(movies, h.GetMovie())
			}
			return titlesOf(movies)
		},
	}
	check := func(when, want string) {
		t.Helper()
		for name, page := range pages {
			if got := page(); got != want {
				t.Errorf("%s: the %s shows %q, want %q", when, name, got, want)
			}
		}
	}
	check("first", "A1 B1")
	if _, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "b", Title: "New1"}}); err != nil {
		t.Fatal(err)
	}
	check("after a put", "A1 New1")
	if _, err := w.client.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Id: "a"}); err != nil {
		t.Fatal(err)
	}
	check("after a delete", "New1")

	// What another process wrote is there within a second.
	w.film("c", "C1", 1990)
	w.rating.set("c", 1, 6)
	if got := pages["list"](); got != "New1" {
		t.Errorf("right after another process wrote the list shows %q, want the cached one", got)
	}
	w.advance(time.Second + 1)
	check("a second after another process wrote", "New1 C1")
}

// A page that was read before a write and arrives after it is not cached, nor are its films.
func TestOldPageDoesNotHideWrite(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "Old", 2000)
	read := make(chan struct{})
	held, release := hold(t)
	w.metadata.after.set(func(_ context.Context, method string) error {
		if method == "ListMovies" {
			close(read)
			<-held
		}
		return nil
	})
	done := make(chan string, 1)
	go func() {
		r, _ := w.client.ListMovies(context.Background(), &moviev1.ListMoviesRequest{})
		done <- titlesOf(r.GetMovies())
	}()
	<-read
	w.metadata.after.set(nil)
	if _, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "a", Title: "New"}}); err != nil {
		t.Fatal(err)
	}
	if got := w.titles(t); got != "New" {
		t.Errorf("list after the put, while the old one is in flight: %q, want New", got)
	}
	release()
	if got := <-done; got != "Old" {
		t.Errorf("the old list got %q, want Old", got)
	}
	if a, b := w.titles(t), w.get(t, "a").GetTitle(); a != "New" || b != "New" {
		t.Errorf("after the old list ended: list %q, details %q; want New", a, b)
	}
}

// Details use the films of a cached page: reading one of them makes no call.
func TestPageFillsTheCacheOfFilms(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	w.film("b", "B", 2000)
	w.rating.set("a", 1, 6)
	w.titles(t)
	if m := w.get(t, "a"); m.GetTitle() != "A" || m.GetRatingSummary().GetVotes() != 1 {
		t.Errorf("got %v", m)
	}
	if got := fmt.Sprint(w.metadataConn.take(), w.ratingConn.take()); got != "map[ListMovies:1] map[BatchGetRatingSummaries:1]" {
		t.Errorf("calls %v, want those of the list only", got)
	}
	// A batch loads only the films that are not cached.
	w.film("c", "C", 2000)
	r, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"c", "a", "missing", "a", "c", "missing"}})
	if err != nil || titlesOf(r.GetMovies()) != "C A" || fmt.Sprint(r.GetMissingIds()) != "[missing]" {
		t.Errorf("got %v, %v; want C and A once each, and the id \"missing\" as missing", r, err)
	}
	if got := fmt.Sprint(w.metadataConn.take(), w.ratingConn.take()); got != "map[BatchGetMovies:1] map[BatchGetRatingSummaries:1]" {
		t.Errorf("calls %v", got)
	}
}

// A page never replaces a film that is cached by another version: it may be the older one.
func TestPageDoesNotReplaceFilms(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "New", 2000)
	w.get(t, "a")
	w.film("a", "Old", 2000) // what a list would see that began before
	if got := w.titles(t); got != "Old" {
		t.Errorf("list shows %q", got)
	}
	if got := w.get(t, "a").GetTitle(); got != "New" {
		t.Errorf("details show %q after the list, want New as before", got)
	}
}

// A rating shows in a cached page as soon as in details.
func TestPageShowsNewRatings(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTTL: 500 * time.Millisecond})
	w.film("a", "A", 2000)
	votes := func() int32 {
		r, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetMovies()[0].GetRatingSummary().GetVotes()
	}
	w.rating.set("a", 1, 6)
	votes()
	w.rating.set("a", 2, 6)
	w.advance(501 * time.Millisecond)
	w.metadataConn.take()
	if got := votes(); got != 2 {
		t.Errorf("%d votes, want 2", got)
	}
	if calls := w.metadataConn.take(); len(calls) != 0 {
		t.Errorf("the page was not cached: calls %v", calls)
	}
}

// Under any load, one page costs one call, and a film on two pages is requested once.
func TestOneCallUnderWayPerPage(t *testing.T) {
	w := newWorld(t, movie.Config{})
	for i := range 10 {
		w.film(fmt.Sprint("f", i), "T", 2000)
	}
	var asked atomic.Int32
	held, release := hold(t)
	entered := make(chan struct{}, 100)
	w.rating.before.set(func(_ context.Context, method string) error {
		asked.Add(1)
		entered <- struct{}{}
		<-held
		return nil
	})
	var callers sync.WaitGroup
	call := func(f func() error) {
		callers.Go(func() {
			if err := f(); err != nil {
				t.Error(err)
			}
		})
	}
	list := func() error {
		_, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
		return err
	}
	call(list)
	<-entered // the call for all ten ratings is in flight
	for range 20 {
		call(list)
		call(func() error {
			_, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"f1", "f2"}})
			return err
		})
		call(func() error {
			_, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "f3"})
			return err
		})
	}
	release()
	callers.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d calls to the rating service, want 1", n)
	}
	if n := w.metadataConn.count("ListMovies"); n != 1 {
		t.Errorf("%d lists, want 1", n)
	}
}

// A caller with less time than a chart's calls take gets its error in time; the page is made for the others.
func TestImpatientCallerOfAChart(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	w.rating.set("a", 30, 6)
	held, release := hold(t)
	w.rating.before.set(func(context.Context, string) error {
		<-held
		return nil
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	_, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top"})
	if status.Code(err) != codes.DeadlineExceeded || !strings.Contains(err.Error(), "rating service or the metadata service is slow") {
		t.Errorf("got %v, want DEADLINE_EXCEEDED that says what was slow", err)
	}
	release()
	r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top"})
	if err != nil || len(r.GetEntries()) != 1 || w.ratingConn.count("ListChart") != 1 {
		t.Errorf("got %v, %v after %d calls; want the entry with one call", r, err, w.ratingConn.count("ListChart"))
	}
}

// Requests that differ in any field have different pages.
func TestPagesBelongToTheirRequest(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 1990, "Drama")
	w.rating.set("a", 30, 6)
	ctx := t.Context()
	year, other := ptr(int32(1990)), ptr(int32(1980))
	for method, requests := range map[string][]func() error{
		"ListMovies": {
			func() error { _, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{}); return err },
			func() error { _, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{PageSize: 7}); return err },
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{PageToken: "t"})
				return err
			},
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{OrderBy: "year"})
				return err
			},
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{OrderBy: "year desc"})
				return err
			},
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{Genre: "Drama"})
				return err
			},
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{MinYear: year})
				return err
			},
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{MinYear: other})
				return err
			},
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{MaxYear: year})
				return err
			},
			func() error {
				_, err := w.client.ListMovies(ctx, &moviev1.ListMoviesRequest{MaxYear: ptr(int32(0))})
				return err
			},
		},
		"ListChart": {
			func() error { _, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top"}); return err },
			func() error {
				_, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "popular"})
				return err
			},
			func() error {
				_, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", PageSize: 7})
				return err
			},
			func() error {
				_, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", Genre: "Drama"})
				return err
			},
			func() error {
				_, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", Decade: year})
				return err
			},
			func() error {
				_, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", Decade: other})
				return err
			},
		},
		"SearchMovies": {
			func() error { _, err := w.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "A"}); return err },
			func() error { _, err := w.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "B"}); return err },
			func() error {
				_, err := w.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "A", PageSize: 7})
				return err
			},
			func() error {
				_, err := w.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "A", PageToken: "t"})
				return err
			},
			func() error {
				_, err := w.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "A", Genre: "Drama"})
				return err
			},
			func() error {
				_, err := w.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "A", Decade: year})
				return err
			},
			func() error {
				_, err := w.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "A", Decade: other})
				return err
			},
		},
	} {
		if method == "ListChart" {
			method = "SelectMovies" // called for each filter; a chart is the same under all of them
		}
		for i, request := range requests {
			w.metadataConn.take()
			w.ratingConn.take()
			if err := request(); err != nil {
				t.Fatalf("%s %d: %v", method, i, err)
			}
			if w.metadataConn.count(method) == 0 && w.ratingConn.count("ListChart") == 0 {
				t.Errorf("%s %d was answered with another request's page", method, i)
			}
		}
	}
}
