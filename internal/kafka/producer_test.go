package kafka_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

func TestProducerPublishes(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", Partitions: 3})
	p := newProducer(t, kafka.ProducerConfig{MaxOutstanding: 10}, b.Addr()) // so that Publish has to wait
	var res results
	publish(t, p, &res, "a", 500)
	at := time.Date(2001, 2, 3, 4, 5, 6, 7_000_000, time.UTC)
	if err := p.Publish(t.Context(), kafka.Message{
		Key: []byte("k"), Value: []byte("last"), Time: at,
		Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/json")}},
	}, res.done("last")); err != nil {
		t.Fatal(err)
	}
	offsets, err := p.Flush(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	log := readAll(t, b.Addr(), "events")
	checkLog(t, log, res.acked, 501)
	for at := range log {
		if last, ok := offsets[at.partition]; !ok || last < at.offset {
			t.Errorf("offsets %v do not cover %+v", offsets, at)
		}
	}
	for part, last := range offsets {
		if _, ok := log[place{part, last}]; !ok {
			t.Errorf("no record at the last offset %d of partition %d", last, part)
		}
	}
	if c := p.Counts(); c != (kafka.Counts{Acknowledged: 501}) {
		t.Errorf("counts %+v, want 501 acknowledged", c)
	}
	for _, r := range log {
		if string(r.Value) == "last" && (!r.Timestamp.Equal(at) || len(r.Headers) != 1 || string(r.Headers[0].Value) != "application/json") {
			t.Errorf("record %+v, want time and header as published", r)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := p.Publish(t.Context(), kafka.Message{Value: []byte("x")}, nil); !errors.Is(err, kafka.ErrClosed) {
		t.Errorf("publish after close: %v, want ErrClosed", err)
	}
}

// Producers of any make must agree where a key lives. The hashes are those that
// Apache Kafka's own tests expect of its murmur2.
func TestProducerPartitionsAsJavaDoes(t *testing.T) {
	const partitions = 7
	b := startBroker(t, kafka.BrokerConfig{})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", Partitions: partitions})
	p := newProducer(t, kafka.ProducerConfig{}, b.Addr())
	for key, hash := range map[string]int32{
		"21": -973932308, "foobar": -790332482, "a-little-bit-long-string": -985981536, "abc": 479470107,
	} {
		want := hash & 0x7fffffff % partitions
		if err := p.Publish(t.Context(), kafka.Message{Key: []byte(key), Value: []byte("x")}, func(got int32, _ int64, err error) {
			if got != want || err != nil {
				t.Errorf("key %q is in partition %d, %v; want %d", key, got, err, want)
			}
		}); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func TestProducerFailsWhenNoBrokerIsThere(t *testing.T) {
	addr := closedAddr(t)
	begin := time.Now()
	_, err := kafka.NewProducer(t.Context(), kafka.ProducerConfig{
		Config: kafka.Config{Brokers: []string{addr}}, Topic: "events", Stall: 300 * time.Millisecond,
	})
	if fault.KindOf(err) != fault.KindUnavailable || !strings.Contains(err.Error(), "no Kafka broker answers at "+addr) ||
		!strings.Contains(err.Error(), "connection refused") {
		t.Errorf("error %v, want Unavailable with address and cause", err)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("took %v, want about 300 ms", d)
	}
}

func TestProducerFailsForAMissingTopic(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	_, err := kafka.NewProducer(t.Context(), kafka.ProducerConfig{Config: kafka.Config{Brokers: []string{b.Addr()}}, Topic: "ratnigs"})
	if fault.KindOf(err) != fault.KindNotFound || !strings.Contains(err.Error(), `topic "ratnigs" does not exist at `+b.Addr()) {
		t.Errorf("error %v, want NotFound that names topic and broker", err)
	}
}

func TestProducerGivesUpOnABrokerThatIsGone(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	p := newProducer(t, kafka.ProducerConfig{Stall: 500 * time.Millisecond, MaxOutstanding: 50}, b.Addr())
	var res results
	publish(t, p, &res, "before", 20)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	begin := time.Now()
	var err error
	taken := 0
	for ; err == nil && taken < 1000; taken++ { // more than may be outstanding: Publish itself has to give up
		err = p.Publish(t.Context(), kafka.Message{Value: []byte("after")}, res.done("after"))
	}
	taken--
	var stall *kafka.StallError
	if !errors.As(err, &stall) || taken != 50 {
		t.Fatalf("after %d more records: %v, want a StallError after 50", taken, err)
	}
	for _, want := range []string{"no answer from Kafka at " + b.Addr() + " for 500ms", `topic "events"`, "connection refused", "the outcome of 50 records is unknown"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	if fault.KindOf(err) != fault.KindUnavailable {
		t.Errorf("kind %v, want Unavailable", fault.KindOf(err))
	}
	if _, ferr := p.Flush(t.Context()); !errors.As(ferr, &stall) {
		t.Errorf("flush: %v, want the StallError", ferr)
	}
	eventually(t, "an answer for every record", func() bool { _, n := res.count(); return n == 70 })
	for _, e := range res.failures() {
		if !errors.Is(e, kafka.ErrOutcomeUnknown) || errors.Is(e, kafka.ErrRefused) {
			t.Fatalf("a record that may have been sent is answered with %v, want ErrOutcomeUnknown", e)
		}
	}
	if c := p.Counts(); c != (kafka.Counts{Acknowledged: 20, Unknown: 50}) {
		t.Errorf("counts %+v, want 20 acknowledged and 50 unknown", c)
	}
	if cerr := p.Close(t.Context()); !errors.As(cerr, &stall) {
		t.Errorf("close: %v, want the StallError", cerr)
	}
	if d := time.Since(begin); d > 5*time.Second {
		t.Errorf("took %v, want little more than 500 ms", d)
	}
}

// A producer whose broker goes before anything was produced knows that nothing was sent.
func TestProducerKnowsWhatWasNotSent(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	p := newProducer(t, kafka.ProducerConfig{Stall: 300 * time.Millisecond}, b.Addr())
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	var res results
	publish(t, p, &res, "x", 5)
	_, err := p.Flush(t.Context())
	var stall *kafka.StallError
	if !errors.As(err, &stall) || stall.Sent || !strings.Contains(err.Error(), "; 5 records were not sent: ") {
		t.Errorf("flush: %v, want a StallError that says 5 records were not sent", err)
	}
	eventually(t, "answers", func() bool { _, n := res.count(); return n == 5 })
	for _, e := range res.failures() {
		if !errors.Is(e, kafka.ErrNotSent) {
			t.Errorf("answer %v, want ErrNotSent", e)
		}
	}
}

func TestProducerWaitsForABrokerThatPauses(t *testing.T) {
	px := startProxy(t)
	b := startBroker(t, kafka.BrokerConfig{Advertise: px.addr()})
	px.backend.Store(listenedOn(t, b, px))
	ensureTopic(t, px.addr(), kafka.TopicConfig{Name: "events", Partitions: 2})
	p := newProducer(t, kafka.ProducerConfig{}, px.addr())
	var res results
	publish(t, p, &res, "before", 50)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}

	px.gate.Lock() // the broker hangs
	publish(t, p, &res, "during", 200)
	short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := p.Flush(short); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("flush with the broker hanging: %v, want the deadline", err)
	}
	px.gate.Unlock()
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLog(t, readAll(t, px.addr(), "events"), res.acked, 250)
}

// The acknowledgement is lost on its way: the client must send again, and the
// broker must notice that it has the records.
func TestProducerMakesNoDuplicatesWhenAcknowledgementsAreLost(t *testing.T) {
	px := startProxy(t)
	b := startBroker(t, kafka.BrokerConfig{Advertise: px.addr()})
	px.backend.Store(listenedOn(t, b, px))
	ensureTopic(t, px.addr(), kafka.TopicConfig{Name: "events", Partitions: 2})
	p := newProducer(t, kafka.ProducerConfig{}, px.addr())
	var res results
	publish(t, p, &res, "before", 50)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	px.cutting.Store(true)
	publish(t, p, &res, "during", 200)
	eventually(t, "lost acknowledgements", func() bool { return px.cuts.Load() >= 2 })
	px.cutting.Store(false)
	publish(t, p, &res, "after", 50)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLog(t, readAll(t, px.addr(), "events"), res.acked, 300)
}

func TestProducerGoesOnAfterARestart(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, kafka.BrokerConfig{Dir: dir})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", Partitions: 2})
	p := newProducer(t, kafka.ProducerConfig{}, b.Addr())
	var res results
	publish(t, p, &res, "before", 100)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	publish(t, p, &res, "during", 100)
	startBroker(t, kafka.BrokerConfig{Dir: dir, Addr: b.Addr()})
	publish(t, p, &res, "after", 100)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLog(t, readAll(t, b.Addr(), "events"), res.acked, 300)
}

func TestProducerRefusesOneRecordAndGoesOn(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	p := newProducer(t, kafka.ProducerConfig{MaxRecordBytes: 10_000}, b.Addr())
	var res results
	publish(t, p, &res, "before", 10)
	if err := p.Publish(t.Context(), kafka.Message{Key: []byte("k"), Value: bytes.Repeat([]byte("x"), 10_001)}, res.done("large")); err != nil {
		t.Fatal(err)
	}
	publish(t, p, &res, "after", 10)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "record refused: it is too large: key and value have 10002 bytes, the limit of this producer is 10000 bytes and the topic may have a lower one"
	if errs := res.failures(); len(errs) != 1 || !errors.Is(errs[0], kafka.ErrRefused) || errs[0].Error() != want {
		t.Errorf("failures %v, want one: %s", errs, want)
	}
	checkLog(t, readAll(t, b.Addr(), "events"), res.acked, 20)
	if c := p.Counts(); c != (kafka.Counts{Acknowledged: 20, Refused: 1}) {
		t.Errorf("counts %+v, want 20 acknowledged and 1 refused", c)
	}
}

func TestPublishStopsWaitingWithItsContext(t *testing.T) {
	px := startProxy(t)
	b := startBroker(t, kafka.BrokerConfig{Advertise: px.addr()})
	px.backend.Store(listenedOn(t, b, px))
	ensureTopic(t, px.addr(), kafka.TopicConfig{Name: "events"})
	p := newProducer(t, kafka.ProducerConfig{MaxOutstanding: 3}, px.addr())
	var res results
	px.gate.Lock()
	publish(t, p, &res, "taken", 3)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := p.Publish(ctx, kafka.Message{Value: []byte("x")}, res.done("x")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("publish: %v, want the deadline", err)
	}
	px.gate.Unlock()
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	if acked, calls := res.count(); acked != 3 || calls != 3 {
		t.Errorf("%d acknowledged, %d answers, want 3: the record that was not taken is not answered", acked, calls)
	}
}

// listenedOn is the broker's real port: the broker itself tells only the proxy's.
func listenedOn(t *testing.T, b *kafka.Broker, px *proxy) string {
	t.Helper()
	if b.Addr() != px.addr() {
		t.Fatalf("broker advertises %s, want %s", b.Addr(), px.addr())
	}
	return b.ListenAddr()
}

func BenchmarkPublish(b *testing.B) {
	broker, err := kafka.StartBroker(b.Context(), kafka.BrokerConfig{Addr: "127.0.0.1:0", Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer broker.Close()
	cfg := kafka.Config{Brokers: []string{broker.Addr()}}
	cl, err := kafka.NewClient(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer cl.Close()
	if _, err := kafka.EnsureTopic(b.Context(), cl, kafka.TopicConfig{Name: "events", Partitions: 4}); err != nil {
		b.Fatal(err)
	}
	p, err := kafka.NewProducer(b.Context(), kafka.ProducerConfig{Config: cfg, Topic: "events"})
	if err != nil {
		b.Fatal(err)
	}
	value := bytes.Repeat([]byte("x"), 120)
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if err := p.Publish(b.Context(), kafka.Message{Key: fmt.Append(nil, "movie:", i%10000), Value: value}, nil); err != nil {
			b.Fatal(err)
		}
	}
	if err := p.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "records/s")
}
