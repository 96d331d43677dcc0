package formats

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"strconv"
	"strings"
	"time"

	"movieexample.com/api/events"
	"movieexample.com/internal/syntax"
)

// RatingColumns are the columns of a CSV file of ratings, in the order in which they are written.
func RatingColumns() []string {
	return []string{"recordType", "recordId", "userId", "value", "ratedAt"}
}

// RatingWriter writes ratings to a file. In JSON lines they are events, as package events has them.
type RatingWriter struct {
	w      *bufio.Writer
	format Format
	line   []byte
}

// NewRatingWriter returns a writer of a file that begins now. Flush it at the end; w's
// errors come from Write and Flush.
func NewRatingWriter(w io.Writer, f Format) *RatingWriter {
	r := &RatingWriter{w: bufio.NewWriterSize(w, 64<<10), format: f}
	if f == CSV {
		_, _ = r.w.WriteString(strings.Join(RatingColumns(), ",") + "\n") // too short to be written yet
	}
	return r
}

// Write writes a rating, which is a valid event of type Put with a time.
func (w *RatingWriter) Write(e *events.Event) error {
	if w.format == JSONL {
		w.line = append(e.AppendJSON(w.line[:0]), '\n')
	} else {
		b := appendCSV(w.line[:0], e.RecordType)
		b = appendCSV(append(b, ','), e.RecordID)
		b = appendCSV(append(b, ','), e.UserID)
		b = strconv.AppendInt(append(b, ','), int64(e.Value), 10)
		b = e.RatedAt.UTC().Truncate(time.Microsecond).AppendFormat(append(b, ','), time.RFC3339Nano)
		w.line = append(b, '\n')
	}
	_, err := w.w.Write(w.line)
	return err
}

// Flush writes what is still held.
func (w *RatingWriter) Flush() error { return w.w.Flush() }

// RatingRow is a rating of a file, as an event that is valid and has a time; in JSON it may be of type Delete.
type RatingRow struct {
	Line  int
	Event events.Event
	// Left are the fields that the rating goes without, because they cannot be read.
	Left []LeftOut
}

// ReadRatings streams the ratings of a file, with the errors of [ReadMovies]. A JSON file may also be one array.
func ReadRatings(name string, r io.Reader, f Format) iter.Seq2[RatingRow, error] {
	if f == JSONL {
		return readEvents(name, r)
	}
	return func(yield func(RatingRow, error) bool) {
		t, err := newTable(name, r, append(RatingColumns(), "providerId"), RatingColumns())
		if err != nil {
			yield(RatingRow{}, fmt.Errorf("read %s: %w", name, err))
			return
		}
		for {
			fields, line, bad, err := t.next()
			if errors.Is(err, io.EOF) {
				return
			}
			if err != nil {
				yield(RatingRow{}, fmt.Errorf("read %s: %w", name, err))
				return
			}
			row := RatingRow{Line: line}
			if bad == nil {
				if row.Event, row.Left, err = ratingOfFields(fields); err != nil {
					bad = &RowError{File: name, Line: line, Reason: err.Error()}
				}
			}
			if bad != nil {
				if !yield(RatingRow{Line: line}, bad) {
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

func ratingOfFields(fields []string) (e events.Event, left []LeftOut, err error) {
	e = events.Event{RecordType: fields[0], RecordID: fields[1], UserID: fields[2]}
	n, ok := syntax.Whole(fields[3])
	if !ok || n < events.MinValue || n > events.MaxValue {
		return e, nil, fmt.Errorf("value: must be a whole number from %d to %d, got %q", events.MinValue, events.MaxValue, shorten(fields[3]))
	}
	e.Value = int(n)
	if e.RatedAt, err = syntax.Time(fields[4]); err != nil {
		return e, nil, fmt.Errorf("ratedAt: %w, got %q", err, shorten(fields[4]))
	}
	if e.RatedAt.IsZero() {
		return e, nil, errors.New("ratedAt: must be in the years 1970 to 9999")
	}
	if err := e.Validate(); err != nil {
		return e, nil, err
	}
	e.ProviderID = fields[5]
	if err := e.Validate(); err != nil { // all else was valid before
		e.ProviderID = ""
		left = append(left, LeftOut{"provider_id", err.Error()})
	}
	return e, left, nil
}

func readEvents(name string, r io.Reader) iter.Seq2[RatingRow, error] {
	return func(yield func(RatingRow, error) bool) {
		for item, err := range events.ReadFile(r) {
			bad := (*RowError)(nil)
			if refused := (*events.RefusedError)(nil); errors.As(err, &refused) {
				bad = &RowError{File: name, Line: refused.Position.Line, Reason: refused.Err.Error()}
			} else if err != nil {
				yield(RatingRow{}, fmt.Errorf("read %s: %w", name, err))
				return
			} else if item.Event.RatedAt.IsZero() {
				bad = &RowError{
					File: name, Line: item.Position.Line,
					Reason: "ratedAt: is required, or a repeated import would rate again; 'movieexample publish' takes events without it",
				}
			}
			if bad != nil {
				if !yield(RatingRow{Line: bad.Line}, bad) {
					return
				}
				continue
			}
			if !yield(RatingRow{Line: item.Position.Line, Event: item.Event}, nil) {
				return
			}
		}
	}
}
