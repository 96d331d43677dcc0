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
	"strings"
)

//go:embed page.html
var pageHTML string

// view is the document as the page shows it.
type view struct {
	Title, Version, OpenAPI string
	About                   template.HTML
	Sections                []headline // of About
	Tags                    []tagView
	Schemas                 []schemaView
}

type headline struct{ ID, Text string }

type tagView struct {
	Name, ID    string
	Description template.HTML
	Operations  []operationView
}

type operationView struct {
	ID, Summary, Method, Path string
	Description               template.HTML
	Parameters                []fieldView
	Body                      template.HTML // the type of the body; "" where there is none
	Curl                      string
	Open                      string // the address of the example, for a browser; "" where it is no GET
	Answer                    template.HTML
	Type                      template.HTML
	Sample                    string
	Headers                   []fieldView
	Failures                  []failureView
}

// fieldView is a parameter, a header or a property.
type fieldView struct {
	Name, In    string
	Type        template.HTML
	Required    bool
	Limits      []string
	Description template.HTML
}

type failureView struct {
	Status, Text string
	Description  template.HTML
}

type schemaView struct {
	Name        string
	Type        template.HTML // of one that is no object
	Limits      []string
	Description template.HTML
	Fields      []fieldView
	Sample      string
}

// renderPage makes the reference page of a document.
func renderPage(doc *object, words map[string]string) ([]byte, error) {
	r := renderer{doc: doc, words: words}
	info := doc.object("info")
	v := view{Title: info.text("title"), Version: info.text("version"), OpenAPI: doc.text("openapi")}
	v.About, v.Sections = prose(info.text("description"))
	for _, t := range doc.list("tags") {
		tag, err := r.tag(t.(*object))
		if err != nil {
			return nil, err
		}
		v.Tags = append(v.Tags, tag)
	}
	schemas := doc.object("components", "schemas")
	for _, name := range schemas.keys {
		v.Schemas = append(v.Schemas, r.schema(name, schemas.object(name)))
	}
	t, err := template.New("page").Parse(pageHTML)
	if err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := t.Execute(&out, v); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

type renderer struct {
	doc   *object
	words map[string]string // patterns in words
}

// resolve follows a reference into the document; its own description wins.
func (r renderer) resolve(o *object) *object {
	ref := o.text("$ref")
	if ref == "" {
		return o
	}
	target := r.doc.object(strings.Split(strings.TrimPrefix(ref, "#/"), "/")...)
	if target == nil {
		return o
	}
	if own := o.text("description"); own != "" {
		copied := obj()
		for _, key := range target.keys {
			copied.set(key, target.values[key])
		}
		copied.set("description", own)
		return copied
	}
	return target
}

func (r renderer) tag(tag *object) (tagView, error) {
	name := tag.text("name")
	v := tagView{Name: name, ID: strings.ToLower(name), Description: inline(tag.text("description"))}
	paths := r.doc.object("paths")
	for _, path := range paths.keys {
		for _, method := range paths.object(path).keys {
			op := paths.object(path, method)
			if !slices.Contains(op.list("tags"), any(name)) {
				continue
			}
			o, err := r.operation(strings.ToUpper(method), path, op)
			if err != nil {
				return v, err
			}
			v.Operations = append(v.Operations, o)
		}
	}
	return v, nil
}

func (r renderer) operation(method, path string, op *object) (operationView, error) {
	v := operationView{
		ID: op.text("operationId"), Summary: op.text("summary"), Method: method, Path: path,
		Description: inline(op.text("description")),
	}
	var query []string
	address := path
	for _, p := range op.list("parameters") {
		p := r.resolve(p.(*object))
		f := r.field(p.text("name"), p.object("schema"), p.values["required"] == true)
		f.In, f.Description = p.text("in"), inline(p.text("description"))
		v.Parameters = append(v.Parameters, f)
		sample := fmt.Sprint(p.values["example"])
		switch {
		case p.values["example"] == nil || f.Name == "fields":
		case f.In == "path":
			address = strings.Replace(address, "{"+f.Name+"}", sample, 1)
		case f.In == "query":
			query = append(query, f.Name+"="+strings.ReplaceAll(sample, " ", "+"))
		}
	}
	if len(query) > 0 {
		address += "?" + strings.Join(query, "&")
	}
	v.Curl = "curl "
	if method != http.MethodGet {
		v.Curl += "-X " + method + " "
	} else {
		v.Open = address
	}
	v.Curl += "'http://localhost:8080" + address + "'"
	if content := op.object("requestBody", "content", "application/json"); content != nil {
		v.Body = r.typeOf(content.object("schema"))
		body, err := json.Marshal(content.values["example"])
		if err != nil {
			return v, err
		}
		v.Curl += " \\\n  -H 'Content-Type: application/json' \\\n  -d '" + strings.ReplaceAll(string(body), "'", `'\''`) + "'"
	}
	responses := op.object("responses")
	for _, status := range responses.keys {
		answer := r.resolve(responses.object(status))
		if status != "200" {
			code := 0
			_, _ = fmt.Sscan(status, &code) // the generator's own number
			v.Failures = append(v.Failures, failureView{Status: status, Text: http.StatusText(code), Description: inline(answer.text("description"))})
			continue
		}
		content := answer.object("content", "application/json")
		v.Answer, v.Type = inline(answer.text("description")), r.typeOf(content.object("schema"))
		sample, err := indented(content.values["example"])
		if err != nil {
			return v, err
		}
		v.Sample = strings.TrimSpace(string(sample))
		for _, name := range answer.object("headers").keys {
			h := r.resolve(answer.object("headers", name))
			v.Headers = append(v.Headers, fieldView{Name: name, Description: inline(h.text("description"))})
		}
	}
	return v, nil
}

func (r renderer) schema(name string, s *object) schemaView {
	v := schemaView{Name: name, Description: inline(s.text("description"))}
	if s.text("type") != "object" {
		v.Type, v.Limits = r.typeOf(s), r.limits(s)
	}
	required := s.list("required")
	if properties := s.object("properties"); properties != nil {
		for _, key := range properties.keys {
			v.Fields = append(v.Fields, r.field(key, properties.object(key), slices.Contains(required, any(key))))
		}
	}
	return v
}

func (r renderer) field(name string, s *object, required bool) fieldView {
	return fieldView{Name: name, Type: r.typeOf(s), Required: required, Limits: r.limits(s), Description: inline(s.text("description"))}
}

// typeOf names the type of a schema, with a link where it has a place of its own.
func (r renderer) typeOf(s *object) template.HTML {
	if name := referenced(s); name != "" {
		name = template.HTMLEscapeString(name)
		return template.HTML(`<a href="#schema-` + name + `">` + name + `</a>`) //nolint:gosec // escaped
	}
	kind, format := s.text("type"), s.text("format")
	switch {
	case kind == "array":
		return "list of " + r.typeOf(s.object("items"))
	case format == "date-time":
		return "time"
	case kind == "integer":
		return "whole number"
	}
	return template.HTML(template.HTMLEscapeString(kind)) //nolint:gosec // escaped
}

// limits says in words what the keywords of a schema allow.
func (r renderer) limits(s *object) []string {
	var out []string
	if values := s.list("enum"); values != nil {
		words := make([]string, len(values))
		for i, v := range values {
			words[i] = fmt.Sprint(v)
		}
		out = append(out, strings.Join(words, ", "))
	}
	between := func(low, high, unit string) {
		a, b := s.values[low], s.values[high]
		switch {
		case a != nil && b != nil && fmt.Sprint(a) == fmt.Sprint(b):
			out = append(out, fmt.Sprintf("exactly %v%s", a, unit))
		case a != nil && b != nil:
			out = append(out, fmt.Sprintf("%v–%v%s", a, b, unit))
		case a != nil:
			out = append(out, fmt.Sprintf("at least %v%s", a, unit))
		case b != nil:
			out = append(out, fmt.Sprintf("at most %v%s", b, unit))
		}
	}
	between("minimum", "maximum", "")
	if above := s.values["exclusiveMinimum"]; above != nil {
		out = append(out, fmt.Sprintf("more than %v", above))
	}
	if of := s.values["multipleOf"]; of != nil {
		out = append(out, fmt.Sprintf("a multiple of %v", of))
	}
	unit := " characters"
	between("minLength", "maxLength", unit)
	between("minItems", "maxItems", " entries")
	switch pattern := s.text("pattern"); {
	case pattern == "":
	case r.words[pattern] != "":
		out = append(out, r.words[pattern])
	default:
		out = append(out, "matches "+pattern)
	}
	if items := s.object("items"); items != nil {
		for _, limit := range r.limits(items) {
			out = append(out, "each "+limit)
		}
	}
	if first := s.values["default"]; first != nil {
		out = append(out, fmt.Sprintf("%v where nothing is sent", first))
	}
	return out
}

var (
	codeText = regexp.MustCompile("`([^`]+)`")
	linkText = regexp.MustCompile(`\[([^\]]+)\]\(([^)\s]+)\)`)
)

// inline renders the little Markdown that our texts use within a paragraph: `code` and [text](address).
func inline(text string) template.HTML {
	text = template.HTMLEscapeString(text)
	text = codeText.ReplaceAllString(text, "<code>$1</code>")
	text = linkText.ReplaceAllString(text, `<a href="$2">$1</a>`)
	return template.HTML(text) //nolint:gosec // escaped; the addresses are our own
}

// prose renders paragraphs, "## headings" and "- lists".
func prose(text string) (template.HTML, []headline) {
	var b strings.Builder
	var heads []headline
	for _, block := range strings.Split(strings.TrimSpace(text), "\n\n") {
		switch {
		case strings.HasPrefix(block, "## "):
			head := strings.TrimPrefix(block, "## ")
			id := strings.ReplaceAll(strings.ToLower(head), " ", "-")
			heads = append(heads, headline{ID: id, Text: head})
			fmt.Fprintf(&b, "<h3 id=%q>%s</h3>\n", id, inline(head))
		case strings.HasPrefix(block, "- "):
			b.WriteString("<ul>\n")
			for _, item := range strings.Split(strings.TrimPrefix(block, "- "), "\n- ") {
				fmt.Fprintf(&b, "<li>%s</li>\n", inline(strings.Join(strings.Fields(item), " ")))
			}
			b.WriteString("</ul>\n")
		default:
			fmt.Fprintf(&b, "<p>%s</p>\n", inline(strings.Join(strings.Fields(block), " ")))
		}
	}
	return template.HTML(b.String()), heads //nolint:gosec // inline escapes
}
