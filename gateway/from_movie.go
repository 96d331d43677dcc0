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

// readAfterKey is the metadata key that goes with a call to the movie service for films of which one was rated a moment ago. Its
// value is a time in microseconds since 1970-01-01 UTC, a decimal number. It says: numbers of ratings of the films that the request
// names which were read before that time will not do. What was read later, or is read anew for this call, does.
//
// The time is that of this process's clock after the write was done. A service whose clock is behind asks the rating service once
// or twice more than it needs to. One whose clock is ahead by some time may take for new what is as much too old: so clocks
// should agree to a few milliseconds, as those of machines that are kept by NTP do.
//
// A service that does not know the key answers as always: a rating then shows when what it keeps is over.
const readAfterKey = "x-read-after"

// seeing is a connection to the movie service by which who rated a film sees it. Lists, charts and searches name no film: there a
// rating shows when the movie service reads them again.
type seeing struct {
	grpc.ClientConnInterface
	recent *recent
}

// Invoke implements grpc.ClientConnInterface.
func (s seeing) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	var last int64
	switch req := args.(type) {
	case *moviev1.GetMovieRequest:
		last = s.recent.last(req.GetId())
	case *moviev1.PutMovieRequest: // answers with the film as it is read
		last = s.recent.last(req.GetMovie().GetId())
	case *moviev1.ListSimilarMoviesRequest:
		last = s.recent.last(req.GetId())
	case *moviev1.BatchGetMoviesRequest:
		last = s.recent.last(req.GetIds()...)
	}
	if last > 0 {
		ctx = metadata.AppendToOutgoingContext(ctx, readAfterKey, strconv.FormatInt(last, 10))
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
