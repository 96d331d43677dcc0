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
	"movieexample.com/internal/telemetry"
)

// ingester turns runs of records into transactions. It knows nothing of Kafka: the consumer feeds it.
type ingester struct {
	store   *store
	log     *slog.Logger
	metrics *ingestMetrics
	// writers has a slot for each partition that may write at the same time. The others wait for a slot and not for a connection to
	// the database, so that there are always connections left for requests.
	writers chan struct{}
	lag     *lagTracker
	guard   *guard.Guard // nil guards too
	group   *group
	// refused is called with the number of new dead letters and their size in bytes.
	refused  func(count int, bytes int64)
	throttle telemetry.Throttle // while the database is unavailable

	mu     sync.Mutex
	next   map[partition]int64 // the next offset of each owned partition
	halted map[partition]halt  // owned partitions that are halted
}

// newIngester returns an ingester of which at most writers partitions write at the same time.
func newIngester(s *store, log *slog.Logger, m *ingestMetrics, writers int) *ingester {
	return &ingester{
		store: s, log: log, metrics: m, writers: make(chan struct{}, max(1, writers)), lag: m.lag, refused: func(int, int64) {},
		group: &group{store: s, gauge: m.foreignGroup},
		next:  make(map[partition]int64), halted: make(map[partition]halt),
	}
}

// fencedError says that the partition's stored offset is not the expected one.
type fencedError struct {
	partition
	expected, stored int64
}

func (e *fencedError) Error() string {
	return fmt.Sprintf("partition %s is at offset %d, not %d: another process ingested it", e.partition, e.stored, e.expected)
}

// startPartition takes ownership of a partition and returns the offset to read from, which is the database's and never Kafka's. A new partition
// starts at earliest.
func (in *ingester) startPartition(ctx context.Context, p partition, earliest int64) (int64, error) {
	next, known, err := in.store.offset(ctx, p)
	if err != nil {
		return 0, err
	}
	if !known {
		if next, err = in.store.begin(ctx, p, earliest); err != nil {
			return 0, err
		}
		in.log.Info("starting ingestion of a new partition", "partition", p.String(), "topic_id", p.TopicID, "offset", next)
	}
	in.own(p, next)
	return next, nil
}

// own takes ownership of a partition at next and ends its halt.
func (in *ingester) own(p partition, next int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.next[p] = next
	delete(in.halted, p)
	in.lag.moved(p, next)
}

// stop gives up a partition: another process may own it from now on.
func (in *ingester) stop(p partition) {
	in.mu.Lock()
	defer in.mu.Unlock()
	delete(in.next, p)
	delete(in.halted, p)
	in.lag.forget(p)
}

// halt halts an owned partition and logs why. The first reason stays.
func (in *ingester) halt(p partition, h halt) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if old, halted := in.halted[p]; halted {
		h = halt{reason: old.reason, lasting: old.lasting || h.lasting, known: old.known || h.known, recorded: old.recorded || h.recorded}
	} else {
		in.log.Error("ingestion of a partition is halted", "partition", p.String(), "topic_id", p.TopicID,
			"next_offset", in.next[p], "reason", h.reason)
	}
	in.halted[p] = h
	in.lag.setHalted(p, h.reason)
}

// halts returns the owned partitions that are halted.
func (in *ingester) halts() map[partition]halt {
	in.mu.Lock()
	defer in.mu.Unlock()
	return maps.Clone(in.halted)
}

// haltReason returns why an owned partition is halted; "" if it is not.
func (in *ingester) haltReason(p partition) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.halted[p].reason
}

// position returns the next offset of an owned partition.
func (in *ingester) position(p partition) (next int64, owned bool) {
	in.mu.Lock()
	defer in.mu.Unlock()
	next, owned = in.next[p]
	return next, owned
}

// errNotOwned says that the partition of the records was given up. They are not lost: the present owner reads them.
var errNotOwned = errors.New("the partition is not ours")

// haltError says that a partition must halt, because it must not skip a record.
type haltError struct {
	at     int64 // everything before is durable
	reason string
}

func (e *haltError) Error() string { return e.reason }

// records ingests a run of records of one partition, in the order of the log, and returns the partition's next offset. It returns
// only when the records are durable, when ctx ends, when the stored offset has moved (*fencedError: the caller seeks to it), when the
// partition must halt (*haltError), or when it was given up (errNotOwned).
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
		in.log.Warn("fenced; seeking to the stored offset", "partition", p.String(), "expected", fenced.expected, "stored", fenced.stored)
		in.metrics.fenced.Inc()
		next = fenced.stored
	} else if halted := (*haltError)(nil); errors.As(err, &halted) {
		next = halted.at
	} else if err != nil {
		return 0, err
	}
	in.mu.Lock()
	if _, owned := in.next[p]; owned {
		in.next[p] = next
		in.lag.moved(p, next)
	}
	in.mu.Unlock()
	if err == nil {
		in.metrics.batch(recs, done, time.Since(began))
		in.refused(done.refused, done.letters)
		in.logRefused(p, recs, done.refused)
	}
	return next, err
}

// logRefused logs dead letters once for a run of records, with the first as an example: a faulty producer sends many.
func (in *ingester) logRefused(p partition, recs []logRecord, refused int) {
	for _, r := range recs {
		if r.dead != nil {
			in.log.Warn("events were refused and kept as dead letters; 'movieexample dead-letters list' shows them",
				"partition", p.String(), "refused", refused, "of", len(recs),
				"first_offset", r.dead.Offset, "first_class", r.dead.Class, "first_reason", r.dead.Reason)
			return
		}
	}
}

// maxRefusals is how often the database must refuse a single record before it becomes a dead letter.
const maxRefusals = 3

// run ingests recs from start on, in one transaction if possible, and otherwise in halves. It returns the next offset and what happened
// to the events.
func (in *ingester) run(ctx context.Context, p partition, start int64, recs []logRecord) (next int64, done outcome, err error) {
	b := batchOf(p, start, recs)
	letters := recs[0].deadLetters()
	refused := 0
	var last outcome // of the last attempt that reached its commit, which may have succeeded
	for attempt := 0; ; attempt++ {
		done, cause, err := in.try(ctx, b)
		if err != nil {
			return 0, outcome{}, err
		}
		if done != (outcome{}) {
			last = done
		}
		if cause == nil {
			in.throttle.Recovered(in.log, "the database is available again; ingestion resumed", "partition", p.String(), "offset", start)
			return b.end, last, nil
		}
		in.metrics.retries.Inc()
		if refusal := (*refusedError)(nil); errors.As(cause, &refusal) {
			if len(recs) > 1 {
				in.log.Warn("the database refuses a batch; splitting it", "partition", p.String(), "offset", start, "records", len(recs), "error", cause)
				half := len(recs) / 2
				middle, done, err := in.run(ctx, p, start, recs[:half])
				if err != nil {
					return 0, outcome{}, err
				}
				next, more, err := in.run(ctx, p, middle, recs[half:])
				return next, done.and(more), err
			}
			if refused++; refused == maxRefusals {
				if len(letters) == 0 {
					return 0, outcome{}, &haltError{at: b.start, reason: fmt.Sprintf("the database refuses record %d and its dead letter (%v); no records were skipped. "+
						"Fix the cause, then run 'movieexample ingestion resume --topic %s --partition %d --from %d' to try again, or with --from %d to skip the record",
						recs[0].offset, cause, p.Topic, p.Number, b.start, b.end)}
				}
				in.log.Error("the database refuses a record; keeping it as a dead letter", "partition", p.String(), "offset", recs[0].offset, "error", cause)
				b = batch{partition: p, start: b.start, end: b.end, dead: []deadLetter{letters[0](cause)}}
				letters, refused = letters[1:], 0
				continue
			}
		}
		// Without a limit: what the database cannot take now must not become a dead letter, and must not be skipped.
		in.throttle.Error(in.log, slog.LevelWarn, "ingestion is waiting for the database; retrying", cause, "partition", p.String(), "offset", start, "attempt", attempt+1)
		if err := backoff(ctx, attempt); err != nil {
			return 0, outcome{}, err
		}
	}
}

// try makes one attempt. Without errors the batch is durable. After cause it can be tried again; err ends all attempts: ctx's error, or
// *fencedError.
func (in *ingester) try(ctx context.Context, b batch) (done outcome, cause, err error) {
	select {
	case in.writers <- struct{}{}:
	case <-ctx.Done():
		return done, nil, ctx.Err()
	}
	// Only during the attempt: waiting for the next one must not block other partitions.
	defer func() { <-in.writers }()
	if done, cause = in.store.ingest(ctx, b); cause == nil {
		return done, nil, nil
	}
	if ctx.Err() != nil {
		return done, nil, ctx.Err()
	}
	// The stored offset tells whether the transaction was committed.
	stored, known, err := in.store.offset(ctx, b.partition)
	switch {
	case err != nil:
		return done, fmt.Errorf("%w (after: %v)", err, cause), nil
	case !known:
		return done, fmt.Errorf("the database has no offset of partition %s any more; was it replaced? Restart the service: %w", b.partition, cause), nil
	case stored == b.end:
		return done, nil, nil // the commit of unknown outcome succeeded
	case stored != b.start:
		return done, nil, &fencedError{partition: b.partition, expected: b.start, stored: stored}
	}
	return done, cause, nil
}
