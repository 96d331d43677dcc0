package movie

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"time"

	"github.com/maypok86/otter/v2"

	"movieexample.com/internal/fault"
)

// store says how a cache is bounded.
type store struct {
	size int
	ttl  time.Duration
	now  func() time.Time // nil means the real clock
}

func open[V any](b store) (*otter.Cache[string, V], error) {
	o := &otter.Options[string, V]{
		MaximumSize:      b.size,
		ExpiryCalculator: otter.ExpiryWriting[string, V](b.ttl),
	}
	if b.now != nil {
		o.Clock = clock(b.now)
	}
	return otter.New(o)
}

// clock lets a test move a cache's time. It never ticks: expired entries are not visible anyway, ticks only free them earlier.
type clock func() time.Time

func (c clock) NowNano() int64                    { return c().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// flights is a cache that is filled by calls, at most one under way per key.
//
// A call belongs to nobody: it runs on a context of its own, bounded by timeout, so that the first caller's cancellation
// does not fail those who joined, and each caller waits on its own context. Errors are not cached.
//
// It is not otter's loading Get, because that ties the call to the first caller's context and would store what a call
// returns although the key was dropped while it ran: a write would then be hidden by a read that started before it.
type flights[V any] struct {
	cache   *otter.Cache[string, V]
	timeout time.Duration
	load    func(ctx context.Context, key string) (V, error)

	mu    sync.Mutex
	calls map[string]*flight[V]
}

type flight[V any] struct {
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

func newFlights[V any](b store, timeout time.Duration, load func(context.Context, string) (V, error)) (*flights[V], error) {
	cache, err := open[V](b)
	if err != nil {
		return nil, err
	}
	return &flights[V]{cache: cache, timeout: timeout, load: load, calls: map[string]*flight[V]{}}, nil
}

// fresh returns the cached value, if there is one.
func (f *flights[V]) fresh(key string) (V, bool) { return f.cache.GetIfPresent(key) }

// join returns the call for key that is under way, or starts one.
func (f *flights[V]) join(ctx context.Context, key string) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.calls[key]; ok {
		return c
	}
	c := &flight[V]{done: make(chan struct{})}
	// A call may have landed between the caller's look into the cache and now.
	if v, ok := f.cache.GetIfPresent(key); ok {
		c.value = v
		close(c.done)
		return c
	}
	f.calls[key] = c
	go f.fly(context.WithoutCancel(ctx), key, c)
	return c
}

func (f *flights[V]) fly(ctx context.Context, key string, c *flight[V]) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	defer close(c.done)
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.calls[key] != c {
			return // dropped meanwhile: what this call read may be older than what was written
		}
		delete(f.calls, key)
		if c.err == nil {
			f.cache.Set(key, c.value)
		}
	}()
	defer func() {
		// Nobody else would: this goroutine is not under any interceptor.
		if p := recover(); p != nil {
			c.err = fault.Internal(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "load %q", key)
		}
	}()
	c.value, c.err = f.load(ctx, key)
}

// drop forgets key: the next caller makes a new call, and a call that is under way is answered to those who wait for it
// already but not kept.
func (f *flights[V]) drop(key string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.calls, key)
	f.cache.Invalidate(key)
}

func (f *flights[V]) close() { f.cache.StopAllGoroutines() }

// wait returns the call's result, or ctx's error if that ends first.
func (c *flight[V]) wait(ctx context.Context) (V, error) {
	select {
	case <-c.done:
		return c.value, c.err
	default:
	}
	select {
	case <-c.done:
		return c.value, c.err
	case <-ctx.Done():
		var none V
		return none, ctx.Err()
	}
}

// hop bounds a call to another service by most and leaves the caller a fifth of its time to do something with the failure:
// a deadline that is passed on unshortened ends everywhere at once, and nobody can answer.
func hop(ctx context.Context, most time.Duration) (context.Context, context.CancelFunc) {
	if deadline, ok := ctx.Deadline(); ok {
		left := time.Until(deadline)
		most = min(most, left-left/5)
	}
	return context.WithTimeout(ctx, most)
}
