package metadata_test

import (
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

func TestPutCreatesAndGetReturnsEveryField(t *testing.T) {
	c := newCatalogue(t)
	resp, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: matrix()})
	if err != nil {
		t.Fatal(err)
	}
	if !resp.GetCreated() || !resp.GetChanged() {
		t.Errorf("created %v, changed %v, want both", resp.GetCreated(), resp.GetChanged())
	}
	wantMovie(t, resp.GetMovie(), matrix())
	got := c.get(t, "tt0133093")
	if !proto.Equal(got, resp.GetMovie()) {
		t.Errorf("get answers %v, put answered %v", got, resp.GetMovie())
	}
	if got.GetEtag() == "" {
		t.Error("no etag")
	}
	if now := c.clock.Now(); !got.GetCreateTime().AsTime().Equal(now) || !got.GetUpdateTime().AsTime().Equal(now) {
		t.Errorf("times %v and %v, want %v", got.GetCreateTime().AsTime(), got.GetUpdateTime().AsTime(), now)
	}
}

func TestPutMinimalMovie(t *testing.T) {
	c := newCatalogue(t)
	c.put(t, film("x", "X"))
	wantMovie(t, c.get(t, "x"), film("x", "X"))
}

func TestPutReplacesWhole(t *testing.T) {
	c := newCatalogue(t)
	first := c.put(t, matrix())
	c.clock.advance(time.Hour)
	resp, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: film("tt0133093", "The Matrix")})
	if err != nil {
		t.Fatal(err)
	}
	if resp.GetCreated() || !resp.GetChanged() {
		t.Errorf("created %v, changed %v, want false, true", resp.GetCreated(), resp.GetChanged())
	}
	got := c.get(t, "tt0133093")
	wantMovie(t, got, film("tt0133093", "The Matrix"))
	if got.GetEtag() == first.GetEtag() {
		t.Error("the etag did not change")
	}
	if !proto.Equal(got.GetCreateTime(), first.GetCreateTime()) {
		t.Errorf("create time changed from %v to %v", first.GetCreateTime(), got.GetCreateTime())
	}
	if want := c.clock.Now(); !got.GetUpdateTime().AsTime().Equal(want) {
		t.Errorf("update time %v, want %v", got.GetUpdateTime().AsTime(), want)
	}
	// The movie's old id is free again.
	c.put(t, with(film("other", "Other"), func(m *metadatav1.Movie) {
		m.ExternalIds = &metadatav1.ExternalIds{Imdb: "tt0133093"}
	}))
}

func TestPutOfTheSameWritesNothing(t *testing.T) {
	c := newCatalogue(t)
	first := c.put(t, matrix())
	c.clock.advance(time.Hour)
	same := with(matrix(), func(m *metadatav1.Movie) {
		m.Title = "  Matrix\t"
		m.Genres = []string{"Action", "Sci-Fi", "ACTION"}
		m.Etag = "whatever a client read before" // output only: ignored
	})
	resp, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: same})
	if err != nil {
		t.Fatal(err)
	}
	if resp.GetCreated() || resp.GetChanged() {
		t.Errorf("created %v, changed %v, want neither", resp.GetCreated(), resp.GetChanged())
	}
	if !proto.Equal(resp.GetMovie(), first) || !proto.Equal(c.get(t, "tt0133093"), first) {
		t.Errorf("the movie changed from %v to %v", first, resp.GetMovie())
	}
}

func TestETagNeverRepeats(t *testing.T) {
	c := newCatalogue(t) // with a clock that does not move
	seen := map[string]string{}
	for _, title := range []string{"A", "B", "A", "B", "A"} {
		etag := c.put(t, film("x", title)).GetEtag()
		if before, ok := seen[etag]; ok {
			t.Errorf("etag %q for %q was given to %q before", etag, title, before)
		}
		seen[etag] = title
	}
	for _, title := range []string{"C", "D", "E"} {
		if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x"}); err != nil {
			t.Fatal(err)
		}
		etag := c.put(t, film("x", title)).GetEtag()
		if before, ok := seen[etag]; ok {
			t.Errorf("after deletion: etag %q for %q was given to %q before", etag, title, before)
		}
		seen[etag] = title
	}
}

func TestExpectedETag(t *testing.T) {
	c := newCatalogue(t)
	put := func(title, etag string) (*metadatav1.PutMovieResponse, error) {
		return c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: film("x", title), ExpectedEtag: etag})
	}
	_, err := put("A", "0123456789abcdef")
	wantConflict(t, err, codes.Aborted, "expected_etag", `"x"`, "does not exist", "leave it out to create")

	first := c.put(t, film("x", "A"))
	_, err = put("B", "0123456789abcdef")
	wantConflict(t, err, codes.Aborted, "expected_etag", first.GetEtag(), `"0123456789abcdef"`, "read it again")
	wantMovie(t, c.get(t, "x"), film("x", "A"))

	second, err := put("B", first.GetEtag())
	if err != nil {
		t.Fatal(err)
	}
	_, err = put("C", first.GetEtag())
	wantError(t, err, codes.Aborted, second.GetMovie().GetEtag())

	_, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x", ExpectedEtag: first.GetEtag()})
	wantConflict(t, err, codes.Aborted, "expected_etag", second.GetMovie().GetEtag())
	if _, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x", ExpectedEtag: second.GetMovie().GetEtag()}); err != nil {
		t.Error(err)
	}
}

// "none" only creates, "*" only replaces; even if the put would change nothing.
func TestExpectedExistence(t *testing.T) {
	c := newCatalogue(t)
	put := func(title, etag string) (*metadatav1.PutMovieResponse, error) {
		return c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: film("x", title), ExpectedEtag: etag})
	}
	_, err := put("A", "*")
	wantConflict(t, err, codes.Aborted, "expected_etag", `"x"`, "does not exist", "leave it out to create")
	_, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x", ExpectedEtag: "*"})
	wantError(t, err, codes.NotFound, `"x"`)

	first, err := put("A", "none")
	if err != nil || !first.GetCreated() {
		t.Fatalf("create what is not there: %v, %v", first, err)
	}
	for _, title := range []string{"A", "B"} {
		_, err = put(title, "none")
		wantConflict(t, err, codes.Aborted, "expected_etag", `"x" exists`, first.GetMovie().GetEtag(), "leave it out to replace")
	}
	wantMovie(t, c.get(t, "x"), film("x", "A"))

	if same, err := put("A", "*"); err != nil || same.GetChanged() {
		t.Errorf("replace by the same: %v, %v", same, err)
	}
	if second, err := put("B", "*"); err != nil || second.GetCreated() || !second.GetChanged() {
		t.Errorf("replace what is there: %v, %v", second, err)
	}
	_, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x", ExpectedEtag: "none"})
	wantError(t, err, codes.InvalidArgument, "expected_etag", `"none"`)
	wantMovie(t, c.get(t, "x"), film("x", "B"))
	if _, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x", ExpectedEtag: "*"}); err != nil {
		t.Error(err)
	}
	if third, err := put("C", "none"); err != nil || !third.GetCreated() {
		t.Errorf("create what is not there any more: %v, %v", third, err)
	}
}

func TestUpdateTimeDoesNotGoBack(t *testing.T) {
	c := newCatalogue(t)
	first := c.put(t, film("x", "A"))
	c.clock.advance(-time.Hour)
	second := c.put(t, film("x", "B"))
	if second.GetUpdateTime().AsTime().Before(first.GetUpdateTime().AsTime()) {
		t.Errorf("update time went from %v to %v", first.GetUpdateTime().AsTime(), second.GetUpdateTime().AsTime())
	}
}

func TestPutNormalises(t *testing.T) {
	c := newCatalogue(t)
	got := c.put(t, &metadatav1.Movie{
		Id:                "x",
		Title:             " Ame\u0301lie ", // decomposed
		OriginalTitle:     "Am\u00e9lie",
		AlternativeTitles: []string{"B", " B", "C", "b"},
		Genres:            []string{" Com\u00e9die", "COME\u0301DIE", "Straße", "STRASSE", "Comedie"},
		Director:          " Jean-Pierre Jeunet\n",
		Description:       "\n one\n two\t \n",
	})
	wantMovie(t, got, &metadatav1.Movie{
		Id:                "x",
		Title:             "Amélie",
		AlternativeTitles: []string{"B", "C", "b"},
		Genres:            []string{"Comédie", "Straße", "Comedie"},
		Director:          "Jean-Pierre Jeunet",
		Description:       "one\n two",
	})
}

func TestPutAcceptsTheLimits(t *testing.T) {
	c := newCatalogue(t)
	for name, change := range map[string]func(*metadatav1.Movie){
		"first year":              func(m *metadatav1.Movie) { m.Year = proto.Int32(1870) },
		"last year":               func(m *metadatav1.Movie) { m.Year = proto.Int32(2100) },
		"longest id":              func(m *metadatav1.Movie) { m.Id = strings.Repeat("i", 128) },
		"longest title":           func(m *metadatav1.Movie) { m.Title = strings.Repeat("ü", 500) },
		"longest director":        func(m *metadatav1.Movie) { m.Director = strings.Repeat("ü", 500) },
		"longest description":     func(m *metadatav1.Movie) { m.Description = strings.Repeat("ü", 10_000) },
		"longest genre":           func(m *metadatav1.Movie) { m.Genres = []string{strings.Repeat("ü", 50)} },
		"most genres":             func(m *metadatav1.Movie) { m.Genres = many("genre", 20) },
		"most alternative titles": func(m *metadatav1.Movie) { m.AlternativeTitles = many("title", 50) },
		"shortest run":            func(m *metadatav1.Movie) { m.RuntimeMinutes = proto.Int32(1) },
		"longest run":             func(m *metadatav1.Movie) { m.RuntimeMinutes = proto.Int32(6000) },
		"short imdb id":           func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Imdb: "tt0000001"} },
		"long imdb id":            func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Imdb: "tt0123456789"} },
		"long tmdb id":            func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Tmdb: "1234567890"} },
		"short movielens id":      func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Movielens: "1"} },
	} {
		t.Run(name, func(t *testing.T) {
			want := with(film(name, "Title"), change)
			c.put(t, want)
			wantMovie(t, c.get(t, want.GetId()), want)
		})
	}
}

func many(text string, n int) []string {
	out := make([]string, n)
	for i := range out {
		out[i] = text + " " + strings.Repeat("x", i+1)
	}
	return out
}

func TestPutRefusesWithTheFieldAndTheRule(t *testing.T) {
	c := newCatalogue(t)
	ext := func(x *metadatav1.ExternalIds) func(*metadatav1.Movie) {
		return func(m *metadatav1.Movie) { m.ExternalIds = x }
	}
	for name, tc := range map[string]struct {
		change func(*metadatav1.Movie)
		want   []string
	}{
		"no id":                    {func(m *metadatav1.Movie) { m.Id = "" }, []string{"movie.id: is required", "1 to 128 bytes"}},
		"long id":                  {func(m *metadatav1.Movie) { m.Id = strings.Repeat("i", 129) }, []string{"movie.id", "129"}},
		"id with a line end":       {func(m *metadatav1.Movie) { m.Id = "a\nb" }, []string{"movie.id", "control"}},
		"id with a space":          {func(m *metadatav1.Movie) { m.Id = "a " }, []string{"movie.id", "white space"}},
		"no title":                 {func(m *metadatav1.Movie) { m.Title = "" }, []string{"movie.title: is required"}},
		"blank title":              {func(m *metadatav1.Movie) { m.Title = " \t" }, []string{"movie.title: is required"}},
		"long title":               {func(m *metadatav1.Movie) { m.Title = strings.Repeat("ü", 501) }, []string{"movie.title", "500", "501"}},
		"title of two lines":       {func(m *metadatav1.Movie) { m.Title = "a\nb" }, []string{"movie.title", "one line"}},
		"title with NUL":           {func(m *metadatav1.Movie) { m.Title = "a\x00b" }, []string{"movie.title", "control"}},
		"long original title":      {func(m *metadatav1.Movie) { m.OriginalTitle = strings.Repeat("ü", 501) }, []string{"movie.original_title", "500"}},
		"many alternative titles":  {func(m *metadatav1.Movie) { m.AlternativeTitles = many("t", 51) }, []string{"movie.alternative_titles", "50", "51"}},
		"empty alternative title":  {func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"a", ""} }, []string{"movie.alternative_titles[1]: is required"}},
		"year before film":         {func(m *metadatav1.Movie) { m.Year = proto.Int32(1869) }, []string{"movie.year", "1870 to 2100", "1869"}},
		"year in the far future":   {func(m *metadatav1.Movie) { m.Year = proto.Int32(2101) }, []string{"movie.year", "1870 to 2100", "2101"}},
		"year 0":                   {func(m *metadatav1.Movie) { m.Year = proto.Int32(0) }, []string{"movie.year", "absent", "got 0"}},
		"negative year":            {func(m *metadatav1.Movie) { m.Year = proto.Int32(-1) }, []string{"movie.year", "-1"}},
		"many genres":              {func(m *metadatav1.Movie) { m.Genres = many("g", 21) }, []string{"movie.genres", "20", "21"}},
		"empty genre":              {func(m *metadatav1.Movie) { m.Genres = []string{" "} }, []string{"movie.genres[0]: is required"}},
		"long genre":               {func(m *metadatav1.Movie) { m.Genres = []string{"a", strings.Repeat("g", 51)} }, []string{"movie.genres[1]", "50", "51"}},
		"genre of two lines":       {func(m *metadatav1.Movie) { m.Genres = []string{"a\nb"} }, []string{"movie.genres[0]", "one line"}},
		"long director":            {func(m *metadatav1.Movie) { m.Director = strings.Repeat("d", 501) }, []string{"movie.director", "500"}},
		"long description":         {func(m *metadatav1.Movie) { m.Description = strings.Repeat("d", 10_001) }, []string{"movie.description", "10000", "10001"}},
		"runtime 0":                {func(m *metadatav1.Movie) { m.RuntimeMinutes = proto.Int32(0) }, []string{"movie.runtime_minutes", "1 to 6000", "got 0"}},
		"runtime too long":         {func(m *metadatav1.Movie) { m.RuntimeMinutes = proto.Int32(6001) }, []string{"movie.runtime_minutes", "1 to 6000", "6001"}},
		"imdb id without tt":       {ext(&metadatav1.ExternalIds{Imdb: "0111161"}), []string{"movie.external_ids.imdb", `"tt" and 7 to 10 digits`, `"0111161"`}},
		"imdb id of six digits":    {ext(&metadatav1.ExternalIds{Imdb: "tt111161"}), []string{"movie.external_ids.imdb", `"tt111161"`}},
		"imdb id of eleven digits": {ext(&metadatav1.ExternalIds{Imdb: "tt12345678901"}), []string{"movie.external_ids.imdb"}},
		"imdb id of a person":      {ext(&metadatav1.ExternalIds{Imdb: "nm0000151"}), []string{"movie.external_ids.imdb"}},
		"imdb id with a letter":    {ext(&metadatav1.ExternalIds{Imdb: "tt01111x1"}), []string{"movie.external_ids.imdb"}},
		"tmdb id 0":                {ext(&metadatav1.ExternalIds{Tmdb: "0"}), []string{"movie.external_ids.tmdb", "without leading zeros"}},
		"tmdb id with zeros":       {ext(&metadatav1.ExternalIds{Tmdb: "007"}), []string{"movie.external_ids.tmdb", `"007"`}},
		"tmdb id as a float":       {ext(&metadatav1.ExternalIds{Tmdb: "862.0"}), []string{"movie.external_ids.tmdb"}},
		"movielens id too long":    {ext(&metadatav1.ExternalIds{Movielens: "12345678901"}), []string{"movie.external_ids.movielens", "1 to 10 digits"}},
		"several at once": {
			func(m *metadatav1.Movie) { m.Title, m.Year, m.Genres = "", proto.Int32(3000), []string{""} },
			[]string{"movie.title", "movie.year", "movie.genres[0]"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: with(matrix(), tc.change)})
			wantError(t, err, codes.InvalidArgument, tc.want...)
		})
	}
	_, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{})
	wantError(t, err, codes.InvalidArgument, "movie: is required")

	list, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{})
	if err != nil || len(list.GetMovies()) != 0 {
		t.Errorf("refused movies were stored: %v, %v", list.GetMovies(), err)
	}
}

func TestExternalIDBelongsToOneMovie(t *testing.T) {
	c := newCatalogue(t)
	c.put(t, matrix())
	for source, x := range map[string]*metadatav1.ExternalIds{
		"imdb": {Imdb: "tt0133093"}, "tmdb": {Tmdb: "603"}, "movielens": {Movielens: "2571"},
	} {
		_, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: with(film("copy", "Copy"), func(m *metadatav1.Movie) { m.ExternalIds = x })})
		wantConflict(t, err, codes.AlreadyExists, "movie.external_ids."+source, `belongs to the movie "tt0133093"`)
	}
	// The same number in another catalogue is another id.
	c.put(t, with(film("copy", "Copy"), func(m *metadatav1.Movie) {
		m.ExternalIds = &metadatav1.ExternalIds{Tmdb: "2571", Movielens: "603"}
	}))
}
