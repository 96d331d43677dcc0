package events

import (
	"math"
	"time"
)

// Plausible is the earliest time that a rating may have without being remarkable: 1990-01-01, before the first rating site. An
// earlier one is accepted from 1970 on, and [Implausible] reports it: it is more often a wrong unit than a real time.
func Plausible() time.Time { return time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC) }

// Units that a producer may have taken for the milliseconds of a record's timestamp.
const (
	unitSeconds      = "seconds"
	unitMicroseconds = "microseconds"
	unitNanoseconds  = "nanoseconds"
)

// RecordTime is the time of a Kafka record, from its timestamp in milliseconds since 1970. The zero time means that it has none,
// which Kafka writes as -1, and some producers as 0. A timestamp before 1970, or more than [MaxAhead] after now, is an error
// with the class time-out-of-range; it names the unit that the producer is likely to have used.
func RecordTime(millis int64, now time.Time) (time.Time, error) {
	if millis == -1 || millis == 0 {
		return time.Time{}, nil
	}
	t := time.UnixMilli(millis).UTC() // not by nanoseconds, which overflow in the year 2262
	hint := ""
	if unit := likelyUnit(millis, now); unit != "" {
		hint = "; as " + unit + " it would be a likely time: Kafka's timestamps are in milliseconds"
	}
	switch {
	case millis < 0:
		return time.Time{}, refuse(classTimeRange, "timestamp", "of the record must be -1 (none), or 1970 or later, got %d ms%s", millis, hint)
	case t.After(now.Add(MaxAhead)):
		return time.Time{}, refuse(classTimeRange, "timestamp", "of the record must be at most %d hours ahead of now (%s), got %d ms (year %d)%s",
			int(MaxAhead.Hours()), now.UTC().Format(time.RFC3339), millis, t.Year(), hint)
	}
	return t, nil
}

// Implausible says what is remarkable about the time of an event that is accepted: "before-1990", or for a record's timestamp
// (fromRecord) that would be a likely time in another unit, the unit: "seconds". It is empty for a plausible time.
func Implausible(t time.Time, fromRecord bool, now time.Time) string {
	if t.IsZero() || !t.Before(Plausible()) {
		return ""
	}
	if fromRecord {
		if unit := likelyUnit(t.UnixMilli(), now); unit != "" {
			return unit
		}
	}
	return "before-1990"
}

// likelyUnit names the unit in which a number is a time from 1990 to now, "" if none but milliseconds.
func likelyUnit(n int64, now time.Time) string {
	likely := func(t time.Time) bool { return !t.Before(Plausible()) && !t.After(now.Add(MaxAhead)) }
	switch {
	case likely(time.UnixMilli(n)):
		return ""
	case n < math.MaxUint32 && likely(time.Unix(n, 0)):
		return unitSeconds
	case likely(time.UnixMicro(n)):
		return unitMicroseconds
	case likely(time.Unix(0, n)):
		return unitNanoseconds
	}
	return ""
}
