package rating

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/sqldb"
)

// benchBatch is how many events one transaction of the benchmarks has.
const benchBatch = 2500

// eventLog makes events shaped like MovieLens: 9,724 records whose popularity falls as Zipf's law, users with some
// 100 ratings each who rate one after the other, ids of the usual length. No user rates a record twice in 100,000 events.
type eventLog struct {
	rng    *rand.Rand
	weight []float64 // running sums
	user   int
	left   int
	rated  map[int]bool
	at     time.Time
}

func newEventLog() *eventLog {
	l := &eventLog{rng: rand.New(rand.NewPCG(1, 2)), at: t0}
	sum := 0.0
	for i := range 9724 {
		sum += math.Pow(float64(i+1), -0.72)
		l.weight = append(l.weight, sum)
	}
	return l
}

func (l *eventLog) next() Rating {
	if l.left == 0 {
		l.user, l.left, l.rated = l.user+1, 20+l.rng.IntN(160), map[int]bool{}
	}
	l.left--
	var movie int
	for {
		x := l.rng.Float64() * l.weight[len(l.weight)-1]
		lo, hi := 0, len(l.weight)-1
		for lo < hi {
			if mid := (lo + hi) / 2; l.weight[mid] < x {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		if movie = lo; !l.rated[movie] {
			break
		}
	}
	l.rated[movie] = true
	l.at = l.at.Add(time.Duration(l.rng.IntN(60)) * time.Second)
	key := Key{Record: Record{Type: "movie", ID: fmt.Sprintf("tt%07d", 1000+movie*37)}, User: fmt.Sprint(l.user)}
	return newRating(key, 1+l.rng.IntN(Highest), ToMicros(l.at), "movielens")
}

func (l *eventLog) take(n int) []Rating {
	out := make([]Rating, n)
	for i := range out {
		out[i] = l.next()
	}
	return out
}

// record is the event as stored in the topic.
func record(offset int64, r Rating) *kgo.Record {
	value, err := json.Marshal(map[string]any{
		"userId": r.User, "recordId": r.ID, "recordType": r.Type, "value": r.Value,
		"providerId": "movielens", "eventType": "put", "ratedAt": r.At.Time().Format(time.RFC3339),
	})
	if err != nil {
		panic(err)
	}
	return &kgo.Record{Topic: "ratings", Offset: offset, Timestamp: t0, Key: []byte(r.Type + ":" + r.ID), Value: value}
}

// bare opens a database with the service's schema and nothing but database/sql and the driver.
func bare(b *testing.B) *sql.DB {
	path := filepath.Join(b.TempDir(), "bare.db")
	if err := storeOn(b, openDB(b, "sqlite:"+path, sqldb.Options{})).db.Close(); err != nil {
		b.Fatal(err)
	}
	db, err := sql.Open("sqlite", "file:"+path+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(8192)&_pragma=cache_size(-16384)")
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	b.Cleanup(func() { _ = db.Close() })
	return db
}

// bareUpsert is the simplest loop that writes the same rows to the same tables: one
// transaction per batch, upserts of many rows, one fsync. Its aggregates assume that every rating is a new one, which
// ingestion cannot.
func bareUpsert(ctx context.Context, db *sql.DB, rows []Rating, aggregates bool) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	run := func() error {
		var args []any
		for len(rows) > 0 {
			n := min(len(rows), 64)
			args = args[:0]
			for i := range rows[:n] {
				r := &rows[i]
				args = append(args, r.Type, r.ID, r.User, r.Value, int64(r.At), r.EventID)
			}
			text := sqldb.SQLite.Upsert("ratings", []string{"record_type", "record_id", "user_id"}, []string{"value", "rated_at", "event_id"}, n)
			if _, err := tx.ExecContext(ctx, text, args...); err != nil {
				return err
			}
			rows = rows[n:]
		}
		return nil
	}
	sums := map[Record]*Aggregate{}
	if aggregates {
		for i := range rows {
			a := sums[rows[i].Record]
			if a == nil {
				a = &Aggregate{}
				sums[rows[i].Record] = a
			}
			a.add(rows[i].Value, 1)
		}
	}
	if err := run(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	var args []any
	n := 0
	flush := func() error {
		if n == 0 {
			return nil
		}
		text := sqldb.SQLite.UpsertAdd("aggregates", []string{"record_type", "record_id"},
			[]string{"votes", "total", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10"}, nil, n)
		_, err := tx.ExecContext(ctx, text, args...)
		args, n = args[:0], 0
		return err
	}
	for rec, a := range sums {
		args = append(args, rec.Type, rec.ID, a.Votes, a.Sum)
		for _, c := range a.Counts {
			args = append(args, c)
		}
		if n++; n == 64 {
			if err := flush(); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
	}
	if err := flush(); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

// BenchmarkIngest compares ingestion (decode, fold, store) with bare loops of upserts: 100,000 events into an empty
// database each. They alternate batch by batch, so that other load slows them alike and the ratios of one run
// are meaningful. Run with -benchtime=1x -count=5.
func BenchmarkIngest(b *testing.B) {
	const events = 100_000
	all := newEventLog().take(events)
	records := make([]*kgo.Record, events)
	for i, r := range all {
		records[i] = record(int64(i), r)
	}
	var names []string
	took := map[string]time.Duration{}
	for range b.N {
		ctx := b.Context()
		in := newTestIngester(b, openStore(b, sqldb.Options{}), nil)
		if _, err := in.startPartition(ctx, testPartition, 0); err != nil {
			b.Fatal(err)
		}
		c := &decoder{log: in.log, now: func() time.Time { return t0.Add(100 * 24 * time.Hour) }}
		plain, withAggregates := bare(b), bare(b)
		contestants := []struct {
			name  string
			batch func(from, to int) error
		}{
			{"ours", func(from, to int) error {
				recs, err := c.decodeAll(ctx, testPartition, records[from:to])
				if err == nil {
					_, err = in.records(ctx, testPartition, recs)
				}
				return err
			}},
			{"bare", func(from, to int) error { return bareUpsert(ctx, plain, all[from:to], false) }},
			{"bare+aggregates", func(from, to int) error { return bareUpsert(ctx, withAggregates, all[from:to], true) }},
		}
		names = names[:0]
		for _, c := range contestants {
			names = append(names, c.name)
		}
		for from := 0; from < events; from += benchBatch {
			for _, c := range contestants {
				began := time.Now()
				if err := c.batch(from, from+benchBatch); err != nil {
					b.Fatal(err)
				}
				took[c.name] += time.Since(began)
			}
		}
		in.store.checkTotals(b, events)
	}
	for _, name := range names {
		b.ReportMetric(float64(events*b.N)/took[name].Seconds(), name+"/s")
	}
	b.ReportMetric(took["bare"].Seconds()/took["ours"].Seconds(), "ours/bare")
	b.ReportMetric(took["bare+aggregates"].Seconds()/took["ours"].Seconds(), "ours/bare+aggregates")
	b.ReportMetric(0, "ns/op")
}

// checkTotals fails the benchmark if not every event counts.
func (s *store) checkTotals(b *testing.B, want int64) {
	b.Helper()
	sn, err := buildSnapshot(b.Context(), s, "movie", 1)
	if err != nil || sn.totals.Ratings != want {
		b.Fatalf("totals %+v, %v; want %d ratings", sn.totals, err, want)
	}
}

// maxAllocs bounds the allocations per ingested event: decode, fold, store, amortised over a batch.
const maxAllocs = 14

func TestAllocationsPerEvent(t *testing.T) {
	const batches = 4
	log := newEventLog()
	s := openStore(t, sqldb.Options{})
	in := newTestIngester(t, s, nil)
	mustStart(t, in, 0)
	c := &decoder{log: in.log, now: func() time.Time { return t0.Add(100 * 24 * time.Hour) }}
	offset, at := int64(0), 0
	var runs [batches + 1][]*kgo.Record // AllocsPerRun warms up with one more
	for i := range runs {
		for _, r := range log.take(benchBatch) {
			runs[i] = append(runs[i], record(offset, r))
			offset++
		}
	}
	perBatch := testing.AllocsPerRun(batches, func() {
		recs := runs[at]
		at++
		decoded, err := c.decodeAll(t.Context(), testPartition, recs)
		if err != nil {
			t.Fatal(err)
		}
		mustIngest(t, in, decoded, recs[len(recs)-1].Offset+1)
	})
	perEvent := perBatch / benchBatch
	t.Logf("%.1f allocations per event", perEvent)
	if perEvent > maxAllocs {
		t.Errorf("%.1f allocations per event, at most %d are allowed: find out what grew", perEvent, maxAllocs)
	}
}

// BenchmarkAggregate reads the aggregate of records with more and more ratings: one row by its key, so it must cost
// the same for all (within 1.2 times). Run with -benchtime=20000x.
func BenchmarkAggregate(b *testing.B) {
	s := openStore(b, sqldb.Options{})
	sizes := []int{10, 10_000, 1_000_000}
	for _, n := range sizes {
		s.exec(b, fmt.Sprintf(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < %d)
			INSERT INTO ratings SELECT 'movie', 'm%d', 'u' || i, 1 + i %% 10, i, i FROM n`, n, n))
		s.exec(b, fmt.Sprintf("INSERT INTO aggregates SELECT record_type, record_id, COUNT(*), SUM(value)"+
			", 0,0,0,0,0,0,0,0,0,0 FROM ratings WHERE record_id = 'm%d' GROUP BY record_type, record_id", n))
	}
	// They alternate, so that other load slows them alike.
	took := make([]time.Duration, len(sizes))
	b.ResetTimer()
	for range b.N {
		for i, n := range sizes {
			rec := Record{Type: "movie", ID: fmt.Sprint("m", n)}
			began := time.Now()
			a, err := s.aggregate(b.Context(), rec)
			took[i] += time.Since(began)
			if err != nil || a.Votes != int64(n) {
				b.Fatal(a, err)
			}
		}
	}
	b.ReportMetric(0, "ns/op")
	for i, n := range sizes {
		b.ReportMetric(float64(took[i].Nanoseconds())/float64(b.N), fmt.Sprintf("ns/read-of-%d", n))
	}
	b.ReportMetric(took[2].Seconds()/took[0].Seconds(), "1000000/10")
	b.ReportMetric(took[1].Seconds()/took[0].Seconds(), "10000/10")
}
