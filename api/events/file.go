package events

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
)

// Position is where an item is in a file.
type Position struct {
	// Line is the line on which the item begins, from 1.
	Line int
	// Index is the item's place in a JSON array, from 0; -1 in a JSON-lines file. Text counts from 1, as lines do.
	Index int
}

// String returns the position as messages show it: "line 3" or "item 2 (line 5)".
func (p Position) String() string {
	if p.Index < 0 {
		return fmt.Sprintf("line %d", p.Line)
	}
	return fmt.Sprintf("item %d (line %d)", p.Index+1, p.Line)
}

// Item is one event of a file.
type Item struct {
	Position Position
	Event    Event
}

// RefusedError is an item of a file that is not a valid event. [Class] returns its class.
type RefusedError struct {
	Position Position
	// Raw is what was there, at most MaxSize bytes.
	Raw []byte
	// Err says why.
	Err error
}

// Error returns position and reason.
func (e *RefusedError) Error() string { return e.Position.String() + ": " + e.Err.Error() }

// Unwrap returns the reason.
func (e *RefusedError) Unwrap() error { return e.Err }

// ReadFile reads events in JSON form from a file: a JSON array of objects, or
// JSON lines (one object per line, empty lines are skipped); the first character that is not
// white space decides which. It streams, in constant memory.
//
// An item that is not a valid event yields a *[RefusedError], and reading continues
// after it. Any other error (the file cannot be read, or an array does not end)
// is the last thing yielded. A file without items yields nothing.
func ReadFile(r io.Reader) iter.Seq2[Item, error] {
	return func(yield func(Item, error) bool) {
		f := fileReader{r: bufio.NewReaderSize(r, 64<<10), line: 1}
		if bom, err := f.r.Peek(3); err == nil && string(bom) == "\xef\xbb\xbf" {
			_, _ = f.r.Discard(3) // some editors write a byte order mark
		}
		c, err := f.token()
		switch {
		case errors.Is(err, io.EOF):
			return
		case err != nil:
			yield(Item{}, err)
		case c == '[':
			f.array(yield)
		default:
			f.back()
			f.lines(yield)
		}
	}
}

// fileReader reads a file byte by byte and knows the line it is on.
type fileReader struct {
	r    *bufio.Reader
	line int
	last byte
	item []byte // the current item, at most MaxSize+1 bytes of it
}

func (f *fileReader) next() (byte, error) {
	c, err := f.r.ReadByte()
	if err != nil {
		if !errors.Is(err, io.EOF) {
			err = fmt.Errorf("read line %d: %w", f.line, err)
		}
		return 0, err
	}
	if c == '\n' {
		f.line++
	}
	f.last = c
	return c, nil
}

func (f *fileReader) back() {
	if f.r.UnreadByte() == nil && f.last == '\n' {
		f.line--
	}
}

// token returns the next byte that is not white space.
func (f *fileReader) token() (byte, error) {
	for {
		c, err := f.next()
		if err != nil || c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return c, err
		}
	}
}

// keep adds to the item, up to one byte more than the maximum.
func (f *fileReader) keep(c byte) {
	if len(f.item) <= MaxSize {
		f.item = append(f.item, c)
	}
}

// emit decodes the item and yields it, and reports whether to continue.
func (f *fileReader) emit(pos Position, yield func(Item, error) bool) bool {
	raw := bytes.TrimRight(f.item, " \t\r\n")
	f.item = f.item[:0]
	var e Event
	var err error
	if len(raw) > MaxSize {
		raw = raw[:MaxSize]
		err = refuse(classTooLarge, "event", "must be at most %d bytes, got more", MaxSize)
	} else {
		e, err = Decode(ContentTypeJSON, raw)
	}
	if err != nil {
		return yield(Item{Position: pos}, &RefusedError{Position: pos, Raw: bytes.Clone(raw), Err: err})
	}
	return yield(Item{Position: pos, Event: e}, nil)
}

func (f *fileReader) lines(yield func(Item, error) bool) {
	for {
		c, err := f.token()
		pos := Position{Line: f.line, Index: -1}
		for err == nil && c != '\n' {
			f.keep(c)
			c, err = f.next()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			yield(Item{}, err)
			return
		}
		if len(f.item) > 0 && !f.emit(pos, yield) || err != nil {
			return
		}
	}
}

// array reads what follows the opening bracket. It finds the items by brackets and
// quotes alone, so that one with an error inside does not take the next ones with it.
func (f *fileReader) array(yield func(Item, error) bool) {
	for index := 0; ; index++ {
		c, err := f.token()
		pos := Position{Line: f.line, Index: index}
		if err == nil && c == ']' && index == 0 {
			f.afterArray(yield)
			return
		}
		for depth, quoted, escaped := 0, false, false; err == nil; c, err = f.next() {
			if !quoted && depth == 0 && (c == ',' || c == ']') {
				break
			}
			switch {
			case escaped:
				escaped = false
			case quoted && c == '\\':
				escaped = true
			case c == '"':
				quoted = !quoted
			case quoted:
			case c == '{' || c == '[':
				depth++
			case c == '}' || c == ']':
				depth = max(depth-1, 0) // one too many is this item's fault, not the next one's
			}
			f.keep(c)
		}
		switch {
		case errors.Is(err, io.EOF):
			yield(Item{}, fmt.Errorf("the file ends inside the JSON array, in %s: the closing bracket is missing; is it complete?", pos))
			return
		case err != nil:
			yield(Item{}, err)
			return
		}
		if !f.emit(pos, yield) {
			return
		}
		if c == ']' {
			f.afterArray(yield)
			return
		}
	}
}

// afterArray makes sure that the file ends with the array.
func (f *fileReader) afterArray(yield func(Item, error) bool) {
	switch c, err := f.token(); {
	case errors.Is(err, io.EOF):
	case err != nil:
		yield(Item{}, err)
	default:
		yield(Item{}, fmt.Errorf("the JSON array ends, but %q follows on line %d: a file is one array, or one object per line", string(rune(c)), f.line))
	}
}
