package movie

import (
	"context"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"movieexample.com/internal/fault"
)

// standings gives every film a standing, whatever state the rating service is in.
type standings struct {
	ratings ratings
	fresh   *flights[*Standing]
	known   *otter.Cache[string, *Standing] // the last that had a summary, for when the rating service is down
	circuit *circuit
	timeout time.Duration
	logger  *slog.Logger
}

func newStandings(cfg Config, from ratings, logger *slog.Logger, now func() time.Time) (*standings, error) {
	s := &standings{ratings: from, timeout: cfg.RatingTimeout, logger: logger}
	var err error
	if s.known, err = open[*Standing](store{size: cfg.StaleSize, ttl: cfg.RatingStaleFor, now: now}); err != nil {
		return nil, err
	}
	s.fresh, err = newFlights(store{size: cfg.CacheSize, ttl: cfg.RatingTTL, now: now}, cfg.RatingTimeout, s.load)
	if now == nil {
		now = time.Now
	}
	s.circuit = &circuit{pause: cfg.RatingRetryAfter, now: now}
	return s, err
}

func (s *standings) close() {
	s.fresh.close()
	s.known.StopAllGoroutines()
}

// load makes the one call for a film that is asked for by itself.
func (s *standings) load(ctx context.Context, id string) (*Standing, error) {
	if !s.circuit.allow() {
		return nil, fault.Unavailable(nil, "the rating service was not reachable a moment ago")
	}
	standing, err := s.ratings.standing(ctx, id)
	s.observe(ctx, err, true)
	if err != nil {
		return nil, err
	}
	s.remember(id, standing)
	return standing, nil
}

// settle waits for the call and falls back to what is known. The only error is that the caller itself gave up.
func (s *standings) settle(ctx context.Context, id string, call *flight[*Standing]) (*Standing, error) {
	bounded, cancel := hop(ctx, s.timeout)
	defer cancel()
	standing, err := call.wait(bounded)
	if err == nil {
		return standing, nil
	}
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return s.fallback(id), nil
}

// one returns a film's standing.
func (s *standings) one(ctx context.Context, id string) (*Standing, error) {
	if standing, ok := s.fresh.fresh(id); ok {
		return standing, nil
	}
	return s.settle(ctx, id, s.fresh.join(ctx, id))
}

// many returns the standing of each id with one call. The only error is that the caller itself gave up.
func (s *standings) many(ctx context.Context, ids []string) (map[string]*Standing, error) {
	all := make(map[string]*Standing, len(ids))
	if len(ids) == 0 {
		return all, nil
	}
	if s.circuit.allow() {
		bounded, cancel := hop(ctx, s.timeout)
		defer cancel()
		deadline, _ := bounded.Deadline()
		whole := time.Until(deadline) > s.timeout*9/10
		found, err := s.ratings.standings(bounded, ids)
		s.observe(ctx, err, whole)
		if err == nil {
			for _, id := range ids {
				standing, ok := found[id]
				if !ok {
					standing = &Standing{Status: Unrated}
				}
				s.remember(id, standing)
				all[id] = standing
			}
			return all, nil
		}
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
	}
	for _, id := range ids {
		all[id] = s.fallback(id)
	}
	return all, nil
}

// observe tells the circuit how a call went. A call that ended early because its caller had little time left
// (whole is false then) says nothing about the service.
func (s *standings) observe(ctx context.Context, err error, whole bool) {
	if err == nil {
		if s.circuit.succeeded() {
			s.logger.InfoContext(ctx, "rating service is back")
		}
		return
	}
	switch fault.KindOf(err) {
	case fault.KindCanceled:
	case fault.KindDeadline:
		if !whole {
			return
		}
		fallthrough
	case fault.KindUnavailable:
		if s.circuit.failed() {
			s.logger.WarnContext(ctx, "rating service cannot be reached, movies are answered without fresh ratings", "error", err)
		}
	default:
		// It answers, so it is worth asking again; but this answer helps no viewer.
		s.logger.ErrorContext(ctx, "read rating summary", "error", err)
	}
}

// remember keeps the standing for the time when the rating service is down. Answers may overtake each other: the newest stays.
func (s *standings) remember(id string, standing *Standing) {
	if standing.Summary == nil {
		s.known.Invalidate(id)
		return
	}
	if old, ok := s.known.GetIfPresent(id); ok && old.Summary.AsOf.After(standing.Summary.AsOf) {
		return
	}
	s.known.Set(id, standing)
}

// fallback is the standing of a film while the rating service cannot be reached.
func (s *standings) fallback(id string) *Standing {
	if known, ok := s.known.GetIfPresent(id); ok {
		return &Standing{Summary: known.Summary, Status: Stale}
	}
	return &Standing{Status: Unavailable}
}
