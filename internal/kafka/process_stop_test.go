//go:build unix

package kafka_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/kafka"
)

// A broker whose process does not run any more is killed and started again, with all that it acknowledged.
func TestBrokerProcessThatHangs(t *testing.T) {
	b := startSupervised(t, kafka.BrokerProcessConfig{Broker: kafka.BrokerConfig{Dir: t.TempDir()}, Silence: 3 * time.Second})
	ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
	cl := newClient(t, b.Addr(), kgo.DefaultProduceTopic("events"))
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("before")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	was := b.PID()
	if err := syscall.Kill(was, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	eventually(t, "another process", func() bool { pid := b.PID(); return pid != 0 && pid != was })
	serves(t, b.Addr())
	if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte("after")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	if got := len(readAll(t, b.Addr(), "events")); got != 2 {
		t.Errorf("%d records, want 2", got)
	}
	if !strings.Contains(b.logs.String(), `level=ERROR msg="the embedded Kafka broker ended and is started again" reason="it did not run any more, and was killed"`) {
		t.Error("the log does not say why")
	}
	if n := b.restarts(t); n == 0 {
		t.Error("no restart is counted")
	}
}
