package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/kafka"
	"movieexample.com/internal/telemetry"
)

// Bounds of the consumer.
const (
	// sessionTimeout is how long the group keeps the partitions of a member that died without leaving. So after a SIGKILL a restarted
	// process ingests nothing for up to this long, if the brokers keep running. (It resumes at once after a clean stop,
	// which leaves the group, and with the embedded broker, which stops with the process.) Half of it would be below the brokers'
	// minimum; more would be idle time. Heartbeats keep a slow member, and the database fences it if it returns too late.
	sessionTimeout = 10 * time.Second
	// rebalanceTimeout bounds how long a rebalance waits for a batch in progress. A member whose batch takes longer, because it waits
	// for the database as all others do, loses its partitions. Its batch then finds the expected offset, or is fenced.
	rebalanceTimeout = 30 * time.Second
	// reviewInterval is how often partitions are reviewed.
	reviewInterval = time.Second
	// metadataInterval is how often the brokers are asked which partitions the topic has, after an error too.
	metadataInterval = 2 * time.Second
	// displayInterval is how often offsets are committed to Kafka, for tools that show its consumer lag.
	displayInterval = time.Second
)

// run consumes until ctx ends or the topic has another id.
func (c *consumer) run(ctx context.Context) error {
	cfg := c.cfg.kafkaConfig()
	cfg.Logger = c.in.log
	own, err := c.in.group.identity(ctx)
	if err != nil {
		return fmt.Errorf("consume rating events: %w", err)
	}
	client, err := kafka.NewClient(cfg,
		kgo.ConsumerGroup(c.cfg.Group),
		kgo.Balancers(newBalancer(own)),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(sessionTimeout/5),
		kgo.RebalanceTimeout(rebalanceTimeout),
		// The database's offsets count: the library commits and resets nothing, and no partition changes owners during the write of
		// a batch.
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.AdjustFetchOffsetsFn(c.startOffsets),
		kgo.OnPartitionsRevoked(c.stop),
		kgo.OnPartitionsLost(c.stop),
		kgo.BlockRebalanceOnPoll(),
		// Uncommitted records of a producer's transaction are not read. The markers at its end are read: otherwise a partition
		// that ends with one would never be caught up.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		// The delay is random, from half the limit to the limit, so that consumers do not all return at once. The library's default
		// limit is 2.5 s, which is long for a broker that restarts on the same machine.
		kgo.RetryBackoffFn(func(fails int) time.Duration {
			limit := min(100*time.Millisecond<<min(fails, 10), time.Second)
			return limit/2 + rand.N(limit/2)
		}),
		kgo.MetadataMaxAge(metadataInterval),
		kgo.MetadataMinAge(metadataInterval),
		kgo.WithDecompressor(&c.meter),
		kgo.WithHooks(c),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxBytes(16<<20),
		kgo.FetchMaxPartitionBytes(4<<20),
	)
	if err != nil {
		return fmt.Errorf("consume rating events: %w", err)
	}
	c.client, c.decode.client = client, client
	defer c.stopAll()
	defer client.CloseAllowingRebalance()
	if !c.awaitTopic(ctx) || !c.awaitGroup(ctx) {
		return nil
	}
	// Not earlier: a client that knows its topic from the start may call startOffsets while NewClient is still running, when the
	// consumer has no client yet.
	client.AddConsumeTopics(c.cfg.Topic)
	c.in.log.Info("ingesting rating events", "topic", c.cfg.Topic, "group", c.cfg.Group, "brokers", c.cfg.Brokers)
	aside, end := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer end()
	others.Go(func() {
		_ = c.in.guard.Run(markOffsets(aside, own), "commits for display", func(ctx context.Context) error { c.display(ctx); return nil }) // display returns no error
	})
	return c.poll(ctx)
}

// awaitTopic creates the topic if it does not exist, and waits for the brokers; false: ctx ended.
func (c *consumer) awaitTopic(ctx context.Context) bool {
	var throttle telemetry.Throttle
	for attempt := 5; ; attempt++ {
		_, err := kafka.EnsureTopic(ctx, c.client, kafka.TopicConfig{
			Name: c.cfg.Topic, Partitions: int32(c.cfg.Partitions), Replication: int16(c.cfg.Replication), MinInSync: int16(c.cfg.MinInSyncReplicas),
			Retention: c.cfg.Retention, RetentionBytes: int64(c.cfg.RetentionBytes), Logger: c.in.log,
		})
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		throttle.Error(c.in.log, slog.LevelWarn, waitingForKafka, err, "brokers", c.cfg.Brokers, "topic", c.cfg.Topic)
		if backoff(ctx, attempt) != nil {
			return false
		}
	}
}

// display commits the offsets to Kafka, so that its tools show the lag. Nothing reads them back, so an error is ignored.
func (c *consumer) display(ctx context.Context) {
	tick := time.NewTicker(displayInterval)
	defer tick.Stop()
	shown := make(map[partition]int64)
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		offsets := make(map[int32]kgo.EpochOffset)
		c.mu.Lock()
		for number, p := range c.owned {
			if next, ok := c.in.position(p); ok && shown[p] != next {
				offsets[number] = kgo.EpochOffset{Epoch: -1, Offset: next}
				shown[p] = next
			}
		}
		c.mu.Unlock()
		if len(offsets) > 0 {
			c.client.CommitOffsets(ctx, map[string]map[int32]kgo.EpochOffset{c.cfg.Topic: offsets}, nil)
		}
	}
}

// poll reads and ingests until ctx ends or the topic has another id.
func (c *consumer) poll(ctx context.Context) error {
	reviewed := time.Now()
	for failures := 0; ; {
		polling, cancel := context.WithTimeout(ctx, reviewInterval)
		c.wake.Store(&cancel)
		fetches := c.client.PollRecords(polling, c.cfg.BatchRecords)
		cancel()
		if failed := c.failed.Load(); failed != nil {
			return *failed
		}
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return nil
		}
		ok, err := c.ingest(ctx, fetches)
		if err != nil {
			return err
		}
		if ok {
			failures = 0
			c.logRecovery()
		} else {
			failures++
		}
		if c.client.BufferedFetchRecords() == 0 {
			c.meter.Handled()
		}
		// Here no partition can be revoked.
		if c.nudged.Swap(false) || time.Since(reviewed) >= reviewInterval {
			if c.review(ctx) || c.leave.Load() {
				return nil
			}
			reviewed = time.Now()
		}
		c.client.AllowRebalance()
		// The client returns some errors again with every poll.
		if failures > 0 && backoff(ctx, failures) != nil {
			return nil
		}
	}
}

// ingest ingests the result of one poll; ok is false if that was only errors. An error is a panic: the result may be half ingested, and
// only a new consumer starts again from the database's offsets.
func (c *consumer) ingest(ctx context.Context, fetches kgo.Fetches) (ok bool, err error) {
	// A poll may return a partition twice, from an old and a new leader. Its records must stay in one run: two runs at once would both
	// begin at the partition's offset, and the later one would take the earlier one's records for a gap.
	type fetched struct {
		records []*kgo.Record
		end     int64
	}
	partitions, failed := make(map[int32]*fetched), false
	undecodable := make(map[int32]error)
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		if fp.Err != nil && !errors.Is(fp.Err, context.DeadlineExceeded) && !errors.Is(fp.Err, context.Canceled) && !errors.Is(fp.Err, kafka.ErrNoRoom) {
			failed = true
			number := fp.Partition
			if fp.Topic == "" { // of the group as a whole
				number = -1
			}
			if isUndecodable(fp.Err) && number >= 0 {
				undecodable[number] = fp.Err
			} else {
				c.fetchError(ctx, number, fp.Err)
			}
		}
		if len(fp.Records) == 0 {
			return
		}
		f, found := partitions[fp.Partition]
		if !found {
			f = &fetched{}
			partitions[fp.Partition] = f
		}
		f.records, f.end = append(f.records, fp.Records...), fp.HighWatermark
	})
	var wg sync.WaitGroup
	panicked := make(chan error, len(partitions))
	for number, f := range partitions {
		wg.Go(func() {
			panicked <- c.in.guard.Do(ingestionJob, func() error {
				c.ingestPartition(ctx, number, f.records, f.end)
				return nil
			})
		})
	}
	wg.Wait()
	for range partitions {
		err = errors.Join(err, <-panicked)
	}
	if err != nil {
		return false, err
	}
	// After the records that were read before it.
	for number, err := range undecodable {
		if p, owned := c.part(number); owned && c.in.haltReason(p) == "" {
			c.undecodable(ctx, p, err)
		}
	}
	return len(partitions) > 0 || !failed, nil
}

// fetchError handles a fetch error. The client itself retries temporary ones. Others are logged, and a partition is halted if its next
// record is lost.
func (c *consumer) fetchError(ctx context.Context, number int32, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	if errors.Is(err, kerr.InconsistentGroupProtocol) {
		c.refusedByGroup(ctx)
	}
	p, owned := c.part(number)
	loss := (*kgo.ErrDataLoss)(nil)
	switch {
	case !owned:
	case errors.As(err, &loss):
		c.haltLasting(ctx, p, replacedReason(p, loss.ResetTo, loss.ConsumedTo))
	case errors.Is(err, kerr.OffsetOutOfRange), errors.Is(err, kerr.UnknownTopicID):
		if state, lookErr := c.look(ctx); lookErr != nil {
			err = errors.Join(err, lookErr)
		} else if next, ours := c.in.position(p); ours {
			if reason, lasting := state.log.haltReason(p, next); reason != "" {
				c.halt(ctx, p, halt{reason: reason, lasting: lasting, known: true})
				c.noteTruncation(p, state.log)
			}
		}
	}
	if owned && c.in.haltReason(p) != "" {
		return
	}
	c.logError(number, err)
}

// ingestPartition ingests records fetched from one partition, whose log ends at end.
func (c *consumer) ingestPartition(ctx context.Context, number int32, records []*kgo.Record, end int64) {
	p, owned := c.part(number)
	if !owned || c.in.haltReason(p) != "" {
		return
	}
	decoded, err := c.decode.decodeAll(ctx, p, records)
	letters := []logRecord(nil)
	if err == nil {
		letters, err = c.skippedBatches(ctx, p, records)
	}
	if err != nil { // nothing is assumed: the records are read again
		if next, ours := c.in.position(p); ours && ctx.Err() == nil {
			c.in.throttle.Error(c.in.log, slog.LevelWarn, "decoding records failed; reading them again", err, "partition", p.String(), "offset", next)
			c.seek(p, next)
		}
		return
	}
	if len(letters) > 0 {
		decoded = append(decoded, letters...)
		slices.SortStableFunc(decoded, func(a, b logRecord) int { return cmp.Compare(a.offset, b.offset) })
	}
	ingested := c.in.lag.fetched(p, recordTime(records[0]), recordTime(records[len(records)-1]), end)
	next, err := c.in.records(ctx, p, decoded)
	if err != nil {
		if fenced := (*fencedError)(nil); errors.As(err, &fenced) {
			c.seek(p, next)
		}
		if halted := (*haltError)(nil); errors.As(err, &halted) {
			c.haltLasting(ctx, p, halted.reason)
		}
		return // otherwise ctx ended, or the partition was given up; nothing was acknowledged
	}
	ingested()
}
