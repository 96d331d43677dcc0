package metadata

import (
	"strings"

	"movieexample.com/internal/fault"
	"movieexample.com/metadata/internal/text"
)

// Filter narrows to films that match all that is set.
type Filter struct {
	// Genre is a genre's name in any case; empty means all films.
	Genre string
	// MinYear and MaxYear are the first and the last year, both inclusive; 0 means no bound.
	// Films of unknown year match neither.
	MinYear, MaxYear int
}

// checked returns the filter with the genre turned into its key.
func (f Filter) checked() (Filter, error) {
	genre, err := oneLine("filter.genre", f.Genre, MaxGenre, false)
	errs := []error{err}
	if f.MinYear != 0 {
		errs = append(errs, checkBound("filter.min_year", f.MinYear))
	}
	if f.MaxYear != 0 {
		errs = append(errs, checkBound("filter.max_year", f.MaxYear))
	}
	if err := fault.All(errs...); err != nil {
		return Filter{}, err
	}
	if f.MinYear != 0 && f.MaxYear != 0 && f.MinYear > f.MaxYear {
		return Filter{}, fault.Invalid("filter.min_year", "must not be after max_year, got %d and %d", f.MinYear, f.MaxYear)
	}
	f.Genre = text.GenreKey(genre)
	return f, nil
}

// checkBound checks a bound that is given. Unlike a film's year, it cannot be unknown, so the text does not offer that.
func checkBound(field string, year int) error {
	if year < MinYear || year > MaxYear {
		return fault.Invalid(field, "must be %d to %d; got %d", MinYear, MaxYear, year)
	}
	return nil
}

// Match is one film of a selection.
type Match struct {
	ID, Title string
	// SortKey orders by title as lists do, compared byte by byte; ties are ordered by id.
	SortKey string
}

// Order is the order of a list.
type Order uint8

const (
	// ByTitle orders by sort key (see text.SortKey), then by id.
	ByTitle Order = iota
	// ByYear is oldest first, then by title; films of unknown year come first.
	ByYear
	// ByYearDesc is newest first, then by title; films of unknown year come last.
	ByYearDesc
)

// position is a film's place in a list, and the content of a page token.
type position struct {
	TitleKey string `json:"t"`
	Year     int    `json:"y"` // 0 for an unknown one, which sorts before all others
}

// keyEnd separates the sort key from the id in a title key. It is less than every character
// that a sort key can have, so that "Alien" comes before "Alien 3" regardless of their ids.
const keyEnd = "\x01"

// titleKey is a film's position in lists by title: comparing title keys byte by byte compares
// sort keys first and ids second.
func titleKey(title, id string) string { return text.SortKey(title) + keyEnd + id }

// splitTitleKey returns the sort key and the id of a title key.
func splitTitleKey(key string) (sortKey, id string) {
	sortKey, id, _ = strings.Cut(key, keyEnd)
	return sortKey, id
}
