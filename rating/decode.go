package rating

import (
	"context"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/api/events"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/telemetry"
)

// recordTime is a record's timestamp as the lag needs it: zero if it has none, or an implausible one.
func recordTime(r *kgo.Record) time.Time {
	millis, sure := recordMillis(r)
	if !sure || millis <= 0 || time.UnixMilli(millis).Before(events.Plausible()) {
		return time.Time{}
	}
	return time.UnixMilli(millis)
}

// recordMillis is a record's timestamp in milliseconds since 1970. The client library multiplies it by a million, which may overflow: a
// result that is not a positive whole number of milliseconds is ambiguous. Then sure is false, and [rawTimes] must read the log's
// bytes.
func recordMillis(r *kgo.Record) (millis int64, sure bool) {
	if r.Attrs.TimestampType() < 0 {
		return -1, true // the oldest format of records has no timestamps
	}
	nanos := r.Timestamp.UnixNano()
	return nanos / int64(time.Millisecond), nanos > 0 && nanos%int64(time.Millisecond) == 0
}

// decoder decodes records.
type decoder struct {
	client *kgo.Client
	log    *slog.Logger
	now    func() time.Time
	// implausible limits lines by kind: a faulty producer sends many such events.
	implausible telemetry.Throttles
}

// decodeAll decodes a run of records. The error is that the brokers did not tell a record's timestamp.
func (d *decoder) decodeAll(ctx context.Context, p partition, records []*kgo.Record) ([]logRecord, error) {
	out := make([]logRecord, len(records))
	var times map[int64]int64 // read for the first record that needs them
	millis := func(r *kgo.Record) (int64, error) {
		if millis, sure := recordMillis(r); sure {
			return millis, nil
		}
		if times == nil {
			var err error
			if times, err = rawTimes(ctx, d.client, p, r.Offset, records[len(records)-1].Offset); err != nil {
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
		if out[i], err = d.decode(p, r, millis); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// decode decodes one record. millis returns a record's timestamp, and is called only if it matters.
func (d *decoder) decode(p partition, r *kgo.Record, millis func(*kgo.Record) (int64, error)) (logRecord, error) {
	rec := logRecord{offset: r.Offset, marker: r.Attrs.IsControl()}
	if rec.marker {
		return rec, nil
	}
	now, written := d.now(), int64(-1)
	e, err := events.Decode(contentType(r), r.Value)
	fromRecord := e.RatedAt.IsZero() // also of a refused event: a later version may accept it
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
		dead := letter(events.Class(err), err)
		rec.dead = &dead
		return rec, nil
	}
	rec.deadLetter = letter
	if !rec.arrives {
		rec.implausible = events.Implausible(rec.change.At.Time(), fromRecord, now)
	}
	if rec.implausible != "" {
		d.logImplausible(p, r, rec.implausible, rec.change.At.Time(), e.ProviderID)
	}
	return rec, nil
}

// logImplausible logs that an event's time is accepted but implausible.
func (d *decoder) logImplausible(p partition, r *kgo.Record, kind string, written time.Time, providerID string) {
	skipped, ok := d.implausible.TakeRepeated(kind, time.Now())
	if !ok {
		return
	}
	hint := "it is before 1990"
	if kind != "before-1990" {
		hint = "the record's timestamp is likely in " + kind + "; Kafka's are in milliseconds"
	}
	d.log.Warn("an event's time is implausible; the event is applied, and any newer one of the same user and record supersedes it",
		"partition", p.String(), "offset", r.Offset, "time", written, "likely", hint, "kafka_producer_id", r.ProducerID, "provider_id", providerID, "more_before", skipped)
}

// letterOf returns a function that makes a dead letter of a record written at millis.
func letterOf(p partition, r *kgo.Record, millis int64) func(class string, err error) deadLetter {
	return func(class string, err error) deadLetter {
		return deadLetter{
			partition: p, Offset: r.Offset, Class: class, Reason: err.Error(), RecordKey: r.Key, Payload: r.Value,
			ContentType: contentType(r), RecordTime: letterTime(millis),
		}
	}
}

// dated converts an event to a change. An event without a time gets that of its record, written at millis; an event without either
// arrives: it gets a time when it is first ingested, and keeps it.
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

// contentType is the value of the record's header of that name. Of several, the last one counts, as in Kafka's own API: forwarders
// append headers.
func contentType(r *kgo.Record) string {
	for i := len(r.Headers) - 1; i >= 0; i-- {
		if r.Headers[i].Key == events.ContentTypeHeader {
			return string(r.Headers[i].Value)
		}
	}
	return ""
}

// redecode decodes a dead letter's event again. arrives: neither it nor its record has a time.
func redecode(d deadLetter, now time.Time) (change Rating, arrives bool, err error) {
	if d.Class == classUndecodable {
		return Rating{}, false, fault.Invalid("payload", "is a whole batch of records that could not be decoded, and no event: extract its events, publish them, and drop this dead letter")
	}
	e, err := events.Decode(d.ContentType, d.Payload)
	if err != nil {
		return Rating{}, false, err
	}
	return dated(e, millisOf(d.RecordTime), now)
}
