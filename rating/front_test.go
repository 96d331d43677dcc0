package rating_test

import (
	"bytes"
	"context"
	"log/slog"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"movieexample.com/gen/book"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// t0 is when a test's clock begins.
var t0 = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// clock is a clock that only the test moves.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: t0} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) Set(t time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = t
}

func (c *clock) Add(d time.Duration) { c.Set(c.Now().Add(d)) }

// front is a rating service as its callers see it.
type front struct {
	ratingv1.RatingServiceClient
	admin   ratingv1.RatingAdminServiceClient
	book    book.RatingServiceClient
	metrics *prometheus.Registry
	log     *logBuffer

	db      *sqldb.DB
	srv     *rpc.Server
	svc     *rating.Service
	stopRun func()
}

// start starts a service on the database at url; Run runs if there are brokers.
func start(t testing.TB, url string, cfg rating.Config, now func() time.Time) *front {
	t.Helper()
	f := startIdle(t, url, cfg, now)
	f.run(t)
	return f
}

// startIdle starts a service that answers and ingests nothing.
func startIdle(t testing.TB, url string, cfg rating.Config, now func() time.Time) *front {
	t.Helper()
	f := &front{stopRun: func() {}, metrics: prometheus.NewRegistry(), log: &logBuffer{}}
	var err error
	if f.db, err = sqldb.Open(t.Context(), url, sqldb.Options{}); err != nil {
		t.Fatal(err)
	}
	f.svc, err = rating.New(t.Context(), cfg, rating.Deps{Logger: f.log.logger(), Metrics: f.metrics, DB: f.db, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	if f.srv, err = rpc.NewServer(rpc.ServerConfig{Name: "rating"}); err != nil {
		t.Fatal(err)
	}
	f.svc.Register(f.srv)
	conn := f.srv.Conn()
	f.RatingServiceClient = ratingv1.NewRatingServiceClient(conn)
	f.admin = ratingv1.NewRatingAdminServiceClient(conn)
	f.book = book.NewRatingServiceClient(conn)
	t.Cleanup(func() { f.close(t) })
	return f
}

// run ingests until the front is closed.
func (f *front) run(t testing.TB) {
	ctx, cancel := context.WithCancel(context.Background())
	ran := make(chan error, 1)
	go func() { ran <- f.svc.Run(ctx) }()
	f.stopRun = sync.OnceFunc(func() {
		cancel()
		began := time.Now()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("Run took %v to end", took)
		}
	})
}

// serve starts a service on a new database, without Kafka, and with a clock that only the test moves.
func serve(t testing.TB) (*front, *clock) {
	t.Helper()
	c := newClock()
	return start(t, sqltest.URL(t), rating.Config{}, c.Now), c
}

// close ends the service as its process would: a test may do it before its own end.
func (f *front) close(t testing.TB) {
	f.stopRun()
	if err := f.srv.Shutdown(context.Background()); err != nil {
		t.Errorf("shut down: %v", err)
	}
	if err := f.svc.Close(); err != nil {
		t.Errorf("close the service: %v", err)
	}
	if err := f.db.Close(); err != nil {
		t.Errorf("close database: %v", err)
	}
}

func (f *front) put(t testing.TB, record, user string, value int32) *ratingv1.Rating {
	t.Helper()
	resp, err := f.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: record, UserId: user, Value: &value})
	if err != nil {
		t.Fatalf("put %s by %s: %v", record, user, err)
	}
	return resp.GetRating()
}

func (f *front) delete(t testing.TB, record, user string) {
	t.Helper()
	_, err := f.DeleteRating(t.Context(), &ratingv1.DeleteRatingRequest{RecordType: "movie", RecordId: record, UserId: user})
	if err != nil {
		t.Fatalf("delete %s by %s: %v", record, user, err)
	}
}

// value returns a user's rating of a movie, 0 if there is none.
func (f *front) value(t testing.TB, record, user string) int32 {
	t.Helper()
	resp, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: user})
	if status.Code(err) == codes.NotFound {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetRating().GetValue()
}

// votes returns a movie's number of ratings.
func (f *front) votes(t testing.TB, record string) int32 {
	t.Helper()
	resp, err := f.GetRatingSummary(t.Context(), &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: record})
	if status.Code(err) == codes.NotFound {
		return 0
	}
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetSummary().GetVotes()
}

func (f *front) partitions(t testing.TB) []*ratingv1.IngestPartition {
	t.Helper()
	resp, err := f.admin.ListIngestPartitions(t.Context(), &ratingv1.ListIngestPartitionsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetPartitions()
}

// ingested is how many records were ingested, over all partitions that ever were; every test's log begins at 0.
func (f *front) ingested(t testing.TB) (n int64) {
	t.Helper()
	for _, p := range f.partitions(t) {
		n += p.GetNextOffset()
	}
	return n
}

func (f *front) deadLetters(t testing.TB) []*ratingv1.DeadLetter {
	t.Helper()
	resp, err := f.admin.ListDeadLetters(t.Context(), &ratingv1.ListDeadLettersRequest{PageSize: 200})
	if err != nil {
		t.Fatal(err)
	}
	return resp.GetDeadLetters()
}

func (f *front) checkAudit(t testing.TB) {
	t.Helper()
	req := &ratingv1.AuditAggregatesRequest{}
	for {
		resp, err := f.admin.AuditAggregates(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if d := resp.GetDifferences(); len(d) > 0 {
			t.Fatalf("audit: %v", d)
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return
		}
	}
}

// gauge reads a metric without labels, or the sum over its labels.
func (f *front) gauge(t testing.TB, name string) (sum float64) {
	t.Helper()
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, fam := range families {
		if fam.GetName() == name {
			for _, m := range fam.GetMetric() {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// series is how many label values a metric has.
func (f *front) series(t testing.TB, name string) int {
	t.Helper()
	n, err := testutil.GatherAndCount(f.metrics, name)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// insertRatings writes n ratings behind the service's back, without aggregates; row gives the columns in their order.
func insertRatings(t testing.TB, db *sqldb.DB, n int, row func(i int) []any) {
	t.Helper()
	insert(t, db, "ratings", []string{"record_type", "record_id", "user_id", "value", "rated_at", "event_id"}, n, row)
}

func insert(t testing.TB, db *sqldb.DB, table string, columns []string, n int, row func(i int) []any) {
	t.Helper()
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, n, func(rows int) string { return tx.Dialect().Insert(table, columns, rows) },
			func(i int, dst []any) []any { return append(dst, row(i)...) })
	})
	if err != nil {
		t.Fatal(err)
	}
}

// execSQL changes a database behind the service's back.
func execSQL(t testing.TB, db *sqldb.DB, text string, args ...any) {
	t.Helper()
	err := db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, text, args...)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func startBroker(t testing.TB, dir, addr string) *kafka.Broker {
	t.Helper()
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	b, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: addr, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Errorf("close broker: %v", err)
		}
	})
	return b
}

// freeAddr is an address without a listener. Its port was just bound and released, and the system reuses such ports last.
func freeAddr(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// eventually waits for a condition, and fails the test after thirty seconds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(30 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 30 s for: %s", what)
		}
	}
}

// logBuffer is a logger whose lines a test can read.
type logBuffer struct {
	mu   sync.Mutex
	buf  bytes.Buffer
	hook func(line string) // nil: none; it may panic
}

func (l *logBuffer) Write(b []byte) (int, error) {
	if l.hook != nil {
		l.hook(string(b))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func (l *logBuffer) logger() *slog.Logger { return slog.New(slog.NewTextHandler(l, nil)) }
