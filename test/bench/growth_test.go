//go:build servers

package bench_test

import (
	"flag"
	"fmt"
	"iter"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"movieexample.com/api/events"
	"movieexample.com/client/loadtest"
	"movieexample.com/test/system"
)

// growthRatings is how many ratings BenchmarkGrowth ingests. Ten million take some ten to twenty minutes and 3 GB of disk.
var growthRatings = flag.Int("growth.ratings", 3_000_000, "ratings that BenchmarkGrowth ingests")

const (
	// growthFilms and growthUsers are those of MovieLens 10M.
	growthFilms = 10_681
	growthUsers = 69_878
	// growthPool is MariaDB's memory for pages. Ten million ratings with their indexes take 2.5 GB: as an operator would, we
	// let what is worked on fit in.
	growthPool = 4 << 30
	// growthLog is MariaDB's redo log. It must hold what is written while the pages that it is about become worth
	// writing: with a smaller one each page goes to the disk again for every few rows, and the more pages there are the fewer rows.
	growthLog = 4 << 30
	// growthRate is the load under which latencies are measured, in requests per second.
	growthRate = 200
)

// BenchmarkGrowth ingests a great number of ratings through Kafka into MariaDB and shows that the millionth costs what the
// first did, and that readers notice nothing. Only the backlog is ingested while the clock runs; nothing is published.
func BenchmarkGrowth(b *testing.B) {
	s := startServers(b, growthPool, growthLog)
	n := *growthRatings
	all := made(b.Context(), b, min(growthUsers, n/20), n, growthFilms)
	head := n / 100
	for b.Loop() {
		topic, _ := s.topicOf(b, 8, taken(all, 0, head))
		_, metadataURL, dropMetadata := s.database(b, "films")
		name, ratingURL, dropRating := s.database(b, "growing")
		group := s.name("group")
		start := func(args ...string) *system.Process {
			p, err := system.TryStart(b, s.bin, append([]string{"serve"}, args...)...)
			if err != nil {
				b.Fatal(err)
			}
			return p
		}
		metadata := start("metadata", "--database", metadataURL)
		ratings := s.consumer(b, ratingURL, topic, group)
		s.follow(b, name, head, 100*time.Millisecond)
		movie := start("movie", "--connect-metadata", metadata.Metadata, "--connect-rating", ratings.Rating)
		gateway := start("gateway", "--connect-movie", movie.Movie, "--connect-metadata", metadata.Metadata, "--connect-rating", ratings.Rating)
		threeProcesses{metadata: metadata, rating: ratings, movie: movie}.fill(b, growthFilms)
		before := readers(b, gateway)

		// The rest is published while no process ingests, and ingested without readers.
		stop(b, gateway, movie, ratings)
		published := s.publish(b, topic, taken(all, head, n))
		if published != n-head {
			b.Fatalf("published %d events, want %d", published, n-head)
		}
		ratings = s.consumer(b, ratingURL, topic, group)
		marks, spent := s.tenths(b, name, head, n, ratings.PID(), s.db.PID())
		movie = start("movie", "--connect-metadata", metadata.Metadata, "--connect-rating", ratings.Rating)
		gateway = start("gateway", "--connect-movie", movie.Movie, "--connect-metadata", metadata.Metadata, "--connect-rating", ratings.Rating)
		after := readers(b, gateway)

		first, last := marks[0], marks[len(marks)-1]
		ratio := last / first
		row{
			name:  fmt.Sprintf("ingestion of %s ratings, cost per event, last tenth / first tenth", thousands(float64(n))),
			ours:  fmt.Sprintf("%.1f / %.1f µs (processors, rating and MariaDB: %.1f / %.1f µs)", last, first, spent[len(spent)-1], spent[0]),
			ratio: ratio, target: "≤ 1.3", holds: ratio <= 1.3,
		}.print(b)
		b.Logf("µs per event by tenths: %.1f; of processor time: %.1f", marks, spent)
		bare, bareSpent := s.bareTenths(b, taken(all, 0, n), n)
		row{
			name:  "… of which the server's own: the same for bare upserts of the same rows and aggregates",
			ours:  fmt.Sprintf("%.1f / %.1f µs (processors, MariaDB alone: %.1f / %.1f µs)", bare[9], bare[0], bareSpent[9], bareSpent[0]),
			ratio: bare[9] / bare[0], target: "–",
		}.print(b)
		b.Logf("bare, µs per event by tenths: %.1f; of MariaDB's processor time: %.1f", bare, bareSpent)
		b.ReportMetric(ratio, "last/first")
		for i, k := range after.Kinds {
			was := before.Kinds[i]
			row{
				name: fmt.Sprintf("%s at %d requests/s with %s ratings / with %s: p50, p99", k.Kind, growthRate, thousands(float64(n)), thousands(float64(head))),
				ours: latencies(k), bare: latencies(was), ratio: k.Latency.P50 / was.Latency.P50, target: "–",
			}.print(b)
			if k.Failed+k.NotSent > 0 {
				b.Errorf("%s: %+v", k.Kind, k)
			}
		}
		row{
			name: "resident then: metadata / rating / movie / gateway", ours: memory(b, metadata, ratings, movie, gateway), ratio: math.NaN(), target: "–",
		}.print(b)
		b.ReportMetric(0, "ns/op")
		stop(b, gateway, movie, ratings, metadata)
		dropRating()
		dropMetadata()
	}
}

func latencies(k loadtest.Kind) string {
	return fmt.Sprintf("%.2f ms, %.2f ms", k.Latency.P50, k.Latency.P99)
}

// taken yields the events [from, to).
func taken(all iter.Seq2[events.Event, error], from, to int) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		i := 0
		for e, err := range all {
			if i >= to || i >= from && !yield(e, err) {
				return
			}
			i++
		}
	}
}

// readers is what viewers meet who ask for films, charts and searches.
func readers(b *testing.B, gateway *system.Process) loadtest.Report {
	b.Helper()
	targets := loadtest.DefaultTargets()
	targets.Gateways = []string{gateway.Gateway}
	if err := targets.Mix.Set("rest-details=60,rest-chart=20,rest-search=20"); err != nil {
		b.Fatal(err)
	}
	system, err := loadtest.Connect(b.Context(), targets)
	if err != nil {
		b.Fatal(err)
	}
	report, err := loadtest.Run(b.Context(), loadtest.Plan{Rate: growthRate, Duration: 15 * time.Second, Warmup: 5 * time.Second, Seed: 1}, system.Source())
	if err != nil {
		b.Fatal(err)
	}
	if err := system.Close(); err != nil {
		b.Fatal(err)
	}
	return report
}

// tenths follows ingestion from one number of events to another, and returns what an event took in each tenth, in microseconds: by the
// clock, and of the processes' processor time together.
func (s *realServers) tenths(b *testing.B, database string, from, to int, pids ...int) (clock, processors []float64) {
	b.Helper()
	spent := func() time.Duration {
		sum := time.Duration(0)
		for _, pid := range pids {
			sum += processorTime(b, pid)
		}
		return sum
	}
	// The first transactions belong to no tenth: joining the group is in them.
	begin := s.follow(b, database, from+1, 10*time.Millisecond)
	was, wasSpent := begin[len(begin)-1], spent()
	start := was.done
	for i := 1; i <= 10; i++ {
		marks := s.follow(b, database, start+(to-start)*i/10, 50*time.Millisecond)
		now, nowSpent := marks[len(marks)-1], spent()
		events := float64(now.done - was.done)
		clock = append(clock, float64(now.at.Sub(was.at).Microseconds())/events)
		processors = append(processors, float64((nowSpent-wasSpent).Microseconds())/events)
		was, wasSpent = now, nowSpent
	}
	return clock, processors
}

// growthBatch is how many rows the bare loop writes in a transaction: as many as ingestion does.
const growthBatch = 8_000

// bareTenths writes the rows and aggregates of n events in the plain way, see bareUpserts, and returns what one took in each tenth as
// tenths does, the processor time being that of MariaDB alone.
func (s *realServers) bareTenths(b *testing.B, all iter.Seq2[events.Event, error], n int) (clock, processor []float64) {
	b.Helper()
	_, db, drop := s.bareTables(b, "bare", true)
	defer drop()
	batch := make([]events.Event, 0, growthBatch)
	write := func() {
		if err := bareBatch(b.Context(), db, bareRows(batch)); err != nil {
			b.Fatal(err)
		}
		batch = batch[:0]
	}
	done, since, spent := 0, time.Now(), processorTime(b, s.db.PID())
	begun := done
	for e, err := range all {
		if err != nil {
			b.Fatal(err)
		}
		batch = append(batch, e)
		if done++; len(batch) == growthBatch || done == n {
			write()
		}
		if done >= n*(len(clock)+1)/10 && len(batch) == 0 {
			now, nowSpent := time.Now(), processorTime(b, s.db.PID())
			clock = append(clock, float64(now.Sub(since).Microseconds())/float64(done-begun))
			processor = append(processor, float64((nowSpent-spent).Microseconds())/float64(done-begun))
			begun, since, spent = done, now, nowSpent
		}
	}
	return clock, processor
}

// processorTime is what a process has used, see proc_pid_stat(5).
func processorTime(b *testing.B, pid int) time.Duration {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		b.Fatal(err)
	}
	_, behind, ok := strings.Cut(string(text), ") ") // the name may have spaces
	fields := strings.Fields(behind)
	if !ok || len(fields) < 13 {
		b.Fatalf("process %d: %q", pid, text)
	}
	var user, system int64
	if _, err := fmt.Sscan(fields[11]+" "+fields[12], &user, &system); err != nil {
		b.Fatal(err)
	}
	const ticks = 100 // per second: USER_HZ, the same on every Linux that Go runs on
	return time.Duration(user+system) * time.Second / ticks
}
