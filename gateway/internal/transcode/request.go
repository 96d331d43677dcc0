package transcode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"

	"movieexample.com/gateway/internal/problem"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/syntax"
)

// MaxBody is the size of the largest request body, in bytes.
const MaxBody = 64 << 10

// maxComplaints bounds how many mistakes one answer names.
const maxComplaints = 16

// noQuery is the query of most requests.
var noQuery = url.Values{}

// CheckPath refuses values that protobuf cannot carry. Its service decides which ids are valid.
func (r *Route) CheckPath(values map[string]string) error {
	var fields []fault.Field
	for name, v := range values {
		if !utf8.ValidString(v) {
			fields = append(fields, fault.Field{Name: r.FieldName(name), Reason: "must be valid UTF-8, got " + problem.Quote(v)})
		}
	}
	return invalid(fields)
}

// invalid returns the error that says what is wrong with fields, in the order of their names; nil for none.
func invalid(fields []fault.Field) error {
	if len(fields) == 0 {
		return nil
	}
	slices.SortFunc(fields, func(a, b fault.Field) int { return strings.Compare(a.Name, b.Name) })
	return problem.Invalid(fields...)
}

// readQuery puts the query parameters into m. It refuses a query that is not exactly what the route takes. A parameter without a
// value is ignored: HTML forms send such for a field that was left empty.
func (r *Route) readQuery(raw string, m protoreflect.Message) (*Plan, url.Values, error) {
	if raw == "" {
		return r.answer, noQuery, nil
	}
	query, err := url.ParseQuery(raw)
	if err != nil {
		return nil, nil, problem.InvalidText(`the query string cannot be read (%v): separate parameters by "&" and write other characters as %%XX`, err)
	}
	given := make(map[protoreflect.FieldDescriptor]bool, len(query))
	var wrong []fault.Field
	complain := func(name, reason string) {
		if len(wrong) < maxComplaints {
			wrong = append(wrong, fault.Field{Name: name, Reason: reason})
		}
	}
	for name, values := range query {
		f := r.params[name]
		switch {
		case name == fieldsParam:
			if len(values) > 1 {
				complain(name, "must be given once: separate paths by commas")
			}
			continue
		case f == nil:
			complain(problem.Shorten(name), "is not a parameter of "+r.Method+" "+r.Pattern+"; "+problem.Allowed(r.names))
			continue
		case f.IsList():
		case len(values) > 1 || given[f]:
			complain(string(f.Name()), "must be given once")
			continue
		}
		given[f] = true
		for _, text := range values {
			if text == "" && !f.IsList() {
				delete(query, name)
				continue
			}
			v, reason := scalar(f.Kind(), text)
			if reason != "" {
				complain(string(f.Name()), reason)
				break
			}
			if f.IsList() {
				m.Mutable(f).List().Append(v)
			} else {
				m.Set(f, v)
			}
		}
	}
	answer := r.answer
	if paths := query[fieldsParam]; len(paths) == 1 {
		if paths[0] == "" {
			delete(query, fieldsParam)
		} else {
			var bad []fault.Field
			answer, bad = r.answer.masked(paths[0])
			wrong = append(wrong, bad...)
		}
	}
	return answer, query, invalid(wrong)
}

// scalar reads the text of a value of kind, or says what is wrong with it. takeInput knows the same kinds.
func scalar(kind protoreflect.Kind, text string) (v protoreflect.Value, reason string) {
	if !utf8.ValidString(text) {
		return v, "must be valid UTF-8, got " + problem.Quote(text)
	}
	switch kind {
	case protoreflect.Int32Kind:
		n, err := strconv.ParseInt(text, 10, 32)
		if err != nil {
			reason = "must be a whole number of at most 32 bits, got " + problem.Quote(text)
		}
		return protoreflect.ValueOfInt32(int32(n)), reason
	case protoreflect.Int64Kind:
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			reason = "must be a whole number of at most 64 bits, got " + problem.Quote(text)
		}
		return protoreflect.ValueOfInt64(n), reason
	case protoreflect.BoolKind:
		if text != "true" && text != "false" {
			reason = "must be true or false, got " + problem.Quote(text)
		}
		return protoreflect.ValueOfBool(text == "true"), reason
	}
	return protoreflect.ValueOfString(text), ""
}

// readBody puts the body into m, where the route has one.
func (r *Route) readBody(w http.ResponseWriter, req *http.Request, values map[string]string, m protoreflect.Message) error {
	if r.body == nil {
		if req.ContentLength != 0 {
			return problem.InvalidText("%s %s takes no body", r.Method, r.Pattern)
		}
		return nil
	}
	if given := req.Header.Get("Content-Type"); !isJSON(given) {
		return problem.UnsupportedMediaType.Error("the body must be JSON in UTF-8: send Content-Type application/json, got %s", problem.Quote(given))
	}
	if given := strings.Join(req.Header["Content-Encoding"], ", "); given != "" && !strings.EqualFold(given, "identity") {
		err := problem.UnsupportedMediaType.Error("the body must not be encoded: send it without Content-Encoding, got %s", problem.Quote(given))
		err.HeaderName, err.HeaderValue = "Accept-Encoding", "identity" // of bodies: what there is (RFC 9110 §15.5.16)
		return err
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, MaxBody))
	if err != nil {
		return notRead(err)
	}
	clean, err := r.checkBody(body, values)
	if err != nil {
		return err
	}
	if r.bodyField != nil {
		m = m.Mutable(r.bodyField).Message()
	}
	if err := protojson.Unmarshal(clean, m.Interface()); err != nil {
		return problem.InvalidText("the body cannot be read: %v", err) // checkBody has refused every body that protojson would
	}
	return nil
}

// isJSON reports whether a Content-Type says JSON in UTF-8, or nothing.
func isJSON(given string) bool {
	if given == "" {
		return true
	}
	kind, params, err := mime.ParseMediaType(given)
	if err != nil || kind != "application/json" {
		return false
	}
	charset, ok := params["charset"]
	return !ok || strings.EqualFold(charset, "utf-8")
}

// notRead says why a body did not arrive.
func notRead(err error) error {
	var large *http.MaxBytesError
	var network net.Error
	switch {
	case errors.As(err, &large):
		return problem.BodyTooLarge.Error("the body must be at most %d bytes (64 KiB)", MaxBody)
	case errors.As(err, &network) && network.Timeout():
		err := problem.RequestTimeout.Error("the body did not arrive in time: send the request again")
		err.HeaderName, err.HeaderValue = "Connection", "close" // the rest of the body is not a request
		return err
	}
	return problem.InvalidText("the body could not be read to its end")
}

// checkBody refuses everything in the body that the route's message does not take, and returns the body in the spelling of
// protojson.
func (r *Route) checkBody(body []byte, path map[string]string) ([]byte, error) {
	fixed := make(map[string]string, len(path)) // the fields that the path has set, in the client's spelling
	for name, v := range path {
		fixed[r.FieldName(name)] = v
	}
	d := syntax.Decoder{
		Message: r.body,
		Unknown: func(prefix, _ string, of protoreflect.MessageDescriptor) string {
			return "is not known here; " + problem.Allowed(inputs(fixed, prefix, of))
		},
		Also: func(field string, v syntax.Value) string {
			if want, ok := fixed[field]; ok && v.Text != want {
				return fmt.Sprintf("must be %s as in the path, or left out, got %s", problem.Quote(want), v.Describe())
			}
			return ""
		},
	}
	clean, complaints, err := d.Decode(string(body))
	var whole *syntax.Error
	switch {
	case errors.As(err, &whole) && whole.Problem == syntax.Empty:
		return nil, problem.InvalidText("%s %s needs a JSON object as its body, got an empty one", r.Method, r.Pattern)
	case errors.As(err, &whole) && whole.Problem == syntax.NotJSON:
		return nil, problem.InvalidText("the body %v, in %s", whole, place(body[:whole.Offset]))
	case err != nil:
		return nil, problem.InvalidText("the body %v", err)
	case len(complaints) == 0:
		return clean, nil
	}
	var fields []fault.Field
	for _, c := range complaints[:min(len(complaints), maxComplaints)] {
		fields = append(fields, fault.Field{Name: problem.Shorten(c.Field), Reason: c.Reason})
	}
	return nil, problem.Invalid(fields...)
}

// place names the position behind before.
func place(before []byte) string {
	line := 1 + bytes.Count(before, []byte("\n"))
	column := 1 + utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])
	return fmt.Sprintf("line %d, column %d", line, column)
}

// inputs lists the fields that a client has a reason to send. Those that the path sets or that only answers have are accepted too,
// so that an answer can be sent back.
func inputs(fixed map[string]string, prefix string, d protoreflect.MessageDescriptor) []string {
	var names []string
	for i := range d.Fields().Len() {
		f := d.Fields().Get(i)
		if _, set := fixed[prefix+f.JSONName()]; !set && !outputOnly(f) {
			names = append(names, f.JSONName())
		}
	}
	return names
}

// outputOnly reports whether a service ignores the field on input. The contract says so in comments, which no descriptor has.
func outputOnly(f protoreflect.FieldDescriptor) bool {
	switch f.FullName() {
	case "movieexample.movie.v1.Movie.rating_summary", "movieexample.movie.v1.Movie.rating_status",
		"movieexample.movie.v1.Movie.metadata_status":
		return true
	}
	return false
}
