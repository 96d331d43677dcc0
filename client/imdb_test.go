package client_test

import (
	"context"
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	"movieexample.com/client"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/imdb"
	"movieexample.com/internal/fault"
)

// fixtures are IMDb's files as they are checked in.
const fixtures = "../imdb/testdata"

// told collects what an import from IMDb tells.
type told struct{ rejected, noted, lacking []string }

func (l *told) options() client.IMDbOptions {
	return client.IMDbOptions{
		Rejected: func(bad *imdb.RowError) { l.rejected = append(l.rejected, bad.Error()) },
		Noted:    func(odd *imdb.RowError) { l.noted = append(l.noted, odd.Error()) },
		Lacking:  func(text string) { l.lacking = append(l.lacking, text) },
	}
}

// catalogue is every film, by id, without what differs from run to run. The order of lists is that of imports.
func (s *system) catalogue(t testing.TB) map[string]*metadatav1.Movie {
	t.Helper()
	all := map[string]*metadatav1.Movie{}
	for token := ""; ; {
		resp, err := s.metadata.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{PageSize: 7, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range resp.GetMovies() {
			m.Etag, m.CreateTime, m.UpdateTime = "", nil, nil
			all[m.GetId()] = m
		}
		if token = resp.GetNextPageToken(); token == "" {
			return all
		}
	}
}

func TestImportIMDb(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	var l told
	got, err := c.ImportIMDb(t.Context(), fixtures, l.options())
	if err != nil {
		t.Fatal(err)
	}
	want := client.IMDbSummary{
		Directory: fixtures, Films: client.FilmCounts{Read: 15, Created: 15}, OtherTypes: 2, Adult: 1, UnknownDirectors: 2, Rejected: 14, Noted: 6,
		Rows: map[string]int64{"title.basics.tsv": 24, "title.crew.tsv": 18, "name.basics.tsv": 56, "title.akas.tsv": 79},
	}
	noTimes := cmpopts.IgnoreFields(client.IMDbSummary{}, "Seconds")
	if diff := cmp.Diff(want, got, noTimes); diff != "" {
		t.Errorf("summary (-want +got):\n%s", diff)
	}
	wantNoted := []string{
		`title.basics.tsv line 19: startYear "199x": must be a year, or \N if it is unknown; the film went in without it`,
		`title.crew.tsv line 17: directors "nm0090002,tt0090004": must be ids separated by commas, each "nm" and 7 to 10 digits, or \N; the film went in without "tt0090004"`,
		`title.akas.tsv line 16: ordering "x": must be a whole number of at least 1; the title is sorted after those that have one`,
		`title.basics.tsv line 24: tconst "tt2659414": runtimeMinutes 51420 is more than 6000; the film went in without a running time`,
		`title.basics.tsv line 25: tconst "tt5174640": startYear 2115 is not between 1870 and 2100; the film went in without a year`,
		`title.basics.tsv line 26: tconst "tt9000001": of its 40 directors the first 21 went in: their names may have 500 characters in all`,
	}
	if diff := cmp.Diff(wantNoted, l.noted); diff != "" || len(l.rejected) != 14 || len(l.lacking) != 0 {
		t.Errorf("%d rejected, lacking %q, noted (-want +got):\n%s", len(l.rejected), l.lacking, diff)
	}
	films := s.catalogue(t)
	wantFilm := &metadatav1.Movie{
		Id: "tt0047478", Title: "Seven Samurai", OriginalTitle: "Shichinin no samurai", Year: proto.Int32(1954), RuntimeMinutes: proto.Int32(207),
		AlternativeTitles: []string{"The Seven Samurai", "Les sept samouraïs", "七人の侍", "A Row without Ordering", "The Magnificent Seven", `Los "siete" samuráis`},
		Genres:            []string{"Action", "Drama"}, Director: "Akira Kurosawa", ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0047478"},
	}
	if diff := cmp.Diff(wantFilm, films["tt0047478"], protocmp.Transform()); diff != "" {
		t.Errorf("film (-want +got):\n%s", diff)
	}
	if got, want := films["tt0032138"].GetDirector(), "Victor Fleming, George Cukor, King Vidor"; got != want {
		t.Errorf("directors %q, want %q", got, want)
	}
	if m := films["tt9000001"]; !strings.HasSuffix(m.GetDirector(), ", Contributor Number 21") || len(m.GetAlternativeTitles()) != imdb.MaxAlternativeTitles {
		t.Errorf("director %q, %d titles", m.GetDirector(), len(m.GetAlternativeTitles()))
	}
	got, err = c.ImportIMDb(t.Context(), fixtures, client.IMDbOptions{})
	if err != nil {
		t.Fatal(err)
	}
	want.Films, want.NothingChanged = client.FilmCounts{Read: 15, Unchanged: 15}, true
	if diff := cmp.Diff(want, got, noTimes); diff != "" {
		t.Errorf("summary of the second import (-want +got):\n%s", diff)
	}
}

// meeting is a MovieLens data set with films that the fixtures have too.
func meeting(t testing.TB) string {
	return writeFiles(t, map[string]string{
		"movies.csv": `movieId,title,genres
1,"Seven Samurai (Shichinin no samurai) (1954)",Action|Adventure|Drama
2,"Kid, The (1920)",Children|Comedy
3,Knockout Club (a.k.a. Soap) (1999),Action|Crime
4,Not at IMDb (2001),Drama
`,
		"links.csv":   "movieId,imdbId,tmdbId\n1,0047478,346\n2,0012349,10098\n3,0137523,550\n4,,\n",
		"ratings.csv": "userId,movieId,rating,timestamp\n1,1,5.0,964982703\n1,3,4.5,964982703\n",
	})
}

// TestImportsMeet: what both know becomes one film, the same whichever import comes first and however often they are repeated.
func TestImportsMeet(t *testing.T) {
	lens := meeting(t)
	describe := func(t *testing.T, s *system) {
		t.Helper()
		_, err := s.metadata.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
			Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL,
			Movies: []*metadatav1.Movie{{
				Id: "tt0047478", Title: "Seven Samurai", Year: proto.Int32(1955), Director: "Kurosawa", Description: "Ours.", Genres: []string{"Action", "War"},
			}},
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	sorted := func(films map[string]*metadatav1.Movie) map[string]*metadatav1.Movie {
		for _, m := range films {
			slices.Sort(m.AlternativeTitles)
			slices.Sort(m.Genres)
		}
		return films
	}
	var first map[string]*metadatav1.Movie
	for _, order := range []string{"imdb lens ours", "lens ours imdb", "ours lens imdb", "lens imdb ours", "ours imdb lens", "imdb ours lens"} {
		s := startSystem(t)
		c := connect(t, s.addresses)
		load := func(source string) (changed bool) {
			switch source {
			case "imdb":
				sum, err := c.ImportIMDb(t.Context(), fixtures, client.IMDbOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return !sum.NothingChanged
			case "lens":
				sum, err := c.ImportMovieLens(t.Context(), lens, client.ImportOptions{})
				if err != nil {
					t.Fatal(err)
				}
				return !sum.NothingChanged
			}
			describe(t, s)
			return false
		}
		for source := range strings.FieldsSeq(order) {
			load(source)
		}
		films := s.catalogue(t)
		for source := range strings.FieldsSeq(order) {
			if load(source) {
				t.Errorf("%s: %s again changed something", order, source)
			}
		}
		if diff := cmp.Diff(films, s.catalogue(t), protocmp.Transform()); diff != "" {
			t.Errorf("%s, loaded twice (-once +twice):\n%s", order, diff)
		}
		if sorted(films); first == nil {
			first = films
		}
		if diff := cmp.Diff(first, films, protocmp.Transform()); diff != "" {
			t.Errorf("%s (-another order +this order):\n%s", order, diff)
		}
	}
	for id, want := range map[string]*metadatav1.Movie{
		"tt0047478": {
			Id: "tt0047478", Title: "Seven Samurai", OriginalTitle: "Shichinin no samurai", Year: proto.Int32(1954), RuntimeMinutes: proto.Int32(207),
			AlternativeTitles: []string{"A Row without Ordering", "Les sept samouraïs", `Los "siete" samuráis`, "The Magnificent Seven", "The Seven Samurai", "七人の侍"},
			Genres:            []string{"Action", "Adventure", "Drama", "War"}, Director: "Akira Kurosawa", Description: "Ours.",
			ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0047478", Tmdb: "346", Movielens: "1"},
		},
		"tt0012349": {
			Id: "tt0012349", Title: "The Kid", Year: proto.Int32(1921), RuntimeMinutes: proto.Int32(68),
			AlternativeTitles: []string{"Der Vagabund und das Kind", "Le Kid", "Vagabunden och barnet"},
			Genres:            []string{"Children", "Comedy", "Drama"}, Director: "Charles Chaplin",
			ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0012349", Tmdb: "10098", Movielens: "2"},
		},
		"tt0137523": {
			Id: "tt0137523", Title: "Fight Club", Year: proto.Int32(1999), RuntimeMinutes: proto.Int32(139),
			AlternativeTitles: []string{"El club de la lucha", "Knockout Club", "Soap"},
			Genres:            []string{"Action", "Crime", "Drama"}, Director: "David Fincher",
			ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0137523", Tmdb: "550", Movielens: "3"},
		},
	} {
		if diff := cmp.Diff(want, first[id], protocmp.Transform()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", id, diff)
		}
	}
	if len(first) != 16 {
		t.Errorf("%d films, want 15 of IMDb and one of MovieLens", len(first))
	}
}

// TestImportIMDbMeetsOwnFilm: a film that a user created under another id is recognised by its IMDb id.
func TestImportIMDbMeetsOwnFilm(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	own := strings.Repeat("my own ", 10) + "film" // longer than messages show
	put := &metadatav1.Movie{Id: own, Title: "Fight!", Description: "Mine.", ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0137523"}}
	if _, err := s.metadata.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: put}); err != nil {
		t.Fatal(err)
	}
	var l told
	got, err := c.ImportIMDb(t.Context(), fixtures, l.options())
	if err != nil {
		t.Fatal(err)
	}
	if want := (client.FilmCounts{Read: 15, Created: 14, Updated: 1}); got.Films != want {
		t.Errorf("films %+v, want %+v", got.Films, want)
	}
	if len(l.noted) < 4 || !strings.HasPrefix(l.noted[3], `title.basics.tsv line 21: tconst "tt0137523": the film "my own my own`) || !strings.HasSuffix(l.noted[3], `has the IMDb id tt0137523; the two were merged`) {
		t.Errorf("noted %q", l.noted)
	}
	films := s.catalogue(t)
	m := films[own]
	if m.GetTitle() != "Fight Club" || m.GetDescription() != "Mine." || m.GetDirector() != "David Fincher" || !slices.Contains(m.GetAlternativeTitles(), "Fight!") || films["tt0137523"] != nil {
		t.Errorf("the film became %v", m)
	}
	if again, err := c.ImportIMDb(t.Context(), fixtures, client.IMDbOptions{}); err != nil || !again.NothingChanged {
		t.Errorf("again: %+v, error %v", again, err)
	}
}

func TestImportIMDbFails(t *testing.T) {
	s := startSystem(t)
	c := connect(t, s.addresses)
	if _, err := c.ImportIMDb(t.Context(), t.TempDir(), client.IMDbOptions{}); fault.KindOf(err) != fault.KindInvalid || !strings.Contains(err.Error(), "has no title.basics.tsv") {
		t.Errorf("no files: %v", err)
	}
	nowhere := connect(t, client.Addresses{Metadata: "127.0.0.1:1"})
	got, err := nowhere.ImportIMDb(t.Context(), fixtures, client.IMDbOptions{})
	if gone := (*client.UnreachableError)(nil); !errors.As(err, &gone) || gone.Part != client.Metadata || len(got.Rows) > 0 {
		t.Errorf("no system: %v, summary %+v", err, got)
	}

	// Ended while films are written.
	dir := t.TempDir()
	if _, err := imdb.Generate(t.Context(), dir, imdb.GenerateOptions{Titles: 4000, Films: 4000, Seed: 1}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var phases []client.Phase
	got, err = c.ImportIMDb(ctx, dir, client.IMDbOptions{Progress: func(p client.Progress) {
		if len(phases) == 0 || phases[len(phases)-1] != p.Phase {
			phases = append(phases, p.Phase)
		}
		if p.Phase == client.PhaseFilms && p.Rows > 0 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) || !got.Interrupted || got.NothingChanged || !strings.Contains(err.Error(), "run it again to complete it") {
		t.Errorf("interrupted: %v, %+v", err, got)
	}
	if got.Films.Created == 0 || got.Films.Created == 4000 {
		t.Errorf("%d of 4000 films went in: that is no interruption", got.Films.Created)
	}
	done, err := c.ImportIMDb(t.Context(), dir, client.IMDbOptions{})
	if err != nil || done.Films.Created+done.Films.Unchanged != 4000 || done.Films.Unchanged < got.Films.Created {
		t.Errorf("completed: %+v, error %v", done, err)
	}
	lacking := told{}
	if _, err := c.ImportIMDb(t.Context(), writeFiles(t, map[string]string{
		"title.basics.tsv": "tconst\ttitleType\tprimaryTitle\toriginalTitle\tisAdult\tstartYear\truntimeMinutes\tgenres\n",
	}), lacking.options()); err != nil || len(lacking.lacking) != 2 || !strings.HasSuffix(lacking.lacking[0], string(filepath.Separator)+"001 has no title.crew.tsv.gz and no name.basics.tsv.gz: films go in without directors") && !strings.HasSuffix(lacking.lacking[0], " has no title.crew.tsv.gz and no name.basics.tsv.gz: films go in without directors") {
		t.Errorf("lacking %q, error %v", lacking.lacking, err)
	}
}
