package kafka

import (
	"bytes"
	"encoding/binary"
	"hash/crc32"
	"log/slog"
	"net"
	"runtime"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// allocated is how many bytes work allocates.
func allocated(work func()) int64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	work()
	runtime.ReadMemStats(&after)
	return int64(after.TotalAlloc - before.TotalAlloc)
}

// seal makes the length and the checksum of a batch right, past which nothing would come otherwise.
func seal(b []byte) []byte {
	b = append([]byte{}, b...)
	if len(b) >= batchHead {
		clear(b[:8])
		binary.BigEndian.PutUint32(b[8:], uint32(len(b)-12))
		b[16] = 2
		binary.BigEndian.PutUint32(b[17:], crc32.Checksum(b[21:], crc32.MakeTable(crc32.Castagnoli)))
	}
	return b
}

// seedBatch is a batch of one record, compressed by a codec.
func seedBatch(codec kgo.CompressionCodec, attributes int16, count int32) []byte {
	records := []byte{0x1c, 0, 0, 0, 1, 8, 'a', 'b', 'c', 'd', 2, 2, 'k', 2, 'v'}
	if c, err := kgo.DefaultCompressor(codec); err == nil && c != nil {
		records, _ = c.Compress(new(bytes.Buffer), records)
	}
	b := kmsg.RecordBatch{
		Magic: 2, Attributes: attributes, LastOffsetDelta: count - 1, ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		NumRecords: count, Records: records,
	}
	return seal(b.AppendTo(nil))
}

// FuzzBatch: what is taken is read by a consumer to its last record, and no batch costs more memory than its bound says.
func FuzzBatch(f *testing.F) {
	for i, codec := range []kgo.CompressionCodec{kgo.NoCompression(), kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		f.Add(seedBatch(codec, int16(i), 1))
	}
	f.Add(seedBatch(kgo.NoCompression(), 0, -1))
	f.Add(seedBatch(kgo.NoCompression(), 0, 1<<31-1))
	const limit = 1 << 20
	f.Fuzz(func(t *testing.T, data []byte) {
		data = seal(data)
		var err error
		// A decoder of zstd has tables and a window besides, one of lz4 blocks of 4 MiB; a buffer that grows is twice its contents.
		if n, most := allocated(func() { _, err = checkBatch(data, limit) }), int64(16*limit+len(data)); n > most {
			t.Errorf("%d bytes allocated for a batch of %d, want %d at most", n, len(data), most)
		}
		if err != nil {
			return
		}
		p := kmsg.NewFetchResponseTopicPartition()
		p.RecordBatches, p.HighWatermark = data, 1<<40
		got, next := kgo.ProcessFetchPartition(kgo.ProcessFetchPartitionOpts{KeepControlRecords: true}, &p, kgo.DefaultDecompressor(), nil)
		count := int64(binary.BigEndian.Uint32(data[57:]))
		if got.Err != nil || int64(len(got.Records)) != count || next != count {
			t.Errorf("a batch was taken of which a consumer reads %d of %d records, up to %d: %v", len(got.Records), count, next, got.Err)
		}
		size := 0
		for _, r := range got.Records {
			size += len(r.Key) + len(r.Value)
		}
		if size > max(limit, len(data)) {
			t.Errorf("a batch was taken with %d bytes, and the limit is %d", size, limit)
		}
	})
}

// nowhere is a listener without connections.
type nowhere struct{ net.Listener }

func (nowhere) Close() error { return nil }

// FuzzRequest: a check never panics, costs no more memory than its rule says, and what it hands on can be decoded.
func FuzzRequest(f *testing.F) {
	add := func(k kmsg.Request, version int16) {
		k.SetVersion(version)
		f.Add(int16(k.Key()), version, k.AppendTo(nil))
	}
	join := kmsg.NewPtrJoinGroupRequest()
	join.Group, join.ProtocolType = "g", "consumer"
	join.Protocols = []kmsg.JoinGroupRequestProtocol{{Name: "range"}, {Name: "range"}}
	add(join, 5)
	produce := kmsg.NewPtrProduceRequest()
	for i := range byte(2) {
		topic := kmsg.NewProduceRequestTopic()
		topic.Topic, topic.TopicID = string('a'+rune(i)), [16]byte{1 + i}
		topic.Partitions = []kmsg.ProduceRequestTopicPartition{{Records: seedBatch(kgo.NoCompression(), 0, 1)}}
		produce.Topics = append(produce.Topics, topic)
	}
	add(produce, 9)
	add(produce, 13)
	produce.Topics[0].Partitions[0].Records = seedBatch(kgo.NoCompression(), 0, -1)
	add(produce, 9)
	for kind := range int16(kmsg.MaxKey + 1) {
		if rule, ok := ruleOf(kind); ok {
			k := kmsg.RequestForKey(kind)
			add(k, rule.max)
			f.Add(kind, rule.max, append(k.AppendTo(nil), 255, 255, 255, 255, 15)) // 2^32-1 tags
			f.Add(kind, rule.max, []byte{255, 255, 255, 255, 15})
		}
	}
	g := newGuard(nowhere{}, textAddr("127.0.0.1:1"), Limits{BatchBytes: 1 << 16}.withDefaults(), slog.New(slog.DiscardHandler))
	if err := g.Close(); err != nil { // so that requests to the library fail at once
		f.Fatal(err)
	}
	near, far := net.Pipe()
	f.Cleanup(func() { _, _ = near.Close(), far.Close() })
	c := &guardConn{Conn: near, guard: g, closed: make(chan struct{}), answered: make(chan struct{}, 1)}
	f.Fuzz(func(t *testing.T, kind, version int16, body []byte) {
		rule, ok := ruleOf(kind)
		if !ok || version < rule.min || version > rule.max || len(body) > 64<<10 {
			return
		}
		k := kmsg.RequestForKey(kind)
		k.SetVersion(version)
		frame := make([]byte, 14, 16+len(body)) // no client id
		binary.BigEndian.PutUint16(frame[4:], uint16(kind))
		binary.BigEndian.PutUint16(frame[6:], uint16(version))
		frame[12], frame[13] = 255, 255
		if k.IsFlexible() {
			frame = append(frame, 0)
		}
		r := &request{kind: kind, version: version, frame: append(frame, body...)}
		binary.BigEndian.PutUint32(r.frame, uint32(len(r.frame)-4))
		if err := r.readHead(); err != nil {
			t.Fatal(err)
		}
		var v verdict
		var err error
		n := allocated(func() { v, err = g.check(c, r, rule) })
		if v.after != nil {
			v.after()
		}
		// Twice: read and written again. What batches cost is for FuzzBatch.
		if most := 2*rule.cost*int64(len(r.frame)) + 1<<20; kind != kindProduce && n > most {
			t.Errorf("%s %d: %d bytes allocated for %d, want %d at most", kindName(kind), version, n, len(body), most)
		}
		if err != nil || v.answer != nil {
			return
		}
		if _, err := r.decode(); err != nil {
			t.Errorf("%s %d is handed on and cannot be decoded: %v", kindName(kind), version, err)
		}
	})
}
