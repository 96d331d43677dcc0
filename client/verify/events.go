package verify

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/client/addresses"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/kafka"
)

// eventScenarios are about the forms in which events may come.
func eventScenarios() []Scenario {
	needs := []Part{Rating}
	return []Scenario{
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "An event in JSON sets the user's rating, with its time to the microsecond.", ask: eventJSON},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "An event in Protobuf that says so in its header counts like one in JSON.", ask: eventProtobuf},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "Events without a key, spread over the partitions, give the same result as those with one.", ask: eventKeyless},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "An event without a type is a put, and one without a time has its record's.", ask: eventDefaults},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "Names that the contract does not know are ignored.", ask: eventMore},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "Batches of foreign producers are read however they are compressed: gzip, snappy, lz4, zstd.", ask: eventCompressed},
		{Area: AreaEvents, Door: Kafka, Needs: []Part{Rating, Movie}, Promise: "An event that is in the aggregates is in the details of every movie instance within 2 s.", ask: eventShows},
	}
}

// rating is an event of the trial's record and user.
func (t *trial) rating(record, user string, value int32, when time.Time) event {
	return event{UserID: user, RecordID: record, RecordType: "movie", Value: value, ProviderID: "verify", EventType: "put", RatedAt: at(when)}
}

// past is a moment at which scenarios let people have rated.
func past() time.Time { return time.Date(2024, 5, 17, 20, 15, 0, 0, time.UTC) }

func eventJSON(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.forgetRating("movie", record, user)
	when := past().Add(123456 * time.Microsecond)
	t.ingest(keyed(t.rating(record, user, 7, when))...)
	got := t.rated("movie", record, user)
	same(t, "the value", got.GetValue(), 7)
	same(t, "the time", at(got.GetRatedAt().AsTime()), at(when))
	t.summed("movie", record, 7)
}

func eventProtobuf(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.forgetRating("movie", record, user)
	encode := func(e *ratingv1.RatingEvent, contentType string) *kgo.Record {
		value, err := proto.Marshal(e)
		if err != nil {
			panic(err) // valid texts and numbers
		}
		return &kgo.Record{
			Key: []byte("movie:" + record), Value: value,
			Headers: []kgo.RecordHeader{{Key: "content-type", Value: []byte(contentType)}},
		}
	}
	e := &ratingv1.RatingEvent{UserId: user, RecordId: record, RecordType: "movie", Value: 8, ProviderId: "verify", RatedAt: timestamppb.New(past())}
	t.ingest(encode(e, "application/protobuf"))
	t.summed("movie", record, 8)
	e.RatedAt, e.EventType = timestamppb.New(past().Add(time.Second)), ratingv1.EventType_EVENT_TYPE_DELETE
	t.ingest(encode(e, "application/x-protobuf"))
	t.unrated("movie", record)
}

func eventKeyless(t *trial) {
	record := t.name("record")
	var events []event
	var want []int32
	for i := range 6 {
		user := t.name("user")
		t.forgetRating("movie", record, user)
		events = append(events, t.rating(record, user, 1, past()), t.rating(record, user, int32(3+i), past().Add(time.Hour)))
		want = append(want, int32(3+i))
	}
	t.ingest(keyless(events...)...)
	t.summed("movie", record, want...)
}

func eventDefaults(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.forgetRating("movie", record, user)
	r := keyed(event{UserID: user, RecordID: record, RecordType: "movie", Value: 4})[0]
	r.Timestamp = past().Truncate(time.Millisecond)
	t.ingest(r)
	got := t.rated("movie", record, user)
	same(t, "the value", got.GetValue(), 4)
	same(t, "the time", at(got.GetRatedAt().AsTime()), at(r.Timestamp))
}

func eventMore(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.forgetRating("movie", record, user)
	t.ingest(&kgo.Record{Key: []byte("movie:" + record), Value: fmt.Appendf(nil,
		`{"source":{"app":"verify","tags":[1,2]},"userId":%q,"recordId":%q,"recordType":"movie","value":6,"eventType":null,"mood":"good"}`, user, record)})
	t.summed("movie", record, 6)
}

func eventCompressed(t *trial) {
	record := t.name("record")
	var places []place
	for i, codec := range []kgo.CompressionCodec{kgo.GzipCompression(), kgo.SnappyCompression(), kgo.Lz4Compression(), kgo.ZstdCompression()} {
		cl, err := t.sys.producer(kafka.Config{Brokers: addresses.Split(t.at(Kafka).addr), ClientID: "movieexample-verify"}, kgo.ProducerBatchCompression(codec))
		if err != nil {
			t.fail("a client", "%v", err)
		}
		var batch []*kgo.Record
		for j := range 3 { // that resemble each other, so that compression pays
			user := fmt.Sprintf("%s-%d-%d", t.id, i, j)
			t.forgetRating("movie", record, user)
			batch = append(batch, keyed(t.rating(record, user, int32(1+i), past()))...)
		}
		t.asking("publish %d compressed records (codec %d)", len(batch), i)
		ctx, cancel := context.WithTimeout(t.ctx, patience)
		results := cl.ProduceSync(ctx, batch...)
		cancel()
		cl.Close()
		if err := results.FirstErr(); err != nil {
			t.fail("the records are in the log", "%v", err)
		}
		for _, r := range results {
			places = append(places, place{r.Record.Partition, r.Record.Offset})
		}
	}
	t.ingested(places...)
	t.summed("movie", record, 1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4)
}

func eventShows(t *trial) {
	m := t.viewed(word(9))
	t.putMovie(m)
	user := t.name("user")
	t.forgetRating("movie", m.GetId(), user)
	t.ingest(keyed(t.rating(m.GetId(), user, 9, time.Now()))...)
	for _, d := range t.sys.reachable(Movie) {
		t.within(visible, func() {
			s := t.movie(d, m.GetId()).GetRatingSummary()
			same(t, "votes at "+d.addr, s.GetVotes(), 1)
			t.near("mean at "+d.addr, s.GetMean(), 9, 1e-9)
		})
	}
}
