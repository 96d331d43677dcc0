//go:build servers

package rating_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
	"movieexample.com/test/servers"
)

// kafkaEnv names a running Kafka to use instead of one that the test starts: bootstrap addresses, separated by commas. It must
// allow topics to be deleted.
const kafkaEnv = "MOVIEEXAMPLE_TEST_KAFKA"

// Everything about ingestion that another broker than the embedded one could do otherwise, on Apache Kafka.
func TestApacheKafka(t *testing.T) {
	addr := os.Getenv(kafkaEnv)
	if addr == "" {
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		k, err := servers.StartKafka(ctx, servers.KafkaConfig{Properties: map[string]string{
			"log.cleaner.backoff.ms": "100", "log.retention.check.interval.ms": "500", "log.initial.task.delay.ms": "500",
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := k.Close(); err != nil {
				t.Error(err)
			}
		})
		addr = k.Bootstrap()[0]
	}
	addr, _, _ = strings.Cut(addr, ",")
	for name, test := range map[string]func(*testing.T, *stream){
		"producers":     testForeignProducers,
		"kcat":          testKcat,
		"transactions":  testTransactions,
		"compaction":    testCompaction,
		"append-time":   testLogAppendTime,
		"recreated":     testRecreated,
		"deleted-early": testDeletedRecords,
		"two-members":   testTwoMembers,
		"min-insync":    testMinInSync,
		"two-databases": func(t *testing.T, s *stream) {
			testTwoDatabases(t, s, realCfg(s), [2]string{sqltest.URL(t), sqltest.URL(t)})
		},
		"two-databases-on-mariadb": func(t *testing.T, s *stream) {
			server := sqltest.MySQL(t)
			testTwoDatabases(t, s, realCfg(s), [2]string{server.Database(t), server.Database(t)})
		},
		"added":    func(t *testing.T, s *stream) { testPartitionsAreAdded(t, s, "group-"+s.topic) },
		"timeless": testTimeless,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := dial(t, addr)
			s.topic = fmt.Sprintf("ratings-%s-%d", name, time.Now().UnixNano())
			t.Cleanup(func() { _, _ = s.admin.DeleteTopic(context.Background(), s.topic) })
			test(t, s)
		})
	}
}

// realCfg is s.cfg with its own group.
func realCfg(s *stream) rating.Config {
	cfg := s.cfg()
	cfg.Group = "group-" + s.topic
	return cfg
}

// every compression, keys and none, one record and large batches, with and without timestamps, JSON and Protobuf.
func testForeignProducers(t *testing.T, s *stream) {
	s.makeTopic(t)
	f := start(t, sqltest.URL(t), realCfg(s), nil)
	hour := time.Now().Add(-time.Hour).Truncate(time.Millisecond)
	votes := map[string]int32{}
	for name, codec := range map[string]kgo.CompressionCodec{
		"none": kgo.NoCompression(), "gzip": kgo.GzipCompression(), "snappy": kgo.SnappyCompression(), "lz4": kgo.Lz4Compression(), "zstd": kgo.ZstdCompression(),
	} {
		producer, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.DefaultProduceTopic(s.topic), kgo.ProducerBatchCompression(codec), kgo.ProducerLinger(20*time.Millisecond))
		if err != nil {
			t.Fatal(err)
		}
		defer producer.Close()
		var records []*kgo.Record
		for i := range 500 {
			r := event(name, fmt.Sprint(i), 1+i%10, time.Time{})
			switch i % 4 {
			case 1:
				r.Key = nil
			case 2:
				r.Timestamp = hour
			case 3:
				value, err := proto.Marshal(&ratingv1.RatingEvent{UserId: fmt.Sprint(i), RecordId: name, RecordType: "movie", Value: int32(1 + i%10)})
				if err != nil {
					t.Fatal(err)
				}
				r.Value, r.Headers = value, []kgo.RecordHeader{{Key: "content-type", Value: []byte("application/protobuf")}}
			}
			records = append(records, r)
		}
		if err := producer.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		votes[name] = int32(len(records))
	}
	s.publish(t, &kgo.Record{Key: []byte("movie:1")}) // a tombstone for compaction is not an event
	for name, n := range votes {
		eventually(t, "the events compressed by "+name, func() bool { return f.votes(t, name) == n })
	}
	eventually(t, "the tombstone among the dead letters", func() bool {
		l := f.deadLetters(t)
		return len(l) == 1 && l[0].GetClass() == "empty"
	})
	resp, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: "zstd", UserId: "2"})
	if err != nil || !resp.GetRating().GetRatedAt().AsTime().Equal(hour) {
		t.Errorf("an event without a time has %v, %v; want its record's, %v", resp.GetRating().GetRatedAt().AsTime(), err, hour)
	}
	f.checkAudit(t)
}

// What a real broker keeps of timestamps: none at all stays none, and is dated once; seconds stay seconds.
func testTimeless(t *testing.T, s *stream) {
	id := s.makeTopic(t).ID
	f := start(t, sqltest.URL(t), realCfg(s), nil)
	seconds := time.Now().Unix()
	for i := range 3 {
		s.publishRaw(t, id, rawBatch(1, 0, -1, rawRecord(0, 0, eventJSON("1", "u", 3+i))))
	}
	s.publishRaw(t, id, rawBatch(1, 0, seconds, rawRecord(0, 0, eventJSON("1", "seconds", 7))))
	eventually(t, "four events", func() bool { return f.ingested(t) == 4 })
	f.put(t, "1", "u", 9)
	f.resume(t, &ratingv1.ResumeIngestPartitionRequest{Topic: s.topic, From: earliest, Force: true})
	eventually(t, "the events to be read again", func() bool { return f.gauge(t, "movieexample_rating_ingest_records_total") == 8 })
	resp, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: "1", UserId: "seconds"})
	if err != nil || !resp.GetRating().GetRatedAt().AsTime().Equal(time.UnixMilli(seconds)) || f.value(t, "1", "u") != 9 {
		t.Errorf("%v, %v; and value %d, want 9", resp, err, f.value(t, "1", "u"))
	}
	f.checkAudit(t)
}

// kcat is a producer of another make (librdkafka).
func testKcat(t *testing.T, s *stream) {
	s.makeTopic(t)
	f := start(t, sqltest.URL(t), realCfg(s), nil)
	for i, args := range [][]string{{}, {"-z", "gzip"}, {"-z", "snappy"}, {"-z", "lz4"}, {"-K", "\t"}, {"-X", "enable.idempotence=true"}, {"-H", "content-type=application/json"}} {
		var lines bytes.Buffer
		for j := range 100 {
			if len(args) > 0 && args[0] == "-K" {
				fmt.Fprintf(&lines, "movie:kcat%d\t", i)
			}
			fmt.Fprintf(&lines, `{"userId":"%d","recordId":"kcat%d","recordType":"movie","value":7}`+"\n", j, i)
		}
		cmd := exec.CommandContext(t.Context(), "kcat", append([]string{"-P", "-b", s.addr, "-t", s.topic}, args...)...)
		cmd.Stdin = &lines
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("kcat %v: %v\n%s", args, err, out)
		}
		eventually(t, fmt.Sprintf("the events of kcat %v", args), func() bool { return f.votes(t, fmt.Sprint("kcat", i)) == 100 })
	}
	f.checkAudit(t)
}

// Compaction takes records out of the middle: their offsets never come, and the fence does not mind.
func testCompaction(t *testing.T, s *stream) {
	value := func(v string) *string { return &v }
	_, err := s.admin.CreateTopic(t.Context(), 1, 1, map[string]*string{
		"cleanup.policy": value("compact"), "min.cleanable.dirty.ratio": value("0.001"), "segment.bytes": value("1048576"), "segment.ms": value("200"),
		"min.compaction.lag.ms": value("0"), "max.compaction.lag.ms": value("500"),
	}, s.topic)
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	next := func() { // the same key again and again: only the last one survives
		s.publish(t, event("1", fmt.Sprint(n), 5, time.Now()))
		n++
	}
	for range 20 {
		next()
	}
	// Another client reads the log until it has a gap.
	eventually(t, "a gap in the log", func() bool {
		next() // rolls the segment, some time
		reader, err := kgo.NewClient(kgo.SeedBrokers(s.addr), kgo.ConsumeTopics(s.topic), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
		if err != nil {
			t.Fatal(err)
		}
		defer reader.Close()
		fetches := reader.PollFetches(t.Context())
		return fetches.NumRecords() > 0 && fetches.Records()[0].Offset > 5
	})
	cfg := realCfg(s)
	cfg.Partitions = 1
	f := start(t, sqltest.URL(t), cfg, nil)
	eventually(t, "ingestion to be at the end", func() bool { return f.ingested(t) == int64(n) })
	if f.votes(t, "1") >= int32(n) || f.votes(t, "1") == 0 || f.gauge(t, "movieexample_rating_ingest_fenced_batches_total") != 0 || f.halted(t, "") != "" {
		t.Errorf("%d votes of %d events, fenced %v, halted %q", f.votes(t, "1"), n, f.gauge(t, "movieexample_rating_ingest_fenced_batches_total"), f.halted(t, ""))
	}
	next()
	eventually(t, "an event after the gaps", func() bool {
		return f.ingested(t) == int64(n) && f.gauge(t, "movieexample_rating_ingest_lag_records") == 0
	})
	f.checkAudit(t)
}

// Where the broker stamps the records, its time counts and not the producer's.
func testLogAppendTime(t *testing.T, s *stream) {
	kind := "LogAppendTime"
	if _, err := s.admin.CreateTopic(t.Context(), 2, 1, map[string]*string{"message.timestamp.type": &kind}, s.topic); err != nil {
		t.Fatal(err)
	}
	f := start(t, sqltest.URL(t), realCfg(s), nil)
	r := event("1", "u", 5, time.Time{})
	r.Timestamp = time.Now().Add(-24 * time.Hour)
	before := time.Now().Add(-time.Second)
	s.publish(t, r)
	eventually(t, "the event", func() bool { return f.votes(t, "1") == 1 })
	resp, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: "1", UserId: "u"})
	if at := resp.GetRating().GetRatedAt().AsTime(); err != nil || at.Before(before) {
		t.Errorf("rated at %v, %v; want the broker's time", at, err)
	}
}

// The topic is deleted and recreated while the service runs, and again while it is stopped.
func testRecreated(t *testing.T, s *stream) {
	url := sqltest.URL(t)
	s.makeTopic(t)
	f := start(t, url, realCfg(s), nil)
	s.publish(t, event("1", "a", 5, time.Now()), event("1", "b", 5, time.Now()))
	eventually(t, "two events", func() bool { return f.ingested(t) == 2 })
	began := time.Now()
	recreated := s.remakeTopic(t, 2)
	u := dial(t, s.addr)
	u.topic = s.topic
	u.publish(t, event("2", "a", 5, time.Now()))
	eventually(t, "both partitions to be halted", func() bool {
		return f.halted(t, recreated.HexID()) != "" && f.gauge(t, "movieexample_rating_ingest_halted_partitions") == 2
	})
	t.Logf("noticed %v after the topic was deleted: %s", time.Since(began).Round(time.Millisecond), f.halted(t, recreated.HexID()))
	if n := f.votes(t, "2"); n != 0 {
		t.Errorf("%d votes of the new topic", n)
	}
	began = time.Now()
	for number := range int32(2) {
		f.resume(t, &ratingv1.ResumeIngestPartitionRequest{Topic: s.topic, Partition: number, From: earliest})
	}
	eventually(t, "the new topic's event", func() bool { return f.votes(t, "2") == 1 })
	t.Logf("ingested %v after it was resumed", time.Since(began).Round(time.Millisecond))
	f.close(t)
	again := u.remakeTopic(t, 2)
	g := start(t, url, realCfg(s), nil)
	g.checkHalted(t, "was deleted and recreated", again.HexID(), recreated.HexID())
}

// The log is cut at its beginning, before the service has read it.
func testDeletedRecords(t *testing.T, s *stream) {
	url := sqltest.URL(t)
	s.makeTopic(t)
	f := start(t, url, realCfg(s), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	f.close(t)
	s.publish(t, event("1", "a", 5, time.Now()), event("1", "b", 5, time.Now()), event("1", "c", 5, time.Now()))
	if _, err := s.admin.DeleteRecords(t.Context(), kadm.Offsets{s.topic: {0: {Topic: s.topic, Partition: 0, At: 2}}}); err != nil {
		t.Fatal(err)
	}
	g := start(t, url, realCfg(s), nil)
	g.checkHalted(t, "the records 0 to 1 were deleted from the log before they were ingested")
	g.resume(t, &ratingv1.ResumeIngestPartitionRequest{Topic: s.topic, From: earliest})
	eventually(t, "what is left", func() bool { return g.votes(t, "1") == 1 })
}

// Two members share the partitions, one leaves, one comes: every event counts once, and the list names the owners.
func testTwoMembers(t *testing.T, s *stream) {
	url := sqltest.URL(t)
	s.makeTopic(t)
	n := int32(0)
	publish := func() {
		for number := range int32(2) {
			r := event("1", fmt.Sprint(n), 5, time.Now())
			r.Partition = number
			s.publish(t, r)
			n++
		}
	}
	first := start(t, url, realCfg(s), nil)
	publish()
	eventually(t, "the first member to have both partitions", func() bool { return first.gauge(t, "movieexample_rating_ingest_records_total") == 2 })
	for range 3 {
		second := start(t, url, realCfg(s), nil)
		eventually(t, "the second to have one", func() bool {
			publish()
			return second.gauge(t, "movieexample_rating_ingest_records_total") > 0
		})
		before := first.gauge(t, "movieexample_rating_ingest_records_total")
		eventually(t, "the first to have the other", func() bool {
			publish()
			return first.gauge(t, "movieexample_rating_ingest_records_total") > before
		})
		if owners := first.list(t); owners[0].GetOwner() == "" || owners[1].GetOwner() == "" {
			t.Errorf("owners: %v", owners)
		}
		first.close(t)
		publish()
		eventually(t, "the second to have both", func() bool { return second.ingested(t) == int64(n) })
		first = second
	}
	eventually(t, "all events", func() bool { return first.votes(t, "1") == n })
	if f := first.gauge(t, "movieexample_rating_ingest_fenced_batches_total"); f != 0 {
		t.Errorf("fenced %v times, though every member left in good order", f)
	}
	first.checkAudit(t)
}

// What the configuration asks of the topic is what the broker has.
func testMinInSync(t *testing.T, s *stream) {
	cfg := realCfg(s)
	cfg.Partitions, cfg.Replication, cfg.MinInSyncReplicas = 3, 1, 1
	f := start(t, sqltest.URL(t), cfg, nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 3 })
	configs, err := s.admin.DescribeTopicConfigs(t.Context(), s.topic)
	if err != nil {
		t.Fatal(err)
	}
	rc, err := configs.On(s.topic, nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rc.Configs {
		if c.Key == "min.insync.replicas" && (c.MaybeValue() != "1" || c.Source.String() != "DYNAMIC_TOPIC_CONFIG") {
			t.Errorf("min.insync.replicas is %s by %s", c.MaybeValue(), c.Source)
		}
	}
	topic, err := kafka.DescribeTopic(t.Context(), s.client, s.topic)
	if err != nil || topic.Partitions != 3 || topic.Replication != 1 {
		t.Errorf("topic %+v, %v", topic, err)
	}
}

// The coordinator of the group is killed and stays away: another broker takes over, and the metrics tell the owners that it knows,
// also of partitions that are added then.
func TestOwnersAfterTheCoordinatorIsKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	k, err := servers.StartKafka(ctx, servers.KafkaConfig{Brokers: 3})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	s := dial(t, k.Bootstrap()[0])
	s.addr = strings.Join(k.Bootstrap(), ",")
	cfg := s.cfg()
	cfg.Brokers = k.Bootstrap()
	f := start(t, sqltest.URL(t), cfg, nil)
	owned := func(partitions int) func() bool {
		return func() bool {
			return f.series(t, "movieexample_rating_ingest_partition_owner") == partitions && f.gauge(t, "movieexample_rating_ingest_unowned_partitions") == 0
		}
	}
	eventually(t, "the owners", owned(2))
	coordinators := s.admin.FindGroupCoordinators(ctx, "rating")
	if err := coordinators.Error(); err != nil {
		t.Fatal(err)
	}
	killed := k.Brokers[coordinators["rating"].NodeID-1]
	if err := killed.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, b := range k.Brokers {
		if b != killed { // the client of the test asks one that lives
			s = dial(t, b.Address())
		}
	}
	began := time.Now()
	eventually(t, "more partitions", func() bool {
		r, err := s.admin.CreatePartitions(ctx, 2, s.topic)
		return err == nil && r.Error() == nil
	})
	eventually(t, "the owners of all partitions", owned(4))
	t.Logf("told %v after the kill", time.Since(began).Round(10*time.Millisecond))
	if killed.Running() {
		t.Error("the killed broker runs")
	}
}
