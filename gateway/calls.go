package gateway

import (
	"context"
	"strings"
	"sync"

	"google.golang.org/grpc"

	"movieexample.com/internal/fault"
)

// named is a connection to a service whose errors are told apart by who reads them: where the time of a call is over, the error says
// whose answer did not come, and a request that wants to know later what went wrong with its calls (failures) is told.
type named struct {
	grpc.ClientConnInterface
	name string
}

// Invoke implements grpc.ClientConnInterface.
func (n named) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	err := n.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
	if err == nil {
		return nil
	}
	err = n.late(err)
	if f, ok := ctx.Value(failuresKey{}).(*failures); ok {
		f.add(err)
	}
	return err
}

// late puts the service's name to an error of time that names nobody: gRPC's own, or that of a handler which saw its context end. What
// a service says in words of its own stays, because that names the one behind it.
func (n named) late(err error) error {
	if fault.KindOf(err) != fault.KindDeadline {
		return err
	}
	said := fault.Status(err).Message()
	if said != (&fault.Error{Kind: fault.KindDeadline}).Message() && !strings.Contains(said, context.DeadlineExceeded.Error()) {
		return err
	}
	return fault.Deadline(err, "the %s service did not answer in time: try again later", n.name)
}

// failures are the errors of the calls that were made for one request. Pages show errors in their own words; whoever asked without
// being a browser, and the log, get those of the service.
type failures struct {
	mu   sync.Mutex
	errs []error
}

// failuresKey is the context key of a request's *failures.
type failuresKey struct{}

// maxFailures bounds what is remembered of one request. A page makes fewer calls; a sitemap may make many.
const maxFailures = 8

func (f *failures) add(err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.errs) < maxFailures {
		f.errs = append(f.errs, err)
	}
}

// of returns the first error that is one of an HTTP status; nil where there is none.
func (f *failures) of(status int) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, err := range f.errs {
		if fault.KindOf(err).HTTPStatus() == status {
			return err
		}
	}
	return nil
}
