package metadata

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"movieexample.com/internal/fault"
	"movieexample.com/metadata/internal/text"
)

// The limits of requests.
const (
	MaxBatch        = 200   // movies or ids in one batch
	MaxSelect       = 5_000 // ids in one select
	defaultPageSize = 50
	maxPageSize     = 200
)

// The limits of a movie's fields; lengths in characters (code points).
const (
	MaxTitle             = 500
	MaxAlternativeTitles = 50
	MinYear              = 1870 // before the first moving pictures
	MaxYear              = 2100
	MaxGenres            = 20
	MaxGenre             = 50
	MaxDirector          = 500
	MaxDescription       = 10_000
	MaxRuntimeMinutes    = 6000
)

// Movie is one film of the catalogue.
type Movie struct {
	// ID is 1 to 128 bytes (see fault.ID) and compared byte by byte.
	ID string
	// Title is the title as shown: one line of 1 to MaxTitle characters.
	Title string
	// OriginalTitle is the title in the film's own language; empty if it is the same as
	// Title, or unknown.
	OriginalTitle string
	// AlternativeTitles are further titles, at most MaxAlternativeTitles, without duplicates.
	AlternativeTitles []string
	// Year is the year of the first release, MinYear to MaxYear; 0 if unknown.
	Year int
	// Genres are names of up to MaxGenre characters, at most MaxGenres, in the order and case
	// given; no two of them differ only in case.
	Genres []string
	// Director is one line of at most MaxDirector characters; several are joined by ", ".
	Director string
	// Description is at most MaxDescription characters and may have several lines.
	Description string
	// RuntimeMinutes is 1 to MaxRuntimeMinutes; 0 if unknown.
	RuntimeMinutes int
	// External are the film's ids in other catalogues.
	External ExternalIDs

	// ETag is the version, set by the service. Every write that changes something changes it.
	ETag string
	// Created is when the movie was first written, Updated when it last changed: UTC, to the
	// microsecond, set by the service.
	Created, Updated time.Time
}

// ExternalIDs are a film's ids in other catalogues; an empty one is unknown.
type ExternalIDs struct {
	IMDb      string // "tt" and 7 to 10 digits
	TMDb      string // a decimal number of 1 to 10 digits, without leading zeros
	MovieLens string // as TMDb
}

// The sources of external ids, spelled as on the wire and in the tables.
const (
	SourceIMDb      = "imdb"
	SourceTMDb      = "tmdb"
	SourceMovieLens = "movielens"
)

// externalKey is one external id with its source.
type externalKey struct{ source, id string }

func (k externalKey) compare(o externalKey) int {
	return cmp.Or(cmp.Compare(k.source, o.source), cmp.Compare(k.id, o.id))
}

// all yields the known ids.
func (x ExternalIDs) all() iter.Seq[externalKey] {
	return func(yield func(externalKey) bool) {
		for _, k := range []externalKey{{SourceIMDb, x.IMDb}, {SourceTMDb, x.TMDb}, {SourceMovieLens, x.MovieLens}} {
			if k.id != "" && !yield(k) {
				return
			}
		}
	}
}

// checkExternalID checks the id of one source.
func checkExternalID(field string, k externalKey) error {
	var ok bool
	digits := k.id
	allowed := "must be a decimal number of 1 to 10 digits without leading zeros"
	if k.source == SourceIMDb {
		allowed = `must be "tt" and 7 to 10 digits, for example "tt0111161"`
		digits, ok = strings.CutPrefix(k.id, "tt")
		ok = ok && len(digits) >= 7
	} else {
		ok = digits != "" && digits[0] != '0'
	}
	ok = ok && len(digits) <= 10
	for i := range len(digits) {
		ok = ok && digits[i] >= '0' && digits[i] <= '9'
	}
	if !ok {
		return fault.Invalid(field, "%s; got %s", allowed, quote(k.id))
	}
	return nil
}

// normalised returns the movie as it is stored, or an invalid-argument error that names every
// wrong field. field is the movie's name in the request, such as "movie".
func (m Movie) normalised(field string) (Movie, error) {
	var errs []error
	line := func(name, v string, limit int, required bool) string {
		v, err := oneLine(field+"."+name, v, limit, required)
		errs = append(errs, err)
		return v
	}
	errs = append(errs, fault.ID(field+".id", m.ID))
	m.Title = line("title", m.Title, MaxTitle, true)
	if m.OriginalTitle = line("original_title", m.OriginalTitle, MaxTitle, false); m.OriginalTitle == m.Title {
		m.OriginalTitle = ""
	}
	if n := len(m.AlternativeTitles); n > MaxAlternativeTitles {
		errs = append(errs, fault.Invalid(field+".alternative_titles", "must be at most %d titles, got %d", MaxAlternativeTitles, n))
	} else {
		var titles []string
		for i, title := range m.AlternativeTitles {
			if title = line("alternative_titles["+strconv.Itoa(i)+"]", title, MaxTitle, true); !slices.Contains(titles, title) {
				titles = append(titles, title)
			}
		}
		m.AlternativeTitles = titles
	}
	if m.Year != 0 {
		errs = append(errs, checkYear(field+".year", m.Year))
	}
	m.Genres = uniqueGenres(m.Genres, line)
	if n := len(m.Genres); n > MaxGenres {
		errs = append(errs, fault.Invalid(field+".genres", "must be at most %d different genres, got %d", MaxGenres, n))
	}
	m.Director = line("director", m.Director, MaxDirector, false)
	description, err := freeText(field+".description", m.Description, MaxDescription, false)
	m.Description, errs = description, append(errs, err)
	if m.RuntimeMinutes != 0 {
		errs = append(errs, checkRuntime(field+".runtime_minutes", m.RuntimeMinutes))
	}
	for k := range m.External.all() {
		errs = append(errs, checkExternalID(field+".external_ids."+k.source, k))
	}
	if err := fault.All(errs...); err != nil {
		return Movie{}, err
	}
	return m, nil
}

// uniqueGenres normalises every genre with line and removes repetitions.
func uniqueGenres(genres []string, line func(name, v string, limit int, required bool) string) []string {
	var unique []string
	seen := make(map[string]bool, len(genres))
	for i, g := range genres {
		g = line("genres["+strconv.Itoa(i)+"]", g, MaxGenre, true)
		if key := text.GenreKey(g); !seen[key] {
			seen[key] = true
			unique = append(unique, g)
		}
	}
	return unique
}

// checkYear checks a year that is given.
func checkYear(field string, year int) error {
	if year < MinYear || year > MaxYear {
		return fault.Invalid(field, "must be %d to %d, or absent where not known; got %d", MinYear, MaxYear, year)
	}
	return nil
}

// checkRuntime checks a running time that is given.
func checkRuntime(field string, minutes int) error {
	if minutes < 1 || minutes > MaxRuntimeMinutes {
		return fault.Invalid(field, "must be 1 to %d minutes, or absent where not known; got %d", MaxRuntimeMinutes, minutes)
	}
	return nil
}

// freeText trims and normalises a text, then checks it: normalising can change its length. A text without visible characters is empty.
func freeText(field, v string, limit int, required bool) (string, error) {
	if utf8.ValidString(v) {
		v = norm.NFC.String(strings.TrimSpace(v))
		if !required && !fault.Visible(v) && strings.IndexFunc(v, unicode.IsControl) < 0 {
			v = ""
		}
	}
	return v, fault.Text(field, v, limit, required)
}

// oneLine is freeText without line breaks and tabs.
func oneLine(field, v string, limit int, required bool) (string, error) {
	v, err := freeText(field, v, limit, required)
	if err == nil && strings.ContainsAny(v, "\n\t") {
		err = fault.Invalid(field, "must be one line without tabs, got %s", quote(v))
	}
	return v, err
}

// quote shows a refused value without letting it fill the screen.
func quote(v string) string {
	const limit = 40
	if len(v) > limit {
		return strconv.Quote(v[:limit]) + "…"
	}
	return strconv.Quote(v)
}

// genreKeys are the keys of the movie's genres, in their order.
func (m Movie) genreKeys() []string {
	keys := make([]string, len(m.Genres))
	for i, g := range m.Genres {
		keys[i] = text.GenreKey(g)
	}
	return keys
}

// sameContent reports whether two normalised movies are equal, apart from what the service sets.
func (m Movie) sameContent(o Movie) bool {
	return m.ID == o.ID && m.Title == o.Title && m.OriginalTitle == o.OriginalTitle &&
		slices.Equal(m.AlternativeTitles, o.AlternativeTitles) && m.Year == o.Year && slices.Equal(m.Genres, o.Genres) &&
		m.Director == o.Director && m.Description == o.Description && m.RuntimeMinutes == o.RuntimeMinutes && m.External == o.External
}

// nextETag is the etag of m as written after the version previous, "" for none. It includes the content,
// so that two versions with one etag have one content, however often a film is
// deleted and created again; it includes the previous version and the time, so that a film that is
// changed and changed back gets a new etag.
func (m Movie) nextETag(previous string) string {
	h := sha256.New()
	put := func(texts ...string) {
		var length [8]byte
		binary.BigEndian.PutUint64(length[:], uint64(len(texts)))
		h.Write(length[:])
		for _, t := range texts {
			binary.BigEndian.PutUint64(length[:], uint64(len(t)))
			h.Write(length[:])
			h.Write([]byte(t))
		}
	}
	put(previous, m.ID, m.Title, m.OriginalTitle, m.Director, m.Description, m.External.IMDb, m.External.TMDb, m.External.MovieLens)
	put(m.AlternativeTitles...)
	put(m.Genres...)
	fmt.Fprint(h, m.Year, m.RuntimeMinutes, m.Updated.UnixMicro())
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// Votes is a movie's number of ratings.
type Votes struct {
	MovieID string
	// Votes is at least 1.
	Votes int32
}

func noSuchMovie(id string) error { return fault.NotFound("no movie has the id %s", quote(id)) }
