package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"movieexample.com/internal/fault"
)

// bodyProblem is what is wrong with a body: fields, or a text where it is no JSON at all.
type bodyProblem struct {
	text   string
	fields []fault.Field
}

// checkBody complains about everything in the body that the route's message does not take. It exists besides protojson's own
// strictness because that stops at the first mistake, and its texts name neither the field nor what is allowed, and
// change from build to build on purpose.
func checkBody(r *route, body []byte, path map[string]string) *bodyProblem {
	if len(bytes.TrimSpace(body)) == 0 {
		return &bodyProblem{text: fmt.Sprintf("%s %s needs a JSON object as its body, got an empty one", r.method, r.pattern)}
	}
	if !utf8.Valid(body) {
		return &bodyProblem{text: "the body must be valid UTF-8"}
	}
	var whole json.RawMessage
	if err := json.Unmarshal(body, &whole); err != nil {
		return &bodyProblem{text: syntaxText(body, err)}
	}
	if at := halfCharacter(body); at >= 0 {
		return &bodyProblem{text: "the body is not JSON: " + place(body[:at]) + ": a \\u escape that is half a character"}
	}
	c := bodyCheck{dec: json.NewDecoder(bytes.NewReader(body)), path: map[string]string{}, route: r}
	c.dec.UseNumber()
	for name, v := range path {
		c.path[r.fieldName(name)] = v
	}
	if first := c.token(); first != json.Delim('{') {
		return &bodyProblem{text: "the body must be a JSON object, got " + describe(first)}
	}
	c.object("", r.body)
	switch {
	case c.err != nil:
		return &bodyProblem{text: "the body is not JSON: " + c.err.Error()}
	case len(c.fields) == 0:
		return nil
	}
	return &bodyProblem{fields: c.fields}
}

// syntaxText says where the JSON breaks off.
func syntaxText(body []byte, err error) string {
	var at *json.SyntaxError
	if !errors.As(err, &at) {
		return "the body is not JSON: " + err.Error()
	}
	before := body[:min(int(at.Offset), len(body))]
	if at.Offset > 0 && int(at.Offset) <= len(body) && !errors.Is(err, io.ErrUnexpectedEOF) {
		before = body[:at.Offset-1]
	}
	return fmt.Sprintf("the body is not JSON: %s: %v", place(before), err)
}

// place names the position behind before.
func place(before []byte) string {
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("line %d, column %d", line, column)
}

// bodyCheck walks a body that is known to be well-formed JSON beside the message it is for.
type bodyCheck struct {
	dec    *json.Decoder
	route  *route
	path   map[string]string // the fields that the path has set, in the client's spelling
	fields []fault.Field
	err    error
}

// token returns the next token, nil for null. The body was parsed before, so there is one; an error would end every loop.
func (c *bodyCheck) token() json.Token {
	t, err := c.dec.Token()
	if err != nil {
		c.err = err
		return nil
	}
	return t
}

func (c *bodyCheck) more() bool { return c.err == nil && c.dec.More() }

func (c *bodyCheck) complain(name, format string, args ...any) {
	if len(c.fields) == maxComplaints {
		return
	}
	c.fields = append(c.fields, fault.Field{Name: shorten(name), Reason: fmt.Sprintf(format, args...)})
}

// object checks the fields of an object whose opening brace was read.
func (c *bodyCheck) object(prefix string, d protoreflect.MessageDescriptor) {
	seen := map[protoreflect.FieldNumber]bool{}
	for c.more() {
		key, _ := c.token().(string)
		f := d.Fields().ByJSONName(key)
		if f == nil {
			f = d.Fields().ByName(protoreflect.Name(key))
		}
		if f == nil {
			c.complain(prefix+key, "is not known here; %s", allowed(c.useful(prefix, d)))
			c.skip(c.token())
			continue
		}
		name := prefix + f.JSONName()
		if seen[f.Number()] {
			c.complain(name, "must be given once")
			c.skip(c.token())
			continue
		}
		seen[f.Number()] = true
		c.field(name, f)
	}
	c.token() // the closing brace
}

// useful lists the fields that a client has a reason to send. Those that the path sets or that only answers have are taken too,
// so that what was read can be sent back, but nobody needs to be told of them.
func (c *bodyCheck) useful(prefix string, d protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if _, set := c.path[prefix+f.JSONName()]; !set && !outputOnly(f) {
			names = append(names, f.JSONName())
		}
	}
	return names
}

func (c *bodyCheck) field(name string, f protoreflect.FieldDescriptor) {
	t := c.token()
	if t == nil {
		return // null: as if left out
	}
	if !f.IsList() {
		c.value(name, f, t)
		if want, ok := c.path[name]; ok && t != want {
			c.complain(name, "must be %s as in the path, or left out, got %s", quote(want), describe(t))
		}
		return
	}
	if t != json.Delim('[') {
		c.complain(name, "must be a list, got %s", describe(t))
		c.skip(t)
		return
	}
	for i := 0; c.more(); i++ {
		element := name + "[" + strconv.Itoa(i) + "]"
		if t := c.token(); t == nil {
			c.complain(element, "must not be null")
		} else {
			c.value(element, f, t)
		}
	}
	c.token() // the closing bracket
}

// value checks one value that is not null and whose first token is t.
func (c *bodyCheck) value(name string, f protoreflect.FieldDescriptor, t json.Token) {
	if m := f.Message(); m != nil && m.FullName() != "google.protobuf.Timestamp" {
		if t != json.Delim('{') {
			c.complain(name, "must be an object, got %s", describe(t))
			c.skip(t)
			return
		}
		c.object(name+".", m)
		return
	}
	want := ""
	switch {
	case f.Message() != nil:
		text, ok := t.(string)
		if _, err := time.Parse(time.RFC3339Nano, text); !ok || err != nil {
			want = `a time such as "2006-01-02T15:04:05Z"`
		}
	case f.Kind() == protoreflect.StringKind:
		if _, ok := t.(string); !ok {
			want = "a string"
		}
	case f.Kind() == protoreflect.BoolKind:
		if _, ok := t.(bool); !ok {
			want = "true or false"
		}
	case isText(t) && (f.Kind() == protoreflect.Int32Kind || f.Kind() == protoreflect.DoubleKind):
		want = "a number"
	case f.Kind() == protoreflect.Int32Kind:
		if n, ok := number(t); !ok || n != math.Trunc(n) || n < math.MinInt32 || n > math.MaxInt32 {
			want = "a whole number of at most 32 bits"
		}
	case f.Kind() == protoreflect.DoubleKind:
		if _, ok := number(t); !ok {
			want = "a number"
		}
	}
	if want != "" {
		c.complain(name, "must be %s, got %s", want, describe(t))
	}
	c.skip(t)
}

func isText(t json.Token) bool {
	_, ok := t.(string)
	return ok
}

// number reads a JSON number. The text of one is none, although protobuf's JSON mapping lets it pass: a client that sends
// "9" for 9 has a mistake somewhere.
func number(t json.Token) (float64, bool) {
	text, ok := t.(json.Number)
	if !ok {
		return 0, false
	}
	n, err := text.Float64()
	return n, err == nil // an error is a number too great for any field
}

// halfCharacter finds a \u escape of a surrogate that has no partner, and returns its offset, else -1. encoding/json replaces
// those, protojson refuses them.
func halfCharacter(body []byte) int {
	unit := func(at int) (uint64, bool) {
		if at+6 > len(body) || body[at] != '\\' || body[at+1] != 'u' {
			return 0, false
		}
		n, err := strconv.ParseUint(string(body[at+2:at+6]), 16, 16)
		return n, err == nil
	}
	for i := 0; i < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		first, ok := unit(i)
		if !ok || !utf16.IsSurrogate(rune(first)) {
			i++ // also past the second of two backslashes
			continue
		}
		second, _ := unit(i + 6)
		if utf16.DecodeRune(rune(first), rune(second)) == utf8.RuneError {
			return i
		}
		i += 11
	}
	return -1
}

// skip reads to the end of the value whose first token is t.
func (c *bodyCheck) skip(t json.Token) {
	if t != json.Delim('{') && t != json.Delim('[') {
		return
	}
	for depth := 1; depth > 0 && c.err == nil; {
		switch c.token() {
		case json.Delim('{'), json.Delim('['):
			depth++
		case json.Delim('}'), json.Delim(']'):
			depth--
		}
	}
}

// describe says what a token is, in a client's words.
func describe(t json.Token) string {
	switch v := t.(type) {
	case nil:
		return "null"
	case json.Delim:
		if v == '[' {
			return "a list"
		}
		return "an object"
	case string:
		return "the string " + quote(v)
	case json.Number:
		return "the number " + shorten(string(v))
	}
	return fmt.Sprint(t)
}
