package events_test

import (
	"math"
	"strings"
	"testing"
	"time"

	"movieexample.com/api/events"
)

// A record's timestamp is 64 bits that a producer chose: each has one meaning, and none overflows into another.
func TestRecordTime(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ms := now.UnixMilli()
	for _, c := range []struct {
		name    string
		millis  int64
		want    time.Time
		refused string
	}{
		{name: "none", millis: -1},
		{name: "none, as some write it", millis: 0},
		{name: "now", millis: ms, want: now},
		{name: "the first millisecond", millis: 1, want: time.UnixMilli(1)},
		{name: "24 hours ahead", millis: ms + 24*3600*1000, want: now.Add(24 * time.Hour)},
		{name: "a little more", millis: ms + 24*3600*1000 + 1, refused: "at most 24 hours ahead"},
		{name: "seconds", millis: ms / 1000, want: time.UnixMilli(ms / 1000)},
		{name: "microseconds", millis: ms * 1000, refused: "as microseconds"},
		{name: "nanoseconds", millis: ms * 1_000_000, refused: "as nanoseconds"},
		{name: "the largest", millis: math.MaxInt64, refused: "at most 24 hours ahead"},
		{name: "the first beyond a time in nanoseconds", millis: math.MaxInt64/1_000_000 + 1, refused: "at most 24 hours ahead"},
		{name: "2^58", millis: 1 << 58, refused: "at most 24 hours ahead"},
		{name: "before 1970", millis: -2, refused: "must be -1 (none), or 1970 or later, got -2 ms"},
		{name: "the smallest", millis: math.MinInt64, refused: "1970 or later"},
	} {
		got, err := events.RecordTime(c.millis, now)
		if c.refused != "" {
			if err == nil || !strings.Contains(err.Error(), c.refused) || events.Class(err) != "time-out-of-range" {
				t.Errorf("%s: %v, %v (class %q); want a refusal with %q", c.name, got, err, events.Class(err), c.refused)
			}
			continue
		}
		if err != nil || !got.Equal(c.want) {
			t.Errorf("%s: %v, %v; want %v", c.name, got, err, c.want)
		}
	}
}

func TestImplausible(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		at         time.Time
		fromRecord bool
		want       string
	}{
		{now, true, ""},
		{time.Date(1990, 1, 1, 0, 0, 0, 0, time.UTC), true, ""},
		{time.Date(1989, 12, 31, 23, 59, 59, 0, time.UTC), true, "before-1990"},
		{time.UnixMilli(now.Unix()), true, "seconds"},
		{time.UnixMilli(now.Unix()), false, "before-1990"}, // written out, it is not a number in another unit
		{time.UnixMilli(1), true, "before-1990"},
		{time.Time{}, true, ""},
	} {
		if got := events.Implausible(c.at, c.fromRecord, now); got != c.want {
			t.Errorf("%v, from the record %v: %q, want %q", c.at, c.fromRecord, got, c.want)
		}
	}
}
