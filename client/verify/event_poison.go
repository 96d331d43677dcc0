package verify

import (
	"fmt"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// poisonScenarios are about events that cannot be applied.
func poisonScenarios() []Scenario {
	needs := []Part{Rating}
	return []Scenario{
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "A bad event becomes one dead letter, whole, with its class and a reason that names the field.", ask: poisonBuried},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "A bad event does not block the good ones after it, and is not counted with them.", ask: poisonPasses},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "A dead letter that is replayed and still bad is refused with its reason and kept.", ask: poisonReplayed},
		{Area: AreaEvents, Door: Kafka, Needs: needs, Promise: "A dead letter that is dropped is gone, and only that one.", ask: poisonDropped},
	}
}

// spoiled is a bad event, and what its dead letter must say.
type spoiled struct {
	class  string
	reason string // a part of it
	value  string
}

// spoil makes one bad event of every kind that a producer can send by mistake.
func spoil(record, user string) []spoiled {
	good := string(event{UserID: user, RecordID: record, RecordType: "movie", Value: 5, RatedAt: at(past())}.json())
	swap := func(old, with string) string { return strings.Replace(good, old, with, 1) }
	return []spoiled{
		{"not-json", "", "rating " + user},
		{"not-json", "", good[:len(good)-9]},
		{"not-an-object", "", `["` + user + `"]`},
		{"trailing-data", "", good + good},
		{"missing-field", "userId", swap(`"userId":"`+user+`",`, "")},
		{"missing-field", "value", swap(`"value":5,`, "")},
		{"bad-id", "recordId", swap(record, record+` `)},
		{"bad-record-type", "recordType", swap(`"movie"`, `"Movie"`)},
		{"value-out-of-range", "value", swap(`"value":5`, `"value":11`)},
		{"value-out-of-range", "value", swap(`"value":5`, `"value":0`)},
		{"value-not-integer", "value", swap(`"value":5`, `"value":4.5`)},
		{"wrong-type", "value", swap(`"value":5`, `"value":"5"`)},
		{"bad-event-type", "eventType", swap(`"value":5`, `"value":5,"eventType":"upsert"`)},
		{"misspelled-name", "event_type", swap(`"value":5`, `"value":5,"event_type":"delete"`)},
		{"duplicate-name", "value", swap(`"value":5`, `"value":5,"value":6`)},
		{"bad-time", "ratedAt", swap(at(past()), "yesterday")},
		{"time-out-of-range", "ratedAt", swap("2024-", "2999-")},
		{"bad-utf8", "", swap(user, user+"\xff")},
	}
}

// bury publishes bad events and returns them with their dead letters, which are dropped at the end. What else the records would
// do, if they were applied, is taken back too.
func (t *trial) bury(record, user string, bad []spoiled) []*ratingv1.DeadLetter {
	t.forgetRating("movie", record, user)
	var records []*kgo.Record
	for _, b := range bad {
		records = append(records, &kgo.Record{Key: []byte("movie:" + record), Value: []byte(b.value)})
	}
	places := t.ingest(records...)
	found := t.deadLetters(places...)
	var letters []*ratingv1.DeadLetter
	for i, p := range places {
		same(t, fmt.Sprintf("the number of dead letters of %s", shorten(bad[i].value)), len(found[p]), 1)
		letters = append(letters, found[p][0])
	}
	return letters
}

func poisonBuried(t *trial) {
	record, user := t.name("record"), t.name("user")
	bad := spoil(record, user)
	for i, d := range t.bury(record, user, bad) {
		about := "the dead letter of " + shorten(bad[i].value)
		same(t, "the class of "+about, d.GetClass(), bad[i].class)
		t.must(d.GetReason() != "", "a reason", "none in %s", about)
		t.has("the reason of "+about, d.GetReason(), bad[i].reason)
		same(t, "the payload of "+about, string(d.GetPayload()), bad[i].value)
		same(t, "the key of "+about, string(d.GetKey()), "movie:"+record)
		t.must(d.GetCreateTime() != nil && d.GetRecordTime() != nil, "times", "none in %s", about)
	}
	t.unrated("movie", record)
}

func poisonPasses(t *trial) {
	record, user, poisoner := t.name("record"), t.name("user"), t.name("user")
	t.forgetRating("movie", record, user)
	bad := spoil(record, poisoner)
	var records []*kgo.Record
	for i, v := range []int32{2, 4, 6} {
		records = append(records, keyed(t.rating(record, user, v, past().AddDate(0, 0, i)))...)
		records = append(records, &kgo.Record{Key: []byte("movie:" + record), Value: []byte(bad[i*5].value)})
	}
	last := t.name("user")
	t.forgetRating("movie", record, last)
	records = append(records, keyed(t.rating(record, last, 9, past()))...)
	places := t.ingest(records...)
	found := t.deadLetters(places...)
	t.summed("movie", record, 6, 9)
	for i, p := range places {
		want := 0
		if i < 6 && i%2 == 1 {
			want = 1
		}
		same(t, fmt.Sprintf("the number of dead letters of record %d (%s)", i, shorten(string(records[i].Value))), len(found[p]), want)
	}
}

func poisonReplayed(t *trial) {
	record, user := t.name("record"), t.name("user")
	d := t.bury(record, user, spoil(record, user)[8:9])[0]
	answer := ask(t, t.at(Rating).admin().ReplayDeadLetters, &ratingv1.ReplayDeadLettersRequest{Ids: []string{d.GetId()}})
	same(t, "replayed", answer.GetReplayed(), 0)
	same(t, "the number of refusals", len(answer.GetRefused()), 1)
	same(t, "the id refused", answer.GetRefused()[0].GetId(), d.GetId())
	t.has("the reason", answer.GetRefused()[0].GetReason(), "value")
	p := place{d.GetPartition(), d.GetOffset()}
	same(t, "the number of dead letters afterwards", len(t.deadLetters(p)[p]), 1)
	t.unrated("movie", record)
}

func poisonDropped(t *trial) {
	record, user := t.name("record"), t.name("user")
	two := t.bury(record, user, spoil(record, user)[8:10])
	dropped := ask(t, t.at(Rating).admin().DropDeadLetters, &ratingv1.DropDeadLettersRequest{Ids: []string{two[0].GetId()}})
	same(t, "dropped", dropped.GetDropped(), 1)
	gone, stays := place{two[0].GetPartition(), two[0].GetOffset()}, place{two[1].GetPartition(), two[1].GetOffset()}
	found := t.deadLetters(gone, stays)
	same(t, "the number of dead letters at its place", len(found[gone]), 0)
	same(t, "the number of dead letters at the other's", len(found[stays]), 1)
}
