package metadata_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// overwriteAll are all fields that a source can overwrite.
func overwriteAll() []string {
	return []string{"title", "original_title", "year", "director", "runtime_minutes", "description"}
}

// fillOver writes a batch that overwrites some fields.
func (c *catalogue) fillOver(t testing.TB, overwrite []string, movies ...*metadatav1.Movie) []*metadatav1.BatchPutMoviesResponse_Result {
	t.Helper()
	resp, err := c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
		Movies: movies, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL, Overwrite: overwrite,
	})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetResults()
}

func TestFillOverwrites(t *testing.T) {
	valid := matrix
	for name, tc := range map[string]struct {
		fields             []string
		stored, fill, want *metadatav1.Movie
		outcome            metadatav1.BatchPutMoviesResponse_Outcome
	}{
		"every field": {
			overwriteAll(), valid(),
			with(film("tt0133093", "The Matrix"), func(m *metadatav1.Movie) {
				m.OriginalTitle, m.Director, m.Description = "Die Matrix", "The Wachowskis", "Red or blue."
				m.Year, m.RuntimeMinutes = proto.Int32(1998), proto.Int32(131)
			}),
			with(valid(), func(m *metadatav1.Movie) {
				m.Title, m.OriginalTitle, m.Director, m.Description = "The Matrix", "Die Matrix", "The Wachowskis", "Red or blue."
				m.Year, m.RuntimeMinutes = proto.Int32(1998), proto.Int32(131)
				m.AlternativeTitles = []string{"Matrix", "La matrice"}
			}), updated,
		},
		"only the fields named": {
			[]string{"year"},
			valid(),
			with(valid(), func(m *metadatav1.Movie) {
				m.Year, m.RuntimeMinutes, m.Director = proto.Int32(1998), proto.Int32(131), "A Director"
			}),
			with(valid(), func(m *metadatav1.Movie) { m.Year = proto.Int32(1998) }), updated,
		},
		"what the sender does not know stays": {overwriteAll(), valid(), film("tt0133093", "Matrix"), valid(), unchanged},
		"the same changes nothing":            {overwriteAll(), valid(), valid(), valid(), unchanged},
		"a title in another case replaces and is no alternative": {
			[]string{"title"},
			valid(), film("tt0133093", "MATRIX"),
			with(valid(), func(m *metadatav1.Movie) { m.Title = "MATRIX" }), updated,
		},
		"an alternative becomes the title": {
			[]string{"title"},
			valid(), film("tt0133093", "La matrice"),
			with(valid(), func(m *metadatav1.Movie) { m.Title, m.AlternativeTitles = "La matrice", []string{"Matrix"} }), updated,
		},
		"the original becomes the title": {
			[]string{"title"},
			valid(), film("tt0133093", "The Matrix"),
			with(valid(), func(m *metadatav1.Movie) {
				m.Title, m.OriginalTitle, m.AlternativeTitles = "The Matrix", "", []string{"Matrix", "La matrice"}
			}), updated,
		},
		"and makes room for another original": {
			[]string{"title"},
			valid(), with(film("tt0133093", "The Matrix"), func(m *metadatav1.Movie) { m.OriginalTitle = "Matriks" }),
			with(valid(), func(m *metadatav1.Movie) {
				m.Title, m.OriginalTitle, m.AlternativeTitles = "The Matrix", "Matriks", []string{"Matrix", "La matrice"}
			}), updated,
		},
		"a replaced title stays although the list is full": {
			[]string{"title"},
			with(valid(), func(m *metadatav1.Movie) { m.AlternativeTitles = many("t", 50) }), film("tt0133093", "Matriks"),
			with(valid(), func(m *metadatav1.Movie) {
				m.Title, m.AlternativeTitles = "Matriks", append([]string{"Matrix"}, many("t", 49)...)
			}), updated,
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCatalogue(t)
			c.put(t, tc.stored)
			c.clock.advance(time.Minute)
			wantOutcomes(t, c.fillOver(t, tc.fields, tc.fill), tc.outcome)
			got := c.get(t, "tt0133093")
			wantMovie(t, got, tc.want)
			wantOutcomes(t, c.fillOver(t, tc.fields, tc.fill), unchanged)
			if again := c.get(t, "tt0133093"); !proto.Equal(again, got) {
				t.Errorf("filling again changed %v to %v", got, again)
			}
			checkTables(t, c.db)
		})
	}
}

func TestOverwriteErrors(t *testing.T) {
	c := newCatalogue(t)
	req := &metadatav1.BatchPutMoviesRequest{
		Movies: []*metadatav1.Movie{matrix()}, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL, Overwrite: []string{"title", "genres", ""},
	}
	_, err := c.BatchPutMovies(t.Context(), req)
	const allowed = "must be title, original_title, year, director, runtime_minutes or description"
	wantError(t, err, codes.InvalidArgument, "overwrite[1]: "+allowed+`, got "genres"`, "overwrite[2]: "+allowed+`, got ""`)
	req.Mode, req.Overwrite = metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE, []string{"title"}
	_, err = c.BatchPutMovies(t.Context(), req)
	wantError(t, err, codes.InvalidArgument, "overwrite: must be empty unless the mode is BATCH_PUT_MODE_FILL")
	if left := snapshot(t, c); len(left) != 0 {
		t.Errorf("stored: %v", left)
	}
}

// drawSource draws one source's description of the film x. Names are few, so that one source's title
// is another one's original or alternative title often enough.
func drawSource(t *rapid.T, label string) *metadatav1.Movie {
	name := rapid.SampledFrom([]string{"Alien", "ALIEN", "Aliens", "The Alien", "Älien", "Obcy", "obcy", "Le huitième passager"})
	text := rapid.SampledFrom([]string{"", "one", "two"})
	number := rapid.SampledFrom([]int32{0, 1979, 1980})
	m := film("x", name.Draw(t, label+" title"))
	if rapid.Bool().Draw(t, label+" has an original title") {
		m.OriginalTitle = name.Draw(t, label+" original title")
	}
	m.AlternativeTitles = rapid.SliceOfN(name, 0, 3).Draw(t, label+" alternative titles")
	m.Genres = rapid.SliceOfN(rapid.SampledFrom([]string{"Horror", "horror", "Sci-Fi", "Drama"}), 0, 3).Draw(t, label+" genres")
	m.Director, m.Description = text.Draw(t, label+" director"), text.Draw(t, label+" description")
	if n := number.Draw(t, label+" year"); n != 0 {
		m.Year = proto.Int32(n)
	}
	if n := number.Draw(t, label+" runtime"); n != 0 {
		m.RuntimeMinutes = proto.Int32(n)
	}
	return m
}

// known is a film without the order and the spelling of its lists: names that differ only
// in case or accents are one, and a title is not an alternative title.
func known(m *metadatav1.Movie) *metadatav1.Movie {
	m = proto.Clone(m).(*metadatav1.Movie)
	plain := func(list []string, leaveOut ...string) []string {
		var keys []string
		for _, v := range list {
			key := strings.ReplaceAll(strings.ToLower(v), "ä", "a")
			if !slices.Contains(leaveOut, key) {
				keys = append(keys, key)
			}
		}
		slices.Sort(keys)
		return slices.Compact(keys)
	}
	m.AlternativeTitles = plain(m.GetAlternativeTitles(), plain([]string{m.GetTitle(), m.GetOriginalTitle()})...)
	m.Genres = plain(m.GetGenres())
	return m
}

// Two sources describe one film, and one of them overwrites: in any order and with any
// repetitions, the film is the same.
func TestFillDoesNotDependOnTheOrderOfSources(t *testing.T) {
	c := newCatalogue(t)
	rapid.Check(t, func(rt *rapid.T) {
		better, other := drawSource(rt, "better"), drawSource(rt, "other")
		films := make([]*metadatav1.Movie, 2)
		for i := range films {
			if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x"}); i > 0 && err != nil {
				rt.Fatal(err)
			}
			first := func() []*metadatav1.BatchPutMoviesResponse_Result { return c.fillOver(t, overwriteAll(), better) }
			second := func() []*metadatav1.BatchPutMoviesResponse_Result { return c.fill(t, other) }
			if i == 1 {
				first, second = second, first
			}
			first()
			second()
			films[i] = c.get(t, "x")
			for _, again := range [][]*metadatav1.BatchPutMoviesResponse_Result{first(), second()} {
				if again[0].GetOutcome() != unchanged {
					rt.Fatalf("order %d: again: %v", i, again)
				}
			}
		}
		if diff := cmp.Diff(known(films[0]), known(films[1]), protocmp.Transform(), protocmp.IgnoreFields(&metadatav1.Movie{}, "etag")); diff != "" {
			rt.Fatalf("the better source first and the other one first (-first +second):\n%s", diff)
		}
		// No name is lost.
		all := func(m *metadatav1.Movie) []string {
			return known(&metadatav1.Movie{AlternativeTitles: append([]string{m.GetTitle(), m.GetOriginalTitle()}, m.GetAlternativeTitles()...)}).GetAlternativeTitles()
		}
		for _, name := range append(all(better), all(other)...) {
			if !slices.Contains(all(films[0]), name) {
				rt.Fatalf("the name %q is lost in %v", name, films[0])
			}
		}
	})
}
