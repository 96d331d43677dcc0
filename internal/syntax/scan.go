package syntax

import (
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// MaxDepth is how deep arrays and objects may be nested, the text's own object included.
const MaxDepth = 32

// Kind is the JSON type of a value.
type Kind uint8

// The kinds. The zero value is that of a value which is not there.
const (
	Absent Kind = iota
	Null
	Bool
	Number
	String
	Array
	Object
)

// Value is one value of a text.
type Value struct {
	Kind Kind
	// Half says that a string has an escaped half of a surrogate pair (\ud83c alone), which stands for no character. In
	// Text it is U+FFFD. The reader of the string must refuse it; in skipped values it does no harm.
	Half bool
	// Text is the content of a string; of another kind what stands in the text.
	Text string
}

// Describe names the value in a message.
func (v Value) Describe() string {
	switch v.Kind {
	case String:
		return "the text " + show(v.Text)
	case Number:
		return "the number " + shorten(v.Text)
	case Object:
		return "an object"
	case Array:
		return "an array"
	case Absent:
		return "nothing"
	}
	return v.Text // true, false, null
}

// Scanner reads one JSON text, an object, from its start to its end. The zero value with [Scanner.Open] called reads; after an
// error it is of no more use.
type Scanner struct {
	text  string
	at    int
	depth int  // of the array or object that is being read
	first bool // nothing of it has been read yet
}

// Open starts to read text. It fails unless text is UTF-8 and begins with an object.
func (s *Scanner) Open(text string) error {
	*s = Scanner{text: text}
	if !utf8.ValidString(text) {
		return &Error{Problem: NotUTF8}
	}
	s.space()
	if s.peek() != '{' {
		return s.noObject()
	}
	s.at, s.depth, s.first = s.at+1, 1, true
	return nil
}

// Member goes to the next member of the object that is being read, and returns its name. At the object's end it returns
// false, and continues in the enclosing value.
func (s *Scanner) Member() (name string, ok bool, err error) {
	if ok, err := s.more('}'); !ok {
		return "", false, err
	}
	if s.peek() != '"' {
		return "", false, s.wanted("a name in double quotes")
	}
	// Names are short and nearly never have an escape.
	start, end := s.at+1, s.at+1
	for end < len(s.text) && s.text[end] != '"' && s.text[end] != '\\' && s.text[end] >= ' ' {
		end++
	}
	if end < len(s.text) && s.text[end] == '"' {
		name, s.at = s.text[start:end], end+1
	} else {
		v, err := s.str()
		if err != nil {
			return "", false, err
		}
		name = v.Text
	}
	if s.peek() != ':' {
		if s.space(); s.peek() != ':' {
			return "", false, s.wanted("a colon")
		}
	}
	s.at++
	s.space()
	return name, true, nil
}

// Element goes to the next element of the array that is being read; false at its end, as Member.
func (s *Scanner) Element() (ok bool, err error) { return s.more(']') }

// more reads what stands before the next member or element, or the end.
func (s *Scanner) more(closing byte) (bool, error) {
	c := s.peek()
	if c <= ' ' {
		s.space()
		c = s.peek()
	}
	switch {
	case c == closing:
		s.at++
		s.depth--
		s.first = false
		return false, nil
	case s.first:
		s.first = false
	case c == ',':
		s.at++
		s.space()
	case closing == '}':
		return false, s.wanted("a comma or a closing brace")
	default:
		return false, s.wanted("a comma or a closing bracket")
	}
	return true, nil
}

// Next returns the kind of the value that comes next. For a text that is no JSON it may be any.
func (s *Scanner) Next() Kind {
	switch c := s.peek(); c {
	case '"':
		return String
	case '{':
		return Object
	case '[':
		return Array
	case 'n':
		return Null
	case 't', 'f':
		return Bool
	}
	return Number
}

// Enter goes into the array or object that comes next: what follows are its elements or members.
func (s *Scanner) Enter() error {
	if s.depth >= MaxDepth {
		return &Error{Problem: TooDeep}
	}
	s.at, s.depth, s.first = s.at+1, s.depth+1, true
	return nil
}

// Value reads the value that comes next. An array or object is passed over; it is JSON then, and no more is known of it.
func (s *Scanner) Value() (Value, error) {
	start := s.at
	switch c := s.peek(); {
	case c == '"':
		return s.str()
	case c == '-' || c >= '0' && c <= '9':
		if err := s.number(); err != nil {
			return Value{}, err
		}
		return Value{Kind: Number, Text: s.text[start:s.at]}, nil
	case c == '{' || c == '[':
		k, err := s.skip(c)
		if err != nil {
			return Value{}, err
		}
		return Value{Kind: k, Text: s.text[start:s.at]}, nil
	}
	for _, l := range [...]struct {
		text string
		kind Kind
	}{{"null", Null}, {"true", Bool}, {"false", Bool}} {
		if strings.HasPrefix(s.text[s.at:], l.text) {
			s.at += len(l.text)
			return Value{Kind: l.kind, Text: l.text}, nil
		}
	}
	return Value{}, s.wanted("a value")
}

// skip passes over an array or object.
func (s *Scanner) skip(opening byte) (Kind, error) {
	if err := s.Enter(); err != nil {
		return Absent, err
	}
	kind := Array
	if opening == '{' {
		kind = Object
	}
	for {
		var ok bool
		var err error
		if kind == Object {
			_, ok, err = s.Member()
		} else {
			ok, err = s.Element()
		}
		if err != nil {
			return Absent, err
		}
		if !ok {
			return kind, nil
		}
		if _, err := s.Value(); err != nil {
			return Absent, err
		}
	}
}

// Offset is how many bytes have been read.
func (s *Scanner) Offset() int { return s.at }

// Since returns what stands in the text between an offset and where the scanner is: a value as it was written, if the offset was that
// of its begin.
func (s *Scanner) Since(offset int) string { return s.text[offset:s.at] }

// End makes sure that nothing but white space follows the object.
func (s *Scanner) End() error {
	s.space()
	if s.at == len(s.text) {
		return nil
	}
	return &Error{Problem: Trailing, Offset: s.at, got: show(s.text[s.at:])}
}

// number passes over a number.
func (s *Scanner) number() error {
	if s.peek() == '-' {
		s.at++
	}
	switch c := s.peek(); {
	case c == '0':
		s.at++
	case c >= '1' && c <= '9':
		s.digits()
	default:
		return s.wanted("a digit")
	}
	if s.peek() == '.' {
		s.at++
		if !s.digits() {
			return s.wanted("a digit")
		}
	}
	if c := s.peek(); c == 'e' || c == 'E' {
		s.at++
		if c := s.peek(); c == '+' || c == '-' {
			s.at++
		}
		if !s.digits() {
			return s.wanted("a digit")
		}
	}
	return nil
}

func (s *Scanner) digits() bool {
	start := s.at
	for c := s.peek(); c >= '0' && c <= '9'; c = s.peek() {
		s.at++
	}
	return s.at > start
}

// str reads a string.
func (s *Scanner) str() (Value, error) {
	s.at++
	start := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '"':
			s.at++
			return Value{Kind: String, Text: s.text[start : s.at-1]}, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return Value{}, s.wanted("no control character in a string")
		}
		s.at++
	}
	return Value{}, s.wanted("a closing quote")
}

// escaped reads on at the first backslash of a string that began at start.
func (s *Scanner) escaped(start int) (Value, error) {
	buf := append(make([]byte, 0, 64), s.text[start:s.at]...)
	half := false
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '"':
			s.at++
			return Value{Kind: String, Text: string(buf), Half: half}, nil
		case c < ' ':
			return Value{}, s.wanted("no control character in a string")
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
				return Value{}, s.wanted("four hexadecimal digits")
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
					s.at, half = before, true
				}
				r = pair
			}
			buf = utf8.AppendRune(buf, r)
			continue
		default:
			return Value{}, s.wanted("a valid escape")
		}
		s.at++
	}
	return Value{}, s.wanted("a closing quote")
}

// hex4 reads the four digits behind the "u" at which the scanner stands.
func (s *Scanner) hex4() (rune, bool) {
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

func (s *Scanner) space() {
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
func (s *Scanner) peek() byte {
	if s.at < len(s.text) {
		return s.text[s.at]
	}
	return 0
}

// noObject refuses a text that does not begin with a brace: as JSON of another type if it is that, else as no JSON.
func (s *Scanner) noObject() error {
	if s.at == len(s.text) {
		return &Error{Problem: Empty, Offset: s.at}
	}
	start := s.at
	if v, err := s.Value(); err == nil {
		if s.space(); s.at == len(s.text) {
			return &Error{Problem: NotObject, Offset: start, got: v.Describe()}
		}
	}
	return &Error{Problem: NotJSON, Offset: start, got: show(s.text[start:])}
}

// wanted refuses the text at the place where the scanner stands.
func (s *Scanner) wanted(what string) error {
	e := &Error{Problem: NotJSON, Offset: s.at, Wanted: what, end: s.at >= len(s.text)}
	if !e.end {
		e.got = show(s.text[s.at:min(len(s.text), s.at+16)])
	}
	return e
}
