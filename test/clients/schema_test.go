package clients_test

import (
	"fmt"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"
)

// schema is the part of JSON Schema that the document uses. A keyword that it does not know would check nothing, so readDocument
// refuses a document with one.
type schema struct {
	Ref              string `json:"$ref"`
	Description      string
	Type             string
	Format           string
	Properties       map[string]schema
	Required         []string
	Items            *schema
	Enum             []any
	Minimum          *float64
	Maximum          *float64
	ExclusiveMinimum *float64 `json:"exclusiveMinimum"`
	MinLength        *int     `json:"minLength"`
	MaxLength        *int     `json:"maxLength"`
	MinItems         *int     `json:"minItems"`
	MaxItems         *int     `json:"maxItems"`
	Pattern          string
	MultipleOf       *float64 `json:"multipleOf"`
	Not              *schema
	Default          any
}

// wrong says in what v is not as the schema has it. Members that the schema does not know are wrong too: JSON Schema allows them, but a
// document that does not describe what is answered is not complete.
func (d *document) wrong(s schema, v any, at string) []string {
	s, ok := d.resolve(s)
	if !ok {
		return []string{at + ": no schema " + s.Ref}
	}
	var out []string
	complain := func(format string, args ...any) { out = append(out, at+": "+fmt.Sprintf(format, args...)) }
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, v) {
		complain("%v is none of %v", v, s.Enum)
	}
	if s.Not != nil && len(d.wrong(*s.Not, v, at)) == 0 {
		complain("%v is what it must not be", v)
	}
	switch v := v.(type) {
	case map[string]any:
		if s.Type != "object" {
			complain("is an object, not %q", s.Type)
		}
		for _, name := range s.Required {
			if _, ok := v[name]; !ok {
				complain("has no %s", name)
			}
		}
		for name, value := range v {
			p, ok := s.Properties[name]
			if !ok {
				complain("has %s, which is not in the schema", name)
				continue
			}
			out = append(out, d.wrong(p, value, at+"."+name)...)
		}
	case []any:
		if s.Type != "array" {
			complain("is a list, not %q", s.Type)
			break
		}
		if s.MinItems != nil && len(v) < *s.MinItems || s.MaxItems != nil && len(v) > *s.MaxItems {
			complain("has %d entries", len(v))
		}
		for i, e := range v {
			out = append(out, d.wrong(*s.Items, e, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case string:
		if s.Type != "string" && s.Type != "" {
			complain("is a string, not %q", s.Type)
		}
		if n := utf8.RuneCountInString(v); s.MinLength != nil && n < *s.MinLength || s.MaxLength != nil && n > *s.MaxLength {
			complain("%q has %d characters", v, n)
		}
		if _, err := time.Parse(time.RFC3339Nano, v); s.Format == "date-time" && err != nil {
			complain("%q is no time", v)
		}
		if s.Pattern != "" && !regexp.MustCompile(s.Pattern).MatchString(v) {
			complain("%q does not match %s", v, s.Pattern)
		}
	case float64:
		if s.Type != "number" && (s.Type != "integer" || v != math.Trunc(v)) {
			complain("is the number %v, not %q", v, s.Type)
		}
		if s.Minimum != nil && v < *s.Minimum || s.Maximum != nil && v > *s.Maximum || s.ExclusiveMinimum != nil && v <= *s.ExclusiveMinimum {
			complain("%v is out of range", v)
		}
		if s.MultipleOf != nil && math.Mod(v, *s.MultipleOf) != 0 {
			complain("%v is no multiple of %v", v, *s.MultipleOf)
		}
	case bool:
		if s.Type != "boolean" {
			complain("is a boolean, not %q", s.Type)
		}
	default:
		complain("is %v", v)
	}
	return out
}

// resolve follows a reference; it reports false where it leads nowhere.
func (d *document) resolve(s schema) (schema, bool) {
	if s.Ref == "" {
		return s, true
	}
	target, ok := d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
	if !ok {
		return s, false
	}
	return target, true
}

// TestWrong proves the checker on values that are wrong.
func TestWrong(t *testing.T) {
	one, ten := 1.0, 10.0
	three := 3
	d := &document{}
	d.Components.Schemas = map[string]schema{"T": {
		Type: "object", Required: []string{"id"},
		Properties: map[string]schema{
			"id":    {Type: "string", MaxLength: &three},
			"value": {Type: "integer", Minimum: &one, Maximum: &ten},
			"kind":  {Type: "string", Enum: []any{"a", "b"}},
			"at":    {Type: "string", Format: "date-time"},
			"list":  {Type: "array", Items: &schema{Type: "boolean"}, MaxItems: &three},
			"share": {Type: "number", ExclusiveMinimum: &one},
			"tens":  {Type: "integer", MultipleOf: &ten},
			"name":  {Type: "string", Not: &schema{Enum: []any{"."}}},
		},
	}}
	for text, want := range map[string]int{
		`{"id":"a","value":1,"kind":"b","at":"2026-01-02T03:04:05.1Z","list":[true],"share":1.5}`: 0,
		`{}`:                                  1,
		`{"id":"abcd"}`:                       1,
		`{"id":1}`:                            1,
		`{"id":null}`:                         1,
		`{"id":"a","other":1}`:                1,
		`{"id":"a","value":1.5}`:              1,
		`{"id":"a","value":11}`:               1,
		`{"id":"a","value":"1"}`:              1,
		`{"id":"a","kind":"c"}`:               1,
		`{"id":"a","at":"yesterday"}`:         1,
		`{"id":"a","list":[1,true]}`:          1,
		`{"id":"a","list":{}}`:                1,
		`{"id":"a","list":[true,1,"x",null]}`: 4,
		`{"id":"a","share":1}`:                1,
		`{"id":"ääa"}`:                        0,
		`{"id":"a","tens":20}`:                0,
		`{"id":"a","tens":25}`:                1,
		`{"id":"a","name":".."}`:              0,
		`{"id":"a","name":"."}`:               1,
		`[]`:                                  1,
	} {
		if got := d.wrong(schema{Ref: "#/components/schemas/T"}, decode(t, []byte(text)), ""); len(got) != want {
			t.Errorf("%s: %d complaints, want %d: %q", text, len(got), want, got)
		}
	}
}
