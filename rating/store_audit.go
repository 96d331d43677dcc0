package rating

import (
	"context"
	"slices"

	"movieexample.com/internal/sqldb"
)

// audited is one record's aggregate as it is stored and as its rows say.
type audited struct {
	Record
	stored, recomputed Aggregate
}

// audit recomputes aggregates of the records after the given one, from one snapshot of the database: limit records,
// and whatever records have rows without an aggregate between them. last is where the next page begins; done says that
// there is none.
func (s *store) audit(ctx context.Context, after Record, limit int) (out []audited, last Record, done bool, err error) {
	err = s.db.Snapshot(ctx, func(ctx context.Context, q sqldb.Queryer) error {
		found := make(map[Record]*audited)
		entry := func(r Record) *audited {
			a, ok := found[r]
			if !ok {
				a = &audited{Record: r}
				found[r] = a
			}
			return a
		}
		rangeText, args := " WHERE record_type >= ? AND (record_type > ? OR record_id > ?)", []any{after.Type, after.Type, after.ID}
		n := 0
		err := eachRow(ctx, q, func(scan scanFunc) error {
			d, err := scanAggregate(scan)
			entry(d.Record).stored = d.Aggregate
			last, n = d.Record, n+1
			return err
		}, "SELECT "+aggregateColumns+" FROM aggregates"+rangeText+" ORDER BY record_type, record_id LIMIT ?",
			append(slices.Clone(args), limit)...)
		if err != nil {
			return err
		}
		// The last page has no upper end, so that rows behind the last aggregate are seen too.
		if done = n < limit; !done {
			rangeText += " AND record_type <= ? AND (record_type < ? OR record_id <= ?)"
			args = append(args, last.Type, last.Type, last.ID)
		}
		err = eachRow(ctx, q, func(scan scanFunc) error {
			var r Record
			var value int
			var n int64
			if err := scan(&r.Type, &r.ID, &value, &n); err != nil {
				return err
			}
			a := &entry(r).recomputed
			a.Votes += n
			a.Sum += n * int64(value)
			a.Counts[value-Lowest] += n
			return nil
		}, "SELECT record_type, record_id, value, COUNT(*) FROM ratings"+rangeText+
			" AND value > 0 GROUP BY record_type, record_id, value", args...)
		if err != nil {
			return err
		}
		for _, a := range found {
			out = append(out, *a)
		}
		slices.SortFunc(out, func(a, b audited) int { return a.Record.compare(b.Record) })
		return nil
	})
	if err != nil {
		return nil, Record{}, false, storeError("audit aggregates", err)
	}
	return out, last, done, nil
}

func eachRow(ctx context.Context, q sqldb.Queryer, each func(scanFunc) error, text string, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
