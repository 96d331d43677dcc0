package sqldb

import (
	"context"
	"fmt"
)

// ExecRows runs a statement for n rows, many at a time. text returns the statement
// for the given number of rows (a method of [Dialect] makes it), args appends the
// arguments of row i to dst and returns it, in the order that the statement wants.
//
// The numbers of rows asked for are powers of two up to [Dialect.MaxRowsPerStatement], so
// that a handful of texts serves every n and each is parsed once. The rows are
// executed in order. An error says which rows it is about; it wraps the driver's.
func (tx *Tx) ExecRows(ctx context.Context, n int, text func(rows int) string, args func(i int, dst []any) []any) error {
	return inChunks(n, tx.dialect.MaxRowsPerStatement(), func(from, rows int, dst []any) ([]any, error) {
		for i := from; i < from+rows; i++ {
			dst = args(i, dst)
		}
		if _, err := tx.tx.ExecContext(ctx, text(rows), dst...); err != nil {
			return dst, fmt.Errorf("rows %d to %d of %d: %w", from+1, from+rows, n, err)
		}
		return dst, nil
	})
}

// QueryRows runs a query for n keys, many at a time, and calls scan for every row of
// every answer; scan gets the row's Scan method. text returns the query for the
// given number of keys ([Dialect.In] makes its condition), args appends the
// arguments of key i to dst. It is ExecRows for reading, and works on any [Queryer].
// The order of the answers is not the order of the keys.
//
// There are as few queries as possible: where ExecRows takes 4, 2 and 1 rows for 7, this
// asks for 8 keys, the last of them twice. A query costs more than a key that
// the engine has looked up already, but text must be about a set of keys, as In is.
func QueryRows(ctx context.Context, q Queryer, n int, text func(keys int) string, args func(i int, dst []any) []any,
	scan func(scan func(dest ...any) error) error,
) error {
	size := MaxRowsPerStatement
	if d, ok := q.(interface{ Dialect() Dialect }); ok {
		size = d.Dialect().MaxRowsPerStatement()
	}
	return inChunks(filledUp(n, size), size, func(from, keys int, dst []any) ([]any, error) {
		for i := from; i < from+keys; i++ {
			dst = args(min(i, n-1), dst)
		}
		rows, err := q.QueryContext(ctx, text(keys), dst...)
		if err != nil {
			return dst, err
		}
		defer rows.Close()
		for rows.Next() {
			if err := scan(rows.Scan); err != nil {
				return dst, err
			}
		}
		return dst, rows.Err()
	})
}

// filledUp returns the least number of keys, n or more, that makes the last query one of a power of two.
func filledUp(n, size int) int {
	full := n / size * size
	if full == n {
		return n
	}
	for size/2 >= n-full {
		size /= 2
	}
	return full + size
}

// inChunks calls do for consecutive ranges that cover 0 to n, with an empty slice
// whose memory is used again.
func inChunks(n, size int, do func(from, rows int, dst []any) ([]any, error)) error {
	var dst []any
	for from := 0; from < n; from += size {
		for size > n-from {
			size /= 2
		}
		var err error
		if dst, err = do(from, size, dst[:0]); err != nil {
			return err
		}
	}
	return nil
}
