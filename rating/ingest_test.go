package rating

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/internal/telemetry"
)

// exec runs a statement on the store's writing connection, as an operator's other program would not.
func (s *store) exec(t testing.TB, text string) {
	t.Helper()
	if err := s.db.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, text)
		return err
	}); err != nil {
		t.Fatal(err)
	}
}

func mustStart(t *testing.T, in *ingester, earliest int64) {
	t.Helper()
	if _, err := in.startPartition(t.Context(), testPartition, earliest); err != nil {
		t.Fatal(err)
	}
}

func mustIngest(t *testing.T, in *ingester, recs []logRecord, want int64) {
	t.Helper()
	if next, err := in.records(t.Context(), testPartition, recs); err != nil || next != want {
		t.Fatalf("records: next %d, %v; want %d", next, err, want)
	}
}

// Two processes act as owner of the partition. The one that lags is fenced, writes nothing, and seeks to the stored offset.
func TestAFormerOwnerIsFenced(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	log := &logBuffer{}
	living, zombie := newTestIngester(t, s, nil), newTestIngester(t, s, log.logger())
	mustStart(t, living, 0)
	mustStart(t, zombie, 0)
	events := []Rating{change(1, 1, 5, 1), change(1, 2, 6, 2), change(2, 1, 7, 3), change(2, 2, 8, 4)}
	mustIngest(t, living, logOf(0, events[:3]...), 3)

	for _, recs := range [][]logRecord{logOf(0, events[0], events[1]), logOf(0, events...)} {
		zombie.next[testPartition] = 0
		next, err := zombie.records(t.Context(), testPartition, recs)
		if fenced := (*fencedError)(nil); !errors.As(err, &fenced) || next != 3 {
			t.Fatalf("the zombie's batch: next %d, %v; want 3 and a *fencedError", next, err)
		} else if want := "partition ratings[2] is at offset 3, not 0: another process ingested it"; err.Error() != want {
			t.Errorf("it says %q, want %q", err, want)
		}
	}
	modelOf(events[:3]...).check(t, s)
	if !strings.Contains(log.String(), "fenced; seeking to the stored offset") {
		t.Errorf("no log line about it: %s", log)
	}
	if n := testutil.ToFloat64(zombie.metrics.fenced); n != 2 {
		t.Errorf("metric fenced %v, want 2", n)
	}
	mustIngest(t, zombie, logOf(0, events...), 4) // what was read before the seek is skipped
	modelOf(events...).check(t, s)

	// A batch that another process ingested exactly is simply there.
	mustIngest(t, living, logOf(3, events[3]), 4)
	modelOf(events...).check(t, s)
}

func TestRecordsBeforeThePositionAreSkippedAndGapsAreFine(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	in := newTestIngester(t, s, nil)
	mustStart(t, in, 10)
	a, b, c, d := change(1, 1, 5, 1), change(1, 2, 6, 2), change(1, 3, 7, 3), change(1, 4, 8, 4)
	mustIngest(t, in, logOf(8, a, b, c), 11) // 8 and 9 lie before the position
	modelOf(c).check(t, s)
	mustIngest(t, in, logOf(8, a, b), 11)
	mustIngest(t, in, nil, 11)
	// Compaction and transaction markers leave gaps: before a batch and in it.
	recs := append(logOf(20, a), logOf(30, d)...)
	mustIngest(t, in, recs, 31)
	modelOf(a, c, d).check(t, s)
}

func TestAPartitionThatWasGivenUpIngestsNothing(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	in := newTestIngester(t, s, nil)
	mustStart(t, in, 0)
	in.halt(testPartition, halt{reason: "for a test"})
	if n := haltedMetric(t, in); n != 1 {
		t.Errorf("metric of halted partitions %v, want 1", n)
	}
	in.stop(testPartition)
	if _, err := in.records(t.Context(), testPartition, logOf(0, change(1, 1, 5, 1))); !errors.Is(err, errNotOwned) {
		t.Errorf("records of a partition that is not ours: %v", err)
	}
	if r, n := in.haltReason(testPartition), haltedMetric(t, in); r != "" || n != 0 {
		t.Errorf("still halted (%q, metric %v), though it is not ours", r, n)
	}
	modelOf().check(t, s)
}

func TestHaltIsToldOnceAndEndsWithANewAssignment(t *testing.T) {
	log := &logBuffer{}
	in := newTestIngester(t, openStore(t, sqldb.Options{}), log.logger())
	mustStart(t, in, 0)
	in.halt(testPartition, halt{reason: "the log lost records"})
	in.halt(testPartition, halt{reason: "the log lost records"})
	if n := strings.Count(log.String(), "is halted"); n != 1 {
		t.Errorf("%d log lines, want 1:\n%s", n, log)
	}
	if r := in.haltReason(testPartition); r != "the log lost records" {
		t.Errorf("reason %q", r)
	}
	mustStart(t, in, 0)
	if r, n := in.haltReason(testPartition), haltedMetric(t, in); r != "" || n != 0 {
		t.Errorf("halted after a new assignment: %q, metric %v", r, n)
	}
}

// A record that the database refuses is found by halving, and only that one becomes a dead letter, at any place.
func TestARefusedRecordIsFoundAndKept(t *testing.T) {
	for _, where := range []struct{ name, column, value string }{{"ratings", "user_id", "u13"}, {"aggregates", "record_id", "m13"}} {
		for _, n := range []int{1, 2, 7, 16} {
			for bad := 0; bad < n; bad += 3 {
				url := sqltest.URL(t)
				s := storeOn(t, openDB(t, url, sqldb.Options{}))
				refuse(t, url, where.name, where.column, where.value)
				log := &logBuffer{}
				in := newTestIngester(t, s, log.logger())
				mustStart(t, in, 0)
				var events, good []Rating
				for i := range n {
					e := change(i, i, 1+i%10, i)
					if i == bad {
						e = change(13, 13, 5, i)
					} else if i == 13 {
						e = change(14, 14, 5, i)
					}
					if events = append(events, e); i != bad {
						good = append(good, e)
					}
				}
				mustIngest(t, in, append(logOf(0, events...), poison(int64(n))), int64(n)+1)
				modelOf(good...).check(t, s)
				letters := s.letters(t)
				if len(letters) != 2 || letters[0].Offset != int64(bad) || letters[1].Offset != int64(n) {
					t.Fatalf("%s, %d events, bad one at %d: dead letters %v", where.name, n, bad, letters)
				}
				if l := letters[0]; l.Class != "store-refused" || !strings.Contains(l.Reason, "is not wanted") || len(l.Payload) == 0 {
					t.Errorf("dead letter %+v", l)
				}
				if !strings.Contains(log.String(), "the database refuses a record; keeping it as a dead letter") {
					t.Errorf("no log line about it:\n%s", log)
				}
				if applied, refused := testutil.ToFloat64(in.metrics.applied), testutil.ToFloat64(in.metrics.refused); applied != float64(n-1) || refused != 2 {
					t.Errorf("metrics: applied %v, refused %v; want %d, 2", applied, refused, n-1)
				}
			}
		}
	}
}

// holdLock is another process that has a lock which ingestion needs, until end.
func holdLock(t *testing.T, url string, _ *store) (end func()) {
	other := openDB(t, url, sqldb.Options{})
	locked, release := make(chan struct{}), make(chan struct{})
	done := make(chan error, 1)
	go func() {
		done <- other.Write(context.Background(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "UPDATE ingest_offsets SET topic = topic")
			close(locked)
			<-release
			return err
		})
	}()
	<-locked
	return func() {
		close(release)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// What the database cannot take now waits, without a limit, and never becomes a dead letter.
func TestIngestionWaitsForTheDatabase(t *testing.T) {
	// Each returns what ends the trouble.
	troubles := map[string]func(t *testing.T, url string, s *store) (end func()){
		"another process holds the lock": holdLock,
		"disk full":                      fillDisk,
		"read-only":                      makeReadOnly,
		"a table is gone": func(t *testing.T, _ string, s *store) func() {
			s.exec(t, "ALTER TABLE dead_letters RENAME TO somewhere")
			s.exec(t, "ALTER TABLE ratings RENAME TO elsewhere")
			return func() {
				s.exec(t, "ALTER TABLE elsewhere RENAME TO ratings")
				s.exec(t, "ALTER TABLE somewhere RENAME TO dead_letters")
			}
		},
	}
	for name, trouble := range troubles {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := sqltest.URL(t)
			s := storeOn(t, openDB(t, url, sqldb.Options{BusyTimeout: time.Millisecond}))
			log := &logBuffer{}
			in := newTestIngester(t, s, log.logger())
			mustStart(t, in, 0)
			var events []Rating
			for i := range 200 { // enough for new pages
				e := change(i, i, 1+i%10, i)
				e.User = strings.Repeat("u", 100) + e.User
				events = append(events, e)
			}
			end := trouble(t, url, s)
			type answer struct {
				next int64
				err  error
			}
			answered := make(chan answer, 1)
			go func() {
				next, err := in.records(context.WithoutCancel(t.Context()), testPartition, logOf(0, events...))
				answered <- answer{next, err}
			}()
			const line = "ingestion is waiting for the database"
			eventually(t, "three attempts", func() bool {
				return testutil.ToFloat64(in.metrics.retries) >= 3 && strings.Contains(log.String(), line)
			})
			if len(answered) > 0 {
				t.Fatalf("it did not wait: %v\n%s", <-answered, log)
			}
			end()
			if a := <-answered; a.err != nil || a.next != 200 {
				t.Fatalf("afterwards: %+v", a)
			}
			modelOf(events...).check(t, s)
			if l := s.letters(t); len(l) != 0 {
				t.Errorf("%d dead letters, the first: %+v", len(l), l[0])
			}
			// One line for each text, and one at the end.
			if waits, ends := strings.Count(log.String(), line), strings.Count(log.String(), "the database is available again; ingestion resumed"); waits > telemetry.ErrorsPerRepeat || ends != 1 {
				t.Errorf("%d lines say that it waits and %d that it resumed:\n%s", waits, ends, log)
			}
			if n := testutil.ToFloat64(in.metrics.retries); n < 3 {
				t.Errorf("metric of retries %v, want 3 or more", n)
			}
		})
	}
}

// eventually waits for a condition, and fails the test after twenty seconds.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(2 * time.Millisecond)
	defer tick.Stop()
	late := time.After(20 * time.Second)
	for !cond() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatalf("waited 20 s for: %s", what)
		}
	}
}

// A context that ends while the database is in trouble ends the waiting, and nothing was written.
func TestIngestionEndsWithItsContext(t *testing.T) {
	url := sqltest.URL(t)
	s := storeOn(t, openDB(t, url, sqldb.Options{BusyTimeout: time.Millisecond}))
	log := &logBuffer{}
	in := newTestIngester(t, s, log.logger())
	mustStart(t, in, 0)
	defer holdLock(t, url, s)()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := in.records(ctx, testPartition, logOf(0, change(1, 1, 5, 1)))
		done <- err
	}()
	eventually(t, "the first attempt", func() bool { return strings.Contains(log.String(), "ingestion is waiting") })
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v, want the context's error", err)
	}
	if next, _ := in.position(testPartition); next != 0 || s.at(t, testPartition) != 0 {
		t.Errorf("the position moved to %d, stored %d", next, s.at(t, testPartition))
	}
}

// A database that became read-only is no reason for a dead letter either. (The connection is dropped at the first
// failure, so the setting, and with it the failure, has ended at the second attempt.) This is about SQLite; a server
// that became read-only is among the failures above.
func TestAReadOnlyDatabaseIsWaitedFor(t *testing.T) {
	s := storeOn(t, openDB(t, "sqlite:"+filepath.Join(t.TempDir(), "rating.db"), sqldb.Options{}))
	log := &logBuffer{}
	in := newTestIngester(t, s, log.logger())
	mustStart(t, in, 0)
	s.exec(t, "PRAGMA query_only = 1")
	mustIngest(t, in, logOf(0, change(1, 1, 5, 1)), 1)
	modelOf(change(1, 1, 5, 1)).check(t, s)
	if len(s.letters(t)) != 0 || !strings.Contains(log.String(), "ingestion is waiting") {
		t.Errorf("%d dead letters; log:\n%s", len(s.letters(t)), log)
	}
}

// A database that was replaced under the service does not know the partition: the error says so, and nothing is applied.
func TestAPartitionThatTheDatabaseForgot(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	in := newTestIngester(t, s, nil)
	mustStart(t, in, 0)
	s.exec(t, "DELETE FROM ingest_offsets")
	b := batch{partition: testPartition, start: 0, end: 1, changes: []Rating{change(1, 1, 5, 1)}}
	_, cause, err := in.try(t.Context(), b)
	if err != nil || cause == nil || !strings.Contains(cause.Error(), "the database has no offset of partition ratings[2] any more") {
		t.Errorf("try: %v, %v", cause, err)
	}
	modelOf().check(t, s)
}

// The dead letter of a record that comes again, after its transaction was rolled back or its offset was set back, is
// there once. Its text fits the columns for any input.
func TestDeadLettersAreStoredOnceAndWhole(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	if _, err := s.begin(t.Context(), testPartition, 0); err != nil {
		t.Fatal(err)
	}
	d := letterAt(0, "bad-content-type", strings.Repeat("ä", 1500))
	d.ContentType = "x\xff" + strings.Repeat("é", 200)
	d.Payload, d.RecordKey = nil, []byte{0, 255}
	for range 2 {
		if _, err := s.ingest(t.Context(), batch{partition: testPartition, start: 0, end: 1, dead: []deadLetter{d}}); err != nil {
			t.Fatal(err)
		}
		s.exec(t, "UPDATE ingest_offsets SET next_offset = 0")
	}
	got := s.letters(t)
	if len(got) != 1 {
		t.Fatalf("%d letters, want 1", len(got))
	}
	l := got[0]
	if l.Reason != strings.Repeat("ä", 1000) || l.ContentType != "x\uFFFD"+strings.Repeat("é", 125) || l.Payload != nil ||
		string(l.RecordKey) != "\x00\xff" || l.Created != ToMicros(t0) || l.id() != testPartition.TopicID+"-00002-0000000000000000000" {
		t.Errorf("stored as %+v (%d bytes of reason, %d of content type)", l, len(l.Reason), len(l.ContentType))
	}
}

func TestMetricsAreRegisteredOnce(t *testing.T) {
	reg := prometheus.NewRegistry()
	if _, err := newIngestMetrics(reg, time.Now); err != nil {
		t.Fatal(err)
	}
	if _, err := newIngestMetrics(reg, time.Now); err == nil {
		t.Error("a second registration gives no error")
	}
}

// No more partitions write at the same time than there are slots for writers. A partition that waits for a slot ends with its context
// and has written nothing.
func TestWritersTakeTurns(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	in := newTestIngester(t, s, nil)
	mustStart(t, in, 0)
	for range cap(in.writers) {
		in.writers <- struct{}{} // others write
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := in.records(ctx, testPartition, logOf(0, change(1, 1, 5, 1)))
		done <- err
	}()
	cancel()
	if err := <-done; !errors.Is(err, context.Canceled) || s.at(t, testPartition) != 0 {
		t.Errorf("ended with %v at %d", err, s.at(t, testPartition))
	}
	<-in.writers
	mustIngest(t, in, logOf(0, change(1, 1, 5, 1)), 1)
	if n := len(in.writers); n != cap(in.writers)-1 {
		t.Errorf("%d places taken, want those of the others", n)
	}
}
