package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"unicode/utf8"

	"google.golang.org/protobuf/reflect/protoreflect"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/syntax"
)

// bodyProblem is what is wrong with a body: fields, or a text where it is no JSON at all.
type bodyProblem struct {
	text   string
	fields []fault.Field
}

// readBody complains about everything in the body that the route's message does not take, or returns what it says as JSON that
// protojson takes.
func readBody(r *route, body []byte, path map[string]string) ([]byte, *bodyProblem) {
	fixed := make(map[string]string, len(path)) // the fields that the path has set, in the client's spelling
	for name, v := range path {
		fixed[r.fieldName(name)] = v
	}
	d := syntax.Decoder{
		Message: r.body,
		Unknown: func(prefix, _ string, of protoreflect.MessageDescriptor) string {
			return "is not known here; " + allowed(useful(fixed, prefix, of))
		},
		Also: func(field string, v syntax.Value) string {
			if want, ok := fixed[field]; ok && v.Text != want {
				return fmt.Sprintf("must be %s as in the path, or left out, got %s", quote(want), v.Describe())
			}
			return ""
		},
	}
	read, complaints, err := d.Decode(string(body))
	var whole *syntax.Error
	switch {
	case errors.As(err, &whole) && whole.Problem == syntax.Empty:
		return nil, &bodyProblem{text: fmt.Sprintf("%s %s needs a JSON object as its body, got an empty one", r.method, r.pattern)}
	case errors.As(err, &whole) && whole.Problem == syntax.NotJSON:
		return nil, &bodyProblem{text: "the body " + whole.Error() + ", in " + place(body[:whole.Offset])}
	case err != nil:
		return nil, &bodyProblem{text: "the body " + err.Error()}
	}
	var fields []fault.Field
	for _, c := range complaints[:min(len(complaints), maxComplaints)] {
		fields = append(fields, fault.Field{Name: shorten(c.Field), Reason: c.Reason})
	}
	if len(fields) > 0 {
		return nil, &bodyProblem{fields: fields}
	}
	return read, nil
}

// place names the position behind before.
func place(before []byte) string {
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("line %d, column %d", line, column)
}

// useful lists the fields that a client has a reason to send. Those that the path sets or that only answers have are taken too,
// so that what was read can be sent back, but nobody needs to be told of them.
func useful(fixed map[string]string, prefix string, d protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if _, set := fixed[prefix+f.JSONName()]; !set && !outputOnly(f) {
			names = append(names, f.JSONName())
		}
	}
	return names
}
