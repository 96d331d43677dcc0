package metadata

import (
	"slices"
	"strconv"

	"movieexample.com/internal/fault"
	"movieexample.com/metadata/internal/text"
)

// overwritten is the set of fields that a source overwrites.
type overwritten struct {
	title, originalTitle, year, director, runtime, description bool
}

// overwrittenFields reads the names of a request's overwrite, spelled as on the wire.
func overwrittenFields(names []string) (overwritten, error) {
	var (
		o    overwritten
		errs []error
	)
	for i, name := range names {
		switch name {
		case "title":
			o.title = true
		case "original_title":
			o.originalTitle = true
		case "year":
			o.year = true
		case "director":
			o.director = true
		case "runtime_minutes":
			o.runtime = true
		case "description":
			o.description = true
		default:
			errs = append(errs, fault.Invalid("overwrite["+strconv.Itoa(i)+"]",
				"must be title, original_title, year, director, runtime_minutes or description, got %s", quote(name)))
		}
	}
	return o, fault.All(errs...)
}

// merge combines what two sources say about a film: it fills in single values that are missing,
// unites lists up to their limits, and keeps what is stored. In the fields of o, a value of
// other replaces the stored one.
//
// No name is lost. A title or an original title that does not become the film's becomes an
// alternative title, whether it was stored or came with other. So the order of two sources does
// not matter if one of them overwrites the fields that both have: the film gets the same values
// and the same names (but the order within lists depends on it, and so does what is left out of
// a full list).
func merge(stored, other Movie, o overwritten) Movie {
	out := stored
	fillIn(&out.Year, other.Year, o.year)
	fillIn(&out.RuntimeMinutes, other.RuntimeMinutes, o.runtime)
	fillIn(&out.Director, other.Director, o.director)
	fillIn(&out.Description, other.Description, o.description)
	fillIn(&out.External.IMDb, other.External.IMDb, false)
	fillIn(&out.External.TMDb, other.External.TMDb, false)
	fillIn(&out.External.MovieLens, other.External.MovieLens, false)
	fillIn(&out.Title, other.Title, o.title)
	// An original title that equals the title is stored as empty. A new title can
	// make it so, and then other's original title fits.
	if out.OriginalTitle == out.Title {
		out.OriginalTitle = ""
	}
	if other.OriginalTitle != out.Title {
		fillIn(&out.OriginalTitle, other.OriginalTitle, o.originalTitle)
	}
	out.AlternativeTitles = uniteTitles(out, stored, other)

	known := make(map[string]bool)
	for _, key := range stored.genreKeys() {
		known[key] = true
	}
	out.Genres = unite(stored.Genres, other.Genres, known, text.GenreKey, MaxGenres)
	return out
}

// uniteTitles returns the alternative titles of out, which was merged from stored and other.
func uniteTitles(out, stored, other Movie) []string {
	known := map[string]bool{text.Fold(out.Title): true, text.Fold(out.OriginalTitle): true}
	titles := stored.AlternativeTitles
	if out.Title == stored.Title && out.OriginalTitle == stored.OriginalTitle {
		for _, title := range titles {
			known[text.Fold(title)] = true
		}
	} else {
		// The replaced titles come first, so that a full list does not leave them out.
		// And the new title may have been an alternative one before.
		titles = unite(nil, append(names(stored), titles...), known, text.Fold, MaxAlternativeTitles)
	}
	return unite(titles, append(names(other), other.AlternativeTitles...), known, text.Fold, MaxAlternativeTitles)
}

// names are the title and the original title, if there is one.
func names(m Movie) []string {
	if m.OriginalTitle == "" {
		return []string{m.Title}
	}
	return []string{m.Title, m.OriginalTitle}
}

// fillIn sets a field to v if the field is empty or overwrite is set, unless v is empty.
func fillIn[T comparable](field *T, v T, overwrite bool) {
	var none T
	if v != none && (overwrite || *field == none) {
		*field = v
	}
}

// unite appends to list those of more whose key is not known yet, up to limit.
func unite(list, more []string, known map[string]bool, key func(string) string, limit int) []string {
	list = slices.Clip(list) // or appending would write into the stored movie's array
	for _, v := range more {
		if k := key(v); !known[k] && len(list) < limit {
			known[k] = true
			list = append(list, v)
		}
	}
	return list
}

// mergeBook merges a movie of the book API, which has four fields, into the stored one. It keeps the fields that the book API
// does not have: its clients read, change and write back, and would otherwise erase fields that they never saw.
func mergeBook(stored, m Movie) Movie {
	stored.Title, stored.Description, stored.Director = m.Title, m.Description, m.Director
	if stored.OriginalTitle == stored.Title {
		stored.OriginalTitle = ""
	}
	return stored
}
