// Package upstream is the gateway's connections to the services: their errors name the service, reads see the writes that went
// through this gateway, and conditions of HTTP become the etag of a request.
package upstream

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"movieexample.com/internal/fault"
)

// errorNaming is a connection whose errors name the service: when a call times out, the error says which service did not answer. It
// also records errors in the request's [Failures].
type errorNaming struct {
	grpc.ClientConnInterface
	name string
}

// Invoke implements grpc.ClientConnInterface.
func (n errorNaming) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := n.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if err == nil {
		return nil
	}
	err = n.late(err)
	if f, ok := ctx.Value(failuresKey{}).(*Failures); ok {
		f.add(err)
	}
	return err
}

// late adds the service's name to a deadline error that names none: gRPC's own, or that of a handler whose context ended. A message
// that a service wrote stays, because it names the failing service.
func (n errorNaming) late(err error) error {
	if fault.KindOf(err) != fault.KindDeadline {
		return err
	}
	said := fault.Status(err).Message()
	if said != (&fault.Error{Kind: fault.KindDeadline}).Message() && !strings.Contains(said, context.DeadlineExceeded.Error()) {
		return err
	}
	return fault.Deadline(err, "the %s service did not answer in time: try again later", n.name)
}

// Failures are the errors of the calls that one request made. Pages show errors in their own words; other clients,
// and the log, get the service's.
type Failures struct {
	mu   sync.Mutex
	errs []error
}

type failuresKey struct{}

// WithFailures returns a context whose calls record their errors in f.
func WithFailures(ctx context.Context, f *Failures) context.Context {
	return context.WithValue(ctx, failuresKey{}, f)
}

// maxFailures bounds the errors kept of one request. A page makes fewer calls; a sitemap may make many.
const maxFailures = 8

func (f *Failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) < maxFailures {
		f.errs = append(f.errs, err)
	}
}

// Of returns the first error that has the HTTP status, or nil.
func (f *Failures) Of(status int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, err := range f.errs {
		if fault.KindOf(err).HTTPStatus() == status {
			return err
		}
	}
	return nil
}
