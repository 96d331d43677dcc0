package rating_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

const (
	earliest = ratingv1.ResumeIngestPartitionRequest_FROM_EARLIEST
	offset   = ratingv1.ResumeIngestPartitionRequest_FROM_OFFSET
	end      = ratingv1.ResumeIngestPartitionRequest_FROM_END
)

// resume resumes a partition of the topic.
func (f *front) resume(t testing.TB, req *ratingv1.ResumeIngestPartitionRequest) *ratingv1.ResumeIngestPartitionResponse {
	t.Helper()
	if req.Topic == "" {
		req.Topic = "ratings"
	}
	resp, err := f.admin.ResumeIngestPartition(t.Context(), req)
	if err != nil {
		t.Fatalf("resume %v: %v", req, err)
	}
	return resp
}

// list returns everything that is known of ingestion.
func (f *front) list(t testing.TB) []*ratingv1.IngestPartition {
	t.Helper()
	resp, err := f.admin.ListIngestPartitions(t.Context(), &ratingv1.ListIngestPartitionsRequest{AskBrokers: true})
	if err != nil || resp.GetBrokersError() != "" {
		t.Fatalf("list: %v, %v", resp, err)
	}
	return resp.GetPartitions()
}

// remakeTopic deletes and recreates the topic.
func (s *stream) remakeTopic(t testing.TB, partitions int32) kafka.Topic {
	t.Helper()
	if _, err := s.admin.DeleteTopic(t.Context(), s.topic); err != nil {
		t.Fatal(err)
	}
	var topic kafka.Topic
	eventually(t, "the old topic to be gone", func() bool {
		// A real broker deletes after it has answered; until then the name is taken.
		u := dial(t, s.addr)
		var err error
		topic, err = kafka.EnsureTopic(t.Context(), u.client, kafka.TopicConfig{Name: s.topic, Partitions: partitions})
		return err == nil && topic.Partitions == partitions
	})
	return topic
}

// The topic was recreated while the service was stopped: the start finds only rows of another id under its name, and halts. With fewer
// partitions than before, and one added later: that one starts with its first record.
func TestTopicRecreatedWhileStopped(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	cfg := s.cfg()
	cfg.Partitions = 3
	f := start(t, url, cfg, nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 3 })
	s.publish(t, event("1", "a", 5, time.Now()))
	eventually(t, "the event", func() bool { return f.ingested(t) == 1 })
	f.close(t)
	recreated := s.remakeTopic(t, 2)
	u := dial(t, s.addr)
	u.publish(t, event("2", "a", 5, time.Now()), event("2", "b", 5, time.Now()), event("2", "c", 5, time.Now()))
	g := start(t, url, cfg, nil)
	g.checkHalted(t, "was deleted and recreated", "ingested up to offset 1")
	eventually(t, "both partitions to be halted", func() bool { return g.gauge(t, "movieexample_rating_ingest_halted_partitions") == 2 })
	g.close(t)
	h := start(t, url, cfg, nil) // again: nothing becomes right by a restart
	h.checkHalted(t, "was deleted and recreated")
	done := h.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: offset, Offset: 1})
	if done.GetSkippedRecords() != 1 || done.GetNewOffset() != 1 || len(done.GetGivenUp()) != 2 || !strings.Contains(done.GetGivenUp()[1], "the records 0 to 0") {
		t.Errorf("resumed: %v", done)
	}
	eventually(t, "what is behind that offset", func() bool { return h.votes(t, "2") == 2 })
	eventually(t, "the second partition to be ours", func() bool { return h.gauge(t, "movieexample_rating_ingest_halted_partitions") == 1 })
	h.resume(t, &ratingv1.ResumeIngestPartitionRequest{Partition: 1, From: end})
	if p := h.partitions(t); len(p) != 2 || p[0].GetTopicId() != recreated.HexID() || p[1].GetTopicId() != recreated.HexID() {
		t.Errorf("rows: %v, want those of the new topic and no others", p)
	}
	if _, err := u.admin.UpdatePartitions(t.Context(), 3, "ratings"); err != nil {
		t.Fatal(err)
	}
	v := dial(t, s.addr)
	added := event("3", "a", 5, time.Now())
	added.Partition = 2
	v.publish(t, added)
	h.close(t)
	i := start(t, url, cfg, nil)
	eventually(t, "the first event of the partition that was added", func() bool { return i.votes(t, "3") == 1 })
	if r := i.halted(t, ""); r != "" || i.gauge(t, "movieexample_rating_ingest_halted_partitions") != 0 {
		t.Errorf("halted: %s", r)
	}
	i.checkAudit(t)
}

// The log was truncated and then grew past the position of ingestion, so it has other records there than those that were
// ingested. Once detected, the halt lasts, also in the next process, until an operator resumes it through any process.
func TestHaltedStaysHaltedWhenTheLogGrowsBack(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	s.makeTopic(t)
	s.publish(t, event("1", "a", 5, time.Now()))
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the event", func() bool { return f.ingested(t) == 1 })
	f.close(t)
	db := start(t, url, noKafka, nil)
	execSQL(t, db.db, "UPDATE ingest_offsets SET next_offset = 3 WHERE part = 0")
	db.close(t)

	g := start(t, url, s.cfg(), nil)
	g.checkHalted(t, "the log ends at 1, before the next record to ingest, 3: it was truncated")
	for _, user := range []string{"b", "c", "d", "e"} {
		s.publish(t, event("1", user, 5, time.Now()))
	}
	eventually(t, "the lag to count what comes after the truncation", func() bool { return g.gauge(t, "movieexample_rating_ingest_lag_records") == 4 })
	g.close(t)
	h := start(t, url, s.cfg(), nil)
	h.checkHalted(t, "it was truncated")
	if n := h.votes(t, "1"); n != 1 {
		t.Errorf("%d votes, want 1", n)
	}
	// Another process of the service: it shares the database and has the partition not, or has it.
	other := start(t, url, s.cfg(), nil)
	if r := other.halted(t, ""); !strings.Contains(r, "it was truncated") {
		t.Errorf("the other process says %q", r)
	}
	done := other.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: offset, Offset: 1})
	if done.GetOldOffset() != 3 || done.GetRepeatedRecords() != 2 || done.GetSkippedRecords() != 0 {
		t.Errorf("resumed: %v", done)
	}
	eventually(t, "what the log has", func() bool { return h.votes(t, "1") == 5 })
	eventually(t, "no partition to be halted", func() bool {
		return h.gauge(t, "movieexample_rating_ingest_halted_partitions")+other.gauge(t, "movieexample_rating_ingest_halted_partitions") == 0
	})
	h.checkAudit(t)
}

// A request that cannot be met changes nothing, and the error says why.
func TestResumeRefuses(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()), event("1", "b", 5, time.Now()))
	eventually(t, "two events", func() bool { return f.ingested(t) == 2 })
	type request = ratingv1.ResumeIngestPartitionRequest
	for _, c := range []struct {
		req  *request
		code codes.Code
		says string
	}{
		{&request{Topic: "ratings"}, codes.InvalidArgument, "from"},
		{&request{Topic: "ratings", From: end, Offset: 3}, codes.InvalidArgument, "offset"},
		{&request{Topic: "other", From: end}, codes.InvalidArgument, `must be "ratings"`},
		{&request{Topic: "ratings", Partition: 2, From: end}, codes.InvalidArgument, "no partition 2"},
		{&request{Topic: "ratings", From: end}, codes.FailedPrecondition, "is not halted"},
		{&request{Topic: "ratings", From: offset, Offset: 3, Force: true}, codes.InvalidArgument, "must be from 0, the first record of the log, to 2, its end; got 3"},
	} {
		_, err := f.admin.ResumeIngestPartition(t.Context(), c.req)
		if status.Code(err) != c.code || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%v: %v, want %s with %q", c.req, err, c.code, c.says)
		}
	}
	// By force a partition that runs is moved, too: back, which changes nothing but the offset.
	if done := f.resume(t, &request{From: earliest, Force: true}); done.GetRepeatedRecords() != 2 || done.GetNewOffset() != 0 {
		t.Errorf("moved: %v", done)
	}
	s.publish(t, event("1", "c", 5, time.Now()))
	eventually(t, "all three events", func() bool { return f.ingested(t) == 3 })
	if n := f.votes(t, "1"); n != 3 {
		t.Errorf("%d votes, want 3", n)
	}
	f.checkAudit(t)
	db := start(t, sqltest.URL(t), noKafka, nil)
	if _, err := db.admin.ResumeIngestPartition(t.Context(), &request{Topic: "ratings", From: end}); status.Code(err) != codes.FailedPrecondition {
		t.Errorf("a process without ingestion answers %v", err)
	}
}

// The list says what the brokers know: ends, lag, owners; and without the brokers at least what the database knows.
func TestListAsksTheBrokers(t *testing.T) {
	t.Parallel()
	b := startBroker(t, "", "")
	s, url := dial(t, b.Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()), event("1", "b", 5, time.Now()))
	eventually(t, "two events", func() bool { return f.ingested(t) == 2 })
	var p *ratingv1.IngestPartition
	eventually(t, "the owner", func() bool { p = f.list(t)[0]; return p.GetOwner() != "" })
	if p.EndOffset == nil || p.GetEndOffset() != 2 || p.LagRecords == nil || p.GetLagRecords() != 0 || p.LagSeconds == nil || p.GetLagSeconds() != 0 {
		t.Errorf("partition 0: %v", p)
	}
	if !strings.HasPrefix(p.GetOwner(), "movieexample-rating-") {
		t.Errorf("owner %q", p.GetOwner())
	}
	f.close(t)
	// A process without partitions reports the lag too.
	old := event("1", "c", 5, time.Now())
	old.Timestamp = time.Now().Add(-time.Hour)
	s.publish(t, old)
	g := startIdle(t, url, s.cfg(), nil)
	p = g.list(t)[0]
	if p.GetLagRecords() != 1 || p.LagSeconds == nil || p.GetLagSeconds() < 3599 || p.GetLagSeconds() > 3700 {
		t.Errorf("partition 0: %v, want one record of an hour ago", p)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	resp, err := g.admin.ListIngestPartitions(t.Context(), &ratingv1.ListIngestPartitionsRequest{AskBrokers: true})
	if err != nil || !strings.Contains(resp.GetBrokersError(), b.Addr()) || resp.BrokersSilentSeconds == nil || len(resp.GetPartitions()) != 2 {
		t.Fatalf("without brokers: %v, %v", resp, err)
	}
	if q := resp.GetPartitions()[0]; q.GetEndOffset() != 3 || q.GetLagRecords() != 1 || q.GetLagSeconds() < p.GetLagSeconds() {
		t.Errorf("without brokers: %v, want what was known, and older", q)
	}
}

// The operator's word and a batch in the same moment: one of them wins, and neither is half done.
func TestResumeIsComparedAndSet(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	moved, refused, total := 0, 0, 0
	for i := range 30 {
		s.publish(t, event("1", fmt.Sprint(i), 5, time.Now()))
		total++
		_, err := f.admin.ResumeIngestPartition(t.Context(), &ratingv1.ResumeIngestPartitionRequest{Topic: "ratings", From: earliest, Force: true})
		switch status.Code(err) {
		case codes.OK:
			moved++
		case codes.Aborted:
			refused++
		default:
			t.Fatal(err)
		}
	}
	t.Logf("moved %d times, refused %d times", moved, refused)
	s.publish(t, event("1", "last", 5, time.Now()))
	eventually(t, "all events", func() bool { return f.ingested(t) == int64(total+1) && f.votes(t, "1") == int32(total+1) })
	f.checkAudit(t)
}

// While the database takes no writes, the lag grows in records and in seconds; afterwards it is gone.
func TestLagGrowsWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()))
	eventually(t, "the event", func() bool { return f.ingested(t) == 1 })
	other, err := sqldb.Open(t.Context(), url, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	err = other.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.ExecContext(ctx, "UPDATE ingest_offsets SET topic = topic"); err != nil { // a lock on engines that lock rows
			return err
		}
		r := event("1", "b", 5, time.Now())
		r.Timestamp = time.Now().Add(-time.Minute)
		s.publish(t, r)
		eventually(t, "a lag of a minute", func() bool { return f.gauge(t, "movieexample_rating_ingest_lag_seconds") >= 60 })
		before := f.gauge(t, "movieexample_rating_ingest_lag_seconds")
		s.publish(t, event("1", "c", 5, time.Now()), event("1", "d", 5, time.Now()))
		eventually(t, "the lag to grow", func() bool {
			return f.gauge(t, "movieexample_rating_ingest_lag_records") == 3 && f.gauge(t, "movieexample_rating_ingest_lag_seconds") > before+0.5
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lag to be gone", func() bool {
		return f.gauge(t, "movieexample_rating_ingest_lag_records") == 0 && f.gauge(t, "movieexample_rating_ingest_lag_seconds") == 0
	})
	if n := f.votes(t, "1"); n != 4 {
		t.Errorf("%d votes", n)
	}
}

// A halted partition lags by the age of its oldest record, which was not fetched.
func TestLagOfAHaltedPartition(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	f.close(t)
	for range 3 {
		r := event("1", "a", 5, time.Now())
		r.Timestamp = time.Now().Add(-time.Hour)
		s.publish(t, r)
	}
	if _, err := s.admin.DeleteRecords(t.Context(), kadm.Offsets{"ratings": {0: {Topic: "ratings", Partition: 0, At: 1}}}); err != nil {
		t.Fatal(err)
	}
	g := start(t, url, s.cfg(), nil)
	g.checkHalted(t, "the records 0 to 0 were deleted")
	eventually(t, "a lag of an hour", func() bool {
		return g.gauge(t, "movieexample_rating_ingest_lag_seconds") >= 3600 && g.gauge(t, "movieexample_rating_ingest_lag_records") == 3
	})
}
