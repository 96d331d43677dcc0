package rating

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/guard"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/telemetry"
)

// ingestionJob is the name of ingestion among the jobs of the process.
const ingestionJob = "rating ingestion"

// waitingForKafka is logged while no broker is reachable, or the brokers refuse a request that ingestion needs.
const waitingForKafka = "rating events are not ingested: waiting for Kafka"

// recordTimeout bounds one attempt to record a halt. A stop waits for it.
const recordTimeout = time.Second

// consumer feeds the ingester from a Kafka topic. It lives as long as the topic has the same id, so every record that its client fetches
// belongs to that topic: the client never switches to a recreated one.
type consumer struct {
	cfg    Config
	in     *ingester
	client *kgo.Client
	decode decoder
	meter  kafka.Meter
	// decompressed are the sizes of each partition's last batches that the client has decompressed, see OnFetchBatchRead.
	decompressed batchSizes

	// leave: the group belongs to another database.
	leave     atomic.Bool
	heldGroup bool // halts for the group were recorded; used by awaitGroup only
	// throttles limit lines by partition, and stalls is since when a partition has had its offset; used by poll only.
	throttles map[int32]*telemetry.Throttle
	stalls    map[int32]stall
	// failedAt is the number of the brokers' answers to the watcher at the last logged error; used by poll only.
	failedAt int
	// wake ends the waiting poll, and nudged says that it ended for a review.
	wake   atomic.Pointer[context.CancelFunc]
	nudged atomic.Bool
	// failed is the first panic in a callback of the client library; it ends this consumer.
	failed atomic.Pointer[error]

	mu sync.Mutex
	// topicID is the topic's id at the first assignment; empty before.
	topicID string
	owned   map[int32]partition // assigned to us
}

// stall is a partition's offset, and since when.
type stall struct {
	next  int64
	since time.Time
}

func newConsumer(cfg Config, in *ingester) *consumer {
	return &consumer{
		cfg: cfg, in: in, decode: decoder{log: in.log, now: in.store.now}, decompressed: batchSizes{of: make(map[int32][]int)},
		throttles: make(map[int32]*telemetry.Throttle), stalls: make(map[int32]stall), owned: make(map[int32]partition),
	}
}

// part returns the assigned partition of that number.
func (c *consumer) part(number int32) (p partition, owned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, owned = c.owned[number]
	return p, owned
}

// guarded runs a callback of the client library, in whose goroutines a panic would end the process. What panicked may be half done: the
// consumer ends, and a new one starts from the database's offsets.
func (c *consumer) guarded(work func() error) error {
	err := c.in.guard.Do(ingestionJob, work)
	if errors.As(err, new(*guard.PanicError)) {
		c.failed.CompareAndSwap(nil, &err)
		c.nudge()
	}
	return err
}

// nudge makes the consumer review its partitions now, instead of within a second.
func (c *consumer) nudge() {
	c.nudged.Store(true)
	if cancel := c.wake.Load(); cancel != nil {
		(*cancel)()
	}
}

// seek makes the client read from next on.
func (c *consumer) seek(p partition, next int64) {
	c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{p.Topic: {p.Number: {Epoch: -1, Offset: next}}})
}

// look asks the brokers and the database.
func (c *consumer) look(ctx context.Context) (s state, err error) {
	if s.log, err = readLog(ctx, c.client, c.cfg.Topic); err != nil {
		return s, err
	}
	s.rows, err = c.in.store.offsets(ctx)
	return s, err
}

// halt halts a partition, and records a lasting halt. If the database does not take it now, review tries again.
func (c *consumer) halt(ctx context.Context, p partition, h halt) {
	c.client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Number}})
	c.in.halt(p, h)
	if h.lasting {
		c.recordHalt(ctx, p, h.reason)
	}
}

// haltLasting halts a partition that was ingested before, until an operator decides.
func (c *consumer) haltLasting(ctx context.Context, p partition, reason string) {
	c.halt(ctx, p, halt{reason: reason, lasting: true, known: true})
}

func (c *consumer) recordHalt(ctx context.Context, p partition, reason string) {
	next, owned := c.in.position(p)
	if !owned {
		return
	}
	// Also while the service stops: the next start could not find out that the log was replaced.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	switch err := c.in.store.halt(ctx, p, next, reason); {
	case err == nil:
		c.in.halt(p, halt{reason: reason, lasting: true, recorded: true})
	case !errors.Is(err, errFenced):
		c.in.log.Warn("recording the halt of a partition failed; retrying", "partition", p.String(), "error", err)
	}
}

// noteTruncation tells the lag tracker from which offset on a log that ends before the partition's offset is not ingested.
func (c *consumer) noteTruncation(p partition, log topicLog) {
	if next, _ := c.in.position(p); log.id == p.TopicID {
		if b, known := log.partitions[p.Number]; known && next > b.end {
			c.in.lag.truncated(p, b.end)
		}
	}
}

// logError logs an error about a partition, or about all (-1), and rate-limits repetitions.
func (c *consumer) logError(number int32, err error) {
	err = kafka.Explain(c.client, err)
	c.failedAt = c.in.lag.answers()
	if c.throttles[number] == nil {
		c.throttles[number] = &telemetry.Throttle{}
	}
	c.throttles[number].Error(c.in.log, slog.LevelWarn, "reading rating events failed; retrying", err, "topic", c.cfg.Topic, "partition", number)
}

// logRecovery logs the end of what logError logged: the brokers have answered since, and the last poll had no errors.
func (c *consumer) logRecovery() {
	if c.in.lag.answers() < c.failedAt+2 { // one answer may have been on its way
		return
	}
	logged := false
	for _, t := range c.throttles {
		logged = t.Recover() || logged
	}
	if logged {
		c.in.log.Info("reading rating events again", "topic", c.cfg.Topic)
	}
}

// ingestDead ingests a run of dead letters, and seeks to the record after them.
func (c *consumer) ingestDead(ctx context.Context, p partition, letters []logRecord) {
	next, err := c.in.records(ctx, p, letters)
	if halted := (*haltError)(nil); errors.As(err, &halted) {
		c.haltLasting(ctx, p, halted.reason)
	} else if fenced := (*fencedError)(nil); err == nil || errors.As(err, &fenced) {
		c.seek(p, next)
	}
}
