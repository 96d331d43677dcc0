package main

import (
	"cmp"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
)

// completion makes the document of its sources.
type completion struct {
	supplement *object
	files      *protoregistry.Files
	skeleton   *object

	used      map[string]bool   // what of the supplement was used, by section and key
	fields    map[string]bool   // the JSON names of all fields
	inputs    []string          // types that are sent, in the order found
	responses map[string]string // names of error responses by status
	schemas   *object
}

// take returns what a section of the supplement has for a key, and marks it as used.
func (c *completion) take(section, key string) any {
	c.used[section+" "+key] = true
	return get[any](c.supplement, section, key)
}

// name is the short name of a type.
func (c *completion) name(full string) string {
	short, _ := c.take("names", full).(string)
	return cmp.Or(short, full[strings.LastIndexByte(full, '.')+1:])
}

// makeSchemas names the types of the skeleton and completes them.
func (c *completion) makeSchemas() error {
	old := c.skeleton.object("components", "schemas")
	c.fields = map[string]bool{}
	walk(c.skeleton, func(o *object) {
		if ref := referenced(o); ref != "" {
			o.set("$ref", schemaPrefix+c.name(ref))
		}
	})
	walk(old, func(o *object) {
		if properties := o.object("properties"); properties != nil {
			for _, key := range properties.keys {
				c.fields[key] = true
			}
		}
	})
	from := map[string]string{}
	for _, full := range old.keys {
		name := c.name(full)
		if before, ok := from[name]; ok && name != "Empty" {
			return fmt.Errorf("%s and %s would both be %s: name one of them in supplement.yaml", before, full, name)
		}
		from[name] = full
		s, err := c.schema(name, full, old.object(full))
		if err != nil {
			return err
		}
		if name == "Empty" {
			s.set("description", "An empty object.")
		}
		c.schemas.set(name, s)
	}
	return nil
}

// schema completes the schema of one message. Its properties get the order of the fields.
func (c *completion) schema(name, full string, from *object) (*object, error) {
	d, err := c.files.FindDescriptorByName(protoreflect.FullName(full))
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", full, err)
	}
	message, ok := d.(protoreflect.MessageDescriptor)
	if description := from.text("description"); !ok || description == "" {
		return nil, fmt.Errorf("%s is not a message, or has no comment", full)
	}
	properties, required := obj(), []any{}
	for i := range message.Fields().Len() {
		f := message.Fields().Get(i)
		key := name + "." + f.JSONName()
		p := from.object("properties", f.JSONName())
		if p.text("description") == "" {
			return nil, fmt.Errorf("%s.%s has no comment", full, f.Name())
		}
		p.set("description", c.paragraphs(p.text("description")))
		properties.set(f.JSONName(), c.restrict(p, key))
		if c.take("always", key) == true || !f.HasPresence() {
			required = append(required, f.JSONName())
		}
	}
	s := obj("type", "object", "description", c.paragraphs(from.text("description")))
	if len(properties.keys) > 0 {
		s.set("properties", properties)
	}
	if len(required) > 0 {
		s.set("required", required)
	}
	return s, nil
}

// restrict adds the keywords that the supplement has for a property, and for the entries of one that is a list.
func (c *completion) restrict(p *object, key string) *object {
	if items := p.object("items"); items != nil {
		p.set("items", c.restrict(items, key+"[]"))
	}
	return c.limit(p, "properties", key)
}

// limit adds the keywords that a section of the supplement has for a key, or, where they say what type it is, makes a reference.
func (c *completion) limit(s *object, section, key string) *object {
	words, ok := c.take(section, key).(*object)
	if !ok {
		return s
	}
	is := words.text("is")
	if is == "" {
		for _, word := range slices.Sorted(slices.Values(words.keys)) {
			s.set(word, words.values[word])
		}
		c.take("words", words.text("pattern"))
		return s
	}
	own, _ := c.take("types", is).(*object)
	c.take("words", own.text("pattern"))
	out := reference(is)
	if about := s.text("description"); about != "" {
		out.set("description", about)
	}
	return out
}

// inputSchemas adds the types that are sent: as they are answered, without what only answers have, and with little required.
func (c *completion) inputSchemas() error {
	for i := 0; i < len(c.inputs); i++ { // grows meanwhile
		name := c.inputs[i]
		in, ok := c.take("inputs", name).(*object)
		if !ok {
			return fmt.Errorf("%s is sent: supplement.yaml must say under inputs what is required", name)
		}
		if in.text("name") == "" {
			continue // only ever sent
		}
		from, properties := c.schemas.object(name), obj()
		for _, key := range from.object("properties").keys {
			p := from.object("properties", key)
			if slices.Contains(in.list("without"), any(key)) {
				continue
			}
			if inner := referenced(p); inner != "" && c.supplement.object("types", inner) == nil {
				p = obj("$ref", schemaPrefix+c.input(inner), "description", p.text("description"))
			}
			if slices.Contains(in.list("path"), any(key)) {
				p = asInPath(p)
			}
			properties.set(key, p)
		}
		s := obj("type", "object", "description", cmp.Or(in.text("description"), from.text("description")), "properties", properties)
		if required := in.list("required"); len(required) > 0 {
			s.set("required", required)
		}
		c.schemas.set(in.text("name"), s)
	}
	return nil
}

// asInPath is a property that repeats what the path says.
func asInPath(p *object) *object { return p.with("description", "As in the path, or left out.") }

// input is the name of a type as it is sent.
func (c *completion) input(name string) string {
	if !slices.Contains(c.inputs, name) {
		c.inputs = append(c.inputs, name)
	}
	return cmp.Or(c.supplement.text("inputs", name, "name"), name)
}

// fieldName is the name of a field, or a path of them, as comments in protos have it.
var fieldName = regexp.MustCompile(`[a-z]+(_[a-z]+)+(\.[a-z]+(_[a-z]+)*)*|[a-z]+(\.[a-z]+(_[a-z]+)*)+`)

// paragraphs joins the lines of a comment; empty lines stay. Fields get the names that JSON has for them.
func (c *completion) paragraphs(comment string) string {
	parts := strings.Split(strings.TrimSpace(comment), "\n\n")
	for i, p := range parts {
		parts[i] = fieldName.ReplaceAllStringFunc(strings.Join(strings.Fields(p), " "), func(name string) string {
			words := strings.Split(name, ".")
			for i, w := range words {
				words[i] = camel(w)
				if !c.fields[words[i]] {
					if strings.Contains(w, "_") && len(words) == 1 {
						return "`" + name + "`" // a parameter
					}
					return name
				}
			}
			return "`" + strings.Join(words, ".") + "`"
		})
	}
	return strings.Join(parts, "\n\n")
}
