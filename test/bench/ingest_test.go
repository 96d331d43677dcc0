package bench_test

import (
	"context"
	"path/filepath"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/api/events"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/rating"
)

// topic of rating events, as in a system that was told nothing else.
const topic = "ratings"

// ratingProcess is a broker and a rating service as one process runs them: Kafka's protocol over loopback, every record
// synced to disk, SQLite with synchronous=FULL.
type ratingProcess struct {
	broker   *kafka.Broker
	db       *sqldb.DB
	service  *rating.Service
	server   *rpc.Server
	metrics  *prometheus.Registry
	producer *kafka.Producer
	stop     func()
	warmups  int // events that warm sent
}

// newRatingProcess starts with empty data. Ingestion begins with run.
func newRatingProcess(b *testing.B) *ratingProcess {
	b.Helper()
	must := func(err error) {
		b.Helper()
		if err != nil {
			b.Fatal(err)
		}
	}
	ctx, dir := b.Context(), b.TempDir()
	p := &ratingProcess{metrics: prometheus.NewRegistry(), stop: func() {}}
	var err error
	p.broker, err = kafka.StartBroker(ctx, kafka.BrokerConfig{Addr: "127.0.0.1:0", Dir: filepath.Join(dir, "broker")})
	must(err)
	p.db, err = sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "rating.db"), sqldb.Options{})
	must(err)
	cfg := rating.DefaultConfig()
	cfg.Brokers = []string{p.broker.Addr()}
	p.service, err = rating.New(ctx, cfg, rating.Deps{DB: p.db, Metrics: p.metrics})
	must(err)
	p.server, err = rpc.NewServer(rpc.ServerConfig{Name: "rating"})
	must(err)
	p.service.Register(p.server)

	// The service would make the topic, but the backlog is there before the service runs.
	client, err := kafka.NewClient(kafka.Config{Brokers: cfg.Brokers})
	must(err)
	defer client.Close()
	_, err = kafka.EnsureTopic(ctx, client, kafka.TopicConfig{Name: topic, Partitions: int32(cfg.Partitions), Retention: cfg.Retention})
	must(err)
	p.producer, err = kafka.NewProducer(ctx, kafka.ProducerConfig{Config: kafka.Config{Brokers: cfg.Brokers}, Topic: topic})
	must(err)
	return p
}

// run starts ingestion.
func (p *ratingProcess) run(b *testing.B) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	done := make(chan error, 1)
	go func() { done <- p.service.Run(ctx) }()
	p.stop = func() {
		cancel()
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
}

func (p *ratingProcess) close(b *testing.B) {
	b.Helper()
	p.stop()
	if err := p.producer.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := p.server.Shutdown(b.Context()); err != nil {
		b.Fatal(err)
	}
	if err := p.broker.Close(); err != nil {
		b.Fatal(err)
	}
	if err := p.db.Close(); err != nil {
		b.Fatal(err)
	}
}

// publish sends events in their JSON form and returns when the last one is acknowledged.
func (p *ratingProcess) publish(b *testing.B, all []events.Event) {
	b.Helper()
	for _, e := range all {
		m := kafka.Message{Key: e.Key(), Value: e.AppendJSON(nil)}
		if err := p.producer.Publish(b.Context(), m, nil); err != nil {
			b.Fatal(err)
		}
	}
	if _, err := p.producer.Flush(b.Context()); err != nil {
		b.Fatal(err)
	}
	if c := p.producer.Counts(); c.Refused+c.NotSent+c.Unknown > 0 {
		b.Fatalf("publishing went wrong: %+v", c)
	}
}

// ingested returns how many events are durable, in how many transactions.
func (p *ratingProcess) ingested(b *testing.B) (records, transactions int) {
	b.Helper()
	families, err := p.metrics.Gather()
	if err != nil {
		b.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "movieexample_rating_ingest_records_total":
				records += int(m.GetCounter().GetValue())
			case "movieexample_rating_ingest_batch_duration_seconds":
				transactions += int(m.GetHistogram().GetSampleCount())
			}
		}
	}
	return records, transactions
}

// await returns when n events are durable.
func (p *ratingProcess) await(b *testing.B, n int) {
	b.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	for moved, last := time.Now(), -1; ; <-tick.C {
		done, _ := p.ingested(b)
		if done >= n {
			return
		}
		if done != last {
			moved, last = time.Now(), done
		}
		if time.Since(moved) > time.Minute {
			b.Fatalf("ingestion stands still after %d of %d events", done, n)
		}
	}
}

// warm returns when the consumer group has its partitions: when an event got through that is refused, so that it leaves no
// rating behind.
func (p *ratingProcess) warm(b *testing.B) {
	b.Helper()
	if err := p.producer.Publish(b.Context(), kafka.Message{Key: []byte("warm"), Value: []byte("{}")}, nil); err != nil {
		b.Fatal(err)
	}
	p.warmups++
	p.await(b, p.warmups)
}

// check compares the totals with the events, each of which rates another (film, user).
func (p *ratingProcess) check(b *testing.B, all []events.Event) {
	b.Helper()
	sum := 0
	for _, e := range all {
		sum += e.Value
	}
	got, err := ratingv1.NewRatingServiceClient(p.server.Conn()).GetTotals(b.Context(), &ratingv1.GetTotalsRequest{RecordType: "movie"})
	if err != nil {
		b.Fatal(err)
	}
	if got.GetRatings() != int64(len(all)) || got.GetSum() != int64(sum) {
		b.Fatalf("aggregates have %d ratings and the sum %d, want %d and %d", got.GetRatings(), got.GetSum(), len(all), sum)
	}
	admin := ratingv1.NewRatingAdminServiceClient(p.server.Conn())
	for req := (&ratingv1.AuditAggregatesRequest{PageSize: 10_000}); ; {
		page, err := admin.AuditAggregates(b.Context(), req)
		if err != nil {
			b.Fatal(err)
		}
		if len(page.GetDifferences()) > 0 {
			b.Fatalf("the audit found differences: %v", page.GetDifferences())
		}
		if req.PageToken = page.GetNextPageToken(); req.PageToken == "" {
			return
		}
	}
}

// BenchmarkIngestion compares ingestion through the embedded broker with a bare loop of upserts.
//
//   - backlog: the events are in the log before the clock starts. It then includes joining the consumer group.
//   - live: a producer in the same process publishes while the service ingests; the clock starts with the first event and
//     stops when the last one is durable. The bare loop has no producer, so this is the harder comparison.
//
// The bare loop comes in two strengths: with the table of ratings only, which is what the target is about, and with the
// aggregates too, which is what ingestion really does.
func BenchmarkIngestion(b *testing.B) {
	all := ratingEvents(b)
	rows := bareRows(all)
	for b.Loop() {
		var batches []float64
		ours := func(live bool) func() float64 {
			return func() float64 {
				p := newRatingProcess(b)
				defer p.close(b)
				var began time.Time
				if live {
					p.run(b)
					p.warm(b)
					began = time.Now()
					p.publish(b, all)
				} else {
					p.publish(b, all)
					began = time.Now()
					p.run(b)
				}
				p.await(b, len(all)+p.warmups)
				took := time.Since(began)
				p.check(b, all)
				records, transactions := p.ingested(b)
				if !live {
					batches = append(batches, float64(records)/float64(transactions))
				}
				return float64(len(all)) / took.Seconds()
			}
		}
		batch := 2_500
		bare := func(aggregates bool) func() float64 {
			return func() float64 {
				l := newBareLoop(b, aggregates)
				defer l.close(b)
				return l.run(b, rows, batch)
			}
		}
		// The first round shows the size of ingestion's batches, and warms up.
		ours(false)()
		batch = int(median(batches))
		m := inTurns(5, ours(false), bare(false), bare(true), ours(true))
		b.Logf("%d events, %d in a transaction; rates per round, per second: backlog %.0f, live %.0f, bare %.0f, bare with aggregates %.0f",
			len(all), batch, m[0], m[3], m[1], m[2])
		against(b, "backlog", "ingestion of a backlog / bare upserts of the ratings", "events", m[0], m[1], 0.75)
		against(b, "backlog-all", "ingestion of a backlog / bare upserts of ratings and aggregates", "events", m[0], m[2], 0)
		against(b, "live", "publishing and ingestion together / bare upserts of the ratings", "events", m[3], m[1], 0)
	}
}
