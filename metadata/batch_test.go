package metadata_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

func TestBatchReplace(t *testing.T) {
	c := newCatalogue(t)
	c.put(t, film("same", "Same"))
	c.put(t, matrix())
	wantOutcomes(t, c.replace(t, film("same", "Same"), film("tt0133093", "The Matrix"), film("new", "New")), unchanged, updated, created)
	wantMovie(t, c.get(t, "tt0133093"), film("tt0133093", "The Matrix"))
	wantMovie(t, c.get(t, "new"), film("new", "New"))
}

func TestBatchRefusesOneByOne(t *testing.T) {
	c := newCatalogue(t)
	c.put(t, matrix())
	results := c.replace(t,
		film("a", "A"),
		film("b", ""),
		nil,
		film("d", "D"),
		with(film("e", "E"), func(m *metadatav1.Movie) { m.Year = proto.Int32(0) }),
		with(film("f", "F"), func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Tmdb: "603"} }),
		film("g", "G"),
	)
	wantOutcomes(t, results, created, refused, refused, created, refused, refused, created)
	for i, want := range map[int]struct {
		code   codes.Code
		reason string
	}{
		1: {codes.InvalidArgument, "movies[1].title: is required: 1 to 500 characters"},
		2: {codes.InvalidArgument, "movies[2].id: is required: 1 to 128 bytes"},
		4: {codes.InvalidArgument, "movies[4].year: must be 1870 to 2100, or absent where not known; got 0"},
		5: {codes.AlreadyExists, `movies[5].external_ids.tmdb: "603" belongs to the movie "tt0133093"; an external id belongs to one movie: change that one first, or write to it`},
	} {
		got := results[i]
		// A list cannot have a nil message on the wire, so movies[2] arrives empty.
		if i == 2 {
			want.reason = "movies[2].id: is required: 1 to 128 bytes; movies[2].title: is required: 1 to 500 characters"
		}
		if codes.Code(got.GetCode()) != want.code || got.GetReason() != want.reason {
			t.Errorf("movies[%d]: got %v %q, want %v %q", i, codes.Code(got.GetCode()), got.GetReason(), want.code, want.reason)
		}
	}
	list, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{})
	if err != nil || len(list.GetMovies()) != 4 {
		t.Errorf("stored: %v, %v", ids(list.GetMovies()), err)
	}
}

func TestBatchAsAWholeIsRefused(t *testing.T) {
	c := newCatalogue(t)
	movies := make([]*metadatav1.Movie, 201)
	for i := range movies {
		movies[i] = film(fmt.Sprint(i), "T")
	}
	_, err := c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Movies: movies, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE})
	wantError(t, err, codes.InvalidArgument, "movies: must be at most 200 movies, got 201")
	_, err = c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Movies: movies[:1]})
	wantError(t, err, codes.InvalidArgument, "mode: must be BATCH_PUT_MODE_REPLACE or BATCH_PUT_MODE_FILL", "UNSPECIFIED")
	_, err = c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{Movies: movies[:1], Mode: 77})
	wantError(t, err, codes.InvalidArgument, "mode", "77")

	results := c.replace(t, movies[:200]...)
	for i, r := range results {
		if r.GetOutcome() != created {
			t.Fatalf("movie %d: %v", i, r)
		}
	}
	wantOutcomes(t, c.fill(t), []metadatav1.BatchPutMoviesResponse_Outcome(nil)...)
}

func TestBatchWithTheSameMovieTwice(t *testing.T) {
	c := newCatalogue(t)
	wantOutcomes(t, c.replace(t, film("x", "A"), film("x", "B"), film("x", "B"), film("x", "C")), created, updated, unchanged, updated)
	wantMovie(t, c.get(t, "x"), film("x", "C"))
}

func TestBatchMovesExternalIDs(t *testing.T) {
	c := newCatalogue(t)
	imdb := func(id, imdb string) *metadatav1.Movie {
		return with(film(id, id), func(m *metadatav1.Movie) {
			if imdb != "" {
				m.ExternalIds = &metadatav1.ExternalIds{Imdb: imdb}
			}
		})
	}
	const one, two = "tt0000001", "tt0000002"
	wantOutcomes(t, c.replace(t, imdb("a", one), imdb("b", one), imdb("b", two)), created, refused, created)
	// a frees its id before b claims it; c claims one that is not free yet.
	wantOutcomes(t, c.replace(t, imdb("c", one), imdb("a", ""), imdb("b", one), imdb("a", two)), refused, updated, updated, updated)
	for id, want := range map[string]string{one: "b", two: "a"} {
		got, err := c.LookupMovie(t.Context(), &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_ImdbId{ImdbId: id}})
		if err != nil || got.GetMovie().GetId() != want {
			t.Errorf("%s: got %v, %v, want %s", id, got.GetMovie().GetId(), err, want)
		}
	}
}

func TestFill(t *testing.T) {
	valid := matrix // what is stored before
	for name, tc := range map[string]struct {
		stored, fill, want *metadatav1.Movie
		outcome            metadatav1.BatchPutMoviesResponse_Outcome
	}{
		"a new movie is created": {nil, valid(), valid(), created},
		"empty fields are filled": {
			film("tt0133093", "Matrix"), with(valid(), func(m *metadatav1.Movie) { m.Genres = nil }),
			with(valid(), func(m *metadatav1.Movie) { m.Genres = nil }), updated,
		},
		"the same changes nothing": {valid(), valid(), valid(), unchanged},
		"less changes nothing":     {valid(), film("tt0133093", "Matrix"), valid(), unchanged},
		"nothing is overwritten": {valid(), with(valid(), func(m *metadatav1.Movie) {
			m.Year, m.RuntimeMinutes = proto.Int32(2000), proto.Int32(1)
			m.Director, m.Description = "A Director", "Something"
			m.ExternalIds = &metadatav1.ExternalIds{Imdb: "tt9999999", Tmdb: "9", Movielens: "9"}
		}), valid(), unchanged},
		"external ids are added": {
			with(valid(), func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Imdb: "tt0133093"} }),
			with(valid(), func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Tmdb: "603"} }),
			with(valid(), func(m *metadatav1.Movie) { m.ExternalIds = &metadatav1.ExternalIds{Imdb: "tt0133093", Tmdb: "603"} }), updated,
		},
		"another original title becomes an alternative": {
			valid(), with(valid(), func(m *metadatav1.Movie) { m.OriginalTitle = "Matrix, The" }),
			with(valid(), func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"La matrice", "Matrix, The"} }), updated,
		},
		"genres are united": {
			valid(), with(valid(), func(m *metadatav1.Movie) { m.Genres = []string{"Thriller", "sci-fi", "Drama"} }),
			with(valid(), func(m *metadatav1.Movie) { m.Genres = []string{"Action", "Sci-Fi", "Thriller", "Drama"} }), updated,
		},
		"genres are united up to the limit": {
			with(valid(), func(m *metadatav1.Movie) { m.Genres = many("g", 19) }),
			with(valid(), func(m *metadatav1.Movie) { m.Genres = []string{"x", "y", "z"} }),
			with(valid(), func(m *metadatav1.Movie) { m.Genres = append(many("g", 19), "x") }), updated,
		},
		"another title becomes an alternative": {
			valid(), with(valid(), func(m *metadatav1.Movie) { m.Title = "Matriks" }),
			with(valid(), func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"La matrice", "Matriks"} }), updated,
		},
		"alternative titles are united": {
			valid(), with(valid(), func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"LA MATRICE!", "Die Matrix", "matrix"} }),
			with(valid(), func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"La matrice", "Die Matrix"} }), updated,
		},
		"a title that differs in case is none":       {valid(), with(valid(), func(m *metadatav1.Movie) { m.Title = "MÁTRIX" }), valid(), unchanged},
		"the original title is no alternative":       {valid(), with(valid(), func(m *metadatav1.Movie) { m.Title = "the matrix" }), valid(), unchanged},
		"the stored title is no original title":      {film("tt0133093", "Matrix"), with(film("tt0133093", "The Matrix"), func(m *metadatav1.Movie) { m.OriginalTitle = "Matrix" }), with(film("tt0133093", "Matrix"), func(m *metadatav1.Movie) { m.AlternativeTitles = []string{"The Matrix"} }), updated},
		"a filled original title is no alternative":  {film("tt0133093", "Matrix"), with(film("tt0133093", "The Matrix"), func(m *metadatav1.Movie) { m.OriginalTitle = "Die Matrix" }), with(film("tt0133093", "Matrix"), func(m *metadatav1.Movie) { m.OriginalTitle, m.AlternativeTitles = "Die Matrix", []string{"The Matrix"} }), updated},
		"alternative titles stop at the upper limit": {with(valid(), func(m *metadatav1.Movie) { m.AlternativeTitles = many("t", 50) }), with(valid(), func(m *metadatav1.Movie) { m.Title = "Matriks" }), with(valid(), func(m *metadatav1.Movie) { m.AlternativeTitles = many("t", 50) }), unchanged},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCatalogue(t)
			if tc.stored != nil {
				c.put(t, tc.stored)
			}
			c.clock.advance(time.Minute)
			wantOutcomes(t, c.fill(t, tc.fill), tc.outcome)
			got := c.get(t, "tt0133093")
			wantMovie(t, got, tc.want)
			wantOutcomes(t, c.fill(t, tc.fill), unchanged)
			if again := c.get(t, "tt0133093"); !proto.Equal(again, got) {
				t.Errorf("filling again changed %v to %v", got, again)
			}
		})
	}
}

// Sources are merged by id, in any order.
func TestFillFromSeveralSourcesInOneBatch(t *testing.T) {
	c := newCatalogue(t)
	wantOutcomes(t, c.fill(t,
		with(film("x", "A"), func(m *metadatav1.Movie) { m.Genres = []string{"Drama"} }),
		with(film("x", "B"), func(m *metadatav1.Movie) { m.Year = proto.Int32(1950) }),
		with(film("x", "a"), func(m *metadatav1.Movie) { m.Genres = []string{"War"} }),
	), created, updated, updated)
	wantMovie(t, c.get(t, "x"), &metadatav1.Movie{
		Id: "x", Title: "A", AlternativeTitles: []string{"B"}, Genres: []string{"Drama", "War"}, Year: proto.Int32(1950),
	})
}
