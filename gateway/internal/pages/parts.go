package pages

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/guard"
	"movieexample.com/internal/rpc"
)

// part is something that a page can do without.
type part struct {
	name string
	load func(context.Context) error
}

// together loads parts side by side. What fails is logged and stays as it was; the answer has a sentence for each that
// failed, by the part's name.
func (p *Pages) together(outer context.Context, timeout time.Duration, parts ...part) (missing map[string]string) {
	ctx, cancel := context.WithTimeout(outer, timeout)
	defer cancel()
	var wait sync.WaitGroup
	errs := make([]error, len(parts))
	for i, one := range parts {
		wait.Go(func() {
			errs[i] = p.gates.through(outer, one.name, func() error {
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
		if !errors.As(err, new(*shut)) { // it was logged when it happened
			p.log.LogAttrs(outer, slog.LevelInfo, "page goes without a part",
				slog.String("part", parts[i].name), slog.Any("error", err), slog.String("request_id", rpc.RequestID(outer)))
		}
	}
	return missing
}

// reason is the text of a service's error for whoever reads the page.
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

// gatePause is how long a gate stays shut. A service that hangs costs each page its full wait; so long as a second holds,
// one page a second pays it, and the others know already.
const gatePause = time.Second

// gates remember of each kind of call that it failed a moment ago: because the service behind it is away or hangs, never
// because of what was asked for.
type gates struct {
	now func() time.Time

	mu   sync.Mutex
	last map[string]*shut // by name; the names are those in the code
}

// shut is the error of a call that was not made, because the one before it failed.
type shut struct {
	err   error
	until time.Time
}

// Error implements error.
func (s *shut) Error() string { return s.err.Error() }

// Unwrap returns the error of the call that failed.
func (s *shut) Unwrap() error { return s.err }

// through makes the call unless the gate of that name is shut; then it returns what shut it. While it is shut one caller
// each gatePause goes through to see. ctx is the request's: a client that leaves says nothing of a service.
func (g *gates) through(ctx context.Context, name string, call func() error) error {
	g.mu.Lock()
	now := g.now()
	if last := g.last[name]; last != nil {
		if now.Before(last.until) {
			g.mu.Unlock()
			return last
		}
		// This caller is the one who sees; the others keep away meanwhile.
		g.last[name] = &shut{err: last.err, until: now.Add(gatePause)}
	}
	g.mu.Unlock()

	err := call()
	kind := fault.KindOf(err)
	away := err != nil && (kind == fault.KindUnavailable || kind == fault.KindDeadline)
	if away && errors.Is(ctx.Err(), context.Canceled) {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if away {
		g.last[name] = &shut{err: err, until: g.now().Add(gatePause)}
	} else {
		delete(g.last, name)
	}
	return err
}
