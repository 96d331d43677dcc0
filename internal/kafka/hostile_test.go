package kafka_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/kafka"
)

// The library panics on these, and has one goroutine for all.
func TestBrokerSurvivesWhatMakesItsLibraryPanic(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	t.Run("a member that names a protocol twice", func(t *testing.T) {
		for version := int16(2); version <= 9; version++ {
			join := kmsg.NewPtrJoinGroupRequest()
			join.Version, join.Group, join.SessionTimeoutMillis, join.RebalanceTimeoutMillis, join.ProtocolType = version, "g", 10_000, 10_000, "consumer"
			for range 2 {
				p := kmsg.NewJoinGroupRequestProtocol()
				p.Name = "range"
				join.Protocols = append(join.Protocols, p)
			}
			if got := dialWire(t, b.Addr()).ask(join).(*kmsg.JoinGroupResponse); got.ErrorCode != kerr.InconsistentGroupProtocol.Code {
				t.Errorf("version %d: error %v, want INCONSISTENT_GROUP_PROTOCOL", version, kerr.ErrorForCode(got.ErrorCode))
			}
			serves(t, b.Addr())
		}
	})
	t.Run("unknown topic ids", func(t *testing.T) {
		req := kmsg.NewPtrProduceRequest()
		req.Version, req.Acks = 13, -1
		for i := range 2 {
			rt := kmsg.NewProduceRequestTopic()
			rt.TopicID = [16]byte{byte(i + 1)}
			rt.Partitions = append(rt.Partitions, kmsg.NewProduceRequestTopicPartition())
			req.Topics = append(req.Topics, rt)
		}
		w := dialWire(t, b.Addr())
		w.send(requestFrame(req))
		w.closed("produce version 13")
		serves(t, b.Addr())
	})
}

// What is acknowledged can be read, by every consumer and with little memory.
func TestBrokerRefusesBatchesThatNoConsumerReads(t *testing.T) {
	var logs logBuffer
	b := startBroker(t, kafka.BrokerConfig{Logger: logs.logger()})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", Partitions: 2})
	good := batch(0, record(0, []byte("good")), 1, nil)
	bomb := batch(4, compressed(t, record(0, make([]byte, 256<<20))), 1, nil)
	if len(bomb) > 64<<10 {
		t.Fatalf("a bomb of %d bytes proves nothing", len(bomb))
	}
	three := bytes.Join([][]byte{record(0, nil), record(1, nil), record(2, nil)}, nil)
	rows := []struct {
		name  string
		batch []byte
		want  *kerr.Error
	}{
		{"256 MiB in a few KB", bomb, kerr.MessageTooLarge},
		{"junk for gzip", batch(1, []byte("junk"), 1, nil), kerr.CorruptMessage},
		{"junk for snappy", batch(2, []byte("junk"), 1, nil), kerr.CorruptMessage},
		{"junk for lz4", batch(3, []byte("junk"), 1, nil), kerr.CorruptMessage},
		{"junk for zstd", batch(4, []byte("junk"), 1, nil), kerr.CorruptMessage},
		{"a compression that does not exist", batch(5, record(0, nil), 1, nil), kerr.CorruptMessage},
		{"half a zstd frame", batch(4, compressed(t, three)[:8], 3, nil), kerr.CorruptMessage},
		{"junk for records", batch(0, []byte{200, 1, 2, 3}, 1, nil), kerr.InvalidRecord},
		{"compressed junk", batch(4, compressed(t, []byte{200, 1, 2, 3}), 1, nil), kerr.InvalidRecord},
		{"fewer records than it says", batch(0, three, 4, nil), kerr.InvalidRecord},
		{"more records than it says", batch(0, three, 2, nil), kerr.InvalidRecord},
		{"a negative number of records", batch(0, three, 3, func(b *kmsg.RecordBatch) { b.NumRecords, b.LastOffsetDelta = -5, -6 }), kerr.InvalidRecord},
		{"no records", batch(0, nil, 0, nil), kerr.InvalidRecord},
		{"the last offset of another number", batch(0, three, 3, func(b *kmsg.RecordBatch) { b.LastOffsetDelta = 7 }), kerr.InvalidRecord},
		{"offsets in another order", batch(0, append(record(1, nil), record(0, nil)...), 2, nil), kerr.InvalidRecord},
		{"a control batch", batch(0x20, record(0, nil), 1, nil), kerr.InvalidRecord},
		{"a transaction that was never begun", batch(0x10, record(0, nil), 1, func(b *kmsg.RecordBatch) { b.ProducerID, b.ProducerEpoch, b.FirstSequence = 1, 0, 0 }), kerr.InvalidProducerIDMapping},
		{"two batches", append(append([]byte{}, good...), good...), kerr.CorruptMessage},
		{"a wrong checksum", func() []byte { c := append([]byte{}, good...); c[len(c)-1] ^= 1; return c }(), kerr.CorruptMessage},
		{"nothing", []byte{}, kerr.CorruptMessage},
	}
	stored := int64(0)
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			for _, version := range []int16{3, 8, 9, 12} {
				got := dialWire(t, b.Addr()).ask(produceRequest(version, "events", row.batch, good)).(*kmsg.ProduceResponse)
				codes := map[int32]int16{}
				for _, p := range got.Topics[0].Partitions {
					codes[p.Partition] = p.ErrorCode
					if p.Partition == 0 && version >= 8 && (p.ErrorMessage == nil || *p.ErrorMessage == "") {
						t.Error("the refusal says no reason")
					}
				}
				if codes[0] != row.want.Code || codes[1] != 0 {
					t.Errorf("version %d: %v and, for the good batch beside it, %v; want %v and none", version,
						kerr.ErrorForCode(codes[0]), kerr.ErrorForCode(codes[1]), row.want)
				}
				stored++
			}
		})
	}
	for at, r := range readAll(t, b.Addr(), "events") {
		if at.partition != 1 || string(r.Value) != "good" {
			t.Fatalf("at %+v lies %q: only the good batches are in the log", at, r.Value)
		}
		stored--
	}
	if stored != 0 {
		t.Errorf("%d good batches are missing", stored)
	}
	if !strings.Contains(logs.String(), "the embedded Kafka broker refused a record batch") {
		t.Errorf("nothing in the log:\n%s", logs.String())
	}
}

// Every compression that clients use goes through.
func TestBrokerTakesEveryCompression(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	value := bytes.Repeat([]byte("value "), 1000)
	for name, c := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		cl := newClient(t, b.Addr(), kgo.ProducerBatchCompression(c), kgo.DefaultProduceTopic("events"))
		r := &kgo.Record{Key: []byte(name), Value: value, Headers: []kgo.RecordHeader{{Key: "a"}, {Key: "b", Value: []byte("c")}}}
		if err := cl.ProduceSync(t.Context(), r, &kgo.Record{}, &kgo.Record{Value: []byte{}}).FirstErr(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if got := readAll(t, b.Addr(), "events"); len(got) != 15 {
		t.Errorf("%d records in the log, want 15", len(got))
	}
}

// A request for which the library waits for the disk once for each partition holds up all others.
func TestBrokerBoundsWrites(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	remove := kmsg.NewPtrOffsetDeleteRequest()
	commit := kmsg.NewPtrOffsetCommitRequest()
	commit.Version, remove.Group, commit.Group = 8, "g", "g"
	rt, ct := kmsg.NewOffsetDeleteRequestTopic(), kmsg.NewOffsetCommitRequestTopic()
	rt.Topic, ct.Topic = "events", "events"
	for range 1001 {
		rt.Partitions = append(rt.Partitions, kmsg.NewOffsetDeleteRequestTopicPartition())
		ct.Partitions = append(ct.Partitions, kmsg.NewOffsetCommitRequestTopicPartition())
	}
	remove.Topics, commit.Topics = append(remove.Topics, rt), append(commit.Topics, ct)
	for _, req := range []kmsg.Request{remove, commit, produceRequest(9, "events", make([][]byte, 1001)...)} {
		w := dialWire(t, b.Addr())
		w.send(requestFrame(req))
		w.closed(kmsg.NameForKey(req.Key()) + " for 1,001 partitions")
	}
	serves(t, b.Addr())
}

// A request costs what it is worth, and is refused before it is read if it is too large.
func TestBrokerBoundsRequests(t *testing.T) {
	var logs logBuffer
	b := startBroker(t, kafka.BrokerConfig{Logger: logs.logger(), Limits: kafka.Limits{Request: 2 * time.Second, RequestBytes: 80 << 20}})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	before := heap()
	bounded := func(t *testing.T, most int64) {
		t.Helper()
		if got := heap() - before; got > most {
			t.Errorf("%d MiB more memory, want %d at most", got>>20, most>>20)
		}
	}
	t.Run("2^32-1 tags", func(t *testing.T) {
		frame := []byte{0, 0, 0, 0, 0, 3, 0, 9, 0, 0, 0, 7, 255, 255, 255, 255, 255, 255, 15}
		binary.BigEndian.PutUint32(frame, uint32(len(frame)-4))
		w := dialWire(t, b.Addr())
		w.send(frame)
		w.closed("2^32-1 tags")
		serves(t, b.Addr())
	})
	t.Run("metadata of 30 MB", func(t *testing.T) {
		w := dialWire(t, b.Addr())
		w.send([]byte{1, 0xc9, 0xc3, 0x80, 0, 3, 0, 9, 0, 0, 0, 7})
		w.closed("metadata of 30 MB")
		bounded(t, 16<<20)
		serves(t, b.Addr())
	})
	t.Run("99 MB of produce", func(t *testing.T) {
		w := dialWire(t, b.Addr())
		w.send([]byte{5, 0xe6, 0x9e, 0xc0, 0, 0, 0, 9, 0, 0, 0, 7})
		w.closed("99 MB")
		serves(t, b.Addr())
	})
	t.Run("20 of 31 MB that are not finished", func(t *testing.T) {
		var stalled []*wire
		for range 20 {
			w := dialWire(t, b.Addr())
			w.send([]byte{1, 0xf0, 0, 0, 0, 0, 0, 9, 0, 0, 0, 7})
			stalled = append(stalled, w)
		}
		serves(t, b.Addr())
		w := dialWire(t, b.Addr())
		large := batch(0, record(0, make([]byte, 900<<10)), 1, nil) // needs room like them
		if got := w.ask(produceRequest(9, "events", large)).(*kmsg.ProduceResponse); got.Topics[0].Partitions[0].ErrorCode != 0 {
			t.Errorf("a producer beside them gets %v", kerr.ErrorForCode(got.Topics[0].Partitions[0].ErrorCode))
		}
		bounded(t, 128<<20)
		for _, w := range stalled {
			w.closed("a request that is not finished")
		}
		bounded(t, 24<<20)
	})
	t.Run("answers that are not taken", func(t *testing.T) {
		cl := newClient(t, b.Addr(), kgo.DefaultProduceTopic("events"), kgo.ProducerBatchCompression(kgo.NoCompression()))
		for range 8 {
			if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 900<<10)}).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		fetch := kmsg.NewPtrFetchRequest()
		fetch.Version, fetch.MaxBytes, fetch.SessionEpoch = 12, 1<<31-1, -1
		rt := kmsg.NewFetchRequestTopic()
		rt.Topic = "events"
		rp := kmsg.NewFetchRequestTopicPartition()
		rp.PartitionMaxBytes = 1<<31 - 1
		rt.Partitions = append(rt.Partitions, rp)
		fetch.Topics = append(fetch.Topics, rt)
		for range 100 {
			dialWire(t, b.Addr()).send(requestFrame(fetch))
		}
		w := dialWire(t, b.Addr())
		got := w.ask(fetch).(*kmsg.FetchResponse)
		if n := len(got.Topics[0].Partitions[0].RecordBatches); n < 1<<20 || n > 4<<20 {
			t.Errorf("one answer has %d bytes of records, want 1 to 4 MiB", n)
		}
		serves(t, b.Addr())
		bounded(t, 400<<20)
	})
}

func TestBrokerBoundsTopics(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{Limits: kafka.Limits{Topics: 20, TopicPartitions: 8, Partitions: 30, Groups: 3}})
	adm := kadm.NewClient(newClient(t, b.Addr()))
	ctx := t.Context()
	create := func(partitions int32, config map[string]*string, names ...string) error {
		got, err := adm.CreateTopics(ctx, partitions, 1, config, names...)
		if err != nil {
			t.Fatal(err)
		}
		return got.Error()
	}
	names := make([]string, 100)
	for i := range names {
		names[i] = fmt.Sprintf("t%d", i)
	}
	text := func(s string) *string { return &s }
	for _, row := range []struct {
		name string
		err  error
	}{
		{"all at once", create(1, nil, names...)},
		{"too many partitions", create(9, nil, "many")},
		{"two billion partitions", create(1<<31-1, nil, "many")},
		{"too many in all", create(8, nil, "a", "b", "c", "d")},
		{"a name outside", create(1, nil, "../x")},
		{"a setting that is none", create(1, map[string]*string{"kfake.is_internal": text("true")}, "setting")},
		{"segments of one byte", create(1, map[string]*string{"segment.bytes": text("1")}, "setting")},
		{"no number", create(1, map[string]*string{"retention.ms": text("week")}, "setting")},
		{"no value", create(1, map[string]*string{"retention.ms": nil}, "setting")},
		{"compaction", create(1, map[string]*string{"cleanup.policy": text("compact")}, "setting")},
	} {
		if row.err == nil {
			t.Errorf("%s: created", row.name)
		}
	}
	if list, err := adm.ListTopics(ctx); err != nil || len(list) != 0 {
		t.Fatalf("topics %v, %v; want none", list.Names(), err)
	}
	if err := create(8, nil, "a", "b", "c"); err != nil {
		t.Fatal(err)
	}
	if err := create(1, nil, "e", "f", "g", "h", "i", "j"); err != nil { // 30 partitions
		t.Fatal(err)
	}
	if err := create(1, nil, "k"); err == nil {
		t.Error("partition 31 of 30 was created")
	}
	if got, err := adm.UpdatePartitions(ctx, 2, "e"); err != nil || got.Error() == nil {
		t.Errorf("partition 31 of 30 was added: %v, %v", got, err)
	}
	if _, err := adm.DeleteTopics(ctx, "a"); err != nil {
		t.Fatal(err)
	}
	if got, err := adm.UpdatePartitions(ctx, 2, "e"); err != nil || got.Error() != nil {
		t.Errorf("a partition when there is room: %v, %v", got, err)
	}
	for i := range 5 {
		var o kadm.Offsets
		o.Add(kadm.Offset{Topic: "e", At: 0, LeaderEpoch: -1})
		got, err := adm.CommitOffsets(ctx, fmt.Sprintf("group-%d", i), o)
		if err != nil {
			t.Fatal(err)
		}
		if e := got.Error(); (e == nil) != (i < 3) {
			t.Errorf("group %d of 3: %v", i, e)
		}
	}
	if got, err := adm.DeleteGroups(ctx, "group-0"); err != nil || got.Error() != nil {
		t.Fatal(got, err)
	}
	eventually(t, "a group when there is room", func() bool {
		var o kadm.Offsets
		o.Add(kadm.Offset{Topic: "e", At: 0, LeaderEpoch: -1})
		got, err := adm.CommitOffsets(ctx, "another", o)
		return err == nil && got.Error() == nil
	})
}

// Connections that say nothing do not keep others away, from wherever they come.
func TestBrokerServesBesideIdleConnections(t *testing.T) {
	var logs logBuffer
	b := startBroker(t, kafka.BrokerConfig{Logger: logs.logger()})
	// A client that is at work when they come.
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	fetch := kmsg.NewPtrFetchRequest()
	fetch.Version, fetch.MaxWaitMillis, fetch.MinBytes, fetch.SessionEpoch = 12, 3000, 1, -1
	rt := kmsg.NewFetchRequestTopic()
	rt.Topic = "events"
	rp := kmsg.NewFetchRequestTopicPartition()
	rp.PartitionMaxBytes = 1 << 20
	rt.Partitions = append(rt.Partitions, rp)
	fetch.Topics = append(fetch.Topics, rt)
	worker := dialWire(t, b.Addr())
	worker.send(requestFrame(fetch))
	for range 1100 {
		dialWire(t, b.Addr())
	}
	serves(t, b.Addr())
	if _, err := worker.answer(fetch); err != nil {
		t.Errorf("the client that was at work: %v", err)
	}
	if n := strings.Count(logs.String(), "level=WARN"); n < 1 || n > 3 {
		t.Errorf("%d warnings, want one or two:\n%s", n, logs.String())
	}
}

func TestBrokerClosesIdleConnections(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{Limits: kafka.Limits{Idle: 100 * time.Millisecond}})
	silent := dialWire(t, b.Addr())
	silent.closed("a connection without a request")
	spoken := dialWire(t, b.Addr())
	spoken.ask(kmsg.NewPtrApiVersionsRequest())
	spoken.closed("a connection without a second request")
	serves(t, b.Addr())
}

// What the broker says it serves is what it serves.
func TestBrokerSaysWhatItServes(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	for version := int16(0); version <= 4; version++ {
		req := kmsg.NewPtrApiVersionsRequest()
		req.Version, req.ClientSoftwareName, req.ClientSoftwareVersion = version, "test", "1"
		resp := dialWire(t, b.Addr()).ask(req).(*kmsg.ApiVersionsResponse)
		if len(resp.ApiKeys) < 20 || resp.ErrorCode != 0 {
			t.Fatalf("version %d: %d kinds, %v", version, len(resp.ApiKeys), kerr.ErrorForCode(resp.ErrorCode))
		}
		for _, k := range resp.ApiKeys {
			if k.ApiKey == int16(kmsg.ApiVersions) {
				continue
			}
			for v := k.MinVersion; v <= k.MaxVersion; v++ {
				req := kmsg.RequestForKey(k.ApiKey)
				req.SetVersion(v)
				if p, ok := req.(*kmsg.ProduceRequest); ok {
					p.Acks = -1 // it would not be answered otherwise
				}
				w := dialWire(t, b.Addr())
				w.send(requestFrame(req))
				if _, err := w.answer(req); err != nil && version == 0 {
					t.Errorf("%s version %d: %v", kmsg.NameForKey(k.ApiKey), v, err)
				}
				_ = w.Close()
			}
			w := dialWire(t, b.Addr())
			req := kmsg.RequestForKey(k.ApiKey)
			req.SetVersion(k.MaxVersion + 1)
			w.send(requestFrame(req))
			w.closed(fmt.Sprint(kmsg.NameForKey(k.ApiKey), " above what is served"))
			if version > 0 {
				break
			}
		}
	}
	newer := kmsg.NewPtrApiVersionsRequest()
	newer.Version, newer.ClientSoftwareName, newer.ClientSoftwareVersion = 5, "test", "1"
	w := dialWire(t, b.Addr())
	w.send(requestFrame(newer))
	old := kmsg.NewPtrApiVersionsRequest() // KIP-511: the answer is in version 0
	resp, err := w.answer(old)
	if err != nil || resp.(*kmsg.ApiVersionsResponse).ErrorCode != kerr.UnsupportedVersion.Code {
		t.Errorf("a newer version: %+v, %v", resp, err)
	}
	w.ask(old)
}
