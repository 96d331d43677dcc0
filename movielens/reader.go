package movielens

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
	"unicode"

	"movieexample.com/internal/syntax"
)

// Movie is one row of movies.csv.
type Movie struct {
	// Line is the physical line on which the row starts, from 1; the header is on line 1.
	Line int
	// ID is the MovieLens id, from 1 up. It is the only key: two films may share title and year.
	ID int64
	// Title, OriginalTitle, AlternativeTitles and Year come from the title
	// column, see [ParseTitle]. Title is never empty; Year is 0 if unknown.
	Title             string
	OriginalTitle     string
	AlternativeTitles []string
	Year              int
	// Genres are in the file's order, without repetitions; nil for "(no genres listed)".
	Genres []string
}

// Link is one row of links.csv: what other catalogues call the film.
type Link struct {
	// MovieID is the MovieLens id, from 1 up.
	MovieID int64
	// IMDb is the IMDb id in its canonical form, "tt" and at least seven digits:
	// "tt0114709". Empty if the row gives none.
	IMDb string
	// TMDB is the id at The Movie Database, in decimal: "862". Empty if the row gives none.
	TMDB string
}

// Rating is one row of ratings.csv.
type Rating struct {
	// Line is as in [Movie].
	Line int
	// UserID and MovieID are MovieLens ids, from 1 up.
	UserID, MovieID int64
	// Value is 1 to 10: the file's half stars, doubled.
	Value int
	// RatedAt is when the user rated the film, in UTC, to the second.
	RatedAt time.Time
}

// ID is the id under which a film is imported: its IMDb id where there is one, so that several sources meet without
// comparing titles; else "ml-" and the MovieLens id.
func ID(imdb string, movieID int64) string {
	if imdb != "" {
		return imdb
	}
	return "ml-" + strconv.FormatInt(movieID, 10)
}

// RowError is a row that was rejected, or a field that was left out of one. The rows around it are not affected.
type RowError struct {
	// File is the file's name without its directory, as "ratings.csv".
	File string
	// Line is the physical line on which the row starts, from 1; the header is on line 1.
	Line int
	// Field is the column, as in the header; empty if the row as a whole is wrong.
	Field string
	// Value is the given value, shortened if it is long.
	Value string
	// Reason says what is wrong and what is allowed.
	Reason string
	// Kept says that only Field was left out: the row itself is what the stream yields next.
	Kept bool
}

// Error names file, line, field, value and reason, in this order.
func (e *RowError) Error() string {
	what := "row"
	if e.Field != "" {
		what = e.Field
	}
	return fmt.Sprintf("%s line %d: %s %q: %s", e.File, e.Line, what, e.Value, e.Reason)
}

// The columns of the three files. Others have no meaning here, and a file with other columns is not one of these.
const (
	moviesHeader  = "movieId,title,genres"
	linksHeader   = "movieId,imdbId,tmdbId"
	ratingsHeader = "userId,movieId,rating,timestamp"
)

// noGenres is the genres column of a film without genres.
const noGenres = "(no genres listed)"

// ReadMovies streams the rows of a movies.csv; name is for errors.
//
// A [*RowError] is a rejected row, or one of which an optional field was left out, and reading continues. Any other error
// (ctx's, src's, a wrong header) is the last thing that the stream yields.
func ReadMovies(ctx context.Context, name string, src io.Reader) iter.Seq2[Movie, error] {
	return rows(ctx, name, moviesHeader, src, nil, parseMovie)
}

// ReadLinks streams the rows of a links.csv, with the errors of [ReadMovies].
func ReadLinks(ctx context.Context, name string, src io.Reader) iter.Seq2[Link, error] {
	return rows(ctx, name, linksHeader, src, nil, parseLink)
}

// ReadRatings streams the rows of a ratings.csv, with the errors of [ReadMovies].
func ReadRatings(ctx context.Context, name string, src io.Reader) iter.Seq2[Rating, error] {
	return rows(ctx, name, ratingsHeader, src, nil, parseRating)
}

// rows is the loop of all streams: it checks the header, cuts records, calls parse to turn them into values, and adds
// file and line to the errors of parse. done, if not nil, receives the number of bytes processed.
func rows[T any](ctx context.Context, name, header string, src io.Reader, done *atomic.Int64,
	parse func(fields []string, line int) (T, []*RowError),
) iter.Seq2[T, error] {
	return func(yield func(T, error) bool) {
		var none T
		r := newRecords(src)
		if err := checkHeader(r, header); err != nil {
			yield(none, fmt.Errorf("read %s: %w", name, err))
			return
		}
		columns := strings.Count(header, ",") + 1
		for n := 0; ; n++ {
			if n%256 == 0 { // often enough for Ctrl-C, too seldom to cost
				if err := ctx.Err(); err != nil {
					yield(none, fmt.Errorf("read %s: %w", name, err))
					return
				}
			}
			fields, line, bad, err := r.read()
			if done != nil {
				done.Store(r.offset())
			}
			var row T
			var wrong []*RowError
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				yield(none, fmt.Errorf("read %s at line %d: %w", name, line, err))
				return
			case bad != nil:
				wrong = rejected(&RowError{Value: bad.text, Reason: bad.reason})
			case len(fields) != columns:
				wrong = rejected(&RowError{
					Value:  shorten(strings.Join(fields, ",")),
					Reason: fmt.Sprintf("has %d columns; must have %d: %s", len(fields), columns, header),
				})
			default:
				row, wrong = parse(fields, line)
			}
			kept := true
			for _, w := range wrong {
				w.File, w.Line = baseName(name), line
				w.Value = shorten(w.Value)
				kept = kept && w.Kept
				if !yield(none, w) {
					return
				}
			}
			if kept && !yield(row, nil) {
				return
			}
		}
	}
}

// rejected is what is wrong with a row that is rejected.
func rejected(bad *RowError) []*RowError { return []*RowError{bad} }

func checkHeader(r *records, want string) error {
	if err := r.skipBOM(); err != nil {
		return err
	}
	fields, line, bad, err := r.read()
	switch {
	case errors.Is(err, io.EOF):
		return fmt.Errorf("the file is empty; its first line must be %s", want)
	case err != nil:
		return err
	case bad != nil:
		return fmt.Errorf("line %d is %q and %s; it must be %s", line, bad.text, bad.reason, want)
	}
	for i := range fields {
		fields[i] = strings.TrimSpace(fields[i])
	}
	if got := strings.Join(fields, ","); got != want {
		return fmt.Errorf("the columns are %q; they must be %s", shorten(got), want)
	}
	return nil
}

func parseMovie(fields []string, line int) (Movie, []*RowError) {
	id, bad := parseID("movieId", fields[0])
	if bad != nil {
		return Movie{}, rejected(bad)
	}
	// fields share one string per row; what is kept of it is small, but the caller may keep it forever.
	t := ParseTitle(strings.Clone(fields[1]))
	if t.Title == "" {
		return Movie{}, rejected(&RowError{Field: "title", Value: fields[1], Reason: "is blank; a film needs a title"})
	}
	if at := controlAt(fields[1]); at >= 0 {
		return Movie{}, rejected(&RowError{Field: "title", Value: fields[1], Reason: fmt.Sprintf("has a control character at byte %d; only text is allowed", at)})
	}
	m := Movie{Line: line, ID: id, Title: t.Title, OriginalTitle: t.Original, AlternativeTitles: t.Alternatives, Year: t.Year}
	if at := controlAt(fields[2]); at >= 0 {
		return m, []*RowError{leftOut("genres", fields[2], fmt.Sprintf("has a control character at byte %d; only text is allowed", at))}
	}
	m.Genres = parseGenres(fields[2])
	return m, nil
}

// controlAt returns where a text has a control character, or -1. Line breaks within a quoted field become spaces.
func controlAt(field string) int {
	return strings.IndexFunc(field, func(r rune) bool { return unicode.IsControl(r) && !unicode.IsSpace(r) })
}

// leftOut is an optional field that cannot be read: it costs no other one.
func leftOut(field, value, reason string) *RowError {
	return &RowError{Field: field, Value: value, Reason: reason + "; the row went in without it", Kept: true}
}

func parseGenres(column string) []string {
	var genres []string
next:
	for genre := range strings.SplitSeq(column, "|") {
		genre = strings.Join(strings.Fields(genre), " ")
		if genre == "" || genre == noGenres {
			continue
		}
		for _, known := range genres {
			if known == genre {
				continue next
			}
		}
		genres = append(genres, strings.Clone(genre))
	}
	return genres
}

func parseLink(fields []string, _ int) (Link, []*RowError) {
	id, bad := parseID("movieId", fields[0])
	if bad != nil {
		return Link{}, rejected(bad)
	}
	link := Link{MovieID: id}
	var left []*RowError
	if imdb := strings.TrimPrefix(strings.TrimSpace(fields[1]), "tt"); imdb != "" {
		if n, ok := syntax.Whole(imdb); ok && n > 0 && n <= 9_999_999_999 {
			link.IMDb = fmt.Sprintf("tt%07d", n)
		} else {
			left = append(left, leftOut("imdbId", fields[1], "must be the 1 to 10 digits of an IMDb id, as 0114709, or empty"))
		}
	}
	if tmdb := strings.TrimSpace(fields[2]); tmdb != "" {
		if n, ok := syntax.Whole(tmdb); ok && n > 0 && n <= 9_999_999_999 {
			link.TMDB = strconv.FormatInt(n, 10)
		} else {
			left = append(left, leftOut("tmdbId", fields[2], "must be a whole number of 1 to 10 digits, as 862, or empty"))
		}
	}
	return link, left
}

// latest is the last second of the year 9999. RFC 3339, in which times travel from here, cannot write later ones.
const latest = 253_402_300_799

func parseRating(fields []string, line int) (Rating, []*RowError) {
	user, bad := parseID("userId", fields[0])
	if bad != nil {
		return Rating{}, rejected(bad)
	}
	movie, bad := parseID("movieId", fields[1])
	if bad != nil {
		return Rating{}, rejected(bad)
	}
	value := parseStars(strings.TrimSpace(fields[2]))
	if value == 0 {
		return Rating{}, rejected(&RowError{Field: "rating", Value: fields[2], Reason: "must be one of 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0, 4.5, 5.0"})
	}
	at, ok := syntax.Whole(strings.TrimSpace(fields[3]))
	if !ok || at > latest {
		return Rating{}, rejected(&RowError{Field: "timestamp", Value: fields[3], Reason: fmt.Sprintf("must be whole seconds since 1970-01-01 UTC, from 0 to %d", latest)})
	}
	return Rating{Line: line, UserID: user, MovieID: movie, Value: value, RatedAt: time.Unix(at, 0).UTC()}, nil
}

// parseStars returns the doubled stars, or 0. It compares text, because no
// rounding shall turn a wrong rating into a right one; "4" passes for "4.0".
func parseStars(s string) int {
	whole, half := s, false
	if len(s) == 3 && s[1] == '.' {
		if s[2] != '0' && s[2] != '5' {
			return 0
		}
		whole, half = s[:1], s[2] == '5'
	}
	if len(whole) != 1 || whole[0] < '0' || whole[0] > '5' {
		return 0
	}
	value := 2 * int(whole[0]-'0')
	if half {
		value++
	}
	if value > 10 {
		return 0
	}
	return value
}

func parseID(field, s string) (int64, *RowError) {
	id, ok := syntax.Whole(strings.TrimSpace(s))
	if !ok || id == 0 {
		return 0, &RowError{Field: field, Value: s, Reason: "must be a whole number of at least 1"}
	}
	return id, nil
}

func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
