package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/genproto/googleapis/api/annotations"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// routesOf returns a route for every google.api.http rule of the services, with the generated code that serves it.
func routesOf(ctx context.Context, deps Deps) ([]*route, error) {
	files := []protoreflect.FileDescriptor{moviev1.File_movieexample_movie_v1_movie_proto, ratingv1.File_movieexample_rating_v1_rating_proto}
	codec, err := newJSON(answersOf(files))
	if err != nil {
		return nil, fmt.Errorf("plan how answers are written: %w", err)
	}
	mux := newTranslator()
	if err := moviev1.RegisterMovieServiceHandlerClient(ctx, mux, moviev1.NewMovieServiceClient(conditional{deps.Movie})); err != nil {
		return nil, fmt.Errorf("register the movie service's routes: %w", err)
	}
	if err := ratingv1.RegisterRatingServiceHandlerClient(ctx, mux, ratingv1.NewRatingServiceClient(deps.Rating)); err != nil {
		return nil, fmt.Errorf("register the rating service's routes: %w", err)
	}
	var routes []*route
	for _, m := range methodsOf(files) {
		rule, _ := proto.GetExtension(m.Options(), annotations.E_Http).(*annotations.HttpRule)
		if rule == nil {
			continue
		}
		r, err := newRoute(rule, m.Input())
		if err != nil {
			return nil, err
		}
		r.ofFilms = m.ParentFile() == moviev1.File_movieexample_movie_v1_movie_proto
		// BatchGet is a read that is a POST because its ids need a body (AIP-231).
		r.changes = r.method != http.MethodGet && !strings.HasPrefix(string(m.Name()), "BatchGet")
		answer := m.Output()
		if name := rule.GetResponseBody(); name != "" {
			field := answer.Fields().ByName(protoreflect.Name(name))
			if field == nil || field.Message() == nil || field.IsList() {
				return nil, fmt.Errorf("http rule %s %s: response_body %q is no message field", r.method, r.pattern, name)
			}
			answer = field.Message()
		}
		r.answer = codec.plans[answer.FullName()]
		if r.handler, err = handlerOf(mux, r); err != nil {
			return nil, err
		}
		routes = append(routes, r)
	}
	return routes, nil
}

func methodsOf(files []protoreflect.FileDescriptor) []protoreflect.MethodDescriptor {
	var methods []protoreflect.MethodDescriptor
	for _, file := range files {
		for i := range file.Services().Len() {
			of := file.Services().Get(i).Methods()
			for j := range of.Len() {
				methods = append(methods, of.Get(j))
			}
		}
	}
	return methods
}

func answersOf(files []protoreflect.FileDescriptor) []protoreflect.MessageDescriptor {
	var answers []protoreflect.MessageDescriptor
	for _, m := range methodsOf(files) {
		answers = append(answers, m.Output())
	}
	return answers
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

// newTranslator returns the mux that the generated code registers itself at. Requests do not go through it, see handlerOf;
// the generated code takes its options from it. What it forwards ends in a *capture: the error handler and the forward option
// put the error or the message there, and nothing is marshalled.
func newTranslator() *runtime.ServeMux {
	none := func(string) (string, bool) { return "", false }
	return runtime.NewServeMux(
		runtime.WithMarshalerOption(runtime.MIMEWildcard, &unmarshaler{}),
		runtime.WithErrorHandler(func(_ context.Context, _ *runtime.ServeMux, _ runtime.Marshaler, w http.ResponseWriter, _ *http.Request, err error) {
			w.(*capture).err = err
		}),
		runtime.WithForwardResponseOption(func(_ context.Context, w http.ResponseWriter, m proto.Message) error {
			w.(*capture).message = m
			return nil
		}),
		runtime.WithIncomingHeaderMatcher(none), // the request id travels in the context
		runtime.WithOutgoingHeaderMatcher(none),
		runtime.WithOutgoingTrailerMatcher(none),
		runtime.WithDisableHTTPMethodOverride(),
		runtime.WithDisablePathLengthFallback(),
		runtime.WithMiddlewares(handOver),
	)
}

// unmarshaler reads bodies as protobuf's JSON mapping, and leaves writing to the plans.
type unmarshaler struct{ runtime.JSONPb }

// Marshal implements runtime.Marshaler.
func (*unmarshaler) Marshal(any) ([]byte, error) { return nil, nil }

// handOverKey is the context key of a *runtime.HandlerFunc that handOver fills.
type handOverKey struct{}

// handOver gives the handler to whoever asks for it instead of running it.
func handOver(next runtime.HandlerFunc) runtime.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request, params map[string]string) {
		if into, ok := r.Context().Value(handOverKey{}).(*runtime.HandlerFunc); ok {
			*into = next
			return
		}
		next(w, r, params)
	}
}

// handlerOf asks the mux, once at start, which generated handler serves the route. The mux itself cannot be used for requests:
// it finds routes one by one with regular expressions, and whatever its decoding mode, an id with a slash in it (%2F) either does
// not match or arrives encoded.
func handlerOf(mux *runtime.ServeMux, r *route) (runtime.HandlerFunc, error) {
	var found runtime.HandlerFunc
	req, err := http.NewRequestWithContext(context.WithValue(context.Background(), handOverKey{}, &found), r.method, r.sample(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("route %s %s: %w", r.method, r.pattern, err)
	}
	mux.ServeHTTP(nobody{}, req)
	if found == nil {
		return nil, fmt.Errorf("route %s %s: the generated code does not serve it: generate it again", r.method, r.pattern)
	}
	return found, nil
}

// nobody is an answer that nobody reads.
type nobody struct{}

func (nobody) Header() http.Header         { return http.Header{} }
func (nobody) Write(p []byte) (int, error) { return len(p), nil }
func (nobody) WriteHeader(int)             {}
