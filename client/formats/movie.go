package formats

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"strconv"
	"strings"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/syntax"
)

// MovieColumns are the columns of a CSV file of movies, in the order in which they are written.
func MovieColumns() []string {
	return []string{
		"id", "title", "originalTitle", "alternativeTitles", "year", "genres", "director", "description", "runtimeMinutes", "imdb", "tmdb", "movielens",
	}
}

// movieJSON is the JSON form of a movie as it is written: that of the REST API.
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
	// Left are the fields that the movie goes without, because they cannot be read.
	Left []LeftOut
}

// ReadMovies streams the movies of a file; name is for errors. A CSV file must have the columns id and title;
// if whole is set, all of [MovieColumns], because replacing a movie also clears the fields that the file lacks.
//
// A [*RowError] is a rejected row, and reading continues. Any other error (r's, a wrong
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
		for {
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
				row.Movie, row.Left = movieOfFields(fields)
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

// movieOfFields makes a movie of the fields of MovieColumns.
func movieOfFields(fields []string) (m *metadatav1.Movie, left []LeftOut) {
	m = &metadatav1.Movie{Id: fields[0], Title: fields[1], OriginalTitle: fields[2], Director: fields[6], Description: fields[7]}
	leaveOut := func(field, format string, args ...any) {
		left = append(left, LeftOut{field, fmt.Sprintf(format, args...)})
	}
	const backslash = `has a backslash that is not before a "|" or another backslash; write \\ for one`
	var ok bool
	if m.AlternativeTitles, ok = splitList(fields[3]); !ok {
		leaveOut("alternative_titles", "alternativeTitles: "+backslash)
	}
	if m.Genres, ok = splitList(fields[5]); !ok {
		leaveOut("genres", "genres: "+backslash)
	}
	for _, number := range []struct {
		field, name, cell string
		to                **int32
	}{{"year", "year", fields[4], &m.Year}, {"runtime_minutes", "runtimeMinutes", fields[8], &m.RuntimeMinutes}} {
		if number.cell == "" {
			continue
		}
		n, err := strconv.ParseInt(number.cell, 10, 32)
		if whole, ok := syntax.Whole(number.cell); ok && whole <= math.MaxInt32 {
			n, err = whole, nil
		}
		if err == nil {
			*number.to = proto.Int32(int32(n))
		} else {
			leaveOut(number.field, "%s: must be a whole number, or empty if unknown, got %q", number.name, shorten(number.cell))
		}
	}
	ids := &metadatav1.ExternalIds{Imdb: fields[9], Tmdb: wholeID(fields[10]), Movielens: wholeID(fields[11])}
	if ids.Imdb+ids.Tmdb+ids.Movielens != "" {
		m.ExternalIds = ids
	}
	return m, left
}

// wholeID takes off the fraction with which pandas writes a number; what is none is for the service to refuse.
func wholeID(cell string) string {
	if n, ok := syntax.Whole(cell); ok && strings.Contains(cell, ".") {
		return strconv.FormatInt(n, 10)
	}
	return cell
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
				row.Movie, row.Left, reason = movieOfJSON(line)
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

// movieOfJSON makes a movie of a line, or says why not; it may still know the movie's id then. The JSON is that of the
// REST API, and read by the same reader.
func movieOfJSON(line []byte) (m *metadatav1.Movie, left []LeftOut, refused string) {
	d := syntax.Decoder{
		Message: (&moviev1.Movie{}).ProtoReflect().Descriptor(),
		Unknown: func(prefix, name string, _ protoreflect.MessageDescriptor) string {
			if prefix == "" && (name == "createTime" || name == "updateTime") {
				return "" // the service chooses them; its own API has them
			}
			return "is unknown; the fields are id, title, originalTitle, alternativeTitles, year, genres, director, description, runtimeMinutes and externalIds"
		},
	}
	text, complaints, err := d.Decode(string(trimLineEnd(line)))
	if err != nil {
		return nil, nil, err.Error()
	}
	var j moviev1.Movie
	if err := protojson.Unmarshal(text, &j); err != nil {
		return nil, nil, "cannot be read: " + err.Error()
	}
	m = &metadatav1.Movie{
		Id: j.GetId(), Title: j.GetTitle(), OriginalTitle: j.GetOriginalTitle(), AlternativeTitles: j.GetAlternativeTitles(), Year: j.Year,
		Genres: j.GetGenres(), Director: j.GetDirector(), Description: j.GetDescription(), RuntimeMinutes: j.RuntimeMinutes,
	}
	if ids := j.GetExternalIds(); ids != nil {
		m.ExternalIds = &metadatav1.ExternalIds{Imdb: ids.GetImdb(), Tmdb: ids.GetTmdb(), Movielens: ids.GetMovielens()}
	}
	var refusals []string
	for _, c := range complaints {
		reason := c.Field + ": " + c.Reason
		if fields, optional := optionalField(c.Field); optional && c.Kind == syntax.Wrong {
			for _, field := range fields {
				left = append(left, LeftOut{field, reason})
			}
			continue
		}
		refusals = append(refusals, reason)
	}
	return m, left, strings.Join(refusals, "; ")
}

// optionalField finds what a movie goes without if the value at a path of its JSON cannot be read, in the contract's spelling: nothing for
// a field that is ignored. It is not optional if the movie cannot go without it.
func optionalField(path string) (fields []string, optional bool) {
	name, _, _ := strings.Cut(path, "[")
	switch top, _, _ := strings.Cut(name, "."); top {
	case "id", "title":
		return nil, false
	case "ratingSummary", "ratingStatus", "metadataStatus", "etag":
		return nil, true
	}
	switch name {
	case "originalTitle":
		name = "original_title"
	case "alternativeTitles":
		name = "alternative_titles"
	case "runtimeMinutes":
		name = "runtime_minutes"
	case "externalIds":
		return []string{"external_ids.imdb", "external_ids.tmdb", "external_ids.movielens"}, true
	default:
		name = strings.Replace(name, "externalIds.", "external_ids.", 1)
	}
	return []string{name}, true
}
