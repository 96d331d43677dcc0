package main

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"go.yaml.in/yaml/v3"
)

// object is a JSON object that keeps the order of its members. The order of a document is part of what its readers see: paths in the
// order of the contract, properties in the order of the fields.
type object struct {
	keys   []string
	values map[string]any
}

// obj makes an object of keys and values in turn.
func obj(members ...any) *object {
	o := &object{values: map[string]any{}}
	for i := 0; i < len(members); i += 2 {
		o.set(members[i].(string), members[i+1])
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

// with returns a copy with another value of a member.
func (o *object) with(key string, value any) *object {
	out := obj()
	merge(out, o)
	out.set(key, value)
	return out
}

// get returns the member at the end of a path, if it has the type T; else its zero value.
func get[T any](o *object, path ...string) T {
	var v any = o
	for _, key := range path {
		in, _ := v.(*object)
		if in == nil {
			v = nil
			break
		}
		v = in.values[key]
	}
	t, _ := v.(T)
	return t
}

func (o *object) object(path ...string) *object { return get[*object](o, path...) }
func (o *object) text(path ...string) string    { return get[string](o, path...) }
func (o *object) list(key string) []any         { return get[[]any](o, key) }

// merge puts the members of from into an object: objects member by member, lists at the end of those that are there.
func merge(into, from *object) {
	for _, key := range from.keys {
		switch v := from.values[key].(type) {
		case *object:
			if into.object(key) == nil {
				into.set(key, obj())
			}
			merge(into.object(key), v)
		case []any:
			into.set(key, append(append([]any{}, into.list(key)...), v...)) // a list that is empty stays one
		default:
			into.set(key, v)
		}
	}
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

// MarshalJSON implements json.Marshaler.
func (o *object) MarshalJSON() ([]byte, error) {
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	for i, key := range o.keys {
		out.WriteByte("{,"[min(i, 1)])
		if err := enc.Encode(key); err != nil {
			return nil, err
		}
		out.WriteByte(':')
		if err := enc.Encode(o.values[key]); err != nil {
			return nil, err
		}
	}
	if len(o.keys) == 0 {
		out.WriteByte('{')
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
	err := enc.Encode(v)
	return out.Bytes(), err
}

// parse reads YAML, of which JSON is a part: objects become *object, numbers stay as they are written. "!example name" is the content
// of a file in examples/.
func parse(text []byte) (*object, error) {
	var n, more yaml.Node
	dec := yaml.NewDecoder(bytes.NewReader(text))
	if err := dec.Decode(&n); err != nil {
		return nil, err
	}
	if err := dec.Decode(&more); err != io.EOF {
		return nil, fmt.Errorf("there is more than one value (%v)", err)
	}
	v, err := valueOf(&n)
	if err != nil {
		return nil, err
	}
	o, ok := v.(*object)
	if !ok {
		return nil, fmt.Errorf("it is not an object")
	}
	return o, nil
}

func valueOf(n *yaml.Node) (any, error) {
	switch n.Kind {
	case yaml.DocumentNode:
		return valueOf(n.Content[0])
	case yaml.AliasNode:
		return valueOf(n.Alias)
	case yaml.SequenceNode:
		list := []any{}
		for _, e := range n.Content {
			v, err := valueOf(e)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		return list, nil
	case yaml.MappingNode:
		o := obj()
		for i := 0; i < len(n.Content); i += 2 {
			key := n.Content[i]
			if key.Kind == yaml.AliasNode {
				key = key.Alias
			}
			v, err := valueOf(n.Content[i+1])
			if err != nil {
				return nil, fmt.Errorf("%s: %w", key.Value, err)
			}
			if _, twice := o.values[key.Value]; twice {
				return nil, fmt.Errorf("line %d: %s is there twice", key.Line, key.Value)
			}
			o.set(key.Value, v)
		}
		return o, nil
	}
	switch n.Tag {
	case "!example":
		return example(n.Value)
	case "!!int", "!!float":
		return json.Number(n.Value), nil
	}
	var v any
	err := n.Decode(&v)
	return v, err
}

//go:embed examples
var examples embed.FS

// example reads a recorded answer.
func example(name string) (*object, error) {
	text, err := examples.ReadFile("examples/" + name + ".json")
	if err != nil {
		return nil, fmt.Errorf("%w: record it with go test ./test/clients -run Examples -update", err)
	}
	return parse(text)
}

const schemaPrefix = "#/components/schemas/"

// reference is a reference to a schema.
func reference(name string) *object { return obj("$ref", schemaPrefix+name) }

// referenced is the name of the schema that o refers to; "" if o is not a reference.
func referenced(o *object) string { return strings.TrimPrefix(o.text("$ref"), schemaPrefix) }

// camel is protobuf's rule for JSON names.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i := 1; i < len(parts); i++ {
		parts[i] = sentence(parts[i])
	}
	return strings.Join(parts, "")
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

// sentence begins with a capital.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}
