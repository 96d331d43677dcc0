package kafka_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

func TestBrokerServesOnItsAddress(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	cl := newClient(t, b.Addr())
	if err := kafka.Ping(t.Context(), cl); err != nil {
		t.Fatal(err)
	}
	meta, err := kadm.NewClient(cl).BrokerMetadata(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if len(meta.Brokers) != 1 {
		t.Fatalf("%d brokers, want 1", len(meta.Brokers))
	}
	if got := fmt.Sprintf("%s:%d", meta.Brokers[0].Host, meta.Brokers[0].Port); got != b.Addr() {
		t.Errorf("clients are told %s, want %s", got, b.Addr())
	}
	if len(meta.Cluster) != 22 {
		t.Errorf("cluster id %q, want 22 characters of base64url", meta.Cluster)
	}
}

func TestBrokerDoesNotCreateTopicsByItself(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	cl := newClient(t, b.Addr(), kgo.AllowAutoTopicCreation(), kgo.UnknownTopicRetries(1))
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Topic: "typo", Value: []byte("x")}).FirstErr(); err == nil {
		t.Error("a record for a missing topic was accepted")
	}
	if list, err := kadm.NewClient(cl).ListTopics(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("topics %v, %v; want none", list.Names(), err)
	}
}

func TestBrokerSaysWhatIsWrongWithItsAddress(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	for _, tt := range []struct {
		cfg     kafka.BrokerConfig
		kind    fault.Kind
		message string
	}{
		{
			kafka.BrokerConfig{Addr: taken.Addr().String()},
			fault.KindPrecondition,
			"address " + taken.Addr().String() + " for Kafka clients is taken by another program: stop that one, or choose another address",
		},
		{
			kafka.BrokerConfig{Addr: "9092"},
			fault.KindInvalid,
			`kafka address: must be host:port, for example 127.0.0.1:9092; got "9092"`,
		},
		{
			kafka.BrokerConfig{Addr: "0.0.0.0:0"},
			fault.KindInvalid,
			`kafka address: "0.0.0.0:0" listens on every address of this machine; also set the one that clients use (advertise)`,
		},
		{
			kafka.BrokerConfig{Addr: "127.0.0.1:0", Advertise: "kafka"},
			fault.KindInvalid,
			`advertise: must be host:port as clients see it; got "kafka"`,
		},
	} {
		b, err := kafka.StartBroker(t.Context(), tt.cfg)
		if err == nil {
			_ = b.Close()
			t.Errorf("%+v: started, want %s", tt.cfg, tt.message)
			continue
		}
		if err.Error() != tt.message || fault.KindOf(err) != tt.kind {
			t.Errorf("%+v:\n got %v (%v)\nwant %s (%v)", tt.cfg, err, fault.KindOf(err), tt.message, tt.kind)
		}
	}
}

func TestBrokerAdvertisesAnotherAddress(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{Addr: "0.0.0.0:0", Advertise: "localhost:0"})
	host, port, err := net.SplitHostPort(b.Addr())
	if err != nil || host != "localhost" || port == "0" {
		t.Fatalf("address %q, want localhost with the port listened on", b.Addr())
	}
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	p := newProducer(t, kafka.ProducerConfig{}, b.Addr())
	publish(t, p, &results{}, "x", 1)
	if _, err := p.Flush(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestBrokerOwnsItsDirectoryAlone(t *testing.T) {
	dir := t.TempDir()
	first := startBroker(t, kafka.BrokerConfig{Dir: dir})
	_, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: "127.0.0.1:0", Dir: dir})
	want := fmt.Sprintf("data directory %s is in use by process %d: stop that one, or choose another data directory", dir, os.Getpid())
	if err == nil || err.Error() != want || fault.KindOf(err) != fault.KindPrecondition {
		t.Fatalf("second broker:\n got %v\nwant %s", err, want)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	startBroker(t, kafka.BrokerConfig{Dir: dir})
}

func TestBrokerSaysWhichFileIsDamaged(t *testing.T) {
	for _, row := range []struct{ name, file, content, want string }{
		{"meta cut off", "meta.json", `{"version":1,`, "the file meta.json in it is damaged (unexpected end of JSON input): restore it from a backup, or move the directory away"},
		{"meta empty", "meta.json", "", "the file meta.json in it is damaged (unexpected end of JSON input): restore"},
		{"meta of another shape", "meta.json", `{"version":"one"}`, "the file meta.json in it is damaged (json: cannot unmarshal string"},
		{"meta of the future", "meta.json", `{"version":99}`, "a newer version of this program wrote it (meta.json version 99 is newer than supported "},
		{"topics overwritten", "topics.json", "\x00\x00", "the file topics.json in it is damaged (invalid character"},
	} {
		t.Run(row.name, func(t *testing.T) {
			dir := t.TempDir()
			b := startBroker(t, kafka.BrokerConfig{Dir: dir})
			ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
			if err := b.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(dir, row.file), []byte(row.content), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: "127.0.0.1:0", Dir: dir})
			if want := "start the embedded Kafka broker on " + dir + ": " + row.want; err == nil || !strings.HasPrefix(err.Error(), want) || fault.KindOf(err) != fault.KindPrecondition {
				t.Fatalf("got %v\nwant %s…", err, want)
			}
			if want := "the events in it that were not ingested yet are then lost"; !strings.HasSuffix(err.Error(), want) {
				t.Errorf("%v does not end in %q", err, want)
			}
		})
	}
}

func TestBrokerGoesOnWhereItStopped(t *testing.T) {
	dir := t.TempDir()
	var res results
	ids := map[string]bool{}
	var topic kafka.Topic
	for round := range 3 {
		b := startBroker(t, kafka.BrokerConfig{Dir: dir})
		cl := newClient(t, b.Addr())
		meta, err := kadm.NewClient(cl).BrokerMetadata(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		ids[meta.Cluster] = true
		got := ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", Partitions: 3})
		if round > 0 && got != topic {
			t.Errorf("round %d: topic %+v, want %+v", round, got, topic)
		}
		topic = got
		p := newProducer(t, kafka.ProducerConfig{}, b.Addr())
		publish(t, p, &res, fmt.Sprint(round), 100)
		if err := p.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if err := b.Close(); err != nil {
			t.Fatalf("second close: %v", err)
		}
	}
	if len(ids) != 1 {
		t.Errorf("cluster ids %v, want the same one every time", ids)
	}
	b := startBroker(t, kafka.BrokerConfig{Dir: dir})
	checkLog(t, readAll(t, b.Addr(), "events"), res.acked, 300)
}

// checkLog makes sure that every acknowledged record is where it was said to
// be, and, where total is not negative, that there are no others.
func checkLog(t *testing.T, log map[place]*kgo.Record, acked map[place]string, total int) {
	t.Helper()
	for at, want := range acked {
		if r, ok := log[at]; !ok || string(r.Value) != want {
			t.Fatalf("at %+v lies %v, want the acknowledged record %s", at, r, want)
		}
	}
	if total >= 0 && (len(acked) != total || len(log) != total) {
		t.Errorf("%d records acknowledged and %d in the log, want %d", len(acked), len(log), total)
	}
}

// The promise on which everything else is built: what was acknowledged survives SIGKILL.
func TestBrokerSurvivesSIGKILL(t *testing.T) {
	const rounds, perRound = 3, 1500
	dir := t.TempDir()
	var res results
	unanswered := int64(0)
	for round := range rounds {
		proc := startBrokerProcess(t, "127.0.0.1:0", dir)
		ensureTopic(t, proc.addr, kafka.TopicConfig{Name: "events", Partitions: 2})
		p := newProducer(t, kafka.ProducerConfig{MaxOutstanding: 256}, proc.addr)
		before, _ := res.count()
		ctx, stop := context.WithCancel(t.Context())
		finished := make(chan struct{})
		go func() {
			defer close(finished)
			for i := 0; ; i++ {
				v := fmt.Sprintf("%d-%d", round, i)
				if p.Publish(ctx, kafka.Message{Key: []byte(v), Value: []byte(v)}, res.done(v)) != nil {
					return
				}
			}
		}()
		eventually(t, "acknowledgements", func() bool { n, _ := res.count(); return n >= before+perRound })
		proc.kill()
		stop()
		<-finished
		closing, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		_ = p.Close(closing) // cannot succeed: the broker is gone
		cancel()
		unanswered += p.Counts().Unknown
	}
	if unanswered == 0 {
		t.Error("no kill hit records in flight: the test proves nothing")
	}
	acked, _ := res.count()
	b := startBroker(t, kafka.BrokerConfig{Dir: dir})
	log := readAll(t, b.Addr(), "events")
	checkLog(t, log, res.acked, -1)
	t.Logf("%d acknowledged, %d unanswered, %d in the log after %d kills", acked, unanswered, len(log), rounds)
}

// A producer that outlives its broker continues with the next one. What the broker
// knew of the producer is then old (from the last clean stop) or gone; neither
// may make it take a new record for one that it has.
func TestBrokerTakesRecordsOfAnOldProducerAfterSIGKILL(t *testing.T) {
	dir := t.TempDir()
	proc := startBrokerProcess(t, "127.0.0.1:0", dir)
	ensureTopic(t, proc.addr, kafka.TopicConfig{Name: "events", Partitions: 2})
	p := newProducer(t, kafka.ProducerConfig{}, proc.addr)
	var res results
	for round := range 4 {
		publish(t, p, &res, fmt.Sprintf("quiet-%d", round), 200)
		if _, err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		publish(t, p, &res, fmt.Sprintf("under-way-%d", round), 200)
		if round%2 == 0 {
			proc.stop(t)
		} else {
			proc.kill()
		}
		proc = startBrokerProcess(t, proc.addr, dir)
	}
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	log := readAll(t, proc.addr, "events")
	checkLog(t, log, res.acked, -1)
	inLog := map[string]bool{}
	for _, r := range log {
		inLog[string(r.Value)] = true
	}
	if c := p.Counts(); c != (kafka.Counts{Acknowledged: 1600}) || len(inLog) != 1600 {
		errs := res.failures()
		t.Errorf("counts %+v and %d different records in the log, want 1600 acknowledged and in the log; first errors: %v", c, len(inLog), errs[:min(3, len(errs))])
	}
}

// Whatever comes to the port, the process that the broker lives in continues.
func TestBrokerRefusesWhatIsNotKafka(t *testing.T) {
	var logs logBuffer
	b := startBroker(t, kafka.BrokerConfig{Logger: logs.logger()})
	frame := func(size uint32, kind, version int16) []byte {
		f := binary.BigEndian.AppendUint32(nil, size)
		f = binary.BigEndian.AppendUint16(f, uint16(kind))
		return append(binary.BigEndian.AppendUint16(f, uint16(version)), make([]byte, 16)...)
	}
	for name, bytes := range map[string][]byte{
		"a kind that does not exist": frame(20, 12345, 0),
		"a negative kind":            frame(20, -2, 0),
		"a negative version":         frame(20, 3, -1),
		"four gigabytes":             frame(0xffffffff, 0, 9),
		"no head":                    frame(2, 0, 9),
	} {
		conn, err := net.Dial("tcp", b.Addr())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write(bytes); err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadDeadline(time.Now().Add(10 * time.Second))
		if n, err := io.Copy(io.Discard, conn); n != 0 || err != nil && strings.Contains(err.Error(), "timeout") {
			t.Errorf("%s: %d bytes, %v; want the connection closed", name, n, err)
		}
		_ = conn.Close()
	}
	client := http.Client{Timeout: 10 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	if resp, err := client.Get("http://" + b.Addr() + "/"); err == nil {
		_ = resp.Body.Close()
		t.Error("the broker answers HTTP")
	}
	if err := kafka.Ping(t.Context(), newClient(t, b.Addr())); err != nil {
		t.Errorf("after all that: %v", err)
	}
	eventually(t, "a log line for each reason", func() bool {
		return strings.Count(logs.String(), "not Kafka's protocol") == 1 && strings.Count(logs.String(), "larger than one of its kind may be") == 1
	})
}

func TestBrokerStartsOnlyWhileWanted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if b, err := kafka.StartBroker(ctx, kafka.BrokerConfig{Addr: "127.0.0.1:0"}); err == nil {
		_ = b.Close()
		t.Error("started after its context ended")
	}
}
