package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"reflect"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// fileLimit protects against a data file that was named by accident: it is not read into memory as settings.
const fileLimit = 1 << 20

// loadFile reads one YAML document. It walks the parsed nodes itself instead of decoding into the struct, because only the nodes
// know the line of every key, and because decoding stops telling where a value came from.
func (s *Set) loadFile(name string) []error {
	data, err := readLimited(name, fileLimit)
	if err != nil {
		return []error{&Problem{Reason: fmt.Sprintf("read the configuration file: %v", err)}}
	}
	if len(bytes.TrimSpace(data)) == 0 {
		return []error{&Problem{Reason: fmt.Sprintf("the configuration file %q is empty: write the settings into it, or name no file", name)}}
	}
	r := &fileReader{name: name, settings: s.settings}
	doc, err := parseDocument(data)
	if err != nil {
		return []error{r.syntaxProblem(err)}
	}
	if doc != nil {
		r.readGroup(s.root, doc, doc.Line)
	}
	return r.problems
}

// errSecondDocument refuses a second document, which is valid YAML but not a configuration.
var errSecondDocument = errors.New("the file holds more than one YAML document (a line ---): keep one")

// parseDocument returns the content of the only document, nil for a file without content.
func parseDocument(data []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(data))
	var doc, second yaml.Node
	if err := dec.Decode(&doc); errors.Is(err, io.EOF) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if err := dec.Decode(&second); err == nil {
		return nil, errSecondDocument
	} else if !errors.Is(err, io.EOF) {
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) != 1 {
		return nil, nil
	}
	return doc.Content[0], nil
}

// fileReader carries the settings of one file into their candidates and gathers what is wrong.
type fileReader struct {
	name     string
	settings []*setting
	problems []error
}

func (r *fileReader) place(line int) string { return fmt.Sprintf("%s:%d", r.name, line) }

func (r *fileReader) problem(path string, line int, format string, args ...any) {
	r.problems = append(r.problems, &Problem{Path: path, Origin: r.place(line), Reason: fmt.Sprintf(format, args...)})
}

// yamlMessage takes the line out of the parser's message, which has it in the middle of the text.
var yamlMessage = regexp.MustCompile(`^yaml: (?:line (\d+): )?`)

func (r *fileReader) syntaxProblem(err error) error {
	if errors.Is(err, errSecondDocument) {
		return &Problem{Origin: r.name, Reason: err.Error()}
	}
	text, origin := err.Error(), r.name
	if m := yamlMessage.FindStringSubmatch(text); m != nil {
		text = text[len(m[0]):]
		if m[1] != "" {
			origin += ":" + m[1]
		}
	}
	return &Problem{Origin: origin, Reason: "not valid YAML: " + text}
}

// readGroup reads a mapping node into a section. It goes only where the section has keys, so that a cycle of aliases ends
// where the struct does.
func (r *fileReader) readGroup(g *group, n *yaml.Node, line int) {
	n = resolve(n)
	if isNull(n) {
		return // a section whose keys are all commented out
	}
	if n.Kind != yaml.MappingNode {
		what := "the file"
		if g.path != "" {
			what = "this section"
		}
		r.problem(g.path, line, "%s given, want %s to hold the keys %s", describe(n), what, g.keys())
		return
	}
	taken := map[string]bool{}
	for _, p := range r.pairs(g, n) {
		if taken[p.key] {
			continue // what stands in the section itself beats what is merged into it
		}
		taken[p.key] = true
		m := g.member(p.key)
		switch {
		case m == nil:
			r.problem(g.child(printable(p.key)), p.line, "%s", r.unknownKey(g, p.key))
		case m.group != nil:
			r.readGroup(m.group, p.value, p.line)
		default:
			r.readSetting(m.setting, p.value, p.line)
		}
	}
}

// pair is one key of a mapping, its own or merged into it with "<<".
type pair struct {
	key   string
	line  int
	value *yaml.Node
}

// pairs lists the keys of a mapping, merged ones after its own. Each mapping is merged once, even if several aliases name it:
// that bounds both cycles and documents that are crafted to explode.
func (r *fileReader) pairs(g *group, n *yaml.Node) []pair {
	var all []pair
	visited := map[*yaml.Node]bool{}
	var visit func(n *yaml.Node, line int)
	visit = func(n *yaml.Node, line int) {
		if n.Kind != yaml.MappingNode {
			r.problem(g.path, line, "%s given for the merge key <<, want a mapping or a list of mappings", describe(n))
			return
		}
		if visited[n] {
			return
		}
		visited[n] = true
		first := map[string]int{}
		var merges []pair
		for i := 0; i+1 < len(n.Content); i += 2 {
			key := resolve(n.Content[i])
			p := pair{key.Value, n.Content[i].Line, n.Content[i+1]}
			if key.Kind != yaml.ScalarNode {
				r.problem(g.path, p.line, "%s given as a key, want one of the keys %s", describe(key), g.keys())
				continue
			}
			if line, twice := first[p.key]; twice {
				r.problem(g.child(printable(p.key)), p.line, "given twice, first in line %d: keep one", line)
				continue
			}
			first[p.key] = p.line
			if key.ShortTag() == "!!merge" {
				merges = append(merges, p)
				continue
			}
			all = append(all, p)
		}
		for _, p := range merges {
			for _, from := range mergeSources(p.value) {
				visit(from, p.line)
			}
		}
	}
	visit(n, n.Line)
	return all
}

// mergeSources is the mapping, or each mapping of the list, that a merge key names.
func mergeSources(value *yaml.Node) []*yaml.Node {
	value = resolve(value)
	if value.Kind != yaml.SequenceNode {
		return []*yaml.Node{value}
	}
	sources := make([]*yaml.Node, len(value.Content))
	for i, item := range value.Content {
		sources[i] = resolve(item)
	}
	return sources
}

// readSetting reads a value node: a list for list settings, a scalar for all others.
func (r *fileReader) readSetting(st *setting, n *yaml.Node, line int) {
	n = resolve(n)
	if isNull(n) {
		r.problem(st.path, line, "the key has no value: give one, or remove the key to keep the default%s", emptyHint(st))
		return
	}
	if st.kind.list {
		r.readList(st, n, line)
		return
	}
	if !isText(n) {
		r.problem(st.path, line, "%s given, want one value", describe(n))
		return
	}
	if err := st.take(n.Value, SourceFile, r.place(line)); err != nil {
		r.problems = append(r.problems, err)
	}
}

func (r *fileReader) readList(st *setting, n *yaml.Node, line int) {
	if n.Kind != yaml.SequenceNode {
		r.problem(st.path, line, "%s given, want a list such as [a, b]", describe(n))
		return
	}
	items := make([]string, 0, len(n.Content))
	for _, item := range n.Content {
		item = resolve(item)
		if !isText(item) {
			r.problem(st.path, line, "the list contains %s, want one value for each element", describe(item))
			return
		}
		items = append(items, item.Value)
	}
	v := reflect.New(st.dst.Type()).Elem()
	if err := setElements(v, items); err != nil {
		r.problem(st.path, line, "%s", err)
		return
	}
	st.incoming = candidate{value: v, source: SourceFile, origin: r.place(line)}
}

// unknownKey says what is wrong with a key that a section does not have.
func (r *fileReader) unknownKey(g *group, key string) string {
	var here []string
	for _, m := range g.members {
		here = append(here, m.key)
	}
	if near := Nearest(key, here); near != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", g.child(near))
	}
	// The right key in the wrong section is the other common mistake.
	for _, st := range r.settings {
		if strings.HasSuffix("."+st.path, "."+key) {
			return fmt.Sprintf("unknown key; did you mean %s?", st.path)
		}
	}
	return fmt.Sprintf("unknown key; the keys here are %s", g.keys())
}

func (g *group) member(key string) *member {
	for i := range g.members {
		if g.members[i].key == key {
			return &g.members[i]
		}
	}
	return nil
}

func (g *group) child(key string) string { return strings.TrimPrefix(g.path+"."+key, ".") }

// printable keeps a key that holds line breaks or other controls from breaking up a message.
func printable(key string) string {
	if quoted := strconv.Quote(key); quoted != `"`+key+`"` || key == "" {
		return quoted
	}
	return key
}

func (g *group) keys() string {
	names := make([]string, len(g.members))
	for i, m := range g.members {
		names[i] = m.key
	}
	return strings.Join(names, ", ")
}

// resolve follows an alias to its node.
func resolve(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode && n.Alias != nil {
		n = n.Alias
	}
	return n
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// isText reports whether a node is a plain value. Numbers, dates and booleans are taken as written, so that a password of digits
// needs no quotes; values with an explicit tag of another type are not.
func isText(n *yaml.Node) bool {
	if n.Kind != yaml.ScalarNode {
		return false
	}
	switch n.ShortTag() {
	case "!!str", "!!int", "!!float", "!!bool", "!!timestamp":
		return true
	}
	return false
}

func describe(n *yaml.Node) string {
	switch {
	case n.Kind == yaml.MappingNode:
		return "a mapping"
	case n.Kind == yaml.SequenceNode:
		return "a list"
	case isNull(n):
		return "an empty value"
	case !isText(n):
		return fmt.Sprintf("a value with the tag %s", n.ShortTag())
	}
	return "a single value"
}

func emptyHint(st *setting) string {
	if st.dst.Kind() == reflect.String {
		return ` (an empty text is written "")`
	}
	if st.kind.list {
		return " (an empty list is written [])"
	}
	return ""
}
