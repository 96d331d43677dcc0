package kafka_test

import (
	"context"
	"fmt"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

func TestEnsureTopicCreatesOnceWithExplicitRetention(t *testing.T) {
	var logs logBuffer
	b := startBroker(t, kafka.BrokerConfig{})
	cl := newClient(t, b.Addr())
	tc := kafka.TopicConfig{Name: "events", Partitions: 3, RetentionBytes: 1 << 30, Logger: logs.logger()}
	first, err := kafka.EnsureTopic(t.Context(), cl, tc)
	if err != nil {
		t.Fatal(err)
	}
	if first.Name != "events" || first.Partitions != 3 || first.ID == [16]byte{} {
		t.Errorf("topic %+v, want events with 3 partitions and an id", first)
	}
	again, err := kafka.EnsureTopic(t.Context(), cl, tc)
	if err != nil || again != first {
		t.Errorf("second time: %+v, %v; want %+v", again, err, first)
	}
	if strings.Contains(logs.String(), "WARN") {
		t.Errorf("warned although nothing differs:\n%s", logs.String())
	}
	described, err := kafka.DescribeTopic(t.Context(), cl, "events")
	if err != nil || described != first {
		t.Errorf("described: %+v, %v; want %+v", described, err, first)
	}

	configs, err := kadm.NewClient(cl).DescribeTopicConfigs(t.Context(), "events")
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"retention.ms": "-1", "retention.bytes": "1073741824"}
	for _, c := range configs[0].Configs {
		if w, ok := want[c.Key]; ok && c.MaybeValue() == w {
			delete(want, c.Key)
		}
	}
	if len(want) > 0 {
		t.Errorf("the topic lacks %v", want)
	}
}

func TestEnsureTopicReportsDifferencesAndChangesNothing(t *testing.T) {
	var logs logBuffer
	b := startBroker(t, kafka.BrokerConfig{})
	first := ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", Partitions: 2, Retention: time.Hour})
	got, err := kafka.EnsureTopic(t.Context(), newClient(t, b.Addr()), kafka.TopicConfig{Name: "events", Partitions: 5, RetentionBytes: 1000, Logger: logs.logger()})
	if err != nil || got != first {
		t.Fatalf("got %+v, %v; want %+v as it was", got, err, first)
	}
	for _, want := range []string{
		"another number of partitions than configured; using it as it is\" topic=events partitions=2 configured=5",
		"the topic keeps records for 1h0m0s, which differs from the configuration: to change the topic, alter its retention.ms; to keep it, set retention to 1h0m0s\" topic=events setting=retention.ms value=3600000 configured=-1",
		"the topic keeps records without limit of size, which differs from the configuration: to change the topic, alter its retention.bytes; to keep it, set retention_bytes to 0\" topic=events setting=retention.bytes value=-1 configured=1000",
	} {
		if !strings.Contains(logs.String(), want) {
			t.Errorf("log lacks %s:\n%s", want, logs.String())
		}
	}
}

// stopAtComparison ends a context in the moment a client has asked for a topic's
// configuration, while the answer is held back.
type stopAtComparison struct {
	gate      sync.Locker
	cancel    context.CancelFunc
	created   atomic.Bool
	held      sync.Once
	cancelled atomic.Bool
}

func (s *stopAtComparison) OnBrokerRead(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	switch kmsg.Key(key) {
	case kmsg.CreateTopics:
		s.created.Store(true)
	case kmsg.Metadata:
		if s.created.Load() {
			s.held.Do(s.gate.Lock)
		}
	}
}

func (s *stopAtComparison) OnBrokerWrite(_ kgo.BrokerMetadata, key int16, _ int, _, _ time.Duration, _ error) {
	if kmsg.Key(key) == kmsg.DescribeConfigs {
		s.cancelled.Store(true)
		s.cancel()
	}
}

func TestEnsureTopicDoesNotWarnWhileStopping(t *testing.T) {
	var logs logBuffer
	b := startBroker(t, kafka.BrokerConfig{})
	p := startProxy(t)
	p.backend.Store(b.Addr())
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	stop := &stopAtComparison{gate: &p.gate, cancel: cancel}
	cl := newClient(t, p.addr(), kgo.WithHooks(stop), kgo.Dialer(func(ctx context.Context, network, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, p.addr()) // the broker gives its own address
	}))
	_, err := kafka.EnsureTopic(ctx, cl, kafka.TopicConfig{Name: "events", Logger: logs.logger()})
	stop.held.Do(p.gate.Lock) // so that it can be unlocked in any case
	p.gate.Unlock()
	if err != nil {
		t.Errorf("the topic is there: %v", err)
	}
	if !stop.cancelled.Load() {
		t.Error("the topic's configuration was not asked for")
	}
	if logs.String() != "" {
		t.Errorf("warned:\n%s", logs.String())
	}
}

// Retention by size works after a restart too, and never empties a partition: an
// empty one would begin at offset 0 again after a crash.
// A client that knows the topic has its metadata in a cache. DescribeTopic returns the new id of a recreated topic.
func TestDescribeTopicAfterRecreation(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	cl, other := newClient(t, b.Addr()), newClient(t, b.Addr())
	tc := kafka.TopicConfig{Name: "events", Partitions: 2}
	first, err := kafka.EnsureTopic(t.Context(), cl, tc)
	if err != nil {
		t.Fatal(err)
	}
	// Fills the client's cache.
	if list, err := kadm.NewClient(cl).ListTopics(t.Context(), "events"); err != nil || list["events"].ID != kadm.TopicID(first.ID) {
		t.Fatalf("listed: %+v, %v; want the id %x", list, err, first.ID)
	}
	if _, err := kadm.NewClient(other).DeleteTopic(t.Context(), "events"); err != nil {
		t.Fatal(err)
	}
	if found, err := kafka.DescribeTopic(t.Context(), cl, "events"); fault.KindOf(err) != fault.KindNotFound {
		t.Errorf("deleted: got %+v, %v, want not found", found, err)
	}
	second, err := kafka.EnsureTopic(t.Context(), other, tc)
	if err != nil || second.ID == first.ID {
		t.Fatalf("recreated: %+v, %v; want another id than %x", second, err, first.ID)
	}
	if found, err := kafka.DescribeTopic(t.Context(), cl, "events"); err != nil || found != second {
		t.Errorf("described: %+v, %v; want %+v", found, err, second)
	}
}

func TestRetentionBySize(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, kafka.BrokerConfig{Dir: dir})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", RetentionBytes: 2000})
	p := newProducer(t, kafka.ProducerConfig{}, b.Addr())
	var res results
	for i := range 20 { // one batch each
		publish(t, p, &res, fmt.Sprintf("%0200d", i), 1)
		if _, err := p.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if err := p.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}

	b = startBroker(t, kafka.BrokerConfig{Dir: dir, RetentionInterval: time.Millisecond})
	adm := kadm.NewClient(newClient(t, b.Addr()))
	var start int64
	eventually(t, "the oldest records dropped", func() bool {
		offsets, err := adm.ListStartOffsets(t.Context(), "events")
		if err != nil {
			t.Fatal(err)
		}
		o, _ := offsets.Lookup("events", 0)
		start = o.Offset
		return start > 0
	})
	ends, err := adm.ListEndOffsets(t.Context(), "events")
	if err != nil {
		t.Fatal(err)
	}
	if end, _ := ends.Lookup("events", 0); end.Offset != 20 || start >= 20 {
		t.Errorf("log from %d to %d, want some of 20 records left", start, end.Offset)
	}
}

func TestTopicErrors(t *testing.T) {
	b := startBroker(t, kafka.BrokerConfig{})
	cl := newClient(t, b.Addr())
	for _, name := range []string{"a/b", "../x", "..", ".", "", "a b", strings.Repeat("x", 250)} {
		_, err := kafka.EnsureTopic(t.Context(), cl, kafka.TopicConfig{Name: name})
		want := fmt.Sprintf(`topic: %q with 1 partitions is refused by the broker: a topic name must be 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", and not "." or ".."`, name)
		if err == nil || err.Error() != want || fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("name %q:\n got %v\nwant %s", name, err, want)
		}
	}
	if _, err := kadm.NewClient(cl).CreateTopics(t.Context(), 1, 1, nil, "good", "../bad"); err != nil {
		t.Error(err)
	}
	if list, err := kadm.NewClient(cl).ListTopics(t.Context()); err != nil || len(list) != 0 {
		t.Errorf("topics %q, %v; want none of them", list.Names(), err)
	}
	if _, err := kafka.EnsureTopic(t.Context(), cl, kafka.TopicConfig{Name: "many", Replication: 3}); fault.KindOf(err) != fault.KindInvalid {
		t.Errorf("three copies on one broker: %v", err)
	}
	_, err := kafka.DescribeTopic(t.Context(), cl, "none")
	if want := `topic "none" does not exist at ` + b.Addr() + `: start the service that owns it, or create it, then try again`; fault.KindOf(err) != fault.KindNotFound || err.Error() != want {
		t.Errorf("missing topic:\n got %v\nwant %s", err, want)
	}
}

func TestClientErrors(t *testing.T) {
	for _, tt := range []struct {
		brokers []string
		message string
	}{
		{nil, "brokers: is required: the host:port of at least one Kafka broker"},
		{[]string{"127.0.0.1:9092", "kafka"}, `brokers[1]: must be host:port, for example 127.0.0.1:9092; got "kafka"`},
		{[]string{":9092"}, `brokers[0]: must be host:port, for example 127.0.0.1:9092; got ":9092"`},
		{[]string{"kafka:0"}, `brokers[0]: must end in a port from 1 to 65535; got "kafka:0"`},
		{[]string{"kafka:99999"}, `brokers[0]: must end in a port from 1 to 65535; got "kafka:99999"`},
	} {
		_, err := kafka.NewClient(kafka.Config{Brokers: tt.brokers})
		if err == nil || err.Error() != tt.message || fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%q:\n got %v\nwant %s", tt.brokers, err, tt.message)
		}
	}

	addr := closedAddr(t)
	err := kafka.Ping(t.Context(), newClient(t, addr))
	if fault.KindOf(err) != fault.KindUnavailable || !strings.HasPrefix(err.Error(), "no Kafka broker answers at "+addr+": check the address, and that the broker runs: ") {
		t.Errorf("ping without a broker: %v", err)
	}
}

// closedAddr is an address on which no one listens.
func closedAddr(t *testing.T) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// A caller that may not create topics uses one that is there, and is told what is missing where it is not.
func TestEnsureTopicWithoutPermissionToCreate(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "events"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	var denied atomic.Int64
	cluster.ControlKey(int16(kmsg.CreateTopics), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		denied.Add(1)
		resp := req.ResponseKind().(*kmsg.CreateTopicsResponse)
		for _, asked := range req.(*kmsg.CreateTopicsRequest).Topics {
			one := kmsg.NewCreateTopicsResponseTopic()
			one.Topic, one.ErrorCode = asked.Topic, kerr.TopicAuthorizationFailed.Code
			resp.Topics = append(resp.Topics, one)
		}
		return resp, nil, true
	})
	cl, err := kafka.NewClient(kafka.Config{Brokers: cluster.ListenAddrs(), Setting: func(key string) string { return "--" + key }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	if topic, err := kafka.EnsureTopic(t.Context(), cl, kafka.TopicConfig{Name: "events", Partitions: 2}); err != nil || topic.Partitions != 2 {
		t.Errorf("a topic that is there: %+v, %v", topic, err)
	}
	_, err = kafka.EnsureTopic(t.Context(), cl, kafka.TopicConfig{Name: "others", Partitions: 2})
	const want = "denies clients that do not log in access to the topic"
	if fault.KindOf(err) != fault.KindUnavailable || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "--user") {
		t.Errorf("a topic that is not there: %v\nlacks %q", err, want)
	}
	if denied.Load() != 2 {
		t.Errorf("%d topics were denied, want 2", denied.Load())
	}
}
