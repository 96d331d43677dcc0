package rating

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/kafka"
)

const (
	// stuckAfter is how long a partition may stay where it is, with records behind that place, before the log's own bytes are looked
	// at: the client reads some batches that it cannot decode again and again, and tells nobody.
	stuckAfter = 2 * time.Second
	// seenBatches is how many batches of a partition are remembered as decompressed.
	seenBatches = 64
)

// seen remembers which batches the client has decompressed, by their size: it says more about them than its user gets to know.
type seen struct {
	mu sync.Mutex
	of map[int32][]int
}

var _ kgo.HookFetchBatchRead = (*consumer)(nil)

// OnFetchBatchRead is called by the client library for every batch that it has read.
func (c *consumer) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, number int32, m kgo.FetchBatchMetrics) {
	if m.CompressionType != 0 && m.NumRecords == 0 && m.UncompressedBytes == m.CompressedBytes {
		return // which is what it says of one that it could not decompress
	}
	_ = c.guarded(func() error { // of a panic poll hears
		c.seen.mu.Lock()
		defer c.seen.mu.Unlock()
		sizes := append(c.seen.of[number], m.CompressedBytes)
		c.seen.of[number] = sizes[max(0, len(sizes)-seenBatches):]
		return nil
	})
}

func (s *seen) has(number int32, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.of[number], size)
}

// isUndecodable reports whether an error of reading is about what was read, and not about reading it.
func isUndecodable(err error) bool {
	return !errors.As(err, new(*kerr.Error)) && !errors.As(err, new(*kgo.ErrDataLoss)) && !errors.As(err, new(net.Error)) && !errors.As(err, new(*kgo.ErrGroupSession)) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) &&
		!errors.Is(err, net.ErrClosed) && !errors.Is(err, kgo.ErrClientClosed)
}

// undecodable handles the batch that a partition cannot go on for, as cause says: it becomes a dead letter. If the log is damaged
// there, so that it is not what the producer has sent, the partition stands still.
func (c *consumer) undecodable(ctx context.Context, p partition, cause error) {
	next, ours := c.in.position(p)
	if !ours {
		return
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	batches, stable, err := fetchRaw(asking, c.client, p, next)
	cancel()
	if err != nil {
		c.trouble(p.Number, err)
		return // the client comes again with the same error
	}
	for _, b := range batches {
		switch {
		case b.damage != nil:
			c.halt(ctx, p, halt{reason: b.damaged(p, next), lasting: true, known: true})
			return
		case b.last() >= next:
			tooLarge := (*kgo.ErrDecompressTooLarge)(nil)
			if errors.As(cause, &tooLarge) && tooLarge.Offset == b.FirstOffset {
				cause = errors.New("it decompresses to more than 32 MiB, or to more than 262,144 records")
			} else if b.complete() == nil {
				c.trouble(p.Number, cause) // it is about another batch
				return
			}
			c.bury(ctx, p, []logRecord{b.letter(p, next, stable, cause)})
			return
		}
	}
}

// bury ingests what is nothing but dead letters, and reads on behind them.
func (c *consumer) bury(ctx context.Context, p partition, letters []logRecord) {
	next, err := c.in.records(ctx, p, letters)
	if stuck := (*haltError)(nil); errors.As(err, &stuck) {
		c.halt(ctx, p, halt{reason: stuck.reason, lasting: true, known: true})
	} else if fenced := (*fencedError)(nil); err == nil || errors.As(err, &fenced) {
		c.seek(p, next)
	}
}

// damaged says that a batch of the log is not what a producer has sent.
func (b *rawBatch) damaged(p partition, next int64) string {
	behind := next + 1
	if b.Magic == 2 {
		behind = max(behind, b.last()+1)
	}
	return fmt.Sprintf("the log is damaged: the batch at offset %d %s; nothing was skipped. If the brokers have another copy, let them recover it, then 'movieexample ingestion resume --topic %s --partition %d --from %d'; to give the batch up: --from %d",
		b.FirstOffset, b.damage, p.Topic, p.Number, next, behind)
}

// letter is the dead letter of a batch that cannot be decoded, or of what is left of it from next on. stable is where the log has
// no committed records any more: behind it the batch's own word on its end does not count.
func (b *rawBatch) letter(p partition, next, stable int64, cause error) logRecord {
	first, last := max(next, b.FirstOffset), b.last()
	if stable > first {
		last = min(last, stable-1)
	}
	reason := fmt.Sprintf("The records %d to %d are in a batch of %d bytes that cannot be decoded: %v. It says that it has %d records, of producer %d; the payload is the whole batch.",
		first, last, len(b.raw), cause, b.NumRecords, b.ProducerID)
	d := deadLetter{partition: p, Offset: first, Class: classUndecodable, Reason: reason, Payload: b.raw, RecordTime: letterTime(b.FirstTimestamp)}
	return logRecord{offset: max(first, last), dead: &d}
}

// complete is nil if a batch has the records that it says it has, and otherwise says what is missing. It decompresses without a bound,
// and so is for batches that the client has decompressed.
func (b *rawBatch) complete() error {
	if n := b.times(make(map[int64]int64)); n < b.NumRecords {
		return fmt.Errorf("only %d of its %d records can be decoded", n, b.NumRecords)
	}
	if b.NumRecords < 0 {
		return errors.New("it has a negative number of records")
	}
	return nil
}

// passedOver returns dead letters for those batches that the client went over because it could not decode them, between the
// records that it returned. Most gaps are none of its making: transactions that were aborted, and compaction.
func (c *consumer) passedOver(ctx context.Context, p partition, records []*kgo.Record) (letters []logRecord, err error) {
	next, _ := c.in.position(p)
	for _, r := range records {
		for next < r.Offset {
			asking, cancel := context.WithTimeout(ctx, askTimeout)
			batches, stable, err := fetchRaw(asking, c.client, p, next)
			cancel()
			if err != nil {
				return nil, err
			}
			if len(batches) == 0 {
				return nil, fmt.Errorf("read partition %s at %d: there is no batch before %d, which was read a moment ago", p, next, r.Offset)
			}
			for _, b := range batches {
				if next >= r.Offset {
					break
				}
				if b.damage == nil && b.last() >= next && b.FirstOffset < r.Offset && b.Attributes&(attrTransaction|attrControl) == 0 {
					if why := b.complete(); why != nil {
						letters = append(letters, b.letter(p, next, stable, why))
					}
				}
				next = max(next+1, b.last()+1)
			}
		}
		next = max(next, r.Offset+1)
	}
	return letters, nil
}

// standing is where a partition stood, and since when.
type standing struct {
	next  int64
	since time.Time
}

// examineStuck looks at partitions that do not go on though there are records: the client may be reading a batch again and again of
// which it can decode nothing.
func (c *consumer) examineStuck(ctx context.Context) {
	c.mu.Lock()
	owned := make([]partition, 0, len(c.owned))
	for _, p := range c.owned {
		owned = append(owned, p)
	}
	c.mu.Unlock()
	for _, p := range owned {
		next, ours := c.in.position(p)
		known, _ := c.in.gaps.lagOf(p)
		at := c.places[p.Number]
		if !ours || at.next != next || known.records() == 0 || c.in.haltedReason(p) != "" {
			c.places[p.Number] = standing{next: next, since: time.Now()}
			continue
		}
		if time.Since(at.since) < stuckAfter {
			continue
		}
		c.places[p.Number] = standing{next: next, since: time.Now()}
		c.examine(ctx, p, next)
	}
}

// examine looks at the batches from next on, and buries those that cannot be decoded.
func (c *consumer) examine(ctx context.Context, p partition, next int64) {
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	batches, stable, err := fetchRaw(asking, c.client, p, next)
	cancel()
	if err != nil {
		c.trouble(p.Number, err)
		return
	}
	var letters []logRecord
	for _, b := range batches {
		if b.damage == nil && b.last() < next {
			continue
		}
		if b.damage != nil || b.Attributes&attrControl != 0 || b.Attributes&attrCompression != 0 && !c.seen.has(p.Number, len(b.Records)) {
			break // what is wrong with it, the client says
		}
		why := b.complete()
		if why == nil {
			break
		}
		letters = append(letters, b.letter(p, next, stable, why))
		next = letters[len(letters)-1].offset + 1
	}
	if len(letters) > 0 {
		c.bury(ctx, p, letters)
	}
}

// trouble logs an error about a partition, one that comes again with every attempt only now and then.
func (c *consumer) trouble(number int32, err error) {
	err = kafka.Explain(c.client, err)
	c.troubled = c.in.gaps.answers()
	if c.said[number] == nil {
		c.said[number] = &saying{}
	}
	c.said[number].say(c.in.log, slog.LevelWarn, "reading rating events", err, "topic", c.cfg.Topic, "partition", number)
}

// recovered says that it is over what trouble has said: the brokers have answered since, and nothing came of the last poll but records.
func (c *consumer) recovered() {
	if c.in.gaps.answers() < c.troubled+2 { // an answer that was under way is none
		return
	}
	said := false
	for _, s := range c.said {
		said = s.end() || said
	}
	if said {
		c.in.log.Info("reading rating events again", "topic", c.cfg.Topic)
	}
}
