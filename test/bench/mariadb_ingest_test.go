//go:build servers

package bench_test

import (
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"movieexample.com/api/events"
	"movieexample.com/test/system"
)

const (
	// serverPool is MariaDB's memory for pages: all that is measured fits in, as in an installation that is looked after.
	serverPool = 1 << 30
	// singles is how many rows are written one by one; each waits for the disk.
	singles = 2_000
)

// BenchmarkKafkaToMariaDB compares ingestion through a real broker into a real server, durable and exact, with three ways to
// write the same rows without either. Ours is the binary in a process of its own; the clock runs from its first transaction on.
func BenchmarkKafkaToMariaDB(b *testing.B) {
	s := startServers(b, serverPool, redoLog)
	all := ratingEvents(b)
	rows := bareRows(all)
	sum := sumOf(all)
	topic, n := s.topicOf(b, 4, oneByOne(all))
	var batches []float64
	ours := func() float64 {
		name, url, drop := s.database(b, "ours")
		defer drop()
		schema(b, url)
		p := s.consumer(b, url, topic, name)
		marks := s.follow(b, name, n, 20*time.Millisecond)
		checkTotals(b, s, p, name, n, sum)
		batches = append(batches, metric(b, p, "movieexample_rating_ingest_records_total")/metric(b, p, "movieexample_rating_ingest_batch_duration_seconds_count"))
		stop(b, p)
		return ratePerSecond(marks)
	}
	for b.Loop() {
		ours() // shows the size of ingestion's batches, and warms up
		batch := int(median(batches))
		m := inTurns(5, ours,
			func() float64 { return s.bareUpserts(b, rows, batch) },
			func() float64 { return s.loadData(b, rows) },
			func() float64 { return s.oneByOneRows(b, rows[:singles]) })
		b.Logf("%d events, %d in a transaction; rates per round, per second: ours %.0f, upserts %.0f, LOAD DATA %.0f, one by one %.0f",
			n, batch, m[0], m[1], m[2], m[3])
		name := fmt.Sprintf("Kafka → MariaDB, %s events, some %s in a transaction", thousands(float64(n)), thousands(float64(batch)))
		against(b, "upserts", name+" / bare upserts of many rows and their aggregates", "events", m[0], m[1], 0.5)
		against(b, "load-data", name+" / LOAD DATA of the ratings", "events", m[0], m[2], 0.5)
		against(b, "one-by-one", name+" / one row per statement and transaction", "events", m[0], m[3], 12)
	}
}

func sumOf(all []events.Event) (sum int64) {
	for _, e := range all {
		sum += int64(e.Value)
	}
	return sum
}

// BenchmarkConsumers shows how the rate grows with the processes that share eight partitions.
func BenchmarkConsumers(b *testing.B) {
	s := startServers(b, serverPool, redoLog)
	all := ratingEvents(b)
	sum := sumOf(all)
	topic, n := s.topicOf(b, 8, oneByOne(all))
	resident := map[int]string{}
	with := func(consumers int) func() float64 {
		return func() float64 {
			name, url, drop := s.database(b, "shared")
			defer drop()
			schema(b, url)
			cl := s.members(b, url, topic, name, consumers)
			marks := s.follow(b, name, n, 20*time.Millisecond)
			checkTotals(b, s, cl[0], name, n, sum)
			resident[consumers] = memory(b, cl...)
			stop(b, cl...)
			return ratePerSecond(marks)
		}
	}
	for b.Loop() {
		with(1)() // warm
		counts := []int{1, 2, 3, 4}
		m := inTurns(3, with(1), with(2), with(3), with(4))
		for i, c := range counts {
			row{
				name: fmt.Sprintf("Kafka → MariaDB, rating processes that share 8 partitions: %d / 1; resident after it", c),
				ours: rate(median(m[i]), "events") + ", " + resident[c], bare: rate(median(m[0]), "events"), ratio: median(m[i]) / median(m[0]), target: "–",
			}.print(b)
			b.ReportMetric(median(m[i]), fmt.Sprintf("consumers-%d-events/s", c))
		}
		b.ReportMetric(0, "ns/op")
	}
}

// members starts processes of one consumer group at the same time, so that none has done the work before the others are there.
func (s *realServers) members(b *testing.B, url, topic, group string, n int) []*system.Process {
	b.Helper()
	all := make([]*system.Process, n)
	var starting errgroup.Group
	for i := range all {
		starting.Go(func() (err error) {
			all[i], err = s.startConsumer(b, url, topic, group)
			return err
		})
	}
	if err := starting.Wait(); err != nil {
		b.Fatal(err)
	}
	return all
}
