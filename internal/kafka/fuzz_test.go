//go:build unix

package kafka_test

import (
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/kafka"
)

var (
	fuzzRequests = flag.Int("broker.requests", 4000, "how many requests TestBrokerFuzz sends")
	fuzzSeed     = flag.Uint64("broker.seed", 0, "seed of TestBrokerFuzz; 0: another one each time")
)

// mutator makes requests: of every kind and version, with contents between plausible and absurd, and then damages some.
type mutator struct {
	*rand.Rand
	odd         int      // how many of 100 values of a request are absurd
	members     []string // ids that the broker gave out
	ids         []int64  // of producers
	generations []int64  // of groups
}

// absurd reports whether the next value is to be one that no client would send.
func (m *mutator) absurd() bool { return m.IntN(100) < m.odd }

func pick[T any](m *mutator, list ...T) T { return list[m.IntN(len(list))] }

// frame is one request, whole or damaged.
func (m *mutator) frame(corr int32) []byte {
	key := int16(m.IntN(int(kmsg.MaxKey) + 1))
	if m.IntN(8) > 0 { // mostly what is served
		key = pick[int16](m, 0, 0, 0, 1, 1, 2, 3, 8, 9, 10, 11, 11, 12, 13, 14, 15, 16, 18, 19, 20, 21, 22, 23, 24, 25, 26, 28, 32, 37, 42, 44, 47, 60)
	}
	req := kmsg.RequestForKey(key)
	if req == nil {
		req = kmsg.NewPtrMetadataRequest()
	}
	req.SetVersion(int16(m.IntN(int(req.MaxVersion()) + 1)))
	m.odd = pick(m, 0, 2, 5, 15, 60)
	m.fill(reflect.ValueOf(req).Elem(), "", 0)
	f := kmsg.NewRequestFormatter(kmsg.FormatterClientID(pick(m, "fuzz", "", "x"))).AppendRequest(nil, req, corr)
	if m.IntN(3) > 0 {
		return f
	}
	return m.damage(f)
}

// fill gives every field a value.
func (m *mutator) fill(v reflect.Value, name string, depth int) {
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			f := v.Type().Field(i)
			if f.Name == "Version" || f.Name == "UnknownTags" || !f.IsExported() {
				continue
			}
			m.fill(v.Field(i), f.Name, depth+1)
		}
	case reflect.Pointer:
		if m.absurd() || name == "Topic" || m.IntN(4) == 0 {
			v.Set(reflect.New(v.Type().Elem()))
			m.fill(v.Elem(), name, depth)
		}
	case reflect.Slice:
		if v.Type().Elem().Kind() == reflect.Uint8 {
			v.SetBytes(m.bytes(name))
			return
		}
		n := 1 + m.IntN(2)
		if m.absurd() {
			n = pick(m, 0, 1, 2, 3, 300)
			if m.IntN(4) == 0 {
				return // null
			}
		}
		v.Set(reflect.MakeSlice(v.Type(), n, n))
		for i := range n {
			if i > 0 && m.IntN(8) == 0 {
				v.Index(i).Set(v.Index(i - 1)) // named twice
				continue
			}
			m.fill(v.Index(i), name, depth)
		}
	case reflect.Array:
		if m.IntN(2) == 0 {
			for i := range v.Len() {
				v.Index(i).SetUint(m.Uint64() & 255)
			}
		}
	case reflect.String:
		v.SetString(m.text(name))
	case reflect.Bool:
		v.SetBool(m.IntN(2) == 0)
	case reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(m.number(name, v.Type().Bits()))
	case reflect.Float64:
		v.SetFloat(m.Float64())
	}
}

func (m *mutator) text(name string) string {
	if !m.absurd() {
		switch {
		case name == "MemberID" && len(m.members) > 0:
			return pick(m, append(m.members, "")...)
		case name == "MemberID":
			return ""
		case name == "Group" || name == "Groups" || strings.Contains(name, "Coordinator"):
			return pick(m, "fuzz", "fuzz", "fuzz", "other")
		case name == "TransactionalID":
			return "tx"
		case name == "ProtocolType":
			return "consumer"
		case name == "Name" || name == "Protocol":
			return pick(m, "range", "roundrobin")
		case strings.Contains(name, "Topic") || name == "ResourceName":
			return pick(m, "fuzz-1", "fuzz-1", "fuzz-2")
		}
		return pick(m, "fuzz", "consumer", "1", "a")
	}
	switch {
	case strings.Contains(name, "Topic"):
		return pick(m, "fuzz-1", "fuzz-1", "fuzz-2", "fuzz-3", "", "fuzz_3", "../x", strings.Repeat("t", 300))
	case name == "Name":
		return pick(m, "range", "roundrobin", "retention.ms", "segment.bytes", "fuzz-1", "")
	}
	return pick(m, "fuzz", "fuzz", "fuzz-1", "consumer", "0", "-1", "", "\xff\xfe", strings.Repeat("x", 1+m.IntN(400)), strconv.Itoa(m.IntN(1000)))
}

func (m *mutator) number(name string, bits int) int64 {
	if !m.absurd() {
		switch {
		case strings.HasSuffix(name, "TimeoutMillis"):
			return pick[int64](m, 6000, 6000, 10_000)
		case name == "Generation" && len(m.generations) > 0:
			return pick(m, append(m.generations, -1)...)
		case name == "ProducerID" && len(m.ids) > 0:
			return pick(m, append(m.ids, -1)...)
		case strings.HasPrefix(name, "Partition"):
			return int64(m.IntN(3))
		case name == "ResourceType":
			return 2
		case strings.HasSuffix(name, "Epoch"):
			return pick[int64](m, 0, -1)
		case strings.HasSuffix(name, "Bytes"):
			return 1 << 20
		case name == "MaxWaitMillis":
			return pick[int64](m, 0, 5)
		case name == "Timestamp":
			return pick(m, -1, -2, -3, time.Now().UnixMilli())
		case name == "Acks":
			return -1
		case name == "ReplicationFactor":
			return 1
		}
		return pick[int64](m, 0, 1, 1, 2, 3)
	}
	switch name {
	case "Acks":
		return pick[int64](m, -1, -1, -1, 1, 1, 0, 7)
	case "SessionTimeoutMillis", "RebalanceTimeoutMillis", "TransactionTimeoutMillis":
		return pick[int64](m, 6000, 10_000, 6000, 1, 0, -1, math.MaxInt32)
	case "MaxWaitMillis":
		return pick[int64](m, 0, 1, 10, -1, math.MaxInt32)
	case "Generation", "ProducerEpoch":
		return pick[int64](m, 0, 1, 2, -1, math.MaxInt16-1, math.MaxInt16)
	case "ProducerID":
		if len(m.ids) > 0 && m.IntN(2) == 0 {
			return pick(m, m.ids...)
		}
	}
	most := int64(1)<<(bits-1) - 1
	return pick(m, 0, 0, 1, 1, 2, 3, int64(m.IntN(100)), -1, -2, -int64(m.IntN(1000)), most, -most-1, most-1)
}

func (m *mutator) bytes(name string) []byte {
	if strings.Contains(name, "Record") && m.IntN(4) > 0 {
		n := int32(1 + m.IntN(4))
		var records []byte
		for i := range n {
			records = append(records, record(i, []byte(m.text("")))...)
		}
		codec := pick[int16](m, 0, 0, 0, 0, 0x10)
		if m.absurd() {
			codec = pick[int16](m, 1, 2, 3, 4, 5, 0x08, 0x10, 0x20, -1)
		}
		b := batch(codec, records, n, func(b *kmsg.RecordBatch) {
			if codec == 0x10 && len(m.ids) > 0 {
				b.ProducerID, b.ProducerEpoch, b.FirstSequence = pick(m, m.ids...), int16(m.number("ProducerEpoch", 16)), 0
			}
			if !m.absurd() {
				return
			}
			switch m.IntN(3) {
			case 0:
				b.NumRecords = int32(m.number("", 32))
				b.LastOffsetDelta = b.NumRecords - 1
			case 1:
				b.ProducerID, b.ProducerEpoch, b.FirstSequence = m.number("ProducerID", 64), int16(m.number("ProducerEpoch", 16)), int32(m.number("", 32))
			case 2:
				b.FirstTimestamp, b.MaxTimestamp = m.number("", 64), m.number("", 64)
			}
		})
		if m.absurd() {
			b = m.damage(b)
		}
		return b
	}
	b := make([]byte, m.IntN(64))
	for i := range b {
		b[i] = byte(m.Uint32())
	}
	return b
}

// damage changes a few bytes: single ones, lengths, an end that is missing or too much.
func (m *mutator) damage(b []byte) []byte {
	b = append([]byte{}, b...)
	for range 1 + m.IntN(4) {
		if len(b) == 0 {
			return b
		}
		at := m.IntN(len(b))
		switch m.IntN(6) {
		case 0:
			b[at] ^= 1 << m.IntN(8)
		case 1:
			b[at] = pick[byte](m, 0, 1, 0x7f, 0x80, 0xff)
		case 2:
			b = b[:at]
		case 3:
			b = append(b[:at:at], append([]byte{255, 255, 255, 255, 15}, b[at:]...)...) // 2^32-1 as a varint
		case 4:
			if at+4 <= len(b) {
				binary.BigEndian.PutUint32(b[at:], pick[uint32](m, 0, 1, 0x7fffffff, 0x80000000, 0xffffffff, uint32(len(b))))
			}
		case 5:
			b = append(b[:at:at], append(b[at:len(b):len(b)], b[at:]...)...) // twice
		}
	}
	if len(b) >= 4 && m.IntN(4) > 0 { // mostly with the size that it has now, or it only waits for more
		binary.BigEndian.PutUint32(b, uint32(len(b)-4))
	}
	return b
}

// learn remembers what the broker gave out, for requests that come further.
func (m *mutator) learn(sent, got []byte) {
	if len(sent) < 8 || len(got) < 4 {
		return
	}
	req := kmsg.RequestForKey(int16(binary.BigEndian.Uint16(sent[4:])))
	if req == nil {
		return
	}
	req.SetVersion(int16(binary.BigEndian.Uint16(sent[6:])))
	resp := req.ResponseKind()
	body := got[4:]
	if resp.IsFlexible() && len(body) > 0 {
		body = body[1:]
	}
	if resp.ReadFrom(body) != nil {
		return
	}
	switch r := resp.(type) {
	case *kmsg.JoinGroupResponse:
		m.members = append(m.members[max(0, len(m.members)-2):], r.MemberID)
		m.generations = append(m.generations[max(0, len(m.generations)-2):], int64(r.Generation))
	case *kmsg.InitProducerIDResponse:
		m.ids = append(m.ids[max(0, len(m.ids)-2):], r.ProducerID)
	}
}

// fuzzer sends requests on one connection after the other.
func fuzzer(ctx context.Context, addr string, m *mutator, sent, answered *atomic.Int64, most int64) error {
	var c net.Conn
	defer func() {
		if c != nil {
			_ = c.Close()
		}
	}()
	for n := int32(1); ctx.Err() == nil; n++ {
		if sent.Add(1) > most {
			sent.Add(-1)
			return nil
		}
		if c == nil {
			var err error
			if c, err = net.DialTimeout("tcp", addr, 5*time.Second); err != nil {
				return err
			}
		}
		f := m.frame(n)
		_ = c.SetDeadline(time.Now().Add(100 * time.Millisecond)) // what is parked is left behind
		var size [4]byte
		_, err := c.Write(f)
		if err == nil {
			_, err = io.ReadFull(c, size[:])
		}
		if err == nil {
			body := make([]byte, min(binary.BigEndian.Uint32(size[:]), 64<<20))
			if _, err = io.ReadFull(c, body); err == nil {
				answered.Add(1)
				m.learn(f, body)
			}
		}
		if err != nil {
			_ = c.Close()
			c = nil
		}
	}
	return ctx.Err()
}

// resident is how much memory a process has, in bytes.
func resident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", pid))
	if err != nil {
		return 0 // it has just ended, or this is no Linux
	}
	fields := strings.Fields(string(text))
	n, _ := strconv.ParseInt(fields[1], 10, 64)
	return n * int64(os.Getpagesize())
}

// TestBrokerFuzz sends requests of all kinds, good ones and damaged ones, while a producer works: the broker never ends, always
// answers others, has bounded memory, and keeps what it acknowledged.
func TestBrokerFuzz(t *testing.T) {
	const workers, memory = 8, 1 << 30
	seed := *fuzzSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d", seed)
	b := startSupervised(t, kafka.BrokerProcessConfig{Broker: kafka.BrokerConfig{Dir: t.TempDir()}})
	pid := b.PID()
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "kept", Partitions: 2})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "fuzz-1", Partitions: 3})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	p := newProducer(t, kafka.ProducerConfig{Topic: "kept", MaxOutstanding: 16}, b.Addr())
	var res results
	var sent, answered atomic.Int64
	errs := make(chan error, workers)
	var work, produce sync.WaitGroup
	for w := range uint64(workers) {
		work.Go(func() {
			errs <- fuzzer(ctx, b.Addr(), &mutator{Rand: rand.New(rand.NewPCG(seed, w))}, &sent, &answered, int64(*fuzzRequests))
		})
	}
	producing, stopProducing := context.WithCancel(ctx)
	produce.Go(func() {
		for i := 0; producing.Err() == nil; i++ {
			v := fmt.Sprint(i)
			if p.Publish(producing, kafka.Message{Key: []byte(v), Value: []byte(v)}, res.done(v)) != nil {
				return
			}
		}
	})
	done := make(chan struct{})
	go func() { work.Wait(); close(done) }()
	most := int64(0)
	for running := true; running; {
		select {
		case <-done:
			running = false
		case <-time.After(200 * time.Millisecond):
		}
		if got := b.PID(); got != pid {
			t.Fatalf("the broker ended after %d requests", sent.Load())
		}
		most = max(most, resident(pid))
		serves(t, b.Addr())
	}
	for range workers {
		if err := <-errs; err != nil && !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	}
	stopProducing()
	produce.Wait()
	if _, err := p.Flush(t.Context()); err != nil {
		t.Error(err)
	}
	checkLog(t, readAll(t, b.Addr(), "kept"), res.acked, -1)
	acked, _ := res.count()
	t.Logf("%d requests sent, %d answered; %d records acknowledged beside them; %d MiB of memory at most", sent.Load(), answered.Load(), acked, most>>20)
	if sent.Load() < int64(*fuzzRequests) || answered.Load() < sent.Load()/10 || acked == 0 {
		t.Errorf("%d requests sent, want %d, a tenth of them answered and records beside them", sent.Load(), *fuzzRequests)
	}
	if most > memory {
		t.Errorf("%d MiB of memory, want %d at most", most>>20, memory>>20)
	}
	if n := b.restarts(t); n != 0 {
		t.Errorf("%d restarts", n)
	}
}
