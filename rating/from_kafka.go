package rating

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/api/events"
	"movieexample.com/internal/fault"
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

	mu sync.Mutex
	// topicID is the id that the topic had at the first assignment. Every record that the client fetches belongs to
	// that topic, whatever is called so by now: it never goes over to a topic that was made anew.
	topicID string
	owned   map[int32]partition // assigned to us
}

// consume reads the topic until ctx ends. It waits for brokers that are not there, and for a topic that cannot be made;
// an error is a mistake in the configuration of the client.
func (s *Service) consume(ctx context.Context) error {
	c := &consumer{cfg: s.cfg, in: s.ingester, now: s.now, owned: make(map[int32]partition)}
	client, err := kafka.NewClient(kafka.Config{Brokers: s.cfg.Brokers, ClientID: "movieexample-rating", Logger: s.log},
		kgo.ConsumerGroup(s.cfg.Group),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
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
		// Half of it to all of it, so that consumers do not come back all at once. The library's own limit is 2.5 s, which
		// is long for a broker that restarts on the same machine.
		kgo.RetryBackoffFn(func(fails int) time.Duration {
			limit := min(100*time.Millisecond<<min(fails, 10), time.Second)
			return limit/2 + rand.N(limit/2)
		}),
		kgo.FetchMaxWait(500*time.Millisecond),
		kgo.FetchMaxBytes(16<<20),
		kgo.FetchMaxPartitionBytes(4<<20),
	)
	if err != nil {
		return fmt.Errorf("consume rating events: %w", err)
	}
	c.client = client
	defer client.CloseAllowingRebalance()
	if !c.awaitTopic(ctx) {
		return nil
	}
	// Not before: a client that knows its topic from the start may ask startOffsets while NewClient still runs, when
	// the consumer has no client yet.
	client.AddConsumeTopics(s.cfg.Topic)
	s.log.Info("ingesting rating events", "topic", s.cfg.Topic, "group", s.cfg.Group, "brokers", s.cfg.Brokers)
	var showing sync.WaitGroup
	defer showing.Wait()
	showing.Go(func() { c.display(ctx) })
	for failures := 0; ; {
		fetches := client.PollRecords(ctx, s.cfg.BatchRecords)
		if fetches.IsClientClosed() || ctx.Err() != nil {
			return nil
		}
		if c.ingest(ctx, fetches) {
			failures = 0
		} else {
			failures++
		}
		client.AllowRebalance()
		// The client reports some errors again with every poll.
		if failures > 0 && backoff(ctx, failures) != nil {
			return nil
		}
	}
}

// ingest handles what one poll brought; ok is false if that was nothing but errors.
func (c *consumer) ingest(ctx context.Context, fetches kgo.Fetches) (ok bool) {
	// A poll may bring a partition twice, from an old and a new leader. Its records must stay in one run: two runs at
	// once would both begin where the partition stands, and the later one would take the earlier one's for a gap.
	type fetched struct {
		records []*kgo.Record
		end     int64
	}
	partitions := make(map[int32]*fetched)
	fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
		if fp.Err != nil {
			c.fetchError(ctx, fp.Topic, fp.Partition, fp.Err)
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
	for number, f := range partitions {
		wg.Go(func() { c.partition(ctx, number, f.records, f.end) })
	}
	wg.Wait()
	return len(partitions) > 0
}

// awaitTopic creates the topic if it is not there, and waits for the brokers as long as it takes; false: ctx ended.
func (c *consumer) awaitTopic(ctx context.Context) bool {
	const repeat = 30 * time.Second // of the log line
	var logged time.Time
	for attempt := 5; ; attempt++ {
		_, err := kafka.EnsureTopic(ctx, c.client, kafka.TopicConfig{
			Name: c.cfg.Topic, Partitions: int32(c.cfg.Partitions), Replication: int16(c.cfg.Replication),
			Retention: c.cfg.Retention, RetentionBytes: int64(c.cfg.RetentionBytes), Logger: c.in.log,
		})
		if err == nil {
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		if now := time.Now(); now.Sub(logged) > repeat {
			logged = now
			c.in.log.Warn("rating events are not ingested: waiting for Kafka", "brokers", c.cfg.Brokers, "topic", c.cfg.Topic, "error", err)
		}
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

// startOffsets replaces what Kafka believes to be committed by what the database holds.
func (c *consumer) startOffsets(ctx context.Context, assigned map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if len(assigned[c.cfg.Topic]) == 0 {
		return assigned, nil
	}
	topic, err := kafka.DescribeTopic(ctx, c.client, c.cfg.Topic)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	if c.topicID == "" {
		c.topicID = hex.EncodeToString(topic.ID[:])
	}
	id := c.topicID
	c.mu.Unlock()
	for number := range assigned[c.cfg.Topic] {
		p := partition{Topic: topic.Name, TopicID: id, Number: number}
		next, err := c.start(ctx, p)
		if err != nil {
			return nil, err
		}
		// No epoch: the database does not keep one, and truncation shows as an offset out of range.
		assigned[c.cfg.Topic][number] = kgo.NewOffset().At(next).WithEpoch(-1)
	}
	return assigned, nil
}

// start takes one partition over and returns the offset to read from.
func (c *consumer) start(ctx context.Context, p partition) (int64, error) {
	first, _, err := c.bounds(ctx, p.Number)
	if err != nil {
		return 0, err
	}
	next, err := c.in.start(ctx, p, first)
	if err != nil {
		return 0, fmt.Errorf("look up where ingestion goes on: %w", err)
	}
	c.mu.Lock()
	c.owned[p.Number] = p
	c.mu.Unlock()
	// A pause for a halt before outlives the assignment that it was about.
	c.client.ResumeFetchPartitions(map[string][]int32{p.Topic: {p.Number}})
	return next, nil
}

// stop gives up partitions that were revoked or lost.
func (c *consumer) stop(_ context.Context, _ *kgo.Client, given map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, number := range given[c.cfg.Topic] {
		if p, ok := c.owned[number]; ok {
			c.in.stop(p)
			delete(c.owned, number)
		}
	}
}

// bounds returns the offset of the first record that the log has and of the one behind the last.
func (c *consumer) bounds(ctx context.Context, number int32) (first, end int64, err error) {
	adm := kadm.NewClient(c.client)
	firsts, err := adm.ListStartOffsets(ctx, c.cfg.Topic)
	if err != nil {
		return 0, 0, fmt.Errorf("look up where topic %q begins: %w", c.cfg.Topic, err)
	}
	ends, err := adm.ListEndOffsets(ctx, c.cfg.Topic)
	if err != nil {
		return 0, 0, fmt.Errorf("look up where topic %q ends: %w", c.cfg.Topic, err)
	}
	f, okFirst := firsts.Lookup(c.cfg.Topic, number)
	e, okEnd := ends.Lookup(c.cfg.Topic, number)
	if err := errors.Join(f.Err, e.Err); err != nil || !okFirst || !okEnd {
		return 0, 0, fmt.Errorf("look up where partition %d of topic %q begins and ends: %w", number, c.cfg.Topic, cmp.Or(err, errNoPartition))
	}
	return f.Offset, e.Offset, nil
}

var errNoPartition = errors.New("there is no such partition")

// fetchError handles an error of reading. The client itself repeats what may pass; what remains is logged, and a
// partition stands still if the record to go on with is gone for good.
func (c *consumer) fetchError(ctx context.Context, topic string, number int32, err error) {
	if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
		return
	}
	p, owned := c.part(number)
	reason := ""
	switch {
	case !owned:
	case errors.Is(err, kerr.OffsetOutOfRange):
		reason = c.lostRecords(ctx, p)
	case errors.Is(err, kerr.UnknownTopicID):
		reason = c.lostTopic(ctx, p)
	}
	if reason == "" {
		c.in.log.Warn("reading rating events", "topic", topic, "partition", number, "error", err)
		return
	}
	c.client.PauseFetchPartitions(map[string][]int32{topic: {number}})
	c.in.halt(p, reason)
}

// lostRecords says why the log has not the record to go on with; "" if it has, or cannot be asked.
func (c *consumer) lostRecords(ctx context.Context, p partition) string {
	first, end, err := c.bounds(ctx, p.Number)
	next, _ := c.in.position(p)
	gone := ""
	switch {
	case err != nil:
		return ""
	case next < first:
		gone = fmt.Sprintf("the records %d to %d were deleted from the log before they were ingested (was its retention too short?)", next, first-1)
	case next > end:
		gone = fmt.Sprintf("the log ends at %d, before the record to go on with, %d: it was truncated", end, next)
		first = end
	default:
		return ""
	}
	return fmt.Sprintf("%s; nothing was skipped. To go on without them, stop the service, set next_offset = %d in ingest_offsets"+
		" where topic_id = '%s' and part = %d, and start it again", gone, first, p.TopicID, p.Number)
}

// lostTopic says what became of the topic that p belongs to; "" if it is there, or cannot be asked.
func (c *consumer) lostTopic(ctx context.Context, p partition) string {
	const again = "restart the service to ingest the new topic from its beginning"
	topic, err := kafka.DescribeTopic(ctx, c.client, p.Topic)
	switch id := hex.EncodeToString(topic.ID[:]); {
	case fault.KindOf(err) == fault.KindNotFound:
		return fmt.Sprintf("topic %q (id %s) was deleted; what it held and was not ingested is lost. Create it anew, then %s", p.Topic, p.TopicID, again)
	case err != nil || id == p.TopicID:
		return ""
	default:
		return fmt.Sprintf("topic %q was deleted and made anew (id %s, was %s): its offsets mean other records; %s", p.Topic, id, p.TopicID, again)
	}
}

// partition ingests what was fetched of one partition, whose log ends at end.
func (c *consumer) partition(ctx context.Context, number int32, records []*kgo.Record, end int64) {
	p, owned := c.part(number)
	if !owned || c.in.haltedReason(p) != "" {
		return
	}
	next, err := c.in.records(ctx, p, c.decodeAll(p, records))
	if err != nil {
		if fenced := (*fencedError)(nil); !errors.As(err, &fenced) {
			return // ctx ended, or the partition was given up; nothing was acknowledged
		}
		c.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{
			p.Topic: {number: {Epoch: -1, Offset: next}},
		})
	}
	c.in.metrics.position(p, next, end)
}

func (c *consumer) decodeAll(p partition, records []*kgo.Record) []logRecord {
	out := make([]logRecord, len(records))
	for i, r := range records {
		out[i] = c.decode(p, r)
	}
	return out
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
