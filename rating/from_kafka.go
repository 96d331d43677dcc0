package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/guard"
	"movieexample.com/internal/kafka"
)

// Bounds of the consumer.
const (
	// sessionTimeout is how long the group keeps the partitions of a member that died without leaving. A restart after
	// SIGKILL, against brokers that live on, therefore ingests nothing for up to this long (a clean stop leaves the
	// group, and the embedded broker forgets its members with the process: both are back at once). Half of it would be
	// under the least that brokers allow; much more is idle time. A member that is only slow is protected by
	// heartbeats, and fenced by the database if it comes back too late.
	sessionTimeout = 10 * time.Second
	// rebalanceTimeout bounds how long a rebalance waits for a batch in progress. A member whose batch takes longer (it waits
	// for the database, as all others do) loses its partitions; its batch then either still finds the offset where it
	// expects it, or is fenced.
	rebalanceTimeout = 30 * time.Second
	// reviewInterval is how often partitions that stand still are looked at again, and the ends of the log are asked for.
	reviewInterval = time.Second
	// metadataInterval is how often the brokers are asked which partitions the topic has, after an error too.
	metadataInterval = 2 * time.Second
	// displayInterval is how often offsets are told to Kafka, for those who look at its consumer lag.
	displayInterval = time.Second
)

// consumer feeds the ingester from a Kafka topic. It lives as long as the topic has the same id: every record that its client
// fetches belongs to that one, since the client never goes over to a topic that was made anew.
type consumer struct {
	cfg    Config
	in     *ingester
	now    func() time.Time
	client *kgo.Client
	// leave: the group is another database's (see group.go).
	leave    atomic.Bool
	askedFor bool // halts for the group were recorded; used by awaitGroup alone
	// said is what was last logged about a partition, and places where it stood; used by poll alone.
	said map[int32]*saying
	// troubled is the number of the brokers' answers to the watch when something was logged last; used by poll alone.
	troubled int
	places   map[int32]standing
	seen     seen
	doubts   doubts
	meter    kafka.Meter
	// wake ends the poll that is waiting, and nudged says that it was ended for a review.
	wake   atomic.Pointer[context.CancelFunc]
	nudged atomic.Bool
	// failed is the first panic in what the client library calls; it ends this consumer.
	failed atomic.Pointer[error]

	mu sync.Mutex
	// topicID is the id that the topic had at the first assignment; empty before.
	topicID string
	owned   map[int32]partition // assigned to us
}

// consume reads the topic until ctx ends. It waits for brokers that are not there, and for a topic that cannot be made;
// an error is a mistake in the configuration of the client.
func (s *Service) consume(ctx context.Context) error {
	for round := 0; ; round++ {
		c := &consumer{
			cfg: s.cfg, in: s.ingester, now: s.now, owned: make(map[int32]partition), said: make(map[int32]*saying), places: make(map[int32]standing),
			seen: seen{of: make(map[int32][]int)}, doubts: doubts{log: s.log},
		}
		s.consumer.Store(c)
		err := c.run(ctx)
		s.consumer.Store(nil)
		if err != nil || ctx.Err() != nil {
			return err
		}
		// Made anew by somebody who does so again and again, say.
		if backoff(ctx, min(round, 5)) != nil {
			return nil
		}
	}
}

// settingName is what operators call a setting of [Config.Kafka].
func settingName(key string) string { return "rating.kafka." + key }

// kafkaConfig is how this service reaches the brokers. The client's name is also what shows who has a partition.
func (c Config) kafkaConfig() kafka.Config {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown-host"
	}
	return kafka.Config{Brokers: c.Brokers, ClientID: fmt.Sprintf("movieexample-rating-%s-%d", host, os.Getpid()), Security: c.Kafka, Setting: settingName}
}

// ingestionJob is the name of ingestion among the jobs of the process.
const ingestionJob = "rating ingestion"

// run consumes until ctx ends or the topic has another id.
func (c *consumer) run(ctx context.Context) error {
	cfg := c.cfg.kafkaConfig()
	cfg.Logger = c.in.log
	own, err := c.in.database(ctx)
	if err != nil {
		return fmt.Errorf("consume rating events: %w", err)
	}
	client, err := kafka.NewClient(cfg,
		kgo.ConsumerGroup(c.cfg.Group),
		kgo.Balancers(newBalancer(own)),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(sessionTimeout/5),
		kgo.RebalanceTimeout(rebalanceTimeout),
		// The database's offsets are the truth: nothing is committed by itself, nothing is reset by itself, and no
		// partition changes hands while a batch is being written.
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.AdjustFetchOffsetsFn(c.startOffsets),
		kgo.OnPartitionsRevoked(c.stop),
		kgo.OnPartitionsLost(c.stop),
		kgo.BlockRebalanceOnPoll(),
		// What a producer's transaction has not committed never happened. The markers of its end are read too: without them
		// a partition that ends with one would never be at its end.
		kgo.FetchIsolationLevel(kgo.ReadCommitted()),
		kgo.KeepControlRecords(),
		// Half of it to all of it, so that consumers do not come back all at once. The library's own limit is 2.5 s, which
		// is long for a broker that restarts on the same machine.
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
	c.client = client
	defer c.stopAll()
	defer client.CloseAllowingRebalance()
	if !c.awaitTopic(ctx) || !c.awaitGroup(ctx) {
		return nil
	}
	// Not before: a client that knows its topic from the start may ask startOffsets while NewClient still runs, when
	// the consumer has no client yet.
	client.AddConsumeTopics(c.cfg.Topic)
	c.in.log.Info("ingesting rating events", "topic", c.cfg.Topic, "group", c.cfg.Group, "brokers", c.cfg.Brokers)
	aside, end := context.WithCancel(ctx)
	var others sync.WaitGroup
	defer others.Wait()
	defer end()
	others.Go(func() {
		_ = c.in.guard.Run(markOffsets(aside, own), "commits for display", func(ctx context.Context) error { c.display(ctx); return nil }) // it returns none of its own
	})
	return c.poll(ctx)
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
			c.recovered()
		} else {
			failures++
		}
		if c.client.BufferedFetchRecords() == 0 {
			c.meter.Handled()
		}
		// Here, where no partition can be taken from us.
		if c.nudged.Swap(false) || time.Since(reviewed) >= reviewInterval {
			if c.review(ctx) || c.leave.Load() {
				return nil
			}
			reviewed = time.Now()
		}
		c.client.AllowRebalance()
		// The client reports some errors again with every poll.
		if failures > 0 && backoff(ctx, failures) != nil {
			return nil
		}
	}
}

// guarded does what the client library asks for, in a goroutine of the library, where a panic would end the process. What panicked
// may be half done: the consumer ends with it, and a new one begins where the database stands.
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

// ingest handles what one poll brought; ok is false if that was nothing but errors. An error is a panic: what the poll brought
// may be half done, and only a new consumer begins again where the database stands.
func (c *consumer) ingest(ctx context.Context, fetches kgo.Fetches) (ok bool, err error) {
	// A poll may bring a partition twice, from an old and a new leader. Its records must stay in one run: two runs at
	// once would both begin where the partition stands, and the later one would take the earlier one's for a gap.
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
				c.partition(ctx, number, f.records, f.end)
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
	// Behind what was read before it.
	for number, err := range undecodable {
		if p, owned := c.part(number); owned && c.in.haltedReason(p) == "" {
			c.undecodable(ctx, p, err)
		}
	}
	return len(partitions) > 0 || !failed, nil
}

// awaitTopic creates the topic if it is not there, and waits for the brokers as long as it takes; false: ctx ended.
func (c *consumer) awaitTopic(ctx context.Context) bool {
	var said saying
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
		said.say(c.in.log, slog.LevelWarn, "rating events are not ingested: waiting for Kafka", err, "brokers", c.cfg.Brokers, "topic", c.cfg.Topic)
		if backoff(ctx, attempt) != nil {
			return false
		}
	}
}

// part returns the assigned partition of that number.
func (c *consumer) part(number int32) (p partition, owned bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, owned = c.owned[number]
	return p, owned
}

// startOffsets replaces what Kafka believes to be committed by what the database holds. The member that had the partitions
// before has given them up, or is taken for dead. If it is not, and still commits a batch, the fence of ours tells.
//
// It waits for brokers and database as long as the assignment holds: an error would make this member leave with all that
// it has and join again, which makes every other one stop for a rebalance, again and again.
func (c *consumer) startOffsets(ctx context.Context, assigned map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if len(assigned[c.cfg.Topic]) == 0 {
		return assigned, nil
	}
	var said saying
	for attempt := 0; ; attempt++ {
		err := c.guarded(func() error { return c.takeOver(ctx, assigned[c.cfg.Topic]) })
		if err == nil {
			said.over(c.in.log, "partitions are assigned and ingested", "topic", c.cfg.Topic, "partitions", len(assigned[c.cfg.Topic]))
			return assigned, nil
		}
		if ctx.Err() != nil || errors.Is(err, errForeignGroup) || c.failed.Load() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
		said.say(c.in.log, slog.LevelWarn, "partitions are assigned and not ingested yet: waiting", err, "topic", c.cfg.Topic, "partitions", len(assigned[c.cfg.Topic]))
		if err := backoff(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// takeOver makes assigned partitions ours and fills in the offsets to read from.
func (c *consumer) takeOver(ctx context.Context, assigned map[int32]kgo.Offset) error {
	if err := c.checkGroup(ctx); err != nil {
		return err
	}
	state, err := c.look(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.topicID == "" {
		c.topicID = state.log.id
	}
	id := c.topicID
	c.mu.Unlock()
	for number := range assigned {
		p := partition{Topic: c.cfg.Topic, TopicID: id, Number: number}
		next, err := c.settle(ctx, p, state)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.owned[number] = p
		c.mu.Unlock()
		// No epoch: the database does not keep one.
		assigned[number] = kgo.NewOffset().At(next).WithEpoch(-1)
	}
	return nil
}

// stop gives up partitions that were revoked or lost.
func (c *consumer) stop(_ context.Context, _ *kgo.Client, given map[string][]int32) {
	_ = c.guarded(func() error { // of a panic poll hears
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, number := range given[c.cfg.Topic] {
			if p, ok := c.owned[number]; ok {
				c.in.stop(p)
				delete(c.owned, number)
			}
		}
		return nil
	})
}

// stopAll gives up what is left when the client is closed.
func (c *consumer) stopAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number, p := range c.owned {
		c.in.stop(p)
		delete(c.owned, number)
	}
}

// fetchError handles an error of reading. The client itself repeats what may pass; what remains is logged, and a
// partition stands still if the record to go on with is gone for good.
func (c *consumer) fetchError(ctx context.Context, number int32, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	if errors.Is(err, kerr.InconsistentGroupProtocol) {
		c.shutOut(ctx)
	}
	p, owned := c.part(number)
	loss := (*kgo.ErrDataLoss)(nil)
	switch {
	case !owned:
	case errors.As(err, &loss):
		c.halt(ctx, p, halt{reason: replacedReason(p, loss.ResetTo, loss.ConsumedTo), lasting: true, known: true})
	case errors.Is(err, kerr.OffsetOutOfRange), errors.Is(err, kerr.UnknownTopicID):
		if state, lookErr := c.look(ctx); lookErr != nil {
			err = errors.Join(err, lookErr)
		} else if next, ours := c.in.position(p); ours {
			if reason, lasting := state.log.objection(p, next); reason != "" {
				c.halt(ctx, p, halt{reason: reason, lasting: lasting, known: true})
				c.noteTruncation(p, state.log)
			}
		}
	}
	if owned && c.in.haltedReason(p) != "" {
		return
	}
	c.trouble(number, err)
}

// partition ingests what was fetched of one partition, whose log ends at end.
func (c *consumer) partition(ctx context.Context, number int32, records []*kgo.Record, end int64) {
	p, owned := c.part(number)
	if !owned || c.in.haltedReason(p) != "" {
		return
	}
	decoded, err := c.decodeAll(ctx, p, records)
	letters := []logRecord(nil)
	if err == nil {
		letters, err = c.passedOver(ctx, p, records)
	}
	if err != nil { // nothing is taken for what it may not be: they are read again
		if next, ours := c.in.position(p); ours && ctx.Err() == nil {
			c.in.waits.say(c.in.log, slog.LevelWarn, "records of a partition are read again", err, "partition", p.String(), "offset", next)
			c.seek(p, next)
		}
		return
	}
	if len(letters) > 0 {
		decoded = append(decoded, letters...)
		slices.SortStableFunc(decoded, func(a, b logRecord) int { return cmp.Compare(a.offset, b.offset) })
	}
	ingested := c.in.gaps.fetched(p, recordTime(records[0]), recordTime(records[len(records)-1]), end)
	next, err := c.in.records(ctx, p, decoded)
	if err != nil {
		if fenced := (*fencedError)(nil); errors.As(err, &fenced) {
			c.seek(p, next)
		}
		if stuck := (*haltError)(nil); errors.As(err, &stuck) {
			c.halt(ctx, p, halt{reason: stuck.reason, lasting: true, known: true})
		}
		return // otherwise ctx ended, or the partition was given up; nothing was acknowledged
	}
	ingested()
}

// seek makes the client read on from next.
func (c *consumer) seek(p partition, next int64) {
	c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{p.Topic: {p.Number: {Epoch: -1, Offset: next}}})
}

// display tells Kafka now and then how far ingestion is, so that its tools show the lag. Nothing reads it back, so a
// failure is not worth more than silence.
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
