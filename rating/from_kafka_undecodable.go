package rating

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// stalledAfter is how long a partition may keep its offset, with records after it, before the log's own bytes are read: the client
// silently reads some undecodable batches again and again.
const stalledAfter = 2 * time.Second

var _ kgo.HookFetchBatchRead = (*consumer)(nil)

// OnFetchBatchRead is called by the client library for every batch that it has read.
func (c *consumer) OnFetchBatchRead(_ kgo.BrokerMetadata, _ string, number int32, m kgo.FetchBatchMetrics) {
	if m.CompressionType != 0 && m.NumRecords == 0 && m.UncompressedBytes == m.CompressedBytes {
		return // the library reports a batch so that it could not decompress
	}
	_ = c.guarded(func() error { // poll returns its panic
		c.decompressed.add(number, m.CompressedBytes)
		return nil
	})
}

// isUndecodable reports whether a fetch error is about the data, and not about fetching it.
func isUndecodable(err error) bool {
	return !errors.As(err, new(*kerr.Error)) && !errors.As(err, new(*kgo.ErrDataLoss)) && !errors.As(err, new(net.Error)) && !errors.As(err, new(*kgo.ErrGroupSession)) &&
		!errors.Is(err, context.Canceled) && !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) &&
		!errors.Is(err, net.ErrClosed) && !errors.Is(err, kgo.ErrClientClosed)
}

// undecodable makes a dead letter of the batch at a partition's offset, which cause is about. If the log is damaged there, so that the
// batch is not what the producer sent, it halts the partition.
func (c *consumer) undecodable(ctx context.Context, p partition, cause error) {
	next, ours := c.in.position(p)
	if !ours {
		return
	}
	batches, stable, err := fetchRaw(ctx, c.client, p, next)
	if err != nil {
		c.logError(p.Number, err)
		return // the client returns the error again
	}
	for _, b := range batches {
		switch {
		case b.damage != nil:
			c.haltLasting(ctx, p, b.damagedReason(p, next))
			return
		case b.last() >= next:
			tooLarge := (*kgo.ErrDecompressTooLarge)(nil)
			if errors.As(cause, &tooLarge) && tooLarge.Offset == b.FirstOffset {
				cause = errors.New("it decompresses to more than 32 MiB, or to more than 262,144 records")
			} else if b.complete() == nil {
				c.logError(p.Number, cause) // about another batch
				return
			}
			c.ingestDead(ctx, p, []logRecord{b.deadLetter(p, next, stable, cause)})
			return
		}
	}
}

// skippedBatches returns dead letters for the undecodable batches that the client skipped between the records it returned. Most gaps
// have other causes: aborted transactions, and compaction.
func (c *consumer) skippedBatches(ctx context.Context, p partition, records []*kgo.Record) (letters []logRecord, err error) {
	next, _ := c.in.position(p)
	for _, r := range records {
		for next < r.Offset {
			batches, stable, err := fetchRaw(ctx, c.client, p, next)
			if err != nil {
				return nil, err
			}
			if len(batches) == 0 {
				return nil, fmt.Errorf("read partition %s at %d: no batch found before %d, which was just read", p, next, r.Offset)
			}
			for _, b := range batches {
				if next >= r.Offset {
					break
				}
				if b.damage == nil && b.last() >= next && b.FirstOffset < r.Offset && b.Attributes&(attrTransaction|attrControl) == 0 {
					if why := b.complete(); why != nil {
						letters = append(letters, b.deadLetter(p, next, stable, why))
					}
				}
				next = max(next+1, b.last()+1)
			}
		}
		next = max(next, r.Offset+1)
	}
	return letters, nil
}

// checkStalled examines partitions whose offset does not move although there are records: the client may be reading an undecodable batch
// again and again.
func (c *consumer) checkStalled(ctx context.Context) {
	c.mu.Lock()
	owned := make([]partition, 0, len(c.owned))
	for _, p := range c.owned {
		owned = append(owned, p)
	}
	c.mu.Unlock()
	for _, p := range owned {
		next, ours := c.in.position(p)
		lag, _ := c.in.lag.lagOf(p)
		last := c.stalls[p.Number]
		moved := !ours || last.next != next || lag.records() == 0 || c.in.haltReason(p) != ""
		if !moved && time.Since(last.since) < stalledAfter {
			continue
		}
		c.stalls[p.Number] = stall{next: next, since: time.Now()}
		if !moved {
			c.examine(ctx, p, next)
		}
	}
}

// examine makes dead letters of the undecodable batches from next on.
func (c *consumer) examine(ctx context.Context, p partition, next int64) {
	batches, stable, err := fetchRaw(ctx, c.client, p, next)
	if err != nil {
		c.logError(p.Number, err)
		return
	}
	var letters []logRecord
	for _, b := range batches {
		if b.damage == nil && b.last() < next {
			continue
		}
		if b.damage != nil || b.Attributes&attrControl != 0 || b.Attributes&attrCompression != 0 && !c.decompressed.has(p.Number, len(b.Records)) {
			break // the client reports this one
		}
		why := b.complete()
		if why == nil {
			break
		}
		letters = append(letters, b.deadLetter(p, next, stable, why))
		next = letters[len(letters)-1].offset + 1
	}
	if len(letters) > 0 {
		c.ingestDead(ctx, p, letters)
	}
}
