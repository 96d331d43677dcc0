package rating

import (
	"container/list"
	"context"
	"sync"
	"time"

	"movieexample.com/internal/guard"
)

// refreshed keeps the last result of a computation and computes it again when it is asked for and too old.
//
// A result is used for minAge, or for twenty times what it cost to compute if that is longer, so that a result never
// takes more than a twentieth of one core however large the database grows. Where computing is quick, whoever finds
// the result too old waits for the new one; where it is slow they get the old one while one goroutine computes.
type refreshed[T any] struct {
	compute func(context.Context) (T, error)
	now     func() time.Time
	minAge  time.Duration
	wait    wait

	mu      sync.Mutex
	value   T
	basis   any       // of value, see get
	at      time.Time // when the computation of value began; zero: there is none yet
	cost    time.Duration
	pending chan struct{} // closed when the computation that runs has ended; nil: none runs
	err     error         // of the last computation
}

// wait says how long callers who could have an old result wait for a new one. The zero value waits where computing is quick.
type wait struct {
	// slow: where computing is slow, too.
	slow bool
	// most bounds the wait, beside the caller's context; 0: nothing does.
	most time.Duration
}

const (
	// quick is the cost up to which callers wait for a new result rather than take an old one.
	quick = 100 * time.Millisecond
	// sameBasis is how many times longer a result is used while its basis stays the same.
	sameBasis = 10
)

// get returns a result that is not too old; with a failing computation the old one if there is any, and so for a
// caller whose ctx ends while it waits.
//
// basis is a comparable value that was read before the call and tells whether the result would be another one, such as
// a count of the rows behind it; nil tells nothing. While it is the same the result is used sameBasis times longer.
// Not for ever: changes may cancel out in the basis, and not in the result.
func (r *refreshed[T]) get(ctx context.Context, basis any) (T, error) {
	r.mu.Lock()
	age := r.now().Sub(r.at)
	maxAge := max(r.minAge, 20*r.cost)
	if basis != nil && basis == r.basis {
		maxAge *= sameBasis
	}
	have := !r.at.IsZero()
	if have && age >= 0 && age < maxAge {
		defer r.mu.Unlock()
		return r.value, nil
	}
	if r.pending == nil {
		r.pending = make(chan struct{})
		// Not the caller's context: others wait for the same result.
		go r.run(context.WithoutCancel(ctx), basis, r.pending)
	}
	pending := r.pending
	// A slow computation does not hold up anybody who has an answer that is not very old.
	if have && r.cost > quick && age < 10*maxAge && !r.wait.slow {
		defer r.mu.Unlock()
		return r.value, nil
	}
	r.mu.Unlock()
	var enough <-chan time.Time // never, where there is nothing to take instead
	if have && r.wait.most > 0 {
		enough = time.After(r.wait.most)
	}
	var gaveUp error
	select {
	case <-pending:
	case <-enough:
	case <-ctx.Done():
		gaveUp = ctx.Err()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	switch {
	case !r.at.IsZero():
		return r.value, nil
	case gaveUp != nil:
		return r.value, gaveUp
	default:
		return r.value, r.err
	}
}

func (r *refreshed[T]) run(ctx context.Context, basis any, done chan struct{}) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	began := r.now()
	v, err := guard.Catch("compute what is kept", func() (T, error) { return r.compute(ctx) })
	r.mu.Lock()
	defer r.mu.Unlock()
	if err == nil {
		// The cost is measured by the clock that ages are measured by: where a test makes it stand, how slow the machine
		// is decides nothing.
		r.value, r.basis, r.at, r.cost = v, basis, began, max(0, r.now().Sub(began))
	}
	r.err = err
	r.pending = nil
	close(done)
}

// computing reports whether a computation runs.
func (r *refreshed[T]) computing() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending != nil
}

// shelf keeps a refreshed result per key. As keys come from callers, it keeps a bounded number of them: those that were asked for
// last. What somebody waits for, or is being computed, is kept in any case, so that no key is computed twice at a time.
type shelf[K comparable, T any] struct {
	now    func() time.Time
	minAge time.Duration
	most   int
	wait   wait

	mu      sync.Mutex
	results map[K]*list.Element // of a *place
	order   *list.List          // the key that was asked for last in front
}

// place is a result on a shelf.
type place[K comparable, T any] struct {
	*refreshed[T]
	key   K
	users int // callers in get
}

func newShelf[K comparable, T any](now func() time.Time, minAge time.Duration, most int) *shelf[K, T] {
	return &shelf[K, T]{now: now, minAge: minAge, most: most, results: make(map[K]*list.Element), order: list.New()}
}

// get returns the result kept for key, refreshed as needed; see [refreshed.get].
func (s *shelf[K, T]) get(ctx context.Context, key K, basis any, compute func(context.Context) (T, error)) (T, error) {
	p := s.take(key, compute)
	defer s.leave(p)
	return p.get(ctx, basis)
}

func (s *shelf[K, T]) take(key K, compute func(context.Context) (T, error)) *place[K, T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	e, ok := s.results[key]
	if ok {
		s.order.MoveToFront(e)
	} else {
		e = s.order.PushFront(&place[K, T]{key: key, refreshed: &refreshed[T]{compute: compute, now: s.now, minAge: s.minAge, wait: s.wait}})
		s.results[key] = e
	}
	p := e.Value.(*place[K, T])
	p.users++
	s.evict()
	return p
}

func (s *shelf[K, T]) leave(p *place[K, T]) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.users--
}

// evict removes what was not asked for the longest, down to most. It is called with mu held.
func (s *shelf[K, T]) evict() {
	for e := s.order.Back(); e != nil && len(s.results) > s.most; {
		p, before := e.Value.(*place[K, T]), e.Prev()
		if p.users == 0 && !p.computing() {
			s.order.Remove(e)
			delete(s.results, p.key)
		}
		e = before
	}
}
