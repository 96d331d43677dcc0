//go:build unix

package kafka_test

import (
	"context"
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

// supervised is a supervised broker process.
type supervised struct {
	*kafka.BrokerProcess
	metrics *prometheus.Registry
	logs    *logBuffer
}

func startSupervised(t *testing.T, cfg kafka.BrokerProcessConfig) *supervised {
	t.Helper()
	s := &supervised{metrics: prometheus.NewRegistry(), logs: &logBuffer{}}
	if cfg.Broker.Addr == "" {
		cfg.Broker.Addr = "127.0.0.1:0"
	}
	cfg.Broker.Logger, cfg.Metrics = s.logs.logger(), s.metrics
	p, err := kafka.StartBrokerProcess(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	s.BrokerProcess = p
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Errorf("close broker process: %v", err)
		}
		if t.Failed() {
			t.Logf("log:\n%s", s.logs)
		}
	})
	return s
}

func (s *supervised) restarts(t *testing.T) int {
	t.Helper()
	want := "# HELP movieexample_kafka_broker_restarts_total How often the embedded Kafka broker's process ended and was started again.\n# TYPE movieexample_kafka_broker_restarts_total counter\nmovieexample_kafka_broker_restarts_total %d\n"
	for n := range 100 {
		if testutil.GatherAndCompare(s.metrics, strings.NewReader(fmt.Sprintf(want, n)), "movieexample_kafka_broker_restarts_total") == nil {
			return n
		}
	}
	t.Fatal("no metric of restarts")
	return 0
}

func (s *supervised) kill(t *testing.T) {
	t.Helper()
	if err := syscall.Kill(s.PID(), syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// A broker that is killed is back at once, at the same address, with all that it acknowledged.
func TestBrokerProcessComesBack(t *testing.T) {
	const kills = 5
	b := startSupervised(t, kafka.BrokerProcessConfig{Broker: kafka.BrokerConfig{Dir: t.TempDir()}})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events", Partitions: 2})
	p := newProducer(t, kafka.ProducerConfig{MaxOutstanding: 256}, b.Addr())
	var res results
	ctx, stop := context.WithCancel(t.Context())
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		for i := 0; ctx.Err() == nil; i++ {
			v := fmt.Sprint(i)
			if p.Publish(ctx, kafka.Message{Key: []byte(v), Value: []byte(v)}, res.done(v)) != nil {
				return
			}
		}
	}()
	longest := time.Duration(0)
	for kill := range kills {
		before, _ := res.count()
		eventually(t, "acknowledgements", func() bool { n, _ := res.count(); return n > before+200 })
		was := b.PID()
		b.kill(t)
		began := time.Now()
		eventually(t, "another process", func() bool { pid := b.PID(); return pid != 0 && pid != was })
		serves(t, b.Addr())
		longest = max(longest, time.Since(began))
		if n := b.restarts(t); n != kill+1 {
			t.Errorf("%d restarts counted, want %d", n, kill+1)
		}
	}
	stop()
	<-finished
	if _, err := p.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	checkLog(t, readAll(t, b.Addr(), "events"), res.acked, -1)
	acked, _ := res.count()
	t.Logf("%d acknowledged; back after %s at most", acked, longest.Round(time.Millisecond))
	if longest > 2*time.Second {
		t.Errorf("a broker was away for %s, want 2 s at most", longest)
	}
	if n := strings.Count(b.logs.String(), `level=ERROR msg="the embedded Kafka broker exited; restarting it" reason="signal: killed"`); n != kills {
		t.Errorf("%d lines about ends, want %d", n, kills)
	}
}

// The log has the last output of a process that exited.
func TestBrokerProcessSaysWhyItEnded(t *testing.T) {
	b := startSupervised(t, kafka.BrokerProcessConfig{})
	was := b.PID()
	if err := syscall.Kill(was, syscall.SIGABRT); err != nil { // ends it as a panic does, with stacks
		t.Fatal(err)
	}
	eventually(t, "another process", func() bool { pid := b.PID(); return pid != 0 && pid != was })
	for _, want := range []string{`reason="exit status 2"`, "SIGABRT", "goroutine "} {
		if !strings.Contains(b.logs.String(), want) {
			t.Errorf("the log does not have %s", want)
		}
	}
}

// A process that exceeds its memory limit exits and is restarted.
func TestBrokerProcessBoundsItsMemory(t *testing.T) {
	b := startSupervised(t, kafka.BrokerProcessConfig{MemoryBytes: 64 << 20}) // records are in memory, too
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	cl := newClient(t, b.Addr(), kgo.DefaultProduceTopic("events"), kgo.ProducerBatchCompression(kgo.NoCompression()), kgo.RecordRetries(0), kgo.UnknownTopicRetries(0))
	sent := 0
	for ; sent < 200 && b.restarts(t) == 0; sent++ {
		_ = cl.ProduceSync(t.Context(), &kgo.Record{Value: make([]byte, 900<<10)}).FirstErr() // fails when it ends
	}
	eventually(t, "a restart", func() bool { return b.restarts(t) > 0 && b.PID() != 0 })
	// Whichever comes first: the process's check of its memory, or an allocation that fails, which the runtime and the race
	// detector report differently.
	if !regexp.MustCompile(`level=ERROR.*(exceeds its memory limit|exceeded its memory limit|out of memory|allocate)`).MatchString(b.logs.String()) {
		t.Errorf("the log does not say why")
	}
	if sent < 30 {
		t.Errorf("it ended after %d MB of records, with 64 MiB to use", sent)
	}
	serves(t, b.Addr())
}

// Without file descriptors connections wait; the port is never closed.
func TestBrokerProcessWithoutFileDescriptors(t *testing.T) {
	t.Setenv(filesEnv, "40")
	b := startSupervised(t, kafka.BrokerProcessConfig{})
	var idle []*wire
	for range 100 {
		idle = append(idle, dialWire(t, b.Addr()))
	}
	serves(t, b.Addr())
	eventually(t, "a log line", func() bool { return strings.Contains(b.logs.String(), "too many open files") })
	for _, w := range idle {
		_ = w.Close()
	}
	serves(t, b.Addr())
	if n := strings.Count(b.logs.String(), "cannot accept connections"); n != 1 {
		t.Errorf("%d lines about connections that cannot be accepted, want 1", n)
	}
	if n := b.restarts(t); n != 0 {
		t.Errorf("%d restarts", n)
	}
}

// Errors of the start are those of a broker in this process.
func TestBrokerProcessSaysWhatIsWrong(t *testing.T) {
	dir := t.TempDir()
	b := startBroker(t, kafka.BrokerConfig{Dir: dir})
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(dir+"/meta.json", []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := kafka.StartBrokerProcess(t.Context(), kafka.BrokerProcessConfig{Broker: kafka.BrokerConfig{Addr: "127.0.0.1:0", Dir: dir}})
	if want := "the file meta.json in it is damaged"; err == nil || !strings.Contains(err.Error(), want) || fault.KindOf(err) != fault.KindPrecondition {
		t.Errorf("got %v (%v), want %q and Precondition", err, fault.KindOf(err), want)
	}
	taken := startBroker(t, kafka.BrokerConfig{})
	_, err = kafka.StartBrokerProcess(t.Context(), kafka.BrokerProcessConfig{Broker: kafka.BrokerConfig{Addr: taken.Addr()}})
	if err == nil || !strings.Contains(err.Error(), "is taken by another program") {
		t.Errorf("a taken port: %v", err)
	}
	_, err = kafka.StartBrokerProcess(t.Context(), kafka.BrokerProcessConfig{Broker: kafka.BrokerConfig{Addr: "127.0.0.1:0"}, Command: []string{"/bin/false"}})
	if err == nil || !strings.Contains(err.Error(), "exited before it was ready") {
		t.Errorf("a program that is no broker: %v", err)
	}
}
