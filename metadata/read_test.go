package metadata_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

func TestGetErrors(t *testing.T) {
	c := newCatalogue(t)
	_, err := c.GetMovie(t.Context(), &metadatav1.GetMovieRequest{})
	wantError(t, err, codes.InvalidArgument, "id: is required")
	_, err = c.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: "tt0000001"})
	wantError(t, err, codes.NotFound, `no movie has the id "tt0000001"`)
}

func TestIDsAreComparedByteByByte(t *testing.T) {
	c := newCatalogue(t)
	for _, id := range []string{"a", "A", "á", "a\u0301", "1", "01", "1.0", "1e0"} {
		c.put(t, film(id, fmt.Sprintf("Title of %+q", id)))
	}
	for _, id := range []string{"a", "A", "á", "a\u0301", "1", "01", "1.0", "1e0"} {
		wantMovie(t, c.get(t, id), film(id, fmt.Sprintf("Title of %+q", id)))
	}
}

func TestBatchGet(t *testing.T) {
	c := newCatalogue(t)
	all := make([]string, 200)
	movies := make([]*metadatav1.Movie, 200)
	for i := range all {
		all[i] = fmt.Sprintf("id-%03d", (i*77)%200)
		movies[i] = film(all[i], fmt.Sprint(i))
	}
	c.replace(t, movies...)

	get := func(want ...string) *metadatav1.BatchGetMoviesResponse {
		t.Helper()
		resp, err := c.BatchGetMovies(t.Context(), &metadatav1.BatchGetMoviesRequest{Ids: want})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	if diff := cmp.Diff(all, ids(get(all...).GetMovies())); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
	some := get("id-007", "none", "id-199", "id-007", "id-000", "nil", "none")
	if diff := cmp.Diff([]string{"id-007", "id-199", "id-000"}, ids(some.GetMovies())); diff != "" {
		t.Errorf("movies (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"none", "nil"}, some.GetMissingIds()); diff != "" {
		t.Errorf("missing (-want +got):\n%s", diff)
	}
	if got := get("id-007").GetMovies()[0]; !proto.Equal(got, c.get(t, "id-007")) {
		t.Errorf("batch get answers %v, get %v", got, c.get(t, "id-007"))
	}

	_, err := c.BatchGetMovies(t.Context(), &metadatav1.BatchGetMoviesRequest{})
	wantError(t, err, codes.InvalidArgument, "ids: must be 1 to 200 ids, got 0")
	_, err = c.BatchGetMovies(t.Context(), &metadatav1.BatchGetMoviesRequest{Ids: append(all, "more")})
	wantError(t, err, codes.InvalidArgument, "ids: must be 1 to 200 ids, got 201")
	_, err = c.BatchGetMovies(t.Context(), &metadatav1.BatchGetMoviesRequest{Ids: []string{"a", "", "b "}})
	wantError(t, err, codes.InvalidArgument, "ids[1]: is required", "ids[2]: must not start or end with white space")
}

func TestSelect(t *testing.T) {
	c := newCatalogue(t)
	c.replace(t,
		with(film("a", "A"), func(m *metadatav1.Movie) { m.Year, m.Genres = proto.Int32(1999), []string{"Sci-Fi", "Drama"} }),
		with(film("b", "B"), func(m *metadatav1.Movie) { m.Year, m.Genres = proto.Int32(2000), []string{"Fi"} }),
		with(film("c", "C"), func(m *metadatav1.Movie) { m.Genres = []string{"SCI-FI"} }),
		with(film("d", "D"), func(m *metadatav1.Movie) { m.Year = proto.Int32(1870) }),
		film("e", "E"),
	)
	order := []string{"e", "none", "c", "a", "d", "b", "a"}
	for name, tc := range map[string]struct {
		filter *metadatav1.MovieFilter
		want   []string
	}{
		"all":                {nil, []string{"e", "c", "a", "d", "b"}},
		"genre":              {&metadatav1.MovieFilter{Genre: "sci-fi"}, []string{"c", "a"}},
		"genre as typed":     {&metadatav1.MovieFilter{Genre: " ScI-fI "}, []string{"c", "a"}},
		"part of a genre":    {&metadatav1.MovieFilter{Genre: "Fi"}, []string{"b"}},
		"unknown genre":      {&metadatav1.MovieFilter{Genre: "Western"}, nil},
		"pattern":            {&metadatav1.MovieFilter{Genre: "%"}, nil},
		"from":               {&metadatav1.MovieFilter{MinYear: proto.Int32(1999)}, []string{"a", "b"}},
		"until":              {&metadatav1.MovieFilter{MaxYear: proto.Int32(1999)}, []string{"a", "d"}},
		"one year":           {&metadatav1.MovieFilter{MinYear: proto.Int32(2000), MaxYear: proto.Int32(2000)}, []string{"b"}},
		"all years":          {&metadatav1.MovieFilter{MinYear: proto.Int32(1870), MaxYear: proto.Int32(2100)}, []string{"a", "d", "b"}},
		"genre and years":    {&metadatav1.MovieFilter{Genre: "drama", MinYear: proto.Int32(1990)}, []string{"a"}},
		"genre and no match": {&metadatav1.MovieFilter{Genre: "drama", MinYear: proto.Int32(2000)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			resp, err := c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: order, Filter: tc.filter})
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, m := range resp.GetMatches() {
				got = append(got, m.GetId())
				if m.GetTitle() != c.get(t, m.GetId()).GetTitle() {
					t.Errorf("%s has the title %q", m.GetId(), m.GetTitle())
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// A selection sorted by its sort keys, and by id where those are equal, is in the order of the list.
func TestSelectionSortsAsTheListDoes(t *testing.T) {
	c := newCatalogue(t)
	long := strings.Repeat("Long ", 60)
	for i, title := range []string{
		"The Zebra", "apple", "Álbum", "A Bee", "Alien", "Alien 3", "Die Hard", "Das Boot", "zebra", "…", long + "b", long + "a",
	} {
		c.put(t, film(fmt.Sprintf("m%02d", 99-i), title))
	}
	list, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	want := ids(list.GetMovies())
	backwards := slices.Clone(want)
	slices.Reverse(backwards)
	resp, err := c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: backwards})
	if err != nil {
		t.Fatal(err)
	}
	slices.SortFunc(resp.GetMatches(), func(a, b *metadatav1.SelectMoviesResponse_Match) int {
		return strings.Compare(a.GetSortKey()+"\x00"+a.GetId(), b.GetSortKey()+"\x00"+b.GetId())
	})
	var got []string
	for _, m := range resp.GetMatches() {
		if got = append(got, m.GetId()); m.GetSortKey() == "" {
			t.Errorf("%q has no sort key", m.GetTitle())
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-list +selection):\n%s", diff)
	}
}

func TestSelectLimits(t *testing.T) {
	c := newCatalogue(t)
	c.put(t, film("last", "Last"))
	many := make([]string, 5000)
	for i := range many {
		many[i] = fmt.Sprint(i)
	}
	many[4999] = "last"
	resp, err := c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: many})
	if err != nil || len(resp.GetMatches()) != 1 {
		t.Errorf("got %v, %v", resp.GetMatches(), err)
	}
	_, err = c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: append(many, "x")})
	wantError(t, err, codes.InvalidArgument, "ids: must be 1 to 5000 ids, got 5001")
	_, err = c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{})
	wantError(t, err, codes.InvalidArgument, "ids: must be 1 to 5000 ids, got 0")
	// Rankings may have ids that no movie can have: they are skipped.
	for _, ids := range [][]string{{"\x7f", "last", "..", strings.Repeat("x", 129)}, {"last"}} {
		resp, err = c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: ids})
		if err != nil || len(resp.GetMatches()) != 1 || resp.GetMatches()[0].GetId() != "last" {
			t.Errorf("selection of %q: %v, %v", ids, resp.GetMatches(), err)
		}
	}
	if resp, err = c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: []string{".."}}); err != nil || len(resp.GetMatches()) != 0 {
		t.Errorf("selection of nothing possible: %v, %v", resp.GetMatches(), err)
	}
}

// The filter is checked alike wherever it is used.
func TestFilterErrors(t *testing.T) {
	c := newCatalogue(t)
	for name, tc := range map[string]struct {
		filter *metadatav1.MovieFilter
		want   []string
	}{
		"first year 0":       {&metadatav1.MovieFilter{MinYear: proto.Int32(0)}, []string{"filter.min_year: must be 1870 to 2100; got 0"}},
		"last year 0":        {&metadatav1.MovieFilter{MaxYear: proto.Int32(0)}, []string{"filter.max_year: must be 1870 to 2100; got 0"}},
		"year with 2 digits": {&metadatav1.MovieFilter{MinYear: proto.Int32(95)}, []string{"filter.min_year: must be 1870 to 2100; got 95"}},
		"last year too late": {&metadatav1.MovieFilter{MaxYear: proto.Int32(2101)}, []string{"filter.max_year", "2101"}},
		"both":               {&metadatav1.MovieFilter{MinYear: proto.Int32(-5), MaxYear: proto.Int32(9999)}, []string{"filter.min_year: must be 1870 to 2100; got -5", "filter.max_year: must be 1870 to 2100; got 9999"}},
		"turned around":      {&metadatav1.MovieFilter{MinYear: proto.Int32(2000), MaxYear: proto.Int32(1999)}, []string{"filter.min_year: must not be after max_year, got 2000 and 1999"}},
		"genre with NUL":     {&metadatav1.MovieFilter{Genre: "a\x00"}, []string{"filter.genre", "control"}},
		"genre of two lines": {&metadatav1.MovieFilter{Genre: "a\nb"}, []string{"filter.genre", "one line"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: []string{"a"}, Filter: tc.filter})
			wantError(t, err, codes.InvalidArgument, tc.want...)
			_, err = c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{Filter: tc.filter})
			wantError(t, err, codes.InvalidArgument, tc.want...)
		})
	}
}

func TestLookup(t *testing.T) {
	c := newCatalogue(t)
	want := c.put(t, matrix())
	c.put(t, film("other", "Other"))
	for _, req := range []*metadatav1.LookupMovieRequest{
		{ExternalId: &metadatav1.LookupMovieRequest_ImdbId{ImdbId: "tt0133093"}},
		{ExternalId: &metadatav1.LookupMovieRequest_TmdbId{TmdbId: "603"}},
		{ExternalId: &metadatav1.LookupMovieRequest_MovielensId{MovielensId: "2571"}},
	} {
		got, err := c.LookupMovie(t.Context(), req)
		if err != nil || !proto.Equal(got.GetMovie(), want) {
			t.Errorf("%v: got %v, %v", req, got.GetMovie(), err)
		}
	}
	for _, tc := range []struct {
		req  *metadatav1.LookupMovieRequest
		code codes.Code
		want []string
	}{
		{&metadatav1.LookupMovieRequest{}, codes.InvalidArgument, []string{"imdb_id", "tmdb_id", "movielens_id", "exactly one"}},
		{&metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_ImdbId{}}, codes.InvalidArgument, []string{"imdb_id: must be", `""`}},
		{&metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_ImdbId{ImdbId: "133093"}}, codes.InvalidArgument, []string{"imdb_id: must be", `"133093"`}},
		{&metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_TmdbId{TmdbId: "x"}}, codes.InvalidArgument, []string{"tmdb_id: must be"}},
		{&metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_MovielensId{MovielensId: "0"}}, codes.InvalidArgument, []string{"movielens_id: must be"}},
		{&metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_TmdbId{TmdbId: "2571"}}, codes.NotFound, []string{`no movie has the tmdb id "2571"`}},
	} {
		_, err := c.LookupMovie(t.Context(), tc.req)
		wantError(t, err, tc.code, tc.want...)
	}
}

func TestDelete(t *testing.T) {
	c := newCatalogue(t)
	c.put(t, matrix())
	c.put(t, film("other", "Other"))
	if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "tt0133093"}); err != nil {
		t.Fatal(err)
	}
	_, err := c.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: "tt0133093"})
	wantError(t, err, codes.NotFound)
	_, err = c.LookupMovie(t.Context(), &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_TmdbId{TmdbId: "603"}})
	wantError(t, err, codes.NotFound)
	for _, genre := range []string{"", "Action"} {
		list, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{Filter: &metadatav1.MovieFilter{Genre: genre}})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list.GetMovies() {
			if m.GetId() != "other" {
				t.Errorf("list of %q still has %v", genre, m.GetId())
			}
		}
	}
	checkTables(t, c.db)

	_, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "tt0133093"})
	wantError(t, err, codes.NotFound, `no movie has the id "tt0133093"`)
	_, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "tt0133093", ExpectedEtag: "0123"})
	wantError(t, err, codes.NotFound)
	_, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{})
	wantError(t, err, codes.InvalidArgument, "id: is required")
}
