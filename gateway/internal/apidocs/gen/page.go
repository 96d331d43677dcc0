package main

import (
	"bytes"
	_ "embed" // for the template
	"encoding/json"
	"fmt"
	"html/template"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

//go:embed page.html
var pageHTML string

// page is the document as the reference page shows it.
type page struct {
	*object
	words *object // patterns in words
}

// entry is a part of the document that has a name: an operation, a parameter, a property, a type, an answer.
type entry struct {
	*object
	Name, In string
	Required bool
	page     *page
}

// renderPage makes the reference page of a document.
func renderPage(doc, words *object) ([]byte, error) {
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	err = t.Execute(&out, &page{doc, words})
	return out.Bytes(), err
}

// entry resolves a reference of the document; its own description wins.
func (p *page) entry(name string, o *object) entry {
	if ref := o.text("$ref"); strings.HasPrefix(ref, "#/") && !strings.HasPrefix(ref, schemaPrefix) {
		own := o.text("description")
		if o = p.object.object(strings.Split(ref, "/")[1:]...); own != "" {
			o = o.with("description", own)
		}
	}
	return entry{object: o, Name: name, page: p}
}

func (p *page) entries(o *object) (list []entry) {
	if o != nil {
		for _, name := range o.keys {
			list = append(list, p.entry(name, o.object(name)))
		}
	}
	return list
}

// Text returns a text of the document.
func (o *object) Text(path ...string) string { return o.text(path...) }

// About is the document's prose.
func (p *page) About() template.HTML { return prose(p.text("info", "description")) }

// Sections are the headings in it.
func (p *page) Sections() (ids []entry) {
	for _, head := range heading.FindAllStringSubmatch(p.text("info", "description"), -1) {
		ids = append(ids, entry{Name: head[1]})
	}
	return ids
}

// Tags are the groups of operations.
func (p *page) Tags() (list []entry) {
	for _, t := range p.list("tags") {
		list = append(list, p.entry(t.(*object).text("name"), t.(*object)))
	}
	return list
}

// Schemas are the types.
func (p *page) Schemas() []entry { return p.entries(p.object.object("components", "schemas")) }

// ID is the name as the target of a link.
func (e entry) ID() string { return strings.ReplaceAll(strings.ToLower(e.Name), " ", "-") }

// Operations are those of a tag, each with its method as Name and its path as In.
func (e entry) Operations() (list []entry) {
	for _, path := range e.page.entries(e.page.object.object("paths")) {
		for _, op := range e.page.entries(path.object) {
			if slices.Contains(op.list("tags"), any(e.Name)) {
				op.Name, op.In = strings.ToUpper(op.Name), path.Name
				list = append(list, op)
			}
		}
	}
	return list
}

// Parameters are those of an operation.
func (e entry) Parameters() (list []entry) {
	for _, v := range e.list("parameters") {
		p := e.page.entry("", v.(*object))
		p.Name, p.In, p.Required = p.text("name"), p.text("in"), get[bool](p.object, "required")
		list = append(list, p)
	}
	return list
}

// Target is the path and query of an operation's example.
func (e entry) Target() string {
	var query []string
	target := e.In
	for _, p := range e.Parameters() {
		sample := fmt.Sprint(p.values["example"])
		switch {
		case p.values["example"] == nil || p.Name == "fields":
		case p.In == "path":
			target = strings.Replace(target, "{"+p.Name+"}", sample, 1)
		case p.In == "query":
			query = append(query, p.Name+"="+strings.ReplaceAll(sample, " ", "+"))
		}
	}
	if len(query) > 0 {
		target += "?" + strings.Join(query, "&")
	}
	return target
}

// Curl is the example as a command.
func (e entry) Curl() (string, error) {
	line := "curl "
	if e.Name != http.MethodGet {
		line += "-X " + e.Name + " "
	}
	line += "'http://localhost:8080" + e.Target() + "'"
	if sample := e.object.object("requestBody", "content", "application/json", "example"); sample != nil {
		body, err := json.Marshal(sample)
		if err != nil {
			return "", err
		}
		line += " \\\n  -H 'Content-Type: application/json' \\\n  -d '" + strings.ReplaceAll(string(body), "'", `'\''`) + "'"
	}
	return line, nil
}

// Body is what an operation takes; nil for nothing.
func (e entry) Body() *entry { return e.content(e.object.object("requestBody")) }

// Content is what an answer is.
func (e entry) Content() *entry { return e.content(e.object) }

func (e entry) content(of *object) *entry {
	c := of.object("content", "application/json")
	if c == nil {
		return nil
	}
	return &entry{object: c, page: e.page}
}

// Sample is an example of what an answer is.
func (e entry) Sample() (string, error) {
	text, err := indented(e.values["example"])
	return strings.TrimSpace(string(text)), err
}

// Answer is the answer with the status 200.
func (e entry) Answer() entry { return e.page.entry("200", e.object.object("responses", "200")) }

// Failures are the other answers.
func (e entry) Failures() []entry {
	return slices.DeleteFunc(e.page.entries(e.object.object("responses")), func(e entry) bool { return e.Name == "200" })
}

// StatusText is the name of an answer's status.
func (e entry) StatusText() (string, error) {
	code, err := strconv.Atoi(e.Name)
	return http.StatusText(code), err
}

// Headers are those of an answer.
func (e entry) Headers() []entry { return e.page.entries(e.object.object("headers")) }

// Fields are the properties of a type.
func (e entry) Fields() (list []entry) {
	if properties := e.object.object("properties"); properties != nil {
		for _, name := range properties.keys {
			list = append(list, entry{properties.object(name), name, "", slices.Contains(e.list("required"), any(name)), e.page})
		}
	}
	return list
}

// Description is the entry's.
func (e entry) Description() template.HTML { return inline(e.text("description")) }

// schema is the entry's type, where it is none itself.
func (e entry) schema() *object {
	if s := e.object.object("schema"); s != nil {
		return s
	}
	return e.object
}

// Type names the type, with a link if it is listed under Types.
func (e entry) Type() template.HTML { return typeOf(e.schema()) }

func typeOf(s *object) template.HTML {
	kind := template.HTMLEscapeString(s.text("type"))
	switch name := template.HTMLEscapeString(referenced(s)); {
	case name != "":
		kind = `<a href="#schema-` + name + `">` + name + `</a>`
	case kind == "array":
		return "list of " + typeOf(s.object("items"))
	case s.text("format") == "date-time":
		kind = "time"
	case kind == "integer":
		kind = "whole number"
	}
	return template.HTML(kind) //nolint:gosec // escaped
}

// Limits says in words what the keywords of the type allow.
func (e entry) Limits() []string { return e.page.limits(e.schema()) }

func (p *page) limits(s *object) (out []string) {
	add := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	if values := s.list("enum"); values != nil {
		add("%s", strings.ReplaceAll(strings.Trim(fmt.Sprintf("%q", values), `["]`), `" "`, ", "))
	}
	for _, b := range []struct{ low, high, unit string }{
		{"minimum", "maximum", ""}, {"minLength", "maxLength", " characters"}, {"minItems", "maxItems", " entries"},
	} {
		low, high := s.values[b.low], s.values[b.high]
		switch {
		case low != nil && low == high:
			add("exactly %v%s", low, b.unit)
		case low != nil && high != nil:
			add("%v–%v%s", low, high, b.unit)
		case low != nil:
			add("at least %v%s", low, b.unit)
		case high != nil:
			add("at most %v%s", high, b.unit)
		}
		if above := s.values["exclusiveMinimum"]; above != nil && b.unit == "" {
			add("more than %v", above)
		}
		if of := s.values["multipleOf"]; of != nil && b.unit == "" {
			add("a multiple of %v", of)
		}
	}
	if pattern := s.text("pattern"); p.words.text(pattern) != "" {
		add("%s", p.words.text(pattern))
	} else if pattern != "" {
		add("matches %s", pattern)
	}
	if items := s.object("items"); items != nil {
		for _, limit := range p.limits(items) {
			add("each %s", limit)
		}
	}
	if first := s.values["default"]; first != nil {
		add("%v where nothing is sent", first)
	}
	return out
}

var (
	codeText = regexp.MustCompile("`([^`]+)`")
	linkText = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]+)\)`)
	heading  = regexp.MustCompile(`(?m)^## (.*)$`)
)

// inline renders the little Markdown that our texts use within a paragraph: `code` and [text](address).
func inline(text string) template.HTML {
	text = codeText.ReplaceAllString(template.HTMLEscapeString(text), "<code>$1</code>")
	return template.HTML(linkText.ReplaceAllString(text, `<a href="$2">$1</a>`)) //nolint:gosec // escaped; the addresses are our own
}

// prose renders paragraphs, "## headings" and "- lists".
func prose(text string) template.HTML {
	var b strings.Builder
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		oneLine := func(text string) template.HTML { return inline(strings.Join(strings.Fields(text), " ")) }
		if head, ok := strings.CutPrefix(block, "## "); ok {
			fmt.Fprintf(&b, "<h3 id=%q>%s</h3>\n", entry{Name: head}.ID(), inline(head))
		} else if items, ok := strings.CutPrefix(block, "- "); ok {
			b.WriteString("<ul>\n")
			for _, item := range strings.Split(items, "\n- ") {
				fmt.Fprintf(&b, "<li>%s</li>\n", oneLine(item))
			}
			b.WriteString("</ul>\n")
		} else {
			fmt.Fprintf(&b, "<p>%s</p>\n", oneLine(block))
		}
	}
	return template.HTML(b.String()) //nolint:gosec // inline escapes
}
