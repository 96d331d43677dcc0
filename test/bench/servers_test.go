//go:build servers

package bench_test

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"iter"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"movieexample.com/api/events"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb"
	"movieexample.com/movielens"
	"movieexample.com/rating"
	"movieexample.com/test/servers"
	"movieexample.com/test/system"
)

// realServers is a MariaDB and a Kafka broker of the benchmark's own, durable as in production, and the binary.
type realServers struct {
	db    *servers.MariaDB
	kafka *servers.Kafka
	bin   string
	n     int // names given
}

// redoLog is the size of MariaDB's, in bytes. One of 32 MiB would be full every few seconds, and the measurement that of its flushing.
const redoLog = 1 << 30

// startServers starts them; bufferPool and log are MariaDB's, in bytes.
func startServers(b *testing.B, bufferPool, log int64) *realServers {
	b.Helper()
	db, err := servers.StartMariaDB(b.Context(), servers.MariaDBConfig{
		BufferPool: bufferPool, Args: []string{"--innodb-log-file-size=" + strconv.FormatInt(log, 10), "--local-infile=ON"},
	})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	})
	broker, err := servers.StartKafka(b.Context(), servers.KafkaConfig{})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := broker.Close(); err != nil {
			b.Error(err)
		}
	})
	return &realServers{db: db, kafka: broker, bin: system.Build(b)}
}

// name returns an unused one.
func (s *realServers) name(what string) string {
	s.n++
	return what + strconv.Itoa(s.n)
}

// database makes an empty database, and returns its URL and what ends it.
func (s *realServers) database(b *testing.B, what string) (name, url string, drop func()) {
	b.Helper()
	name = s.name(what)
	url, err := s.db.CreateDatabase(b.Context(), name, name, "benchmark", "")
	if err != nil {
		b.Fatal(err)
	}
	return name, url, func() {
		if err := s.db.Exec(b.Context(), "DROP DATABASE "+name); err != nil {
			b.Fatal(err)
		}
	}
}

// schema lets the rating service make its tables.
func schema(b *testing.B, url string) {
	b.Helper()
	db, err := sqldb.Open(b.Context(), url, sqldb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := rating.New(b.Context(), rating.Config{}, rating.Deps{DB: db}); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// pool is what a program without our code would open: the driver as it comes.
func (s *realServers) pool(b *testing.B, database string, interpolate bool) *sql.DB {
	b.Helper()
	c := mysql.NewConfig()
	c.Net, c.Addr, c.User, c.DBName = "tcp", s.db.Address(), "root", database
	c.InterpolateParams = interpolate
	db, err := sql.Open("mysql", c.FormatDSN())
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// topicOf makes a topic and publishes events into it; what comes back is how many.
func (s *realServers) topicOf(b *testing.B, partitions int32, all iter.Seq2[events.Event, error]) (topic string, n int) {
	b.Helper()
	topic = s.name("ratings")
	cfg := kafka.Config{Brokers: s.kafka.Bootstrap()}
	client, err := kafka.NewClient(cfg)
	if err != nil {
		b.Fatal(err)
	}
	defer client.Close()
	if _, err := kafka.EnsureTopic(b.Context(), client, kafka.TopicConfig{Name: topic, Partitions: partitions}); err != nil {
		b.Fatal(err)
	}
	return topic, s.publish(b, topic, all)
}

// publish sends events in their JSON form and returns how many, when the last one is acknowledged.
func (s *realServers) publish(b *testing.B, topic string, all iter.Seq2[events.Event, error]) (n int) {
	b.Helper()
	producer, err := kafka.NewProducer(b.Context(), kafka.ProducerConfig{Config: kafka.Config{Brokers: s.kafka.Bootstrap()}, Topic: topic})
	if err != nil {
		b.Fatal(err)
	}
	for e, err := range all {
		if err != nil {
			b.Fatal(err)
		}
		if err := producer.Publish(b.Context(), kafka.Message{Key: e.Key(), Value: e.AppendJSON(nil)}, nil); err != nil {
			b.Fatal(err)
		}
		n++
	}
	if _, err := producer.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if c := producer.Counts(); c.Acknowledged != int64(n) {
		b.Fatalf("published %d events: %+v", n, c)
	}
	if err := producer.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	return n
}

// made are events of the shape of MovieLens, read from a file on demand.
func made(ctx context.Context, b *testing.B, users, ratings, movies int) iter.Seq2[events.Event, error] {
	b.Helper()
	path := filepath.Join(b.TempDir(), "made")
	if _, err := movielens.Generate(ctx, path, movielens.GenerateOptions{Users: users, Ratings: ratings, Movies: movies, Seed: 1}); err != nil {
		b.Fatal(err)
	}
	dir, err := movielens.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	return func(yield func(events.Event, error) bool) {
		for r, err := range dir.Ratings(ctx) {
			e := events.Event{
				UserID: strconv.FormatInt(r.UserID, 10), RecordID: recordOfFilm(r.MovieID), RecordType: "movie",
				Value: r.Value, ProviderID: "bench", RatedAt: r.RatedAt,
			}
			if !yield(e, err) {
				return
			}
		}
	}
}

func recordOfFilm(n int64) string { return "tt" + strconv.FormatInt(90_000_000+n, 10) }

// oneByOne yields what is in memory.
func oneByOne(all []events.Event) iter.Seq2[events.Event, error] {
	return func(yield func(events.Event, error) bool) {
		for _, e := range all {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// consumer starts a process of the rating service.
func (s *realServers) consumer(b *testing.B, url, topic, group string) *system.Process {
	b.Helper()
	p, err := s.startConsumer(b, url, topic, group)
	if err != nil {
		b.Fatal(err)
	}
	return p
}

// startConsumer is consumer for other goroutines than the benchmark's.
func (s *realServers) startConsumer(b *testing.B, url, topic, group string) (*system.Process, error) {
	b.Helper()
	return system.TryStart(b, s.bin, "serve", "rating", "--database", url, "--rating-brokers", strings.Join(s.kafka.Bootstrap(), ","),
		"--rating-topic", topic, "--rating-group", group)
}

// stop ends processes as an operator does.
func stop(b *testing.B, all ...*system.Process) {
	b.Helper()
	for _, p := range all {
		if _, err := p.Terminate(time.Minute); err != nil {
			b.Fatal(err)
		}
	}
}

// mark is how far ingestion was at a time.
type mark struct {
	at   time.Time
	done int
}

// follow watches ingestion in the database until n events are durable, and returns how it came there: a mark at each
// change. Ingestion that stalls for two minutes ends the benchmark.
func (s *realServers) follow(b *testing.B, database string, n int, every time.Duration) []mark {
	b.Helper()
	tick := time.NewTicker(every)
	defer tick.Stop()
	db := s.pool(b, database, false) // the server's own opens a connection for each question
	defer db.Close()
	marks := []mark{{time.Now(), 0}}
	for {
		now := mark{done: durable(b, db), at: time.Now()}
		last := marks[len(marks)-1]
		if now.done > last.done {
			marks = append(marks, now)
		}
		switch {
		case now.done >= n:
			return marks
		case now.at.Sub(last.at) > 2*time.Minute:
			b.Fatalf("ingestion stalls after %d of %d events", now.done, n)
		}
		<-tick.C
	}
}

// durable is how many events of all partitions are in the database.
func durable(b *testing.B, db *sql.DB) int {
	b.Helper()
	n := 0
	if err := db.QueryRowContext(b.Context(), "SELECT COALESCE(SUM(next_offset),0) FROM ingest_offsets").Scan(&n); err != nil {
		b.Fatal(err)
	}
	return n
}

// ratePerSecond is that of ingestion from its first transaction on: the events of that transaction came before the clock.
func ratePerSecond(marks []mark) float64 {
	first, last := marks[1], marks[len(marks)-1]
	return float64(last.done-first.done) / last.at.Sub(first.at).Seconds()
}

// checkTotals lets the service audit itself, and compares the totals with the events.
func checkTotals(b *testing.B, s *realServers, p *system.Process, database string, n int, sum int64) {
	b.Helper()
	audit := system.Run(b.Context(), b, s.bin, "audit", "--rating-addr", p.Rating, "-o", "json")
	var found struct {
		Ratings, Differences int64
	}
	if err := json.Unmarshal([]byte(audit.Stdout), &found); err != nil || audit.Code != 0 || found.Ratings != int64(n) || found.Differences != 0 {
		b.Fatalf("the audit of %d ratings: exit code %d, %v: %s%s", n, audit.Code, err, audit.Stdout, audit.Stderr)
	}
	var got int64
	if err := s.db.Root().QueryRowContext(b.Context(), "SELECT SUM(total) FROM "+database+".aggregates").Scan(&got); err != nil || got != sum {
		b.Fatalf("the sum of all ratings is %d, want %d; %v", got, sum, err)
	}
}

// metric sums the samples of a metric of a process up, whatever their labels unless name has them.
func metric(b *testing.B, p *system.Process, name string) float64 {
	b.Helper()
	req, err := http.NewRequestWithContext(b.Context(), http.MethodGet, p.Admin+"/metrics", http.NoBody)
	if err != nil {
		b.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		b.Fatal(err)
	}
	sum, found := 0.0, false
	for line := range strings.Lines(string(text)) {
		series, value, ok := strings.Cut(strings.TrimSpace(line), " ")
		if of, _, _ := strings.Cut(series, "{"); !ok || of != name && series != name {
			continue
		}
		v, err := strconv.ParseFloat(value[strings.LastIndex(value, " ")+1:], 64)
		if err != nil {
			b.Fatalf("metric %s: %q: %v", name, line, err)
		}
		sum, found = sum+v, true
	}
	if !found {
		b.Fatalf("process %d has no metric %s", p.PID(), name)
	}
	return sum
}

// memory is what processes take, in the order given.
func memory(b *testing.B, all ...*system.Process) string {
	b.Helper()
	var parts []string
	for _, p := range all {
		parts = append(parts, fmt.Sprintf("%.0f", residentMB(b, p.PID())))
	}
	return strings.Join(parts, " / ") + " MB"
}
