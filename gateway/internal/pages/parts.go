package pages

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/guard"
	"movieexample.com/internal/rpc"
)

// part is an optional part of a page.
type part struct {
	name string
	load func(context.Context) error
}

// together loads parts concurrently. Failures are logged; the result has a sentence for each part that failed, by its name.
func (p *Pages) together(outer context.Context, timeout time.Duration, parts ...part) (missing map[string]string) {
	ctx, cancel := context.WithTimeout(outer, timeout)
	defer cancel()
	var wait sync.WaitGroup
	errs := make([]error, len(parts))
	for i, one := range parts {
		wait.Go(func() {
			errs[i] = p.breakers.call(outer, one.name, func() error {
				_, err := guard.Catch(one.name, func() (struct{}, error) { return struct{}{}, one.load(ctx) })
				return err
			})
		})
	}
	wait.Wait()
	for i, err := range errs {
		if err == nil {
			continue
		}
		if missing == nil {
			missing = make(map[string]string)
		}
		missing[parts[i].name] = sentence(reason(err))
		if !errors.As(err, new(*openError)) { // it was logged when it happened
			p.log.LogAttrs(outer, slog.LevelInfo, "page goes without a part",
				slog.String("part", parts[i].name), slog.Any("error", err), slog.String("request_id", rpc.RequestID(outer)))
		}
	}
	return missing
}

// reason is the text of a service's error for a page.
func reason(err error) string {
	problem := fault.ToProblem(fault.Status(err))
	if problem.Detail == context.DeadlineExceeded.Error() {
		return "the answer did not come in time"
	}
	return problem.Detail
}

// keep stores a value behind the pointer unless there is an error, and passes the error on.
func keep[T any](to **T) func(T, error) error {
	return func(v T, err error) error {
		if err == nil {
			*to = &v
		}
		return err
	}
}

// openFor is how long a breaker stays open. A service that hangs costs each page its full wait; as long as a breaker is open, one
// page a second pays it.
const openFor = time.Second

// breakers are circuit breakers, one per kind of call. They open when the called service is down or hangs, regardless of
// the request.
type breakers struct {
	now func() time.Time

	mu     sync.Mutex
	byName map[string]*breaker // the names are those in the code
}

type breaker struct {
	*cache.Breaker
	last atomic.Pointer[openError]
}

// openError is the error of a call that was not made, because the one before it failed.
type openError struct{ err error }

// Error implements error.
func (e *openError) Error() string { return e.err.Error() }

// Unwrap returns the error of the call that failed.
func (e *openError) Unwrap() error { return e.err }

// call makes the call unless the breaker of that name is open; then it returns the error that opened it. ctx is the request's: a
// client that leaves says nothing of a service.
func (b *breakers) call(ctx context.Context, name string, call func() error) error {
	b.mu.Lock()
	one := b.byName[name]
	if one == nil {
		one = &breaker{Breaker: cache.NewBreaker(openFor, b.now)}
		b.byName[name] = one
	}
	b.mu.Unlock()
	if last := one.last.Load(); !one.Allow() && last != nil {
		return last
	}
	err := call()
	kind := fault.KindOf(err)
	switch away := err != nil && (kind == fault.KindUnavailable || kind == fault.KindDeadline); {
	case away && errors.Is(ctx.Err(), context.Canceled):
	case away:
		one.last.Store(&openError{err})
		one.Failed()
	default:
		one.Succeeded()
	}
	return err
}
