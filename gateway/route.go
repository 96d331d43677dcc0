package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// route is one google.api.http rule.
type route struct {
	method   string
	pattern  string // in the client's spelling: "/v1/records/{recordType}/{recordId}/ratings"
	segments []segment
	// params are the query parameters, under each spelling that is taken: page_size and pageSize.
	params map[string]protoreflect.FieldDescriptor
	names  []string // of the params, in the contract's spelling and in order, and of what every route takes
	// body describes the JSON body; nil where there is none.
	body protoreflect.MessageDescriptor
	// bodyField is the field the body is ("movie"), "" where it is the whole request.
	bodyField string
	answer    *jsonPlan // of the body of its answers
	ofFilms   bool      // it is the movie service's
	changes   bool      // it writes
	handler   runtime.HandlerFunc
	metrics   *routeMetrics
}

// segment is one element of a path: a literal, or the value of a field.
type segment struct{ literal, field string }

// newRoute reads a method's rule.
func newRoute(rule *annotations.HttpRule, input protoreflect.MessageDescriptor) (*route, error) {
	r := &route{}
	switch p := rule.GetPattern().(type) {
	case *annotations.HttpRule_Get:
		r.method, r.pattern = http.MethodGet, p.Get
	case *annotations.HttpRule_Put:
		r.method, r.pattern = http.MethodPut, p.Put
	case *annotations.HttpRule_Post:
		r.method, r.pattern = http.MethodPost, p.Post
	case *annotations.HttpRule_Delete:
		r.method, r.pattern = http.MethodDelete, p.Delete
	case *annotations.HttpRule_Patch:
		r.method, r.pattern = http.MethodPatch, p.Patch
	default:
		return nil, fmt.Errorf("http rule of %s: no method that this router knows", input.FullName())
	}
	rest, ok := strings.CutPrefix(r.pattern, "/")
	if !ok {
		return nil, fmt.Errorf("http rule %s %s: the path must start with /", r.method, r.pattern)
	}
	for part := range strings.SplitSeq(rest, "/") {
		s := segment{literal: part}
		if name, ok := strings.CutPrefix(part, "{"); ok {
			name, ok = strings.CutSuffix(name, "}")
			if !ok || strings.ContainsAny(name, "=*{}") {
				return nil, fmt.Errorf("http rule %s %s: this router knows only {field} and literals", r.method, r.pattern)
			}
			s = segment{field: name}
		}
		r.segments = append(r.segments, s)
	}
	switch body := rule.GetBody(); body {
	case "":
		r.takeParams(input)
	case "*":
		r.body = input
		r.params = map[string]protoreflect.FieldDescriptor{}
	default:
		field := input.Fields().ByName(protoreflect.Name(body))
		if field == nil || field.Message() == nil {
			return nil, fmt.Errorf("http rule %s %s: body %q is no message field", r.method, r.pattern, body)
		}
		r.body, r.bodyField = field.Message(), body
		r.takeParams(input)
	}
	r.names = append(r.names, fieldsParam)
	r.pattern = ""
	for _, s := range r.segments {
		if r.pattern += "/" + s.literal; s.field != "" {
			r.pattern += "{" + r.fieldName(s.field) + "}"
		}
	}
	return r, nil
}

// takeParams makes every field that the path does not take a query parameter.
func (r *route) takeParams(input protoreflect.MessageDescriptor) {
	r.params = map[string]protoreflect.FieldDescriptor{}
	for i := range input.Fields().Len() {
		f := input.Fields().Get(i)
		if f.Message() != nil || slices.Contains(r.segments, segment{field: string(f.Name())}) {
			continue
		}
		r.params[string(f.Name())] = f
		r.params[f.JSONName()] = f
		r.names = append(r.names, string(f.Name()))
	}
}

// sample is a path that this route matches.
func (r *route) sample() string {
	var b strings.Builder
	for _, s := range r.segments {
		b.WriteByte('/')
		if s.field != "" {
			b.WriteByte('x')
		}
		b.WriteString(s.literal)
	}
	return b.String()
}

// maxSegments bounds the paths that are looked at; every route is shorter.
const maxSegments = 16

// router finds the route of a request.
type router struct{ routes []*route }

// find returns the route for a method and an escaped path, with the values of its fields decoded. Where the path is known
// but the method is not, allow lists the methods that are.
func (rt *router) find(method, path string) (r *route, values map[string]string, allow []string) {
	var raw [maxSegments]string
	parts, ok := split(path, &raw)
	if !ok {
		return nil, nil, nil
	}
	if strings.IndexByte(path, '%') >= 0 {
		for i, p := range parts {
			decoded, err := url.PathUnescape(p)
			if err != nil {
				return nil, nil, nil // net/http refuses such a request before us
			}
			parts[i] = decoded
		}
	}
	var best *route
	for _, candidate := range rt.routes {
		if !candidate.matches(parts) {
			continue
		}
		if candidate.method != method {
			allow = append(allow, candidate.method)
			continue
		}
		// A literal beats a field: "/v1/movies/top" would be the route of that name, if there were one.
		if best == nil || candidate.fields() < best.fields() {
			best = candidate
		}
	}
	if best == nil {
		return nil, nil, allow
	}
	return best, best.values(parts), nil
}

// split cuts an absolute path into its segments.
func split(path string, into *[maxSegments]string) ([]string, bool) {
	rest, ok := strings.CutPrefix(path, "/")
	if !ok {
		return nil, false
	}
	for n := range into {
		part, more, found := strings.Cut(rest, "/")
		into[n] = part
		if !found {
			return into[:n+1], true
		}
		rest = more
	}
	return nil, false
}

func (r *route) matches(parts []string) bool {
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

func (r *route) fields() int {
	n := 0
	for _, s := range r.segments {
		if s.field != "" {
			n++
		}
	}
	return n
}

func (r *route) values(parts []string) map[string]string {
	values := make(map[string]string, 3)
	for i, s := range r.segments {
		if s.field != "" {
			values[s.field] = parts[i]
		}
	}
	return values
}

// rates reports whether the route writes a rating of a film, whose id is then the record's.
func (r *route) rates(values map[string]string) bool {
	return r.changes && !r.ofFilms && values["record_type"] == "movie"
}

// fieldName turns the name of a field as the service knows it into the client's: a query parameter's stays as it is, another
// one's is without the field that the body is, and in camelCase as JSON is.
func (r *route) fieldName(name string) string {
	if root, _, _ := strings.Cut(name, "["); r.params[root] != nil {
		return name
	}
	if r.bodyField != "" {
		name = strings.TrimPrefix(name, r.bodyField+".")
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
