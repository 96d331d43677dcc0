package sqlcopy

import (
	"cmp"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"strings"

	"movieexample.com/internal/sqldb"
)

// TableSum summarizes all rows of a table. Tables with equal sums have equal rows.
type TableSum struct {
	Rows     int64
	Checksum Checksum
}

// defaultBatch is the number of rows of a page, unless the caller sets one.
const defaultBatch = 4096

// pageBytes bounds the memory of a page, except for its last row. Two pages exist at the same time, and the driver holds their
// arguments once more.
const pageBytes = 4 << 20

// page is some rows of a table, in the order of their keys.
type page struct {
	rows [][]any // values in the order of the columns: nil, int64, string or []byte
	sum  Checksum
}

// eachPage calls do for each page of the rows after a key, while it reads the next page.
func (t *table) eachPage(ctx context.Context, db *sqldb.DB, after []any, limit int, do func(page) error) error {
	ctx, cancel := context.WithCancel(ctx)
	type read struct {
		page
		err error
	}
	pages := make(chan read)
	go func() {
		defer close(pages)
		size := limit
		for {
			p, err := t.page(ctx, db, after, size)
			if err != nil {
				err = fmt.Errorf("read %s of database %s: %w", t.name, db.Name(), err)
			} else if len(p.rows) == 0 {
				return
			} else {
				after = t.keyOf(p.rows[len(p.rows)-1])
			}
			select {
			case pages <- read{p, err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
			// A page that was cut off because of its size costs a connection on MySQL. Ask for fewer rows, then increase again.
			if len(p.rows) < size {
				size = len(p.rows)
			} else {
				size = min(2*size, limit)
			}
		}
	}()
	var err error
	for p := range pages {
		if err == nil {
			if err = p.err; err == nil {
				err = do(p.page)
			}
			if err != nil {
				cancel()
			}
		}
	}
	ended := ctx.Err() // the reader may have ended because of it, without an error
	cancel()
	if err == nil {
		err = ended
	}
	return err
}

// page reads at most limit rows after a key.
func (t *table) page(ctx context.Context, db *sqldb.DB, after []any, limit int) (p page, err error) {
	text := "SELECT " + strings.Join(t.names(), ",") + " FROM " + t.name
	var args []any
	if after != nil {
		var where string
		where, args = afterKey(db.Dialect(), t.keyNames(), after)
		text += " WHERE " + where
	}
	rows, err := db.Read().QueryContext(ctx, text+" ORDER BY "+strings.Join(t.keyNames(), ",")+" LIMIT ?", append(args, limit)...)
	if err != nil {
		return page{}, err
	}
	defer rows.Close()
	var encoded []byte
	dest := make([]any, len(t.columns))
	for size := 0; size < pageBytes && rows.Next(); {
		row := make([]any, len(t.columns))
		for i := range row {
			dest[i] = &row[i]
		}
		if err := rows.Scan(dest...); err != nil {
			return page{}, err
		}
		for i, c := range t.columns {
			if row[i], err = c.kind.value(row[i], db.Dialect()); err != nil {
				return page{}, fmt.Errorf("the row with %s: column %s %w", t.describe(row), c.name, err)
			}
		}
		encoded = encodeValues(encoded[:0], row)
		p.sum.add(checksumOf(sha256.Sum256(encoded)))
		p.rows = append(p.rows, row)
		const overhead = 16 // of a value in memory
		size += len(encoded) + overhead*len(row)
	}
	return p, rows.Err()
}

// afterKey is the condition for rows after a key. SQLite uses its index for a comparison of tuples and MySQL for alternatives; each
// reads the whole table for the other form.
func afterKey(d sqldb.Dialect, key []string, after []any) (text string, args []any) {
	if d == sqldb.SQLite {
		return "(" + strings.Join(key, ",") + ") > " + d.Placeholders(len(key), 1), after
	}
	var b strings.Builder
	for i := range key {
		if i > 0 {
			b.WriteString(" OR ")
		}
		b.WriteString("(")
		for j := range i {
			b.WriteString(key[j] + " = ? AND ")
		}
		b.WriteString(key[i] + " > ?)")
		args = append(args, after[:i+1]...)
	}
	return b.String(), args
}

// sumOf returns the sum of a table's rows. It stops after enough rows, unless enough is 0.
func (t *table) sumOf(ctx context.Context, db *sqldb.DB, enough int) (s TableSum, err error) {
	err = t.eachPage(ctx, db, nil, cmp.Or(enough, defaultBatch), func(p page) error {
		s.Rows += int64(len(p.rows))
		s.Checksum.add(p.sum)
		if enough > 0 && s.Rows >= int64(enough) {
			return errEnough
		}
		return nil
	})
	if errors.Is(err, errEnough) {
		err = nil
	}
	return s, err
}

var errEnough = errors.New("enough")
