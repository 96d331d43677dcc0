package rating

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/api/events"
	"movieexample.com/internal/kafka"
)

// Bounds of the consumer.
const (
	// sessionTimeout is how long the group waits for a member that died. A restart is then back at work soon; a
	// member that is only slow is protected by heartbeats, and fenced by the database if it comes back too late.
	sessionTimeout = 10 * time.Second
	// rebalanceTimeout bounds how long a rebalance waits for a batch in progress.
	rebalanceTimeout = 30 * time.Second
	// displayInterval is how often offsets are told to Kafka, for those who look at its consumer lag.
	displayInterval = time.Second
)

// consumer feeds the ingester from a Kafka topic.
type consumer struct {
	cfg    Config
	in     *ingester
	now    func() time.Time
	client *kgo.Client

	mu    sync.Mutex
	topic kafka.Topic
}

// consume reads the topic until ctx ends. It waits for brokers that are not there; an error is a mistake in the
// configuration.
func (s *Service) consume(ctx context.Context) error {
	c := &consumer{cfg: s.cfg, in: s.ingester, now: s.now}
	client, err := kafka.NewClient(kafka.Config{Brokers: s.cfg.Brokers, ClientID: "movieexample-rating", Logger: s.log},
		kgo.ConsumerGroup(s.cfg.Group),
		kgo.ConsumeTopics(s.cfg.Topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(sessionTimeout),
		kgo.HeartbeatInterval(sessionTimeout/5),
		kgo.RebalanceTimeout(rebalanceTimeout),
		// The database's offsets are the truth: nothing is committed by itself, nothing is reset by itself, and no
		// partition changes hands while a batch is being written.
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.AdjustFetchOffsetsFn(c.startOffsets),
		kgo.BlockRebalanceOnPoll(),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxBytes(16<<20),
		kgo.FetchMaxPartitionBytes(4<<20),
	)
	if err != nil {
		return fmt.Errorf("consume rating events: %w", err)
	}
	c.client = client
	defer client.CloseAllowingRebalance()
	if err := c.awaitTopic(ctx, s.cfg); err != nil {
		return err
	}
	s.log.Info("ingesting rating events", "topic", s.cfg.Topic, "group", s.cfg.Group, "brokers", s.cfg.Brokers)
	var displayed time.Time
	for {
		fetches := client.PollRecords(ctx, s.cfg.BatchRecords)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return nil
		}
		fetches.EachError(c.fetchError)
		var wg sync.WaitGroup
		fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
			if len(fp.Records) > 0 {
				wg.Go(func() { c.partition(ctx, fp) })
			}
		})
		wg.Wait()
		if c.now().Sub(displayed) >= displayInterval {
			displayed = c.now()
			c.display(ctx)
		}
		client.AllowRebalance()
	}
}

// awaitTopic creates the topic if it is not there, and waits for the brokers as long as it takes.
func (c *consumer) awaitTopic(ctx context.Context, cfg Config) error {
	for attempt := 0; ; attempt++ {
		t, err := kafka.EnsureTopic(ctx, c.client, kafka.TopicConfig{
			Name: cfg.Topic, Partitions: int32(cfg.Partitions), Replication: int16(cfg.Replication),
			Retention: cfg.Retention, Logger: c.in.log,
		})
		if err == nil {
			c.setTopic(t)
			return nil
		}
		if ctx.Err() != nil {
			return nil
		}
		c.in.log.Warn("waiting for Kafka", "brokers", cfg.Brokers, "error", err)
		if backoff(ctx, attempt+5) != nil {
			return nil
		}
	}
}

func (c *consumer) setTopic(t kafka.Topic) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.topic = t
}

func (c *consumer) part(number int32) partition {
	c.mu.Lock()
	defer c.mu.Unlock()
	return partition{Topic: c.topic.Name, TopicID: hex.EncodeToString(c.topic.ID[:]), Number: number}
}

// startOffsets replaces what Kafka believes to be committed by what the database holds.
func (c *consumer) startOffsets(ctx context.Context, assigned map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if len(assigned[c.cfg.Topic]) == 0 {
		return assigned, nil
	}
	topic, err := kafka.DescribeTopic(ctx, c.client, c.cfg.Topic)
	if err != nil {
		return nil, err
	}
	c.setTopic(topic)
	earliest, err := kadm.NewClient(c.client).ListStartOffsets(ctx, c.cfg.Topic)
	if err != nil {
		return nil, fmt.Errorf("look up where topic %q begins: %w", c.cfg.Topic, err)
	}
	for number := range assigned[c.cfg.Topic] {
		first, ok := earliest.Lookup(c.cfg.Topic, number)
		if !ok || first.Err != nil {
			return nil, fmt.Errorf("look up where partition %d of topic %q begins: %w", number, c.cfg.Topic, errors.Join(first.Err, ctx.Err()))
		}
		next, err := c.in.start(ctx, c.part(number), first.Offset)
		if err != nil {
			return nil, fmt.Errorf("look up where ingestion goes on: %w", err)
		}
		// No epoch: the database does not keep one, and truncation shows as an offset out of range.
		assigned[c.cfg.Topic][number] = kgo.NewOffset().At(next).WithEpoch(-1)
	}
	return assigned, nil
}

func (c *consumer) fetchError(topic string, number int32, err error) {
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, kgo.ErrClientClosed):
	case errors.Is(err, kerr.OffsetOutOfRange), errors.Is(err, kerr.UnknownTopicID), errors.Is(err, kerr.UnknownTopicOrPartition):
		p := c.part(number)
		c.client.PauseFetchPartitions(map[string][]int32{topic: {number}})
		c.in.halt(p, fmt.Sprintf("the log no longer has the record to go on with (%v): it was truncated, or the topic was made anew; nothing was skipped", err))
	default:
		c.in.log.Warn("reading rating events", "topic", topic, "partition", number, "error", err)
	}
}

// partition ingests what was fetched of one partition.
func (c *consumer) partition(ctx context.Context, fp kgo.FetchTopicPartition) {
	p := c.part(fp.Partition)
	if c.in.haltedReason(p) != "" {
		return
	}
	recs := make([]logRecord, len(fp.Records))
	for i, r := range fp.Records {
		recs[i] = c.decode(p, r)
	}
	next, err := c.in.records(ctx, p, recs)
	if err != nil {
		if fenced := (*fencedError)(nil); !errors.As(err, &fenced) {
			return // ctx ended; nothing was acknowledged
		}
		c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
			fp.Topic: {fp.Partition: {Epoch: -1, Offset: next}},
		})
	}
	c.in.metrics.position(p, next, fp.HighWatermark)
}

// decode reads one record.
func (c *consumer) decode(p partition, r *kgo.Record) logRecord {
	rec := logRecord{offset: r.Offset}
	letter := func(class string, err error) deadLetter {
		d := deadLetter{
			partition: p, Offset: r.Offset, Class: class, Reason: err.Error(), RecordKey: r.Key, Payload: r.Value,
			ContentType: contentType(r),
		}
		if r.Timestamp.UnixMicro() > 0 {
			d.RecordTime = ToMicros(r.Timestamp)
		}
		return d
	}
	change, err := decodeEvent(contentType(r), r.Value, r.Timestamp, c.now())
	if err != nil {
		d := letter(events.Class(err), err)
		rec.dead = &d
		return rec
	}
	rec.change, rec.bury = change, letter
	return rec
}

// decodeEvent turns an event into the change it asks for. An event without a time was rated at its record's time; one
// without either, now.
func decodeEvent(contentType string, value []byte, recordTime, now time.Time) (Rating, error) {
	e, err := events.Decode(contentType, value)
	if err != nil {
		return Rating{}, err
	}
	if e.RatedAt.IsZero() {
		if e.RatedAt = recordTime; recordTime.UnixMicro() <= 0 {
			e.RatedAt = now
		}
	}
	if err := e.CheckTime(now); err != nil {
		return Rating{}, err
	}
	value10 := e.Value
	if e.Type == events.Delete {
		value10 = tombstone
	}
	key := Key{Record: Record{Type: e.RecordType, ID: e.RecordID}, User: e.UserID}
	return newRating(key, value10, ToMicros(e.RatedAt), e.ProviderID), nil
}

func contentType(r *kgo.Record) string {
	for _, h := range r.Headers {
		if h.Key == events.ContentTypeHeader {
			return string(h.Value)
		}
	}
	return ""
}

// redecode reads a dead letter's event again.
func redecode(d deadLetter, now time.Time) (Rating, error) {
	var recordTime time.Time
	if d.RecordTime > 0 {
		recordTime = d.RecordTime.Time()
	}
	return decodeEvent(d.ContentType, d.Payload, recordTime, now)
}

// display tells Kafka how far ingestion is, so that its tools show the lag. Nothing reads it back, so a failure is
// not worth more than silence.
func (c *consumer) display(ctx context.Context) {
	c.in.mu.Lock()
	offsets := make(map[int32]kgo.EpochOffset, len(c.in.next))
	for p, next := range c.in.next {
		offsets[p.Number] = kgo.EpochOffset{Epoch: -1, Offset: next}
	}
	c.in.mu.Unlock()
	if len(offsets) > 0 {
		c.client.CommitOffsets(ctx, map[string]map[int32]kgo.EpochOffset{c.cfg.Topic: offsets}, nil)
	}
}
