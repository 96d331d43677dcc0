package rating

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/gen/book"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/cache"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

// t0 is when the tests' clock begins.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func openDB(t testing.TB, url string, opt sqldb.Options) *sqldb.DB {
	t.Helper()
	db, err := sqldb.Open(t.Context(), url, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func openStore(t testing.TB, opt sqldb.Options) *store {
	t.Helper()
	return storeOn(t, openDB(t, sqltest.URL(t), opt))
}

func storeOn(t testing.TB, db *sqldb.DB) *store {
	t.Helper()
	s, err := newStore(t.Context(), db, func() time.Time { return t0 })
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// rows returns every rating, tombstones included.
func (s *store) rows(t testing.TB) map[Key]Rating {
	t.Helper()
	all, err := s.query(context.Background(), "SELECT "+ratingColumns+" FROM ratings")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[Key]Rating, len(all))
	for _, r := range all {
		out[r.Key] = r
	}
	return out
}

// sums returns every aggregate with votes.
func (s *store) sums(t testing.TB) map[Record]Aggregate {
	t.Helper()
	out := map[Record]Aggregate{}
	err := eachRow(context.Background(), s.db.Read(), func(scan scanFunc) error {
		d, err := scanAggregate(scan)
		if d.Aggregate != (Aggregate{}) {
			out[d.Record] = d.Aggregate
		}
		return err
	}, "SELECT "+aggregateColumns+" FROM aggregates")
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (s *store) letters(t testing.TB) []deadLetter {
	t.Helper()
	var all []deadLetter
	err := eachDead(context.Background(), s.db.Read(), func(d deadLetter) bool { all = append(all, d); return true },
		"SELECT "+deadColumns+" FROM dead_letters ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func (s *store) at(t testing.TB, p partition) int64 {
	t.Helper()
	next, _, err := s.offset(context.Background(), p)
	if err != nil {
		t.Fatal(err)
	}
	return next
}

// checkAudit fails the test on any difference that the service's own audit finds.
func (s *store) checkAudit(t testing.TB) {
	t.Helper()
	place := Record{}
	for {
		found, next, err := s.audit(context.Background(), place, 3)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range found {
			if a.stored != a.recomputed {
				t.Fatalf("audit of %v: stored %v, recomputed %v", a.Record, a.stored, a.recomputed)
			}
		}
		if next == nil {
			return
		}
		place = *next
	}
}

// model is what ratings mean, in the plainest words: a sort by version, and counting.
type model struct {
	rows map[Key]Rating
	sums map[Record]Aggregate
}

func modelOf(changes ...Rating) model {
	m := model{rows: map[Key]Rating{}, sums: map[Record]Aggregate{}}
	for _, c := range changes {
		old, ok := m.rows[c.Key]
		if !ok || c.At > old.At || c.At == old.At && c.EventID > old.EventID {
			m.rows[c.Key] = c
		}
	}
	for _, r := range m.rows {
		if r.Value > 0 {
			a := m.sums[r.Record]
			a.Votes++
			a.Sum += int64(r.Value)
			a.Counts[r.Value-1]++
			m.sums[r.Record] = a
		}
	}
	return m
}

// check compares the store with the model.
func (m model) check(t interface {
	testing.TB
}, s *store,
) {
	t.Helper()
	if diff := cmp.Diff(m.rows, s.rows(t)); diff != "" {
		t.Fatalf("rows (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(m.sums, s.sums(t)); diff != "" {
		t.Fatalf("aggregates (-want +got):\n%s", diff)
	}
	s.checkAudit(t)
}

var testPartition = partition{Topic: "ratings", TopicID: "00112233445566778899aabbccddeeff", Number: 2}

// change is the rating of movie m by user u with value v (0 deletes), at seconds after t0.
func change(m, u, v, at int) Rating {
	k := Key{Record: Record{Type: "movie", ID: fmt.Sprintf("m%d", m)}, User: fmt.Sprintf("u%d", u)}
	return newRating(k, v, ToMicros(t0.Add(time.Duration(at)*time.Second)), "test")
}

// logOf makes log records of changes at the offsets from start on.
func logOf(start int64, changes ...Rating) []logRecord {
	out := make([]logRecord, len(changes))
	for i, c := range changes {
		offset := start + int64(i)
		out[i] = logRecord{offset: offset, change: c, deadLetter: func(class string, err error) deadLetter {
			return letterAt(offset, class, err.Error())
		}}
	}
	return out
}

func letterAt(offset int64, class, reason string) deadLetter {
	return deadLetter{
		partition: testPartition, Offset: offset, Class: class, Reason: reason,
		RecordKey: []byte("movie:1"), Payload: fmt.Appendf(nil, "payload %d", offset), RecordTime: ToMicros(t0),
	}
}

// poison is a refused record.
func poison(offset int64) logRecord {
	d := letterAt(offset, "not-json", "is no JSON")
	return logRecord{offset: offset, dead: &d}
}

// putter writes to the store as the service does.
func (s *store) putter() *writer { return newWriter(s, func(Record) {}, nil) }

// resultsOf are the store's results in the default configuration.
func resultsOf(t testing.TB, s *store) *results {
	t.Helper()
	g := cache.NewGroup(nil, s.now)
	t.Cleanup(g.Close)
	r, err := newResults(g, DefaultConfig(), s)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// serverOn serves the store's ratings.
func serverOn(s *store, res *results) *server {
	return &server{s: &Service{ratings: &ratings{store: s, writer: s.putter(), results: res}, results: res}}
}

func newTestIngester(t testing.TB, s *store, log *slog.Logger) *ingester {
	t.Helper()
	m, err := newIngestMetrics(prometheus.NewRegistry(), s.now)
	if err != nil {
		t.Fatal(err)
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return newIngester(s, log, m, 2)
}

// haltedMetric is the metric of halted partitions.
func haltedMetric(t testing.TB, in *ingester) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	if err := reg.Register(in.lag); err != nil {
		t.Fatal(err)
	}
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == "movieexample_rating_ingest_halted_partitions" {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatal("there is no metric of halted partitions")
	return 0
}

// logBuffer is a logger whose lines a test can read.
type logBuffer struct {
	mu  sync.Mutex
	buf []byte
}

func (l *logBuffer) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.buf = append(l.buf, b...)
	return len(b), nil
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return string(l.buf)
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }

// summaryCalls are the reads of single records, of the movie 1.
func summaryCalls(g *server) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"GetRatingSummary": func(ctx context.Context) error {
			_, err := g.GetRatingSummary(ctx, &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: "1"})
			return err
		},
		"BatchGetRatingSummaries": func(ctx context.Context) error {
			_, err := g.BatchGetRatingSummaries(ctx, &ratingv1.BatchGetRatingSummariesRequest{RecordType: "movie", RecordIds: []string{"1"}})
			return err
		},
		"ListRatingSummaries": func(ctx context.Context) error {
			_, err := g.ListRatingSummaries(ctx, &ratingv1.ListRatingSummariesRequest{RecordType: "movie"})
			return err
		},
		"GetAggregatedRating": func(ctx context.Context) error {
			_, err := (&bookServer{s: g.s}).GetAggregatedRating(ctx, &book.GetAggregatedRatingRequest{RecordType: "movie", RecordId: "1"})
			return err
		},
	}
}
