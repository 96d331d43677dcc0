package walk_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// atMost is how long the movie service may still show what another process has changed; what is left of two seconds is for the
// caches of those who ask it.
const atMost = 1001 * time.Millisecond

// shownOf is what all views but search say of the films f0, f1 …: the title of each that they show.
func (s *services) shownOf(ctx context.Context) (map[string]map[string]string, error) {
	all := map[string]map[string]string{}
	add := func(view string, movies ...*moviev1.Movie) {
		all[view] = map[string]string{}
		for _, m := range movies {
			all[view][m.GetId()] = m.GetTitle()
		}
	}
	for _, genre := range []string{"Drama", "War"} {
		var films []*moviev1.Movie
		l, err := s.movie.ListMovies(ctx, &moviev1.ListMoviesRequest{Genre: genre})
		if err != nil {
			return nil, err
		}
		add("list of "+genre, l.GetMovies()...)
		c, err := s.movie.ListChart(ctx, &moviev1.ListChartRequest{Chart: "popular", Genre: genre})
		if err != nil {
			return nil, err
		}
		for _, e := range c.GetEntries() {
			films = append(films, e.GetMovie())
		}
		add("chart of "+genre, films...)
	}
	var ids []string
	var single []*moviev1.Movie
	for i := range freshFilms {
		id := fmt.Sprint("f", i)
		ids = append(ids, id)
		m, err := s.movie.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
		if err != nil && !isNotFound(err) {
			return nil, err
		}
		if err == nil {
			single = append(single, m.GetMovie())
		}
	}
	add("details", single...)
	b, err := s.movie.BatchGetMovies(ctx, &moviev1.BatchGetMoviesRequest{Ids: ids})
	if err != nil {
		return nil, err
	}
	add("batch", b.GetMovies()...)
	return all, nil
}

const freshFilms = 6

// Whichever service writes films, and whatever was requested before: through this process a write shows in the next answer, and another process's
// a second later, in every view, and then all views agree.
func TestWritesShowInTime(t *testing.T) {
	s := newServices(t, false)
	for i := range freshFilms {
		s.rate(t, fmt.Sprint("f", i), 1+int32(i%2), 5)
	}
	until(t, "the chart has all films", func() bool { // it is computed once a second, of what is rated
		r, err := s.rating.ListChart(t.Context(), &ratingv1.ListChartRequest{RecordType: "movie", Chart: ratingv1.Chart_CHART_POPULAR, PageSize: 100})
		if err != nil {
			t.Fatal(err)
		}
		return len(r.GetEntries()) == freshFilms
	})
	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		for i := range freshFilms {
			if _, err := s.movie.DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Id: fmt.Sprint("f", i)}); err != nil && !isNotFound(err) {
				t.Fatal(err)
			}
		}
		type film struct{ title, genre string }
		films := map[string]film{}
		for range rapid.IntRange(1, 8).Draw(t, "writes") {
			// Something is kept, of some age.
			if _, err := s.shownOf(ctx); err != nil {
				t.Fatal(err)
			}
			s.advance(time.Duration(rapid.IntRange(0, 1200).Draw(t, "milliseconds")) * time.Millisecond)
			if rapid.Bool().Draw(t, "look") {
				if _, err := s.shownOf(ctx); err != nil {
					t.Fatal(err)
				}
			}
			id, by := fmt.Sprint("f", rapid.IntRange(0, freshFilms-1).Draw(t, "film")), rapid.SampledFrom(writers).Draw(t, "by")
			client := s.metadata
			if by == "another metadata service" {
				client = s.another
			}
			var err error
			if _, there := films[id]; there && rapid.Bool().Draw(t, "delete") {
				delete(films, id)
				if by == "the movie service" {
					_, err = s.movie.DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Id: id})
				} else {
					_, err = client.DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: id})
				}
			} else {
				f := film{title: rapid.StringMatching(`[A-Z][a-z]{3}`).Draw(t, "title"), genre: rapid.SampledFrom([]string{"Drama", "War"}).Draw(t, "genre")}
				films[id] = f
				if by == "the movie service" {
					_, err = s.movie.PutMovie(ctx, &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: id, Title: f.title, Genres: []string{f.genre}}})
				} else {
					_, err = client.PutMovie(ctx, &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{Id: id, Title: f.title, Genres: []string{f.genre}}})
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if by != "the movie service" {
				s.advance(atMost)
			}
			shown, err := s.shownOf(ctx)
			if err != nil {
				t.Fatal(err)
			}
			for view, got := range shown {
				want := map[string]string{}
				for id, f := range films {
					if !strings.Contains(view, " of ") || strings.HasSuffix(view, f.genre) {
						want[id] = f.title
					}
				}
				if by == "the movie service" { // what others wrote before it may still be to come
					if got[id] != want[id] {
						t.Fatalf("%s wrote %s: the %s shows %q of it, want %q", by, id, view, got[id], want[id])
					}
				} else if !maps.Equal(got, want) {
					t.Fatalf("%s wrote %s: the %s shows %v, want %v", by, id, view, got, want)
				}
			}
		}
	})
}

// Search follows what another process writes, and the numbers of ratings, as soon as the index that it asks does.
func TestSearchFollows(t *testing.T) {
	s := newServices(t, false)
	s.put(t, []*metadatav1.Movie{
		{Id: "f0", Title: "Story One", Genres: []string{"Drama"}}, {Id: "f1", Title: "Story Two", Genres: []string{"Drama"}},
	})
	hits := func() string {
		t.Helper()
		s.advance(atMost)
		r, err := s.movie.SearchMovies(t.Context(), &moviev1.SearchMoviesRequest{Q: "story"})
		if err != nil {
			t.Fatal(err)
		}
		var all []string
		for _, h := range r.GetHits() {
			all = append(all, h.GetMovie().GetId())
		}
		return strings.Join(all, " ")
	}
	indexed := func(want ...string) { // waits for the index alone
		t.Helper()
		until(t, "the index has the change", func() bool {
			r, err := s.metadata.SearchMovies(t.Context(), &metadatav1.SearchMoviesRequest{Query: "story", PageSize: 10})
			if err != nil {
				t.Fatal(err)
			}
			var all []string
			for _, h := range r.GetHits() {
				all = append(all, h.GetMovie().GetId())
			}
			return slices.Equal(all, want)
		})
	}
	indexed("f0", "f1")
	for range 5 { // so that the index has settled, and what is found is kept
		if got := hits(); got != "f0 f1" {
			t.Fatalf("found %q, want both", got)
		}
	}
	if _, err := s.another.SyncVotes(t.Context(), &metadatav1.SyncVotesRequest{Votes: []*metadatav1.SyncVotesRequest_MovieVotes{{MovieId: "f1", Votes: 5}}}); err != nil {
		t.Fatal(err)
	}
	// Another process may have synced what is rated, which is nothing, at the same time: then the order is the one from before again.
	until(t, "the order changed", func() bool {
		_, err := s.another.SyncVotes(t.Context(), &metadatav1.SyncVotesRequest{Votes: []*metadatav1.SyncVotesRequest_MovieVotes{{MovieId: "f1", Votes: 5}}})
		if err != nil {
			t.Fatal(err)
		}
		return hits() == "f1 f0"
	})
	if _, err := s.another.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{Id: "f2", Title: "Another Story", Year: proto.Int32(1999)}}); err != nil {
		t.Fatal(err)
	}
	indexed("f1", "f2", "f0")
	if got := hits(); got != "f1 f2 f0" {
		t.Errorf("the index had the new film, and %q was found a second later", got)
	}
}
