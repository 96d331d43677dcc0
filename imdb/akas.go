package imdb

import (
	"bytes"
	"encoding/binary"
	"math"
	"strings"
)

// MaxAlternativeTitles is the most alternative titles that a film comes with. The catalogue takes 50; the rest is
// left to the names that other sources know a film by, so that it does not matter which source comes first.
const MaxAlternativeTitles = 40

// The columns of title.akas, in the order of File.columns.
const (
	akasID = iota
	akasOrdering
	akasTitle
	akasRegion
	akasLanguage
	akasTypes
	akasAttributes
	akasOriginal
)

// aka keeps a row of title.akas if it is of a film and a title that a user might look for.
func (r *reading) aka(t *table) (*RowError, error) {
	film, ok := number(t.fields[akasID], "tt")
	if !ok {
		return t.reject("titleId", string(t.fields[akasID]), `must be "tt" and 7 to 10 digits, for example tt0111161`), nil
	}
	if !r.kept.Contains(film) {
		return nil, nil
	}
	title := bytes.TrimSpace(t.fields[akasTitle])
	if missing(title) {
		return t.reject("title", string(t.fields[akasTitle]), "is missing; an alternative title cannot be empty"), nil
	}
	rank, ok := akaRank(t.fields)
	if !ok {
		return nil, nil
	}
	ordering, ok := whole(t.fields[akasOrdering])
	if !ok || ordering == 0 || ordering > math.MaxUint32 {
		t.leaveOut("ordering", string(t.fields[akasOrdering]), "must be a whole number of at least 1; the title is sorted after those that have one")
		ordering = math.MaxUint32
	}
	rec := binary.BigEndian.AppendUint64(r.record[:0], film)
	rec = append(rec, rank)
	rec = binary.BigEndian.AppendUint32(rec, uint32(ordering))
	r.record = append(rec, title...)
	return nil, r.akas.add(r.record)
}

// akaRank says how likely a user searches for the film by a row's title; lower is likelier. It is for films that are
// known by more titles than they may have: some have a hundred, most of them one country's spelling of another's.
//
//	0 the original title
//	1 the title in English, or for the whole world
//	2 a title under which the film is shown somewhere; most rows have no type
//	3 working, festival and other alternative titles
//	4 titles of a tape, a disc or a broadcast
//
// Left out are titles that are not in print: literal translations, informal and
// promotional ones, and working titles that were meant to mislead.
func akaRank(fields [][]byte) (rank byte, ok bool) {
	for attribute := range list(fields[akasAttributes]) {
		switch attribute {
		case "literal title", "literal English title", "literal translation of working title", "informal title", "informal literal title",
			"informal English title", "promotional title", "fake working title", "script title", "closing credits title":
			return 0, false
		}
	}
	rank = 2
	for kind := range list(fields[akasTypes]) {
		switch kind {
		case "original":
			return 0, true
		case "alternative", "working", "festival":
			rank = max(rank, 3)
		case "dvd", "video", "tv":
			rank = max(rank, 4)
		}
	}
	if string(fields[akasOriginal]) == "1" {
		return 0, true
	}
	if rank == 2 {
		region, language := string(fields[akasRegion]), string(fields[akasLanguage])
		switch {
		case language == "en", region == "XWW":
			rank = 1
		case missing(fields[akasLanguage]) && (region == "US" || region == "GB" || region == "AU"):
			rank = 1
		}
	}
	return rank, true
}

// list yields the elements of an array. In title.akas they are separated by the
// control character 2, although the documentation speaks of arrays as everywhere.
func list(field []byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		if missing(field) {
			return
		}
		for element := range bytes.FieldsFuncSeq(field, func(r rune) bool { return r == '\x02' || r == ',' }) {
			if !yield(string(element)) {
				return
			}
		}
	}
}

// alternatives collects a film's alternative titles, best first: those that differ
// from each other and from the film's titles by more than case.
type alternatives struct {
	film *Film
	seen map[string]bool
}

func newAlternatives(f *Film) *alternatives { return &alternatives{film: f} }

func (a *alternatives) add(title string) {
	if len(a.film.AlternativeTitles) == MaxAlternativeTitles {
		return
	}
	if a.seen == nil {
		a.seen = map[string]bool{strings.ToLower(a.film.Title): true, strings.ToLower(a.film.OriginalTitle): true}
	}
	key := strings.ToLower(title)
	if a.seen[key] {
		return
	}
	a.seen[key] = true
	a.film.AlternativeTitles = append(a.film.AlternativeTitles, title)
}
