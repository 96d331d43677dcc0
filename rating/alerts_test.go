package rating_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb/sqltest"
)

// Every alert about ingestion that docs/operations.md recommends, caused by what it is there for. Where the threshold is a time,
// the test's clock makes the seconds.

// Alert: movieexample_kafka_up == 0, and movieexample_rating_ingest_lag_seconds above 60, while the brokers are down.
// No series disappears meanwhile.
func TestAlertKafkaIsDown(t *testing.T) {
	t.Parallel()
	addr, dir := freeAddr(t), t.TempDir()
	b := startBroker(t, dir, addr)
	s, clock := dial(t, addr), newClock()
	clock.Set(time.Now())
	f := start(t, sqltest.URL(t), s.cfg(), clock.Now)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()))
	eventually(t, "the event", func() bool { return f.ingested(t) == 1 })
	eventually(t, "movieexample_kafka_up, and owners", func() bool {
		return f.gauge(t, "movieexample_kafka_up") == 1 && f.gauge(t, "movieexample_rating_ingest_partition_owner") == 2 && f.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 0
	})
	if lag := f.gauge(t, "movieexample_rating_ingest_lag_seconds"); lag != 0 {
		t.Errorf("a lag of %v s before", lag)
	}
	names := []string{"movieexample_kafka_up", "movieexample_rating_ingest_next_offset", "movieexample_rating_ingest_lag_records", "movieexample_rating_ingest_lag_seconds", "movieexample_rating_ingest_partition_owner"}
	before := map[string]int{}
	for _, name := range names {
		before[name] = f.series(t, name)
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	eventually(t, "movieexample_kafka_up to be 0", func() bool {
		return f.series(t, "movieexample_kafka_up") == 1 && f.gauge(t, "movieexample_kafka_up") == 0
	})
	t.Logf("movieexample_kafka_up is 0 after %v", time.Since(began).Round(10*time.Millisecond))
	clock.Add(61 * time.Second)
	if lag := f.gauge(t, "movieexample_rating_ingest_lag_seconds"); lag < 2*60 { // two partitions
		t.Errorf("a lag of %v s over both partitions, after 61 s without brokers", lag)
	}
	for _, name := range names {
		if got := f.series(t, name); got != before[name] {
			t.Errorf("%d series of %s, want %d as before", got, name, before[name])
		}
	}
	again, err := kafka.StartBroker(t.Context(), kafka.BrokerConfig{Addr: addr, Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	defer again.Close()
	eventually(t, "the alerts to end", func() bool {
		return f.gauge(t, "movieexample_kafka_up") == 1 && f.gauge(t, "movieexample_rating_ingest_lag_seconds") == 0
	})
}

// Before the brokers have ever answered, the partitions come from the database, and their age grows.
func TestAlertKafkaIsDownAtTheStart(t *testing.T) {
	t.Parallel()
	addr, dir, url := freeAddr(t), t.TempDir(), sqltest.URL(t)
	b := startBroker(t, dir, addr)
	s := dial(t, addr)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	f.close(t)
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	clock := newClock()
	g := start(t, url, s.cfg(), clock.Now)
	eventually(t, "the partitions, and movieexample_kafka_up", func() bool {
		return g.series(t, "movieexample_rating_ingest_lag_seconds") == 2 && g.series(t, "movieexample_kafka_up") == 1 && g.gauge(t, "movieexample_kafka_up") == 0
	})
	clock.Add(61 * time.Second)
	eventually(t, "a lag of more than a minute each", func() bool { return g.gauge(t, "movieexample_rating_ingest_lag_seconds") >= 2*61 })
}

// Alert: movieexample_rating_ingest_lag_seconds above 60, and movieexample_rating_ingest_unowned_partitions above 0, for partitions that no process has: every
// process reports them, so that max by (topic, partition) finds them.
func TestAlertUnownedPartitions(t *testing.T) {
	t.Parallel()
	s, clock := dial(t, startBroker(t, "", "").Addr()), newClock()
	url := sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	f.close(t) // every process that ingests is gone, and one is there that has not begun
	s.publish(t, event("1", "a", 5, time.Now()), event("1", "b", 5, time.Now()))
	clock.Set(time.Now()) // not before the records' own times
	g := startIdle(t, url, s.cfg(), clock.Now)
	list := g.list(t)
	if len(list) != 2 || list[0].Owned == nil || list[0].GetOwned() || list[0].GetLagRecords() != 2 {
		t.Fatalf("list: %v", list)
	}
	if n := g.gauge(t, "movieexample_rating_ingest_unowned_partitions"); n != 2 {
		t.Errorf("%v unowned partitions, want 2", n)
	}
	clock.Add(61 * time.Second)
	if lag := g.gauge(t, "movieexample_rating_ingest_lag_seconds"); lag < 60 {
		t.Errorf("a lag of %v s", lag)
	}
	g.run(t)
	eventually(t, "the alerts to end", func() bool {
		return g.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 0 && g.gauge(t, "movieexample_rating_ingest_lag_seconds") == 0 && g.votes(t, "1") == 2
	})
}

// Alert: movieexample_rating_ingest_lag_seconds above 60, while a process without partitions reports those of another.
func TestEveryProcessTellsOfEveryPartition(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	cfg := s.cfg()
	cfg.Partitions = 1
	var all []*front
	for range 2 {
		all = append(all, start(t, url, cfg, nil))
	}
	eventually(t, "the topic", func() bool { return len(all[0].partitions(t)) == 1 })
	for i := range 20 {
		s.publish(t, event("1", fmt.Sprint(i), 5, time.Now()))
	}
	for i, f := range all {
		eventually(t, fmt.Sprintf("process %d to tell of the partition", i), func() bool {
			return f.gauge(t, "movieexample_rating_ingest_next_offset") == 20 && f.series(t, "movieexample_rating_ingest_lag_seconds") == 1 && f.series(t, "movieexample_rating_ingest_partition_owner") == 1 &&
				f.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 0
		})
	}
	// The owner goes; the lag of what it had does not come back in it, and the other one keeps telling.
	a, b := all[0].gauge(t, "movieexample_rating_ingest_records_total"), all[1].gauge(t, "movieexample_rating_ingest_records_total")
	owner, other := all[0], all[1]
	if b > a {
		owner, other = other, owner
	}
	owner.stopRun()
	s.publish(t, event("1", "last", 5, time.Now()))
	eventually(t, "the other one to continue", func() bool {
		return other.votes(t, "1") == 21 && other.gauge(t, "movieexample_rating_ingest_lag_records") == 0
	})
}

// Alert: movieexample_rating_ingest_halted_partitions above 0: caused in TestTruncatedLogHalts and others, see checkHalted. Alert: movieexample_rating_dead_letters
// grows, and movieexample_rating_dead_letters_dropped_total: the oldest are dropped, logged and counted.
func TestAlertDeadLetters(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	cfg, clock := s.cfg(), newClock()
	clock.Set(time.Now())
	cfg.DeadLetterBytes, cfg.DeadLetterAge = 1<<20, time.Hour
	f := start(t, sqltest.URL(t), cfg, clock.Now)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	const size, n = 100 << 10, 30
	for i := range n {
		s.publish(t, &kgo.Record{Value: []byte(fmt.Sprintf("%d %s", i, strings.Repeat("x", size)))})
	}
	eventually(t, "all records", func() bool { return f.ingested(t) == n })
	eventually(t, "the letters to be within their bound", func() bool {
		bytes := f.gauge(t, "movieexample_rating_dead_letters_bytes")
		return bytes > 0 && bytes <= 1<<20 && f.gauge(t, "movieexample_rating_dead_letters_dropped_total") >= n-11
	})
	left := f.deadLetters(t)
	if len(left) == 0 || len(left) > 10 || left[len(left)-1].GetOffset() != n-1 {
		t.Errorf("%d letters left, the last of %d", len(left), left[len(left)-1].GetOffset())
	}
	if kept, dropped := f.gauge(t, "movieexample_rating_dead_letters"), f.gauge(t, "movieexample_rating_dead_letters_dropped_total"); kept+dropped != n {
		t.Errorf("%v letters and %v dropped, of %d", kept, dropped, n)
	}
	if !strings.Contains(f.log.String(), "the oldest were dropped") {
		t.Error("the log does not say that letters were dropped")
	}
	clock.Add(time.Hour + time.Minute)
	s.publish(t, &kgo.Record{Value: []byte(strings.Repeat("y", size))})
	eventually(t, "those that are too old to be dropped", func() bool {
		l := f.deadLetters(t)
		return len(l) == 1 && strings.HasPrefix(string(l[0].GetPayload()), "y")
	})
}

// A topic that gets more partitions under load: they are shown at once, as unowned until a process has them, and that is within ten
// seconds.
func TestPartitionsAreAdded(t *testing.T) {
	t.Parallel()
	testPartitionsAreAdded(t, dial(t, startBroker(t, "", "").Addr()), "")
}

func testPartitionsAreAdded(t *testing.T, s *stream, group string) {
	cfg := s.cfg()
	if group != "" {
		cfg.Group = group
	}
	f := start(t, sqltest.URL(t), cfg, nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	if _, err := s.admin.CreatePartitions(t.Context(), 2, s.topic); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	u := dial(t, s.addr) // a client that has not seen the topic with fewer
	u.topic = s.topic
	published := int32(0)
	publish := func(partition int32) {
		r := event("1", fmt.Sprint(published), 5, time.Now())
		r.Partition = partition
		u.publish(t, r)
		published++
	}
	publish(3)
	unowned := false
	eventually(t, "the new partitions to be shown", func() bool {
		publish(0)
		unowned = unowned || f.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 2
		return f.series(t, "movieexample_rating_ingest_lag_records") == 4
	})
	eventually(t, "the new partitions to be ingested", func() bool {
		publish(0)
		unowned = unowned || f.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 2
		return slices.ContainsFunc(f.partitions(t), func(p *ratingv1.IngestPartition) bool { return p.GetPartition() == 3 && p.GetNextOffset() == 1 })
	})
	took := time.Since(began)
	t.Logf("ingested %v after they were added", took.Round(10*time.Millisecond))
	if took > 10*time.Second {
		t.Errorf("the new partitions were ingested after %v, want at most 10 s", took)
	}
	if !unowned {
		t.Error("the new partitions were never shown as unowned")
	}
	eventually(t, "no unowned partition", func() bool { return f.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 0 })
	eventually(t, "all events", func() bool { return f.votes(t, "1") == published && len(f.partitions(t)) == 4 })
}

// An idle partition resumes at its new offset within two seconds, also if another process than its owner is asked. The lists and metrics
// of both processes agree.
func TestResumeOfAnIdlePartition(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()), event("1", "b", 5, time.Now()), event("1", "c", 5, time.Now()))
	eventually(t, "three events", func() bool {
		return f.ingested(t) == 3 && f.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 0
	})
	other := startIdle(t, url, s.cfg(), nil)
	for round, teller := range []*front{f, other} {
		began := time.Now()
		done := teller.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: earliest, Force: true})
		if took := time.Since(began); took > 3*time.Second || !done.GetTakenUp() {
			t.Errorf("teller %d: %v after %v", round, done, took)
		}
		eventually(t, "the events to be read again", func() bool { return f.gauge(t, "movieexample_rating_ingest_records_total") == float64(3*(round+2)) })
		eventually(t, "list and metrics to agree", func() bool {
			p := other.list(t)[0]
			return p.GetNextOffset() == 3 && p.GetLagRecords() == 0 && p.GetLagSeconds() == 0 &&
				f.gauge(t, "movieexample_rating_ingest_next_offset") == 3 && f.gauge(t, "movieexample_rating_ingest_lag_records") == 0 && other.gauge(t, "movieexample_rating_ingest_next_offset") == 3
		})
	}
	// To the end of a log in which nothing comes, there is nothing to see but the answer.
	if done := other.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: end, Force: true}); !done.GetTakenUp() {
		t.Errorf("to the end: %v", done)
	}
	// Without a process that has it, it is set, and said so.
	f.close(t)
	eventually(t, "the group to be empty", func() bool { return !other.list(t)[0].GetOwned() })
	if done := other.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: earliest, Force: true}); done.GetTakenUp() || done.GetNewOffset() != 0 {
		t.Errorf("without an owner: %v", done)
	}
}

// balancerOf is the balancer of a member that works on the database (ADR 020).
type balancerOf struct {
	kgo.GroupBalancer
	database string
}

func (b balancerOf) ProtocolName() string {
	return b.GroupBalancer.ProtocolName() + " of database " + b.database
}

// A process that has the partition and does not take it up is an error that says so.
func TestResumeWithoutTheOwnersReply(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	id, err := f.db.Identity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	f.close(t)
	member, err := kafka.NewClient(kafka.Config{Brokers: []string{s.addr}, ClientID: "deaf"}, kgo.ConsumerGroup("rating"), kgo.ConsumeTopics("ratings"),
		kgo.Balancers(balancerOf{kgo.CooperativeStickyBalancer(), id}), kgo.DisableAutoCommit(), kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))
	if err != nil {
		t.Fatal(err)
	}
	defer member.Close()
	other := startIdle(t, url, s.cfg(), nil)
	eventually(t, "the other member to have it", func() bool { return strings.HasPrefix(other.list(t)[0].GetOwner(), "deaf") })
	_, err = other.admin.ResumeIngestPartition(t.Context(), &ratingv1.ResumeIngestPartitionRequest{Topic: "ratings", From: end, Force: true})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "deaf") || !strings.Contains(err.Error(), "has not resumed there within 2s") {
		t.Errorf("resume: %v", err)
	}
}
