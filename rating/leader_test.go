package rating_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
)

// startCluster starts three brokers in memory, as the embedded broker is one.
func startCluster(t *testing.T) (*kfake.Cluster, *stream) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return cluster, dial(t, cluster.ListenAddrs()[0])
}

// Partitions change their leaders while events flow, and the group its coordinator: ingestion continues.
func TestLeadersChange(t *testing.T) {
	t.Parallel()
	cluster, s := startCluster(t)
	s.makeTopic(t)
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	n := int32(0)
	for round := range int32(9) {
		for number := range int32(2) {
			if err := cluster.MoveTopicPartition(s.topic, number, (round+number)%3); err != nil {
				t.Fatal(err)
			}
			r := event("1", fmt.Sprint(n), 5, time.Now())
			r.Partition = number
			s.publish(t, r)
			n++
		}
		if round == 4 {
			cluster.RehashCoordinators()
		}
		eventually(t, "the events under new leaders", func() bool { return f.votes(t, "1") == n })
	}
	if r := f.halted(t, ""); r != "" || f.gauge(t, "movieexample_rating_ingest_halted_partitions") != 0 {
		t.Errorf("halted: %s", r)
	}
	f.checkAudit(t)
}

// With a new leader, the log was truncated below the ingested offset and has other records there by now. Their offsets are within
// the log, so only the leader's epoch shows it. The partition is halted, also after a restart, when epochs are not requested.
func TestReplacedRecordsHalt(t *testing.T) {
	t.Parallel()
	cluster, s := startCluster(t)
	s.makeTopic(t)
	url := sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	for _, user := range []string{"a", "b", "c"} {
		s.publish(t, event("1", user, 5, time.Now()))
	}
	eventually(t, "three events", func() bool { return f.ingested(t) == 3 })
	cluster.ControlKey(int16(kmsg.OffsetForLeaderEpoch), func(req kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		resp := req.ResponseKind().(*kmsg.OffsetForLeaderEpochResponse)
		for _, rt := range req.(*kmsg.OffsetForLeaderEpochRequest).Topics {
			topic := kmsg.NewOffsetForLeaderEpochResponseTopic()
			topic.Topic = rt.Topic
			for _, rp := range rt.Partitions {
				p := kmsg.NewOffsetForLeaderEpochResponseTopicPartition()
				p.Partition, p.LeaderEpoch, p.EndOffset = rp.Partition, rp.LeaderEpoch, 1
				topic.Partitions = append(topic.Partitions, p)
			}
			resp.Topics = append(resp.Topics, topic)
		}
		return resp, nil, true
	})
	if err := cluster.MoveTopicPartition(s.topic, 0, (cluster.LeaderFor(s.topic, 0)+1)%3); err != nil {
		t.Fatal(err)
	}
	s.publish(t, event("1", "d", 5, time.Now()))
	f.checkHalted(t, "the records from 1 on, ingested up to 3, are gone", "--from 1")
	if n := f.votes(t, "1"); n != 3 || f.partitions(t)[0].GetNextOffset() != 3 {
		t.Errorf("%d votes at %d", n, f.partitions(t)[0].GetNextOffset())
	}
	f.close(t)
	g := start(t, url, s.cfg(), nil)
	g.checkHalted(t, "the records from 1 on")
	done := g.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: offset, Offset: 1})
	if done.GetRepeatedRecords() != 2 || done.GetOldOffset() != 3 {
		t.Errorf("resumed: %v", done)
	}
	eventually(t, "the records behind the cut", func() bool { return g.votes(t, "1") == 4 && g.ingested(t) == 4 })
	g.checkAudit(t)
}
