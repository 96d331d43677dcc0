package clients_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "record the answers as the examples of the OpenAPI document; then run api/generate.sh")

const (
	documentFile = "../../gateway/internal/apidocs/openapi.json"
	examplesDir  = "../../gateway/internal/apidocs/gen/examples"
)

// operation is an operation of the document, as far as the tests go.
type operation struct {
	ID         string `json:"operationId"`
	Parameters []parameter
	Body       *struct {
		Content map[string]media
	} `json:"requestBody"`
	Responses map[string]response

	method, path string
}

type parameter struct {
	Ref      string `json:"$ref"`
	Name, In string
	Required bool
	Schema   schema
	Example  any
}

type response struct {
	Ref     string `json:"$ref"`
	Headers map[string]any
	Content map[string]media
}

type media struct {
	Schema  schema
	Example any
}

// document is the OpenAPI document.
type document struct {
	Paths      map[string]map[string]operation
	Components struct {
		Schemas   map[string]schema
		Responses map[string]response
	}
}

func readDocument(t *testing.T) *document {
	t.Helper()
	text, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	doc := &document{}
	if err := json.Unmarshal(text, doc); err != nil {
		t.Fatal(err)
	}
	var strict struct {
		Components struct{ Schemas map[string]json.RawMessage }
		Paths      map[string]map[string]struct {
			Parameters []struct {
				Name   string
				Schema json.RawMessage
			}
		}
	}
	if err := json.Unmarshal(text, &strict); err != nil {
		t.Fatal(err)
	}
	schemas := strict.Components.Schemas
	for path, item := range strict.Paths {
		for method, op := range item {
			for _, p := range op.Parameters {
				if p.Schema != nil { // else a reference to a header, which is any text
					schemas[method+" "+path+" "+p.Name] = p.Schema
				}
			}
		}
	}
	for name, raw := range schemas {
		dec := json.NewDecoder(bytes.NewReader(raw))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&schema{}); err != nil {
			t.Fatalf("the schema %s uses what the test's checker does not know: %v", name, err)
		}
	}
	return doc
}

// operations are all of them, those that write first and those that delete last, so that there is something to read.
func (d *document) operations() []operation {
	var all []operation
	for path, item := range d.Paths {
		for method, op := range item {
			op.method, op.path = strings.ToUpper(method), path
			all = append(all, op)
		}
	}
	order := []string{http.MethodPut, http.MethodPost, http.MethodGet, http.MethodDelete}
	slices.SortFunc(all, func(a, b operation) int {
		if n := slices.Index(order, a.method) - slices.Index(order, b.method); n != 0 {
			return n
		}
		return strings.Compare(a.ID, b.ID)
	})
	return all
}

// target is the path and query that the examples of the parameters make.
func (op operation) target() string {
	path, query := op.path, url.Values{}
	for _, p := range op.Parameters {
		switch {
		case p.Example == nil || p.Name == "fields":
		case p.In == "path":
			path = strings.Replace(path, "{"+p.Name+"}", url.PathEscape(fmt.Sprint(p.Example)), 1)
		case p.In == "query":
			query.Set(p.Name, fmt.Sprint(p.Example))
		}
	}
	if len(query) > 0 {
		path += "?" + query.Encode()
	}
	return path
}

// ask sends a request and returns the status, the header and the body.
func ask(t *testing.T, method, target string, body []byte, header http.Header) (*http.Response, []byte) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, target, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	for name, values := range header {
		req.Header[name] = values
	}
	if host := header.Get("Host"); host != "" {
		req.Host = host
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res, text
}

// testExamples sends what a reader of the document would send, and holds answers and examples to the schemas.
func testExamples(t *testing.T, gateway string) {
	doc := readDocument(t)
	served, text := ask(t, http.MethodGet, gateway+"/openapi.json", nil, nil)
	committed, err := os.ReadFile(documentFile)
	if err != nil {
		t.Fatal(err)
	}
	if served.StatusCode != http.StatusOK || !bytes.Equal(text, committed) {
		t.Errorf("GET /openapi.json: %d with %d bytes, not the document that is committed", served.StatusCode, len(text))
	}
	for _, op := range doc.operations() {
		t.Run(op.ID, func(t *testing.T) {
			var body []byte
			if op.Body != nil {
				body, err = json.Marshal(op.Body.Content["application/json"].Example)
				if err != nil {
					t.Fatal(err)
				}
				check(t, doc, "the body's example", op.Body.Content["application/json"].Schema, body)
			}
			res, text := ask(t, op.method, gateway+op.target(), body, nil)
			if res.StatusCode != http.StatusOK {
				t.Fatalf("%s %s: %d %s", op.method, op.target(), res.StatusCode, text)
			}
			want := op.Responses["200"].Content["application/json"]
			check(t, doc, "the answer", want.Schema, text)
			if *update {
				record(t, op.ID, text)
				return
			}
			sample, err := json.Marshal(want.Example)
			if err != nil {
				t.Fatal(err)
			}
			check(t, doc, "the example", want.Schema, sample)
			if got, want := shape(decode(t, text)), shape(decode(t, sample)); got != want {
				t.Errorf("the answer has other members than the example, record it again with -update:\n got %s\nwant %s", got, want)
			}
			for _, p := range op.Parameters {
				if p.In == "path" {
					answers(t, p, decode(t, sample))
				}
			}
		})
	}
}

// answers complains about an example in which what the path names has another name: it answers another request.
func answers(t *testing.T, p parameter, v any) {
	t.Helper()
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			answers(t, p, e)
		}
	case map[string]any:
		for key, value := range v {
			if p.Name != "id" && strings.EqualFold(strings.ReplaceAll(p.Name, "_", ""), key) && value != p.Example {
				t.Errorf("the example has %s %v, its request %v: record it again with -update", key, value, p.Example)
			}
			if list, ok := value.([]any); ok {
				answers(t, p, list)
			}
		}
	}
}

// check holds JSON to a schema.
func check(t *testing.T, doc *document, what string, s schema, text []byte) {
	t.Helper()
	for _, wrong := range doc.wrong(s, decode(t, text), "") {
		t.Errorf("%s is not what its schema says: %s\n%s", what, wrong, text)
	}
}

func decode(t *testing.T, text []byte) any {
	t.Helper()
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return v
}

// shape names the members of an object, and which of its lists are empty: an example of an empty list explains nothing.
func shape(v any) string {
	o, ok := v.(map[string]any)
	if !ok {
		return fmt.Sprintf("%T", v)
	}
	var names []string
	for name, value := range o {
		if list, ok := value.([]any); ok && len(list) == 0 {
			name += " (empty)"
		}
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

// shown is how many entries of a list an example has; it also has fewer counters of genres and decades than there are.
const shown = 2

// record writes an answer as the example, shortened, and without what would be different the next time.
func record(t *testing.T, name string, text []byte) {
	t.Helper()
	var answer any
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.UseNumber()
	if err := dec.Decode(&answer); err != nil {
		t.Fatal(err)
	}
	if o, ok := answer.(map[string]any); ok {
		for key, value := range o {
			if list, ok := value.([]any); ok && len(list) > shown {
				if _, ok := list[0].(map[string]any); ok {
					o[key] = list[:shown]
				}
			}
		}
	}
	steady(answer)
	ordered, err := inOrder(text, answer)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(examplesDir, name+".json"), ordered, 0o644); err != nil {
		t.Fatal(err)
	}
}

// steady replaces what is another at every run.
func steady(v any) {
	switch v := v.(type) {
	case []any:
		for _, e := range v {
			steady(e)
		}
	case map[string]any:
		for key, value := range v {
			s, text := value.(string)
			switch {
			case text && (strings.HasSuffix(key, "Time") || key == "ratedAt"):
				v[key] = "2026-11-20T19:00:00.123456Z"
			case text && s != "" && key == "nextPageToken":
				v[key] = "AQpUaGUgTWF0cml4EgAaDg"
			case text && s != "" && key == "etag":
				v[key] = "9f1c2a77d0b3e645"
			case key == "requestId":
				v[key] = "0d9f5c1e8a7b4f62"
			default:
				steady(value)
			}
		}
	}
}

// inOrder writes v with indents, members in the order that they have in text.
func inOrder(text []byte, v any) ([]byte, error) {
	rank := map[string]int{}
	if err := rankMembers(json.NewDecoder(bytes.NewReader(text)), "", rank); err != nil {
		return nil, err
	}
	var out bytes.Buffer
	if err := writeOrdered(&out, v, "", rank); err != nil {
		return nil, err
	}
	var pretty bytes.Buffer
	if err := json.Indent(&pretty, out.Bytes(), "", "  "); err != nil {
		return nil, err
	}
	pretty.WriteByte('\n')
	return pretty.Bytes(), nil
}

// rankMembers numbers the members of a value by their paths, in which all entries of a list are one.
func rankMembers(dec *json.Decoder, path string, rank map[string]int) error {
	token, err := dec.Token()
	if err != nil {
		return err
	}
	switch token {
	case json.Delim('{'):
		for dec.More() {
			key, err := dec.Token()
			if err != nil {
				return err
			}
			at := fmt.Sprint(path, ".", key)
			if _, seen := rank[at]; !seen {
				rank[at] = len(rank)
			}
			if err := rankMembers(dec, at, rank); err != nil {
				return err
			}
		}
	case json.Delim('['):
		for dec.More() {
			if err := rankMembers(dec, path, rank); err != nil {
				return err
			}
		}
	default:
		return nil
	}
	_, err = dec.Token()
	return err
}

func writeOrdered(out *bytes.Buffer, v any, path string, rank map[string]int) error {
	enc := json.NewEncoder(out)
	enc.SetEscapeHTML(false)
	switch v := v.(type) {
	case []any:
		out.WriteByte('[')
		for i, e := range v {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := writeOrdered(out, e, path, rank); err != nil {
				return err
			}
		}
		out.WriteByte(']')
		return nil
	case map[string]any:
		keys := make([]string, 0, len(v))
		for key := range v {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, b string) int { return rank[path+"."+a] - rank[path+"."+b] })
		out.WriteByte('{')
		for i, key := range keys {
			if i > 0 {
				out.WriteByte(',')
			}
			if err := enc.Encode(key); err != nil {
				return err
			}
			out.WriteByte(':')
			if err := writeOrdered(out, v[key], path+"."+key, rank); err != nil {
				return err
			}
		}
		out.WriteByte('}')
		return nil
	}
	return enc.Encode(v)
}
