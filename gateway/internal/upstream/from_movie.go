package upstream

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/reflect/protoreflect"

	"movieexample.com/gateway/internal/problem"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
)

// Metadata keys of calls to the movie service for films that were rated (readAfterKey), or written or deleted (filmReadAfterKey), a
// moment ago. The values are times in microseconds since 1970-01-01 UTC, as decimal numbers: ratings or films that the service read
// before that time must be read again for this call.
//
// The time is that of this process's clock after the write. A service whose clock is behind reads again more often than necessary,
// for at most two seconds. A service whose clock is ahead by some time may take for new what is too old by as much, so clocks should
// agree to a few milliseconds, as NTP keeps them. No write ever shows later because of a key.
//
// A service that does not know a key ignores it: a write then shows when its caches expire.
const (
	readAfterKey     = "x-read-after"
	filmReadAfterKey = "x-film-read-after"
)

// Movie returns the connection to the movie service. Through it a client that rated or wrote a film sees that in the next call that
// names the film, whichever instance of the service answers. Lists, charts and searches name no film: they show a write when the
// movie service reads them again. A film that is looked up by an external id is always read again.
func Movie(conn grpc.ClientConnInterface, recent *RecentWrites) grpc.ClientConnInterface {
	return conditional{readYourWrites{errorNaming{conn, "movie"}, recent}}
}

// MovieService describes the movie service.
func MovieService() protoreflect.ServiceDescriptor {
	return moviev1.File_movieexample_movie_v1_movie_proto.Services().ByName("MovieService")
}

type readYourWrites struct {
	grpc.ClientConnInterface
	recent *RecentWrites
}

// Invoke implements grpc.ClientConnInterface.
func (s readYourWrites) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	var d lastWrites
	switch req := args.(type) {
	case *moviev1.GetMovieRequest:
		d = s.recent.last(req.GetId())
	case *moviev1.PutMovieRequest: // answers with the film as it was stored, and its ratings as they are read
		id := req.GetMovie().GetId()
		d.ratings = s.recent.last(id).ratings
		defer s.recent.written(id) // failed or not: a write that failed may have been done
	case *moviev1.DeleteMovieRequest:
		defer s.recent.written(req.GetId())
	case *moviev1.ListSimilarMoviesRequest: // answers with other films, from an index that has the film when it has it
		d.ratings = s.recent.last(req.GetId()).ratings
	case *moviev1.BatchGetMoviesRequest:
		d = s.recent.last(req.GetIds()...)
	}
	if d.ratings > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, readAfterKey, strconv.FormatInt(d.ratings, 10))
	}
	if d.films > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, filmReadAfterKey, strconv.FormatInt(d.films, 10))
	}
	return s.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// What the etag of a write may be instead of a version (movie.proto).
const (
	AnyETag = "*"    // the film must exist
	NoETag  = "none" // it must not
)

// Precondition is what the headers of a write demand of the film that it replaces.
type Precondition struct {
	Absent   bool     // If-None-Match: *
	Exists   bool     // If-Match: *
	Versions []string // If-Match with tags: one of these
}

type preconditionKey struct{}

// WithPrecondition returns a context in which a write depends on p.
func WithPrecondition(ctx context.Context, p *Precondition) context.Context {
	return context.WithValue(ctx, preconditionKey{}, p)
}

// conditional is a connection whose writes keep the precondition in their context: it becomes the etag of the request, which the
// metadata service compares in the transaction that writes. To read the film here and compare would leave a gap in which another
// client writes.
type conditional struct{ grpc.ClientConnInterface }

// Invoke implements grpc.ClientConnInterface.
func (c conditional) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	w := write{send: func() error { return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...) }}
	switch req := args.(type) {
	case *moviev1.PutMovieRequest:
		if req.GetMovie() == nil {
			break
		}
		w.etag, w.field = &req.Movie.Etag, "movie.etag"
	case *moviev1.DeleteMovieRequest:
		w.etag, w.field = &req.Etag, "etag"
	}
	if p, _ := ctx.Value(preconditionKey{}).(*Precondition); p != nil && w.etag != nil {
		return w.on(p)
	}
	return w.send()
}

// write is a call that can depend on a version.
type write struct {
	send  func() error
	etag  *string // of the request
	field string  // its name
}

// on does the write if the precondition is met. An etag in the request itself must not contradict it.
func (w write) on(p *Precondition) error {
	given := *w.etag
	switch {
	case p.Absent && (given == "" || given == NoETag):
		return w.with("If-None-Match", NoETag)
	case p.Absent:
		return fault.Invalid(w.field, "must be left out with If-None-Match: what does not exist has no version; got %s", problem.Quote(given))
	case p.Exists && given == NoETag:
		return fault.Invalid(w.field, "must not be %s with If-Match: the one wants that it does not exist, the other that it does", problem.Quote(given))
	case p.Exists && given == "":
		return w.with("If-Match", AnyETag)
	case given == "":
		return w.with("If-Match", p.Versions...)
	case !p.Exists && !slices.Contains(p.Versions, given):
		return fault.Invalid(w.field, "must be one of those in If-Match or be left out, got %s", problem.Quote(given))
	}
	return w.with("If-Match", given)
}

// with sends the write with each etag in turn until one matches. The header is where they come from.
func (w write) with(header string, etags ...string) error {
	var err error
	for _, etag := range etags {
		*w.etag = etag
		if err = w.send(); err == nil || fault.KindOf(err) != fault.KindConflict {
			return err
		}
	}
	return notMet(header, err)
}

// NotMet is a write that was not done because its precondition is not met.
type NotMet struct{ Header, Reason string }

// Error implements error.
func (e *NotMet) Error() string { return e.Header + ": " + e.Reason }

// notMet says which header a conflict comes from.
func notMet(header string, err error) error {
	var f *fault.Error
	if errors.As(fault.FromRPC(err), &f) && len(f.Fields) > 0 {
		return &NotMet{header, f.Fields[0].Reason}
	}
	return &NotMet{header, "it was changed meanwhile: read it again, then retry"}
}
