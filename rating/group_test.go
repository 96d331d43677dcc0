package rating_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// Two systems with a database each, one broker, one group: the first one gets every event, and the second one says why it gets none,
// also after the first has stopped. Its events stay in the log until an operator resumes its partitions.
func TestTwoDatabasesInOneGroup(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	testTwoDatabases(t, s, s.cfg(), [2]string{sqltest.URL(t), sqltest.URL(t)})
}

func testTwoDatabases(t *testing.T, s *stream, cfg rating.Config, urls [2]string) {
	firstURL, secondURL := urls[0], urls[1]
	first := start(t, firstURL, cfg, nil)
	eventually(t, "the first system to have the partitions", func() bool { return len(first.partitions(t)) == 2 })
	second := start(t, secondURL, cfg, nil)
	eventually(t, "the second system to be refused", func() bool { return second.gauge(t, "movieexample_rating_ingest_foreign_group") == 1 })
	const events = 200
	publish := func(from int) {
		for i := from; i < from+events; i++ {
			r := event("1", fmt.Sprint("user", i), 5, time.Now())
			r.Partition = int32(i % 2)
			s.publish(t, r)
		}
	}
	publish(0)
	eventually(t, "all events in the first database", func() bool { return first.votes(t, "1") == events })
	if n := second.votes(t, "1"); n != 0 {
		t.Errorf("%d events went to the second database", n)
	}
	if n := first.gauge(t, "movieexample_rating_ingest_foreign_group"); n != 0 {
		t.Errorf("the first system says that the group is foreign: %v", n)
	}
	eventually(t, "a line in the second's log", func() bool { return strings.Contains(second.log.String(), "the consumer group is not this system's") })

	// The first goes, and has shown whose the group is.
	eventually(t, "the second to know whose the group is", func() bool { return second.svc.GroupReady(t.Context()) != nil })
	first.close(t)
	eventually(t, "a reason in the list", func() bool {
		list := second.partitions(t)
		return len(list) == 2 && strings.Contains(list[0].GetHalted(), "belongs to another system") && strings.Contains(list[1].GetHalted(), "ingestion resume")
	})
	if err := second.svc.GroupReady(t.Context()); err == nil || !strings.Contains(err.Error(), "belongs to another system") {
		t.Errorf("ready: %v", err)
	}
	publish(events)
	if n := second.votes(t, "1"); n != 0 {
		t.Errorf("%d events went to the second database while it is halted", n)
	}
	third := start(t, firstURL, cfg, nil)
	eventually(t, "what came meanwhile in the first database", func() bool { return third.votes(t, "1") == 2*events })
	third.close(t)

	// An operator gives the group to the second.
	for number := range int32(2) {
		second.resume(t, &ratingv1.ResumeIngestPartitionRequest{Topic: s.topic, Partition: number, From: ratingv1.ResumeIngestPartitionRequest_FROM_EARLIEST})
	}
	eventually(t, "all events in the second database", func() bool { return second.votes(t, "1") == 2*events })
	eventually(t, "the second to be ready", func() bool {
		return second.svc.GroupReady(t.Context()) == nil && second.gauge(t, "movieexample_rating_ingest_foreign_group") == 0
	})
	second.checkAudit(t)
	second.close(t)

	// Now the group is foreign to the first one, until it has its own group.
	fourth := start(t, firstURL, cfg, nil)
	eventually(t, "the first to be refused", func() bool { return fourth.svc.GroupReady(t.Context()) != nil })
	fourth.close(t)
	cfg.Group += "-another"
	fifth := start(t, firstURL, cfg, nil)
	s.publish(t, event("1", "last", 5, time.Now()))
	eventually(t, "the event that came last", func() bool { return fifth.votes(t, "1") == 2*events+1 })
}

// Two that come at the same moment: the brokers decide which of them is first, and the other gets nothing.
func TestTwoDatabasesAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	s.makeTopic(t)
	systems := []*front{start(t, sqltest.URL(t), s.cfg(), nil), start(t, sqltest.URL(t), s.cfg(), nil)}
	const events = 200
	for i := range events {
		r := event("1", fmt.Sprint("user", i), 5, time.Now())
		r.Partition = int32(i % 2)
		s.publish(t, r)
	}
	eventually(t, "one system to have everything, and the other to be refused", func() bool {
		a, b := systems[0].votes(t, "1"), systems[1].votes(t, "1")
		refused := systems[0].gauge(t, "movieexample_rating_ingest_foreign_group") + systems[1].gauge(t, "movieexample_rating_ingest_foreign_group")
		return max(a, b) == events && refused == 1
	})
	if a, b := systems[0].votes(t, "1"), systems[1].votes(t, "1"); min(a, b) != 0 {
		t.Errorf("%d events went to one database and %d to the other", a, b)
	}
}
