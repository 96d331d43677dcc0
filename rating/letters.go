package rating

import (
	"context"
	"log/slog"
	"sync/atomic"
	"time"
)

// Why a dead letter is dropped for good.
const (
	droppedForBytes   = "bytes"
	droppedForAge     = "age"
	droppedByOperator = "operator"
)

const (
	// lettersInterval is how often dead letters are measured, beside when much was added.
	lettersInterval = 30 * time.Second
	// dropAtOnce is how many dead letters one transaction drops, so that those who bury some do not wait long for it.
	dropAtOnce = 500
	// dropTimeout bounds one round of measuring and dropping.
	dropTimeout = time.Minute
)

// letterKeeper keeps the dead letters within bytes and age, whichever process buried them.
type letterKeeper struct {
	store   *store
	log     *slog.Logger
	now     func() time.Time
	metrics *letterMetrics
	bytes   int64
	age     time.Duration

	// added are the bytes buried by this process since the last measurement; much is told when they are worth another.
	added atomic.Int64
	much  chan struct{}
	// nearlyFull: that was logged.
	nearlyFull bool
	failed     saying
}

func newLetterKeeper(cfg Config, st *store, log *slog.Logger, now func() time.Time, m *letterMetrics) *letterKeeper {
	return &letterKeeper{
		store: st, log: log, now: now, metrics: m, bytes: int64(cfg.DeadLetterBytes), age: cfg.DeadLetterAge, much: make(chan struct{}, 1),
	}
}

// buried says that dead letters were added. The metrics know it at once; what was there before is put right by the next measurement.
func (k *letterKeeper) buried(count int, bytes int64) {
	if count == 0 {
		return
	}
	k.metrics.present.Add(float64(count))
	k.metrics.bytes.Add(float64(bytes))
	if k.added.Add(bytes) >= k.bytes/16 {
		k.soon()
	}
}

// soon asks for a measurement without waiting for the next.
func (k *letterKeeper) soon() {
	select {
	case k.much <- struct{}{}:
	default:
	}
}

// run measures and drops until ctx ends.
func (k *letterKeeper) run(ctx context.Context) {
	tick := time.NewTicker(lettersInterval)
	defer tick.Stop()
	for {
		round, cancel := context.WithTimeout(ctx, dropTimeout)
		if err := k.keep(round); err == nil {
			k.failed.over(k.log, "dead letters are kept within their bounds again")
		} else if ctx.Err() == nil {
			k.failed.say(k.log, slog.LevelWarn, "dead letters are not kept within their bounds now", err)
		}
		cancel()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-k.much:
		}
	}
}

// keep measures, and drops what is too old or too much, oldest first.
func (k *letterKeeper) keep(ctx context.Context) error {
	k.added.Store(0)
	count, bytes, err := k.store.measureLetters(ctx)
	if err != nil {
		return err
	}
	tell := func() {
		k.metrics.present.Set(float64(count))
		k.metrics.bytes.Set(float64(bytes))
	}
	tell()
	dropped := map[string]int64{}
	drop := func(reason string, before Micros, excess int64) (more bool, err error) {
		n, freed, err := k.store.dropOldest(ctx, before, excess, dropAtOnce)
		k.metrics.dropped.WithLabelValues(reason).Add(float64(n))
		dropped[reason] += n
		count, bytes = max(0, count-n), max(0, bytes-freed)
		tell()
		return n > 0, err
	}
	for more := true; more && err == nil; {
		more, err = drop(droppedForAge, ToMicros(k.now().Add(-k.age)), 0)
	}
	for more := true; more && err == nil && bytes > k.bytes; {
		more, err = drop(droppedForBytes, 0, bytes-k.bytes)
	}
	if n := dropped[droppedForAge] + dropped[droppedForBytes]; n > 0 {
		k.log.Warn("dead letters were dropped for good: they were older, or more, than is kept", "for_age", dropped[droppedForAge], "for_bytes", dropped[droppedForBytes],
			"rating.dead_letter_age", k.age, "rating.dead_letter_bytes", k.bytes, "left", count)
	}
	full := bytes > k.bytes/5*4
	if full && !k.nearlyFull {
		k.log.Warn("dead letters are near their bound: the oldest will be dropped for good; replay or drop them, or raise rating.dead_letter_bytes",
			"dead_letters", count, "bytes", bytes, "rating.dead_letter_bytes", k.bytes)
	}
	k.nearlyFull = full
	return err
}
