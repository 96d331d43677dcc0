package kafka_test

import (
	"fmt"
	"testing"

	"movieexample.com/internal/kafka"
)

// An orderly stop looks to a producer like a lost connection, which it waits out; never like an answer that leaves the
// outcome of its records unknown.
func TestCloseWhileRecordsArrive(t *testing.T) {
	dir := t.TempDir()
	b, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: "127.0.0.1:0", Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	addr := b.Addr()
	ensureTopic(t, addr, kafka.TopicConfig{Name: "events", Partitions: 2})
	p := newProducer(t, kafka.ProducerConfig{}, addr)
	var res results
	const rounds, records = 15, 300
	for round := range rounds {
		publish(t, p, &res, fmt.Sprintf("round-%d", round), records)
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		if b, err = kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: addr, Dir: dir}); err != nil {
			t.Fatal(err)
		}
	}
	defer b.Close()
	_, err = p.Flush(t.Context())
	if c := p.Counts(); err != nil || c != (kafka.Counts{Acknowledged: rounds * records}) {
		t.Errorf("counts %+v (%v), want all acknowledged; errors: %v", c, err, res.failures())
	}
}
