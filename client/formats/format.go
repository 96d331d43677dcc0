package formats

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
)

// Format is how values stand in a file.
type Format string

// The formats.
const (
	CSV   Format = "csv"
	JSONL Format = "jsonl"
)

// Named returns the format that a file's name ends in; ok is false if it ends in neither.
func Named(file string) (f Format, ok bool) {
	switch strings.ToLower(filepath.Ext(file)) {
	case ".csv":
		return CSV, true
	case ".jsonl", ".ndjson", ".json":
		return JSONL, true
	}
	return "", false
}

// Sniff returns the format that r begins with, and a reader that returns all of r: JSON begins with a brace or a
// bracket, and CSV with the name of a column. Empty input counts as JSON lines.
func Sniff(r io.Reader) (Format, io.Reader, error) {
	b := bufio.NewReader(r)
	for n := 1; n <= b.Size(); n++ {
		head, err := b.Peek(n)
		if errors.Is(err, io.EOF) && len(head) < n {
			return JSONL, b, nil
		}
		if err != nil {
			return "", nil, err
		}
		switch c := head[n-1]; c {
		case ' ', '\t', '\r', '\n', 0xef, 0xbb, 0xbf: // white space, byte order mark
		case '{', '[':
			return JSONL, b, nil
		default:
			return CSV, b, nil
		}
	}
	return CSV, b, nil
}

// RowError is a row that was rejected, or that was taken without one of its fields. The rows around it are not affected.
type RowError struct {
	// File is what the caller calls the file.
	File string
	// Line is the line on which the row starts, from 1.
	Line int
	// ID says whose row it is, where that could be read.
	ID string
	// Reason says what is wrong and what is allowed.
	Reason string
}

// Error names file, line, id and reason, in this order.
func (e *RowError) Error() string {
	id := ""
	if e.ID != "" {
		id = fmt.Sprintf(" %q:", shorten(e.ID))
	}
	return fmt.Sprintf("%s line %d:%s %s", e.File, e.Line, id, e.Reason)
}

// maxRow is the longest row that is read, in bytes. A movie of which every field is
// as long as it may be has some 500,000.
const maxRow = 1 << 20

// lines reads a file line by line, and takes lines back.
type lines struct {
	r     *bufio.Reader
	line  int      // of the line read last
	again [][]byte // to be read before what r has
}

func newLines(r io.Reader) *lines {
	l := &lines{r: bufio.NewReaderSize(r, maxRow)}
	if mark, err := l.r.Peek(3); err == nil && string(mark) == "\xef\xbb\xbf" {
		_, _ = l.r.Discard(3) // Windows programs begin a file so
	}
	return l
}

// errTooLong is a line of more than maxRow bytes, which was skipped.
var errTooLong = fmt.Errorf("the line is longer than %d bytes, more than any row of this format", maxRow)

// next returns the next line with its end, valid until the next call.
func (l *lines) next() ([]byte, error) {
	if len(l.again) > 0 {
		line := l.again[0]
		l.again = l.again[1:]
		l.line++
		return line, nil
	}
	line, err := l.r.ReadSlice('\n')
	switch {
	case err == nil, errors.Is(err, io.EOF) && len(line) > 0:
		l.line++
		return line, nil
	case errors.Is(err, bufio.ErrBufferFull):
		l.line++
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = l.r.ReadSlice('\n')
		}
		if err == nil || errors.Is(err, io.EOF) {
			err = errTooLong
		}
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	}
	if !errors.Is(err, errTooLong) {
		err = fmt.Errorf("read line %d: %w", l.line+1, err)
	}
	return nil, err
}

// back gives lines back that have been read, the first of which is to be read next.
func (l *lines) back(read [][]byte) {
	l.again = append(read, l.again...)
	l.line -= len(read)
}

// blank reports whether there is nothing on a line.
func blank(line []byte) bool { return len(bytes.TrimSpace(line)) == 0 }

// LeftOut is an optional field of a row that cannot be read. The row is taken without it.
type LeftOut struct {
	// Field is the field in the contract's spelling: "external_ids.imdb".
	Field string
	// Reason names the field as the file does, and says what is wrong and what is allowed.
	Reason string
}

func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}
