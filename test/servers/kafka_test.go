//go:build servers

package servers_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"movieexample.com/test/servers"
)

// dial makes a client that does not wait forever.
func dial(t *testing.T, brokers []string, options ...kgo.Opt) *kgo.Client {
	t.Helper()
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...), kgo.RecordDeliveryTimeout(30 * time.Second), kgo.RetryTimeout(30 * time.Second),
	}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// produce sends a record to topic t and waits until all replicas in sync have it.
func produce(ctx context.Context, t *testing.T, client *kgo.Client, value string) {
	t.Helper()
	if err := client.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: []byte(value)}).FirstErr(); err != nil {
		t.Fatalf("produce %q: %v", value, err)
	}
}

// values reads n records of topic t from its beginning.
func values(ctx context.Context, t *testing.T, brokers []string, n int) string {
	t.Helper()
	client := dial(t, brokers, kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	var got []string
	for len(got) < n {
		fetches := client.PollFetches(ctx)
		if err := ctx.Err(); err != nil {
			t.Fatalf("read %d records: %v, got %q", n, err, got)
		}
		fetches.EachRecord(func(r *kgo.Record) { got = append(got, string(r.Value)) })
	}
	return strings.Join(got, " ")
}

// TestKafka takes one broker with a password and encryption through its faults.
func TestKafka(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	began := time.Now()
	k, err := servers.StartKafka(ctx, servers.KafkaConfig{
		Users:      []servers.KafkaUser{{Name: "films", Password: "secret"}},
		TLS:        true,
		Properties: map[string]string{"log.retention.ms": "-1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, k)
	t.Logf("a new broker answers after %s", time.Since(began))

	if _, err := k.Tool(ctx, "org.apache.kafka.tools.TopicCommand", "--create", "--topic", "t"); err != nil {
		t.Fatal(err)
	}
	ca, err := os.ReadFile(k.TLS.CAFile)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(ca) {
		t.Fatal("no certificate in the authority's file")
	}
	secured := func(password string) []kgo.Opt {
		return []kgo.Opt{
			kgo.DialTLSConfig(&tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}),
			kgo.SASL(scram.Auth{User: "films", Pass: password}.AsSha512Mechanism()),
		}
	}
	client := dial(t, k.Bootstrap(), secured("secret")...)
	produce(ctx, t, client, "one")
	if err := dial(t, k.Bootstrap(), append(secured("wrong"), kgo.RetryTimeout(time.Second))...).Ping(ctx); err == nil {
		t.Error("a wrong password is good enough")
	}
	if err := dial(t, k.Bootstrap(), kgo.RetryTimeout(time.Second)).Ping(ctx); err == nil {
		t.Error("a client without encryption is served")
	}

	b := k.Brokers[0]
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("back %s after a kill", time.Since(began))
	produce(ctx, t, client, "two")

	if err := b.Pause(); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	if err := dial(t, k.Internal(), kgo.RequestTimeoutOverhead(time.Second)).Ping(short); err == nil {
		t.Error("a paused broker answers")
	}
	if err := b.Resume(); err != nil {
		t.Fatal(err)
	}
	produce(ctx, t, client, "three")

	if err := b.Restart(ctx); err != nil {
		t.Fatal(err)
	}
	if got := values(ctx, t, k.Internal(), 3); got != "one two three" {
		t.Errorf("after all that the topic has %q", got)
	}
}

// TestKafkaThreeBrokers kills the leader of a partition; what was acknowledged stays, and producing continues.
func TestKafkaThreeBrokers(t *testing.T) {
	ctx := within(t, 5*time.Minute)
	began := time.Now()
	k, err := servers.StartKafka(ctx, servers.KafkaConfig{Brokers: 3})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, k)
	t.Logf("three new brokers answer after %s", time.Since(began))

	client := dial(t, k.Bootstrap())
	admin := kadm.NewClient(client)
	if _, err := admin.CreateTopic(ctx, 1, -1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	produce(ctx, t, client, "one")
	topics, err := admin.ListTopics(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	b := k.Brokers[topics["t"].Partitions[0].Leader-1]
	if err := b.Kill(); err != nil {
		t.Fatal(err)
	}
	began = time.Now()
	produce(ctx, t, client, "two")
	t.Logf("a record is acknowledged %s after its leader was killed", time.Since(began))
	began = time.Now()
	if err := b.Start(ctx); err != nil {
		t.Fatal(err)
	}
	t.Logf("the broker is back after %s", time.Since(began))
	if got := values(ctx, t, k.Bootstrap(), 2); got != "one two" {
		t.Errorf("the topic has %q", got)
	}
	began = time.Now()
	if err := k.Stop(); err != nil {
		t.Error(err)
	}
	t.Logf("stopped in %s", time.Since(began))
	for _, b := range k.Brokers {
		if b.Running() {
			t.Errorf("broker %d runs after Stop", b.NodeID)
		}
	}
}
