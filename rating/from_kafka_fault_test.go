package rating_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// halted returns the halt reason of partition 0: of the topic with that id, or of any.
func (f *front) halted(t testing.TB, topicID string) string {
	t.Helper()
	for _, p := range f.partitions(t) {
		if p.GetPartition() == 0 && (topicID == "" || p.GetTopicId() == topicID) && p.GetHalted() != "" {
			return p.GetHalted()
		}
	}
	return ""
}

// checkHalted checks the three places that show a halted partition.
func (f *front) checkHalted(t *testing.T, reasons ...string) {
	t.Helper()
	eventually(t, "a partition to halt", func() bool { return f.halted(t, "") != "" })
	got := f.halted(t, "")
	for _, want := range reasons {
		if !strings.Contains(got, want) {
			t.Errorf("halted because %q\nwhich lacks %q", got, want)
		}
	}
	// The database has it before the process has the partition again.
	eventually(t, "a log line about it", func() bool { return strings.Contains(f.log.String(), "ingestion of a partition is halted") })
	eventually(t, "the metric of halted partitions", func() bool { return f.gauge(t, "movieexample_rating_ingest_halted_partitions") >= 1 })
	t.Logf("halted because %s", got)
}

// The log lost records that were not ingested while the service was down: the partition is halted, no records are skipped, the other
// partitions continue, and the advice in the message works.
func TestTruncatedLogHalts(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()))
	eventually(t, "the first event", func() bool { return f.ingested(t) == 1 })
	f.close(t)

	s.publish(t, event("1", "b", 5, time.Now()), event("1", "c", 5, time.Now()), event("1", "d", 5, time.Now()))
	if _, err := s.admin.DeleteRecords(t.Context(), kadm.Offsets{"ratings": {0: {Topic: "ratings", Partition: 0, At: 3}}}); err != nil {
		t.Fatal(err)
	}
	g := start(t, url, s.cfg(), nil)
	g.checkHalted(t, "the records 1 to 2 were deleted from the log before they were ingested", "no records were skipped",
		"movieexample ingestion resume --topic ratings --partition 0 --from earliest")
	other := event("2", "a", 5, time.Now())
	other.Partition = 1
	s.publish(t, other, event("1", "e", 5, time.Now()))
	eventually(t, "the other partition to continue", func() bool { return g.votes(t, "2") == 1 })
	if n := g.votes(t, "1"); n != 1 {
		t.Errorf("%d votes: something was ingested behind the gap", n)
	}
	g.close(t)

	h := start(t, url, s.cfg(), nil)
	h.checkHalted(t, "the records 1 to 2") // a restart alone skips nothing either
	told := h.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: earliest, ValidateOnly: true})
	want := &ratingv1.ResumeIngestPartitionResponse{
		TopicId: h.partitions(t)[0].GetTopicId(), OldOffset: proto.Int64(1), NewOffset: 3, LostRecords: 2,
		GivenUp: []string{"the records 1 to 2: they are no longer in the log"}, Halted: h.halted(t, ""),
	}
	if diff := cmp.Diff(want, told, protocmp.Transform()); diff != "" {
		t.Errorf("the effect (-want +got):\n%s", diff)
	}
	if h.halted(t, "") == "" || h.partitions(t)[0].GetNextOffset() != 1 {
		t.Error("telling the effect changed something")
	}
	told.TakenUp = true
	if done := h.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: earliest}); !proto.Equal(done, told) {
		t.Errorf("the result differs from the dry run: %v", done)
	}
	eventually(t, "the rest, without a restart", func() bool { return h.votes(t, "1") == 3 })
	if r := h.halted(t, ""); r != "" {
		t.Errorf("still halted: %s", r)
	}
	h.checkAudit(t)
}

// noKafka is a service without ingestion.
var noKafka = rating.Config{}

// The log ends before the next record to ingest, as after the loss of a broker's disk: nothing is applied, since later
// records at these offsets would be others.
func TestLogThatEndsBeforeThePositionHalts(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	f.close(t)
	db := start(t, url, noKafka, nil)
	execSQL(t, db.db, "UPDATE ingest_offsets SET next_offset = 50 WHERE part = 0")
	db.close(t)
	s.publish(t, event("1", "a", 5, time.Now()))
	g := start(t, url, s.cfg(), nil)
	g.checkHalted(t, "the log ends at 1, before the next record to ingest, 50: it was truncated", "--from earliest")
	if n := g.votes(t, "1"); n != 0 {
		t.Errorf("%d votes", n)
	}
}

// A topic that is deleted and recreated while the service runs is another topic. None of its records is ingested before an operator
// resumes its partitions, which takes no restart.
func TestRecreatedTopicHalts(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	old := s.makeTopic(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()), event("1", "b", 5, time.Now()))
	eventually(t, "two events", func() bool { return f.ingested(t) == 2 })
	recreated := s.remakeTopic(t, 2)
	if recreated.ID == old.ID {
		t.Fatal("the broker gave the new topic the old id")
	}
	u := dial(t, s.addr) // this client has never seen the old topic
	for i := range 5 {
		u.publish(t, event("2", fmt.Sprint(i), 5, time.Now()))
	}
	eventually(t, "both partitions of the new topic to be halted", func() bool {
		return f.halted(t, recreated.HexID()) != "" && f.gauge(t, "movieexample_rating_ingest_halted_partitions") == 2
	})
	f.checkHalted(t, "was deleted and recreated", "ingested up to offset 2", "no records were skipped", "ingestion resume")
	if a, b := f.votes(t, "1"), f.votes(t, "2"); a != 2 || b != 0 || f.ingested(t) != 2 {
		t.Errorf("votes %d and %d at %d, want 2 and 0 at 2", a, b, f.ingested(t))
	}
	done := f.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: earliest})
	if g := strings.Join(done.GetGivenUp(), "\n"); !strings.Contains(g, old.HexID()) || !strings.Contains(g, "from offset 2 on") || done.GetTopicId() != recreated.HexID() {
		t.Errorf("resumed: %v", done)
	}
	eventually(t, "the new topic's events", func() bool { return f.votes(t, "2") == 5 })
	if n := f.gauge(t, "movieexample_rating_ingest_halted_partitions"); n != 1 {
		t.Errorf("%v partitions are halted, want the other one", n)
	}
	f.resume(t, &ratingv1.ResumeIngestPartitionRequest{Partition: 1, From: earliest})
	eventually(t, "no partition to be halted", func() bool { return f.gauge(t, "movieexample_rating_ingest_halted_partitions") == 0 })
	if p := f.partitions(t); len(p) != 2 || f.ingested(t) != 5 {
		t.Errorf("partitions, of which those of the old topic should be gone: %v", p)
	}
	f.close(t)
	g := start(t, url, s.cfg(), nil)
	u.publish(t, event("2", "again", 5, time.Now()))
	eventually(t, "ingestion after a restart", func() bool { return g.votes(t, "2") == 6 })
	g.checkAudit(t)
}

func TestDeletedTopicHalts(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()))
	eventually(t, "the event", func() bool { return f.ingested(t) == 1 })
	if _, err := s.admin.DeleteTopic(t.Context(), "ratings"); err != nil {
		t.Fatal(err)
	}
	f.checkHalted(t, "was deleted", "Create it again", "ingestion resume")
}

// Without a broker ratings can be given, and the service connects when the broker appears. When the broker disappears and returns,
// ingestion continues, and nothing is lost or counted twice.
func TestBrokerComesAndGoes(t *testing.T) {
	t.Parallel()
	addr, dir := freeAddr(t), t.TempDir()
	cfg := (&stream{addr: addr}).cfg()
	f := start(t, sqltest.URL(t), cfg, nil)
	f.put(t, "1", "sync", 9)
	eventually(t, "a log line", func() bool { return strings.Contains(f.log.String(), "waiting for Kafka") })
	if n := f.votes(t, "1"); n != 1 {
		t.Fatalf("%d votes without a broker, want 1", n)
	}
	for round := range 3 {
		var b *kafka.Broker
		eventually(t, "the broker to get its address", func() (ok bool) {
			// The service dials it all the while, and a dial may for a moment be given the very port it dials.
			var err error
			b, err = kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: addr, Dir: dir})
			return err == nil
		})
		began := time.Now()
		s := dial(t, addr)
		eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
		for i := range 10 {
			s.publish(t, event("1", fmt.Sprint(round, i), 5, time.Now()))
		}
		eventually(t, "the events of this round", func() bool { return f.ingested(t) == int64(10*(round+1)) })
		t.Logf("round %d: ingested %v after the broker's start", round, time.Since(began).Round(time.Millisecond))
		if err := b.Close(); err != nil {
			t.Fatal(err)
		}
		f.put(t, "1", fmt.Sprint("while away ", round), 5)
	}
	if n := f.votes(t, "1"); n != 1+3*10+3 {
		t.Errorf("%d votes, want 34", n)
	}
	if l := f.deadLetters(t); len(l) != 0 {
		t.Errorf("dead letters: %v", l)
	}
	f.checkAudit(t)
	f.close(t) // must end soon, without an answer
}

// A member that died without leaving the group keeps its partitions until its session expires. A restarted service
// waits for that, up to sessionTimeout, if the broker was not restarted with it.
func TestRestartAfterAMemberDied(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	s.makeTopic(t)
	dead, err := kafka.NewClient(kafka.Config{Brokers: []string{s.addr}},
		kgo.ConsumerGroup("rating"), kgo.ConsumeTopics("ratings"), kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(6*time.Second), kgo.HeartbeatInterval(time.Second), kgo.RebalanceTimeout(30*time.Second),
		kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.InstanceID("dies"))
	if err != nil {
		t.Fatal(err)
	}
	s.publish(t, event("1", "a", 5, time.Now()))
	eventually(t, "the other member to read", func() bool {
		fetches := dead.PollFetches(t.Context())
		return fetches.NumRecords() == 1
	})
	dead.Close() // a member with an instance id does not leave the group when it closes: as if it had died
	began := time.Now()
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the event", func() bool { return f.votes(t, "1") == 1 })
	t.Logf("ingestion began after %v; the dead member had a session of 6 s, the least that brokers allow", time.Since(began).Round(time.Millisecond))
}

// Two processes of one group share the partitions, on one database. One comes while events flow, one leaves: every
// event counts once.
func TestPartitionsChangeHands(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	first := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(first.partitions(t)) == 2 })
	n := 0
	publish := func() {
		t.Helper()
		r := event("1", fmt.Sprint(n), 1+n%10, time.Now())
		r.Partition = int32(n % 2)
		s.publish(t, r)
		n++
	}
	publish()
	publish()
	eventually(t, "events of both partitions", func() bool { return first.gauge(t, "movieexample_rating_ingest_records_total") == 2 })
	second := start(t, url, s.cfg(), nil)
	eventually(t, "the second process to get something to do", func() bool {
		publish()
		return second.gauge(t, "movieexample_rating_ingest_records_total") > 0
	})
	for range 20 {
		publish()
	}
	eventually(t, "all events", func() bool { return second.ingested(t) == int64(n) })
	first.close(t)
	publish()
	publish()
	eventually(t, "all events", func() bool { return second.gauge(t, "movieexample_rating_ingest_next_offset") == float64(n) })
	if votes := second.votes(t, "1"); int(votes) != n {
		t.Errorf("%d votes of %d events", votes, n)
	}
	if l := second.deadLetters(t); len(l) != 0 {
		t.Errorf("dead letters: %v", l)
	}
	second.checkAudit(t)
}
