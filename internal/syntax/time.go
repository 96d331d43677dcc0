package syntax

import (
	"errors"
	"time"
)

// errTime says what a time must look like.
var errTime = errors.New(`must be an RFC 3339 time with zone, for example "2024-05-01T18:30:00Z"`)

// errLeap is about the one second that most clocks do not have.
var errLeap = errors.New(`must have a second below 60: a leap second is taken only as "23:59:60Z" on June 30 or December 31`)

// Time reads an RFC 3339 time: a date, "T", a time of day with any number of digits behind the point, and "Z" or the
// offset from UTC; "t" and "z" are the same. It returns UTC, cut to the microsecond. The error is a predicate that says what is
// allowed, and not what was given.
//
// A leap second has no place on the scale of Kafka, protobuf and the databases: it becomes the last microsecond before it. It is taken
// only where it can be, and only in UTC, because no pattern of a JSON schema can tell where it is elsewhere.
func Time(text string) (time.Time, error) {
	const fixed = len("2006-01-02T15:04:05")
	if len(text) <= fixed || text[4] != '-' || text[7] != '-' || text[10]|0x20 != 't' || text[13] != ':' || text[16] != ':' {
		return time.Time{}, errTime
	}
	century, year := twoDigits(text[0:2]), twoDigits(text[2:4])
	month, day := twoDigits(text[5:7]), twoDigits(text[8:10])
	hour, minute, second := twoDigits(text[11:13]), twoDigits(text[14:16]), twoDigits(text[17:19])
	bad := century|year|month|day|hour|minute|second < 0
	year += 100 * century
	nanos, at := 0, fixed
	if text[at] == '.' {
		digits := 0
		for at++; at < len(text) && text[at] >= '0' && text[at] <= '9'; at++ {
			if digits++; digits <= 9 {
				nanos = 10*nanos + int(text[at]-'0')
			}
		}
		bad = bad || digits == 0
		for ; digits < 9; digits++ {
			nanos *= 10
		}
	}
	offset := 0 // minutes
	switch zone := text[at:]; {
	case zone == "Z" || zone == "z":
	case len(zone) == len("+00:00") && (zone[0] == '+' || zone[0] == '-') && zone[3] == ':':
		hours, minutes := twoDigits(zone[1:3]), twoDigits(zone[4:6])
		bad = bad || hours|minutes < 0 || hours > 23 || minutes > 59
		if offset = 60*hours + minutes; zone[0] == '-' {
			offset = -offset
		}
	default:
		bad = true
	}
	if bad || month < 1 || month > 12 || day < 1 || day > daysIn(year, month) || hour > 23 || minute > 59 || second > 60 {
		return time.Time{}, errTime
	}
	if second == 60 {
		if offset != 0 || hour != 23 || minute != 59 || !(month == 6 && day == 30 || month == 12 && day == 31) {
			return time.Time{}, errLeap
		}
		second, nanos = 59, 999_999_000
	}
	t := time.Date(year, time.Month(month), day, hour, minute, second, nanos/1000*1000, time.UTC)
	if offset != 0 {
		t = t.Add(-time.Duration(offset) * time.Minute)
	}
	return t, nil
}

// twoDigits returns the number that two digits are, or -1 if they are none.
func twoDigits(s string) int {
	tens, ones := s[0]-'0', s[1]-'0'
	if tens > 9 || ones > 9 {
		return -1
	}
	return 10*int(tens) + int(ones)
}

func daysIn(year, month int) int {
	switch month {
	case 4, 6, 9, 11:
		return 30
	case 2:
		if year%4 == 0 && (year%100 != 0 || year%400 == 0) {
			return 29
		}
		return 28
	}
	return 31
}
