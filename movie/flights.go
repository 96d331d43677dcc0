package movie

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/maypok86/otter/v2"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/guard"
)

// store says how a cache is bounded.
type store struct {
	size int // in entries
	// ttl is when an entry is forgotten. Whether it is still good for a request is another question.
	ttl time.Duration
	now func() time.Time // nil means the real clock
	// background is where the calls run that fill the cache; nil where none do.
	background *background
}

func open[K comparable, V any](b store) (*otter.Cache[K, V], error) {
	return openWeighed[K, V](b, nil)
}

// openWeighed is open for a cache whose size is not in entries but in what weigh says.
func openWeighed[K comparable, V any](b store, weigh func(K, V) uint32) (*otter.Cache[K, V], error) {
	o := &otter.Options[K, V]{ExpiryCalculator: otter.ExpiryWriting[K, V](b.ttl)}
	if weigh == nil {
		o.MaximumSize = b.size
	} else {
		o.MaximumWeight, o.Weigher = uint64(b.size), weigh
	}
	if b.now != nil {
		o.Clock = clock(b.now)
	}
	return otter.New(o)
}

// orReal returns the clock, or the real one for nil.
func orReal(now func() time.Time) func() time.Time {
	if now == nil {
		return time.Now
	}
	return now
}

// clock lets a test move a cache's time. It never ticks: expired entries are not visible anyway, ticks only free them earlier.
type clock func() time.Time

func (c clock) NowNano() int64                    { return c().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// kept is a value in a cache.
type kept[V any] struct {
	value V
	read  moment      // when the call that brought it began
	due   atomic.Bool // somebody was told that it should be read again
}

// flights is a cache that is filled by calls, at most one under way per key.
//
// A call belongs to nobody: it runs on a context of its own, bounded by timeout, so that the first caller's cancellation
// does not fail those who joined, and each caller waits on its own context. Errors are not cached.
//
// It is not otter's loading Get, because that ties the call to the first caller's context and would store what a call
// returns although the key was dropped while it ran: a write would then be hidden by a read that started before it.
type flights[K comparable, V any] struct {
	cache      *otter.Cache[K, *kept[V]]
	background *background
	timeout    time.Duration
	drops      atomic.Uint64 // see epoch
	rules[V]

	mu     sync.Mutex
	calls  map[K]*flight[V]
	gather gather[K, V]
}

// rules are what a cache needs to know of its values.
type rules[V any] struct {
	// good reports whether what is kept may be used now.
	good func(k *kept[V], now moment) bool
	// same reports whether what was read anew is what was there before: the old value stays then, with all that was made of
	// it. nil: it never is.
	same func(old, v V) bool
	// join reports whether a caller who comes now may have the answer of a call that began at read; nil: any.
	join func(read, now moment) bool
}

type flight[V any] struct {
	done  chan struct{} // closed when value and err are set
	read  moment        // when it began
	value V
	err   error
}

func newFlights[K comparable, V any](b store, timeout time.Duration, r rules[V]) (*flights[K, V], error) {
	cache, err := open[K, *kept[V]](b)
	return flightsIn(cache, b, timeout, r), err
}

// newWeighedFlights is newFlights for values of very different sizes: b.size is in the unit of weigh.
func newWeighedFlights[K comparable, V any](b store, timeout time.Duration, weigh func(V) uint32, r rules[V]) (*flights[K, V], error) {
	cache, err := openWeighed(b, func(_ K, k *kept[V]) uint32 { return weigh(k.value) })
	return flightsIn(cache, b, timeout, r), err
}

func flightsIn[K comparable, V any](cache *otter.Cache[K, *kept[V]], b store, timeout time.Duration, r rules[V]) *flights[K, V] {
	return &flights[K, V]{cache: cache, background: b.background, timeout: timeout, rules: r, calls: map[K]*flight[V]{}}
}

// fresh returns the cached value, if there is one that may be used now.
func (f *flights[K, V]) fresh(now moment, key K) (V, bool) {
	if k, ok := f.entry(now, key); ok {
		return k.value, true
	}
	var none V
	return none, false
}

// entry is fresh with all that is known of the value.
func (f *flights[K, V]) entry(now moment, key K) (*kept[V], bool) {
	k, ok := f.cache.GetIfPresent(key)
	if !ok || !f.good(k, now) {
		return nil, false
	}
	return k, true
}

// last is what is kept for key, whether or not it may be used: for when the service that it is from cannot be reached.
func (f *flights[K, V]) last(key K) (V, bool) {
	if k, ok := f.cache.GetIfPresent(key); ok {
		return k.value, true
	}
	var none V
	return none, false
}

// landed returns a call that has come back with v.
func landed[V any](v V, read moment) *flight[V] {
	c := &flight[V]{done: make(chan struct{}), value: v, read: read}
	close(c.done)
	return c
}

// join returns the call for key that is under way, or starts one with load.
func (f *flights[K, V]) join(ctx context.Context, now moment, key K, load func(ctx context.Context, key K) (V, error)) *flight[V] {
	return f.launch(ctx, now, []K{key}, false, func(ctx context.Context, _ []K) (map[K]V, error) {
		v, err := load(ctx, key)
		return map[K]V{key: v}, err
	})[0]
}

// joinAll returns a call for each key: the one that is under way, or one started with load for all of which none is. load
// returns what it found; a key that it did not find is answered with an error of the kind NotFound.
func (f *flights[K, V]) joinAll(ctx context.Context, now moment, keys []K, load func(ctx context.Context, keys []K) (map[K]V, error)) []*flight[V] {
	return f.launch(ctx, now, keys, false, load)
}

// again reads keys anew although what is kept of them may still be used, unless a call for them is under way.
func (f *flights[K, V]) again(ctx context.Context, now moment, keys []K, load func(ctx context.Context, keys []K) (map[K]V, error)) []*flight[V] {
	return f.launch(ctx, now, keys, true, load)
}

func (f *flights[K, V]) launch(ctx context.Context, now moment, keys []K, anew bool, load func(ctx context.Context, keys []K) (map[K]V, error)) []*flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	all := make([]*flight[V], len(keys))
	var missing []K
	var started []*flight[V]
	var done chan struct{} // one for all: they end together
	for i, key := range keys {
		if all[i] = f.known(now, key, anew); all[i] != nil {
			continue
		}
		if done == nil {
			done = make(chan struct{})
		}
		c := &flight[V]{done: done, read: now}
		f.calls[key], all[i] = c, c
		missing, started = append(missing, key), append(started, c)
	}
	if len(missing) > 0 {
		f.background.start(ctx, func(ctx context.Context) { f.fly(ctx, missing, started, load) })
	}
	return all
}

// known returns the call for key that is under way, or what has come back already; nil: key must be asked for. It is called with
// mu held.
func (f *flights[K, V]) known(now moment, key K, anew bool) *flight[V] {
	if c, ok := f.calls[key]; ok && (f.rules.join == nil || f.rules.join(c.read, now)) {
		return c
	}
	// A call may have landed between the caller's look into the cache and now.
	if k, ok := f.entry(now, key); ok && !anew {
		return landed(k.value, k.read)
	}
	return nil
}

// fly makes one call for keys. started are their flights, which share the channel done.
func (f *flights[K, V]) fly(ctx context.Context, keys []K, started []*flight[V], load func(context.Context, []K) (map[K]V, error)) {
	ctx, cancel := context.WithTimeout(ctx, f.timeout)
	defer cancel()
	defer close(started[0].done)
	found, err := guard.Catch("load what was asked for", func() (map[K]V, error) { return load(ctx, keys) })
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
		switch {
		case c.err == nil:
			c.value = f.keep(key, c.value, c.read)
		case fault.KindOf(c.err) == fault.KindNotFound:
			f.cache.Invalidate(key) // nothing is left that it could be the same as
		}
	}
}

// keep puts v into the cache, or what is there already if it is the same, and returns which. It is called with mu held.
func (f *flights[K, V]) keep(key K, v V, read moment) V {
	if old, ok := f.cache.GetIfPresent(key); ok {
		if f.same != nil && f.same(old.value, v) {
			v = old.value
		}
		if old.read.at.After(read.at) {
			return v // it came by another way meanwhile
		}
	}
	f.cache.Set(key, &kept[V]{value: v, read: read})
	return v
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

// offer gives a value that came by another way, in a call that began at read: it is kept if nothing was dropped since, and
// nothing that is good is there or what is there is the same. It returns what others get for the key, if that is the same, else v.
//
// It never replaces a value that others are shown by another one: which of the two is newer is not known here, and a reader
// who saw the new one must not be shown the old one next.
func (f *flights[K, V]) offer(read moment, key K, v V) V {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.drops.Load() != read.epoch {
		return v
	}
	if old, ok := f.cache.GetIfPresent(key); ok && !f.same(old.value, v) && f.good(old, read) {
		return v
	}
	return f.keep(key, v, read)
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
