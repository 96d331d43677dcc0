package rating

import (
	"context"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/api/events"
	"movieexample.com/internal/fault"
)

// recordTime is a record's timestamp, as the age of what waits needs it: zero where it has none, or none that can be its own.
func recordTime(r *kgo.Record) time.Time {
	millis, sure := recordMillis(r)
	if !sure || millis <= 0 || time.UnixMilli(millis).Before(events.Plausible()) {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}

// recordMillis is a record's timestamp in milliseconds since 1970. The client library multiplies it by a million, and that
// overflows: a result that is no whole number of milliseconds, or not positive, stands for several timestamps, so that sure is
// false, and [consumer.rawTimes] has to read the log's own bytes.
func recordMillis(r *kgo.Record) (millis int64, sure bool) {
	if r.Attrs.TimestampType() < 0 {
		return -1, true // the oldest format of records has no timestamps
	}
	nanos := r.Timestamp.UnixNano()
	return nanos / int64(time.Millisecond), nanos > 0 && nanos%int64(time.Millisecond) == 0
}

// decodeAll reads a run of records. The error is that the brokers did not tell what is to be known of one of them.
func (c *consumer) decodeAll(ctx context.Context, p partition, records []*kgo.Record) ([]logRecord, error) {
	out := make([]logRecord, len(records))
	var times map[int64]int64 // read when the first record needs them
	millis := func(r *kgo.Record) (int64, error) {
		if millis, sure := recordMillis(r); sure {
			return millis, nil
		}
		if times == nil {
			var err error
			if times, err = c.rawTimes(ctx, p, r.Offset, records[len(records)-1].Offset); err != nil {
				return 0, err
			}
		}
		if millis, found := times[r.Offset]; found {
			return millis, nil
		}
		return -1, nil // in an old format
	}
	for i, r := range records {
		var err error
		if out[i], err = c.decode(p, r, millis); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decode reads one record. millis tells a record's timestamp, which is asked only where it matters.
func (c *consumer) decode(p partition, r *kgo.Record, millis func(*kgo.Record) (int64, error)) (logRecord, error) {
	rec := logRecord{offset: r.Offset, marker: r.Attrs.IsControl()}
	if rec.marker {
		return rec, nil
	}
	now, written := c.now(), int64(-1)
	e, err := events.Decode(contentType(r), r.Value)
	fromRecord := e.RatedAt.IsZero() // also of one that was refused: a later version may understand it
	if fromRecord {
		var readErr error
		if written, readErr = millis(r); readErr != nil {
			return rec, readErr
		}
	} else if known, sure := recordMillis(r); sure {
		written = known
	}
	if err == nil {
		rec.change, rec.arrives, err = dated(e, written, now)
	}
	letter := letterOf(p, r, written)
	if err != nil {
		d := letter(events.Class(err), err)
		rec.dead = &d
		return rec, nil
	}
	rec.bury = letter
	if !rec.arrives {
		rec.implausible = events.Implausible(rec.change.At.Time(), fromRecord, now)
	}
	if rec.implausible != "" {
		c.doubts.note(p, r, rec.implausible, rec.change.At.Time(), e.ProviderID)
	}
	return rec, nil
}

// letterOf returns what makes a dead letter of a record that was written at millis.
func letterOf(p partition, r *kgo.Record, millis int64) func(class string, err error) deadLetter {
	return func(class string, err error) deadLetter {
		return deadLetter{
			partition: p, Offset: r.Offset, Class: class, Reason: err.Error(), RecordKey: r.Key, Payload: r.Value,
			ContentType: contentType(r), RecordTime: letterTime(millis),
		}
	}
}

// dated turns an event into the change that it asks for. An event without a time was rated at its record's, which was written
// at millis; one without either arrives: it gets a time when it is first ingested, and keeps it.
func dated(e events.Event, millis int64, now time.Time) (change Rating, arrives bool, err error) {
	if e.RatedAt.IsZero() {
		if e.RatedAt, err = events.RecordTime(millis, now); err != nil {
			return Rating{}, false, err
		}
		arrives = e.RatedAt.IsZero()
	}
	if err := e.CheckTime(now); err != nil {
		return Rating{}, false, err
	}
	value := e.Value
	if e.Type == events.Delete {
		value = tombstone
	}
	var at Micros
	if !arrives {
		at = ToMicros(e.RatedAt)
	}
	key := Key{Record: Record{Type: e.RecordType, ID: e.RecordID}, User: e.UserID}
	return newRating(key, value, at, e.ProviderID), arrives, nil
}

// contentType is the value of the record's header of that name. Where it is there more than once, the last one counts, as it
// does in Kafka's own API: what forwards records adds headers behind those that are there.
func contentType(r *kgo.Record) string {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == events.ContentTypeHeader {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// redecode reads a dead letter's event again. arrives: neither it nor its record has a time.
func redecode(d deadLetter, now time.Time) (change Rating, arrives bool, err error) {
	if d.Class == classUndecodable {
		return Rating{}, false, fault.Invalid("payload", "is a whole batch of records that could not be decoded, and no event: take the events out of it, publish them, and drop this dead letter")
	}
	e, err := events.Decode(d.ContentType, d.Payload)
	if err != nil {
		return Rating{}, false, err
	}
	return dated(e, millisOf(d.RecordTime), now)
}
