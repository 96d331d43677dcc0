package sqldb

import (
	"context"
	"fmt"
	"strings"
)

// Statement is one of several that [Tx.Pipeline] runs. Text and Args are those of [Tx.ExecRows], or of [QueryRows] where Scan is
// set.
type Statement struct {
	// Doing says what it is for, as errors should: "lock records".
	Doing string
	// N is how many rows or keys it is about. With 0 it is left out.
	N    int
	Text func(n int) string
	Args func(i int, dst []any) []any
	// Scan is called for every row of the answer. Nil: there are none. It must not use the transaction.
	Scan func(scan func(dest ...any) error) error
}

const (
	// Beyond these, statements go one by one, prepared: what a round trip costs does not show then, and formatting and parsing
	// the arguments each time would. A server takes 16 MiB at once, and has to hold it in memory.
	maxPipelineRows  = 512
	maxPipelineBytes = 256 << 10
)

// Pipeline runs statements in their order, as if each had been run alone: if one fails, those after it do not run. On
// MySQL they travel together, and with them the beginning of the transaction if they are the first: a round trip is what a
// statement costs where the server is far away. An error says what was being done; of statements that travelled together, it
// names all.
func (tx *Tx) Pipeline(ctx context.Context, statements ...Statement) error {
	if tx.dialect == MySQL {
		if text, args, ok := tx.joined(statements); ok {
			return tx.together(ctx, statements, text, args)
		}
	}
	for _, s := range statements {
		var err error
		if s.Scan != nil {
			err = QueryRows(ctx, tx, s.N, s.Text, s.Args, s.Scan)
		} else {
			err = tx.ExecRows(ctx, s.N, s.Text, s.Args)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", s.Doing, err)
		}
	}
	return nil
}

// joined puts the statements into one text; ok is false where they are too many, or too few.
func (tx *Tx) joined(statements []Statement) (text string, args []any, ok bool) {
	rows := 0
	for _, s := range statements {
		if rows += s.N; rows > maxPipelineRows {
			return "", nil, false
		}
	}
	var b strings.Builder
	limit, size := tx.dialect.MaxRowsPerStatement(), 0
	for _, s := range statements {
		n := s.N
		if s.Scan != nil {
			n = filledUp(n, limit)
		}
		_ = inChunks(n, limit, func(from, rows int, dst []any) ([]any, error) {
			if b.Len() > 0 {
				b.WriteString(";\n")
			}
			b.WriteString(s.Text(rows))
			for i := from; i < from+rows; i++ {
				dst = s.Args(min(i, s.N-1), dst)
			}
			args = append(args, dst...)
			return dst, nil
		})
	}
	for _, a := range args {
		switch v := a.(type) {
		case string:
			size += 2*len(v) + 3 // each byte may be escaped
		case []byte:
			size += 2*len(v) + 10
		default:
			size += 24
		}
	}
	return b.String(), args, b.Len() > 0 && b.Len()+size <= maxPipelineBytes
}

// together sends the text of all statements, and gives the answers to those that want one.
func (tx *Tx) together(ctx context.Context, statements []Statement, text string, args []any) (err error) {
	defer func() {
		if err != nil {
			var doing []string
			for _, s := range statements {
				if s.N > 0 {
					doing = append(doing, s.Doing)
				}
			}
			err = fmt.Errorf("%s: %w", strings.Join(doing, ", "), err)
		}
	}()
	ctx = context.WithValue(ctx, pipelined{}, true)
	var scans []func(func(...any) error) error // one for each answer
	for _, s := range statements {
		if s.Scan != nil {
			limit := tx.dialect.MaxRowsPerStatement()
			_ = inChunks(filledUp(s.N, limit), limit, func(int, int, []any) ([]any, error) {
				scans = append(scans, s.Scan)
				return nil, nil
			})
		}
	}
	if len(scans) == 0 {
		_, err = tx.tx.ExecContext(ctx, text, args...)
		return err
	}
	rows, err := tx.tx.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for i := 0; ; i++ {
		for rows.Next() {
			if i >= len(scans) {
				return fmt.Errorf("the server answered more than the %d queries", len(scans))
			}
			if err := scans[i](rows.Scan); err != nil {
				return err
			}
		}
		if !rows.NextResultSet() {
			if err := rows.Err(); err != nil {
				return err
			}
			if i != len(scans)-1 {
				return fmt.Errorf("the server answered %d of %d queries", i+1, len(scans))
			}
			return nil
		}
	}
}

// pipelined in a context says that the text has several statements.
type pipelined struct{}

func isPipelined(ctx context.Context) bool { return ctx.Value(pipelined{}) != nil }
