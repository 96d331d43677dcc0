package cache

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

// Entry is a value in a cache.
type Entry[V, S any] struct {
	Value V
	Read  S             // the stamp from before the load
	Took  time.Duration // how long the load took, by the clock of the caches

	refresh atomic.Int32 // idle, requested or failed
	expired atomic.Bool  // see Expire
}

// The states of a refresh.
const (
	idle = iota
	requested
	failed
)

// Refreshing reports whether a refresh of the entry was requested, even if it failed meanwhile.
func (e *Entry[V, S]) Refreshing() bool { return e.refresh.Load() != idle }

// Options are the rules of a cache for values V under keys K, read with stamps S. Only Fresh is required.
type Options[K comparable, V, S any] struct {
	// Fresh reports whether an entry may be served to a reader with the stamp now.
	Fresh func(e *Entry[V, S], now S) bool
	// RefreshDue reports whether a fresh entry is to be loaded again in the background; nil: none is.
	RefreshDue func(e *Entry[V, S], now S) bool
	// Join reports whether a reader with the stamp now may have the result of a load with the stamp read; nil: any reader may.
	Join func(read, now S) bool
	// Same reports whether a loaded value is the one that is cached. The cached one stays then, with all that was derived from it.
	Same func(cached, loaded V) bool
	// Newer reports whether stamp a is newer than b: a load does not replace an entry that was read later. nil: it does.
	Newer func(a, b S) bool
	// Weigh is the weight of a value where the cache is bounded in bytes.
	Weigh func(K, V) uint32
	// Keep is when an entry is removed whether or not it is fresh; 0: only by eviction.
	Keep time.Duration

	// Load loads a key, LoadAll several; a cache that is read otherwise needs neither. Timeout bounds each; 0: nothing does.
	Load    func(ctx context.Context, key K) (V, error)
	LoadAll func(ctx context.Context, keys []K) (map[K]V, error)
	Timeout time.Duration
	// Missing is what a key is that LoadAll did not return: a value (a negative entry) or an error; nil: an error of kind NotFound.
	Missing func(K) (V, error)
	// Stamp is the stamp of a refresh; nil: that of the reader who made it due.
	Stamp func() S
	// RefreshTogether has refreshes of several keys share calls of LoadAll.
	RefreshTogether bool

	Source Source
}

// Source is where values come from, and how readers are served while it is down. With the zero value they wait for their load
// and are given its error.
type Source struct {
	// Patience is how long a reader waits for a load, which leaves over a fifth of its time; 0: until its context ends.
	Patience time.Duration
	// Late makes the error of a reader whose time was over.
	Late func(error) error
	// Away reports whether an error means that the source is down: readers are served the last known value, if there is one.
	Away func(error) bool
	// Breaker, while open, has them served the last known value without waiting for a load.
	Breaker *Breaker
}

// Cache is a loading cache; see the package documentation.
type Cache[K comparable, V, S any] struct {
	Options[K, V, S]
	group   *Group
	entries store[K, *Entry[V, S]]
	metrics *metrics
	drops   atomic.Uint64 // see Epoch
	refresh refresher[K, V, S]

	mu    sync.Mutex
	calls map[K]*call[V, S]
}

// New returns a cache of the group.
func New[K comparable, V, S any](g *Group, spec Spec, o Options[K, V, S]) (*Cache[K, V, S], error) {
	if err := spec.validate(); err != nil {
		return nil, err
	}
	c := &Cache[K, V, S]{Options: o, group: g, calls: map[K]*call[V, S]{}}
	c.refresh.cache = c
	if c.Missing == nil {
		c.Missing = func(key K) (V, error) {
			var none V
			return none, fault.NotFound("%s: nothing has the key %v", spec.Name, key)
		}
	}
	var err error
	if c.metrics, err = newMetrics(g.metrics, spec.Name, func() float64 { return float64(c.entries.EstimatedSize()) }); err != nil {
		return nil, err
	}
	if c.entries, err = c.newStore(spec); err != nil {
		return nil, fmt.Errorf("build cache %s: %w", spec.Name, err)
	}
	g.add(spec, func() { c.entries.StopAllGoroutines() })
	return c, nil
}

func (c *Cache[K, V, S]) newStore(spec Spec) (store[K, *Entry[V, S]], error) {
	if spec.Entries == 1 && c.Keep == 0 {
		return &slot[K, *Entry[V, S]]{evicted: c.metrics.evictions.Inc}, nil
	}
	options := &otter.Options[K, *Entry[V, S]]{
		MaximumSize: spec.Entries,
		OnAtomicDeletion: func(e otter.DeletionEvent[K, *Entry[V, S]]) {
			if e.WasEvicted() {
				c.metrics.evictions.Inc()
			}
		},
	}
	if spec.Bytes > 0 {
		options.MaximumWeight = uint64(spec.Bytes)
		options.Weigher = func(key K, e *Entry[V, S]) uint32 { return c.Weigh(key, e.Value) }
	}
	if c.Keep > 0 {
		options.ExpiryCalculator = otter.ExpiryWriting[K, *Entry[V, S]](c.Keep)
	}
	if c.group.clock != nil {
		options.Clock = clock(c.group.clock)
	}
	return otter.New(options)
}

// clock makes the group's clock that of otter. It never ticks: expired entries are invisible anyway, ticks only free them earlier.
type clock func() time.Time

func (c clock) NowNano() int64                    { return c().UnixNano() }
func (clock) Tick(time.Duration) <-chan time.Time { return nil }

// Peek returns the entry of key if it is fresh.
func (c *Cache[K, V, S]) Peek(now S, key K) (*Entry[V, S], bool) {
	if e, ok := c.entries.GetIfPresent(key); ok && c.isFresh(e, now) {
		return e, true
	}
	return nil, false
}

func (c *Cache[K, V, S]) isFresh(e *Entry[V, S], now S) bool {
	return !e.expired.Load() && c.Fresh(e, now)
}

// Last returns the entry of key, fresh or not.
func (c *Cache[K, V, S]) Last(key K) (*Entry[V, S], bool) { return c.entries.GetIfPresent(key) }

// All yields all entries, fresh or not.
func (c *Cache[K, V, S]) All(yield func(K, *Entry[V, S]) bool) { c.entries.All()(yield) }

// Put caches a value that came another way.
func (c *Cache[K, V, S]) Put(read S, key K, v V) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.entries.Set(key, &Entry[V, S]{Value: v, Read: read})
}

// Offer caches a value that came another way, read with the stamp read in the epoch, unless a key was dropped since or a fresh
// entry with another value is there: which of the two is newer is not known, and a reader who saw the cached one must not be
// shown an older one next. It returns what others are served for key if that is the same, else v.
func (c *Cache[K, V, S]) Offer(read S, epoch uint64, key K, v V) V {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.drops.Load() != epoch {
		return v
	}
	if old, ok := c.entries.GetIfPresent(key); ok && !(c.Same != nil && c.Same(old.Value, v)) && c.isFresh(old, read) {
		return v
	}
	return c.keep(key, v, read, 0)
}

// Replace has update decide about the entry of key: it is given the entry, or nil, and returns the stamp of v if v is to replace it.
func (c *Cache[K, V, S]) Replace(key K, v V, update func(old *Entry[V, S]) (S, bool)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, _ := c.entries.GetIfPresent(key)
	if read, ok := update(old); ok {
		c.entries.Set(key, &Entry[V, S]{Value: v, Read: read})
	}
}

// keep caches v, or keeps what is there if it is the same, and returns which. It is called with mu held.
func (c *Cache[K, V, S]) keep(key K, v V, read S, took time.Duration) V {
	if old, ok := c.entries.GetIfPresent(key); ok {
		if c.Same != nil && c.Same(old.Value, v) {
			v = old.Value
		}
		if c.Newer != nil && c.Newer(old.Read, read) {
			return v // it came another way meanwhile
		}
	}
	c.entries.Set(key, &Entry[V, S]{Value: v, Read: read, Took: took})
	return v
}

// Drop removes the entry of key. A load in flight is returned to the readers who wait for it but is not cached.
func (c *Cache[K, V, S]) Drop(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops.Add(1)
	delete(c.calls, key)
	c.entries.Invalidate(key)
}

// Expire is Drop, but the value remains as the last known one.
func (c *Cache[K, V, S]) Expire(key K) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.drops.Add(1)
	delete(c.calls, key)
	if e, ok := c.entries.GetIfPresent(key); ok {
		e.expired.Store(true)
	}
}

// Epoch changes with every Drop and Expire. What was derived from entries of the cache in one epoch may be outdated in another.
func (c *Cache[K, V, S]) Epoch() uint64 { return c.drops.Load() }

// call is a load in flight, of one key.
type call[V, S any] struct {
	done  chan struct{} // closed when value and err are set
	read  S
	value V
	err   error
}

// wait returns the call's result, or ctx's error if that ends first.
func (c *call[V, S]) wait(ctx context.Context) (V, error) {
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

type loadAll[K comparable, V any] = func(ctx context.Context, keys []K) (map[K]V, error)

// single makes a load of one key one of several.
func single[K comparable, V any](load func(context.Context, K) (V, error)) loadAll[K, V] {
	return func(ctx context.Context, keys []K) (map[K]V, error) {
		v, err := load(ctx, keys[0])
		return map[K]V{keys[0]: v}, err
	}
}

// start returns a call for each key: the one in flight, or a new one, which load makes for all keys that need one. Unless again, a
// fresh entry is a call that has returned.
func (c *Cache[K, V, S]) start(ctx context.Context, now S, keys []K, again bool, load loadAll[K, V]) []*call[V, S] {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*call[V, S], len(keys))
	var missing []K
	var started []*call[V, S]
	var done chan struct{} // one for all: they end together
	for i, key := range keys {
		if all[i] = c.known(now, key, again); all[i] != nil {
			continue
		}
		if done == nil {
			done = make(chan struct{})
		}
		n := &call[V, S]{done: done, read: now}
		c.calls[key], all[i] = n, n
		missing, started = append(missing, key), append(started, n)
	}
	if len(missing) > 0 {
		c.group.Go(ctx, func(ctx context.Context) { c.run(ctx, missing, started, load) })
	}
	return all
}

// known returns the call for key that is in flight or has returned meanwhile; nil: key is to be loaded. It is called with mu held.
func (c *Cache[K, V, S]) known(now S, key K, again bool) *call[V, S] {
	if n, ok := c.calls[key]; ok && (c.Join == nil || c.Join(n.read, now)) {
		return n
	}
	if again {
		return nil
	}
	// A call may have returned between the reader's look into the cache and now.
	if e, ok := c.Peek(now, key); ok {
		n := &call[V, S]{done: make(chan struct{}), value: e.Value, read: e.Read}
		close(n.done)
		return n
	}
	return nil
}

// run makes one call for keys. It belongs to no reader: its context is its own, and its end wakes all who wait. It does not use
// singleflight or otter's loading, which would cache what a load returns although the key was dropped while it ran: a read that
// began before a write would then hide it.
func (c *Cache[K, V, S]) run(ctx context.Context, keys []K, started []*call[V, S], load loadAll[K, V]) {
	if c.Timeout > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.Timeout)
		defer cancel()
	}
	defer close(started[0].done)
	c.metrics.loads.Inc()
	began := c.group.Now()
	found, err := guard.Catch("load a cache entry", func() (map[K]V, error) { return load(ctx, keys) })
	took := max(0, c.group.Now().Sub(began))
	if err != nil && fault.KindOf(err) != fault.KindNotFound {
		c.metrics.loadErrors.Inc()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, key := range keys {
		n := started[i]
		if n.err = err; err == nil {
			var ok bool
			if n.value, ok = found[key]; !ok {
				n.value, n.err = c.Missing(key)
			}
		}
		if c.calls[key] != n {
			continue // dropped meanwhile: what was read may be older than what was written
		}
		delete(c.calls, key)
		switch {
		case n.err == nil:
			n.value = c.keep(key, n.value, n.read, took)
		case fault.KindOf(n.err) == fault.KindNotFound:
			c.entries.Invalidate(key)
		default:
			if e, ok := c.entries.GetIfPresent(key); ok {
				e.refresh.CompareAndSwap(requested, failed) // it may be requested again
			}
		}
	}
}
