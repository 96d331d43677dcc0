package cache

import (
	"context"
	"time"
)

const (
	// costShare is how many times its cost a result is used, so that computing takes at most a twentieth of a core however large
	// the data grows.
	costShare = 20
	// quick is the cost up to which readers wait for a new result rather than take the old one.
	quick = 100 * time.Millisecond
	// sameBasis is how many times longer a result is used while its basis is the same.
	sameBasis = 10
	// computeTimeout bounds a computation.
	computeTimeout = time.Minute
)

// ResultOptions tune a result cache.
type ResultOptions struct {
	// MinAge is how long a result is used at least.
	MinAge time.Duration
	// AlwaysWait has readers wait for a new result where computing is slow, too.
	AlwaysWait bool
	// Patience bounds that wait for readers who could have the old result; 0: only their context does.
	Patience time.Duration
}

// Results caches the results of computations. A result is computed again when it is read and older than MinAge, or than twenty times
// its cost if that is longer. Where computing is quick, readers wait for the new result; where it is slow, they are served the
// old one meanwhile, up to ten times that age. If the computation fails, or a reader's time is over, the old result is served.
type Results[K comparable, V any] struct {
	ResultOptions
	cache *Cache[K, V, resultStamp]
}

// resultStamp is when a computation began, and a comparable value that tells whether the result would be another one, such as a
// count of the rows behind it; nil tells nothing.
type resultStamp struct {
	at    time.Time
	basis any
}

// NewResults returns a result cache of the group.
func NewResults[K comparable, V any](g *Group, spec Spec, o ResultOptions) (*Results[K, V], error) {
	r := &Results[K, V]{ResultOptions: o}
	var err error
	r.cache, err = New(g, spec, Options[K, V, resultStamp]{Fresh: r.fresh, RefreshDue: r.due, Timeout: computeTimeout})
	return r, err
}

// age returns the age of a result, and up to which it is current.
func (r *Results[K, V]) age(e *Entry[V, resultStamp], now resultStamp) (age, most time.Duration) {
	most = max(r.MinAge, costShare*e.Took)
	if now.basis != nil && now.basis == e.Read.basis {
		// Not forever: changes may cancel out in the basis but not in the result.
		most *= sameBasis
	}
	return now.at.Sub(e.Read.at), most
}

func (r *Results[K, V]) due(e *Entry[V, resultStamp], now resultStamp) bool {
	age, most := r.age(e, now)
	return age < 0 || age >= most
}

func (r *Results[K, V]) fresh(e *Entry[V, resultStamp], now resultStamp) bool {
	age, most := r.age(e, now)
	return !r.due(e, now) || !r.AlwaysWait && e.Took > quick && age < 10*most
}

// Get returns the result for key. basis is a comparable value from before the call that changes when the result does; nil if there is
// none. While it is the same, the result is used ten times longer.
func (r *Results[K, V]) Get(ctx context.Context, key K, basis any, compute func(context.Context) (V, error)) (V, error) {
	p := r.cache.Start(ctx, resultStamp{r.cache.group.Now(), basis}, key, func(ctx context.Context, _ K) (V, error) { return compute(ctx) })
	if r.Patience > 0 && p.call != nil {
		if _, have := r.cache.Last(key); have {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, r.Patience)
			defer cancel()
		}
	}
	result := p.Wait(ctx)
	if result.Err != nil {
		if last, ok := r.cache.Last(key); ok {
			return r.cache.lastKnown(last).Value, nil
		}
	}
	return result.Value, result.Err
}
