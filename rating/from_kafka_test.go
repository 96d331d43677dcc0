package rating_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/api/events"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// stream is a broker and a client of it: a producer like any other, and an administrator.
type stream struct {
	addr   string
	topic  string
	client *kgo.Client
	admin  *kadm.Client
}

// dial makes a stream of a broker. Records go to the partition that they name.
func dial(t testing.TB, addr string) *stream {
	t.Helper()
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{addr}}, kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cl.Close)
	return &stream{addr: addr, topic: "ratings", client: cl, admin: kadm.NewClient(cl)}
}

// cfg is a small configuration with few partitions.
func (s *stream) cfg() rating.Config {
	return rating.Config{Brokers: []string{s.addr}, Topic: s.topic, Partitions: 2, Retention: time.Hour, RetentionBytes: 256 << 20}
}

// makeTopic makes the topic before the service does.
func (s *stream) makeTopic(t testing.TB) kafka.Topic {
	t.Helper()
	topic, err := kafka.EnsureTopic(t.Context(), s.client, kafka.TopicConfig{Name: s.topic, Partitions: 2})
	if err != nil {
		t.Fatal(err)
	}
	return topic
}

func (s *stream) publish(t testing.TB, records ...*kgo.Record) {
	t.Helper()
	for _, r := range records {
		r.Topic = s.topic
	}
	if err := s.client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatalf("publish: %v", err)
	}
}

// event is the JSON event of a rating of a movie; value 0 deletes; without a time it has the record's.
func event(record, user string, value int, at time.Time) *kgo.Record {
	e := events.Event{RecordType: "movie", RecordID: record, UserID: user, Value: value, RatedAt: at}
	if value == 0 {
		e.Type = events.Delete
	}
	return &kgo.Record{Key: e.Key(), Value: e.AppendJSON(nil)}
}

// Every form that the contract allows gives the same kind of rating: JSON and Protobuf, with key and without, with a
// time and with the record's.
func TestEventsOfEveryForm(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	hour := time.Now().Add(-time.Hour).Truncate(time.Millisecond).UTC()

	pb := func(e *ratingv1.RatingEvent) []byte {
		b, err := proto.Marshal(e)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	header := func(v string) []kgo.RecordHeader { return []kgo.RecordHeader{{Key: "content-type", Value: []byte(v)}} }
	s.publish(t,
		event("json", "u", 5, hour.Add(1234*time.Microsecond)),
		&kgo.Record{Partition: 1, Value: []byte(`{"userId":"u","recordId":"keyless","recordType":"movie","value":6}`), Timestamp: hour},
		&kgo.Record{Value: []byte(`{"userId":"u","recordId":"typed","recordType":"movie","value":7}`), Headers: header("application/json; charset=utf-8")},
		&kgo.Record{Value: pb(&ratingv1.RatingEvent{
			UserId: "u", RecordId: "protobuf", RecordType: "movie", Value: 8, ProviderId: "p", RatedAt: timestamppb.New(hour),
		}), Headers: header("application/protobuf")},
		&kgo.Record{
			Partition: 1, Value: pb(&ratingv1.RatingEvent{UserId: "u", RecordId: "timeless", RecordType: "movie", Value: 9}),
			Headers: header("application/x-protobuf"), Timestamp: hour,
		},
		// The newest wins at any offset: the later record is the older rating.
		event("race", "u", 10, hour), &kgo.Record{Partition: 1, Value: event("race", "u", 1, hour.Add(-time.Minute)).Value},
		event("gone", "u", 0, hour), event("gone", "u", 4, hour.Add(-time.Second)),
	)
	eventually(t, "all events", func() bool { return f.ingested(t) == 9 })
	want := map[string]int32{"json": 5, "keyless": 6, "typed": 7, "protobuf": 8, "timeless": 9, "race": 10, "gone": 0}
	for record, value := range want {
		if got := f.value(t, record, "u"); got != value {
			t.Errorf("%s: value %d, want %d", record, got, value)
		}
	}
	for record, at := range map[string]time.Time{"json": hour.Add(1234 * time.Microsecond), "keyless": hour, "protobuf": hour, "timeless": hour} {
		resp, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: "u"})
		if err != nil || !resp.GetRating().GetRatedAt().AsTime().Equal(at) {
			t.Errorf("%s: rated at %v, %v; want %v", record, resp.GetRating().GetRatedAt().AsTime(), err, at)
		}
	}
	if l := f.deadLetters(t); len(l) != 0 {
		t.Errorf("dead letters: %v", l)
	}
	f.checkAudit(t)
	eventually(t, "the metric of the next offsets", func() bool { return f.gauge(t, "movieexample_rating_ingest_next_offset") == 9 })
	configs, err := s.admin.DescribeTopicConfigs(t.Context(), "ratings")
	if err != nil {
		t.Fatal(err)
	}
	rc, err := configs.On("ratings", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range rc.Configs {
		if c.Key == "retention.ms" && c.MaybeValue() != "3600000" {
			t.Errorf("the topic's retention is %s ms, want the configured hour", c.MaybeValue())
		}
		if c.Key == "retention.bytes" && c.MaybeValue() != "268435456" {
			t.Errorf("the topic keeps %s bytes, want the configured 256 MiB", c.MaybeValue())
		}
	}
}

// poisons has one event of every class, and its reason begins as given.
func poisons() map[string]*kgo.Record {
	with := func(change string) *kgo.Record { // one thing is wrong in an event that is good
		old, replaced, _ := strings.Cut(change, " -> ")
		return &kgo.Record{Value: []byte(strings.Replace(`{"userId":"u","recordId":"1","recordType":"movie","value":5}`, old, replaced, 1))}
	}
	typed := func(contentType, value string) *kgo.Record {
		return &kgo.Record{Value: []byte(value), Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte(contentType)}}}
	}
	return map[string]*kgo.Record{
		"empty":              {Key: []byte("movie:1")}, // a tombstone
		"too-large":          {Value: []byte(`{"pad":"` + strings.Repeat("x", events.MaxSize) + `"}`)},
		"bad-content-type":   typed("text/plain", "5"),
		"bad-utf8":           with("\"u\" -> \"\xff\""),
		"not-json":           with("} -> ,"),
		"not-an-object":      {Value: []byte(`[1]`)},
		"too-deep":           {Value: []byte(`{"x":` + strings.Repeat("[", 40) + strings.Repeat("]", 40) + `}`)},
		"trailing-data":      with("} -> }{}"),
		"duplicate-name":     with(`"value" -> "userId":"v","value"`),
		"misspelled-name":    with(`"userId" -> "user_id"`),
		"wrong-type":         with(`5 -> "5"`),
		"missing-field":      with(`"value":5 -> "x":5`),
		"bad-id":             with(`"u" -> " u"`),
		"bad-record-type":    with(`"movie" -> "Movie"`),
		"bad-event-type":     with(`"value" -> "eventType":"PUT","value"`),
		"value-not-integer":  with(`5 -> 5.5`),
		"value-out-of-range": with(`5 -> 11`),
		"bad-provider-id":    with(`"value" -> "providerId":"` + strings.Repeat("x", 129) + `","value"`),
		"bad-time":           with(`"value" -> "ratedAt":"yesterday","value"`),
		"time-out-of-range":  with(`"value" -> "ratedAt":"` + time.Now().Add(48*time.Hour).UTC().Format(time.RFC3339) + `","value"`),
		"not-protobuf":       typed("application/protobuf", "{}"),
	}
}

// Every class of poison becomes one dead letter, whole, and the good events around it count.
func TestPoisonOfEveryClass(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	all := poisons()
	classes := slices.Sorted(maps.Keys(all))
	if want := slices.Sorted(slices.Values(events.Classes())); !slices.Equal(classes, want) {
		t.Fatalf("the test has the classes %q, the contract %q", classes, want)
	}
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	for i, class := range classes {
		s.publish(t, event("good", fmt.Sprint("u", i), 7, time.Now()), all[class])
	}
	n := len(classes)
	eventually(t, "all events", func() bool { return f.ingested(t) == int64(2*n) })
	if got := f.votes(t, "good"); got != int32(n) {
		t.Errorf("%d good events counted, want %d", got, n)
	}
	letters := f.deadLetters(t)
	if len(letters) != n {
		t.Fatalf("%d dead letters, want %d", len(letters), n)
	}
	for i, l := range letters {
		r := all[classes[i]]
		if l.GetClass() != classes[i] || l.GetReason() == "" || string(l.GetPayload()) != string(r.Value) || string(l.GetKey()) != string(r.Key) ||
			l.GetTopic() != "ratings" || l.GetPartition() != 0 || l.GetOffset() != int64(2*i+1) || l.GetRecordTime() == nil {
			t.Errorf("dead letter of class %s:\n%v", classes[i], l)
		}
		t.Logf("%-18s %s", l.GetClass(), l.GetReason())
	}
	eventually(t, "the metric of all records", func() bool { return f.gauge(t, "movieexample_rating_ingest_records_total") == float64(2*n) })
	eventually(t, "the metric of dead letters", func() bool { return f.gauge(t, "movieexample_rating_dead_letters") == float64(n) })
	eventually(t, "a line in the log", func() bool { return strings.Contains(f.log.String(), "movieexample dead-letters list") })
	f.checkAudit(t)
}

// Latency of one event, from its publication to the aggregate. Whatever makes every event wait fails the test; what
// makes one of them wait on a busy machine does not.
func TestAnEventCountsSoon(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, t.TempDir(), "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "warm", 5, time.Time{}))
	eventually(t, "the first event", func() bool { return f.votes(t, "1") == 1 })
	best, worst := time.Hour, time.Duration(0)
	for i := range 5 {
		began := time.Now()
		s.publish(t, event("1", fmt.Sprint(i), 5, time.Time{}))
		eventually(t, "the event", func() bool { return f.votes(t, "1") == int32(i+2) })
		best, worst = min(best, time.Since(began)), max(worst, time.Since(began))
	}
	t.Logf("of 5 events the fastest took %v, the slowest %v", best, worst)
	if best > time.Second {
		t.Errorf("every event took %v or longer, want well under a second", best)
	}
}

// Ingestion continues at the database's offset. Kafka's offsets only show the lag.
func TestRestartGoesOnFromTheDatabase(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	for i := range 10 {
		s.publish(t, event("1", fmt.Sprint(i), 5, time.Now()))
	}
	eventually(t, "ten events", func() bool { return f.ingested(t) == 10 })
	committed := func(number int32) int64 {
		offsets, err := s.admin.FetchOffsets(t.Context(), "rating")
		if err != nil {
			t.Fatal(err)
		}
		o, _ := offsets.Lookup("ratings", number)
		return o.At
	}
	eventually(t, "the offset to be shown to Kafka", func() bool { return committed(0) == 10 })
	f.close(t)

	for _, wrong := range []int64{2, 13, 9999} {
		if err := s.admin.CommitAllOffsets(t.Context(), "rating", kadm.Offsets{"ratings": {0: {Topic: "ratings", Partition: 0, At: wrong}}}); err != nil {
			t.Fatal(err)
		}
		s.publish(t, event("1", fmt.Sprint("before ", wrong), 5, time.Now()))
		g := start(t, url, s.cfg(), nil)
		s.publish(t, event("1", fmt.Sprint("after ", wrong), 5, time.Now()))
		end := int64(12)
		if wrong == 13 {
			end = 14
		} else if wrong == 9999 {
			end = 16
		}
		eventually(t, "what was published meanwhile", func() bool { return g.ingested(t) == end })
		if got := g.votes(t, "1"); got != int32(end) {
			t.Errorf("after a start with Kafka's offset at %d: %d votes, want %d", wrong, got, end)
		}
		eventually(t, "the metric of the 2 new records", func() bool { return g.gauge(t, "movieexample_rating_ingest_records_total") == 2 })
		g.close(t)
	}
}

// Another process ingested the partition (its rebalance came too early): the service's next batch is fenced, writes nothing, and the
// service seeks to the stored offset.
func TestServiceIsFencedByTheDatabase(t *testing.T) {
	t.Parallel()
	s, url := dial(t, startBroker(t, "", "").Addr()), sqltest.URL(t)
	f := start(t, url, s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 5, time.Now()))
	eventually(t, "the first event", func() bool { return f.ingested(t) == 1 })
	execSQL(t, f.db, "UPDATE ingest_offsets SET next_offset = 3 WHERE part = 0")
	s.publish(t, event("1", "b", 5, time.Now()), event("1", "c", 5, time.Now()), event("1", "d", 5, time.Now()))
	eventually(t, "the rest", func() bool { return f.ingested(t) == 4 })
	if a, b, c, d := f.value(t, "1", "a"), f.value(t, "1", "b"), f.value(t, "1", "c"), f.value(t, "1", "d"); a != 5 || b != 0 || c != 0 || d != 5 {
		t.Errorf("ratings a %d, b %d, c %d, d %d; b and c were the other process's", a, b, c, d)
	}
	if n := f.gauge(t, "movieexample_rating_ingest_fenced_batches_total"); n != 1 {
		t.Errorf("fenced %v times, want once", n)
	}
	f.checkAudit(t)
}
