package rating

import (
	"context"
	"fmt"
	"slices"

	"movieexample.com/internal/sqldb"
)

// before reads the rows that changes are about. Nobody else changes them, or any rating of their records, until the
// transaction ends.
func (s *store) before(ctx context.Context, tx *sqldb.Tx, changes []Rating) (map[Key]Rating, error) {
	rows := make(map[Key]Rating, len(changes))
	return rows, tx.Pipeline(ctx, s.lock(tx, changes), s.readBefore(changes, rows))
}

// readBefore reads the rows that changes are about into rows; their records are locked.
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

// lock makes those who change ratings of the same record take turns, in whichever process they are: whoever reads, folds
// and writes has the record's aggregate to itself meanwhile. Two who rate a film for the first time would otherwise both
// read nothing, since a row that is not there cannot be locked. The records are locked in the order of their keys, after
// an offset or a dead letter and before anything else, so that no two transactions wait for each other. On an engine with
// one writer every transaction is alone.
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

// apply is the one way in which ratings change where it is known what was there before: winners and their deltas, in the
// order of the keys.
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

// change is before and apply for changes of which most are the first of their key: it inserts as long as no row is there, and
// reads what was there only from the statement on that meets one. Almost all that comes in bulk is new, and a row that is not
// there is as dear to look for as one that is. It returns the rows that were there, and how many rows it wrote.
func (s *store) change(ctx context.Context, tx *sqldb.Tx, changes []Rating) (before map[Key]Rating, winners int, err error) {
	if err := tx.Pipeline(ctx, s.lock(tx, changes)); err != nil {
		return nil, 0, err
	}
	rows, deltas := fold(nil, changes)
	inserted := 0
	for size := tx.Dialect().MaxRowsPerStatement(); inserted < len(rows); {
		// One statement at a time: what those before it inserted would pass for rows that were there.
		for size > len(rows)-inserted {
			size /= 2
		}
		some := rows[inserted : inserted+size]
		err := tx.Pipeline(ctx, s.writeRatings("insert ratings", s.insertRatings, some))
		if sqldb.Duplicate(err) {
			break // the statement has inserted nothing, and the transaction goes on
		}
		if err != nil {
			return nil, 0, err
		}
		inserted += len(some)
	}
	if inserted == len(rows) {
		return nil, inserted, tx.Pipeline(ctx, s.writeDeltas(deltas))
	}
	// The keys of the two parts are different ones, so that their deltas add up.
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
