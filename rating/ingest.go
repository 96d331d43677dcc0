package rating

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"movieexample.com/internal/sqldb"
)

// logRecord is one record of the log: decoded to a change, or refused.
type logRecord struct {
	offset int64
	change Rating
	// dead is set where the record was refused.
	dead *deadLetter
	// bury makes a dead letter of a record that decoded, for the case that the database refuses it.
	bury func(class string, err error) deadLetter
}

// ingester turns runs of records into transactions. It knows nothing of Kafka: from_kafka.go feeds it.
type ingester struct {
	store   *store
	log     *slog.Logger
	metrics *ingestMetrics

	mu     sync.Mutex
	next   map[partition]int64  // where each owned partition goes on
	halted map[partition]string // why a partition stands still
}

func newIngester(s *store, log *slog.Logger, m *ingestMetrics) *ingester {
	return &ingester{store: s, log: log, metrics: m, next: make(map[partition]int64), halted: make(map[partition]string)}
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
	in.mu.Lock()
	defer in.mu.Unlock()
	in.next[p] = next
	delete(in.halted, p)
	return next, nil
}

// halt stops a partition and says why. It starts again when it is assigned again.
func (in *ingester) halt(p partition, reason string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.halted[p] == "" {
		in.log.Error("ingestion of a partition stands still", "partition", p.String(), "topic_id", p.TopicID,
			"next_offset", in.next[p], "reason", reason)
		in.metrics.halted.Inc()
	}
	in.halted[p] = reason
}

func (in *ingester) haltedReason(p partition) string {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.halted[p]
}

// records ingests a run of records of one partition, in the order of the log, and returns the partition's next offset.
// It returns only when the records are durable, when ctx ends, or when the partition turns out to be somewhere else
// (*fencedError): then the caller reads on from there.
func (in *ingester) records(ctx context.Context, p partition, recs []logRecord) (int64, error) {
	in.mu.Lock()
	start := in.next[p]
	in.mu.Unlock()
	for len(recs) > 0 && recs[0].offset < start {
		recs = recs[1:] // read before a seek took effect
	}
	if len(recs) == 0 {
		return start, nil
	}
	began := time.Now()
	next, err := in.run(ctx, p, start, recs)
	if fenced := (*fencedError)(nil); errors.As(err, &fenced) {
		in.log.Warn("reading on where the database says", "partition", p.String(), "expected", fenced.expected, "stored", fenced.stored)
		in.metrics.fenced.Inc()
		next = fenced.stored
	} else if err != nil {
		return 0, err
	}
	in.mu.Lock()
	in.next[p] = next
	in.mu.Unlock()
	if err == nil {
		in.metrics.batch(recs, time.Since(began))
	}
	return next, err
}

// run ingests recs, which begin at start, in one transaction if that can be, in halves if not.
func (in *ingester) run(ctx context.Context, p partition, start int64, recs []logRecord) (int64, error) {
	b := batch{partition: p, start: start, end: recs[len(recs)-1].offset + 1}
	for _, r := range recs {
		if r.dead != nil {
			b.dead = append(b.dead, *r.dead)
		} else {
			b.changes = append(b.changes, r.change)
		}
	}
	for attempt := 0; ; attempt++ {
		err := in.store.ingest(ctx, b)
		if err == nil {
			return b.end, nil
		}
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		unknown := (*sqldb.CommitError)(nil)
		again := errors.As(err, &unknown) || errors.Is(err, errFenced) || sqldb.Transient(err) ||
			sqldb.Full(err) || sqldb.ReadOnly(err) || sqldb.Corrupt(err)
		// Whatever happened, the database knows where the partition is.
		stored, _, readErr := in.store.offset(ctx, p)
		switch {
		case readErr != nil:
			again = true
		case stored == b.end:
			return b.end, nil // the commit of unknown outcome took place
		case stored != b.start:
			return 0, &fencedError{partition: p, expected: b.start, stored: stored}
		}
		in.metrics.retries.Inc()
		if !again && len(recs) > 1 {
			half := len(recs) / 2
			in.log.Warn("halving a batch that the database refuses", "partition", p.String(), "offset", b.start, "records", len(recs), "error", err)
			middle, err := in.run(ctx, p, start, recs[:half])
			if err != nil {
				return 0, err
			}
			return in.run(ctx, p, middle, recs[half:])
		}
		if !again && len(b.changes) == 1 {
			in.log.Error("burying a record that the database refuses", "partition", p.String(), "offset", recs[0].offset, "error", err)
			b.changes, b.dead = nil, []deadLetter{recs[0].bury("store-refused", err)}
			continue
		}
		// For ever: what the database cannot take now must not become a dead letter, and must not be skipped.
		in.log.Warn("ingestion waits for the database", "partition", p.String(), "offset", b.start, "attempt", attempt+1, "error", err)
		if err := backoff(ctx, attempt); err != nil {
			return 0, err
		}
	}
}
