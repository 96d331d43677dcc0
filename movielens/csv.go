package movielens

import (
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"unicode/utf8"
)

// maxRecord is the longest row that is read, in bytes with its line end. The longest of the real data has some 200.
// Without a limit one unclosed quote would pull the rest of a gigabyte file into memory.
const maxRecord = 64 << 10

// records cuts a CSV file into records, for rows that carry the physical line
// they start on, and so that one broken row costs no other.
//
// encoding/csv does the parsing. Alone it would lose its place: a quote that is never closed swallows all lines
// after it, without bound, and an error in the third line of a record discards the first two. So records feeds it
// line by line from a window that begins at the record's first byte. If the record turns out broken or too long, the
// window still holds the lines, and reading resumes at the line after the record's first. As a consequence, the lines
// after an unclosed quote are read as separate rows, which they nearly always are.
type records struct {
	src io.Reader
	csv *csv.Reader // reads from this records, see Read

	buf   []byte
	start int // first byte of the current record
	first int // end of the record's first line
	given int // end of what the parser has had
	next  int // end of the last line taken
	end   int // end of what is in buf

	line    int   // physical line of start, from 1
	taken   int   // lines in start..next
	before  int64 // bytes of the file in front of buf
	eof     bool
	tooLong bool
	err     error // of src, other than io.EOF
}

func newRecords(src io.Reader) *records {
	r := &records{src: src, buf: make([]byte, 4*maxRecord), line: 1}
	r.csv = csv.NewReader(r)
	r.csv.ReuseRecord = true
	r.csv.FieldsPerRecord = -1 // counted by the caller, who can name the columns
	return r
}

// broken is why a record could not be read: its first line, shortened, and the reason.
type broken struct{ text, reason string }

// read returns the next record that is not a blank line and the line it starts
// on; the fields are valid until the next call. At the end the error is io.EOF.
// After a broken record the next call continues behind the record's first line.
func (r *records) read() (fields []string, line int, bad *broken, err error) {
	if ok, bad, err := r.begin(); !ok {
		line := r.line
		if bad != nil {
			r.line++
		}
		return nil, line, bad, err
	}
	line = r.line
	fields, err = r.csv.Read()
	if r.err != nil {
		return nil, line, nil, r.err
	}
	first := r.buf[r.start:r.first]
	switch {
	case r.tooLong:
		bad = &broken{excerpt(first), fmt.Sprintf("a quoted field that starts in this row is not closed within %d bytes; close the quote", maxRecord)}
	case err != nil:
		bad = &broken{excerpt(first), quotingReason(err)}
	case !utf8.Valid(r.buf[r.start:r.next]):
		bad = &broken{excerpt(first), "is not valid UTF-8; convert the file to UTF-8"}
	}
	if bad != nil {
		r.start, r.next, r.line = r.first, r.first, r.line+1
		return nil, line, bad, nil
	}
	r.start, r.line = r.next, r.line+r.taken
	return fields, line, nil, nil
}

// offset is the number of bytes of the file that are dealt with.
func (r *records) offset() int64 { return r.before + int64(r.start) }

// begin takes the first line of the next record.
func (r *records) begin() (ok bool, bad *broken, err error) {
	for {
		r.taken, r.tooLong = 0, false
		r.given = r.next
		if !r.takeLine() {
			break
		}
		if len(bytes.TrimRight(r.buf[r.start:r.next], "\r\n")) > 0 {
			r.first = r.next
			return true, nil, nil
		}
		r.start = r.next
		r.line++
	}
	switch {
	case r.err != nil:
		return false, nil, r.err
	case r.tooLong:
		bad = &broken{excerpt(r.buf[r.start:r.end]), fmt.Sprintf("the line is longer than %d bytes, more than any row of this format", maxRecord)}
		if err := r.skipLine(); err != nil {
			return false, nil, err
		}
		return false, bad, nil
	default:
		return false, nil, io.EOF
	}
}

// Read gives the parser the current record, never more than one line at a time: the parser asks for another line only
// if a quote is open. It implements io.Reader for csv.Reader alone.
func (r *records) Read(p []byte) (int, error) {
	if r.given == r.next && !r.takeLine() {
		return 0, io.EOF // the parser reports the open quote; read knows why it is open
	}
	n := copy(p, r.buf[r.given:r.next])
	r.given += n
	return n, nil
}

// takeLine moves next behind the next line. It returns false at the end of the
// file, on an error of the source, and if the record would become too long.
func (r *records) takeLine() bool {
	searched := r.next
	for {
		if i := bytes.IndexByte(r.buf[searched:r.end], '\n'); i >= 0 {
			if searched+i+1-r.start > maxRecord {
				r.tooLong = true
				return false
			}
			r.next = searched + i + 1
			r.taken++
			return true
		}
		if r.end-r.start > maxRecord {
			r.tooLong = true
			return false
		}
		if r.eof {
			if r.next == r.end {
				return false
			}
			r.next = r.end // the last line has no line end
			r.taken++
			return true
		}
		ahead := r.end - r.next
		if !r.fill() {
			return false
		}
		searched = r.next + ahead
	}
}

// fill reads more into buf, after moving the current record to its front if there is no room. The indices move along.
func (r *records) fill() bool {
	if r.end == len(r.buf) {
		shift := r.start
		copy(r.buf, r.buf[shift:r.end])
		r.before += int64(shift)
		r.start, r.first, r.given, r.next, r.end = 0, r.first-shift, r.given-shift, r.next-shift, r.end-shift
	}
	for range 100 { // as bufio: a source that gives nothing again and again is broken
		n, err := r.src.Read(r.buf[r.end:])
		r.end += n
		switch {
		case errors.Is(err, io.EOF):
			r.eof = true
			return true
		case err != nil:
			r.err = err
			return false
		case n > 0:
			return true
		}
	}
	r.err = io.ErrNoProgress
	return false
}

// skipLine drops everything to the end of the line that starts at start, in constant memory.
func (r *records) skipLine() error {
	for {
		if i := bytes.IndexByte(r.buf[r.start:r.end], '\n'); i >= 0 {
			r.start += i + 1
			r.next = r.start
			return nil
		}
		r.start, r.first, r.given, r.next = r.end, r.end, r.end, r.end
		if r.eof {
			return nil
		}
		if !r.fill() {
			return r.err
		}
	}
}

// skipBOM drops the byte order mark with which Windows programs start a file.
func (r *records) skipBOM() error {
	for r.end < 3 && !r.eof {
		if !r.fill() {
			return r.err
		}
	}
	if bytes.HasPrefix(r.buf[:r.end], []byte("\xef\xbb\xbf")) {
		r.start, r.next, r.given = 3, 3, 3
	}
	return nil
}

func quotingReason(err error) string {
	if errors.Is(err, csv.ErrBareQuote) {
		return `has a quote inside an unquoted field; put the field in quotes and double the quotes in it: "a ""b"" c"`
	}
	return `has a quoted field that is not closed, or text behind its closing quote; close it and double the quotes in it: "a ""b"" c"`
}

// excerpt is the start of what was read, short enough for a message.
func excerpt(raw []byte) string {
	const most = 80
	cut := len(raw) > most
	if cut {
		raw = raw[:most]
	}
	raw = bytes.TrimRight(bytes.ToValidUTF8(raw, []byte("\uFFFD")), "\r\n")
	if cut {
		return string(raw) + "…"
	}
	return string(raw)
}
