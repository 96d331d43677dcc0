package rating

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"movieexample.com/internal/guard"
)

// logRecord is one record of the log: decoded to a change, or refused.
type logRecord struct {
	// offset is the record's place; of a batch that could not be decoded, that of its last record.
	offset int64
	change Rating
	// arrives: the change has no time of its own, and gets one when it is first ingested.
	arrives bool
	// implausible says what is remarkable about its time, see events.Implausible.
	implausible string
	// dead is set where the record was refused.
	dead *deadLetter
	// bury makes a dead letter of a record that decoded, for the case that the database refuses it.
	bury func(class string, err error) deadLetter
	// marker: it is no event but the end of somebody's transaction. It only moves the offset.
	marker bool
}

// ingester turns runs of records into transactions. It knows nothing of Kafka: from_kafka.go feeds it.
type ingester struct {
	store   *store
	log     *slog.Logger
	metrics *ingestMetrics
	// writers has a place for each partition that may write at the same time. The others wait for it and not for a connection
	// to the database, so that there are always connections left for people.
	writers chan struct{}
	gaps    *gaps
	guard   *guard.Guard // nil guards too
	group   group
	// buried is told of new dead letters, and what they take in bytes.
	buried func(count int, bytes int64)
	waits  saying // for the database

	mu     sync.Mutex
	next   map[partition]int64 // where each owned partition goes on
	halted map[partition]halt  // owned partitions that stand still
}

// halt is why a partition stands still.
type halt struct {
	reason string
	// lasting: only an operator ends it; otherwise it ends when its cause has passed.
	lasting bool
	// known: the partition had been ingested under this topic id before.
	known bool
	// recorded: the database has it.
	recorded bool
}

// newIngester makes an ingester of which at most writers partitions write at the same time.
func newIngester(s *store, log *slog.Logger, m *ingestMetrics, writers int) *ingester {
	return &ingester{
		store: s, log: log, metrics: m, writers: make(chan struct{}, max(1, writers)), gaps: m.gaps, buried: func(int, int64) {},
		next: make(map[partition]int64), halted: make(map[partition]halt),
	}
}

// fencedError says that the partition goes on at another offset than expected.
type fencedError struct {
	partition
	expected, stored int64
}

func (e *fencedError) Error() string {
	return fmt.Sprintf("partition %s goes on at offset %d, not %d: another process ingested it", e.partition, e.stored, e.expected)
}

// start takes a partition over: it returns the offset to read from, which is the database's and never Kafka's. A
// partition that was never ingested begins at earliest.
func (in *ingester) start(ctx context.Context, p partition, earliest int64) (int64, error) {
	next, known, err := in.store.offset(ctx, p)
	if err != nil {
		return 0, err
	}
	if !known {
		if next, err = in.store.begin(ctx, p, earliest); err != nil {
			return 0, err
		}
		in.log.Info("ingestion of a new partition begins", "partition", p.String(), "topic_id", p.TopicID, "offset", next)
	}
	in.take(p, next)
	return next, nil
}

// take makes a partition ours, at next; it does not stand still.
func (in *ingester) take(p partition, next int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.next[p] = next
	delete(in.halted, p)
	in.gaps.moved(p, next)
}

// stop gives a partition up: another process may have it from now on.
func (in *ingester) stop(p partition) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.next, p)
	delete(in.halted, p)
	in.gaps.forget(p)
}

// halt makes an owned partition stand still and says why. The first reason stays.
func (in *ingester) halt(p partition, h halt) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if old, halted := in.halted[p]; halted {
		h = halt{reason: old.reason, lasting: old.lasting || h.lasting, known: old.known || h.known, recorded: old.recorded || h.recorded}
	} else {
		in.log.Error("ingestion of a partition stands still", "partition", p.String(), "topic_id", p.TopicID,
			"next_offset", in.next[p], "reason", h.reason)
	}
	in.halted[p] = h
	in.gaps.halted(p, h.reason)
}

// standing returns the owned partitions that stand still.
func (in *ingester) standing() map[partition]halt {
	in.mu.Lock()
	defer in.mu.Unlock()
	return maps.Clone(in.halted)
}

// haltedReason says why a partition stands still; "" while it runs, or is not ours.
func (in *ingester) haltedReason(p partition) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.halted[p].reason
}

// position returns where an owned partition goes on.
func (in *ingester) position(p partition) (next int64, owned bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	next, owned = in.next[p]
	return next, owned
}

// errNotOwned says that records came of a partition that was given up meanwhile. They are not lost: whoever has the
// partition now reads them.
var errNotOwned = errors.New("the partition is not ours")

// records ingests a run of records of one partition, in the order of the log, and returns the partition's next offset.
// It returns only when the records are durable, when ctx ends, when the partition turns out to be somewhere else
// (*fencedError: then the caller reads on from there), when it cannot go on (*haltError), or when it was given up (errNotOwned).
func (in *ingester) records(ctx context.Context, p partition, recs []logRecord) (int64, error) {
	start, owned := in.position(p)
	if !owned {
		return 0, errNotOwned
	}
	for len(recs) > 0 && recs[0].offset < start {
		recs = recs[1:] // read before a seek took effect
	}
	if len(recs) == 0 {
		return start, nil
	}
	began := time.Now()
	next, done, err := in.run(ctx, p, start, recs)
	if fenced := (*fencedError)(nil); errors.As(err, &fenced) {
		in.log.Warn("reading on where the database says", "partition", p.String(), "expected", fenced.expected, "stored", fenced.stored)
		in.metrics.fenced.Inc()
		next = fenced.stored
	} else if stuck := (*haltError)(nil); errors.As(err, &stuck) {
		next = stuck.at
	} else if err != nil {
		return 0, err
	}
	in.mu.Lock()
	if _, owned := in.next[p]; owned {
		in.next[p] = next
		in.gaps.moved(p, next)
	}
	in.mu.Unlock()
	if err == nil {
		in.metrics.batch(recs, done, time.Since(began))
		in.buried(done.refused, done.letters)
		in.report(p, recs, done.refused)
	}
	return next, err
}

// report tells the operator of dead letters, once for a run of records and with the first as an example: a producer that
// is wrong is wrong many times.
func (in *ingester) report(p partition, recs []logRecord, buried int) {
	for _, r := range recs {
		if r.dead != nil {
			in.log.Warn("events were refused and are dead letters now; 'movieexample dead-letters list' shows them",
				"partition", p.String(), "refused", buried, "of", len(recs),
				"first_offset", r.dead.Offset, "first_class", r.dead.Class, "first_reason", r.dead.Reason)
			return
		}
	}
}

// refusals is how often the database must refuse a single record before it is believed.
const refusals = 3

// outcome is what became of events.
type outcome struct {
	applied, superseded, repeated, refused int
	// letters are the bytes that their dead letters take.
	letters int64
}

func (o outcome) and(p outcome) outcome {
	return outcome{o.applied + p.applied, o.superseded + p.superseded, o.repeated + p.repeated, o.refused + p.refused, o.letters + p.letters}
}

// haltError says that a partition cannot go on, and must not skip what is in its way.
type haltError struct {
	at     int64 // where it stands: all before is durable
	reason string
}

func (e *haltError) Error() string { return e.reason }

// run ingests recs, which go on at start, in one transaction if that can be, in halves if not. It returns the next
// offset and what became of the events.
func (in *ingester) run(ctx context.Context, p partition, start int64, recs []logRecord) (next int64, done outcome, err error) {
	b := batch{partition: p, start: start, end: recs[len(recs)-1].offset + 1, changes: make([]Rating, 0, len(recs))}
	for _, r := range recs {
		switch {
		case r.dead != nil:
			b.dead = append(b.dead, *r.dead)
		case !r.marker:
			if r.arrives {
				b.arrivals = append(b.arrivals, arriving{change: len(b.changes), offset: r.offset})
			}
			b.changes = append(b.changes, r.change)
		}
	}
	graves := recs[0].graves()
	refused := 0
	var told outcome // of the last attempt that got that far, as its commit may have been the one
	for attempt := 0; ; attempt++ {
		done, cause, err := in.try(ctx, b)
		if err != nil {
			return 0, outcome{}, err
		}
		if done != (outcome{}) {
			told = done
		}
		if cause == nil {
			in.waits.over(in.log, "ingestion waited for the database, and goes on", "partition", p.String(), "offset", start)
			return b.end, told, nil
		}
		in.metrics.retries.Inc()
		if refusal := (*refusedError)(nil); errors.As(cause, &refusal) {
			if len(recs) > 1 {
				in.log.Warn("halving a batch that the database refuses", "partition", p.String(), "offset", start, "records", len(recs), "error", cause)
				half := len(recs) / 2
				middle, done, err := in.run(ctx, p, start, recs[:half])
				if err != nil {
					return 0, outcome{}, err
				}
				next, more, err := in.run(ctx, p, middle, recs[half:])
				return next, done.and(more), err
			}
			if refused++; refused == refusals {
				if len(graves) == 0 {
					return 0, outcome{}, &haltError{at: b.start, reason: fmt.Sprintf("the database refuses record %d, and to keep it as a dead letter as well (%v); nothing was skipped. "+
						"Find out why, then 'movieexample ingestion resume --topic %s --partition %d --from %d' to try again, or --from %d to give it up",
						recs[0].offset, cause, p.Topic, p.Number, b.start, b.end)}
				}
				in.log.Error("burying a record that the database refuses", "partition", p.String(), "offset", recs[0].offset, "error", cause)
				b = batch{partition: p, start: b.start, end: b.end, dead: []deadLetter{graves[0](cause)}}
				graves, refused = graves[1:], 0
				continue
			}
		}
		// For ever: what the database cannot take now must not become a dead letter, and must not be skipped.
		in.waits.say(in.log, slog.LevelWarn, "ingestion waits for the database, and goes on by itself", cause, "partition", p.String(), "offset", start, "attempt", attempt+1)
		if err := backoff(ctx, attempt); err != nil {
			return 0, outcome{}, err
		}
	}
}

// graves are the dead letters to try for a record that the database refuses, one after the other: with all that is known of it,
// and with nothing of the sender's but the class. A letter that says less is better than a partition that does not go on.
func (r *logRecord) graves() []func(cause error) deadLetter {
	whole := func(cause error) deadLetter { return r.bury(classStoreRefused, cause) }
	reduced := func(cause error) deadLetter {
		var d deadLetter
		if r.dead != nil {
			d = *r.dead
		} else {
			d = r.bury(classStoreRefused, cause)
		}
		return d.reduced(cause)
	}
	switch {
	case r.marker:
		return nil
	case r.dead != nil:
		return []func(error) deadLetter{reduced} // whole it was refused already
	}
	return []func(error) deadLetter{whole, reduced}
}

// try makes one attempt. Without errors the batch is durable. cause is why it was not, and can be tried again; err ends
// all attempts: ctx's error, or *fencedError.
func (in *ingester) try(ctx context.Context, b batch) (done outcome, cause, err error) {
	select {
	case in.writers <- struct{}{}:
	case <-ctx.Done():
		return done, nil, ctx.Err()
	}
	// Only for the attempt: whoever waits before the next one shall not keep others from theirs.
	defer func() { <-in.writers }()
	if done, cause = in.store.ingest(ctx, b); cause == nil {
		return done, nil, nil
	}
	if ctx.Err() != nil {
		return done, nil, ctx.Err()
	}
	// Whatever happened, the database knows where the partition is.
	stored, known, err := in.store.offset(ctx, b.partition)
	switch {
	case err != nil:
		return done, fmt.Errorf("%w (after: %v)", err, cause), nil
	case !known:
		return done, fmt.Errorf("the database has lost where partition %s goes on; was it replaced? Restart the service: %w", b.partition, cause), nil
	case stored == b.end:
		return done, nil, nil // a commit of unknown outcome took place
	case stored != b.start:
		return done, nil, &fencedError{partition: b.partition, expected: b.start, stored: stored}
	}
	return done, cause, nil
}
