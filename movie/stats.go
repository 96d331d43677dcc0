package movie

import (
	"context"
	"errors"
	"sync"
	"time"
)

// statsTTL is how long numbers about everything are kept.
const statsTTL = time.Second

// stats keeps the numbers about the whole catalogue and all ratings.
type stats struct {
	films   *latest[catalogueStats]
	ratings *latest[totals]
}

func newStats(cfg Config, c catalogue, r ratings, b *background, now func() time.Time) (*stats, error) {
	s := &stats{}
	var errs [2]error
	s.films, errs[0] = newLatest(now, b, cfg.MetadataTimeout, c.stats, lateMetadata)
	s.ratings, errs[1] = newLatest(now, b, cfg.ChartTimeout, r.totals, fromRating)
	return s, errors.Join(errs[:]...)
}

func (s *stats) close() {
	s.films.calls.close()
	s.ratings.calls.close()
}

// latest is a number, or a few, that costs a call: made at most once per statsTTL, and one at a time. When the call fails, the last
// that is known stands in, however old: it carries the time it is from, and whoever shows it can say so.
type latest[V any] struct {
	calls   *flights[struct{}, V]
	load    func(context.Context) (V, error)
	timeout time.Duration
	late    func(error) error
	now     func() time.Time

	mu    sync.Mutex
	last  V
	known bool
}

func newLatest[V any](now func() time.Time, b *background, timeout time.Duration, load func(context.Context) (V, error), late func(error) error) (*latest[V], error) {
	calls, err := newFlights[struct{}](store{size: 1, ttl: statsTTL, now: now, background: b}, timeout, rules[V]{good: youngerThan[V](statsTTL)})
	return &latest[V]{calls: calls, load: load, timeout: timeout, late: late, now: orReal(now)}, err
}

// start returns the call under way, or one that has ended where nothing needs to be asked.
func (l *latest[V]) start(ctx context.Context) *flight[V] {
	return l.calls.join(ctx, moment{at: l.now()}, struct{}{}, func(ctx context.Context, _ struct{}) (V, error) {
		v, err := l.load(ctx)
		if err == nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.last, l.known = v, true
		}
		return v, err
	})
}

// wait returns what the call brings, or the last known.
func (l *latest[V]) wait(ctx context.Context, call *flight[V]) (V, error) {
	v, err := await(ctx, call, l.timeout, l.late)
	if err == nil || ctx.Err() != nil {
		return v, err
	}
	if last, known := l.peek(); known {
		return last, nil
	}
	return v, err
}

// peek returns the last known, however old, without a call.
func (l *latest[V]) peek() (V, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last, l.known
}

// statistics are the numbers about everything.
type statistics struct {
	catalogue catalogueStats
	ratings   totals
	asOf      time.Time // of the oldest
}

// statistics returns the numbers about everything. Where one of the services cannot be reached, its last known numbers stand
// in, and the as-of time tells how old they are: a page that shows an hour-old count and says so is worth more than none.
// The only errors are that nothing is known yet, and that the caller gave up.
func (s *Service) statistics(ctx context.Context) (statistics, error) {
	// Both are asked before either is waited for.
	filmsCall, ratingsCall := s.stats.films.start(ctx), s.stats.ratings.start(ctx)
	films, err := s.stats.films.wait(ctx, filmsCall)
	if err != nil {
		return statistics{}, err
	}
	ratings, err := s.stats.ratings.wait(ctx, ratingsCall)
	if err != nil {
		return statistics{}, err
	}
	all := statistics{catalogue: films, ratings: ratings, asOf: films.asOf}
	if ratings.asOf.Before(all.asOf) {
		all.asOf = ratings.asOf
	}
	return all, nil
}
