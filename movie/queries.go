package movie

import "strings"

// filter narrows to films that match all that is set.
type filter struct {
	genre            string
	minYear, maxYear *int32 // inclusive
}

func (f filter) isSet() bool { return f.genre != "" || f.minYear != nil || f.maxYear != nil }

// order is the order of a list.
type order int

const (
	byTitle order = iota
	byYear
	byYearDesc
)

// listQuery asks for a page of the catalogue.
type listQuery struct {
	filter filter
	order  order
	size   int32
	token  string // the metadata service's own
}

// externalID is one id elsewhere; exactly one field is set.
type externalID ExternalIDs

// filterKey is a filter that can be compared.
type filterKey struct {
	genre            string
	minYear, maxYear int32
	hasMin, hasMax   bool
}

// folded is equal for the spellings of a genre that differ in case, which are one genre.
func folded(genre string) string { return strings.ToLower(genre) }

func (f filter) key() filterKey {
	k := filterKey{genre: folded(f.genre)}
	if f.minYear != nil {
		k.minYear, k.hasMin = *f.minYear, true
	}
	if f.maxYear != nil {
		k.maxYear, k.hasMax = *f.maxYear, true
	}
	return k
}
