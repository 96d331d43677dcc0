package events

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// maxDepth is how deep values of unknown names may be nested. The contract itself is flat.
const maxDepth = 32

// kind is the JSON type of a value.
type kind uint8

const (
	kindAbsent kind = iota
	kindNull
	kindBool
	kindNumber
	kindString
	kindArray
	kindObject
)

// scanner reads one JSON text (RFC 8259) that is valid UTF-8.
type scanner struct {
	text string
	at   int
	hint string // what a sender of something else than JSON should know
}

// object reads the whole text, which must be one object, into vals.
func (s *scanner) object(vals *[fieldUnknown]given) error {
	s.space()
	if c := s.peek(); c != '{' {
		return s.noObject()
	}
	s.at++
	s.space()
	if s.peek() == '}' {
		s.at++
		return s.end()
	}
	for {
		if err := s.member(vals); err != nil {
			return err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case '}':
			s.at++
			return s.end()
		default:
			return s.syntax("a comma or a closing brace")
		}
	}
}

// member reads one name and its value.
func (s *scanner) member(vals *[fieldUnknown]given) error {
	if s.peek() != '"' {
		return s.syntax("a name in double quotes")
	}
	name, _, err := s.str()
	if err != nil {
		return err
	}
	s.space()
	if s.peek() != ':' {
		return s.syntax("a colon")
	}
	s.at++
	s.space()
	f := fieldOf(name)
	if f == fieldUnknown {
		if known, ok := meant(name); ok {
			return refuse(classMisspelled, known, "must be spelled %q, got %q", known, name)
		}
		_, err := s.value(1)
		return err
	}
	if vals[f].kind != kindAbsent {
		return refuse(classDuplicate, name, "must be given once, got it twice")
	}
	start := s.at
	if s.peek() == '"' {
		text, lone, err := s.str()
		if err != nil {
			return err
		}
		if lone {
			return refuse(classUTF8, name, "must be valid Unicode, got half of a surrogate pair in %s", shorten(s.text[start:s.at]))
		}
		vals[f] = given{kindString, text}
		return nil
	}
	k, err := s.value(1)
	if err != nil {
		return err
	}
	vals[f] = given{k, s.text[start:s.at]}
	return nil
}

// value reads any value and returns its type; the literal is what was passed over.
func (s *scanner) value(depth int) (kind, error) {
	switch c := s.peek(); {
	case c == '"':
		_, _, err := s.str()
		return kindString, err
	case c == '-' || c >= '0' && c <= '9':
		return kindNumber, s.number()
	case c == '{' || c == '[':
		if depth >= maxDepth {
			return 0, refuse(classTooDeep, "event", "must not be nested deeper than %d levels", maxDepth)
		}
		return s.composite(depth)
	}
	for _, l := range [...]struct {
		text string
		kind kind
	}{{"null", kindNull}, {"true", kindBool}, {"false", kindBool}} {
		if strings.HasPrefix(s.text[s.at:], l.text) {
			s.at += len(l.text)
			return l.kind, nil
		}
	}
	return 0, s.syntax("a value")
}

// composite passes over an array or an object.
func (s *scanner) composite(depth int) (kind, error) {
	k, closing := kindArray, byte(']')
	if s.text[s.at] == '{' {
		k, closing = kindObject, '}'
	}
	s.at++
	s.space()
	if s.peek() == closing {
		s.at++
		return k, nil
	}
	for {
		if k == kindObject {
			if s.peek() != '"' {
				return 0, s.syntax("a name in double quotes")
			}
			if _, _, err := s.str(); err != nil {
				return 0, err
			}
			s.space()
			if s.peek() != ':' {
				return 0, s.syntax("a colon")
			}
			s.at++
			s.space()
		}
		if _, err := s.value(depth + 1); err != nil {
			return 0, err
		}
		s.space()
		switch s.peek() {
		case ',':
			s.at++
			s.space()
		case closing:
			s.at++
			return k, nil
		default:
			return 0, s.syntax("a comma or a closing bracket")
		}
	}
}

// number passes over a number.
func (s *scanner) number() error {
	if s.peek() == '-' {
		s.at++
	}
	switch c := s.peek(); {
	case c == '0':
		s.at++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return s.syntax("a digit")
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return s.syntax("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.syntax("a digit")
		}
	}
	return nil
}

func (s *scanner) digits() bool {
	start := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > start
}

// str reads a string. lone reports an escaped half of a surrogate pair, which
// stands for no character.
func (s *scanner) str() (text string, lone bool, err error) {
	s.at++
	start := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return s.text[start : s.at-1], false, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return "", false, s.syntax("no control character in a string")
		}
		s.at++
	}
	return "", false, s.syntax("a closing quote")
}

// escaped reads on at the first backslash of a string that began at start.
func (s *scanner) escaped(start int) (text string, lone bool, err error) {
	buf := append(make([]byte, 0, 64), s.text[start:s.at]...)
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '"':
			s.at++
			return string(buf), lone, nil
		case c < ' ':
			return "", false, s.syntax("no control character in a string")
		case c != '\\':
			buf = append(buf, c)
			s.at++
			continue
		}
		s.at++
		switch c := s.peek(); c {
		case '"', '\\', '/':
			buf = append(buf, c)
		case 'b':
			buf = append(buf, '\b')
		case 'f':
			buf = append(buf, '\f')
		case 'n':
			buf = append(buf, '\n')
		case 'r':
			buf = append(buf, '\r')
		case 't':
			buf = append(buf, '\t')
		case 'u':
			r, ok := s.hex4()
			if !ok {
				return "", false, s.syntax("four hexadecimal digits")
			}
			if utf16.IsSurrogate(r) {
				pair := rune(utf8.RuneError)
				before := s.at
				if strings.HasPrefix(s.text[s.at:], `\u`) {
					s.at++
					if low, ok := s.hex4(); ok {
						pair = utf16.DecodeRune(r, low)
					}
				}
				if pair == utf8.RuneError {
					s.at, lone = before, true
				}
				r = pair
			}
			buf = utf8.AppendRune(buf, r)
			continue
		default:
			return "", false, s.syntax("a valid escape")
		}
		s.at++
	}
	return "", false, s.syntax("a closing quote")
}

// hex4 reads the four digits behind the "u" at which the scanner stands.
func (s *scanner) hex4() (rune, bool) {
	if s.at+5 > len(s.text) {
		return 0, false
	}
	var r rune
	for i := s.at + 1; i < s.at+5; i++ {
		c := s.text[i]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, false
		}
	}
	s.at += 5
	return r, true
}

func (s *scanner) space() {
	for s.at < len(s.text) {
		switch s.text[s.at] {
		case ' ', '\t', '\n', '\r':
			s.at++
		default:
			return
		}
	}
}

// peek returns the next byte, or 0 at the end; a NUL is no part of any token.
func (s *scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// end makes sure that nothing but white space follows the object.
func (s *scanner) end() error {
	s.space()
	if s.at == len(s.text) {
		return nil
	}
	return refuse(classTrailing, "event", "must be one JSON object and nothing behind it, got %s at byte %d", show(s.text[s.at:]), s.at+1)
}

// noObject refuses a text that does not begin with a brace: as JSON of another
// type if it is that, else as no JSON.
func (s *scanner) noObject() error {
	if s.at == len(s.text) {
		return refuse(classEmpty, "event", "is empty: must be a JSON object, got only white space")
	}
	start := s.at
	if k, err := s.value(1); err == nil && k != kindAbsent {
		if s.space(); s.at == len(s.text) {
			return refuse(classNotObject, "event", "must be a JSON object, got %s", given{k, s.text[start:]}.describeRaw())
		}
	}
	return refuse(classNotJSON, "event", "must be a JSON object, got %s%s", show(s.text[start:]), s.hint)
}

// describeRaw is describe for a literal that was not decoded.
func (g given) describeRaw() string {
	switch g.kind {
	case kindString:
		return "the text " + shorten(strings.TrimSpace(g.text))
	case kindNumber:
		return "the number " + shorten(strings.TrimSpace(g.text))
	case kindObject:
		return "an object"
	case kindArray:
		return "an array"
	}
	return strings.TrimSpace(g.text)
}

// syntax refuses the text at the place where the scanner stands.
func (s *scanner) syntax(wanted string) error {
	if s.at >= len(s.text) {
		return refuse(classNotJSON, "event", "must be valid JSON: it ends at byte %d where %s should be", len(s.text), wanted)
	}
	return refuse(classNotJSON, "event", "must be valid JSON: %s should be at byte %d, got %s", wanted, s.at+1, show(s.text[s.at:min(len(s.text), s.at+16)]))
}
