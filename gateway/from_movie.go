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

// conditional is a connection to the movie service on which writes keep the precondition in their context: it becomes the etag of
// the request, which the metadata service compares in the transaction that writes.
type conditional struct{ grpc.ClientConnInterface }

// Invoke implements grpc.ClientConnInterface.
func (c conditional) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	w := write{conn: c.ClientConnInterface}
	switch req := args.(type) {
	case *moviev1.PutMovieRequest:
		if req.GetMovie() == nil {
			break
		}
		w.id, w.etag, w.field = req.GetMovie().GetId(), &req.Movie.Etag, "movie.etag"
	case *moviev1.DeleteMovieRequest:
		w.id, w.etag, w.field = req.GetId(), &req.Etag, "etag"
	}
	send := func() error { return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...) }
	if w.etag == nil {
		return send()
	}
	if p := preconditionOf(ctx); p != nil {
		return w.on(ctx, p, send)
	}
	return send()
}

// write is a write that depends on a version.
type write struct {
	conn  grpc.ClientConnInterface
	id    string
	etag  *string // of the request
	field string  // its name
}

// tries bounds how often a write that wants any version is sent again because the film changed since it was looked at.
const tries = 4

func (w write) on(ctx context.Context, p *precondition, send func() error) error {
	given := *w.etag
	switch {
	case p.absent:
		return w.create(ctx, given, send)
	case p.exists && given == "":
		return w.replaceAny(ctx, send)
	case p.exists:
		return w.replace([]string{given}, send)
	case given != "" && !slices.Contains(p.versions, given):
		return fault.Invalid(w.field, "must be one of those in If-Match or be left out, got %s", quote(given))
	case given != "":
		return w.replace([]string{given}, send)
	}
	return w.replace(p.versions, send)
}

// replace sends the write with each version in turn, until it is that of the film.
func (w write) replace(versions []string, send func() error) error {
	var err error
	for _, version := range versions {
		*w.etag = version
		if err = send(); !conflicts(err) {
			return err
		}
	}
	return notMet("If-Match", err)
}

// replaceAny sends the write with the version that the film has. One that is changed at the same moment is looked at again.
func (w write) replaceAny(ctx context.Context, send func() error) error {
	var err error
	for range tries {
		film, missing, readErr := w.read(ctx)
		switch {
		case readErr != nil:
			return readErr
		case missing && w.field == "etag":
			return send() // nothing to delete: the service says so (RFC 9110 §13.2.1)
		case missing:
			return &unmet{"If-Match", "there is no movie " + quote(w.id) + ": leave the header out to create it"}
		case film.GetEtag() == "":
			return send()
		}
		*w.etag = film.GetEtag()
		if err = send(); !conflicts(err) {
			return err
		}
	}
	return err
}

// create sends the write if there is no such film. The contract has no write that only creates, so two clients that create the
// same film at the same moment may both succeed, the later one replacing what the other wrote.
func (w write) create(ctx context.Context, given string, send func() error) error {
	if given != "" {
		return fault.Invalid(w.field, "must be left out with If-None-Match: what does not exist has no version; got %s", quote(given))
	}
	film, missing, err := w.read(ctx)
	switch {
	case err != nil:
		return err
	case !missing:
		return &unmet{"If-None-Match", "the movie " + quote(w.id) + " exists, its etag is " + quote(film.GetEtag()) + ": leave the header out to replace it"}
	}
	return send()
}

// read looks at the film.
func (w write) read(ctx context.Context) (film *moviev1.Movie, missing bool, err error) {
	got, err := moviev1.NewMovieServiceClient(w.conn).GetMovie(ctx, &moviev1.GetMovieRequest{Id: w.id})
	switch {
	case err == nil:
		return got.GetMovie(), false, nil
	case fault.KindOf(err) == fault.KindNotFound:
		return nil, true, nil
	}
	return nil, false, err
}

func conflicts(err error) bool { return err != nil && fault.KindOf(err) == fault.KindConflict }

// notMet says of which header a conflict comes.
func notMet(header string, err error) error {
	var f *fault.Error
	if errors.As(fault.FromRPC(err), &f) && len(f.Fields) > 0 {
		return &unmet{header, f.Fields[0].Reason}
	}
	return &unmet{header, "it was changed meanwhile: read it again, then retry"}
}
