package cache

import (
	"context"
	"runtime"
	"slices"
	"sync"
	"time"

	"movieexample.com/internal/guard"
)

const (
	// batchMost is how many keys go in one call. More would save little, and would make more readers depend on one answer.
	batchMost = 50
	// batchesRunning is how many calls run before keys wait. With two, a question took a tenth less processor time in all processes
	// than with one, and one call that hangs does not delay the others.
	batchesRunning = 2
	// batchWait is the longest that a key waits for the calls before it. They return sooner, unless an instance of the source hangs.
	batchWait = 10 * time.Millisecond
)

// Batcher lets loads of single keys that come at the same time share a call: a call costs the same whatever it brings. There is no
// delay for a lone key: it goes at once, unless two calls are running. Keys that come meanwhile go together when one of these
// returns. A call that fails, fails for all its keys.
type Batcher[K comparable, V any] struct {
	One  func(ctx context.Context, key K) (V, error)
	Many func(ctx context.Context, keys []K) (map[K]V, error)
	// Missing is the result of a key that Many did not return.
	Missing func(K) (V, error)

	mu      sync.Mutex
	running []*batch[K, V] // oldest first
	waiting *batch[K, V]   // takes keys; nil: none does
}

// batch is keys that share a call, which is made by the goroutine that brought the first of them.
type batch[K comparable, V any] struct {
	keys  []K
	flush chan struct{} // closed to make the call before batchWait is over
	done  chan struct{} // closed when found and err are set
	found map[K]V
	err   error
}

// Load loads a key, alone or with others. A call runs on the context of the first of its keys.
func (b *Batcher[K, V]) Load(ctx context.Context, key K) (V, error) {
	t, first, runs := b.join(key)
	if first {
		b.run(ctx, t, runs)
	} else {
		select {
		case <-t.done:
		case <-ctx.Done():
			var none V
			return none, ctx.Err()
		}
	}
	if t.err != nil {
		var none V
		return none, t.err
	}
	if v, ok := t.found[key]; ok {
		return v, nil
	}
	return b.Missing(key)
}

// join adds key to the batch that takes keys, or to a new one; runs says that the new one need not wait.
func (b *Batcher[K, V]) join(key K) (t *batch[K, V], first, runs bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if t = b.waiting; t == nil {
		t, first = &batch[K, V]{flush: make(chan struct{}), done: make(chan struct{})}, true
		b.waiting = t
		if runs = len(b.running) < batchesRunning; runs {
			b.running = append(b.running, t)
		}
	}
	if t.keys = append(t.keys, key); len(t.keys) == batchMost {
		b.waiting = nil
		if !slices.Contains(b.running, t) {
			close(t.flush)
		}
	}
	return t, first, runs
}

// run waits until t may go, and makes its call.
func (b *Batcher[K, V]) run(ctx context.Context, t *batch[K, V], runs bool) {
	if runs {
		// Lets in requests that have arrived and only wait for a processor. On an idle machine this takes no time, and on a busy
		// one their calls would wait behind this one anyway.
		runtime.Gosched()
	} else {
		timer := time.NewTimer(batchWait)
		select {
		case <-t.flush:
		case <-timer.C:
		case <-ctx.Done():
		}
		timer.Stop()
	}
	b.mu.Lock()
	if b.waiting == t {
		b.waiting = nil
		if !runs && !slices.Contains(b.running, t) { // overdue: it takes the place of the oldest
			b.running = append(b.running[1:], t)
		}
	}
	b.mu.Unlock()
	defer b.finish(t)
	t.found, t.err = guard.Catch("load a batch", func() (map[K]V, error) {
		if len(t.keys) > 1 {
			return b.Many(ctx, t.keys)
		}
		v, err := b.One(ctx, t.keys[0])
		return map[K]V{t.keys[0]: v}, err
	})
}

// finish tells the readers of t, and gives its place to the batch that waits.
func (b *Batcher[K, V]) finish(t *batch[K, V]) {
	b.mu.Lock()
	defer b.mu.Unlock()
	close(t.done)
	place := slices.Index(b.running, t)
	if place < 0 {
		return // its place was taken while it ran
	}
	b.running = slices.Delete(b.running, place, place+1)
	if n := b.waiting; n != nil && !slices.Contains(b.running, n) {
		b.waiting, b.running = nil, append(b.running, n)
		close(n.flush)
	}
}
