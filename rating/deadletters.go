package rating

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"

	"movieexample.com/internal/telemetry"
)

const (
	// deadLettersInterval is how often dead letters are measured, besides after many were added.
	deadLettersInterval = 30 * time.Second
	// dropAtOnce is how many dead letters one transaction drops, so that writers of dead letters do not wait long.
	dropAtOnce = 500
	// dropTimeout bounds one round of measuring and dropping.
	dropTimeout = time.Minute
)

// deadLetters lists, replays and drops dead letters, and keeps those of all processes within their bounds.
type deadLetters struct {
	store   *store
	log     *slog.Logger
	metrics *deadLetterMetrics
	bytes   int64
	age     time.Duration

	// unmeasured are the bytes that this process added since the last measurement; many is sent when they are worth another.
	unmeasured atomic.Int64
	many       chan struct{}
	// nearlyFull: that was logged.
	nearlyFull bool
	throttle   telemetry.Throttle
}

func newDeadLetters(cfg Config, s *store, log *slog.Logger, m *deadLetterMetrics) *deadLetters {
	return &deadLetters{store: s, log: log, metrics: m, bytes: int64(cfg.DeadLetterBytes), age: cfg.DeadLetterAge, many: make(chan struct{}, 1)}
}

// listDead returns up to limit dead letters after place, oldest first, and how many there are; more says that there are more.
func (k *deadLetters) listDead(ctx context.Context, place *deadPlace, limit int) (page []deadLetter, more bool, total int64, err error) {
	if page, more, err = k.store.deadLetters(ctx, place, limit); err == nil {
		total, err = k.store.countDeadLetters(ctx)
	}
	return page, more, total, err
}

// refusal says why a dead letter was not replayed.
type refusal struct {
	id    string
	cause error
}

// replayDead applies the dead letters that are good now, and returns how many those were and why the others are not.
func (k *deadLetters) replayDead(ctx context.Context, ids []string) (replayed int64, refused []refusal, err error) {
	for _, id := range ids {
		cause, err := k.store.replay(ctx, id, func(d deadLetter) (Rating, bool, error) { return redecode(d, k.store.now()) })
		switch {
		case err != nil:
			return 0, nil, err
		case cause != nil:
			refused = append(refused, refusal{id, cause})
		default:
			replayed++
		}
	}
	k.measureSoon()
	k.log.InfoContext(ctx, "dead letters replayed", "replayed", replayed, "still_refused", len(refused))
	return replayed, refused, nil
}

// dropDead deletes dead letters, and returns how many there were.
func (k *deadLetters) dropDead(ctx context.Context, ids []string) (int64, error) {
	n, err := k.store.drop(ctx, ids)
	if err != nil {
		return 0, err
	}
	k.metrics.dropped.WithLabelValues(droppedByOperator).Add(float64(n))
	k.measureSoon()
	k.log.InfoContext(ctx, "dead letters dropped", "dropped", n)
	return n, nil
}

// added takes note of new dead letters. The metrics count them at once; the next measurement corrects the metrics.
func (k *deadLetters) added(count int, bytes int64) {
	if count == 0 {
		return
	}
	k.metrics.present.Add(float64(count))
	k.metrics.bytes.Add(float64(bytes))
	if k.unmeasured.Add(bytes) >= k.bytes/16 {
		k.measureSoon()
	}
}

// measureSoon starts a measurement without waiting for the next interval.
func (k *deadLetters) measureSoon() {
	select {
	case k.many <- struct{}{}:
	default:
	}
}

// run measures and drops dead letters until ctx ends.
func (k *deadLetters) run(ctx context.Context) error {
	tick := time.NewTicker(deadLettersInterval)
	defer tick.Stop()
	for {
		round, cancel := context.WithTimeout(ctx, dropTimeout)
		if err := k.enforce(round); err == nil {
			k.throttle.Recovered(k.log, "dead letters are within their bounds again")
		} else if ctx.Err() == nil {
			k.throttle.Error(k.log, slog.LevelWarn, "enforcing the bounds of the dead letters failed; retrying", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		case <-k.many:
		}
	}
}

// enforce measures the dead letters, and drops those that are too old or too many, oldest first.
func (k *deadLetters) enforce(ctx context.Context) error {
	k.unmeasured.Store(0)
	count, bytes, err := k.store.measureLetters(ctx)
	if err != nil {
		return err
	}
	show := func() {
		k.metrics.present.Set(float64(count))
		k.metrics.bytes.Set(float64(bytes))
	}
	show()
	dropped := map[string]int64{}
	drop := func(reason string, before Micros, excess int64) (more bool, err error) {
		n, freed, err := k.store.dropOldest(ctx, before, excess, dropAtOnce)
		k.metrics.dropped.WithLabelValues(reason).Add(float64(n))
		dropped[reason] += n
		count, bytes = max(0, count-n), max(0, bytes-freed)
		show()
		return n > 0, err
	}
	for more := true; more && err == nil; {
		more, err = drop(droppedForAge, ToMicros(k.store.now().Add(-k.age)), 0)
	}
	for more := true; more && err == nil && bytes > k.bytes; {
		more, err = drop(droppedForBytes, 0, bytes-k.bytes)
	}
	if n := dropped[droppedForAge] + dropped[droppedForBytes]; n > 0 {
		k.log.Warn("dead letters exceeded their bounds; the oldest were dropped", "for_age", dropped[droppedForAge], "for_bytes", dropped[droppedForBytes],
			"rating.dead_letter_age", k.age, "rating.dead_letter_bytes", k.bytes, "left", count)
	}
	full := bytes > k.bytes/5*4
	if full && !k.nearlyFull {
		k.log.Warn("dead letters are near their bound, beyond which the oldest are dropped; replay or drop them, or raise rating.dead_letter_bytes",
			"dead_letters", count, "bytes", bytes, "rating.dead_letter_bytes", k.bytes)
	}
	k.nearlyFull = full
	return err
}
