package movie

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
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

func open[K comparable, V any](b store) (*otter.Cache[K, V], error) {
	o := &otter.Options[K, V]{
		MaximumSize:      b.size,
		ExpiryCalculator: otter.ExpiryWriting[K, V](b.ttl),
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
type flights[K comparable, V any] struct {
	cache   *otter.Cache[K, V]
	timeout time.Duration
	drops   atomic.Uint64 // see epoch

	mu    sync.Mutex
	calls map[K]*flight[V]
}

type flight[V any] struct {
	done  chan struct{} // closed when value and err are set
	value V
	err   error
}

func newFlights[K comparable, V any](b store, timeout time.Duration) (*flights[K, V], error) {
	cache, err := open[K, V](b)
	if err != nil {
		return nil, err
	}
	return &flights[K, V]{cache: cache, timeout: timeout, calls: map[K]*flight[V]{}}, nil
}

// fresh returns the cached value, if there is one.
func (f *flights[K, V]) fresh(key K) (V, bool) { return f.cache.GetIfPresent(key) }

// landed returns a call that has come back with v.
func landed[V any](v V) *flight[V] {
	c := &flight[V]{done: make(chan struct{}), value: v}
	close(c.done)
	return c
}

// join returns the call for key that is under way, or starts one with load.
func (f *flights[K, V]) join(ctx context.Context, key K, load func(ctx context.Context, key K) (V, error)) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c, ok := f.calls[key]; ok {
		return c
	}
	// A call may have landed between the caller's look into the cache and now.
	if v, ok := f.cache.GetIfPresent(key); ok {
		return landed(v)
	}
	c := &flight[V]{done: make(chan struct{})}
	f.calls[key] = c
	go f.fly(context.WithoutCancel(ctx), []K{key}, []*flight[V]{c}, func(ctx context.Context, _ []K) (map[K]V, error) {
		v, err := load(ctx, key)
		return map[K]V{key: v}, err
	})
	return c
}

// joinAll returns a call for each key: the one that is under way, or one started with load for all of which none is. load
// returns what it found; a key that it did not find is answered with an error of the kind NotFound.
func (f *flights[K, V]) joinAll(ctx context.Context, keys []K, load func(ctx context.Context, keys []K) (map[K]V, error)) []*flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*flight[V], len(keys))
	var missing []K
	var started []*flight[V]
	var done chan struct{} // one for all: they end together
	for i, key := range keys {
		if c, ok := f.calls[key]; ok {
			all[i] = c
			continue
		}
		if v, ok := f.cache.GetIfPresent(key); ok {
			all[i] = landed(v)
			continue
		}
		if done == nil {
			done = make(chan struct{})
		}
		c := &flight[V]{done: done}
		f.calls[key], all[i] = c, c
		missing, started = append(missing, key), append(started, c)
	}
	if len(missing) > 0 {
		go f.fly(context.WithoutCancel(ctx), missing, started, load)
	}
	return all
}

// fly makes one call for keys. started are their flights, which share the channel done.
func (f *flights[K, V]) fly(ctx context.Context, keys []K, started []*flight[V], load func(context.Context, []K) (map[K]V, error)) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	defer close(started[0].done)
	found, err := f.guarded(ctx, keys, load)
	f.mu.Lock()
	defer f.mu.Unlock()
	for i, key := range keys {
		c, ok := started[i], false
		if c.err = err; err == nil {
			if c.value, ok = found[key]; !ok {
				c.err = fault.NotFound("no movie has the id %q", fmt.Sprint(key))
			}
		}
		if f.calls[key] != c {
			continue // dropped meanwhile: what this call read may be older than what was written
		}
		delete(f.calls, key)
		if c.err == nil {
			f.cache.Set(key, c.value)
		}
	}
}

// guarded turns a panic into an error. Nobody else would: the goroutine is not under any interceptor.
func (f *flights[K, V]) guarded(ctx context.Context, keys []K, load func(context.Context, []K) (map[K]V, error)) (found map[K]V, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fault.Internal(fmt.Errorf("panic: %v\n%s", p, debug.Stack()), "load %v", keys)
		}
	}()
	return load(ctx, keys)
}

// drop forgets key: the next caller makes a new call, and a call that is under way is answered to those who wait for it
// already but not kept.
func (f *flights[K, V]) drop(key K) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.drops.Add(1)
	delete(f.calls, key)
	f.cache.Invalidate(key)
}

// epoch changes with every drop. What is made of the values of several keys, and kept by the epoch in which the making began,
// is not found any more after a drop of any of them.
func (f *flights[K, V]) epoch() uint64 { return f.drops.Load() }

// offer gives a value that came by another way, in a call that began in the epoch: it is kept if nothing was dropped since, and
// nothing is there or what is there is the same. It returns what others get for the key, if that is the same, else v.
//
// It never replaces a value by another one: which of the two is newer is not known here, and a reader who saw the new one
// must not be shown the old one next.
func (f *flights[K, V]) offer(epoch uint64, key K, v V, same func(a, b V) bool) V {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drops.Load() != epoch {
		return v
	}
	if old, ok := f.cache.GetIfPresent(key); ok {
		if !same(old, v) {
			return v
		}
		v = old
	}
	f.cache.Set(key, v)
	return v
}

func (f *flights[K, V]) close() { f.cache.StopAllGoroutines() }

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
