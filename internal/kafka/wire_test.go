package kafka_test

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wire is a connection to a broker on which a test says what no client library would.
type wire struct {
	net.Conn
	t *testing.T
}

func dialWire(t *testing.T, addr string) *wire {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return &wire{c, t}
}

func (w *wire) send(frame []byte) {
	w.t.Helper()
	if _, err := w.Write(frame); err != nil {
		w.t.Fatal(err)
	}
}

// request is the frame of a request.
func requestFrame(req kmsg.Request) []byte {
	return kmsg.NewRequestFormatter(kmsg.FormatterClientID("test")).AppendRequest(nil, req, 7)
}

// ask sends a request and reads the answer.
func (w *wire) ask(req kmsg.Request) kmsg.Response {
	w.t.Helper()
	w.send(requestFrame(req))
	resp, err := w.answer(req)
	if err != nil {
		w.t.Fatalf("%s: %v", kmsg.NameForKey(req.Key()), err)
	}
	return resp
}

func (w *wire) answer(req kmsg.Request) (kmsg.Response, error) {
	var size [4]byte
	if _, err := io.ReadFull(w, size[:]); err != nil {
		return nil, err
	}
	body := make([]byte, binary.BigEndian.Uint32(size[:]))
	if _, err := io.ReadFull(w, body); err != nil {
		return nil, err
	}
	resp := req.ResponseKind()
	head := 4
	if resp.IsFlexible() && resp.Key() != int16(kmsg.ApiVersions) {
		head = 5
	}
	if corr := binary.BigEndian.Uint32(body); corr != 7 {
		return nil, fmt.Errorf("the answer is to request %d", corr)
	}
	return resp, resp.ReadFrom(body[head:])
}

// closed waits until the broker has closed the connection without an answer.
func (w *wire) closed(what string) {
	w.t.Helper()
	if n, err := io.Copy(io.Discard, w); n != 0 || err != nil && strings.Contains(err.Error(), "timeout") {
		w.t.Errorf("%s: %d bytes, %v; want the connection closed", what, n, err)
	}
}

// serves makes sure that the broker answers others.
func serves(t *testing.T, addr string) {
	t.Helper()
	w := dialWire(t, addr)
	versions := kmsg.NewPtrApiVersionsRequest()
	w.ask(versions)
	meta := kmsg.NewPtrMetadataRequest()
	meta.Version = 9
	if got := w.ask(meta).(*kmsg.MetadataResponse); len(got.Brokers) != 1 {
		t.Errorf("%d brokers, want 1", len(got.Brokers))
	}
	_ = w.Close()
}

// batch is a record batch with the values, compressed as the codec says, with a good checksum.
func batch(codec int16, records []byte, count int32, change func(*kmsg.RecordBatch)) []byte {
	b := kmsg.RecordBatch{
		Magic: 2, Attributes: codec, LastOffsetDelta: count - 1, NumRecords: count, PartitionLeaderEpoch: -1,
		FirstTimestamp: time.Now().UnixMilli(), MaxTimestamp: time.Now().UnixMilli(), ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1,
		Records: records,
	}
	if change != nil {
		change(&b)
	}
	raw := b.AppendTo(nil)
	binary.BigEndian.PutUint32(raw[8:], uint32(len(raw)-12))
	binary.BigEndian.PutUint32(raw[17:], crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return raw
}

// record is one record of a batch.
func record(delta int32, value []byte) []byte {
	r := kmsg.Record{OffsetDelta: delta, Value: value}
	body := r.AppendTo(nil)[1:] // behind a length of one byte
	return append(binary.AppendVarint(nil, int64(len(body))), body...)
}

func produceRequest(version int16, topic string, batches ...[]byte) *kmsg.ProduceRequest {
	req := kmsg.NewPtrProduceRequest()
	req.Version, req.Acks, req.TimeoutMillis = version, -1, 1000
	rt := kmsg.NewProduceRequestTopic()
	rt.Topic = topic
	for i, b := range batches {
		rp := kmsg.NewProduceRequestTopicPartition()
		rp.Partition, rp.Records = int32(i), b
		rt.Partitions = append(rt.Partitions, rp)
	}
	req.Topics = append(req.Topics, rt)
	return req
}

func compressed(t *testing.T, plain []byte) []byte {
	t.Helper()
	e, err := zstd.NewWriter(nil)
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close()
	return e.EncodeAll(plain, nil)
}

// heap is how much memory is in use, without garbage.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
