package metadata

import (
	"context"
	"fmt"

	"movieexample.com/internal/sqldb"
)

// The names of the counters in the table sequences; schema/sqlite/00002_search.sql tells their purpose.
const (
	movieSequence = "movies"
	voteSequence  = "votes"
)

// numbers are positions in the feeds.
type numbers struct{ movies, votes int64 }

// numbers returns the numbers that were given out last.
func (s *store) numbers(ctx context.Context, q sqldb.Queryer) (n numbers, err error) {
	const query = "SELECT name, last_number FROM sequences WHERE name IN (?, ?)"
	err = each(ctx, q, query, []any{movieSequence, voteSequence}, func(scan func(...any) error) error {
		var (
			name string
			last int64
		)
		err := scan(&name, &last)
		if name == movieSequence {
			n.movies = last
		} else {
			n.votes = last
		}
		return err
	})
	if err != nil {
		return numbers{}, fmt.Errorf("read the feeds' numbers: %w", err)
	}
	return n, nil
}

// takeTurn waits until no other transaction that takes numbers of the counter runs, and blocks others until this one ends.
// It comes first in such a transaction: then what the transaction reads does not change, and it never waits for a second lock
// while it holds one. It sends the reads along, and returns the number that was given out last; [setNumber] gives out the next.
func takeTurn(ctx context.Context, tx *sqldb.Tx, sequence string, reads ...sqldb.Statement) (last int64, err error) {
	const missing = -1
	last = missing
	err = tx.Pipeline(ctx, append([]sqldb.Statement{{
		Doing: "wait for other writers of " + sequence, N: 1,
		Text: func(int) string {
			return "SELECT last_number FROM sequences WHERE name = ?" + tx.Dialect().ForUpdate()
		},
		Args: func(_ int, dst []any) []any { return append(dst, sequence) },
		Scan: func(scan func(...any) error) error { return scan(&last) },
	}}, reads...)...)
	if err == nil && last == missing { // without the counter, the feed would not grow
		err = fmt.Errorf("the counter %q is missing in the table sequences: restore a backup", sequence)
	}
	return last, err
}

// setNumber gives out a number of a counter: the one after the last. No other transaction gets it before this one, which has
// taken its turn, ends.
func setNumber(sequence string, next int64) sqldb.Statement {
	return sqldb.Statement{
		Doing: "take a number of " + sequence, N: 1,
		Text: func(int) string { return "UPDATE sequences SET last_number = ? WHERE name = ?" },
		Args: func(_ int, dst []any) []any { return append(dst, next, sequence) },
	}
}
