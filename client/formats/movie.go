package formats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// MovieColumns are the columns of a CSV file of movies, in the order in which they are
// written.
func MovieColumns() []string {
	return []string{
		"id", "title", "originalTitle", "alternativeTitles", "year", "genres", "director", "description", "runtimeMinutes", "imdb", "tmdb", "movielens",
	}
}

// movieJSON is the JSON form of a movie: that of the REST API. A pointer tells a number
// that is missing from 0, which the service refuses.
type movieJSON struct {
	ID                string   `json:"id"`
	Title             string   `json:"title"`
	OriginalTitle     string   `json:"originalTitle,omitempty"`
	AlternativeTitles []string `json:"alternativeTitles,omitempty"`
	Year              *int32   `json:"year,omitempty"`
	Genres            []string `json:"genres,omitempty"`
	Director          string   `json:"director,omitempty"`
	Description       string   `json:"description,omitempty"`
	RuntimeMinutes    *int32   `json:"runtimeMinutes,omitempty"`
	ExternalIDs       *idsJSON `json:"externalIds,omitempty"`

	// What the service chooses. It is not written, and ignored where it stands, so that answers of the REST API can be read.
	ETag       string `json:"etag,omitempty"`
	CreateTime string `json:"createTime,omitempty"`
	UpdateTime string `json:"updateTime,omitempty"`
}

type idsJSON struct {
	IMDb      string `json:"imdb,omitempty"`
	TMDB      string `json:"tmdb,omitempty"`
	MovieLens string `json:"movielens,omitempty"`
}

// MovieWriter writes movies to a file.
type MovieWriter struct {
	w      *bufio.Writer
	format Format
	line   []byte
	text   bytes.Buffer
	json   *json.Encoder
}

// NewMovieWriter returns a writer of a file that begins now. Flush it at the end; w's
// errors come from Write and Flush.
func NewMovieWriter(w io.Writer, f Format) *MovieWriter {
	m := &MovieWriter{w: bufio.NewWriterSize(w, 64<<10), format: f}
	m.json = json.NewEncoder(&m.text)
	m.json.SetEscapeHTML(false)
	if f == CSV {
		_, _ = m.w.WriteString(strings.Join(MovieColumns(), ",") + "\n") // too short to be written yet
	}
	return m
}

// Write writes a movie. Its texts are valid UTF-8.
func (w *MovieWriter) Write(m *metadatav1.Movie) error {
	ids := m.GetExternalIds()
	if w.format == JSONL {
		j := movieJSON{
			ID: m.GetId(), Title: m.GetTitle(), OriginalTitle: m.GetOriginalTitle(), AlternativeTitles: m.GetAlternativeTitles(), Year: m.Year,
			Genres: m.GetGenres(), Director: m.GetDirector(), Description: m.GetDescription(), RuntimeMinutes: m.RuntimeMinutes,
		}
		if ids.GetImdb() != "" || ids.GetTmdb() != "" || ids.GetMovielens() != "" {
			j.ExternalIDs = &idsJSON{ids.GetImdb(), ids.GetTmdb(), ids.GetMovielens()}
		}
		w.text.Reset()
		if err := w.json.Encode(j); err != nil {
			return err
		}
		_, err := w.w.Write(w.text.Bytes())
		return err
	}
	b := appendCSV(w.line[:0], m.GetId())
	b = appendCSV(append(b, ','), m.GetTitle())
	b = appendCSV(append(b, ','), m.GetOriginalTitle())
	b = appendList(append(b, ','), m.GetAlternativeTitles())
	b = appendNumber(append(b, ','), m.Year)
	b = appendList(append(b, ','), m.GetGenres())
	b = appendCSV(append(b, ','), m.GetDirector())
	b = appendCSV(append(b, ','), m.GetDescription())
	b = appendNumber(append(b, ','), m.RuntimeMinutes)
	b = appendCSV(append(b, ','), ids.GetImdb())
	b = appendCSV(append(b, ','), ids.GetTmdb())
	b = appendCSV(append(b, ','), ids.GetMovielens())
	w.line = append(b, '\n')
	_, err := w.w.Write(w.line)
	return err
}

func appendNumber(dst []byte, n *int32) []byte {
	if n == nil {
		return dst
	}
	return strconv.AppendInt(dst, int64(*n), 10)
}

// Flush writes what is still held.
func (w *MovieWriter) Flush() error { return w.w.Flush() }

// MovieRow is a movie of a file.
type MovieRow struct {
	Line  int
	Movie *metadatav1.Movie
}

// ReadMovies streams the movies of a file; name stands in the errors. A CSV file must
// have the columns id and title; if whole is set, all of [MovieColumns]: who replaces
// movies by what is in the file must mean what is not.
//
// A [*RowError] is a rejected row, and reading goes on. Any other error (r's, a wrong
// header) is the last thing that the stream yields.
func ReadMovies(name string, r io.Reader, f Format, whole bool) iter.Seq2[MovieRow, error] {
	if f == JSONL {
		return readMovieLines(name, r)
	}
	required := []string{"id", "title"}
	if whole {
		required = MovieColumns()
	}
	return func(yield func(MovieRow, error) bool) {
		t, err := newTable(name, r, MovieColumns(), required)
		if err != nil {
			yield(MovieRow{}, fmt.Errorf("read %s: %w", name, err))
			return
		}
		for t != nil {
			fields, line, bad, err := t.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(MovieRow{}, fmt.Errorf("read %s: %w", name, err))
				return
			}
			row := MovieRow{Line: line}
			if bad == nil {
				var reason string
				if row.Movie, reason = movieOfFields(fields); reason != "" {
					bad = &RowError{File: name, Line: line, ID: fields[0], Reason: reason}
				}
			}
			if bad != nil {
				if !yield(MovieRow{Line: line}, bad) {
					return
				}
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// movieOfFields makes a movie of the fields of MovieColumns, or says why not.
func movieOfFields(fields []string) (*metadatav1.Movie, string) {
	m := &metadatav1.Movie{Id: fields[0], Title: fields[1], OriginalTitle: fields[2], Director: fields[6], Description: fields[7]}
	var ok bool
	if m.AlternativeTitles, ok = splitList(fields[3]); !ok {
		return nil, `alternativeTitles: has a backslash that does not stand before a "|" or another backslash; write \\ for one`
	}
	if m.Genres, ok = splitList(fields[5]); !ok {
		return nil, `genres: has a backslash that does not stand before a "|" or another backslash; write \\ for one`
	}
	for _, number := range []struct {
		name, field string
		to          **int32
	}{{"year", fields[4], &m.Year}, {"runtimeMinutes", fields[8], &m.RuntimeMinutes}} {
		if number.field == "" {
			continue
		}
		n, err := strconv.ParseInt(number.field, 10, 32)
		if err != nil {
			return nil, fmt.Sprintf("%s: must be a whole number, or empty where not known, got %q", number.name, shorten(number.field))
		}
		*number.to = proto.Int32(int32(n))
	}
	if fields[9]+fields[10]+fields[11] != "" {
		m.ExternalIds = &metadatav1.ExternalIds{Imdb: fields[9], Tmdb: fields[10], Movielens: fields[11]}
	}
	return m, ""
}

func readMovieLines(name string, r io.Reader) iter.Seq2[MovieRow, error] {
	return func(yield func(MovieRow, error) bool) {
		l := newLines(r)
		for {
			line, err := l.next()
			row := MovieRow{Line: l.line}
			reason := ""
			switch {
			case errors.Is(err, io.EOF):
				return
			case errors.Is(err, errTooLong):
				reason = err.Error()
			case err != nil:
				yield(MovieRow{}, fmt.Errorf("read %s: %w", name, err))
				return
			case blank(line):
				continue
			default:
				row.Movie, reason = movieOfJSON(line)
			}
			if reason != "" {
				bad := &RowError{File: name, Line: row.Line, ID: row.Movie.GetId(), Reason: reason}
				if !yield(MovieRow{Line: row.Line}, bad) {
					return
				}
				continue
			}
			if !yield(row, nil) {
				return
			}
		}
	}
}

// movieOfJSON makes a movie of a line, or says why not; it may know the movie's id
// then all the same.
func movieOfJSON(line []byte) (*metadatav1.Movie, string) {
	if !utf8.Valid(line) {
		return nil, "is not valid UTF-8; convert the file to UTF-8"
	}
	d := json.NewDecoder(bytes.NewReader(line))
	d.DisallowUnknownFields()
	var j movieJSON
	if err := d.Decode(&j); err != nil {
		return &metadatav1.Movie{Id: j.ID}, jsonReason(err, line)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return &metadatav1.Movie{Id: j.ID}, "must be one JSON object on a line, and nothing behind it"
	}
	m := &metadatav1.Movie{
		Id: j.ID, Title: j.Title, OriginalTitle: j.OriginalTitle, AlternativeTitles: j.AlternativeTitles, Year: j.Year, Genres: j.Genres,
		Director: j.Director, Description: j.Description, RuntimeMinutes: j.RuntimeMinutes,
	}
	if ids := j.ExternalIDs; ids != nil {
		m.ExternalIds = &metadatav1.ExternalIds{Imdb: ids.IMDb, Tmdb: ids.TMDB, Movielens: ids.MovieLens}
	}
	return m, ""
}

// jsonReason says what is wrong in the words of the file and not in those of Go.
func jsonReason(err error, line []byte) string {
	typed, syntax := (*json.UnmarshalTypeError)(nil), (*json.SyntaxError)(nil)
	switch {
	case errors.As(err, &typed) && typed.Field == "":
		return fmt.Sprintf("must be a JSON object, got %s", describeJSON(typed.Value))
	case errors.As(err, &typed):
		want := "text in quotes"
		switch name := typed.Field[strings.LastIndexByte(typed.Field, '.')+1:]; name {
		case "year", "runtimeMinutes":
			want = "a whole number"
		case "alternativeTitles", "genres":
			want = "an array of texts in quotes"
		case "externalIds":
			want = "an object"
		}
		return fmt.Sprintf("%s: must be %s, got %s", typed.Field, want, describeJSON(typed.Value))
	case errors.As(err, &syntax):
		return fmt.Sprintf("must be a JSON object on one line: %v at byte %d", syntax, syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, io.EOF):
		return fmt.Sprintf("must be a JSON object on one line, but the line ends within it: %q", shorten(string(bytes.TrimSpace(line))))
	}
	if field, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Sprintf("there is no field %s; the fields are id, title, originalTitle, alternativeTitles, year, genres, director, description, runtimeMinutes and externalIds", field)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func describeJSON(value string) string {
	switch kind, literal, ok := strings.Cut(value, " "); {
	case ok:
		return "the " + kind + " " + shorten(literal)
	case value == "string":
		return "a text"
	case value == "bool":
		return "true or false"
	case value == "array", value == "object":
		return "an " + value
	}
	return "a " + value
}
