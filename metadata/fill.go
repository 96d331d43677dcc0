package metadata

import (
	"slices"
	"strconv"

	"movieexample.com/internal/fault"
)

// overwritten is the set of fields in which a source knows better than what is stored.
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

// fill makes one film of what two sources say about it: single values are filled in where there
// are none, lists are united up to their limits, what is stored stays. The fields of o are the
// exception: there, what other has replaces what is stored.
//
// No name is lost. A title or an original title that does not become the film's becomes an
// alternative title, whether it was stored or came with other. This is also why it does not
// matter which of two sources comes first, if one of them overwrites the fields that both have:
// the film gets the same values and the same names (in which order its lists stand does depend
// on it, and so does what is left out of a list that is full).
func fill(stored, other Movie, o overwritten) Movie {
	out := stored
	fillIn(&out.Year, other.Year, o.year)
	fillIn(&out.RuntimeMinutes, other.RuntimeMinutes, o.runtime)
	fillIn(&out.Director, other.Director, o.director)
	fillIn(&out.Description, other.Description, o.description)
	fillIn(&out.External.IMDb, other.External.IMDb, false)
	fillIn(&out.External.TMDb, other.External.TMDb, false)
	fillIn(&out.External.MovieLens, other.External.MovieLens, false)
	fillIn(&out.Title, other.Title, o.title)
	// The original title is empty where it is the same as the title. A title that was replaced can
	// make it so, and then there is room for another one.
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
	out.Genres = unite(stored.Genres, other.Genres, known, genreKey, MaxGenres)
	return out
}

// uniteTitles returns the alternative titles of out, which was filled from stored and other.
func uniteTitles(out, stored, other Movie) []string {
	known := map[string]bool{fold(out.Title): true, fold(out.OriginalTitle): true}
	titles := stored.AlternativeTitles
	if out.Title == stored.Title && out.OriginalTitle == stored.OriginalTitle {
		for _, title := range titles {
			known[fold(title)] = true
		}
	} else {
		// What was replaced comes first: if the list is full, it must not be what is left out.
		// And the new title may have been an alternative one before.
		titles = unite(nil, append(names(stored), titles...), known, fold, MaxAlternativeTitles)
	}
	return unite(titles, append(names(other), other.AlternativeTitles...), known, fold, MaxAlternativeTitles)
}

// names are the title and the original title, where there is one.
func names(m Movie) []string {
	if m.OriginalTitle == "" {
		return []string{m.Title}
	}
	return []string{m.Title, m.OriginalTitle}
}

// fillIn gives a field that has no value, or is to be overwritten, the value v, if that is one.
func fillIn[T comparable](field *T, v T, overwrite bool) {
	var none T
	if v != none && (overwrite || *field == none) {
		*field = v
	}
}

// unite returns list and behind it those of more whose key is not known yet, up to limit.
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
