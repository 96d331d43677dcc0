package rating

import (
	"cmp"
	"slices"
	"time"
)

// arriving is a change of a batch whose event has no time: neither its own nor a timestamp of its record.
type arriving struct {
	change int // its index
	offset int64
}

// arrivals is a run of offsets. Its records without a time were first read at about the same moment, and get their times from that
// moment and from their offsets. So reading them again gives the same times, in the order of the log.
type arrivals struct {
	first, last int64 // offsets
	at          Micros
}

// time is the time of the record at an offset.
func (a arrivals) time(offset int64) Micros { return a.at + Micros(offset-a.first) }

// A run ends at this length, so that a record's time is close to when it was read.
const (
	arrivalsSpan = time.Second
	arrivalsMost = int64(time.Second / time.Microsecond) // offsets; each counts as a microsecond
)

// arrivalOf returns the run that has an offset. If there is none, it extends the run before the offset or adds a run, and changed
// is true.
func arrivalOf(runs []arrivals, offset int64, now Micros) (run arrivals, all []arrivals, changed bool) {
	i, _ := slices.BinarySearchFunc(runs, offset, func(a arrivals, offset int64) int { return cmp.Compare(a.last, offset) })
	if i < len(runs) && runs[i].first <= offset {
		return runs[i], runs, false
	}
	at := now
	if i > 0 {
		before := &runs[i-1]
		if now-before.at < Micros(arrivalsSpan/time.Microsecond) && offset-before.first < arrivalsMost {
			before.last = offset
			return *before, runs, true
		}
		at = max(at, before.time(before.last)+1)
	}
	if i < len(runs) { // skipped before: it is older than the records after it
		at = min(at, runs[i].at-Micros(min(runs[i].first-offset, arrivalsMost)))
	}
	run = arrivals{first: offset, last: offset, at: at}
	return run, slices.Insert(runs, i, run), true
}
