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
	id string // of the topic; empty if there is no topic
	// numbers are those of all partitions, partitions has those with a leader.
	numbers    []int32
	partitions map[int32]bounds
}

// bounds are the offset of the first record of a partition's log, and the one after the last.
type bounds struct{ first, end int64 }

// askTimeout bounds one request to the brokers.
const askTimeout = 5 * time.Second

// readLog asks the brokers. A partition without a leader has no bounds.
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

// someAnswered reports whether only some of the brokers failed to answer: the partitions that they lead have no bounds.
func someAnswered(err error) bool {
	some := (*kadm.ShardErrors)(nil)
	return errors.As(err, &some) && !some.AllFailed
}

// resumeHint ends most halt reasons.
func resumeHint(p partition, from any) string {
	return fmt.Sprintf("no records were skipped. To resume, run 'movieexample ingestion resume --topic %s --partition %d --from %v'; add --dry-run to see what would be lost",
		p.Topic, p.Number, from)
}

// haltReason says why a partition cannot be ingested from next on; "" if it can. Only an operator ends a lasting halt, even if
// the log looks right later: a truncated log grows, and then has other records at the same offsets.
func (l topicLog) haltReason(p partition, next int64) (reason string, lasting bool) {
	b, known := l.partitions[p.Number]
	switch {
	case l.id == "":
		return fmt.Sprintf("topic %q (id %s) was deleted; its records that were not ingested are lost. Create it again (a restart of the service does), "+
			"then run 'movieexample ingestion resume' for its partitions", p.Topic, p.TopicID), false
	case l.id != p.TopicID:
		return fmt.Sprintf("topic %q was deleted and recreated (id %s, was %s)", p.Topic, l.id, p.TopicID), false
	case !known:
		return "", false
	case next < b.first:
		return fmt.Sprintf("the records %d to %d were deleted from the log before they were ingested (was its retention too short?); %s",
			next, b.first-1, resumeHint(p, "earliest")), true
	case next > b.end:
		return fmt.Sprintf("the log ends at %d, before the next record to ingest, %d: it was truncated; %s", b.end, next, resumeHint(p, "earliest")), true
	}
	return "", false
}

// replacedReason says that the log was truncated to from and has grown since, with other records.
func replacedReason(p partition, from, next int64) string {
	return fmt.Sprintf("the log was truncated: the records from %d on, ingested up to %d, are gone, and other records have their offsets now; %s",
		from, next, resumeHint(p, from))
}

// recreatedReason says that the topic of that name is not the one that was ingested.
func recreatedReason(p partition, old string, next int64) string {
	return fmt.Sprintf("topic %q was deleted and recreated (id %s, was %s, ingested up to offset %d): the old topic's later records are lost, and the new one's offsets mean other records; %s",
		p.Topic, p.TopicID, old, next, resumeHint(p, "earliest"))
}

// state is what the brokers and the database have at one moment.
type state struct {
	log  topicLog
	rows []ingestOffset
}

// decision is what follows from a state for a partition.
type decision struct {
	// next is the next offset, also of a halted partition.
	next int64
	// known: the database has next.
	known bool
	// reason is the halt reason; empty if the partition can be ingested.
	reason string
	// lasting: only an operator ends the halt.
	lasting bool
	// row is what the database has of the partition; nil if nothing.
	row *ingestOffset
}

// decide says where a partition is ingested from, or why it is halted. A new partition starts with its first record, unless it was
// ingested under another topic id: then it is halted, in any order of events.
func (s state) decide(p partition) decision {
	var row, old *ingestOffset
	others, siblings := 0, 0
	for i, o := range s.rows {
		switch {
		case o.Topic != p.Topic:
		case o.TopicID == p.TopicID:
			siblings++
			if o.Number == p.Number {
				row = &s.rows[i]
			}
		default:
			if others++; old == nil || o.Number == p.Number {
				old = &s.rows[i]
			}
		}
	}
	if row != nil {
		d := decision{next: row.next, known: true, reason: row.halted, lasting: true, row: row}
		if d.reason == "" {
			d.reason, d.lasting = s.log.haltReason(p, row.next)
		}
		return d
	}
	d := decision{next: s.log.partitions[p.Number].first}
	switch {
	case s.log.id != p.TopicID:
		d.reason, d.lasting = s.log.haltReason(p, 0)
	// A partition that the old topic did not have was added if the new topic's others are known: they were resumed.
	case others > 0 && (old.Number == p.Number || siblings == 0):
		d.reason, d.lasting = recreatedReason(p, old.TopicID, old.next), true
	}
	return d
}

// owners are the members of the group that own the partitions.
type owners struct {
	of map[int32]string
	// known: the group's members are known. settled: so is what they own, which it is not during a rebalance.
	known, settled bool
}
