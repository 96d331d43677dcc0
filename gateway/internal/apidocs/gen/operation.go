package main

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"google.golang.org/grpc/codes"

	"movieexample.com/internal/fault"
)

var pathField = regexp.MustCompile(`\{[^}]*\}`)

// paths completes all operations. The protos may name a path's field differently for two methods; for HTTP it is one path.
func (c *completion) paths() (*object, error) {
	out := obj()
	old := c.skeleton.object("paths")
	for _, path := range old.keys {
		clean := pathField.ReplaceAllStringFunc(path, func(f string) string { return "{" + parameterName(strings.Trim(f, "{}")) + "}" })
		for _, method := range old.object(path).keys {
			op, err := c.operation(method, clean, old.object(path, method))
			if err != nil {
				return nil, fmt.Errorf("%s %s: %w", strings.ToUpper(method), path, err)
			}
			merge(out, obj(clean, obj(method, op)))
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
	about, ok := c.take("operations", id).(*object)
	if !ok {
		return nil, fmt.Errorf("supplement.yaml says nothing of %s under operations", id)
	}
	description, failures := c.splitComment(rpc, from.text("summary")+"\n\n"+from.text("description"))
	if description == "" {
		return nil, errors.New("the method has no comment")
	}
	if given := about.text("example", "method"); cmp.Or(given, "GET") != strings.ToUpper(method) {
		return nil, fmt.Errorf("the example's method is %q", given) // none is GET
	}
	if method != "get" && !slices.Contains(about.list("traits"), any("match")) {
		description += " It takes no conditions: with `If-Match` or `If-None-Match` it is answered with 400, and nothing is done."
	}
	op := obj("operationId", id, "tags", []any{about.text("tag")}, "summary", about.text("summary"), "description", description)
	parameters, err := c.parameters(path, from, about)
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
	sample, err := example(id)
	if err != nil {
		return nil, err
	}
	schema := from.object("responses", "200", "content", "application/json", "schema")
	responses := obj("200", obj("description", about.text("answer"), "headers", obj(), "content", obj("application/json", obj("schema", schema, "example", sample))))
	op.set("responses", responses)
	for _, name := range append([]any{"all"}, about.list("traits")...) {
		trait, ok := c.take("traits", name.(string)).(*object)
		if !ok {
			return nil, fmt.Errorf("supplement.yaml has no trait %s", name)
		}
		merge(op, trait)
	}
	for _, f := range failures {
		name, ok := c.responses[f.status]
		if !ok {
			return nil, fmt.Errorf("the comment names a code without a response in supplement.yaml: %s", f.text)
		}
		text := strings.TrimSpace(responses.text(f.status, "description") + " " + f.text)
		responses.set(f.status, obj("$ref", "#/components/responses/"+name, "description", text))
	}
	slices.Sort(responses.keys)
	return op, nil
}

// failure is a line "NOT_FOUND: …" of a method's comment.
type failure struct{ status, text string }

var failureLine = regexp.MustCompile(`(?m)^([A-Z][A-Z_]+): `)

// splitComment takes a method's comment apart: what it does, without its own name in front, and when it fails how.
func (c *completion) splitComment(rpc, comment string) (string, []failure) {
	var failures []failure
	marks := append(failureLine.FindAllStringSubmatchIndex(comment, -1), []int{len(comment)})
	for i, m := range marks[:len(marks)-1] {
		failures = append(failures, failure{statusOf(comment[m[2]:m[3]]), sentence(c.paragraphs(comment[m[1]:marks[i+1][0]]))})
	}
	description := c.paragraphs(comment[:marks[0][0]])
	if after, ok := strings.CutPrefix(description, rpc+" "); ok {
		description = sentence(after)
	}
	return description, failures
}

// statusOf is the HTTP status of a gRPC code by its name in the protos; "" for one that no kind of error has. The mapping is the
// gateway's own, so the document cannot disagree with it.
func statusOf(code string) string {
	var c codes.Code
	if c.UnmarshalJSON([]byte(`"`+code+`"`)) == nil {
		for k := range fault.KindUnimplemented + 1 {
			if k.Code() == c {
				return fmt.Sprint(k.HTTPStatus())
			}
		}
	}
	return ""
}

// parameters are those of path and query, and "fields".
func (c *completion) parameters(path string, from, about *object) ([]any, error) {
	samples, err := sampleValues(path, about.text("example", "path"))
	if err != nil {
		return nil, err
	}
	var out []any
	for _, v := range from.list("parameters") {
		p, _ := v.(*object)
		name, in := parameterName(p.text("name")), p.text("in")
		if p.text("description") == "" {
			return nil, fmt.Errorf("parameter %s has no comment", name)
		}
		q := obj("name", name, "in", in)
		if in == "path" || name == "q" {
			q.set("required", true)
		}
		q.set("description", c.paragraphs(p.text("description")))
		number := p.text("schema", "type") == "integer"
		q.set("schema", c.limit(p.object("schema"), "parameters", name))
		if sample, ok := samples[name]; ok && number {
			q.set("example", json.Number(sample))
		} else if ok {
			q.set("example", sample)
		}
		out = append(out, q)
	}
	if fields := about.text("fields"); fields != "" {
		out = append(out, c.supplement.object("fields").with("example", fields))
	}
	return out, nil
}

// sampleValues are the parameters of an example: what it has where the path has fields, and what its query has.
func sampleValues(path, sample string) (map[string]string, error) {
	u, err := url.Parse(sample)
	if err != nil {
		return nil, fmt.Errorf("the example's path: %w", err)
	}
	out := map[string]string{}
	for name, values := range u.Query() {
		out[name] = values[0]
	}
	want, got := strings.Split(path, "/"), strings.Split(u.Path, "/")
	if len(want) != len(got) {
		return nil, fmt.Errorf("the example %s is not a request for %s", sample, path)
	}
	for i, segment := range want {
		switch field, ok := strings.CutPrefix(segment, "{"); {
		case ok:
			out[strings.TrimSuffix(field, "}")] = got[i]
		case segment != got[i]:
			return nil, fmt.Errorf("the example %s is not a request for %s", sample, path)
		}
	}
	return out, nil
}

// body completes a request body. One that is written out gets a name, for clients that are generated.
func (c *completion) body(rpc string, from, about *object) (*object, error) {
	schema := from.object("content", "application/json", "schema")
	name := referenced(schema)
	if name == "" {
		name = rpc + "Request"
		properties, in := schema.object("properties"), c.supplement.object("inputs", name)
		for _, key := range in.list("path") {
			properties.set(key.(string), asInPath(obj("type", "string")))
		}
		for _, key := range properties.keys {
			p := properties.object(key)
			p.set("description", c.paragraphs(p.text("description")))
			properties.set(key, c.restrict(p, name+"."+key))
		}
		c.schemas.set(name, obj(
			"type", "object", "description", cmp.Or(in.text("description"), "What is sent with "+strings.ToLower(rpc[:1])+rpc[1:]+"."),
			"properties", properties, "required", in.list("required"),
		))
	}
	sample := about.object("example", "body")
	if sample == nil {
		return nil, errors.New("the example has no body")
	}
	return obj("required", true, "content", obj("application/json", obj("schema", reference(c.input(name)), "example", sample))), nil
}
