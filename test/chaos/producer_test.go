//go:build servers

package chaos_test

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/oracle"
)

const topic = "ratings"

// producer publishes a stream at a steady rate. It never gives a record up: what the brokers cannot take now waits.
type producer struct {
	rig     *rig
	traffic *traffic
	client  *kgo.Client
	cancel  context.CancelFunc
	done    sync.WaitGroup
}

// flushTimeout is how long brokers may take to acknowledge the rest.
const flushTimeout = 90 * time.Second

func (r *rig) startProducer(tr *traffic, name string, perSecond int) (*producer, error) {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(r.c.Kafka.Bootstrap()...),
		kgo.DefaultProduceTopic(topic),
		kgo.UnknownTopicRetries(-1),
		kgo.MaxBufferedRecords(100_000),
		kgo.ProducerLinger(5*time.Millisecond),
		kgo.MetadataMinAge(200*time.Millisecond),
		kgo.DisableClientMetrics(),
	)
	if err != nil {
		return nil, fmt.Errorf("produce: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p := &producer{rig: r, traffic: tr, client: client, cancel: cancel}
	s := newStream(name, r.newRand())
	p.done.Go(func() {
		const step = 20 * time.Millisecond
		tick := time.NewTicker(step)
		defer tick.Stop()
		began := time.Now()
		for made := 0; ; {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// A machine that was busy is not made up for: the rate is a bound.
			due := int(time.Since(began).Seconds() * float64(perSecond))
			if behind := due - made; behind > perSecond {
				made = due - perSecond
			}
			for ; made < due; made++ {
				for _, it := range s.next() {
					p.produce(it)
				}
			}
		}
	})
	return p, nil
}

func (p *producer) produce(it item) {
	p.rig.ledger.Sending(it.value, it.poison)
	began := time.Now()
	p.client.Produce(context.Background(), &kgo.Record{Key: it.key, Value: it.value}, func(r *kgo.Record, err error) {
		p.traffic.note(publish, began, time.Now(), err)
		if err != nil {
			p.rig.ledger.Unanswered()
			return
		}
		p.rig.ledger.Sent(oracle.Place{Partition: r.Partition, Offset: r.Offset}, r.Value)
	})
}

// stop publishes nothing more and waits for the answers.
func (p *producer) stop() error {
	p.cancel()
	p.done.Wait()
	defer p.client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	if err := p.client.Flush(ctx); err != nil {
		return fmt.Errorf("the brokers have not acknowledged %d records %s after the end: %w", p.client.BufferedProduceRecords(), flushTimeout, err)
	}
	return nil
}
