package movie

import (
	"context"
	"time"
)

// statistics are the numbers about everything.
type statistics struct {
	catalogue catalogueStats
	ratings   totals
	asOf      time.Time // of the oldest
}

// statistics returns the numbers about everything. While one of the services cannot be reached, its last known numbers are
// answered, and the as-of time tells how old they are. The only errors are that nothing is known yet, and that the caller gave up.
func (s *Service) statistics(ctx context.Context) (statistics, error) {
	now := s.now()
	// Both loads start before the first is waited for.
	films, ratings := s.catalogueStats.Start(ctx, now, struct{}{}, nil), s.totals.Start(ctx, now, struct{}{}, nil)
	f := films.Wait(ctx)
	if f.Err != nil {
		return statistics{}, f.Err
	}
	r := ratings.Wait(ctx)
	if r.Err != nil {
		return statistics{}, r.Err
	}
	all := statistics{catalogue: f.Value, ratings: r.Value, asOf: f.Value.asOf}
	if r.Value.asOf.Before(all.asOf) {
		all.asOf = r.Value.asOf
	}
	return all, nil
}

// middle is the middle of the scale of ratings.
const middle = 5.5

// globalMean is the mean of all ratings, or the middle of the scale where it is not known or there are none. Only with load does it
// call the rating service.
func (s *Service) globalMean(ctx context.Context, load bool) float64 {
	var mean float64
	if e, ok := s.totals.Last(struct{}{}); ok {
		mean = e.Value.mean
	}
	if load {
		if r := s.totals.Get(ctx, s.now(), struct{}{}); r.Err == nil {
			mean = r.Value.mean
		}
	}
	if mean == 0 {
		return middle
	}
	return mean
}
