package rating

import (
	"context"
	"fmt"
	"slices"

	"movieexample.com/internal/sqldb"
)

// before locks the records of changes, and reads the rows that the changes replace. No other transaction changes a rating of these
// records until this one ends.
func (s *store) before(ctx context.Context, tx *sqldb.Tx, changes []Rating) (map[Key]Rating, error) {
	rows := make(map[Key]Rating, len(changes))
	return rows, tx.Pipeline(ctx, s.lock(tx, changes), s.readBefore(changes, rows))
}

// readBefore reads the rows that changes replace into rows. Their records must be locked.
func (s *store) readBefore(changes []Rating, rows map[Key]Rating) sqldb.Statement {
	return sqldb.Statement{
		Doing: "read ratings before the change", N: len(changes), Text: s.selectBefore,
		Args: func(i int, dst []any) []any {
			k := &changes[i].Key
			return append(dst, k.Type, k.ID, k.User)
		},
		Scan: func(scan func(dest ...any) error) error {
			r, err := scanRating(scan)
			rows[r.Key] = r
			return err
		},
	}
}

// lock serializes changes of the same record across processes (ADR 012): a transaction that reads, folds and writes holds the lock
// of the record's aggregate. Without it, two first ratings of a film would both read nothing, because a missing row cannot be
// locked. Records are locked in the order of their keys, after an offset or a dead letter and before anything else, so that
// transactions do not deadlock. An engine with one writer needs no locks.
func (s *store) lock(tx *sqldb.Tx, changes []Rating) sqldb.Statement {
	if tx.Dialect().ForUpdate() == "" {
		return sqldb.Statement{}
	}
	records := make([]Record, len(changes))
	for i := range changes {
		records[i] = changes[i].Record
	}
	slices.SortFunc(records, Record.compare)
	records = slices.Compact(records)
	return sqldb.Statement{
		Doing: "lock records", N: len(records), Text: s.lockRecords,
		Args: func(i int, dst []any) []any { return append(dst, records[i].Type, records[i].ID, 0) },
	}
}

// rewrite changes the ratings with these keys in one transaction. rule gets the present rows, and returns the changes.
func (s *store) rewrite(ctx context.Context, keys []Rating, rule func(before map[Key]Rating) (changes []Rating)) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		before, err := s.before(ctx, tx, keys)
		if err != nil {
			return err
		}
		return s.apply(ctx, tx, before, rule(before))
	})
}

// apply writes the changes that win over the rows before, and their deltas, in the order of the keys.
func (s *store) apply(ctx context.Context, tx *sqldb.Tx, before map[Key]Rating, changes []Rating) error {
	rows, deltas := fold(before, changes)
	return s.save(ctx, tx, rows, deltas)
}

// save writes what fold returned.
func (s *store) save(ctx context.Context, tx *sqldb.Tx, rows []Rating, deltas []delta) error {
	return tx.Pipeline(ctx, s.writeRatings("write ratings", s.upsertRatings, rows), s.writeDeltas(deltas))
}

func (s *store) writeRatings(doing string, text func(n int) string, rows []Rating) sqldb.Statement {
	return sqldb.Statement{
		Doing: doing, N: len(rows), Text: text,
		Args: func(i int, dst []any) []any {
			r := &rows[i]
			return append(dst, r.Type, r.ID, r.User, r.Value, int64(r.At), r.EventID)
		},
	}
}

func (s *store) writeDeltas(deltas []delta) sqldb.Statement {
	return sqldb.Statement{
		Doing: "write aggregates", N: len(deltas), Text: s.addAggregates,
		Args: func(i int, dst []any) []any {
			d := &deltas[i]
			dst = append(dst, d.Type, d.ID, d.Votes, d.Sum)
			for _, n := range d.Counts {
				dst = append(dst, n)
			}
			return dst
		},
	}
}

// change is before and apply for changes most of whose keys are new: it inserts until a statement meets an existing row, and reads
// the existing rows only from there on. Almost everything in bulk is new, and looking up a missing row costs as much as looking up an
// existing one. It returns the existing rows it read, and how many rows it wrote.
func (s *store) change(ctx context.Context, tx *sqldb.Tx, changes []Rating) (before map[Key]Rating, winners int, err error) {
	if err := tx.Pipeline(ctx, s.lock(tx, changes)); err != nil {
		return nil, 0, err
	}
	rows, deltas := fold(nil, changes)
	inserted := 0
	for size := tx.Dialect().MaxRowsPerStatement(); inserted < len(rows); {
		// One statement at a time: rows that an earlier one inserted would look like existing rows.
		for size > len(rows)-inserted {
			size /= 2
		}
		some := rows[inserted : inserted+size]
		err := tx.Pipeline(ctx, s.writeRatings("insert ratings", s.insertRatings, some))
		if sqldb.Duplicate(err) {
			break // the statement inserted nothing, and the transaction is still good
		}
		if err != nil {
			return nil, 0, err
		}
		inserted += len(some)
	}
	if inserted == len(rows) {
		return nil, inserted, tx.Pipeline(ctx, s.writeDeltas(deltas))
	}
	// The two parts have no key in common, so their deltas add up.
	_, deltas = fold(nil, rows[:inserted])
	if err := tx.Pipeline(ctx, s.writeDeltas(deltas)); err != nil {
		return nil, 0, err
	}
	rest := rows[inserted:]
	before = make(map[Key]Rating, len(rest))
	if err := tx.Pipeline(ctx, s.readBefore(rest, before)); err != nil {
		return nil, 0, fmt.Errorf("%d of %d ratings: %w", len(rest), len(rows), err)
	}
	won, deltas := fold(before, rest)
	return before, inserted + len(won), s.save(ctx, tx, won, deltas)
}
