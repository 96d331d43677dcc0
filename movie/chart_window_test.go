package movie_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// All filters and pages of a chart share what the rating service said, and each filter asks for a film once.
func TestFiltersShareTheChart(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	genres := []string{"Drama", "War", "Comedy", "Western"}
	for i := range 400 {
		id := fmt.Sprintf("m%03d", i)
		w.film(id, fmt.Sprint("Title ", i*31%97), 1950+int32(i%60), genres[i%4])
		w.rating.set(id, 1+int32(i%50), 5)
	}
	read := func() string {
		var all []string
		for _, genre := range genres {
			for _, decade := range []*int32{nil, ptr(int32(1980)), ptr(int32(2000))} {
				all = append(all, fmt.Sprint(ids(walk(t, w, &moviev1.ListChartRequest{Chart: "popular", Genre: genre, Decade: decade, PageSize: 7}))))
			}
		}
		return strings.Join(all, "\n")
	}
	cold := read()
	if got := fmt.Sprint(w.ratingConn.take()); got != "map[ListChart:1]" {
		t.Errorf("calls %v, want one window for all", got)
	}
	if n := w.metadataConn.take()["SelectMovies"]; n != 12 {
		t.Errorf("%d selections, want one for each of 12 filters", n)
	}
	w.advance(aLook)
	if warm := read(); warm != cold {
		t.Error("a second later the pages are others")
	}
	if calls := w.metadataConn.take(); len(calls) != 0 {
		t.Errorf("a second later: calls %v, want none", calls)
	}
	// The walk must equal one that reads each page separately, in windows that begin where the page does.
	apart := newWorld(t, movie.Config{})
	for i := range 400 {
		id := fmt.Sprintf("m%03d", i)
		apart.film(id, fmt.Sprint("Title ", i*31%97), 1950+int32(i%60), genres[i%4])
		apart.rating.set(id, 1+int32(i%50), 5)
	}
	for _, genre := range genres {
		var pages []*moviev1.ListChartResponse_Entry
		req := &moviev1.ListChartRequest{Chart: "popular", Genre: genre, PageSize: 7}
		for {
			apart.advance(time.Minute)
			r, err := apart.client.ListChart(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			pages = append(pages, r.GetEntries()...)
			if req.PageToken = r.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if got, want := fmt.Sprint(ids(walk(t, w, &moviev1.ListChartRequest{Chart: "popular", Genre: genre, PageSize: 7}))), fmt.Sprint(ids(pages)); got != want {
			t.Errorf("%s: shared window gives\n%s\npages read one by one\n%s", genre, got, want)
		}
	}
}

// A film that changes its genre or its title moves under all filters, although the chart's numbers stay.
func TestChartFollowsTheCatalogue(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	for _, id := range []string{"a", "b", "c"} {
		w.film(id, "Title "+id, 1990, "Drama")
		w.rating.set(id, 5, 6)
	}
	shown := func(genre string) string {
		t.Helper()
		r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "popular", Genre: genre})
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(ids(r.GetEntries()))
	}
	check := func(when, drama, war string) {
		t.Helper()
		if d, w := shown("Drama"), shown("War"); d != drama || w != war {
			t.Errorf("%s: drama %s, war %s; want %s and %s", when, d, w, drama, war)
		}
	}
	check("first", "[a b c]", "[]")
	w.film("a", "Title a", 1990, "War")
	w.film("b", "Title z", 1990, "Drama")
	w.advance(aLook)
	check("another process wrote", "[c b]", "[a]")
	if _, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "c", Title: "C", Genres: []string{"War"}}}); err != nil {
		t.Fatal(err)
	}
	check("this process wrote", "[b]", "[c a]")
}

// A page of a chart is as old as the oldest of what it was made of, although the rest was read a moment ago.
func TestChartIsAsOldAsItsOldestPart(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTTL: 500 * time.Millisecond}) // without versions, so that time alone decides
	w.film("a", "A", 1990, "Drama")
	w.rating.set("a", 5, 6)
	shown := func() int {
		r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "popular", Genre: "Drama"})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.GetEntries())
	}
	if shown() != 1 {
		t.Fatal("the chart does not have the film")
	}
	w.film("a", "A", 1990, "War")
	w.advance(600 * time.Millisecond)
	shown() // new numbers, and the matches of before
	w.advance(401 * time.Millisecond)
	if shown() != 0 {
		t.Error("a second after another process moved the film it is still there")
	}
}

// The windows that a page with a rare genre reads far down the chart are shared, too.
func TestFiltersShareTheDepthOfTheChart(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	for i := range 5_200 {
		id := fmt.Sprintf("m%04d", i)
		if i >= 5_100 {
			w.film(id, "Title "+id, 1950+int32(i%60), []string{"Western", "War"}[i%2])
		}
		w.rating.set(id, int32(6_000-i), 5)
	}
	shown := func(genre string, size int32) {
		t.Helper()
		r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", Genre: genre, PageSize: size})
		if err != nil || len(r.GetEntries()) != int(size) {
			t.Fatalf("%s: %d entries, %v; want %d", genre, len(r.GetEntries()), err, size)
		}
	}
	shown("Western", 7)
	if n := w.ratingConn.take()["ListChart"]; n != 2 {
		t.Errorf("%d windows read, want 2", n)
	}
	for size := int32(1); size <= 5; size++ {
		shown("Western", size)
		shown("War", size)
	}
	if n := w.ratingConn.take()["ListChart"]; n != 0 {
		t.Errorf("%d windows read by other pages and another genre, want none", n)
	}
}

// A reader that waits for another reader's filter load waits no longer than its own time, and is served the result once it is there.
func TestFilterWaitsNoLongerThanItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		for _, id := range []string{"a", "b"} {
			w.film(id, id, 1990, "Drama")
			w.rating.set(id, 5, 6)
		}
		held, release := hold(t)
		w.metadata.before.set(func(ctx context.Context, method string) error {
			if method != "SelectMovies" {
				return nil
			}
			select {
			case <-held:
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		})
		// Each reader requests another page, so that they share only the filter.
		read := func(ctx context.Context, size int32) error {
			r, err := w.client.ListChart(ctx, &moviev1.ListChartRequest{Chart: "popular", Genre: "Drama", PageSize: size})
			if err == nil && len(r.GetEntries()) != 2 {
				err = fmt.Errorf("%d entries, want 2", len(r.GetEntries()))
			}
			return err
		}
		results := make(chan error, 2)
		go func() { results <- read(t.Context(), 10) }()
		synctest.Wait()
		began := time.Now()
		brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := read(brief, 11); status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("a reader with 100ms got %v from a service that hangs, want DEADLINE_EXCEEDED", err)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("a reader with 100ms waited %v", took)
		}
		go func() { results <- read(t.Context(), 12) }()
		synctest.Wait()
		release()
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
		if n := w.metadataConn.take()["SelectMovies"]; n != 1 {
			t.Errorf("%d selections, want one for both", n)
		}
	})
}
