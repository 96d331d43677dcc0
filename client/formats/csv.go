package formats

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// table reads CSV (RFC 4180) with a header, so that one broken row costs no other: if a quote is not closed, the
// lines behind it are read as separate rows, which is what they nearly always are.
type table struct {
	name  string // for rejects
	lines *lines
	// wanted has the positions of the requested columns; -1 for a missing one.
	wanted []int
	width  int

	record []byte
	fields []string
	row    []string // the wanted ones
}

// newTable reads the header. columns are those that there may be, of which the required ones must be there.
func newTable(name string, r io.Reader, columns, required []string) (*table, error) {
	t := &table{name: name, lines: newLines(r), row: make([]string, len(columns))}
	header, _, bad, err := t.read()
	switch {
	case errors.Is(err, io.EOF):
		return nil, fmt.Errorf("the file is empty; its first line must name the columns, which are %s", strings.Join(columns, ","))
	case err != nil:
		return nil, err
	case bad != "":
		return nil, fmt.Errorf("the first line must name the columns %s, but %s", strings.Join(columns, ","), bad)
	}
	for i, c := range header {
		header[i] = strings.TrimSpace(c)
		if !slices.Contains(columns, header[i]) {
			return nil, fmt.Errorf("there is no column %q; the first line names the columns, which are %s", shorten(c), strings.Join(columns, ","))
		}
		if slices.Contains(header[:i], header[i]) {
			return nil, fmt.Errorf("the column %s occurs twice", header[i])
		}
	}
	var missing []string
	for _, c := range columns {
		at := slices.Index(header, c)
		if at < 0 && slices.Contains(required, c) {
			missing = append(missing, c)
		}
		t.wanted = append(t.wanted, at)
	}
	if len(missing) > 0 {
		return nil, fmt.Errorf("%s missing; needed are %s", absent(missing), strings.Join(required, ","))
	}
	t.width = len(header)
	return t, nil
}

// next returns the requested fields of the next row and the line it begins on; "" for
// those of columns that are not there. At the end the error is io.EOF.
func (t *table) next() (row []string, line int, bad *RowError, err error) {
	fields, line, reason, err := t.read()
	if err != nil {
		return nil, line, nil, err
	}
	if reason == "" && len(fields) != t.width {
		reason = fmt.Sprintf("has %d fields; the first line names %d columns", len(fields), t.width)
	}
	if reason != "" {
		return nil, line, &RowError{File: t.name, Line: line, Reason: reason}, nil
	}
	for i, at := range t.wanted {
		t.row[i] = ""
		if at >= 0 {
			t.row[i] = fields[at]
		}
	}
	return t.row, line, nil, nil
}

// read returns the next record, or why it is none.
func (t *table) read() (fields []string, line int, bad string, err error) {
	var first []byte
	for {
		first, err = t.lines.next()
		if errors.Is(err, errTooLong) {
			return nil, t.lines.line, err.Error(), nil
		}
		if err != nil {
			return nil, t.lines.line, "", err
		}
		if !blank(first) {
			break
		}
	}
	line = t.lines.line
	t.record = append(t.record[:0], first...)
	var ends []int // of the lines that were taken
	for open := bytes.Count(first, []byte{'"'})%2 == 1; open; {
		ends = append(ends, len(t.record))
		more, err := t.lines.next()
		if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, errTooLong) {
			return nil, line, "", err
		}
		if err != nil || len(t.record)+len(more) > maxRow {
			if err == nil {
				t.record = append(t.record, more...)
				ends = append(ends, len(t.record))
			}
			t.giveBack(ends, errors.Is(err, errTooLong))
			return nil, line, "a quoted field that starts in this row is not closed; close the quote, and double the quotes in it", nil
		}
		t.record = append(t.record, more...)
		open = bytes.Count(more, []byte{'"'})%2 == 0
	}
	var ok bool
	if t.fields, ok = splitCSV(string(trimLineEnd(t.record)), t.fields[:0]); !ok {
		if len(ends) > 0 {
			t.giveBack(append(ends, len(t.record)), false)
		}
		return nil, line, `has a quote that neither begins nor ends a field; put the field in quotes and double the quotes in it: "a ""b"" c"`, nil
	}
	if !utf8.Valid(t.record) {
		return nil, line, "is not valid UTF-8; convert the file to UTF-8", nil
	}
	return t.fields, line, "", nil
}

// giveBack puts the lines of the record but the first back. ends are where its lines
// end. A line that was too long is gone, and counted.
func (t *table) giveBack(ends []int, skipped bool) {
	var back [][]byte
	for i := 1; i < len(ends); i++ {
		back = append(back, bytes.Clone(t.record[ends[i-1]:ends[i]]))
	}
	if skipped {
		back = append(back, []byte("\n")) // keeps its number
	}
	t.lines.back(back)
}

func trimLineEnd(line []byte) []byte {
	return bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
}

// splitCSV cuts a record into fields.
func splitCSV(record string, fields []string) ([]string, bool) {
	for {
		if !strings.HasPrefix(record, `"`) {
			field, rest, more := strings.Cut(record, ",")
			if strings.Contains(field, `"`) {
				return fields, false
			}
			fields = append(fields, field)
			if record = rest; !more {
				return fields, true
			}
			continue
		}
		at := 1
		for {
			end := strings.IndexByte(record[at:], '"')
			if end < 0 {
				return fields, false
			}
			if at += end + 1; at == len(record) || record[at] != '"' {
				break
			}
			at++
		}
		field := strings.ReplaceAll(record[1:at-1], `""`, `"`)
		// A line break is one character, whatever program wrote it.
		fields = append(fields, strings.ReplaceAll(field, "\r\n", "\n"))
		if at == len(record) {
			return fields, true
		}
		if record[at] != ',' {
			return fields, false
		}
		record = record[at+1:]
	}
}

// appendCSV appends a field, in quotes where it needs them.
func appendCSV(dst []byte, field string) []byte {
	if !strings.ContainsAny(field, "\",\r\n") && field == strings.TrimSpace(field) {
		return append(dst, field...)
	}
	dst = append(dst, '"')
	for part := range strings.SplitAfterSeq(field, `"`) {
		dst = append(dst, part...)
		if strings.HasSuffix(part, `"`) {
			dst = append(dst, '"')
		}
	}
	return append(dst, '"')
}

// appendList appends a list as one field: elements are separated by "|", and a "|" or
// a backslash in one is written behind a backslash.
func appendList(dst []byte, list []string) []byte {
	escape := strings.NewReplacer(`\`, `\\`, `|`, `\|`)
	var b strings.Builder
	for i, element := range list {
		if i > 0 {
			b.WriteByte('|')
		}
		_, _ = escape.WriteString(&b, element) // a Builder takes everything
	}
	return appendCSV(dst, b.String())
}

// splitList is the reverse.
func splitList(field string) ([]string, bool) {
	if field == "" {
		return nil, true
	}
	if !strings.Contains(field, `\`) {
		return strings.Split(field, "|"), true
	}
	var list []string
	var element []byte
	for i := 0; i < len(field); i++ {
		switch c := field[i]; c {
		case '|':
			list = append(list, string(element))
			element = element[:0]
		case '\\':
			i++
			if i == len(field) || field[i] != '\\' && field[i] != '|' {
				return nil, false
			}
			element = append(element, field[i])
		default:
			element = append(element, c)
		}
	}
	return append(list, string(element)), true
}

// absent is the beginning of a sentence about columns.
func absent(columns []string) string {
	if len(columns) == 1 {
		return "the column " + columns[0] + " is"
	}
	return "the columns " + strings.Join(columns, ", ") + " are"
}
