package cache

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Group is the caches of a service: it runs their loads and lists their declarations.
type Group struct {
	clock   func() time.Time // nil: the real one
	metrics prometheus.Registerer
	ctx     context.Context
	stop    context.CancelFunc

	mu     sync.Mutex
	closed bool
	specs  []Spec
	closer []func()
	work   sync.WaitGroup
}

// NewGroup returns an empty group. metrics may be nil; now is the clock of the caches, nil for the real one.
func NewGroup(metrics prometheus.Registerer, now func() time.Time) *Group {
	g := &Group{clock: now, metrics: metrics}
	if metrics == nil {
		g.metrics = prometheus.NewRegistry()
	}
	g.ctx, g.stop = context.WithCancel(context.Background())
	return g
}

// Now is the time by the clock of the caches.
func (g *Group) Now() time.Time {
	if g.clock != nil {
		return g.clock()
	}
	return time.Now()
}

// Specs returns the declarations of all caches, in the order of their construction.
func (g *Group) Specs() []Spec {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.specs)
}

// add adds a cache, which Close closes.
func (g *Group) add(spec Spec, closer func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.specs, g.closer = append(g.specs, spec), append(g.closer, closer)
}

// Go runs do in a goroutine, on a context that has ctx's values and ends when the group is closed, not when ctx does.
func (g *Group) Go(ctx context.Context, do func(context.Context)) {
	ctx = detached{Context: g.ctx, values: ctx}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		go do(ctx) // the context has ended: do returns at once and reports that
		return
	}
	g.work.Go(func() { do(ctx) })
}

// Close cancels the loads in flight, waits for them and stops the caches.
func (g *Group) Close() {
	g.mu.Lock()
	g.closed = true
	closer := g.closer
	g.mu.Unlock()
	g.stop()
	g.work.Wait()
	for _, f := range closer {
		f()
	}
}

// detached is a context with the life of one context and the values of another.
type detached struct {
	context.Context
	values context.Context
}

// Value implements context.Context. The first context comes first, because package context finds cancellation through it.
func (d detached) Value(key any) any {
	if v := d.Context.Value(key); v != nil {
		return v
	}
	return d.values.Value(key)
}

// Within bounds a call to another service by most and leaves the caller a fifth of its time to handle a failure: a deadline
// passed on unshortened expires everywhere at once, and no process can answer.
func Within(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		most = min(most, left-left/5)
	}
	return context.WithTimeout(ctx, most)
}
