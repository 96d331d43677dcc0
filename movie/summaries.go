package movie

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/telemetry"
)

// summaries gives every film a rating, whatever state the rating service is in.
type summaries struct {
	*cache.Cache[string, *Rating, readView]
	ratings ratings
	batcher cache.Batcher[string, *Rating]
	ttl     time.Duration
	breaker *cache.Breaker
	logger  *slog.Logger
	lines   telemetry.Throttle // of errors that are no outage
	now     func() time.Time
}

func newSummaries(g *cache.Group, spec cache.Spec, cfg Config, from ratings, logger *slog.Logger) (*summaries, error) {
	s := &summaries{
		ratings: from, ttl: cfg.RatingTTL, breaker: cache.NewBreaker(cfg.RatingRetryAfter, g.Now), logger: logger, now: g.Now,
	}
	unrated := func(string) (*Rating, error) { return &Rating{Status: Unrated}, nil }
	s.batcher = cache.Batcher[string, *Rating]{One: s.loadOne, Many: s.loadAll, Missing: unrated}
	var err error
	s.Cache, err = cache.New(g, spec, cache.Options[string, *Rating, readView]{
		Fresh: func(e *entry[*Rating], now readView) bool {
			return now.within(e.Read, cfg.RatingTTL) && now.ratingsMeet(e.Read)
		},
		// Requests for films that are read all the time wait for no summary.
		RefreshDue:      func(e *entry[*Rating], now readView) bool { return !now.within(e.Read, cfg.RatingTTL/2) },
		RefreshTogether: true,
		Stamp:           func() readView { return readView{at: s.now()} },
		Join:            func(read, now readView) bool { return now.ratingsMeet(read) },
		Keep:            cfg.RatingStaleFor,
		Load:            s.load,
		LoadAll:         s.loadAll,
		Missing:         unrated,
		Timeout:         cfg.RatingTimeout,
		// A load ends after its timeout, and its end is worth waiting for, because it opens the breaker: only a caller with less
		// time leaves before.
		Source: cache.Source{Patience: time.Minute, Away: func(error) bool { return true }},
	})
	return s, err
}

// errResting keeps callers away from a rating service that could not be reached a moment ago.
var errResting = errors.New("the rating service could not be reached a moment ago")

// load loads the summary of a film, alone or with others. While the service is down, others do not wait for the probe.
func (s *summaries) load(ctx context.Context, id string) (*Rating, error) {
	if s.breaker.IsOpen() {
		return s.loadOne(ctx, id)
	}
	return s.batcher.Load(ctx, id)
}

func (s *summaries) loadOne(ctx context.Context, id string) (*Rating, error) {
	if !s.breaker.Allow() {
		return nil, errResting
	}
	rating, err := s.ratings.summary(ctx, id)
	s.observe(ctx, err)
	return rating, err
}

func (s *summaries) loadAll(ctx context.Context, ids []string) (map[string]*Rating, error) {
	if !s.breaker.Allow() {
		return nil, errResting
	}
	found, err := s.ratings.batch(ctx, ids)
	s.observe(ctx, err)
	return found, err
}

// observe tells the breaker the result of a call.
func (s *summaries) observe(ctx context.Context, err error) {
	if err == nil {
		if s.breaker.Succeeded() {
			s.logger.InfoContext(ctx, "rating service is back")
		}
		return
	}
	switch fault.KindOf(err) {
	case fault.KindCanceled:
	case fault.KindDeadline, fault.KindUnavailable:
		if s.breaker.Failed() {
			s.logger.WarnContext(ctx, "rating service cannot be reached, movies are answered without fresh ratings", "error", err)
		}
	default:
		// The service answers, so it is worth asking again.
		if skipped, ok := s.lines.TakeRepeated(time.Now()); ok {
			s.logger.ErrorContext(ctx, "read rating summary", "error", err, "suppressed", skipped)
		}
	}
}

// rating is what a film is answered with. The only error is that the caller gave up.
func (s *summaries) rating(ctx context.Context, r cache.Result[*Rating, readView]) (*Rating, error) {
	switch {
	case r.Err != nil && ctx.Err() != nil:
		return nil, ctx.Err()
	case r.Err != nil, r.Stale && r.Value.Summary == nil:
		return &Rating{Status: Unavailable}, nil
	case r.Stale:
		return &Rating{Summary: r.Value.Summary, Status: Stale}, nil
	}
	return r.Value, nil
}

// many returns the rating of each film, with one call for all that are not fresh.
func (s *summaries) many(ctx context.Context, now readView, ids []string) ([]*Rating, error) {
	all := make([]*Rating, len(ids))
	for i, r := range s.GetAll(ctx, now, ids) {
		var err error
		if all[i], err = s.rating(ctx, r); err != nil {
			return nil, err
		}
	}
	return all, nil
}

// remember keeps a summary that came with a chart, for when the rating service is down. It may be seconds old, so that it
// is never fresh, and does not replace one that is newer or may still be.
func (s *summaries) remember(id string, rating *Rating) {
	s.Replace(id, rating, func(old *entry[*Rating]) (readView, bool) {
		if old == nil {
			return readView{}, true
		}
		asOf := old.Read.at
		if old.Value.Summary != nil {
			asOf = old.Value.Summary.AsOf
		}
		return readView{}, s.now().Sub(old.Read.at) > s.ttl && asOf.Before(rating.Summary.AsOf)
	})
}
