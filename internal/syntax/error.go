package syntax

import (
	"fmt"
	"strconv"
	"unicode/utf8"
)

// Problem is what is wrong with a text as a whole.
type Problem uint8

// The problems.
const (
	NotJSON   Problem = iota
	NotUTF8           // a byte that is no part of a character
	Empty             // nothing but white space
	NotObject         // JSON, but no object
	TooDeep           // nested deeper than MaxDepth
	Trailing          // something behind the object
)

// Error says why a text is not read.
type Error struct {
	Problem Problem
	// Offset is the byte of the text, from 0, at which it shows; 0 where the problem has no place.
	Offset int
	// Wanted is what should stand at Offset, for NotJSON; empty if the text does not even begin as an object.
	Wanted string

	got string
	end bool // the text ends at Offset
}

// Error is a predicate without its subject, such as "must be valid JSON: a colon should be at byte 7, got "}"". Bytes are counted from 1.
func (e *Error) Error() string {
	switch e.Problem {
	case NotUTF8:
		return "must be valid UTF-8"
	case Empty:
		return "is empty: must be a JSON object, got only white space"
	case NotObject:
		return "must be a JSON object, got " + e.got
	case TooDeep:
		return fmt.Sprintf("must not be nested deeper than %d levels", MaxDepth)
	case Trailing:
		return fmt.Sprintf("must be one JSON object and nothing behind it, got %s at byte %d", e.got, e.Offset+1)
	}
	switch {
	case e.Wanted == "":
		return "must be a JSON object, got " + e.got
	case e.end:
		return fmt.Sprintf("must be valid JSON: it ends at byte %d where %s should be", e.Offset, e.Wanted)
	}
	return fmt.Sprintf("must be valid JSON: %s should be at byte %d, got %s", e.Wanted, e.Offset+1, e.got)
}

// mostShown is how many bytes of what was given a message shows.
const mostShown = 64

// show quotes what was given for a message, shortened.
func show(v string) string {
	if len(v) <= mostShown {
		return strconv.Quote(v)
	}
	cut := mostShown
	for cut > mostShown-utf8.UTFMax && !utf8.RuneStart(v[cut]) {
		cut--
	}
	return strconv.Quote(v[:cut]) + "…"
}

// shorten is show for what needs no quotes.
func shorten(literal string) string {
	if len(literal) <= mostShown {
		return literal
	}
	cut := mostShown
	for cut > mostShown-utf8.UTFMax && !utf8.RuneStart(literal[cut]) {
		cut--
	}
	return literal[:cut] + "…"
}
