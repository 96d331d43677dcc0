// Package transcode turns REST requests into gRPC calls and the answers into JSON.
//
// Which routes there are, what they take and what they answer is read from the descriptors of the services (google.api.http and
// idempotency_level) at start. There is no generated code: a method that gets a rule in its proto has a route, checked as
// strictly as the others. See docs/adr/028.
package transcode

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"strings"

	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
)

// Service is a gRPC service and the connection to it.
type Service struct {
	Descriptor protoreflect.ServiceDescriptor
	Conn       grpc.ClientConnInterface
}

// Transcoder has a route for every google.api.http rule of its services. It is safe for concurrent use.
type Transcoder struct{ routes []*Route }

// New reads the rules.
func New(services ...Service) (*Transcoder, error) {
	t, plans := &Transcoder{}, plans{}
	for _, s := range services {
		for i := range s.Descriptor.Methods().Len() {
			m := s.Descriptor.Methods().Get(i)
			rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
			if rule == nil {
				continue
			}
			r, err := newRoute(m, rule, s.Conn, plans)
			if err != nil {
				return nil, fmt.Errorf("http rule of %s: %w", m.FullName(), err)
			}
			t.routes = append(t.routes, r)
		}
	}
	return t, nil
}

// Routes returns all routes.
func (t *Transcoder) Routes() []*Route { return t.routes }

// maxSegments bounds the paths that are looked at; every route is shorter.
const maxSegments = 16

// Find returns the route for a method and an escaped path, with the values of the path's fields decoded. If the path is known but
// not for this method, allow lists the methods it has.
//
// A path is decoded segment by segment, so an id with a slash in it (%2F) is one segment.
func (t *Transcoder) Find(method, path string) (r *Route, values map[string]string, allow []string) {
	var raw [maxSegments]string
	parts, ok := split(path, &raw)
	if !ok {
		return nil, nil, nil
	}
	if strings.IndexByte(path, '%') >= 0 {
		for i, p := range parts {
			decoded, err := url.PathUnescape(p)
			if err != nil {
				return nil, nil, nil // net/http refuses such a request before
			}
			parts[i] = decoded
		}
	}
	var best *Route
	for _, candidate := range t.routes {
		if !candidate.matches(parts) {
			continue
		}
		if candidate.Method != method {
			allow = append(allow, candidate.Method)
			continue
		}
		// A literal beats a field: "/v1/movies/top" would be the route of that name, if there were one.
		if best == nil || candidate.fields < best.fields {
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

// Request is a request that was read.
type Request struct {
	Message proto.Message
	Answer  *Plan      // how to write the answer: all of it, or the part that fields= asks for
	Query   url.Values // for references to this request: without empty parameters
}

// Read reads a request for the route; values are those of its path. An error is a *[problem.Error]. w is the connection's writer;
// if the body is too large, the connection is closed through it.
func (r *Route) Read(w http.ResponseWriter, req *http.Request, values map[string]string) (*Request, error) {
	m := r.input.New()
	answer, query, err := r.readQuery(req.URL.RawQuery, m)
	if err != nil {
		return nil, err
	}
	if err := r.readBody(w, req, values, m); err != nil {
		return nil, err
	}
	r.setPath(m, values)
	return &Request{Message: m.Interface(), Answer: answer, Query: query}, nil
}

// Call makes the call, and returns the message that is the body of the answer.
func (r *Route) Call(ctx context.Context, m proto.Message) (proto.Message, error) {
	reply := r.output.New()
	if err := r.conn.Invoke(ctx, r.rpc, m, reply.Interface()); err != nil {
		return nil, err
	}
	if r.answerField != nil {
		return reply.Get(r.answerField).Message().Interface(), nil
	}
	return reply.Interface(), nil
}
