package transcode

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"
	"google.golang.org/protobuf/types/descriptorpb"
)

// Route is one google.api.http rule.
type Route struct {
	Name    string // of the gRPC method, such as "GetMovie"
	Method  string
	Pattern string // in the client's spelling: "/v1/records/{recordType}/{recordId}/ratings"
	Service protoreflect.FullName
	// ReadOnly is that the method has no side effects (idempotency_level).
	ReadOnly bool
	// Conditional is that a write can depend on a version, because its request has an etag. For the other writes that cannot be
	// promised: to read first and then write would miss a second writer in between.
	Conditional bool

	segments []segment
	fields   int // segments that are fields
	// params are the query parameters, under each spelling that is taken: page_size and pageSize.
	params map[string]protoreflect.FieldDescriptor
	names  []string // of the params, in the contract's spelling and in order, and of what every route takes
	// body describes the JSON body; nil where there is none.
	body protoreflect.MessageDescriptor
	// bodyField is the field that the body is ("movie"), nil where it is the whole request.
	bodyField protoreflect.FieldDescriptor

	rpc           string // full name of the method
	conn          grpc.ClientConnInterface
	input, output protoreflect.MessageType
	answerField   protoreflect.FieldDescriptor // response_body; nil where the answer is the whole message
	answer        *Plan
}

// segment is one element of a path: a literal, or the value of a field.
type segment struct {
	literal, field string
	path           []protoreflect.FieldDescriptor // of the field
}

// newRoute reads a method's rule.
func newRoute(m protoreflect.MethodDescriptor, rule *annotations.HttpRule, conn grpc.ClientConnInterface, plans plans) (*Route, error) {
	options, _ := m.Options().(*descriptorpb.MethodOptions)
	r := &Route{
		Name: string(m.Name()), Service: m.Parent().FullName(), ReadOnly: options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS,
		rpc: fmt.Sprintf("/%s/%s", m.Parent().FullName(), m.Name()), conn: conn,
	}
	path := ""
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.Method, path = http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		r.Method, path = http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		r.Method, path = http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		r.Method, path = http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		r.Method, path = http.MethodPatch, p.Patch
	default:
		return nil, errors.New("its HTTP method is not supported")
	}
	if r.Method == http.MethodGet && !r.ReadOnly {
		return nil, errors.New("a GET must have idempotency_level = NO_SIDE_EFFECTS")
	}
	if err := errors.Join(r.takePath(path, m.Input()), r.takeInput(rule.GetBody(), m.Input())); err != nil {
		return nil, err
	}
	for _, s := range r.segments {
		if r.Pattern += "/" + s.literal; s.field != "" {
			r.Pattern += "{" + r.FieldName(s.field) + "}"
		}
	}
	return r, r.takeAnswer(rule.GetResponseBody(), m, plans)
}

// takePath reads the rule's path.
func (r *Route) takePath(path string, input protoreflect.MessageDescriptor) error {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return fmt.Errorf("the path %s must start with /", path)
	}
	for part := range strings.SplitSeq(rest, "/") {
		s := segment{literal: part}
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name, ok = strings.CutSuffix(name, "}")
			if !ok || strings.ContainsAny(name, "=*{}") {
				return fmt.Errorf("the path %s must have only {field} and literals", path)
			}
			s = segment{field: name}
			of := input
			for name := range strings.SplitSeq(name, ".") {
				f := fieldOf(of, name)
				if f == nil {
					return fmt.Errorf("the path %s has the field %s, which %s has not", path, s.field, input.FullName())
				}
				s.path, of = append(s.path, f), f.Message()
			}
			if last := s.path[len(s.path)-1]; last.Kind() != protoreflect.StringKind || last.IsList() {
				return fmt.Errorf("the path %s has the field %s, which is not a string", path, s.field)
			}
			r.fields++
		}
		r.segments = append(r.segments, s)
	}
	return nil
}

// takeInput reads what is the body, and makes the rest query parameters.
func (r *Route) takeInput(body string, input protoreflect.MessageDescriptor) error {
	if body == "*" {
		r.body = input
	} else if body != "" {
		if r.bodyField = fieldOf(input, body); r.bodyField == nil || r.bodyField.Message() == nil {
			return fmt.Errorf("body %q is not a message field", body)
		}
		r.body = r.bodyField.Message()
	}
	r.params = map[string]protoreflect.FieldDescriptor{}
	for i := range input.Fields().Len() {
		f := input.Fields().Get(i)
		inPath := slices.ContainsFunc(r.segments, func(s segment) bool { return s.field == string(f.Name()) })
		if body == "*" || f.Message() != nil || inPath {
			continue
		}
		switch f.Kind() {
		case protoreflect.StringKind, protoreflect.Int32Kind, protoreflect.Int64Kind, protoreflect.BoolKind:
		default:
			return fmt.Errorf("%s: a query parameter of kind %s is not supported", f.FullName(), f.Kind())
		}
		r.params[string(f.Name())], r.params[f.JSONName()] = f, f
		r.names = append(r.names, string(f.Name()))
	}
	r.names = append(r.names, fieldsParam)
	r.Conditional = r.body != nil && r.body.Fields().ByName("etag") != nil || r.params["etag"] != nil
	return nil
}

// takeAnswer reads what is the answer.
func (r *Route) takeAnswer(body string, m protoreflect.MethodDescriptor, plans plans) (err error) {
	answer := m.Output()
	if body != "" {
		f := fieldOf(answer, body)
		if f == nil || f.Message() == nil || f.IsList() {
			return fmt.Errorf("response_body %q is not a message field", body)
		}
		r.answerField, answer = f, f.Message()
	}
	if r.input, err = protoregistry.GlobalTypes.FindMessageByName(m.Input().FullName()); err != nil {
		return err
	}
	if r.output, err = protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName()); err != nil {
		return err
	}
	r.answer, err = plans.of(answer)
	return err
}

func fieldOf(d protoreflect.MessageDescriptor, name string) protoreflect.FieldDescriptor {
	if d == nil {
		return nil
	}
	return d.Fields().ByName(protoreflect.Name(name))
}

func (r *Route) matches(parts []string) bool {
	if len(parts) != len(r.segments) {
		return false
	}
	for i, s := range r.segments {
		if s.field == "" && parts[i] != s.literal || s.field != "" && parts[i] == "" {
			return false
		}
	}
	return true
}

func (r *Route) values(parts []string) map[string]string {
	values := make(map[string]string, 3)
	for i, s := range r.segments {
		if s.field != "" {
			values[s.field] = parts[i]
		}
	}
	return values
}

// setPath puts the values of the path into the request. They go over what the body says.
func (r *Route) setPath(m protoreflect.Message, values map[string]string) {
	for _, s := range r.segments {
		if s.field == "" {
			continue
		}
		of := m
		for _, f := range s.path[:len(s.path)-1] {
			of = of.Mutable(f).Message()
		}
		of.Set(s.path[len(s.path)-1], protoreflect.ValueOfString(values[s.field]))
	}
}

// FullAnswer is the plan of the whole answer.
func (r *Route) FullAnswer() *Plan { return r.answer }

// FieldName turns the name of a field as the service knows it into the client's: a query parameter's stays as it is, another
// one's is without the field that the body is, and in camelCase as JSON is.
func (r *Route) FieldName(name string) string {
	if root, _, _ := strings.Cut(name, "["); r.params[root] != nil {
		return name
	}
	if r.bodyField != nil {
		name = strings.TrimPrefix(name, string(r.bodyField.Name())+".")
	}
	return camel(name)
}

// camel is protobuf's rule for JSON names, over a path of names.
func camel(name string) string {
	if !strings.Contains(name, "_") {
		return name
	}
	var b strings.Builder
	up := false
	for i := range len(name) {
		c := name[i]
		switch {
		case c == '_':
			up = true
			continue
		case up && c >= 'a' && c <= 'z':
			c -= 'a' - 'A'
		}
		up = false
		b.WriteByte(c)
	}
	return b.String()
}
