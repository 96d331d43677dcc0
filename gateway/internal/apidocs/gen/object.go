package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"
)

// object is a JSON object that keeps the order of its members. The order of a document is part of what its readers see: paths in the
// order of the contract, properties in the order of the fields.
type object struct {
	keys   []string
	values map[string]any
}

// member is one member of an object literal.
type member struct {
	key   string
	value any
}

// obj makes an object; members with a nil value are left out.
func obj(members ...member) *object {
	o := &object{values: map[string]any{}}
	for _, m := range members {
		if m.value != nil {
			o.set(m.key, m.value)
		}
	}
	return o
}

// set adds a member at the end, or replaces the value of one that is there.
func (o *object) set(key string, value any) {
	if _, ok := o.values[key]; !ok {
		o.keys = append(o.keys, key)
	}
	o.values[key] = value
}

// object returns a member that is an object; nil where there is none.
func (o *object) object(path ...string) *object {
	for _, key := range path {
		if o == nil {
			return nil
		}
		o, _ = o.values[key].(*object)
	}
	return o
}

// text returns a member that is a string; "" where there is none.
func (o *object) text(key string) string {
	if o == nil {
		return ""
	}
	s, _ := o.values[key].(string)
	return s
}

// list returns a member that is a list.
func (o *object) list(key string) []any {
	if o == nil {
		return nil
	}
	l, _ := o.values[key].([]any)
	return l
}

// MarshalJSON implements json.Marshaler.
func (o *object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	out.WriteByte('{')
	for i, key := range o.keys {
		if i > 0 {
			out.WriteByte(',')
		}
		if err := enc.Encode(key); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := enc.Encode(o.values[key]); err != nil {
			return nil, err
		}
	}
	out.WriteByte('}')
	return out.Bytes(), nil
}

// indented is v as JSON for people.
func indented(v any) ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// parse reads one JSON value; objects become *object, numbers stay as they are written.
func parse(text []byte) (any, error) {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	v, err := parseValue(dec)
	if err != nil {
		return nil, err
	}
	if _, err := dec.Token(); err != io.EOF {
		return nil, fmt.Errorf("more than one JSON value")
	}
	return v, nil
}

func parseValue(dec *json.Decoder) (any, error) {
	t, err := dec.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := obj()
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return nil, err
			}
			v, err := parseValue(dec)
			if err != nil {
				return nil, err
			}
			o.set(key.(string), v) // a key is a string, or Token had failed
		}
		_, err := dec.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for dec.More() {
			v, err := parseValue(dec)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err := dec.Token()
		return list, err
	}
	return t, nil
}

// walk calls visit for every object in v, outer ones first.
func walk(v any, visit func(*object)) {
	switch v := v.(type) {
	case *object:
		visit(v)
		for _, key := range v.keys {
			walk(v.values[key], visit)
		}
	case []any:
		for _, e := range v {
			walk(e, visit)
		}
	}
}

// snake is the name of a field whose JSON name is name.
func snake(name string) string {
	var b strings.Builder
	for _, c := range name {
		if c >= 'A' && c <= 'Z' {
			b.WriteByte('_')
			c += 'a' - 'A'
		}
		b.WriteRune(c)
	}
	return b.String()
}
