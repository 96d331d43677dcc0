package rating

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"movieexample.com/internal/sqldb"
)

// arriving is a change of a batch whose event has no time: neither its own nor a timestamp of its record.
type arriving struct {
	change int // its index
	offset int64
}

// arrivals is a run of offsets. Those of its records that have no time were first read at about one moment, and get their times
// from it and from their place: reading them again gives the same, and their order is that of the log.
type arrivals struct {
	first, last int64 // offsets
	at          Micros
}

// time is the time of the record at an offset.
func (a arrivals) time(offset int64) Micros { return a.at + Micros(offset-a.first) }

// A run ends when it has got this long, so that what it tells differs little from when the record was read.
const (
	arrivalsSpan = time.Second
	arrivalsMost = int64(time.Second / time.Microsecond) // offsets, each of which counts as a microsecond
)

// arrive gives the events of a batch that have no time their times: those that they had, if they were read before. The
// caller has the partition's offset locked.
func (s *store) arrive(ctx context.Context, tx *sqldb.Tx, b batch) error {
	if len(b.arrivals) == 0 {
		return nil
	}
	runs, err := s.arrivalsAround(ctx, tx, b.partition, b.arrivals[0].offset, b.arrivals[len(b.arrivals)-1].offset)
	if err != nil {
		return err
	}
	changed := make(map[int64]bool) // by first offset
	for _, a := range b.arrivals {
		run, isNew := arrivals{}, false
		run, runs, isNew = placeIn(runs, a.offset, ToMicros(s.now()))
		changed[run.first] = changed[run.first] || isNew
		b.changes[a.change].At = run.time(a.offset)
	}
	for _, run := range runs {
		if !changed[run.first] {
			continue
		}
		text := tx.Dialect().Upsert("ingest_arrivals", []string{"topic_id", "part", "first_offset"}, []string{"last_offset", "read_at"}, 1)
		if _, err := tx.ExecContext(ctx, text, b.TopicID, b.Number, run.first, run.last, int64(run.at)); err != nil {
			return fmt.Errorf("write times of arrival: %w", err)
		}
	}
	return nil
}

// placeIn returns the run that has an offset. Where there is none it extends the run before, or adds one (isNew).
func placeIn(runs []arrivals, offset int64, now Micros) (run arrivals, all []arrivals, isNew bool) {
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
	if i < len(runs) { // it was passed over before: it is older than what comes behind it
		at = min(at, runs[i].at-Micros(min(runs[i].first-offset, arrivalsMost)))
	}
	run = arrivals{first: offset, last: offset, at: at}
	return run, slices.Insert(runs, i, run), true
}

// arrivalsAround reads the runs that have offsets from first to last, the one before them, and the one behind.
func (s *store) arrivalsAround(ctx context.Context, queryer sqldb.Queryer, p partition, first, last int64) (runs []arrivals, err error) {
	add := func(scan scanFunc) error {
		var a arrivals
		err := scan(&a.first, &a.last, &a.at)
		runs = append(runs, a)
		return err
	}
	const columns = "SELECT first_offset, last_offset, read_at FROM ingest_arrivals WHERE topic_id = ? AND part = ? AND first_offset "
	for _, q := range []struct {
		text string
		args []any
	}{
		{columns + "< ? ORDER BY first_offset DESC LIMIT 1", []any{first}},
		{columns + ">= ? AND first_offset <= ? ORDER BY first_offset", []any{first, last}},
		{columns + "> ? ORDER BY first_offset LIMIT 1", []any{last}},
	} {
		if err := eachRow(ctx, queryer, add, q.text, append([]any{p.TopicID, p.Number}, q.args...)...); err != nil {
			return nil, fmt.Errorf("read times of arrival: %w", err)
		}
	}
	return runs, nil
}

// arrivalOf is the time of a dead letter's event that has none: the one that its record has, and when it was buried if it was not
// ingested yet.
func (s *store) arrivalOf(ctx context.Context, q sqldb.Queryer, d deadLetter) (Micros, error) {
	runs, err := s.arrivalsAround(ctx, q, d.partition, d.Offset, d.Offset)
	if err != nil {
		return 0, err
	}
	for _, a := range runs {
		if a.first <= d.Offset && d.Offset <= a.last {
			return a.time(d.Offset), nil
		}
	}
	return d.Created, nil
}

// forgetArrivals removes the times of records of a topic that its log has no more: first is where each partition's log begins.
func (s *store) forgetArrivals(ctx context.Context, topicID string, first map[int32]int64) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for number, offset := range first {
			if _, err := tx.ExecContext(ctx, "DELETE FROM ingest_arrivals WHERE topic_id = ? AND part = ? AND last_offset < ?", topicID, number, offset); err != nil {
				return fmt.Errorf("remove times of arrival: %w", err)
			}
		}
		return nil
	})
}
