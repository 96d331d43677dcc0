package clients_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// samples are texts that a pattern allows, and texts that it does not. A pattern of the document that is not here fails the test:
// they cannot be derived.
var samples = map[string]struct{ good, bad []string }{
	`^[^\x00-\x20\x7f-\xa0]([^\x00-\x1f\x7f-\x9f]*[^\x00-\x20\x7f-\xa0])?$`: {
		good: []string{"a", "...", "a/b ü?", "%2F", "日本"},
		bad:  []string{" a", "a ", "a\nb", "a\x7f", "\u0085a", "\u00a0a"},
	},
	`^[^\x00-\x1f\x7f-\x9f]*$`:          {good: []string{"a b", "日本 'x' <b>"}, bad: []string{"a\nb", "a\tb", "a\x00b", "a\u0085b"}},
	`^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$`: {good: []string{"a\tb\nc"}, bad: []string{"a\x00b", "a\rb", "a\u009fb"}},
	`^[a-z][a-z0-9_-]{0,31}$`:           {good: []string{"a", "a" + strings.Repeat("-", 31)}, bad: []string{"A", "1a", "a b", "a" + strings.Repeat("x", 32)}},
	`^tt[0-9]{7,10}$`:                   {good: []string{"tt9999991", "tt9999999991"}, bad: []string{"tt999999", "tt99999999991", "9999991", "TT9999991"}},
	`^(tt[0-9]{7,10})?$`:                {good: []string{"", "tt9999992", "tt9999999992"}, bad: []string{"tt999999", "tt99999999992", "9999992"}},
	`^[1-9][0-9]{0,9}$`:                 {good: []string{"1", "9999999991"}, bad: []string{"0", "01", "99999999991", "-1", "x"}},
	`^([1-9][0-9]{0,9})?$`:              {good: []string{"", "7", "9999999992"}, bad: []string{"0", "01", "99999999992", "x"}},
}

// free are the texts of requests that have no bound in the document, with the reason.
var free = map[string]string{
	"page_token":      "opaque; the service says what is wrong with it",
	"etag":            "opaque; another one is another version",
	"fields":          "a little language, described in words",
	"MovieInput.etag": "opaque; another one is another version",
}

// edges are values of a schema that are just allowed, and values that just are not.
func (d *document) edges(t *testing.T, s schema, at string) (inside, outside []any) {
	t.Helper()
	s, ok := d.resolve(s)
	if !ok {
		t.Fatalf("%s: no schema %s", at, s.Ref)
	}
	switch s.Type {
	case "integer":
		low, high := float64(math.MinInt32), float64(math.MaxInt32)
		if s.Format != "int32" {
			t.Errorf("%s: an integer of format %q", at, s.Format)
		}
		if s.Minimum != nil {
			low = *s.Minimum
		}
		if s.Maximum != nil {
			high = *s.Maximum
		}
		inside, outside = []any{low, high}, []any{low - 1, high + 1}
		if s.MultipleOf != nil {
			outside = append(outside, low+1, low+*s.MultipleOf/2)
		}
	case "string":
		bounded := len(s.Enum) > 0 || s.MaxLength != nil || s.Pattern != ""
		if _, ok := free[at]; ok == bounded {
			t.Errorf("%s: a text must have a bound, or its reason in the test's list of those that have none", at)
		}
		inside = append(inside, s.Enum...)
		if len(s.Enum) > 0 {
			outside = append(outside, "no-such-value")
		}
		if s.MinLength != nil {
			inside, outside = append(inside, strings.Repeat("x", *s.MinLength)), append(outside, strings.Repeat("x", *s.MinLength-1))
		}
		if s.MaxLength != nil {
			inside, outside = append(inside, strings.Repeat("x", *s.MaxLength)), append(outside, strings.Repeat("x", *s.MaxLength+1))
		}
		if s.Pattern != "" {
			of, ok := samples[s.Pattern]
			if !ok {
				t.Errorf("%s: the test has no samples for the pattern %s", at, s.Pattern)
			}
			for _, v := range of.good {
				inside = append(inside, v)
			}
			for _, v := range of.bad {
				outside = append(outside, v)
			}
		}
		if s.Not != nil {
			outside = append(outside, s.Not.Enum...)
		}
	case "array":
		if s.MaxItems == nil {
			t.Errorf("%s: a list without a bound", at)
			return nil, nil
		}
		entries := func(n int) []any {
			list := make([]any, n)
			for i := range list {
				list[i] = fmt.Sprintf("entry %d", i)
			}
			return list
		}
		inside, outside = []any{entries(*s.MaxItems)}, []any{entries(*s.MaxItems + 1)}
		if s.MinItems != nil && *s.MinItems > 0 {
			inside, outside = append(inside, entries(*s.MinItems)), append(outside, entries(*s.MinItems-1))
		}
	default:
		t.Errorf("%s: the test knows no edges of the type %q", at, s.Type)
	}
	for _, v := range inside {
		for _, wrong := range d.wrong(s, v, at) {
			t.Errorf("the test is wrong: what shall be inside is not: %s", wrong)
		}
	}
	for _, v := range outside {
		if s.Type != "integer" && len(d.wrong(s, v, at)) == 0 {
			t.Errorf("the test is wrong: %s: %v shall be outside, and the schema allows it", at, v)
		}
	}
	return inside, outside
}

// probe is a request with one value of interest.
type probe struct {
	t       *testing.T
	gateway string
	op      operation
	sent    int
}

// try sends a request and compares what the gateway says of the field with what the document says.
func (p *probe) try(field, target string, body any, value any, allowed bool) {
	p.t.Helper()
	p.sent++
	var text []byte
	if body != nil {
		var err error
		if text, err = json.Marshal(body); err != nil {
			p.t.Fatal(err)
		}
	}
	res, answer := ask(p.t, p.op.method, p.gateway+target, text, nil)
	var problem struct{ Errors []struct{ Field string } }
	if err := json.Unmarshal(answer, &problem); err != nil {
		p.t.Fatalf("%s %s: %v in %s", p.op.method, target, err, answer)
	}
	// Names come as they are sent: snake_case in a query, camelCase in a body or for a path.
	plain := func(name string) string { return strings.ToLower(strings.ReplaceAll(name, "_", "")) }
	named := false
	for _, e := range problem.Errors {
		named = named || plain(e.Field) == plain(field)
	}
	refused := res.StatusCode == http.StatusBadRequest && named
	if refused == allowed || res.StatusCode >= 500 {
		p.t.Errorf("%s: %s = %.80q: the document says allowed: %v; the answer is %d %.300s", p.op.ID, field, fmt.Sprint(value), allowed, res.StatusCode, answer)
	}
}

// testBounds holds every bound that the document has for what is sent to the running system: a value just inside is not complained
// about, one just outside is, by its name. And it wants a bound for everything that is sent.
func testBounds(t *testing.T, gateway string) {
	doc := readDocument(t)
	sent := 0
	for _, op := range doc.operations() {
		t.Run(op.ID, func(t *testing.T) {
			p := &probe{t: t, gateway: gateway, op: op}
			p.parameters(doc)
			if op.Body != nil {
				p.body(doc)
			}
			sent += p.sent
		})
	}
	// What a schema cannot say: the bound of an id is in bytes.
	p := &probe{t: t, gateway: gateway, op: operation{ID: "getMovie", method: http.MethodGet}}
	p.try("id", "/v1/movies/"+inPath(strings.Repeat("é", 64)), nil, "128 bytes", true)
	p.try("id", "/v1/movies/"+inPath(strings.Repeat("é", 65)), nil, "130 bytes", false)
	const least = 500
	if sent < least {
		t.Errorf("%d requests; the document has bounds for %d or more", sent, least)
	}
}

// text is a value as a path or a query has it.
func text(v any) string {
	if n, ok := v.(float64); ok {
		return fmt.Sprintf("%.0f", n)
	}
	return fmt.Sprint(v)
}

// parameters tries the edges of every parameter of path and query, beside those only that must be there.
func (p *probe) parameters(doc *document) {
	var body any
	if p.op.Body != nil {
		body = p.op.Body.Content["application/json"].Example
	}
	for _, own := range p.op.Parameters {
		if own.In != "path" && own.In != "query" {
			continue
		}
		inside, outside := doc.edges(p.t, own.Schema, own.Name)
		for i, v := range append(slices.Clone(inside), outside...) {
			path, query := p.op.path, url.Values{}
			for _, other := range p.op.Parameters {
				value := text(other.Example)
				if other.Name == own.Name {
					value = text(v)
				}
				switch {
				case other.In == "path":
					path = strings.Replace(path, "{"+other.Name+"}", inPath(value), 1)
				case other.In == "query" && (other.Required || other.Name == own.Name):
					query.Set(other.Name, value)
				}
			}
			if text(v) == "" && (own.In == "path" || !own.Required) {
				continue // another path; a parameter without a value is none
			}
			target := path
			if len(query) > 0 {
				target += "?" + query.Encode()
			}
			p.try(own.Name, target, body, v, i < len(inside))
		}
	}
}

// inPath escapes a path's segment; "." and ".." too, which clients take for something else.
func inPath(segment string) string {
	if strings.Trim(segment, ".") == "" {
		return strings.ReplaceAll(segment, ".", "%2E")
	}
	return url.PathEscape(segment)
}

// body tries the edges of every property of the body, beside those of the example.
func (p *probe) body(doc *document) {
	content := p.op.Body.Content["application/json"]
	base, ok := content.Example.(map[string]any)
	if !ok {
		p.t.Fatal("the body's example is no object")
	}
	s, ok := doc.resolve(content.Schema)
	if !ok {
		p.t.Fatalf("no schema %s", content.Schema.Ref)
	}
	name := strings.TrimPrefix(content.Schema.Ref, "#/components/schemas/")
	for _, required := range s.Required {
		without := maps.Clone(base)
		delete(without, required)
		p.try(required, p.op.target(), without, "nothing", false)
	}
	for key, property := range s.Properties {
		put := func(v any) map[string]any {
			with := maps.Clone(base)
			with[key] = v
			return with
		}
		if strings.HasPrefix(property.Description, "As in the path") {
			p.repeats(key, put)
			continue
		}
		p.property(doc, key, name+"."+key, property, put)
	}
}

// property tries the edges of one property, those of its entries and its properties.
func (p *probe) property(doc *document, field, at string, s schema, put func(any) map[string]any) {
	s, ok := doc.resolve(s)
	if !ok {
		p.t.Fatalf("%s: no schema %s", at, s.Ref)
	}
	if s.Type == "object" {
		for key, inner := range s.Properties {
			p.property(doc, field+"."+key, at+"."+key, inner, func(v any) map[string]any { return put(map[string]any{key: v}) })
		}
		return
	}
	inside, outside := doc.edges(p.t, s, at)
	for i, v := range append(slices.Clone(inside), outside...) {
		p.try(field, p.op.target(), put(v), v, i < len(inside))
	}
	if s.Type == "array" {
		p.property(doc, field+"[0]", at+"[]", *s.Items, func(v any) map[string]any { return put([]any{v}) })
	}
}

// repeats tries a property that the path has too.
func (p *probe) repeats(key string, put func(any) map[string]any) {
	for _, param := range p.op.Parameters {
		if param.In == "path" && strings.EqualFold(strings.ReplaceAll(param.Name, "_", ""), key) {
			p.try(key, p.op.target(), put(param.Example), param.Example, true)
			p.try(key, p.op.target(), put("another"), "another", false)
			return
		}
	}
	p.t.Errorf("%s shall be as in the path, which has no such parameter", key)
}
