//go:build unix

package kafka_test

import (
	"context"
	"fmt"
	"slices"
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
	if !strings.Contains(b.logs.String(), `level=ERROR msg="the embedded Kafka broker exited; restarting it" reason="it was hanging and was killed"`) {
		t.Error("the log does not say why")
	}
	if n := b.restarts(t); n == 0 {
		t.Error("no restart is counted")
	}
}

// committed reads what a consumer gets that wants no more than what was committed, until it has last.
func committed(t *testing.T, addr, topic, last string) (values []string) {
	t.Helper()
	cl := newClient(t, addr, kgo.ConsumeTopics(topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchIsolationLevel(kgo.ReadCommitted()))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for !slices.Contains(values, last) {
		fetches := cl.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("got %q, and not %q", values, last)
		}
		fetches.EachRecord(func(r *kgo.Record) { values = append(values, string(r.Value)) })
	}
	return values
}

// A transaction that is open when the broker is killed is committed whole or not at all, and does not keep consumers from reading on.
func TestBrokerProcessKilledInATransaction(t *testing.T) {
	for _, row := range []struct {
		name string
		end  kgo.TransactionEndTry
	}{{"commit", kgo.TryCommit}, {"abort", kgo.TryAbort}} {
		t.Run(row.name, func(t *testing.T) {
			b := startSupervised(t, kafka.BrokerProcessConfig{Broker: kafka.BrokerConfig{Dir: t.TempDir()}})
			ensureTopic(t, b.Addr(), kafka.TopicConfig{Name: "events"})
			producer := func() *kgo.Client {
				return newClient(t, b.Addr(), kgo.DefaultProduceTopic("events"), kgo.TransactionalID("tx"), kgo.TransactionTimeout(20*time.Second))
			}
			publish := func(cl *kgo.Client, value string) {
				t.Helper()
				if err := cl.ProduceSync(t.Context(), &kgo.Record{Value: []byte(value)}).FirstErr(); err != nil {
					t.Fatal(err)
				}
			}
			first := producer()
			if err := first.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			for i := range 3 {
				publish(first, fmt.Sprint("open ", i))
			}
			was := b.PID()
			b.kill(t)
			eventually(t, "another process", func() bool { pid := b.PID(); return pid != 0 && pid != was })
			serves(t, b.Addr())
			ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
			ended := first.EndTransaction(ctx, row.end)
			cancel()
			t.Logf("the end: %v", ended)

			second := producer()
			if err := second.BeginTransaction(); err != nil {
				t.Fatal(err)
			}
			publish(second, "next")
			if err := second.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
				t.Fatal(err)
			}
			publish(newClient(t, b.Addr(), kgo.DefaultProduceTopic("events")), "last") // of another producer
			got := committed(t, b.Addr(), "events", "last")
			want := []string{"next", "last"}
			if row.end == kgo.TryCommit && ended == nil {
				want = []string{"open 0", "open 1", "open 2", "next", "last"}
			}
			if !slices.Equal(got, want) {
				t.Errorf("a consumer has %q, want %q", got, want)
			}
			// The next start reads the log again, and must not come to another conclusion.
			was = b.PID()
			b.kill(t)
			eventually(t, "a third process", func() bool { pid := b.PID(); return pid != 0 && pid != was })
			if again := committed(t, b.Addr(), "events", "last"); !slices.Equal(again, want) {
				t.Errorf("after another kill a consumer has %q, want %q", again, want)
			}
			if n := b.restarts(t); n != 2 {
				t.Errorf("%d restarts, want 2", n)
			}
		})
	}
}
