package rating

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

// topicLog is what the brokers have of the topic at one moment.
type topicLog struct {
	id string // of the topic; empty if there is none of that name
	// numbers are those of all partitions, partitions has those with a leader.
	numbers    []int32
	partitions map[int32]bounds
}

// bounds are the offset of the first record that a partition's log has, and the one behind the last.
type bounds struct{ first, end int64 }

// askTimeout bounds one look at the brokers.
const askTimeout = 5 * time.Second

// recordTimeout bounds one attempt to record that a partition stands still. A stop waits for it.
const recordTimeout = time.Second

// readLog asks the brokers. A partition without a leader is missing.
func readLog(ctx context.Context, client *kgo.Client, topic string) (topicLog, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	log := topicLog{partitions: make(map[int32]bounds)}
	found, err := kafka.DescribeTopic(ctx, client, topic)
	if fault.KindOf(err) == fault.KindNotFound {
		return log, nil
	}
	if err != nil {
		return log, err
	}
	log.id = found.HexID()
	for number := range found.Partitions {
		log.numbers = append(log.numbers, number)
	}
	adm := kadm.NewClient(client)
	firsts, err := adm.ListStartOffsets(ctx, topic)
	if err != nil && !someAnswered(err) {
		return log, fmt.Errorf("look up where topic %q begins: %w", topic, err)
	}
	ends, err := adm.ListEndOffsets(ctx, topic)
	if err != nil && !someAnswered(err) {
		return log, fmt.Errorf("look up where topic %q ends: %w", topic, err)
	}
	firsts.Each(func(f kadm.ListedOffset) {
		if e, ok := ends.Lookup(topic, f.Partition); ok && e.Err == nil && f.Err == nil {
			log.partitions[f.Partition] = bounds{first: f.Offset, end: e.Offset}
		}
	})
	return log, nil
}

// someAnswered reports whether err is that some of the brokers did not answer: the partitions that they lead are missing.
func someAnswered(err error) bool {
	some := (*kadm.ShardErrors)(nil)
	return errors.As(err, &some) && !some.AllFailed
}

// resumeHint is what every reason ends with.
func resumeHint(p partition) string {
	return fmt.Sprintf("nothing was skipped. To go on: 'movieexample ingestion resume --topic %s --partition %d --from earliest' (--dry-run tells first what is given up)",
		p.Topic, p.Number)
}

// objection says why a partition cannot go on at next; "" if it can. A lasting one stays until an operator decides, whatever
// the log looks like later: a log that was truncated grows, and then has other records at the same offsets.
func (l topicLog) objection(p partition, next int64) (reason string, lasting bool) {
	b, known := l.partitions[p.Number]
	switch {
	case l.id == "":
		return fmt.Sprintf("topic %q (id %s) was deleted; what it held and was not ingested is lost. Create it anew (a restart of the service does), "+
			"and then let its partitions go on by 'movieexample ingestion resume'", p.Topic, p.TopicID), false
	case l.id != p.TopicID:
		return fmt.Sprintf("topic %q was deleted and made anew (id %s, was %s)", p.Topic, l.id, p.TopicID), false
	case !known:
		return "", false
	case next < b.first:
		return fmt.Sprintf("the records %d to %d were deleted from the log before they were ingested (was its retention too short?); %s",
			next, b.first-1, resumeHint(p)), true
	case next > b.end:
		return fmt.Sprintf("the log ends at %d, before the record to go on with, %d: it was truncated; %s", b.end, next, resumeHint(p)), true
	}
	return "", false
}

// replacedReason says that the log was truncated to from and has grown since, with other records.
func replacedReason(p partition, from, next int64) string {
	return fmt.Sprintf("the log was truncated: the records from %d on, of which those before %d were ingested, are gone, and others have their offsets now; nothing was skipped. "+
		"To ingest those: 'movieexample ingestion resume --topic %s --partition %d --from %d' (--dry-run tells first what is given up)", from, next, p.Topic, p.Number, from)
}

// anewReason says that the topic of that name is another one than the one that was ingested.
func anewReason(p partition, old string, stood int64) string {
	return fmt.Sprintf("topic %q was deleted and made anew (id %s, was %s, ingested up to offset %d): what the old one held behind that is lost, and the new one's offsets mean other records; %s",
		p.Topic, p.TopicID, old, stood, resumeHint(p))
}

// judgement is what the database and the brokers together say about a partition.
type judgement struct {
	// next is where the partition goes on, or stands.
	next int64
	// known: the database has next.
	known bool
	// reason is why it must stand still; empty if it goes on.
	reason string
	// lasting: until an operator decides.
	lasting bool
	// mine is what the database has of the partition; nil if nothing.
	mine *ingestOffset
}

// state is what database and brokers have at one moment.
type state struct {
	log  topicLog
	rows []ingestOffset
}

// judge says where a partition goes on, or why it must not. A partition that nobody ever ingested begins with the first record
// that it has; unless there is a topic id under which it was ingested: then it stands, in whatever order things happened.
func (s state) judge(p partition) judgement {
	var mine, old *ingestOffset
	others, siblings := 0, 0
	for i, o := range s.rows {
		switch {
		case o.Topic != p.Topic:
		case o.TopicID == p.TopicID:
			siblings++
			if o.Number == p.Number {
				mine = &s.rows[i]
			}
		default:
			if others++; old == nil || o.Number == p.Number {
				old = &s.rows[i]
			}
		}
	}
	if mine != nil {
		j := judgement{next: mine.next, known: true, reason: mine.halted, lasting: true, mine: mine}
		if j.reason == "" {
			j.reason, j.lasting = s.log.objection(p, mine.next)
		}
		return j
	}
	j := judgement{next: s.log.partitions[p.Number].first}
	switch {
	case s.log.id != p.TopicID:
		j.reason, j.lasting = s.log.objection(p, 0)
	// A partition that the old topic did not have, of a topic that somebody has let go on, was added.
	case others > 0 && (old.Number == p.Number || siblings == 0):
		j.reason, j.lasting = anewReason(p, old.TopicID, old.next), true
	}
	return j
}

// look asks database and brokers.
func (c *consumer) look(ctx context.Context) (s state, err error) {
	if s.log, err = readLog(ctx, c.client, c.cfg.Topic); err != nil {
		return s, err
	}
	s.rows, err = c.in.store.offsets(ctx)
	return s, err
}

// settle makes a partition ours where it is judged to go on, or lets it stand still. It returns the offset to read from.
func (c *consumer) settle(ctx context.Context, p partition, s state) (int64, error) {
	if _, known := s.log.partitions[p.Number]; !known && s.log.id == p.TopicID {
		return 0, fmt.Errorf("partition %s has no leader that says where it begins and ends", p)
	}
	j := s.judge(p)
	if j.reason != "" {
		c.in.take(p, j.next)
		c.halt(ctx, p, halt{reason: j.reason, lasting: j.lasting, known: j.known})
		c.noteTruncation(p, s.log)
		return j.next, nil
	}
	next, err := c.in.start(ctx, p, j.next)
	if err != nil {
		return 0, fmt.Errorf("look up where ingestion goes on: %w", err)
	}
	c.in.gaps.ends(p, s.log.partitions[p.Number].end)
	if j.mine != nil {
		c.takenUp(ctx, *j.mine)
	}
	// A pause for a halt outlives the assignment that it was about.
	c.client.ResumeFetchPartitions(map[string][]int32{p.Topic: {p.Number}})
	return next, nil
}

// halt makes a partition stand still, and records it if it lasts. If the database does not take it now, review tries again.
func (c *consumer) halt(ctx context.Context, p partition, h halt) {
	c.client.PauseFetchPartitions(map[string][]int32{p.Topic: {p.Number}})
	c.in.halt(p, h)
	if h.lasting {
		c.record(ctx, p, h.reason)
	}
}

func (c *consumer) record(ctx context.Context, p partition, reason string) {
	next, owned := c.in.position(p)
	if !owned {
		return
	}
	// Also when the service is about to stop: that the log was replaced, the next start could not find out.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	switch err := c.in.store.halt(ctx, p, next, reason); {
	case err == nil:
		c.in.halt(p, halt{reason: reason, lasting: true, recorded: true})
	case !errors.Is(err, errFenced):
		c.in.log.Warn("a partition that stands still is not recorded yet", "partition", p.String(), "error", err)
	}
}

// noteTruncation tells the lag from where on records wait in a log that ends before the partition's position.
func (c *consumer) noteTruncation(p partition, log topicLog) {
	if next, _ := c.in.position(p); log.id == p.TopicID {
		if b, known := log.partitions[p.Number]; known && next > b.end {
			c.in.gaps.truncated(p, b.end)
		}
	}
}

// review looks at our partitions: an operator may have moved one or let it go on, what was in the way of one that stands still may
// have passed, and one may be stuck at a batch that the client does not tell of. It reports whether the topic has another id by
// now, so that it takes another client to read it.
func (c *consumer) review(ctx context.Context) (anew bool) {
	c.mu.Lock()
	id := c.topicID
	c.mu.Unlock()
	// A member without partitions hears of another topic only from the watch.
	seen := c.in.gaps.topic()
	standing, other := c.in.standing(), id != "" && seen != "" && seen != id
	c.follow(ctx)
	c.examineStuck(ctx)
	if len(standing) == 0 && !other {
		return false
	}
	s, err := c.look(ctx)
	if err != nil {
		return false // the next look may be luckier; whoever waits for the brokers or the database says so
	}
	if s.log.id != id && s.log.id != "" {
		c.in.log.Info("the topic was made anew: reading it under its new id", "topic", c.cfg.Topic, "topic_id", s.log.id, "was", id)
		return true
	}
	for p, h := range standing {
		j := s.judge(p)
		stands, _ := c.in.position(p)
		// Not recorded yet, and perhaps the log has grown over it: what was found once holds, unless somebody has moved the
		// partition. That a topic was made anew, its rows tell at any time.
		unnoted := h.lasting && !h.recorded
		if j.reason == "" && unnoted && h.known && j.next == stands {
			j.reason = h.reason
		}
		if j.reason != "" {
			if unnoted {
				c.record(ctx, p, j.reason)
			}
			continue
		}
		next, err := c.settle(ctx, p, s)
		if err != nil {
			continue
		}
		c.seek(p, next)
		c.in.log.Info("ingestion of a partition goes on", "partition", p.String(), "topic_id", p.TopicID, "offset", next)
	}
	return false
}

// follow goes on where the database says, with partitions that do not stand still and that an operator has moved. It runs while no
// batch is written, so that the database's offset and ours are the same otherwise.
func (c *consumer) follow(ctx context.Context) {
	rows, err := c.in.store.offsets(ctx)
	if err != nil {
		return // the next look may be luckier
	}
	for _, o := range rows {
		p, owned := c.part(o.Number)
		if !owned || p != o.partition || o.halted != "" || c.in.haltedReason(p) != "" {
			continue
		}
		if stands, ours := c.in.position(p); !ours || stands == o.next && o.moved == 0 {
			continue
		}
		c.in.take(p, o.next)
		c.seek(p, o.next)
		c.in.log.Info("ingestion of a partition goes on where it was moved to", "partition", p.String(), "topic_id", p.TopicID, "offset", o.next)
		c.takenUp(ctx, o)
	}
}

// takenUp tells whoever moved a partition that it goes on there.
func (c *consumer) takenUp(ctx context.Context, o ingestOffset) {
	if o.moved == 0 {
		return
	}
	if err := c.in.store.takenUp(ctx, o); err != nil && ctx.Err() == nil {
		c.in.log.Warn("that a moved partition goes on is not recorded yet", "partition", o.partition.String(), "error", err)
	}
}
