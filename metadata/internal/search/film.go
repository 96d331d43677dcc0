package search

import (
	"slices"
	"strings"

	"movieexample.com/metadata/internal/text"
)

// Film is what the index knows of a film.
type Film struct {
	// ID identifies the film. Films with an empty ID are ignored.
	ID string
	// Title is the name that is shown; it gives the order among films with equal votes.
	Title string
	// Original and Alternatives are the film's other names; empty ones are ignored.
	Original     string
	Alternatives []string
	// Director is the name of the director; several are joined by ", ".
	Director string
	// Year of release, 1 to 9999; anything else means unknown.
	Year int
	// Genres as they are shown. Two spellings of one genre differ in case only.
	Genres []string
	// Votes is the number of ratings; a negative one counts as 0.
	Votes int32
}

// Change is a film that is new or different, or one that was deleted.
type Change struct {
	Film Film
	// Deleted removes the film with Film.ID; the other fields do not matter.
	Deleted bool
}

// normal is f as it is indexed: without empty or repeated values, and in range.
func normal(f Film) Film {
	if f.Year < 1 || f.Year > 9999 {
		f.Year = 0
	}
	f.Votes = max(f.Votes, 0)
	var genres, seen []string
	for _, g := range f.Genres {
		g = strings.TrimSpace(g)
		if key := text.GenreKey(g); key != "" && !slices.Contains(seen, key) && len(seen) < maxGenres {
			seen, genres = append(seen, key), append(genres, g)
		}
	}
	f.Genres = genres
	others := make([]string, 0, len(f.Alternatives)+1)
	for _, name := range append([]string{f.Original}, f.Alternatives...) {
		if name != "" && name != f.Title && !slices.Contains(others, name) {
			others = append(others, name)
		}
	}
	f.Original, f.Alternatives = "", others
	return f
}

// maxGenres bounds the genres of one film, and so the cost of a set of genres.
const maxGenres = 64

// entry is a film to index.
type entry struct {
	film Film // normal
	key  string
}

func entryOf(f Film) entry { return entry{film: f, key: text.SortKey(f.Title)} }

// weightBytes is how much text of a film counts as much as a film does.
const weightBytes = 512

// weightOf is the cost of indexing a film: 1 for almost all. One with fifty titles of 500 letters takes as long as a hundred others,
// and must not be indexed again with each change.
func weightOf(f Film) int {
	n := len(f.Title) + len(f.Director)
	for _, name := range f.Alternatives {
		n += len(name)
	}
	return 1 + n/weightBytes
}

// isAs reports whether every query finds the two normal films in the same way, apart from the order,
// which depends on votes.
func (f Film) isAs(other Film) bool {
	same := func(a, b []string) bool {
		return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
	}
	return f.Title == other.Title && f.Director == other.Director && f.Year == other.Year &&
		slices.Equal(f.Alternatives, other.Alternatives) && same(f.Genres, other.Genres)
}

// titles are all titles of a normal film, the one that is shown first.
func (f Film) titles() []string { return append([]string{f.Title}, f.Alternatives...) }
