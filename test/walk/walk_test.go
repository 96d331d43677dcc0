package walk_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

const (
	untouched = 60
	volatile  = 12
)

// writers are the ways to a film: one that the movie service knows of, and two that it does not.
var writers = []string{"the movie service", "the metadata service", "another metadata service"}

// The films have few titles, years and genres, so that most of them are between others that come and go, and few numbers of ratings,
// so that charts have groups of ties.
func untouchedFilm(i int) *metadatav1.Movie {
	return &metadatav1.Movie{
		Id:     fmt.Sprintf("u%02d", i),
		Title:  fmt.Sprintf("Walk %c", 'A'+i*7%20),
		Year:   proto.Int32(1990 + int32(i%12)),
		Genres: [][]string{{"Drama"}, {"War", "Drama"}, {"Comedy"}}[i%3],
	}
}

// walker reads one list page by page.
type walker struct {
	name  string
	next  func(token string) (ids []string, next string, err error)
	want  []string // the untouched films of the list
	token string
	seen  map[string]int
}

// step reads a page, and reports whether it was the last.
func (w *walker) step(t *rapid.T) bool {
	ids, next, err := w.next(w.token)
	if err != nil {
		t.Fatalf("%s: %v", w.name, err)
	}
	for _, id := range ids {
		w.seen[id]++
	}
	w.token = next
	return next == ""
}

// check holds what a whole walk has seen against what it must have.
func (w *walker) check(t *rapid.T) {
	for _, id := range w.want {
		if n := w.seen[id]; n != 1 {
			t.Fatalf("%s: %s was never touched and is there %d times", w.name, id, n)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(w.seen)) {
		if id[0] == 'u' && !slices.Contains(w.want, id) {
			t.Fatalf("%s: %s does not belong there", w.name, id)
		}
	}
}

// matching returns the ids of the untouched films that match.
func matching(match func(*metadatav1.Movie) bool) []string {
	var ids []string
	for i := range untouched {
		if m := untouchedFilm(i); match(m) {
			ids = append(ids, m.GetId())
		}
	}
	return ids
}

// newWalker draws a list, a filter and a page size.
func newWalker(t *rapid.T, s *services) *walker {
	genre := rapid.SampledFrom([]string{"", "Drama", "war"}).Draw(t, "genre")
	var from *int32
	if rapid.Bool().Draw(t, "with years") {
		from = proto.Int32(1990)
	}
	size := rapid.SampledFrom([]int32{5, 11, 30}).Draw(t, "page size") // few, so that walkers meet in pages that are kept
	ctx := context.Background()
	w := &walker{seen: map[string]int{}, want: matching(func(m *metadatav1.Movie) bool {
		hasGenre := genre == "" || slices.Contains(m.GetGenres(), map[string]string{"Drama": "Drama", "war": "War"}[genre])
		return hasGenre && (from == nil || m.GetYear() < 2000)
	})}
	kind := rapid.SampledFrom([]string{"title", "year", "year desc", "top", "popular", "trending", "search"}).Draw(t, "kind")
	w.name = fmt.Sprintf("%s genre=%q years=%t, %d a page", kind, genre, from != nil, size)
	switch kind {
	case "title", "year", "year desc":
		var to *int32
		if from != nil {
			to = proto.Int32(1999)
		}
		w.next = func(token string) (ids []string, next string, err error) {
			r, err := s.movie.ListMovies(ctx, &moviev1.ListMoviesRequest{Genre: genre, MinYear: from, MaxYear: to, OrderBy: kind, PageSize: size, PageToken: token})
			for _, m := range r.GetMovies() {
				ids = append(ids, m.GetId())
			}
			return ids, r.GetNextPageToken(), err
		}
	case "search":
		w.next = func(token string) (ids []string, next string, err error) {
			r, err := s.movie.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "walk", Genre: genre, Decade: from, PageSize: size, PageToken: token})
			for _, h := range r.GetHits() {
				ids = append(ids, h.GetMovie().GetId())
			}
			return ids, r.GetNextPageToken(), err
		}
	default:
		w.next = func(token string) (ids []string, next string, err error) {
			r, err := s.movie.ListChart(ctx, &moviev1.ListChartRequest{Chart: kind, Genre: genre, Decade: from, PageSize: size, PageToken: token})
			for _, e := range r.GetEntries() {
				ids = append(ids, e.GetMovie().GetId())
			}
			return ids, r.GetNextPageToken(), err
		}
	}
	return w
}

// A walk through a list, a chart or the hits of a search shows each unchanged film exactly once, whatever happens to the
// others meanwhile, through this process or another one, and however the movie service's caches stand: its clock moves only
// when a step says so.
func TestWalkSeesEachUntouchedFilmOnce(t *testing.T) {
	s := newServices(t, false)
	var films []*metadatav1.Movie
	for i := range untouched {
		films = append(films, untouchedFilm(i))
	}
	s.put(t, films)
	for i := range untouched {
		s.rate(t, fmt.Sprintf("u%02d", i), 1+int32(i%3), 5+int32(i%2))
	}
	for i := range volatile {
		s.rate(t, fmt.Sprintf("v%02d", i), 1+int32(i%4), 5+int32(i%2))
	}
	until(t, "search knows all films and their votes", func() bool {
		r, err := s.movie.SearchMovies(t.Context(), &moviev1.SearchMoviesRequest{Q: "walk", PageSize: 200})
		if err != nil {
			t.Fatal(err)
		}
		s.advance(3 * time.Second)
		// Votes order hits of one kind, so the last has as many as the least rated.
		hits := r.GetHits()
		return len(hits) == untouched && hits[0].GetMovie().GetRatingSummary().GetVotes() == 3 && hits[untouched-1].GetMovie().GetRatingSummary().GetVotes() == 1
	})

	rapid.Check(t, func(t *rapid.T) {
		ctx := context.Background()
		walkers := []*walker{newWalker(t, s), newWalker(t, s)}
		done := 0
		gone := func(err error) error { // a film that is not there cannot be deleted: that is fine
			if err != nil && !isNotFound(err) {
				return err
			}
			return nil
		}
		t.Repeat(map[string]func(*rapid.T){
			"walk": func(t *rapid.T) {
				i := rapid.IntRange(0, len(walkers)-1).Draw(t, "walker")
				for range rapid.IntRange(1, 4).Draw(t, "pages") {
					if walkers[i].step(t) {
						walkers[i].check(t)
						walkers[i] = newWalker(t, s)
						done++
						break
					}
				}
			},
			"put": func(t *rapid.T) {
				i := rapid.IntRange(0, volatile-1).Draw(t, "film")
				title := fmt.Sprintf("Walk %c", rapid.RuneFrom([]rune("ABCDEFGHIJKLMNOPQRST")).Draw(t, "letter"))
				year := int32(rapid.IntRange(1988, 2003).Draw(t, "year"))
				genres := []string{rapid.SampledFrom([]string{"Drama", "War", "Comedy"}).Draw(t, "genre")}
				id := fmt.Sprintf("v%02d", i)
				var err error
				stored := &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{Id: id, Title: title, Year: &year, Genres: genres}}
				switch by := rapid.SampledFrom(writers).Draw(t, "by"); by {
				case "the movie service":
					_, err = s.movie.PutMovie(ctx, &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: id, Title: title, Year: &year, Genres: genres}})
				case "the metadata service":
					_, err = s.metadata.PutMovie(ctx, stored)
				default:
					_, err = s.another.PutMovie(ctx, stored)
				}
				if err != nil {
					t.Fatal(err)
				}
			},
			"delete": func(t *rapid.T) {
				id := fmt.Sprintf("v%02d", rapid.IntRange(0, volatile-1).Draw(t, "film"))
				var err error
				switch by := rapid.SampledFrom(writers).Draw(t, "by"); by {
				case "the movie service":
					_, err = s.movie.DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Id: id})
				case "the metadata service":
					_, err = s.metadata.DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: id})
				default:
					_, err = s.another.DeleteMovie(ctx, &metadatav1.DeleteMovieRequest{Id: id})
				}
				if err := gone(err); err != nil {
					t.Fatal(err)
				}
			},
			"time": func(t *rapid.T) {
				s.advance(time.Duration(rapid.IntRange(1, 1500).Draw(t, "milliseconds")) * time.Millisecond)
			},
		})
		for _, w := range walkers {
			for pages := 0; !w.step(t); pages++ {
				if pages > 1000 {
					t.Fatalf("%s does not end", w.name)
				}
			}
			w.check(t)
		}
	})
}

// While a film that is rated is deleted and put back, a read through the same process shows the last write.
func TestReadYourWrites(t *testing.T) {
	s := newServices(t, false)
	s.put(t, []*metadatav1.Movie{untouchedFilm(1), untouchedFilm(2)})
	s.rate(t, "u01", 2, 5)
	shown := func() (list, chart, batch bool) {
		l, err := s.movie.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		c, err := s.movie.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "popular"})
		if err != nil {
			t.Fatal(err)
		}
		b, err := s.movie.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"u01"}})
		if err != nil {
			t.Fatal(err)
		}
		return slices.ContainsFunc(l.GetMovies(), func(m *moviev1.Movie) bool { return m.GetId() == "u01" }), len(c.GetEntries()) == 1, len(b.GetMovies()) == 1
	}
	check := func(round int, want bool) {
		t.Helper()
		if list, chart, batch := shown(); list != want || chart != want || batch != want {
			t.Fatalf("round %d: shown in list %t, chart %t, batch %t; want %t", round, list, chart, batch, want)
		}
	}
	until(t, "the chart has the film", func() bool { // it is computed once a second
		s.advance(3 * time.Second)
		_, chart, _ := shown()
		return chart
	})
	for round := range 20 {
		check(round, true)
		if _, err := s.movie.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Id: "u01"}); err != nil {
			t.Fatal(err)
		}
		check(round, false)
		if _, err := s.movie.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "u01", Title: "Back"}}); err != nil {
			t.Fatal(err)
		}
	}
}
