package cache

import (
	"context"
	"sync"
	"time"
)

const (
	// refreshGather is how long keys to refresh are gathered, refreshMost how many go in one call.
	refreshGather = 20 * time.Millisecond
	refreshMost   = 200
)

// refresher loads entries again in the background, each requested once until it is replaced.
type refresher[K comparable, V, S any] struct {
	cache *Cache[K, V, S]

	mu      sync.Mutex
	keys    []K // to be refreshed together
	running bool
}

// add requests a refresh of key: at once by load, or with others by Options.LoadAll.
func (r *refresher[K, V, S]) add(ctx context.Context, now S, key K, load func(context.Context, K) (V, error)) {
	if !r.cache.RefreshTogether {
		r.cache.start(ctx, r.stamp(now), []K{key}, true, single(load))
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.keys = append(r.keys, key)
	if !r.running {
		r.running = true
		r.cache.group.Go(context.Background(), func(ctx context.Context) { r.run(ctx, now) })
	}
}

func (r *refresher[K, V, S]) stamp(now S) S {
	if r.cache.Stamp != nil {
		return r.cache.Stamp()
	}
	return now
}

// run makes few calls for many keys, one at a time, until there are no keys left. It gathers by the real clock: this is about the
// load of the machine, not about the age of entries.
func (r *refresher[K, V, S]) run(ctx context.Context, now S) {
	for timer := time.NewTimer(refreshGather); ; timer.Reset(refreshGather) {
		select {
		case <-timer.C:
		case <-ctx.Done():
		}
		for full := true; full && ctx.Err() == nil; {
			var keys []K
			if keys, full = r.take(); len(keys) > 0 {
				for _, n := range r.cache.start(ctx, r.stamp(now), keys, true, r.cache.LoadAll) {
					<-n.done
				}
			}
		}
		if r.rest(ctx) {
			return
		}
	}
}

// take returns the next keys to load, and whether they are as many as go in one call.
func (r *refresher[K, V, S]) take() (keys []K, full bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	n := min(refreshMost, len(r.keys))
	keys = r.keys[:n:n]
	if r.keys = r.keys[n:]; len(r.keys) == 0 {
		r.keys = nil
	}
	return keys, n == refreshMost
}

// rest reports whether nothing is left to do; the next add starts run then.
func (r *refresher[K, V, S]) rest(ctx context.Context) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.keys) > 0 && ctx.Err() == nil {
		return false
	}
	r.keys, r.running = nil, false
	return true
}
