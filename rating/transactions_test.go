package rating_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb/sqltest"
)

// A producer's transactions leave offsets without events: markers of their ends, and aborted records. Only committed events count, the
// offset moves over the gaps, and the lag ends at 0.
func TestTransactionsOfProducers(t *testing.T) {
	t.Parallel()
	testTransactions(t, dial(t, startBroker(t, "", "").Addr()))
}

func testTransactions(t *testing.T, s *stream) {
	s.makeTopic(t)
	cfg := s.cfg()
	cfg.Group = "group-" + s.topic
	producer, err := kafka.NewClient(kafka.Config{Brokers: []string{s.addr}}, kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.TransactionalID("films-"+s.topic), kgo.DefaultProduceTopic(s.topic))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	n := 0
	transaction := func(end kgo.TransactionEndTry) {
		t.Helper()
		if err := producer.BeginTransaction(); err != nil {
			t.Fatal(err)
		}
		for range 3 {
			r := event("1", fmt.Sprint(n), 5, time.Now())
			if !end {
				r = event("aborted", fmt.Sprint(n), 5, time.Now())
			}
			n++
			if err := producer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
		if err := producer.EndTransaction(t.Context(), end); err != nil {
			t.Fatal(err)
		}
	}
	transaction(kgo.TryCommit)
	transaction(kgo.TryAbort)
	url := sqltest.URL(t)
	f := start(t, url, cfg, nil)
	caughtUp := func(votes int32) func() bool {
		return func() bool {
			return f.votes(t, "1") == votes && f.series(t, "movieexample_rating_ingest_lag_records") == 2 &&
				f.gauge(t, "movieexample_rating_ingest_lag_records") == 0 && f.gauge(t, "movieexample_rating_ingest_lag_seconds") == 0
		}
	}
	eventually(t, "what was committed, and no lag", caughtUp(3))
	if next := f.ingested(t); next != 8 {
		t.Errorf("the next offset is %d, want 8: behind 6 events and 2 markers", next)
	}
	// While it runs, a transaction that is open is waited for.
	if err := producer.BeginTransaction(); err != nil {
		t.Fatal(err)
	}
	if err := producer.ProduceSync(t.Context(), event("1", "open", 5, time.Now())).FirstErr(); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the open transaction to show as lag", func() bool {
		return f.gauge(t, "movieexample_rating_ingest_lag_records") == 1 && f.gauge(t, "movieexample_rating_ingest_lag_seconds") > 0
	})
	if v := f.votes(t, "1"); v != 3 {
		t.Errorf("%d votes before the commit, want 3", v)
	}
	if err := producer.EndTransaction(t.Context(), kgo.TryCommit); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the event of the transaction", caughtUp(4))
	f.close(t)
	transaction(kgo.TryAbort)
	transaction(kgo.TryCommit)
	f = start(t, url, cfg, nil)
	eventually(t, "what was committed meanwhile", caughtUp(7))
	if v := f.votes(t, "aborted"); v != 0 {
		t.Errorf("%d votes of aborted transactions", v)
	}
	if n := f.gauge(t, "movieexample_rating_ingest_records_total"); n != 3 {
		t.Errorf("%v records counted after the restart, want 3: a marker is no event", n)
	}
	if n := f.gauge(t, "movieexample_rating_ingest_fenced_batches_total") + float64(len(f.deadLetters(t))); n != 0 {
		t.Errorf("fenced or dead: %v, want 0", n)
	}
	f.checkAudit(t)
}
