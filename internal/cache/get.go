package cache

import (
	"context"
	"sync"
)

// Result is what a reader is served.
type Result[V, S any] struct {
	Value V
	Stale bool // the last known value: the source is down
	Err   error
	read  *S
}

// Read is the stamp from before the load, also of one that failed.
func (r *Result[V, S]) Read() S { return *r.read }

// Pending is a read that was begun: an entry to serve, or a load to wait for.
type Pending[K comparable, V, S any] struct {
	entry *Entry[V, S]
	stale bool // entry is the last known one
	cache *Cache[K, V, S]
	key   K
	call  *call[V, S] // nil: entry is set
}

// Get reads key. With an entry that is not fresh it waits for a load.
func (c *Cache[K, V, S]) Get(ctx context.Context, now S, key K) Result[V, S] {
	p := c.Start(ctx, now, key, nil)
	return p.Wait(ctx)
}

// GetWith is Get with the reader's own load.
func (c *Cache[K, V, S]) GetWith(ctx context.Context, now S, key K, load func(context.Context, K) (V, error)) Result[V, S] {
	p := c.Start(ctx, now, key, load)
	return p.Wait(ctx)
}

// Start begins a read, so that a reader can begin several before it waits for one. load nil is Options.Load.
func (c *Cache[K, V, S]) Start(ctx context.Context, now S, key K, load func(context.Context, K) (V, error)) Pending[K, V, S] {
	if load == nil {
		load = c.Load
	}
	e, ok := c.entries.GetIfPresent(key)
	switch {
	case ok && c.isFresh(e, now):
		c.metrics.hits.Inc()
		c.requestRefresh(ctx, e, now, key, load)
		return Pending[K, V, S]{entry: e}
	case ok && c.Source.rests():
		c.metrics.stale.Inc()
		return Pending[K, V, S]{entry: e, stale: true}
	}
	c.metrics.misses.Inc()
	return Pending[K, V, S]{cache: c, key: key, call: c.start(ctx, now, []K{key}, false, single(load))[0]}
}

// Hit is Get for readers who take only a fresh entry: it loads nothing but a refresh.
func (c *Cache[K, V, S]) Hit(ctx context.Context, now S, key K) (*Entry[V, S], bool) {
	e, ok := c.entries.GetIfPresent(key)
	if !ok || !c.isFresh(e, now) {
		return nil, false
	}
	c.metrics.hits.Inc()
	c.requestRefresh(ctx, e, now, key, c.Load)
	return e, true
}

func (c *Cache[K, V, S]) requestRefresh(ctx context.Context, e *Entry[V, S], now S, key K, load func(context.Context, K) (V, error)) {
	if c.RefreshDue == nil || !c.RefreshDue(e, now) {
		return
	}
	if state := e.refresh.Load(); state != requested && e.refresh.CompareAndSwap(state, requested) {
		c.refresh.add(ctx, now, key, load)
	}
}

// Touch returns the value of key if it is fresh, and requests a refresh by load if one is due. It counts as no read.
func (c *Cache[K, V, S]) Touch(ctx context.Context, now S, key K, load func(context.Context, K) (V, error)) (v V, ok bool) {
	e, ok := c.Peek(now, key)
	if ok {
		c.requestRefresh(ctx, e, now, key, load)
		v = e.Value
	}
	return v, ok
}

// bound is ctx for waiting on a load.
func (s *Source) bound(ctx context.Context) (context.Context, context.CancelFunc) {
	if s.Patience == 0 {
		return ctx, func() {}
	}
	return Within(ctx, s.Patience)
}

// rests reports whether the source is down and another reader probes it.
func (s *Source) rests() bool { return s.Breaker != nil && s.Breaker.IsOpen() && !s.Breaker.Allow() }

func (c *Cache[K, V, S]) lastKnown(e *Entry[V, S]) Result[V, S] {
	c.metrics.stale.Inc()
	return Result[V, S]{Value: e.Value, read: &e.Read, Stale: true}
}

// Loading returns the stamp of the load that Wait waits for; ok is false if the result is there.
func (p *Pending[K, V, S]) Loading() (read S, ok bool) {
	if p.call == nil {
		return read, false
	}
	return p.call.read, true
}

// Wait returns the result.
func (p *Pending[K, V, S]) Wait(ctx context.Context) Result[V, S] {
	if p.call != nil {
		return p.load(ctx)
	}
	return Result[V, S]{Value: p.entry.Value, read: &p.entry.Read, Stale: p.stale}
}

func (p *Pending[K, V, S]) load(ctx context.Context) Result[V, S] {
	bounded, cancel := p.cache.Source.bound(ctx)
	defer cancel()
	return p.cache.wait(ctx, bounded, p.key, p.call)
}

// wait waits for a call until bounded ends, which is ctx shortened.
func (c *Cache[K, V, S]) wait(ctx, bounded context.Context, key K, n *call[V, S]) Result[V, S] {
	v, err := n.wait(bounded)
	if err == nil {
		return Result[V, S]{Value: v, read: &n.read}
	}
	if bounded.Err() != nil && c.Source.Late != nil {
		err = c.Source.Late(err)
	}
	if ctx.Err() == nil && c.Source.Away != nil && c.Source.Away(err) {
		if e, ok := c.Last(key); ok {
			return c.lastKnown(e)
		}
	}
	return Result[V, S]{read: &n.read, Err: err}
}

// GetAll reads keys, with one load for all that need one. Each result has its own error.
func (c *Cache[K, V, S]) GetAll(ctx context.Context, now S, keys []K) []Result[V, S] {
	all := make([]Result[V, S], len(keys))
	var missing []K
	var at []int // their places in all
	// Once for all of them: a page that finds out whether the source is back does so for each of its keys.
	rests := sync.OnceValue(c.Source.rests)
	for i, key := range keys {
		e, ok := c.entries.GetIfPresent(key)
		switch {
		case ok && c.isFresh(e, now):
			c.metrics.hits.Inc()
			c.requestRefresh(ctx, e, now, key, c.Load)
			all[i] = Result[V, S]{Value: e.Value, read: &e.Read}
		case ok && rests():
			all[i] = c.lastKnown(e)
		default:
			c.metrics.misses.Inc()
			missing, at = append(missing, key), append(at, i)
		}
	}
	if len(missing) == 0 {
		return all
	}
	bounded, cancel := c.Source.bound(ctx)
	defer cancel()
	for i, n := range c.start(ctx, now, missing, false, c.LoadAll) {
		all[at[i]] = c.wait(ctx, bounded, missing[i], n)
	}
	return all
}
