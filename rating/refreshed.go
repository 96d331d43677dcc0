package rating

import (
	"context"
	"sync"
	"time"
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
	// patient makes callers wait for a slow computation too, as long as their context allows, before they get the old
	// result.
	patient bool

	mu      sync.Mutex
	value   T
	basis   any       // of value, see get
	at      time.Time // when the computation of value began; zero: there is none yet
	cost    time.Duration
	pending chan struct{} // closed when the computation that runs has ended; nil: none runs
	err     error         // of the last computation
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
	if have && r.cost > quick && age < 10*maxAge && !r.patient {
		defer r.mu.Unlock()
		return r.value, nil
	}
	r.mu.Unlock()
	var gaveUp error
	select {
	case <-pending:
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
	v, err := r.compute(ctx)
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

// shelf keeps a refreshed result per key. As keys come from callers, it keeps a bounded number of them.
type shelf[K comparable, T any] struct {
	now    func() time.Time
	minAge time.Duration
	most   int
	// patient is that of the results, see [refreshed].
	patient bool

	mu      sync.Mutex
	results map[K]*refreshed[T]
}

func newShelf[K comparable, T any](now func() time.Time, minAge time.Duration, most int) *shelf[K, T] {
	return &shelf[K, T]{now: now, minAge: minAge, most: most, results: make(map[K]*refreshed[T])}
}

// get returns the result kept for key, refreshed as needed; see [refreshed.get].
func (s *shelf[K, T]) get(ctx context.Context, key K, basis any, compute func(context.Context) (T, error)) (T, error) {
	s.mu.Lock()
	r, ok := s.results[key]
	if !ok {
		r = &refreshed[T]{compute: compute, now: s.now, minAge: s.minAge, patient: s.patient}
		for other := range s.results {
			if len(s.results) < s.most {
				break
			}
			delete(s.results, other) // any: whoever asks for it again has it computed again
		}
		s.results[key] = r
	}
	s.mu.Unlock()
	return r.get(ctx, basis)
}
