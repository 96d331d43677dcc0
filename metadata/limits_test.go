package metadata_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/metadata/internal/text"
)

// Everything that validation allows is stored as given: the longest texts in characters of four bytes, characters
// that JSON writes in six, the longest id.
func TestLongestMovie(t *testing.T) {
	c := newCatalogue(t)
	const film = "\U0001F3AC" // four bytes
	numbered := func(n, length int) []string {
		texts := make([]string, n)
		for i := range texts {
			texts[i] = strings.Repeat("<", length-3) + fmt.Sprintf("%03d", i) // "<" is six bytes of JSON
		}
		return texts
	}
	m := &metadatav1.Movie{
		Id:                strings.Repeat("\U0001F3AC", 32),
		Title:             strings.Repeat(film, 500),
		OriginalTitle:     strings.Repeat(film, 499) + "x",
		AlternativeTitles: numbered(50, 500),
		Year:              proto.Int32(2100),
		Director:          strings.Repeat(film, 500),
		Description:       strings.Repeat(film, 10_000),
		RuntimeMinutes:    proto.Int32(6000),
		ExternalIds:       &metadatav1.ExternalIds{Imdb: "tt9999999999", Tmdb: "9999999999", Movielens: "9999999999"},
	}
	for i := range 20 {
		m.Genres = append(m.Genres, strings.Repeat("\U0001E921", 49)+string(rune('a'+i))) // a capital, of four bytes as its small letter
	}
	c.put(t, m)
	wantMovie(t, c.get(t, m.GetId()), m)
	resp, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{Filter: &metadatav1.MovieFilter{Genre: m.GetGenres()[19]}})
	if err != nil || len(resp.GetMovies()) != 1 {
		t.Errorf("the list of its last genre: %v, %v", ids(resp.GetMovies()), err)
	}
	found, err := c.SelectMovies(t.Context(), &metadatav1.SelectMoviesRequest{Ids: []string{m.GetId()}, Filter: &metadatav1.MovieFilter{Genre: m.GetGenres()[19]}})
	if err != nil || len(found.GetMatches()) != 1 {
		t.Errorf("selected %v, %v", found, err)
	}
	checkRemoval(t, c, m.GetId())
}

// checkRemoval checks that a deletion removes everything that was stored for a film.
func checkRemoval(t *testing.T, c *catalogue, id string) {
	t.Helper()
	if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: id}); err != nil {
		t.Fatal(err)
	}
	checkTables(t, c.db)
}

// The column for a genre's key (300 bytes on MySQL) has room for any 50 characters: folding turns one into at most
// six bytes. A character that normalisation decomposes counts as the characters it becomes.
func TestGenreKeysFitTheirColumn(t *testing.T) {
	for r := rune(1); r <= utf8.MaxRune; r++ {
		one := string(r)
		if utf8.ValidRune(r) && norm.NFC.IsNormalString(one) && len(text.GenreKey(one)) > 6 {
			t.Errorf("%U has a key of %d bytes", r, len(text.GenreKey(one)))
		}
	}
}

// Ids are bytes: case, accents, width and the Unicode form count, and their order is that of the bytes.
func TestIDsAreBytes(t *testing.T) {
	c := newCatalogue(t)
	want := []string{"A", "B", "a", "a b", "a  b", "b", "e", "e\u0301", "\u00e9", "\uff41", "ß", "ss", "\U0001F3AC", "\ufffd"}
	for _, id := range want {
		c.put(t, film(id, "Same"))
	}
	for _, id := range want {
		if got := c.get(t, id); got.GetId() != id {
			t.Errorf("asked for %q, got %q", id, got.GetId())
		}
	}
	slices.Sort(want)
	if got := ids(snapshot(t, c)); !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
	c.sync(t, "", "", map[string]int32{"A": 1, "a": 2})
	if got := votes(t, c.db); got["A"] != 1 || got["a"] != 2 {
		t.Errorf("votes %v", got)
	}
	_, err := c.GetMovie(t.Context(), &metadatav1.GetMovieRequest{Id: "E"})
	wantError(t, err, codes.NotFound)
}

// Times are kept to the microsecond.
func TestTimesAreKeptToTheMicrosecond(t *testing.T) {
	c := newCatalogue(t)
	c.clock.advance(123456 * time.Microsecond)
	m := c.put(t, film("x", "X"))
	c.clock.advance(time.Microsecond)
	c.put(t, film("x", "Y"))
	got := c.get(t, "x")
	if d := got.GetUpdateTime().AsTime().Sub(got.GetCreateTime().AsTime()); d != time.Microsecond || !got.GetCreateTime().AsTime().Equal(m.GetCreateTime().AsTime()) {
		t.Errorf("created %v, updated %v", got.GetCreateTime().AsTime(), got.GetUpdateTime().AsTime())
	}
}
