package main

import (
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"google.golang.org/protobuf/reflect/protoreflect"
)

//go:embed examples
var examples embed.FS

// example reads a recorded answer; nil where there is none.
func example(name string) (any, error) {
	text, err := examples.ReadFile("examples/" + name + ".json")
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("there is no example examples/%s.json: record it with go test ./test/clients -run Examples -update", name)
	}
	if err != nil {
		return nil, err
	}
	return parse(text)
}

// message finds a message by its full name.
func (c *completion) message(full string) (protoreflect.MessageDescriptor, error) {
	d, err := c.files.FindDescriptorByName(protoreflect.FullName(full))
	if err != nil {
		return nil, fmt.Errorf("message %s: %w", full, err)
	}
	m, ok := d.(protoreflect.MessageDescriptor)
	if !ok {
		return nil, fmt.Errorf("%s is not a message", full)
	}
	return m, nil
}

var pathField = regexp.MustCompile(`\{[^}]*\}`)

// paths completes all operations. The protos may name a path's field differently for two methods; for HTTP it is one path.
func (c *completion) paths() (*object, error) {
	out := obj()
	old := c.skeleton.object("paths")
	for _, path := range old.keys {
		clean := pathField.ReplaceAllStringFunc(path, func(f string) string { return "{" + parameterName(strings.Trim(f, "{}")) + "}" })
		item := out.object(clean)
		if item == nil {
			item = obj()
			out.set(clean, item)
		}
		for _, method := range old.object(path).keys {
			op, err := c.operation(method, clean, old.object(path, method))
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", strings.ToUpper(method), path, err)
			}
			item.set(method, op)
		}
	}
	return out, nil
}

// parameterName is a parameter as the gateway documents it: snake_case, without the field that the body is.
func parameterName(name string) string {
	return snake(name[strings.LastIndexByte(name, '.')+1:])
}

// operation completes one operation.
func (c *completion) operation(method, path string, from *object) (*object, error) {
	_, rpc, _ := strings.Cut(from.text("operationId"), "_")
	id := strings.ToLower(rpc[:1]) + rpc[1:]
	about, ok := c.supplement.Operations[id]
	if !ok {
		return nil, fmt.Errorf("supplement.yaml says nothing of %s under operations", id)
	}
	c.use("operations", id)
	description, failures := c.splitComment(rpc, from.text("summary")+"\n\n"+from.text("description"))
	if description == "" {
		return nil, errors.New("the method has no comment")
	}
	if given := about.Example.Method; given != strings.ToUpper(method) && (given != "" || method != "get") {
		return nil, fmt.Errorf("the example's method is %q", given) // none is GET
	}
	if method != "get" && !about.Match {
		description += " It takes no conditions: with `If-Match` or `If-None-Match` it is answered with 400, and nothing is done."
	}
	op := obj(
		member{"operationId", id}, member{"tags", []any{about.Tag}}, member{"summary", about.Summary}, member{"description", description},
	)
	parameters, err := c.operationParameters(path, from, about)
	if err != nil {
		return nil, err
	}
	if len(parameters) > 0 {
		op.set("parameters", parameters)
	}
	if body := from.object("requestBody"); body != nil {
		b, err := c.body(rpc, body, about)
		if err != nil {
			return nil, err
		}
		op.set("requestBody", b)
	}
	responses, err := c.responses(id, from, about, failures)
	if err != nil {
		return nil, err
	}
	op.set("responses", responses)
	return op, nil
}

// failure is a line "NOT_FOUND: …" of a method's comment.
type failure struct {
	status int
	text   string
}

var failureLine = regexp.MustCompile(`(?m)^([A-Z][A-Z_]+): `)

// splitComment takes a method's comment apart: what it does, without its own name in front, and when it fails how.
func (c *completion) splitComment(rpc, comment string) (string, []failure) {
	description, rest := comment, ""
	if at := failureLine.FindStringIndex(comment); at != nil {
		description, rest = comment[:at[0]], comment[at[0]:]
	}
	description = c.paragraphs(description)
	if after, ok := strings.CutPrefix(description, rpc+" "); ok {
		description = sentence(after)
	}
	var failures []failure
	marks := failureLine.FindAllStringSubmatchIndex(rest, -1)
	for i, m := range marks {
		end := len(rest)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		failures = append(failures, failure{statusOf(rest[m[2]:m[3]]), sentence(c.paragraphs(rest[m[1]:end]))})
	}
	return description, failures
}

// sentence begins with a capital.
func sentence(s string) string {
	if s == "" {
		return ""
	}
	return strings.ToUpper(s[:1]) + s[1:]
}

// operationParameters are those of path and query, and what the gateway adds.
func (c *completion) operationParameters(path string, from *object, about operation) ([]any, error) {
	samples, err := sampleValues(path, about.Example)
	if err != nil {
		return nil, err
	}
	var out []any
	for _, v := range from.list("parameters") {
		p, _ := v.(*object)
		name := parameterName(p.text("name"))
		if p.text("description") == "" {
			return nil, fmt.Errorf("parameter %s has no comment", name)
		}
		schema := p.object("schema")
		if words, ok := c.supplement.Parameters[name]; ok {
			c.use("parameters", name)
			if schema, err = c.limited(schema, words); err != nil {
				return nil, err
			}
		}
		q := obj(member{"name", name}, member{"in", p.text("in")})
		switch {
		case p.text("in") == "path":
			q.set("required", true)
		case name == "q":
			q.set("required", true)
		}
		q.set("description", c.paragraphs(p.text("description")))
		q.set("schema", schema)
		if sample, ok := samples[name]; ok {
			q.set("example", sampleOf(p.object("schema"), sample))
		}
		out = append(out, q)
	}
	if about.Fields != "" {
		out = append(out, obj(
			member{"name", "fields"}, member{"in", "query"},
			member{"description", "Only these properties of the answer: at most 50 names, separated by commas, inner ones behind a dot. Then properties that are required are missing too. Empty means all."},
			member{"schema", obj(member{"type", "string"})}, member{"example", about.Fields},
		))
	}
	if about.ETag {
		out = append(out, obj(member{"$ref", "#/components/parameters/IfNoneMatch"}), obj(member{"$ref", "#/components/parameters/IfMatchRead"}))
	}
	if about.Match {
		out = append(out, obj(member{"$ref", "#/components/parameters/IfMatch"}))
	}
	if about.Create {
		out = append(out, obj(member{"$ref", "#/components/parameters/OnlyNew"}))
	}
	return out, nil
}

// sampleValues are the parameters of an example: what it has where the path has fields, and what its query has.
func sampleValues(path string, r request) (map[string]string, error) {
	u, err := url.Parse(r.Path)
	if err != nil {
		return nil, fmt.Errorf("the example's path: %w", err)
	}
	out := map[string]string{}
	for name, values := range u.Query() {
		out[name] = values[0]
	}
	want, got := strings.Split(path, "/"), strings.Split(u.Path, "/")
	if len(want) != len(got) {
		return nil, fmt.Errorf("the example %s is not a request for %s", r.Path, path)
	}
	for i, segment := range want {
		switch field, ok := strings.CutPrefix(segment, "{"); {
		case ok:
			out[strings.TrimSuffix(field, "}")] = got[i]
		case segment != got[i]:
			return nil, fmt.Errorf("the example %s is not a request for %s", r.Path, path)
		}
	}
	return out, nil
}

// sampleOf is a sample as JSON has it.
func sampleOf(schema *object, sample string) any {
	if n, err := strconv.Atoi(sample); err == nil && schema.text("type") == "integer" {
		return n
	}
	return sample
}

// body completes a request body. One that is written out gets a name, for clients that are generated.
func (c *completion) body(rpc string, from *object, about operation) (*object, error) {
	schema := from.object("content", "application/json", "schema")
	name := referenced(schema)
	if name == "" {
		name = rpc + "Request"
		properties, in := schema.object("properties"), c.supplement.Inputs[name]
		for _, key := range in.Path {
			properties.set(key, asInPath(obj(member{"type", "string"})))
		}
		for _, key := range properties.keys {
			p := properties.object(key)
			p.set("description", c.paragraphs(p.text("description")))
			p, err := c.restrict(p, name+"."+key)
			if err != nil {
				return nil, err
			}
			properties.set(key, p)
		}
		c.schemas.set(name, obj(
			member{"type", "object"}, member{"description", cmp.Or(in.Description, "What is sent with "+strings.ToLower(rpc[:1])+rpc[1:]+".")},
			member{"properties", properties}, member{"required", texts(in.Required)},
		))
	}
	if about.Example.Body == nil {
		return nil, errors.New("the example has no body")
	}
	return obj(
		member{"required", true},
		member{"content", obj(member{"application/json", obj(
			member{"schema", reference(c.input(name))}, member{"example", about.Example.Body},
		)})},
	), nil
}

// responses are the answers of an operation.
func (c *completion) responses(id string, from *object, about operation, failures []failure) (*object, error) {
	sample, err := example(id)
	if err != nil {
		return nil, err
	}
	headers := obj(
		member{"X-Request-Id", headerRef("XRequestId")}, member{"Cache-Control", headerRef("CacheControl")},
	)
	put := about.Example.Method == http.MethodPut
	if about.ETag || put {
		headers.set("ETag", headerRef("ETag"))
	}
	if put {
		headers.set("Content-Location", headerRef("ContentLocation"))
	}
	if about.List {
		headers.set("Link", headerRef("Link"))
	}
	out := obj(member{"200", obj(
		member{"description", about.Answer},
		member{"headers", headers},
		member{"content", obj(member{"application/json", obj(
			member{"schema", from.object("responses", "200", "content", "application/json", "schema")}, member{"example", sample},
		)})},
	)})
	if about.ETag {
		same := obj()
		for _, name := range headers.keys {
			same.set(name, headers.values[name])
		}
		out.set("304", obj(
			member{"description", "Nothing has changed since the answer that If-None-Match names; there is no body."},
			member{"headers", same},
		))
	}
	texts := map[int]string{http.StatusBadRequest: "", http.StatusInternalServerError: "", http.StatusServiceUnavailable: "", http.StatusGatewayTimeout: ""}
	for _, f := range failures {
		if f.status == 0 {
			return nil, fmt.Errorf("the comment names a code that is none: %s", f.text)
		}
		texts[f.status] = strings.TrimSpace(texts[f.status] + " " + f.text)
	}
	if about.Match {
		texts[http.StatusPreconditionFailed] = ""
	}
	if m := about.Example.Method; m == http.MethodPut || m == http.MethodDelete {
		texts[http.StatusForbidden] = ""
	}
	if about.ETag {
		texts[http.StatusPreconditionFailed] = "What is there now has another ETag than If-Match names."
	}
	if from.object("requestBody") != nil {
		texts[http.StatusRequestTimeout], texts[http.StatusRequestEntityTooLarge], texts[http.StatusUnsupportedMediaType] = "", "", ""
	}
	for _, status := range slices.Sorted(maps.Keys(texts)) {
		code := strconv.Itoa(status)
		e, ok := c.supplement.Errors[code]
		if !ok {
			return nil, fmt.Errorf("supplement.yaml says nothing of %s under errors", code)
		}
		c.use("errors", code)
		r := obj(member{"$ref", "#/components/responses/" + e.Name})
		if texts[status] != "" {
			r.set("description", texts[status])
		}
		out.set(code, r)
	}
	return out, nil
}
