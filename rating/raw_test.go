package rating_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"github.com/twmb/franz-go/pkg/kbin"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
)

// startUnguarded starts a broker that checks only the header of a batch: other brokers may have in their logs whatever it
// acknowledges.
func startUnguarded(t *testing.T) *stream {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return dial(t, cluster.ListenAddrs()[0])
}

// rawRecord is a record as the wire has it, but for its length.
func rawRecord(offset int, timestampDelta int64, value string) []byte {
	b := []byte{0}
	b = kbin.AppendVarlong(b, timestampDelta)
	b = kbin.AppendVarint(b, int32(offset))
	b = kbin.AppendVarint(b, -1) // no key
	b = kbin.AppendVarintBytes(b, []byte(value))
	b = kbin.AppendVarint(b, 0) // no headers
	return append(kbin.AppendVarint(nil, int32(len(b))), b...)
}

// rawBatch makes a batch with a valid header and any content.
func rawBatch(count int, attributes int16, first int64, records []byte) []byte {
	b := kmsg.RecordBatch{
		PartitionLeaderEpoch: -1, Magic: 2, Attributes: attributes, LastOffsetDelta: int32(count - 1), FirstTimestamp: first, MaxTimestamp: first,
		ProducerID: -1, ProducerEpoch: -1, FirstSequence: -1, NumRecords: int32(count), Records: records,
	}
	raw := b.AppendTo(nil)
	b.Length = int32(len(raw) - 12)
	b.CRC = int32(crc32.Checksum(raw[21:], crc32.MakeTable(crc32.Castagnoli)))
	return b.AppendTo(nil)
}

// publishRaw appends a batch to partition 0.
func (s *stream) publishRaw(t testing.TB, id [16]byte, batch []byte) {
	t.Helper()
	req := kmsg.NewPtrProduceRequest()
	req.Acks, req.TimeoutMillis = -1, 5000
	topic := kmsg.NewProduceRequestTopic()
	topic.Topic, topic.TopicID = s.topic, id
	topic.Partitions = append(topic.Partitions, kmsg.ProduceRequestTopicPartition{Records: batch})
	req.Topics = append(req.Topics, topic)
	resp, err := req.RequestWith(t.Context(), s.client.Broker(int(s.leader(t))))
	if err != nil {
		t.Fatal(err)
	}
	if p := resp.Topics[0].Partitions[0]; p.ErrorCode != 0 {
		t.Fatalf("produce: %v %v", kerr.ErrorForCode(p.ErrorCode), p.ErrorMessage)
	}
}

func eventJSON(record, user string, value int) string {
	return fmt.Sprintf(`{"userId":%q,"recordId":%q,"recordType":"movie","value":%d,"providerId":"ts-test"}`, user, record, value)
}

// Each timestamp has one meaning, also in one batch with others: none overflows into "none" or into another time. An implausible
// one is applied, counted and logged.
func TestTimestampsOfRecords(t *testing.T) {
	t.Parallel()
	s := startUnguarded(t)
	id := s.makeTopic(t).ID
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	now := time.Now().Truncate(time.Millisecond)
	ms := now.UnixMilli()
	stamps := []struct {
		user   string
		millis int64
		at     time.Time // of the rating; zero: when it was read
		class  string    // of the dead letter
	}{
		{"now", ms, now, ""},
		{"seconds", ms / 1000, time.UnixMilli(ms / 1000), ""},
		{"old", 1, time.UnixMilli(1), ""},
		{"none", -1, time.Time{}, ""},
		{"zero", 0, time.Time{}, ""},
		{"microseconds", ms * 1000, time.Time{}, "time-out-of-range"},
		{"nanoseconds", ms * 1_000_000, time.Time{}, "time-out-of-range"},
		{"largest", math.MaxInt64, time.Time{}, "time-out-of-range"},
		{"smallest", math.MinInt64, time.Time{}, "time-out-of-range"},
		{"negative", -2, time.Time{}, "time-out-of-range"},
		{"2^58-1", 1<<58 - 1, time.Time{}, "time-out-of-range"}, // times a million the same as -1
		{"2^62", 1 << 62, time.Time{}, "time-out-of-range"},     // times a million the same as 0
	}
	var together []byte
	for i, c := range stamps {
		together = append(together, rawRecord(i, c.millis-ms, eventJSON("together", c.user, 7))...)
		s.publishRaw(t, id, rawBatch(1, 0, c.millis, rawRecord(0, 0, eventJSON("alone", c.user, 7))))
	}
	s.publishRaw(t, id, rawBatch(len(stamps), 0, ms, together))
	eventually(t, "all records", func() bool { return f.ingested(t) == int64(2*len(stamps)) })
	letters := map[string]string{}
	for _, l := range f.deadLetters(t) {
		letters[string(l.GetPayload())] = l.GetClass() + " " + l.GetReason()
	}
	for _, record := range []string{"alone", "together"} {
		for _, c := range stamps {
			letter := letters[eventJSON(record, c.user, 7)]
			if c.class != "" {
				if !strings.HasPrefix(letter, c.class+" timestamp") {
					t.Errorf("%s, %s: letter %q, want %s", record, c.user, letter, c.class)
				}
				continue
			}
			resp, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: c.user})
			if err != nil {
				t.Errorf("%s, %s: %v (letter %q)", record, c.user, err, letter)
				continue
			}
			got := resp.GetRating().GetRatedAt().AsTime()
			if c.at.IsZero() && (got.Before(now) || got.After(time.Now().Add(time.Second))) || !c.at.IsZero() && !got.Equal(c.at) {
				t.Errorf("%s, %s: rated at %v, want %v", record, c.user, got, c.at)
			}
		}
	}
	for _, unit := range []string{"as microseconds it would be", "as nanoseconds it would be"} {
		if !strings.Contains(fmt.Sprint(letters), unit) {
			t.Errorf("no letter says %q", unit)
		}
	}
	eventually(t, "the implausible times: those of seconds, old, none and zero", func() bool {
		return f.gauge(t, "movieexample_rating_ingest_implausible_times_total") == 2*4
	})
	if log := f.log.String(); !strings.Contains(log, "likely in seconds") || !strings.Contains(log, "provider_id=ts-test") || !strings.Contains(log, "it is before 1990") {
		t.Errorf("the log does not say what is implausible:\n%s", log)
	}
	// Read again, with a newer version that would understand them perhaps, what was out of range still is.
	resp, err := f.admin.ReplayDeadLetters(t.Context(), &ratingv1.ReplayDeadLettersRequest{Ids: idsOf(f.deadLetters(t))})
	if err != nil || resp.GetReplayed() != 0 {
		t.Errorf("replayed: %v, %v", resp, err)
	}
	f.checkAudit(t)
}

func idsOf(letters []*ratingv1.DeadLetter) (ids []string) {
	for _, l := range letters {
		ids = append(ids, l.GetId())
	}
	return ids
}

// An event without a time gets one once: reading it again changes nothing, also not what was rated since.
func TestEventsWithoutATimeAreReadTwice(t *testing.T) {
	t.Parallel()
	s := startUnguarded(t)
	id := s.makeTopic(t).ID
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	for _, value := range []int{5, 4, 3} { // the last one counts, as in the log
		s.publishRaw(t, id, rawBatch(2, 0, -1, append(rawRecord(0, 0, eventJSON("1", "u", value)), rawRecord(1, 0, eventJSON("1", "v", value))...)))
	}
	eventually(t, "six events", func() bool { return f.ingested(t) == 6 })
	if v := f.value(t, "1", "v"); v != 3 {
		t.Errorf("value %d, want the last one of the log, 3", v)
	}
	rated := func(user string) time.Time {
		resp, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: "1", UserId: user})
		if err != nil {
			t.Fatal(err)
		}
		return resp.GetRating().GetRatedAt().AsTime()
	}
	before := rated("v")
	f.put(t, "1", "u", 9)
	f.resume(t, &ratingv1.ResumeIngestPartitionRequest{From: earliest, Force: true})
	eventually(t, "the events to be read again", func() bool { return f.gauge(t, "movieexample_rating_ingest_records_total") == 12 })
	if u, v := f.value(t, "1", "u"), f.value(t, "1", "v"); u != 9 || v != 3 || !rated("v").Equal(before) {
		t.Errorf("values %d and %d at %v, want 9 and 3 at %v", u, v, rated("v"), before)
	}
	families, err := f.metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	results := map[string]float64{}
	for _, family := range families {
		if family.GetName() == "movieexample_rating_ingest_records_total" {
			for _, m := range family.GetMetric() {
				results[m.GetLabel()[0].GetValue()] = m.GetCounter().GetValue()
			}
		}
	}
	// The first reading applied each; of the second the one that counts is the same, and all others are older.
	if results["applied"] != 6 || results["superseded"] != 5 || results["repeated"] != 1 || results["refused"] != 0 {
		t.Errorf("results: %v", results)
	}
	f.checkAudit(t)
}

// The last of several headers of one name counts, as in Kafka's own API.
func TestContentTypeTwice(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	for user, types := range map[string][]string{"json-last": {"application/octet-stream", "application/json"}, "json-first": {"application/json", "application/octet-stream"}} {
		r := event("1", user, 5, time.Now())
		for _, v := range types {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: "content-type", Value: []byte(v)})
		}
		s.publish(t, r)
	}
	eventually(t, "both", func() bool { return f.ingested(t) == 2 })
	l := f.deadLetters(t)
	if f.value(t, "1", "json-last") != 5 || f.value(t, "1", "json-first") != 0 || len(l) != 1 || l[0].GetContentType() != "application/octet-stream" {
		t.Errorf("dead letters: %v", l)
	}
}

// A batch that cannot be decoded, or not within the bound, is one dead letter with all its bytes, and its partition continues.
func TestUndecodableBatches(t *testing.T) {
	t.Parallel()
	const gzip, snappy, lz4, zstdCodec = 1, 2, 3, 4
	good := func(user string) []byte { return rawRecord(0, 0, eventJSON("1", user, 5)) }
	var bomb bytes.Buffer
	z, err := zstd.NewWriter(&bomb)
	if err != nil {
		t.Fatal(err)
	}
	zeros := make([]byte, 1<<20)
	for range 256 {
		if _, err := z.Write(zeros); err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	junk := []byte("this is not compressed by anything at all")
	ms := time.Now().UnixMilli()
	for name, batch := range map[string][]byte{
		"junk as gzip":             rawBatch(3, gzip, ms, junk),
		"junk as snappy":           rawBatch(3, snappy, ms, junk),
		"junk as lz4":              rawBatch(3, lz4, ms, junk),
		"junk as zstd":             rawBatch(3, zstdCodec, ms, junk),
		"a bomb":                   rawBatch(3, zstdCodec, ms, bomb.Bytes()),
		"junk, not compressed":     rawBatch(3, 0, ms, bytes.Repeat([]byte{0xff}, 64)),
		"records without bytes":    rawBatch(3, 0, ms, nil),
		"one of three":             rawBatch(3, 0, ms, good("first")),
		"more than there are":      rawBatch(1000, 0, ms, good("first")),
		"a good one, then nothing": rawBatch(2, 0, ms, append(good("first"), 0x7e)),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, last := range []bool{true, false} { // with nothing after it, and with a valid batch already there
				s := startUnguarded(t)
				topic := s.makeTopic(t)
				s.publishRaw(t, topic.ID, rawBatch(1, 0, ms, good("before")))
				s.publishRaw(t, topic.ID, batch)
				if !last {
					s.publishRaw(t, topic.ID, rawBatch(1, 0, ms, good("behind")))
				}
				f := start(t, sqltest.URL(t), s.cfg(), nil)
				var letters []*ratingv1.DeadLetter
				eventually(t, "a dead letter", func() bool { letters = f.deadLetters(t); return len(letters) > 0 })
				if last {
					s.publishRaw(t, topic.ID, rawBatch(1, 0, ms, good("behind")))
				}
				eventually(t, "the partition to continue", func() bool { return f.value(t, "1", "behind") == 5 })
				letters = f.deadLetters(t)
				if len(letters) != 1 || letters[0].GetClass() != "undecodable-batch" || !strings.Contains(letters[0].GetReason(), "cannot be decoded") {
					t.Fatalf("last %v: dead letters %v", last, letters)
				}
				// But for the offset and the leader's epoch, which the broker writes.
				if got := letters[0].GetPayload(); len(got) != len(batch) || !bytes.Equal(got[16:], batch[16:]) {
					t.Errorf("last %v: the payload is not the batch: %s", last, hex.EncodeToString(got[:61]))
				}
				if n := f.gauge(t, "movieexample_rating_ingest_halted_partitions"); n != 0 || f.value(t, "1", "before") != 5 {
					t.Errorf("last %v: %v partitions halted", last, n)
				}
				if resp, err := f.admin.ReplayDeadLetters(t.Context(), &ratingv1.ReplayDeadLettersRequest{Ids: idsOf(letters)}); err != nil || len(resp.GetRefused()) != 1 ||
					!strings.Contains(resp.GetRefused()[0].GetReason(), "whole batch") {
					t.Errorf("replayed: %v, %v", resp, err)
				}
				t.Logf("%s", letters[0].GetReason())
				f.close(t)
			}
		})
	}
}

// leader is the broker that leads partition 0.
func (s *stream) leader(t testing.TB) int32 {
	t.Helper()
	topics, err := s.admin.ListTopics(t.Context(), s.topic)
	if err != nil {
		t.Fatal(err)
	}
	return topics[s.topic].Partitions[0].Leader
}
