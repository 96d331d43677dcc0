package verify

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// event is the JSON form, written by hand: the check must not depend on the code that it checks.
type event struct {
	UserID     string `json:"userId"`
	RecordID   string `json:"recordId"`
	RecordType string `json:"recordType"`
	Value      int32  `json:"value,omitempty"`
	ProviderID string `json:"providerId,omitempty"`
	EventType  string `json:"eventType,omitempty"`
	RatedAt    string `json:"ratedAt,omitempty"`
}

func (e event) json() []byte {
	text, err := json.Marshal(e)
	if err != nil {
		panic(err) // texts and numbers
	}
	return text
}

// key is the documented key.
func (e event) key() []byte { return []byte(e.RecordType + ":" + e.RecordID) }

// at is a time as events have it.
func at(moment time.Time) string { return moment.UTC().Format(time.RFC3339Nano) }

// place is where a record is in the log.
type place struct {
	partition int32
	offset    int64
}

// publish writes records and returns their places. A record with a key goes where clients put it. One without a key goes to the
// partition of its number modulo the partitions, which spreads related records as widely as possible.
func (t *trial) publish(records ...*kgo.Record) []place {
	t.asking("publish %d records to topic %s, the first: %s", len(records), t.sys.topic, shorten(string(records[0].Value)))
	ctx, cancel := context.WithTimeout(t.ctx, patience)
	defer cancel()
	places := make([]place, len(records))
	for i, r := range records {
		cl := t.sys.keyed
		if r.Key == nil {
			cl, r.Partition = t.sys.placed, int32(i)%t.sys.partitions
		}
		// One after the other: their order is what some scenarios are about.
		got, err := cl.ProduceSync(ctx, r).First()
		if err != nil {
			t.fail("the record is in the log", "record %d: %v", i, err)
		}
		places[i] = place{got.Partition, got.Offset}
	}
	return places
}

// keyed and keyless make records of events.
func keyed(events ...event) []*kgo.Record {
	var out []*kgo.Record
	for _, e := range events {
		out = append(out, &kgo.Record{Key: e.key(), Value: e.json()})
	}
	return out
}

func keyless(events ...event) []*kgo.Record {
	var out []*kgo.Record
	for _, e := range events {
		out = append(out, &kgo.Record{Value: e.json()})
	}
	return out
}

// ingest publishes records, waits until ingestion is past them, and returns their places. The rating service says how far it is: every
// record before that is in the aggregates, so nothing late can come.
func (t *trial) ingest(records ...*kgo.Record) []place {
	places := t.publish(records...)
	t.ingested(places...)
	return places
}

func (t *trial) ingested(places ...place) {
	ends := map[int32]int64{}
	for _, p := range places {
		ends[p.partition] = max(ends[p.partition], p.offset+1)
	}
	t.eventually(func() {
		next := map[int32]int64{}
		for _, p := range ask(t, t.at(Rating).admin().ListIngestPartitions, &ratingv1.ListIngestPartitionsRequest{}).GetPartitions() {
			if p.GetTopic() != t.sys.topic {
				continue
			}
			t.must(p.GetHalted() == "", "ingestion continues", "partition %d is halted: %s", p.GetPartition(), p.GetHalted())
			next[p.GetPartition()] = max(next[p.GetPartition()], p.GetNextOffset())
		}
		for partition, end := range ends {
			t.must(next[partition] >= end, fmt.Sprintf("every record of partition %d before offset %d is ingested", partition, end),
				"ingestion is at offset %d", next[partition])
		}
	})
}

// deadLetters returns the dead letters of these places, and has them dropped at the end.
func (t *trial) deadLetters(places ...place) map[place][]*ratingv1.DeadLetter {
	found := map[place][]*ratingv1.DeadLetter{}
	var ids []string
	for token := ""; ; {
		page := ask(t, t.at(Rating).admin().ListDeadLetters, &ratingv1.ListDeadLettersRequest{PageSize: 200, PageToken: token})
		for _, d := range page.GetDeadLetters() {
			if p := (place{d.GetPartition(), d.GetOffset()}); d.GetTopic() == t.sys.topic && slices.Contains(places, p) {
				found[p] = append(found[p], d)
				ids = append(ids, d.GetId())
			}
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	t.after(func(ctx context.Context) error {
		if len(ids) == 0 {
			return nil
		}
		_, err := t.at(Rating).admin().DropDeadLetters(ctx, &ratingv1.DropDeadLettersRequest{Ids: ids})
		return errLeft(fmt.Sprintf("%d dead letters", len(ids)), err)
	})
	return found
}
