package gateway

import (
	"context"
	"errors"
	"slices"
	"strconv"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
)

// The metadata keys that go with a call to the movie service for films of which one was rated (readAfterKey), or written or deleted
// (filmReadAfterKey), a moment ago. Their values are times in microseconds since 1970-01-01 UTC, decimal numbers. They say: numbers of
// ratings of the films that the request names, or the films themselves, which were read before that time will not do. What was
// read later, or is read anew for this call, does.
//
// The time is that of this process's clock after the write was done. A service whose clock is behind reads anew more often than it
// needs to: for as long as it is behind, two seconds at most. One whose clock is ahead by some time may take for new what is as
// much too old, and answers it as it would without being told: so clocks should agree to a few milliseconds, as those of
// machines that are kept by NTP do. Nothing is ever shown later because of a key than it would be without.
//
// A service that does not know a key answers as always: a write then shows when what it keeps is over.
const (
	readAfterKey     = "x-read-after"
	filmReadAfterKey = "x-film-read-after"
)

// seeing is a connection to the movie service by which who rated or wrote a film sees it, whichever instance of the service answers.
// Every write of a film goes through it. Lists, charts and searches name no film: there a write shows when the movie service reads
// them again. Nor does a lookup by an external id, but a film that is looked up is always read anew.
type seeing struct {
	grpc.ClientConnInterface
	recent *recent
}

// Invoke implements grpc.ClientConnInterface.
func (s seeing) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	var d demand
	switch req := args.(type) {
	case *moviev1.GetMovieRequest:
		d = s.recent.last(req.GetId())
	case *moviev1.PutMovieRequest: // answers with the film as it was stored, and its ratings as they are read
		id := req.GetMovie().GetId()
		d.ratings = s.recent.last(id).ratings
		defer s.recent.written(id) // whatever comes of it: what failed may have been done
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

// What the etag of a write may be beside a version (movie.proto).
const (
	anyETag = "*"    // the film must exist
	noETag  = "none" // it must not
)

// conditional is a connection to the movie service on which writes keep the precondition in their context: it becomes the etag of
// the request, which the metadata service compares in the transaction that writes. Nothing is read here to decide it: what is read
// may be otherwise when the write comes.
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
	if p := preconditionOf(ctx); p != nil && w.etag != nil {
		return w.on(p)
	}
	return w.send()
}

// write is a write that can depend on a version.
type write struct {
	send  func() error
	etag  *string // of the request
	field string  // its name
}

// on does the write if the precondition is met. The request may have an etag of its own, which must not demand anything else.
func (w write) on(p *precondition) error {
	given := *w.etag
	switch {
	case p.absent && (given == "" || given == noETag):
		return w.with("If-None-Match", noETag)
	case p.absent:
		return fault.Invalid(w.field, "must be left out with If-None-Match: what does not exist has no version; got %s", quote(given))
	case p.exists && given == noETag:
		return fault.Invalid(w.field, "must not be %s with If-Match: the one wants that it does not exist, the other that it does", quote(given))
	case p.exists && given == "":
		return w.with("If-Match", anyETag)
	case given == "":
		return w.with("If-Match", p.versions...)
	case !p.exists && !slices.Contains(p.versions, given):
		return fault.Invalid(w.field, "must be one of those in If-Match or be left out, got %s", quote(given))
	}
	return w.with("If-Match", given)
}

// with sends the write with each etag in turn, until one is what the film has. The header is where they come from.
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

// notMet says of which header a conflict comes.
func notMet(header string, err error) error {
	var f *fault.Error
	if errors.As(fault.FromRPC(err), &f) && len(f.Fields) > 0 {
		return &unmet{header, f.Fields[0].Reason}
	}
	return &unmet{header, "it was changed meanwhile: read it again, then retry"}
}
