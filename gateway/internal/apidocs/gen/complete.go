package main

import (
	"cmp"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/protobuf/reflect/protoregistry"
)

// completion makes the document of its sources.
type completion struct {
	supplement *supplement
	files      *protoregistry.Files
	skeleton   *object

	used    map[string]bool // what of the supplement was used, by section and key
	fields  map[string]bool // the JSON names of all fields
	inputs  []string        // types that are sent, in the order found
	schemas *object
}

// document returns the whole document.
func (c *completion) document() (*object, error) {
	c.used = map[string]bool{}
	if err := c.makeSchemas(); err != nil {
		return nil, err
	}
	paths, err := c.paths()
	if err != nil {
		return nil, err
	}
	if err := c.inputSchemas(); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(c.supplement.Types)) {
		c.schemas.set(name, keywords(c.supplement.Types[name]))
	}
	c.schemas.set("FieldProblem", fieldProblemSchema())
	c.schemas.set("Problem", problemSchema())
	slices.Sort(c.schemas.keys)
	responses, err := c.problems()
	if err != nil {
		return nil, err
	}
	if err := c.unused(); err != nil {
		return nil, err
	}
	info := c.supplement.Info
	tags := []any{}
	for _, t := range c.supplement.Tags {
		tags = append(tags, obj(member{"name", t.Name}, member{"description", t.Description}))
	}
	return obj(
		member{"openapi", c.skeleton.text("openapi")},
		member{"info", obj(
			member{"title", info.Title}, member{"version", info.Version}, member{"summary", info.Summary},
			member{"description", info.Description},
			member{"license", obj(member{"name", info.License["name"]}, member{"identifier", info.License["identifier"]})},
		)},
		member{"servers", []any{obj(member{"url", "/"}, member{"description", "The server that this document comes from."})}},
		member{"security", []any{}}, // no key, no account
		member{"tags", tags},
		member{"paths", paths},
		member{"components", obj(
			member{"schemas", c.schemas},
			member{"parameters", sharedParameters()},
			member{"headers", sharedHeaders()},
			member{"responses", responses},
		)},
	), nil
}

// unused complains about what the supplement says of things that are not there.
func (c *completion) unused() error {
	var left []string
	note := func(section, key string) {
		if !c.used[section+" "+key] {
			left = append(left, section+" "+key)
		}
	}
	for key := range c.supplement.Names {
		note("names", key)
	}
	for _, key := range c.supplement.Always {
		note("always", key)
	}
	for key := range c.supplement.Inputs {
		note("inputs", key)
	}
	for key := range c.supplement.Types {
		note("types", key)
	}
	for key := range c.supplement.Words {
		note("words", key)
	}
	for key := range c.supplement.Properties {
		note("properties", key)
	}
	for key := range c.supplement.Parameters {
		note("parameters", key)
	}
	for key := range c.supplement.Errors {
		note("errors", key)
	}
	for key := range c.supplement.Operations {
		note("operations", key)
	}
	if len(left) > 0 {
		slices.Sort(left)
		return fmt.Errorf("supplement.yaml describes what the protos do not have: %s", strings.Join(left, ", "))
	}
	return nil
}

// use marks a key of the supplement as used.
func (c *completion) use(section, key string) { c.used[section+" "+key] = true }

// name is the short name of a type.
func (c *completion) name(full string) string {
	if short, ok := c.supplement.Names[full]; ok {
		c.use("names", full)
		return short
	}
	return full[strings.LastIndexByte(full, '.')+1:]
}

const schemaPrefix = "#/components/schemas/"

// reference is a reference to a schema.
func reference(name string) *object { return obj(member{"$ref", schemaPrefix + name}) }

// referenced is the name of the schema that a reference is to; "" where v is none.
func referenced(v any) string {
	o, _ := v.(*object)
	return strings.TrimPrefix(o.text("$ref"), schemaPrefix)
}

// makeSchemas names the types of the skeleton and completes them.
func (c *completion) makeSchemas() error {
	c.schemas = obj()
	walk(c.skeleton, func(o *object) {
		if ref := o.text("$ref"); ref != "" {
			o.set("$ref", schemaPrefix+c.name(strings.TrimPrefix(ref, schemaPrefix)))
		}
	})
	c.fields = map[string]bool{}
	walk(c.skeleton.object("components", "schemas"), func(o *object) {
		if properties := o.object("properties"); properties != nil {
			for _, key := range properties.keys {
				c.fields[key] = true
			}
		}
	})
	from := map[string]string{}
	old := c.skeleton.object("components", "schemas")
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

// schema completes the schema of one message.
func (c *completion) schema(name, full string, from *object) (*object, error) {
	message, err := c.message(full)
	if err != nil {
		return nil, err
	}
	description := c.paragraphs(from.text("description"))
	if description == "" {
		return nil, fmt.Errorf("%s has no comment", full)
	}
	properties, required := obj(), []any{}
	for i := range message.Fields().Len() {
		f := message.Fields().Get(i)
		key := name + "." + f.JSONName()
		p := from.object("properties", f.JSONName())
		if p == nil {
			return nil, fmt.Errorf("%s: the skeleton has no such property", key)
		}
		if p.text("description") == "" {
			return nil, fmt.Errorf("%s.%s has no comment", full, f.Name())
		}
		p.set("description", c.paragraphs(p.text("description")))
		p, err := c.restrict(p, key)
		if err != nil {
			return nil, err
		}
		properties.set(f.JSONName(), p)
		always := slices.Contains(c.supplement.Always, key)
		if always {
			c.use("always", key)
		}
		if always || !f.HasPresence() {
			required = append(required, f.JSONName())
		}
	}
	s := obj(member{"type", "object"}, member{"description", description})
	if len(properties.keys) > 0 {
		s.set("properties", properties)
	}
	if len(required) > 0 {
		s.set("required", required)
	}
	return s, nil
}

// restrict adds the keywords that the supplement has for a property, and for the entries of one that is a list.
func (c *completion) restrict(p *object, key string) (*object, error) {
	if items := p.object("items"); items != nil {
		items, err := c.restrict(items, key+"[]")
		if err != nil {
			return nil, err
		}
		p.set("items", items)
	}
	words, ok := c.supplement.Properties[key]
	if !ok {
		return p, nil
	}
	c.use("properties", key)
	return c.limited(p, words)
}

// limited returns the schema with further keywords, or, where they say what type it is, a reference to that type.
func (c *completion) limited(s *object, words map[string]any) (*object, error) {
	if pattern, ok := words["pattern"].(string); ok {
		c.use("words", pattern)
	}
	name, ok := words["is"].(string)
	if !ok {
		for _, word := range slices.Sorted(maps.Keys(words)) {
			s.set(word, words[word])
		}
		return s, nil
	}
	own, ok := c.supplement.Types[name]
	if !ok {
		return nil, fmt.Errorf("supplement.yaml has no type %s", name)
	}
	if pattern, ok := own["pattern"].(string); ok {
		c.use("words", pattern)
	}
	c.use("types", name)
	out := reference(name)
	if about := s.text("description"); about != "" {
		out.set("description", about)
	}
	return out, nil
}

// keywords is a schema that is written in the supplement.
func keywords(words map[string]any) *object {
	s := obj()
	for _, word := range slices.Sorted(maps.Keys(words)) {
		s.set(word, words[word])
	}
	return s
}

// inputSchemas adds the types that are sent: as they are answered, without what only answers have, and with little required.
func (c *completion) inputSchemas() error {
	for i := 0; i < len(c.inputs); i++ { // grows meanwhile
		name := c.inputs[i]
		in, ok := c.supplement.Inputs[name]
		if !ok {
			return fmt.Errorf("%s is sent: supplement.yaml must say under inputs what is required", name)
		}
		c.use("inputs", name)
		if in.Name == "" {
			continue // only ever sent
		}
		from := c.schemas.object(name)
		properties := obj()
		for _, key := range from.object("properties").keys {
			p := from.object("properties", key)
			if slices.Contains(in.Without, key) {
				continue
			}
			if inner := referenced(p); inner != "" && c.supplement.Types[inner] == nil {
				p = obj(member{"$ref", schemaPrefix + c.input(inner)}, member{"description", p.text("description")})
			}
			if slices.Contains(in.Path, key) {
				p = asInPath(p)
			}
			properties.set(key, p)
		}
		s := obj(member{"type", "object"}, member{"description", cmp.Or(in.Description, from.text("description"))}, member{"properties", properties})
		if len(in.Required) > 0 {
			s.set("required", texts(in.Required))
		}
		c.schemas.set(in.Name, s)
	}
	return nil
}

// asInPath is a property that repeats what the path says.
func asInPath(p *object) *object {
	out := obj()
	for _, key := range p.keys {
		out.set(key, p.values[key])
	}
	out.set("description", "As in the path, or left out.")
	return out
}

// input is the name of a type as it is sent.
func (c *completion) input(name string) string {
	if !slices.Contains(c.inputs, name) {
		c.inputs = append(c.inputs, name)
	}
	if short := c.supplement.Inputs[name].Name; short != "" {
		return short
	}
	return name
}

func texts(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
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

// camel is protobuf's rule for JSON names.
func camel(name string) string {
	parts := strings.Split(name, "_")
	for i := 1; i < len(parts); i++ {
		parts[i] = sentence(parts[i])
	}
	return strings.Join(parts, "")
}
