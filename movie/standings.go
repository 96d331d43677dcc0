package movie

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/maypok86/otter/v2"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/telemetry"
)

// standings gives every film a standing, whatever state the rating service is in.
type standings struct {
	ratings ratings
	fresh   *flights[string, *Standing]
	known   *otter.Cache[string, *Standing] // the last that had a summary, for when the rating service is down
	ttl     time.Duration
	ahead   ahead
	circuit *circuit
	logger  *slog.Logger
	lines   telemetry.Throttle // of answers that help no viewer
	now     func() time.Time
}

func newStandings(cfg Config, from ratings, logger *slog.Logger, b *background, now func() time.Time) (*standings, error) {
	s := &standings{ratings: from, ttl: cfg.RatingTTL, ahead: ahead{background: b}, logger: logger, now: orReal(now)}
	var err error
	if s.known, err = open[string, *Standing](store{size: cfg.StaleSize, ttl: cfg.RatingStaleFor, now: now}); err != nil {
		return nil, err
	}
	s.fresh, err = newFlights[string](store{size: cfg.CacheSize, ttl: 2 * cfg.RatingTTL, now: now, background: b}, cfg.RatingTimeout,
		rules[*Standing]{
			good: func(k *kept[*Standing], now moment) bool {
				return now.within(k.read, cfg.RatingTTL) && !now.tooEarly(k.read)
			},
			join: func(read, now moment) bool { return !now.tooEarly(read) },
		})
	s.fresh.gatherWith(s.load, s.loadAll)
	s.circuit = &circuit{pause: cfg.RatingRetryAfter, now: s.now}
	return s, err
}

func (s *standings) close() {
	s.fresh.close()
	s.known.StopAllGoroutines()
}

// errResting keeps callers away from a rating service that could not be reached a moment ago.
var errResting = errors.New("the rating service could not be reached a moment ago")

// load makes the one call for a film that is asked for by itself.
func (s *standings) load(ctx context.Context, id string) (*Standing, error) {
	if !s.circuit.allow() {
		return nil, errResting
	}
	began := s.now()
	standing, err := s.ratings.standing(ctx, id)
	s.observe(ctx, err)
	if err != nil {
		return nil, err
	}
	s.remember(id, standing, began)
	return standing, nil
}

// loadAll makes the one call for films that are asked for together.
func (s *standings) loadAll(ctx context.Context, ids []string) (map[string]*Standing, error) {
	if !s.circuit.allow() {
		return nil, errResting
	}
	began := s.now()
	found, err := s.ratings.standings(ctx, ids)
	s.observe(ctx, err)
	if err != nil {
		return nil, err
	}
	for _, id := range ids {
		standing, ok := found[id]
		if !ok {
			standing = &Standing{Status: Unrated}
			found[id] = standing
		}
		s.remember(id, standing, began)
	}
	return found, nil
}

// join returns the call for a film that is under way, or starts one.
func (s *standings) join(ctx context.Context, now moment, id string) *flight[*Standing] {
	if s.circuit.isOpen() {
		return s.fresh.join(ctx, now, id, s.load) // nobody waits for the probe, who asks for another film
	}
	return s.fresh.joinGathered(ctx, now, id)
}

// look returns a standing that may be used now. Once it is half as old as it may become, it is read again while it is still used, so
// that of the films which are asked for all the time nobody has to wait for one.
func (s *standings) look(now moment, id string) (*Standing, bool) {
	k, ok := s.fresh.entry(now, id)
	if !ok {
		return nil, false
	}
	if !now.within(k.read, s.ttl/2) && !k.due.Load() && k.due.CompareAndSwap(false, true) {
		s.ahead.add(id, s.readAgain)
	}
	return k.value, true
}

// readAgain reads standings anew and returns when they are there, or the rating service did not give them.
func (s *standings) readAgain(ctx context.Context, ids []string) {
	for _, call := range s.fresh.again(ctx, moment{at: s.now()}, ids, s.loadAll) {
		<-call.done
	}
}

// patience leaves a caller time to do without the ratings. The call itself ends after its timeout, and its end is worth waiting
// for, because the circuit knows of it then: only a caller with less time goes before.
func patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return hop(ctx, time.Minute)
}

// settle waits for the call and falls back to what is known. The only error is that the caller itself gave up.
func (s *standings) settle(ctx context.Context, id string, call *flight[*Standing]) (*Standing, error) {
	bounded, cancel := patience(ctx)
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
func (s *standings) one(ctx context.Context, now moment, id string) (*Standing, error) {
	if standing, ok := s.look(now, id); ok {
		return standing, nil
	}
	return s.settle(ctx, id, s.join(ctx, now, id))
}

// many returns the standing of each id: what is not known is asked for with one call. The only error is that the caller
// itself gave up.
func (s *standings) many(ctx context.Context, now moment, ids []string) ([]*Standing, error) {
	all := make([]*Standing, len(ids))
	var missing []string
	var at []int // their places in all
	for i, id := range ids {
		standing, ok := s.look(now, id)
		if !ok {
			missing, at = append(missing, id), append(at, i)
			continue
		}
		all[i] = standing
	}
	if len(missing) == 0 {
		return all, nil
	}
	bounded, cancel := patience(ctx)
	defer cancel()
	for i, call := range s.fresh.joinAll(ctx, now, missing, s.loadAll) {
		standing, err := call.wait(bounded)
		if err != nil {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			standing = s.fallback(missing[i])
		}
		all[at[i]] = standing
	}
	return all, nil
}

// observe tells the circuit how a call went.
func (s *standings) observe(ctx context.Context, err error) {
	if err == nil {
		if s.circuit.succeeded() {
			s.logger.InfoContext(ctx, "rating service is back")
		}
		return
	}
	switch fault.KindOf(err) {
	case fault.KindCanceled:
	case fault.KindDeadline, fault.KindUnavailable:
		if s.circuit.failed() {
			s.logger.WarnContext(ctx, "rating service cannot be reached, movies are answered without fresh ratings", "error", err)
		}
	default:
		// It answers, so it is worth asking again; but this answer helps no viewer.
		if skipped, ok := s.lines.TakeRepeated(time.Now()); ok {
			s.logger.ErrorContext(ctx, "read rating summary", "error", err, "suppressed", skipped)
		}
	}
}

// remember keeps the standing, which was asked for at began, for the time when the rating service is down. Answers may overtake each
// other: the newest stays.
func (s *standings) remember(id string, standing *Standing, began time.Time) {
	asOf := began
	if standing.Summary != nil {
		asOf = standing.Summary.AsOf
	}
	s.known.Compute(id, func(old *Standing, found bool) (*Standing, otter.ComputeOp) {
		switch {
		case found && old.Summary.AsOf.After(asOf):
			return old, otter.CancelOp
		case standing.Summary == nil:
			return nil, otter.InvalidateOp
		}
		return standing, otter.WriteOp
	})
}

// fallback is the standing of a film while the rating service cannot be reached.
func (s *standings) fallback(id string) *Standing {
	if known, ok := s.known.GetIfPresent(id); ok {
		return &Standing{Summary: known.Summary, Status: Stale}
	}
	return &Standing{Status: Unavailable}
}
