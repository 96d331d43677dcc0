package rating

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Bits of a batch's attributes: https://kafka.apache.org/documentation/#recordbatch
const (
	attrCompression = 0b0000_0111
	attrAppendTime  = 0b0000_1000
	attrTransaction = 0b0001_0000
	attrControl     = 0b0010_0000
)

// batchHead is the size of a batch's offset and length, which the length does not count.
const batchHead = 12

// rawBatch is a batch of records as it is in the log.
type rawBatch struct {
	kmsg.RecordBatch
	// raw is the whole batch.
	raw []byte
	// damage is why its frame cannot be read; then only FirstOffset may be known.
	damage error
}

// last is the offset of its last record before any compaction.
func (b *rawBatch) last() int64 { return b.FirstOffset + int64(b.LastOffsetDelta) }

// fetchRaw reads a partition's log from an offset on without decompressing it: at least one batch, if there is a committed one. stable
// is where undecided transactions begin, or the end of the log.
func fetchRaw(ctx context.Context, client *kgo.Client, p partition, from int64) (batches []rawBatch, stable int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	leader, _, err := client.PartitionLeader(p.Topic, p.Number)
	if err != nil {
		return nil, 0, fmt.Errorf("look up the leader of partition %s: %w", p, err)
	}
	if leader < 0 {
		return nil, 0, fmt.Errorf("partition %s has no leader", p)
	}
	part := kmsg.NewFetchRequestTopicPartition()
	part.Partition, part.FetchOffset, part.PartitionMaxBytes = p.Number, from, 1<<20
	topic := kmsg.NewFetchRequestTopic()
	topic.Topic, topic.Partitions = p.Topic, append(topic.Partitions, part)
	if id, err := hex.DecodeString(p.TopicID); err == nil {
		copy(topic.TopicID[:], id)
	}
	req := kmsg.NewPtrFetchRequest()
	req.MaxWaitMillis, req.MinBytes, req.MaxBytes, req.IsolationLevel = 100, 1, 1<<20, 1
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(ctx, client.Broker(int(leader)))
	if err != nil {
		return nil, 0, fmt.Errorf("read partition %s at %d: %w", p, from, err)
	}
	if err := kerr.ErrorForCode(resp.ErrorCode); err != nil {
		return nil, 0, fmt.Errorf("read partition %s at %d: %w", p, from, err)
	}
	for _, t := range resp.Topics {
		for _, rp := range t.Partitions {
			if err := kerr.ErrorForCode(rp.ErrorCode); err != nil {
				return nil, 0, fmt.Errorf("read partition %s at %d: %w", p, from, err)
			}
			stable = rp.HighWatermark
			if rp.LastStableOffset >= 0 {
				stable = min(stable, rp.LastStableOffset)
			}
			batches = splitBatches(rp.RecordBatches)
		}
	}
	return batches, stable, nil
}

// splitBatches splits a response into its batches. An incomplete batch at its end is left out.
func splitBatches(in []byte) (batches []rawBatch) {
	for len(in) > batchHead+5 {
		size := int64(int32(binary.BigEndian.Uint32(in[8:]))) + batchHead
		if size > int64(len(in)) {
			return batches
		}
		b := rawBatch{}
		b.FirstOffset = int64(binary.BigEndian.Uint64(in))
		if size <= batchHead+5 {
			b.damage, b.raw = fmt.Errorf("says that it has %d bytes", size), in
			return append(batches, b)
		}
		b.raw, in = in[:size], in[size:]
		switch magic := b.raw[16]; {
		case magic < 2:
			b.Magic, b.damage = int8(magic), fmt.Errorf("has the old format %d", magic)
		case magic > 2:
			b.Magic, b.damage = int8(magic), fmt.Errorf("has the unknown format %d", magic)
		default:
			if err := b.ReadFrom(b.raw); err != nil {
				b.damage = errors.New("is shorter than a batch's head")
			} else if sum := int32(crc32.Checksum(b.raw[21:], crc32.MakeTable(crc32.Castagnoli))); sum != b.CRC {
				b.damage = fmt.Errorf("has the checksum %08x, and its bytes have %08x", uint32(b.CRC), uint32(sum))
			}
		}
		batches = append(batches, b)
	}
	return batches
}

// rawTimes reads the timestamps of the records from one offset to another, in milliseconds as the producer wrote them. The client has
// decoded these records, so decompressing them again needs no bound.
func rawTimes(ctx context.Context, client *kgo.Client, p partition, from, to int64) (map[int64]int64, error) {
	times := make(map[int64]int64)
	for from <= to {
		batches, _, err := fetchRaw(ctx, client, p, from)
		if err != nil {
			return nil, err
		}
		before := from
		for _, b := range batches {
			if b.damage == nil {
				b.times(times)
			}
			from = max(from, b.last()+1)
		}
		if from == before {
			return nil, fmt.Errorf("read the timestamps of partition %s: no records at %d, which was just read", p, from)
		}
	}
	return times, nil
}

// times adds the timestamps of a batch's records by their offsets, and returns how many records can be decoded.
func (b *rawBatch) times(times map[int64]int64) (decoded int32) {
	records, err := b.Records, error(nil)
	if codec := kgo.CompressionCodecType(b.Attributes & attrCompression); codec != kgo.CodecNone {
		if records, err = kgo.DefaultDecompressor().Decompress(records, codec); err != nil {
			return 0
		}
	}
	for decoded < b.NumRecords {
		size, used := kbin.Varint(records)
		if used <= 0 || size < 0 || len(records)-used < int(size) {
			return decoded
		}
		r := kbin.Reader{Src: records[used : used+int(size)]}
		records = records[used+int(size):]
		r.Int8()
		written := b.FirstTimestamp + r.Varlong()
		offset := b.FirstOffset + int64(r.Varint())
		if !r.Ok() {
			return decoded
		}
		if b.Attributes&attrAppendTime != 0 {
			written = b.MaxTimestamp
		}
		times[offset] = written
		decoded++
	}
	return decoded
}

// damagedReason says that a batch of the log is not what a producer sent.
func (b *rawBatch) damagedReason(p partition, next int64) string {
	after := next + 1
	if b.Magic == 2 {
		after = max(after, b.last()+1)
	}
	return fmt.Sprintf("the log is damaged: the batch at offset %d %s; no records were skipped. If the brokers have another copy, recover it, then run 'movieexample ingestion resume --topic %s --partition %d --from %d'; to skip the batch, --from %d",
		b.FirstOffset, b.damage, p.Topic, p.Number, next, after)
}

// deadLetter is the dead letter of an undecodable batch, or of its records from next on. stable is the end of the committed log: the
// batch may claim more records.
func (b *rawBatch) deadLetter(p partition, next, stable int64, cause error) logRecord {
	first, last := max(next, b.FirstOffset), b.last()
	if stable > first {
		last = min(last, stable-1)
	}
	reason := fmt.Sprintf("The records %d to %d are in a batch of %d bytes that cannot be decoded: %v. Its header says %d records, of producer %d; the payload is the whole batch.",
		first, last, len(b.raw), cause, b.NumRecords, b.ProducerID)
	d := deadLetter{partition: p, Offset: first, Class: classUndecodable, Reason: reason, Payload: b.raw, RecordTime: letterTime(b.FirstTimestamp)}
	return logRecord{offset: max(first, last), dead: &d}
}

// complete returns an error if a batch does not have the number of records in its header. It decompresses without a bound, so it is
// only for batches that the client has decompressed.
func (b *rawBatch) complete() error {
	if n := b.times(make(map[int64]int64)); n < b.NumRecords {
		return fmt.Errorf("only %d of its %d records can be decoded", n, b.NumRecords)
	}
	if b.NumRecords < 0 {
		return errors.New("it has a negative number of records")
	}
	return nil
}

// rememberedBatches is for how many decompressed batches of a partition the sizes are kept.
const rememberedBatches = 64

// batchSizes remembers the sizes of the batches that the client has decompressed. The client reports nothing else about them.
type batchSizes struct {
	mu sync.Mutex
	of map[int32][]int
}

func (s *batchSizes) add(number int32, size int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sizes := append(s.of[number], size)
	s.of[number] = sizes[max(0, len(sizes)-rememberedBatches):]
}

func (s *batchSizes) has(number int32, size int) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Contains(s.of[number], size)
}
