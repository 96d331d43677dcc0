package metadata_test

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

const (
	byTitle    = metadatav1.MovieOrder_MOVIE_ORDER_TITLE
	byYear     = metadatav1.MovieOrder_MOVIE_ORDER_YEAR
	byYearDesc = metadatav1.MovieOrder_MOVIE_ORDER_YEAR_DESC
)

// errorer is what testing.TB and rapid.T have in common here.
type errorer interface {
	Helper()
	Fatalf(format string, args ...any)
	Errorf(format string, args ...any)
}

// walkPages reads pages of at most size ids to the end (0: of any size) and calls between after every page but the last.
func walkPages(t errorer, size int32, page func(token string) (ids []string, next string, err error), between func()) (all []string) {
	t.Helper()
	token := ""
	for range 10_000 {
		ids, next, err := page(token)
		if err != nil {
			t.Fatalf("read a page: %v", err)
		}
		if size > 0 && len(ids) > int(size) {
			t.Errorf("page of %d has %d movies", size, len(ids))
		}
		if all, token = append(all, ids...), next; token == "" {
			return all
		}
		between()
	}
	t.Fatalf("the pages do not end")
	return nil
}

// walk walks the pages of a list.
func walk(tb testing.TB, t errorer, c *catalogue, req *metadatav1.ListMoviesRequest, between func()) []string {
	t.Helper()
	req = proto.Clone(req).(*metadatav1.ListMoviesRequest)
	return walkPages(t, req.GetPageSize(), func(token string) ([]string, string, error) {
		req.PageToken = token
		resp, err := c.ListMovies(tb.Context(), req)
		return ids(resp.GetMovies()), resp.GetNextPageToken(), err
	}, between)
}

func nothing() {}

func TestListOrders(t *testing.T) {
	c := newCatalogue(t)
	movie := func(id, title string, year int32) *metadatav1.Movie {
		return with(film(id, title), func(m *metadatav1.Movie) {
			if year != 0 {
				m.Year = proto.Int32(year)
			}
		})
	}
	c.replace(t,
		movie("1", "The Matrix", 1999), movie("2", "A Beautiful Mind", 2001), movie("3", "Amélie", 2001),
		movie("4", "amazing grace", 0), movie("5", "Alien", 1979), movie("6", "Alien 3", 1992), movie("7", "ALIEN", 1979),
		movie("8", "Łódź", 0), movie("9", "Zulu", 2001),
	)
	for order, want := range map[metadatav1.MovieOrder]string{
		metadatav1.MovieOrder_MOVIE_ORDER_UNSPECIFIED: "5 7 6 4 3 2 8 1 9",
		byTitle:    "5 7 6 4 3 2 8 1 9",
		byYear:     "4 8 5 7 6 1 3 2 9",
		byYearDesc: "3 2 9 1 6 5 7 4 8",
	} {
		for size := int32(1); size <= 10; size++ {
			got := strings.Join(walk(t, t, c, &metadatav1.ListMoviesRequest{Order: order, PageSize: size}, nothing), " ")
			if got != want {
				t.Errorf("%v in pages of %d: got %s, want %s", order, size, got, want)
			}
		}
	}
}

func TestListPageSize(t *testing.T) {
	c := newCatalogue(t)
	for start := 0; start < 250; start += 125 {
		movies := make([]*metadatav1.Movie, 125)
		for i := range movies {
			movies[i] = film(fmt.Sprintf("%03d", start+i), "T")
		}
		c.replace(t, movies...)
	}
	for requested, want := range map[int32]int{0: 50, 1: 1, 200: 200, 201: 200, 1 << 30: 200} {
		resp, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{PageSize: requested})
		if err != nil || len(resp.GetMovies()) != want || resp.GetNextPageToken() == "" {
			t.Errorf("page_size %d: got %d movies, token %q, %v; want %d", requested, len(resp.GetMovies()), resp.GetNextPageToken(), err, want)
		}
	}
	resp, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{PageSize: 125})
	if err != nil {
		t.Fatal(err)
	}
	resp, err = c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{PageSize: 125, PageToken: resp.GetNextPageToken()})
	if err != nil || len(resp.GetMovies()) != 125 || resp.GetNextPageToken() != "" {
		t.Errorf("last full page: got %d movies, token %q, %v; want 125 and none", len(resp.GetMovies()), resp.GetNextPageToken(), err)
	}
}

func TestListErrors(t *testing.T) {
	c := newCatalogue(t)
	c.replace(t, film("a", "A"), film("b", "B"), film("c", "C"))
	first := &metadatav1.ListMoviesRequest{PageSize: 1, Filter: &metadatav1.MovieFilter{}}
	resp, err := c.ListMovies(t.Context(), first)
	if err != nil {
		t.Fatal(err)
	}
	token := resp.GetNextPageToken()
	for name, tc := range map[string]struct {
		change func(*metadatav1.ListMoviesRequest)
		want   []string
	}{
		"negative size":     {func(r *metadatav1.ListMoviesRequest) { r.PageSize = -1 }, []string{"page_size", "-1"}},
		"unknown order":     {func(r *metadatav1.ListMoviesRequest) { r.Order = 9 }, []string{"order: must be MOVIE_ORDER_TITLE, MOVIE_ORDER_YEAR or MOVIE_ORDER_YEAR_DESC, got 9"}},
		"no token":          {func(r *metadatav1.ListMoviesRequest) { r.PageToken = "x" }, []string{"page_token"}},
		"altered token":     {func(r *metadatav1.ListMoviesRequest) { r.PageToken = token[:len(token)-1] }, []string{"page_token"}},
		"of another order":  {func(r *metadatav1.ListMoviesRequest) { r.Order = byYear }, []string{"page_token", "another query"}},
		"of another genre":  {func(r *metadatav1.ListMoviesRequest) { r.Filter.Genre = "Drama" }, []string{"page_token", "another query"}},
		"of another period": {func(r *metadatav1.ListMoviesRequest) { r.Filter.MaxYear = proto.Int32(2000) }, []string{"page_token", "another query"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := proto.Clone(first).(*metadatav1.ListMoviesRequest)
			req.PageToken = token
			tc.change(req)
			_, err := c.ListMovies(t.Context(), req)
			wantError(t, err, codes.InvalidArgument, tc.want...)
		})
	}
	// A filter that gives the same list is the same query.
	resp, err = c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{Order: byTitle, PageSize: 200, PageToken: token, Filter: &metadatav1.MovieFilter{Genre: " "}})
	if err != nil || strings.Join(ids(resp.GetMovies()), " ") != "b c" {
		t.Errorf("got %v, %v", ids(resp.GetMovies()), err)
	}
}

func TestListGenreInAnyCase(t *testing.T) {
	c := newCatalogue(t)
	c.replace(t,
		with(film("a", "A"), func(m *metadatav1.Movie) { m.Genres = []string{"Film-Noir"} }),
		with(film("b", "B"), func(m *metadatav1.Movie) { m.Genres = []string{"FILM-NOIR", "War"} }),
		with(film("c", "C"), func(m *metadatav1.Movie) { m.Genres = []string{"Film"} }),
	)
	for genre, want := range map[string]string{"film-noir": "a b", "Film-Noir": "a b", " FILM-noir": "a b", "war": "b", "Fil": "", "": "a b c"} {
		got := strings.Join(walk(t, t, c, &metadatav1.ListMoviesRequest{Filter: &metadatav1.MovieFilter{Genre: genre}}, nothing), " ")
		if got != want {
			t.Errorf("genre %q: got %q, want %q", genre, got, want)
		}
	}
	// A film that changes its genres changes its lists.
	c.put(t, with(film("b", "B"), func(m *metadatav1.Movie) { m.Genres = []string{"Film"} }))
	for genre, want := range map[string]string{"film-noir": "a", "war": "", "film": "b c"} {
		got := strings.Join(walk(t, t, c, &metadatav1.ListMoviesRequest{Filter: &metadatav1.MovieFilter{Genre: genre}}, nothing), " ")
		if got != want {
			t.Errorf("genre %q after the change: got %q, want %q", genre, got, want)
		}
	}
	checkTables(t, c.db)
}

// model is the simplest implementation of lists.
type model map[string]*metadatav1.Movie

func (m model) list(f *metadatav1.MovieFilter, order metadatav1.MovieOrder) []string {
	var found []*metadatav1.Movie
	for _, movie := range m {
		year := movie.GetYear()
		if (f.GetGenre() == "" || slices.ContainsFunc(movie.GetGenres(), func(g string) bool { return strings.EqualFold(g, f.GetGenre()) })) &&
			(f.MinYear == nil || year != 0 && year >= f.GetMinYear()) && (f.MaxYear == nil || year != 0 && year <= f.GetMaxYear()) {
			found = append(found, movie)
		}
	}
	slices.SortFunc(found, func(a, b *metadatav1.Movie) int {
		years := cmp.Compare(a.GetYear(), b.GetYear())
		switch order {
		case byTitle:
			years = 0
		case byYearDesc:
			years = -years
		}
		return cmp.Or(years, strings.Compare(strings.ToLower(a.GetTitle()), strings.ToLower(b.GetTitle())), strings.Compare(a.GetId(), b.GetId()))
	})
	return ids(found)
}

// drawMovie draws from few titles, years and genres, so that ties are frequent.
func drawMovie(t *rapid.T, id string) *metadatav1.Movie {
	m := film(id, rapid.SampledFrom([]string{"Alien", "ALIEN", "Alien 3", "Brazil", "Casablanca", "Dune", "zulu"}).Draw(t, "title"))
	if year := rapid.SampledFrom([]int32{0, 1870, 1899, 1900, 1985, 1989, 1990, 1991, 2100}).Draw(t, "year"); year != 0 {
		m.Year = proto.Int32(year)
	}
	m.Genres = rapid.SampledFrom([][]string{nil, {"Drama"}, {"DRAMA", "War"}, {"War"}}).Draw(t, "genres")
	return m
}

func drawFilter(t *rapid.T) *metadatav1.MovieFilter {
	f := &metadatav1.MovieFilter{Genre: rapid.SampledFrom([]string{"", "", "drama", "War", "none"}).Draw(t, "genre")}
	low := rapid.SampledFrom([]int32{0, 0, 1870, 1889, 1899, 1900, 1985, 1990, 2100}).Draw(t, "min year")
	high := rapid.SampledFrom([]int32{0, 0, 1870, 1899, 1900, 1989, 1990, 1991, 2099, 2100}).Draw(t, "max year")
	if low != 0 {
		f.MinYear = &low
	}
	if high != 0 && high >= low {
		f.MaxYear = &high
	}
	return f
}

func drawOrder(t *rapid.T) metadatav1.MovieOrder {
	return rapid.SampledFrom([]metadatav1.MovieOrder{byTitle, byYear, byYearDesc}).Draw(t, "order")
}

func TestListsMatchTheModel(t *testing.T) {
	c := newCatalogue(t)
	stored := model{}
	rapid.Check(t, func(rt *rapid.T) {
		var batch []*metadatav1.Movie
		for range rapid.IntRange(0, 20).Draw(rt, "puts") {
			m := drawMovie(rt, fmt.Sprintf("m%02d", rapid.IntRange(0, 60).Draw(rt, "id")))
			stored[m.GetId()] = m
			batch = append(batch, m)
		}
		c.replace(t, batch...)
		for range 2 {
			req := &metadatav1.ListMoviesRequest{Filter: drawFilter(rt), Order: drawOrder(rt), PageSize: rapid.Int32Range(1, 8).Draw(rt, "size")}
			want := stored.list(req.GetFilter(), req.GetOrder())
			if diff := gocmp.Diff(want, append([]string{}, walk(t, rt, c, req, nothing)...)); diff != "" {
				rt.Errorf("%v (-want +got):\n%s", req, diff)
			}
		}
	})
	checkTables(t, c.db)
}

// Films that do not change are shown exactly once and in order, regardless of changes to
// others during the walk.
func TestWalkWhileOthersWrite(t *testing.T) {
	c := newCatalogue(t)
	rapid.Check(t, func(rt *rapid.T) {
		quiet := model{}
		var batch []*metadatav1.Movie
		for i := range 30 {
			m := drawMovie(rt, fmt.Sprintf("quiet-%02d", i))
			quiet[m.GetId()] = m
			batch = append(batch, m)
		}
		c.replace(t, batch...)
		writes := 0
		disturb := func() {
			for range rapid.IntRange(0, 3).Draw(rt, "writes") {
				writes++
				id := fmt.Sprintf("busy-%d", rapid.IntRange(0, 9).Draw(rt, "busy"))
				if rapid.Bool().Draw(rt, "delete") {
					_, _ = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: id}) // there may be none
				} else {
					c.put(t, drawMovie(rt, id))
				}
			}
		}
		req := &metadatav1.ListMoviesRequest{Filter: drawFilter(rt), Order: drawOrder(rt), PageSize: rapid.Int32Range(1, 5).Draw(rt, "size")}
		var got []string
		for _, id := range walk(t, rt, c, req, disturb) {
			if strings.HasPrefix(id, "quiet") {
				got = append(got, id)
			}
		}
		if diff := gocmp.Diff(quiet.list(req.GetFilter(), req.GetOrder()), append([]string{}, got...)); diff != "" {
			rt.Errorf("%v with %d writes (-want +got):\n%s", req, writes, diff)
		}
	})
	checkTables(t, c.db)
}
