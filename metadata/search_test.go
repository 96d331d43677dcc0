package metadata_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// aliens is a catalogue of films that differ in everything that search uses.
func aliens(t testing.TB) *catalogue {
	t.Helper()
	c := newCatalogue(t)
	movie := func(id, title string, year int32, director string, genres ...string) *metadatav1.Movie {
		return &metadatav1.Movie{Id: id, Title: title, Year: &year, Director: director, Genres: genres}
	}
	c.replace(t,
		movie("alien", "Alien", 1979, "Ridley Scott", "Horror", "Sci-Fi"),
		movie("aliens", "Aliens", 1986, "James Cameron", "Action", "Sci-Fi"),
		movie("alien3", "Alien³", 1992, "David Fincher", "Sci-Fi"),
		movie("covenant", "Alien: Covenant", 2017, "Ridley Scott", "Horror", "Sci-Fi"),
		with(movie("heat", "Heat", 1995, "Michael Mann", "Crime"), func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"Gli Alieni di Los Angeles"} }),
		movie("boyle", "Millions", 2004, "Danny Alienson", "Comedy"),
	)
	c.sync(t, "", "", map[string]int32{"alien": 10, "aliens": 30, "covenant": 20})
	c.untilFound(t, "alien", "alien", "aliens", "covenant", "alien3", "heat", "boyle")
	return c
}

func (c *catalogue) search(t testing.TB, req *metadatav1.SearchMoviesRequest) *metadatav1.SearchMoviesResponse {
	t.Helper()
	resp, err := c.SearchMovies(t.Context(), req)
	if err != nil {
		t.Fatalf("search %v: %v", req, err)
	}
	return resp
}

func TestSearchAnswer(t *testing.T) {
	c := aliens(t)
	resp := c.search(t, &metadatav1.SearchMoviesRequest{Query: " ALIEN "})
	first := resp.GetHits()[0]
	wantMovie(t, first.GetMovie(), c.get(t, "alien"))
	if !proto.Equal(first.GetMovie(), c.get(t, "alien")) {
		t.Errorf("got %v", first.GetMovie())
	}
	want := []*metadatav1.TextPiece{{Text: "Alien", Matched: true}}
	if diff := gocmp.Diff(want, first.GetTitle(), protocmp.Transform()); diff != "" || len(first.GetMatchedName()) != 0 {
		t.Errorf("title (-want +got):\n%s\nmatched name %v", diff, first.GetMatchedName())
	}
	var kinds []string
	for _, h := range resp.GetHits() {
		kinds = append(kinds, strings.TrimPrefix(h.GetKind().String(), "MATCH_KIND_"))
		name := joined(h.GetMatchedName())
		if want := map[string]string{"heat": "Gli Alieni di Los Angeles", "boyle": "Danny Alienson"}[h.GetMovie().GetId()]; name != want {
			t.Errorf("%s matches by %q, want %q", h.GetMovie().GetId(), name, want)
		}
		if joined(h.GetTitle()) != h.GetMovie().GetTitle() {
			t.Errorf("the pieces of %q are %v", h.GetMovie().GetTitle(), h.GetTitle())
		}
	}
	if got := strings.Join(kinds, " "); got != "EXACT TITLE TITLE TITLE TITLE DIRECTOR" {
		t.Errorf("kinds %s", got)
	}
	if got := c.search(t, &metadatav1.SearchMoviesRequest{Query: "covenent"}).GetHits(); len(got) != 1 || got[0].GetKind() != metadatav1.MatchKind_MATCH_KIND_SPELLING {
		t.Errorf("a typo finds %v", got)
	}
}

func TestSearchFiltersAndCounts(t *testing.T) {
	c := aliens(t)
	for name, tc := range map[string]struct {
		genre           string
		decade          int32
		want            string
		genres, decades string
	}{
		"all":            {"", 0, "alien aliens covenant alien3 heat boyle", "Sci-Fi 4, Horror 2, Action 1, Comedy 1, Crime 1", "1970 1, 1980 1, 1990 2, 2000 1, 2010 1"},
		"genre":          {" sci-FI ", 0, "alien aliens covenant alien3", "Sci-Fi 4, Horror 2, Action 1, Comedy 1, Crime 1", "1970 1, 1980 1, 1990 1, 2010 1"},
		"decade":         {"", 1990, "alien3 heat", "Crime 1, Sci-Fi 1", "1970 1, 1980 1, 1990 2, 2000 1, 2010 1"},
		"both":           {"Crime", 1990, "heat", "Crime 1, Sci-Fi 1", "1990 1"},
		"unknown genre":  {"Western", 0, "", "Sci-Fi 4, Horror 2, Action 1, Comedy 1, Crime 1", ""},
		"another decade": {"", 1870, "", "", "1970 1, 1980 1, 1990 2, 2000 1, 2010 1"},
	} {
		t.Run(name, func(t *testing.T) {
			req := &metadatav1.SearchMoviesRequest{Query: "alien", Genre: tc.genre}
			if tc.decade != 0 {
				req.Decade = &tc.decade
			}
			resp := c.search(t, req)
			var genres, decades []string
			for _, g := range resp.GetGenres() {
				genres = append(genres, fmt.Sprint(g.GetGenre(), " ", g.GetCount()))
			}
			for _, d := range resp.GetDecades() {
				decades = append(decades, fmt.Sprint(d.GetDecade(), " ", d.GetCount()))
			}
			got := []string{strings.Join(hitIDs(resp), " "), strings.Join(genres, ", "), strings.Join(decades, ", ")}
			if diff := gocmp.Diff([]string{tc.want, tc.genres, tc.decades}, got); diff != "" {
				t.Errorf("hits, genres, decades (-want +got):\n%s", diff)
			}
			if int(resp.GetTotal()) != len(resp.GetHits()) {
				t.Errorf("total %d, hits %d", resp.GetTotal(), len(resp.GetHits()))
			}
		})
	}
}

func TestSearchErrors(t *testing.T) {
	c := aliens(t)
	valid := &metadatav1.SearchMoviesRequest{Query: "alien", PageSize: 1, Decade: proto.Int32(1990)}
	token := c.search(t, valid).GetNextPageToken()
	if token == "" {
		t.Fatal("no token")
	}
	list, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{PageSize: 1})
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		change func(*metadatav1.SearchMoviesRequest)
		want   []string
	}{
		"no query":           {func(r *metadatav1.SearchMoviesRequest) { r.Query = "" }, []string{"query: is required: 1 to 200 characters"}},
		"blank query":        {func(r *metadatav1.SearchMoviesRequest) { r.Query = " \t\n" }, []string{"query: is required: 1 to 200 characters"}},
		"long query":         {func(r *metadatav1.SearchMoviesRequest) { r.Query = strings.Repeat("ä", 201) }, []string{"query: must be at most 200 characters, got 201"}},
		"control characters": {func(r *metadatav1.SearchMoviesRequest) { r.Query = "a\x00" }, []string{"query: must not contain control characters"}},
		"long genre":         {func(r *metadatav1.SearchMoviesRequest) { r.Genre = strings.Repeat("x", 51) }, []string{"genre: must be at most 50 characters, got 51"}},
		"a year": {
			func(r *metadatav1.SearchMoviesRequest) { r.Decade = proto.Int32(1995) },
			[]string{"decade: must be the first year of a decade, a multiple of 10 from 1870 to 2100; got 1995"},
		},
		"decade zero":       {func(r *metadatav1.SearchMoviesRequest) { r.Decade = proto.Int32(0) }, []string{"decade", "got 0"}},
		"decade too early":  {func(r *metadatav1.SearchMoviesRequest) { r.Decade = proto.Int32(1860) }, []string{"decade", "got 1860"}},
		"decade too late":   {func(r *metadatav1.SearchMoviesRequest) { r.Decade = proto.Int32(2110) }, []string{"decade", "got 2110"}},
		"page size":         {func(r *metadatav1.SearchMoviesRequest) { r.PageSize = -1 }, []string{"page_size", "got -1"}},
		"everything":        {func(r *metadatav1.SearchMoviesRequest) { r.Query, r.PageSize, r.Decade = "", -1, proto.Int32(1) }, []string{"query", "page_size", "decade"}},
		"altered token":     {func(r *metadatav1.SearchMoviesRequest) { r.PageToken = token[:len(token)-1] }, []string{"page_token"}},
		"of another query":  {func(r *metadatav1.SearchMoviesRequest) { r.Query = "aliens" }, []string{"page_token", "another query"}},
		"of another genre":  {func(r *metadatav1.SearchMoviesRequest) { r.Genre = "Drama" }, []string{"page_token", "another query"}},
		"of another decade": {func(r *metadatav1.SearchMoviesRequest) { r.Decade = proto.Int32(1980) }, []string{"page_token", "another query"}},
		"of all decades":    {func(r *metadatav1.SearchMoviesRequest) { r.Decade = nil }, []string{"page_token", "another query"}},
		"of a list":         {func(r *metadatav1.SearchMoviesRequest) { r.PageToken = list.GetNextPageToken() }, []string{"page_token", "another query"}},
	} {
		t.Run(name, func(t *testing.T) {
			req := proto.Clone(valid).(*metadatav1.SearchMoviesRequest)
			req.PageToken = token
			tc.change(req)
			_, err := c.SearchMovies(t.Context(), req)
			wantError(t, err, codes.InvalidArgument, tc.want...)
		})
	}
	// Spellings of the same query share tokens.
	same := proto.Clone(valid).(*metadatav1.SearchMoviesRequest)
	same.Query, same.Genre, same.PageSize, same.PageToken = "  alien ", " ", 5, token
	if got := hitIDs(c.search(t, same)); !slices.Equal(got, []string{"heat"}) {
		t.Errorf("second page: %q", got)
	}
	// 200 characters are enough, and allowed.
	if got := c.find(t, " "+strings.Repeat("ä", 200)+" "); len(got) != 0 {
		t.Errorf("found %q", got)
	}
}

func TestSuggest(t *testing.T) {
	c := aliens(t)
	resp, err := c.SuggestMovies(t.Context(), &metadatav1.SuggestMoviesRequest{Query: "alie", PageSize: 2})
	want := &metadatav1.SuggestMoviesResponse{Suggestions: []*metadatav1.SuggestMoviesResponse_Suggestion{
		{Id: "aliens", Title: []*metadatav1.TextPiece{{Text: "Alie", Matched: true}, {Text: "ns"}}, Year: proto.Int32(1986), Director: "James Cameron"},
		{Id: "covenant", Title: []*metadatav1.TextPiece{{Text: "Alie", Matched: true}, {Text: "n: Covenant"}}, Year: proto.Int32(2017), Director: "Ridley Scott"},
	}}
	if diff := gocmp.Diff(want, resp, protocmp.Transform()); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	var batch []*metadatav1.Movie
	for i := range 30 {
		batch = append(batch, film(fmt.Sprint(i), fmt.Sprint("Alien ", i)))
	}
	c.replace(t, batch...)
	until(t, "more films", func() error {
		if n := c.search(t, &metadatav1.SearchMoviesRequest{Query: "alien"}).GetTotal(); n != 36 {
			return fmt.Errorf("%d films", n)
		}
		return nil
	})
	for size, want := range map[int32]int{0: 8, 1: 1, 20: 20, 21: 20, 1 << 30: 20} {
		resp, err := c.SuggestMovies(t.Context(), &metadatav1.SuggestMoviesRequest{Query: "alien", PageSize: size})
		if err != nil || len(resp.GetSuggestions()) != want {
			t.Errorf("page_size %d: %d suggestions, %v; want %d", size, len(resp.GetSuggestions()), err, want)
		}
	}
	_, err = c.SuggestMovies(t.Context(), &metadatav1.SuggestMoviesRequest{Query: " ", PageSize: -1})
	wantError(t, err, codes.InvalidArgument, "query: is required: 1 to 200 characters", "page_size")
}

func TestSimilarErrors(t *testing.T) {
	c := aliens(t)
	_, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "missing"})
	wantError(t, err, codes.NotFound, `no movie has the id "missing"`)
	_, err = c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{PageSize: -1})
	wantError(t, err, codes.InvalidArgument, "id: is required", "page_size")
	resp, err := c.ListSimilarMovies(t.Context(), &metadatav1.ListSimilarMoviesRequest{Id: "alien", PageSize: 1})
	if err != nil || len(resp.GetMovies()) != 1 || resp.GetMovies()[0].GetId() == "alien" {
		t.Errorf("got %v, %v", resp, err)
	}
}

func TestCatalogueStats(t *testing.T) {
	c := aliens(t)

	c.settle(t)
	resp, err := c.GetCatalogueStats(t.Context(), &metadatav1.GetCatalogueStatsRequest{})
	if err != nil || !resp.GetAsOfTime().AsTime().Equal(c.clock.Now()) {
		t.Errorf("as of %v, %v; want %v", resp.GetAsOfTime().AsTime(), err, c.clock.Now())
	}
	want := &metadatav1.GetCatalogueStatsResponse{
		Movies: 6,
		Genres: []*metadatav1.GenreCount{{Genre: "Sci-Fi", Count: 4}, {Genre: "Horror", Count: 2}, {Genre: "Action", Count: 1}, {Genre: "Comedy", Count: 1}, {Genre: "Crime", Count: 1}},
		Decades: []*metadatav1.DecadeCount{
			{Decade: 1970, Count: 1}, {Decade: 1980, Count: 1}, {Decade: 1990, Count: 2}, {Decade: 2000, Count: 1}, {Decade: 2010, Count: 1},
		},
	}
	if diff := gocmp.Diff(want, resp, protocmp.Transform(), protocmp.IgnoreFields(&metadatav1.GetCatalogueStatsResponse{}, "as_of_time")); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// walkSearch walks the pages of a search.
func walkSearch(tb testing.TB, t errorer, c *catalogue, req *metadatav1.SearchMoviesRequest, between func()) []string {
	t.Helper()
	req = proto.Clone(req).(*metadatav1.SearchMoviesRequest)
	return walkPages(t, req.GetPageSize(), func(token string) ([]string, string, error) {
		req.PageToken = token
		resp, err := c.SearchMovies(tb.Context(), req)
		return hitIDs(resp), resp.GetNextPageToken(), err
	}, between)
}

// Films that do not change are found exactly once, and in the order in which they are found without
// changes, regardless of changes to others during the walk.
func TestSearchWhileOthersWrite(t *testing.T) {
	c := openWith(t, sqltest.URL(t), nil, quick(), metadata.Deps{})
	c.run(t)
	found := 0
	quietOnes := func(ids []string) []string {
		return slices.DeleteFunc(append([]string{}, ids...), func(id string) bool { return !strings.HasPrefix(id, "quiet") })
	}
	rapid.Check(t, func(rt *rapid.T) {
		var batch []*metadatav1.Movie
		votes := map[string]int32{}
		for i := range 30 {
			m := drawMovie(rt, fmt.Sprintf("quiet-%02d", i))
			m.AlternativeTitles = []string{"Thing"} // so that every one is found
			if rapid.Bool().Draw(rt, "director") {
				m.AlternativeTitles, m.Director = nil, "Thing"
			}
			votes[m.GetId()] = rapid.Int32Range(1, 3).Draw(rt, "votes")
			batch = append(batch, m)
		}
		c.replace(t, batch...)
		c.sync(t, "quiet", "quiet-~", votes)
		req := &metadatav1.SearchMoviesRequest{
			Query: rapid.SampledFrom([]string{"thing", "thin", "alien", "th alien", "thyng"}).Draw(rt, "query"),
			Genre: rapid.SampledFrom([]string{"", "", "drama", "War"}).Draw(rt, "genre"), PageSize: 200,
		}
		if rapid.Bool().Draw(rt, "has decade") {
			req.Decade = proto.Int32(rapid.SampledFrom([]int32{1870, 1890, 1900, 1980, 1990}).Draw(rt, "decade"))
		}
		c.settle(t)
		want := quietOnes(walkSearch(t, rt, c, req, nothing))
		writes := 0
		disturb := func() {
			for range rapid.IntRange(0, 3).Draw(rt, "writes") {
				writes++
				id := fmt.Sprintf("busy-%d", rapid.IntRange(0, 9).Draw(rt, "busy"))
				switch rapid.IntRange(0, 2).Draw(rt, "what") {
				case 0:
					_, _ = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: id}) // there may be none
				case 1:
					c.sync(t, "busy", "busy-~", map[string]int32{id: rapid.Int32Range(1, 4).Draw(rt, "votes")})
				default:
					m := drawMovie(rt, id)
					m.Director = "Thing"
					c.put(t, m)
				}
			}
		}
		req.PageSize = rapid.Int32Range(1, 5).Draw(rt, "size")
		got := quietOnes(walkSearch(t, rt, c, req, disturb))
		if diff := gocmp.Diff(want, got); diff != "" {
			rt.Errorf("%v with %d writes (-want +got):\n%s", req, writes, diff)
		}
		found += len(got)
	})
	checkTables(t, c.db)
	if found < 100 {
		t.Errorf("only %d films were found: nothing was shown", found)
	}
}
