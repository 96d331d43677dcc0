package imdb

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"unicode/utf8"

	"github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
)

// RowError is a row that was rejected, or a field that was left out of one. The rows around it are not affected.
type RowError struct {
	// File is the file's name without its directory, as "title.basics.tsv.gz".
	File string
	// Line is the line of the unpacked file, from 1; the header is on line 1.
	Line int
	// Field is the column, as in the header; empty if the row as a whole is wrong.
	Field string
	// Value is the given value, shortened if it is long.
	Value string
	// Reason says what is wrong and what is allowed.
	Reason string
	// Kept says that only Field was left out, or a part of it: the rest of the row is taken.
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

// maxRow is the longest row that is read, in bytes. The longest of the real files
// has some 10,000: a series with all of its writers.
const maxRow = 256 << 10

// table reads a TSV file as IMDb writes them: a header, tabs, no quoting, so a quote is a quote and a row is a line.
type table struct {
	name string // for rejects
	src  io.Reader
	r    *bufio.Reader
	line int
	// width is how many columns the header has, and wanted the positions of the requested ones.
	width  int
	header string
	wanted []int
	tabs   []int
	fields [][]byte // of the current row, those wanted; valid until the next
	left   []*RowError
}

// newTable reads the header of src. columns are those that are needed, by name; there may be others.
func newTable(name string, src io.Reader, columns []string) (*table, error) {
	t := &table{name: name, src: src, r: bufio.NewReaderSize(src, maxRow), line: 1, fields: make([][]byte, len(columns))}
	header, err := t.r.ReadSlice('\n')
	if err != nil && (!errors.Is(err, io.EOF) || len(header) == 0) {
		switch {
		case errors.Is(err, io.EOF):
			return nil, fmt.Errorf("the file is empty; its first line must name the columns %s", strings.Join(columns, ", "))
		case errors.Is(err, bufio.ErrBufferFull):
			return nil, fmt.Errorf("its first line is longer than %d bytes; it must name the columns %s, with tabs between them", maxRow, strings.Join(columns, ", "))
		}
		return nil, explainRead(err)
	}
	t.header = string(bytes.TrimRight(bytes.TrimPrefix(header, []byte("\xef\xbb\xbf")), "\r\n"))
	names := strings.Split(t.header, "\t")
	t.width, t.tabs = len(names), make([]int, 0, len(names))
	var missing []string
	for _, c := range columns {
		at := slices.Index(names, c)
		if at < 0 {
			missing = append(missing, c)
		}
		t.wanted = append(t.wanted, at)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s missing; the first line must name %s, with tabs between them, and is %q",
			absent(missing), strings.Join(columns, ", "), shorten(t.header))
	}
	return t, nil
}

// next reads the next row that is not empty into fields. At the end the error is io.EOF.
func (t *table) next() (bad *RowError, err error) {
	t.left = nil
	for {
		row, err := t.r.ReadSlice('\n')
		t.line++
		if errors.Is(err, bufio.ErrBufferFull) {
			bad := t.reject("", string(row[:min(len(row), 100)]), "the line is longer than %d bytes, more than any row of these files", maxRow)
			for errors.Is(err, bufio.ErrBufferFull) {
				_, err = t.r.ReadSlice('\n')
			}
			if err != nil && !errors.Is(err, io.EOF) {
				return nil, t.failed(err)
			}
			return bad, nil
		}
		if err != nil && (!errors.Is(err, io.EOF) || len(row) == 0) {
			if errors.Is(err, io.EOF) {
				return nil, io.EOF
			}
			return nil, t.failed(err)
		}
		row = bytes.TrimSuffix(row, []byte("\n"))
		row = bytes.TrimSuffix(row, []byte("\r"))
		if len(row) == 0 {
			continue
		}
		return t.split(row), nil
	}
}

func (t *table) split(row []byte) *RowError {
	t.tabs = t.tabs[:0]
	for at := 0; ; {
		i := bytes.IndexByte(row[at:], '\t')
		if i < 0 {
			break
		}
		t.tabs = append(t.tabs, at+i)
		at += i + 1
	}
	if n := len(t.tabs) + 1; n != t.width {
		return t.reject("", string(row), "has %d columns; must have %d: %s", n, t.width, strings.ReplaceAll(t.header, "\t", ", "))
	}
	if !utf8.Valid(row) {
		return t.reject("", string(row), "is not valid UTF-8; convert the file to UTF-8")
	}
	for i, column := range t.wanted {
		from, to := 0, len(row)
		if column > 0 {
			from = t.tabs[column-1] + 1
		}
		if column < len(t.tabs) {
			to = t.tabs[column]
		}
		t.fields[i] = row[from:to]
	}
	return nil
}

// reject is a RowError about the current row.
func (t *table) reject(field, value, format string, args ...any) *RowError {
	return &RowError{File: t.name, Line: t.line, Field: field, Value: shorten(value), Reason: fmt.Sprintf(format, args...)}
}

// leaveOut notes that the current row is taken without a field.
func (t *table) leaveOut(field, value, format string, args ...any) {
	left := t.reject(field, value, format, args...)
	left.Kept = true
	t.left = append(t.left, left)
}

func (t *table) failed(err error) error {
	return fmt.Errorf("read %s at line %d: %w", t.name, t.line, explainRead(err))
}

// explainRead says what to do about a file that cannot be unpacked.
func explainRead(err error) error {
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("%w: the file is truncated; download it again", err)
	case errors.Is(err, gzip.ErrHeader):
		return fmt.Errorf("%w: it is not a gzip file; if it is unpacked already, name it without .gz", err)
	case errors.Is(err, errBehind):
		return fmt.Errorf("%w: if 'gzip -t' finds only trailing garbage, unpack it with 'gzip -dc FILE.tsv.gz > FILE.tsv' and import that; else download it again", err)
	case errors.As(err, new(flate.CorruptInputError)), errors.Is(err, gzip.ErrChecksum):
		return fmt.Errorf("%w: the file is damaged; download it again", err)
	}
	return err
}

// missing reports whether IMDb says that it does not know.
func missing(field []byte) bool {
	return len(field) == 0 || len(field) == 2 && field[0] == '\\' && field[1] == 'N'
}

// source is a file that is unpacked while it is read.
type source struct {
	file *os.File
	r    io.Reader
	done *atomic.Int64 // bytes read of the file as it is on disk; may be nil
}

func openSource(path string, done *atomic.Int64) (*source, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	s := &source{file: f, r: f, done: done}
	s.r = &counting{f, done}
	if strings.HasSuffix(path, ".gz") {
		z, err := newUnpacked(bufio.NewReaderSize(s.r, 128<<10))
		if errors.Is(err, io.EOF) {
			err = fmt.Errorf("%w: the file is empty; download it again", err)
		}
		if err != nil {
			return nil, errors.Join(explainRead(err), f.Close())
		}
		s.r = z
	}
	return s, nil
}

func (s *source) Read(p []byte) (int, error) { return s.r.Read(p) }

func (s *source) Close() error { return s.file.Close() }

// counting counts what is read.
type counting struct {
	r io.Reader
	n *atomic.Int64
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.r.Read(p)
	if c.n != nil {
		c.n.Add(int64(n))
	}
	return n, err
}

func shorten(s string) string {
	const most = 80
	if len(s) <= most {
		return strings.ToValidUTF8(s, "\uFFFD")
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// absent is the beginning of a sentence about columns.
func absent(columns []string) string {
	if len(columns) == 1 {
		return "the column " + columns[0] + " is"
	}
	return "the columns " + strings.Join(columns, ", ") + " are"
}
