package rating

import (
	"context"
	"fmt"

	"movieexample.com/internal/sqldb"
)

// arrive sets the times of a batch's events that have none: the same as before, if they were read before. The caller holds the lock
// of the partition's offset.
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
		run, extended := arrivals{}, false
		run, runs, extended = arrivalOf(runs, a.offset, ToMicros(s.now()))
		changed[run.first] = changed[run.first] || extended
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

// arrivalsAround reads the runs that have offsets from first to last, the one before, and the one after.
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

// arrivalTime is the time of a dead letter's event that has none: its record's if that was ingested, and otherwise when the letter was
// written.
func (s *store) arrivalTime(ctx context.Context, q sqldb.Queryer, d deadLetter) (Micros, error) {
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

// forgetArrivals deletes the times of records that are no longer in the topic's log; first is the start of each partition's log.
func (s *store) forgetArrivals(ctx context.Context, topicID string, first map[int32]int64) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for number, offset := range first {
			if _, err := tx.ExecContext(ctx, "DELETE FROM ingest_arrivals WHERE topic_id = ? AND part = ? AND last_offset < ?", topicID, number, offset); err != nil {
				return fmt.Errorf("delete times of arrival: %w", err)
			}
		}
		return nil
	})
}
