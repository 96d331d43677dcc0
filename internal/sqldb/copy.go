package sqldb

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
)

// CopyOptions tunes a [Copy]. The zero value is right for production.
type CopyOptions struct {
	// StartOver empties a target in which an unfinished copy stands, whatever its source was, and begins anew. Rows that
	// did not come from an unfinished copy are never deleted.
	StartOver bool
	// BatchRows bounds the rows of one transaction. Zero means 4096 into MySQL, where more gain nothing, and 16384 into an
	// SQLite file, where they nearly double the speed: pages of its indexes are written less often.
	BatchRows int
	// Progress, where set, is called after each batch that was copied or read, from one goroutine at a time.
	Progress func(CopyProgress)
}

// CopyProgress is how far a copy is.
type CopyProgress struct {
	// Verifying is false while rows are copied, and true while those of both databases are read again.
	Verifying bool
	// Rows is how many rows have been dealt with, those of an earlier, interrupted run included, and Total how many there are.
	Rows, Total int64
}

// Copy moves all rows of one database into another one, of whichever engine, and proves it:
//
//	c, err := sqldb.NewCopy(ctx, from, to, schema, opt)  // begins, or goes on where an earlier run stopped
//	err = c.Run(ctx)                                     // every row is there
//	checks, err := c.Verify(ctx)                         // they are the same
//	err = c.Finish(ctx)                                  // the target may be used
//
// Rows go in the order of their primary keys, in batches of one transaction each. That transaction also says how far the
// copy is, in a table of the target (copy_progress), so that a program that was killed at any moment goes on behind its
// last batch when it is run again. As long as that table has rows, [DB.Migrate] refuses the database: nobody serves half of
// the data.
//
// Rows are inserted, never replaced: a row that is there already was not copied, and is an error.
//
// The source must not change meanwhile. A change does not go unnoticed: see [Copy.Verify].
type Copy struct {
	from, to *DB
	opt      CopyOptions
	tables   []*tableCopy
	resumed  bool
	rows     int64 // copied
	total    int64 // in the source when the copy began or went on
}

// tableCopy is how far the copy of one table is, as it stands in the target.
type tableCopy struct {
	copyTable
	copied int64 // rows; or toBeEmptied
	sum    Checksum
	after  []any // the key of the last row, nil: none
}

// toBeEmptied stands for the number of rows of a table that has some which must go first.
const toBeEmptied = -1

const (
	progressTable = "copy_progress"
	defaultBatch  = 4096
)

// NewCopy compares the two databases with the schema and with each other. It brings the target's schema up to date and marks
// the target as one that is being copied to, or finds out how far an earlier run came. schema is what [DB.Migrate] takes.
//
// It refuses a source whose schema is not that of this program, a source that is itself half a copy, and a target that has
// rows which no unfinished copy from this source has put there. Rows that the migrations insert do not count.
func NewCopy(ctx context.Context, from, to *DB, schema fs.FS, opt CopyOptions) (*Copy, error) {
	if opt.BatchRows <= 0 {
		opt.BatchRows = defaultBatch
		if to.dialect == SQLite {
			opt.BatchRows = 4 * defaultBatch
		}
	}
	if opt.Progress == nil {
		opt.Progress = func(CopyProgress) {}
	}
	c := &Copy{from: from, to: to, opt: opt}
	if err := c.prepare(ctx, schema); err != nil {
		return nil, to.explain(err)
	}
	return c, nil
}

func (c *Copy) prepare(ctx context.Context, schema fs.FS) error {
	if err := c.checkSource(ctx, schema); err != nil {
		return fmt.Errorf("copy from database %s: %w", c.from.name, err)
	}
	return withFresh(ctx, schema, func(fresh *DB) error {
		begun, err := c.checkTarget(ctx, schema, fresh)
		if err != nil {
			return fmt.Errorf("copy to database %s: %w", c.to.name, err)
		}
		tables, err := pairTables(ctx, fresh, c.from, c.to)
		if err != nil {
			return err
		}
		for _, t := range tables {
			n, err := t.count(ctx, c.from)
			if err != nil {
				return fmt.Errorf("count the rows of %s in database %s: %w", t.name, c.from.name, err)
			}
			c.total += n
			c.tables = append(c.tables, &tableCopy{copyTable: t})
		}
		switch {
		case begun && !c.opt.StartOver:
			c.resumed = true
			err = c.readProgress(ctx)
		case begun:
			err = c.mark(ctx)
		default:
			if err = c.untouched(ctx, fresh); err == nil {
				err = c.mark(ctx)
			}
		}
		if err != nil {
			return fmt.Errorf("copy to database %s: %w", c.to.name, err)
		}
		return nil
	})
}

// checkSource refuses what is not whole, or not of this program's schema.
func (c *Copy) checkSource(ctx context.Context, schema fs.FS) error {
	if err := c.from.refuseHalfCopy(ctx); err != nil {
		return err
	}
	migrations, err := c.from.Migrations(ctx, schema)
	if err != nil {
		return err
	}
	return checkVersions(migrations, "bring its schema up to date first, with 'movieexample migrate up' and the service's name")
}

func checkVersions(migrations []Migration, pending string) error {
	for _, m := range migrations {
		switch {
		case m.File == "":
			return fmt.Errorf("its schema is of a newer release, which applied migration %05d: copy with that release", m.Version)
		case m.AppliedAt.IsZero() && pending != "":
			return fmt.Errorf("it lacks migration %s: %s", m.File, pending)
		}
	}
	return nil
}

// checkTarget brings the target's schema up to date, unless a copy has begun; then it has to be.
func (c *Copy) checkTarget(ctx context.Context, schema fs.FS, fresh *DB) (begun bool, err error) {
	// First: in the database of another service, migrations of the same numbers would count as applied.
	if err := onlyTablesOf(ctx, fresh, c.to); err != nil {
		return false, fmt.Errorf("%w: copy into an empty database", err)
	}
	of, err := c.to.CopyInProgress(ctx)
	if err != nil {
		return false, err
	}
	migrations, err := c.to.Migrations(ctx, schema)
	if err != nil {
		return false, err
	}
	if of == "" {
		if err := checkVersions(migrations, ""); err != nil {
			return false, err
		}
		return false, c.to.Migrate(ctx, schema)
	}
	if of != c.from.name && !c.opt.StartOver {
		return false, fmt.Errorf("it has half a copy of another database, %s: finish that one, or give --start-over to delete what it has and copy %s", of, c.from.name)
	}
	return true, checkVersions(migrations, "the copy in it was begun by an older release: finish it with that one, or empty the database by hand")
}

// untouched refuses a target that has other rows than the migrations insert.
func (c *Copy) untouched(ctx context.Context, fresh *DB) error {
	for _, t := range c.tables {
		want, err := t.sumOf(ctx, fresh, 0)
		if err != nil {
			return err
		}
		// One more than there should be is enough to know.
		got, err := t.sumOf(ctx, c.to, int(want.Rows)+1)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("its table %s has rows, and they do not come from an unfinished copy: copy into an empty database. "+
				"If a copy into it was finished before, there is nothing left to do", t.name)
		}
	}
	return nil
}

// sumOf is the sum of a table's rows; it stops when it has seen so many, unless enough is 0.
func (t *copyTable) sumOf(ctx context.Context, db *DB, enough int) (s TableSum, err error) {
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

// createProgress makes the table. A user who may not drop tables leaves it behind, empty.
func (c *Copy) createProgress(ctx context.Context) error {
	text, tail := "VARCHAR", ""
	if c.to.dialect == MySQL {
		text, tail = "VARBINARY", " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin"
	}
	// Not in Write: to MySQL it would be the end of that transaction.
	_, err := c.to.writer.ExecContext(ctx, strings.ReplaceAll("CREATE TABLE IF NOT EXISTS "+progressTable+` (
  table_name TEXT_(64) NOT NULL,
  copied_from TEXT_(1000) NOT NULL,
  copied_rows BIGINT NOT NULL,
  copied_sum TEXT_(64) NOT NULL,
  last_key MEDIUMBLOB,
  PRIMARY KEY (table_name)
)`, "TEXT_", text)+tail)
	return err
}

// mark says in the target that a copy has begun, before there is anything of it.
func (c *Copy) mark(ctx context.Context) error {
	if err := c.createProgress(ctx); err != nil {
		return fmt.Errorf("create %s: %w", progressTable, err)
	}
	return c.to.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+progressTable); err != nil {
			return err
		}
		columns := []string{"table_name", "copied_from", "copied_rows", "copied_sum"}
		return tx.ExecRows(ctx, len(c.tables),
			func(rows int) string { return tx.dialect.Insert(progressTable, columns, rows) },
			func(i int, dst []any) []any {
				t := c.tables[i]
				t.copied = toBeEmptied
				return append(dst, t.name, c.from.name, t.copied, t.sum.String())
			})
	})
}

// readProgress finds out how far an earlier run came.
func (c *Copy) readProgress(ctx context.Context) error {
	for _, t := range c.tables {
		var sum string
		var key []byte
		err := c.to.readers.QueryRowContext(ctx, "SELECT copied_rows, copied_sum, last_key FROM "+progressTable+" WHERE table_name = ?", t.name).
			Scan(&t.copied, &sum, &key)
		if err == nil {
			err = t.sum.parse(sum)
		}
		if err == nil && len(key) > 0 {
			t.after, err = decodeValues(key)
		}
		if err == nil && t.after != nil && len(t.after) != len(t.key) {
			err = errors.New("its key is not one of this table")
		}
		if err != nil {
			return fmt.Errorf("read how far the copy of %s is: %w", t.name, err)
		}
		c.rows += max(t.copied, 0)
	}
	return nil
}

// Resumed reports whether an earlier run had begun.
func (c *Copy) Resumed() bool { return c.resumed }

// Run copies what is not copied yet. When it fails, what was copied stays, and a new Copy of the same databases goes on.
func (c *Copy) Run(ctx context.Context) error {
	c.opt.Progress(CopyProgress{Rows: c.rows, Total: c.total})
	// All before the first row: what comes into a table later is not ours to delete, and is noticed.
	for _, t := range c.tables {
		if t.copied == toBeEmptied {
			if err := c.empty(ctx, t); err != nil {
				return c.to.explain(fmt.Errorf("copy to database %s: empty %s: %w", c.to.name, t.name, err))
			}
		}
	}
	for _, t := range c.tables {
		err := t.eachPage(ctx, c.from, t.after, c.opt.BatchRows, func(p page) error {
			if err := c.insert(ctx, t, p); err != nil {
				return fmt.Errorf("copy to database %s: %w", c.to.name, err)
			}
			c.rows += int64(len(p.rows))
			c.opt.Progress(CopyProgress{Rows: c.rows, Total: max(c.total, c.rows)})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// empty deletes the rows that the migrations inserted, or an earlier copy that was given up.
func (c *Copy) empty(ctx context.Context, t *tableCopy) error {
	const bite = 10_000 // a transaction that the server takes back, or applies elsewhere, in a second
	text, args := "DELETE FROM "+t.name, []any(nil)
	if c.to.dialect == MySQL {
		text, args = text+" ORDER BY "+strings.Join(t.keyNames(), ",")+" LIMIT ?", []any{bite}
	}
	for deleted := int64(-1); deleted != 0; {
		err := c.to.Write(ctx, func(ctx context.Context, tx *Tx) error {
			result, err := tx.ExecContext(ctx, text, args...)
			if err != nil {
				return err
			}
			deleted, err = result.RowsAffected()
			return err
		})
		if err != nil {
			return err
		}
	}
	return c.to.Write(ctx, func(ctx context.Context, tx *Tx) error { return c.advance(ctx, tx, t, 0, Checksum{}, nil) })
}

// insert copies one batch. It and its position come together.
func (c *Copy) insert(ctx context.Context, t *tableCopy, p page) error {
	last, sum := t.keyOf(p.rows[len(p.rows)-1]), t.sum
	sum.add(p.sum)
	err := c.to.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if err := c.advance(ctx, tx, t, t.copied+int64(len(p.rows)), sum, last); err != nil {
			return err
		}
		return tx.ExecRows(ctx, len(p.rows),
			func(rows int) string { return tx.dialect.Insert(t.name, t.names(), rows) },
			func(i int, dst []any) []any { return append(dst, p.rows[i]...) })
	})
	if err != nil {
		return c.blame(ctx, t, p.rows, err)
	}
	t.after, t.sum = last, sum
	return nil
}

// advance moves the position of a table. Its row is the lock between two copies into the same database: the second finds
// that the position is not the one that it knows.
func (c *Copy) advance(ctx context.Context, tx *Tx, t *tableCopy, rows int64, sum Checksum, last []any) error {
	key := []byte(nil)
	if last != nil {
		key = encodeValues(nil, last)
	}
	result, err := tx.ExecContext(ctx, "UPDATE "+progressTable+" SET copied_rows = ?, copied_sum = ?, last_key = ? WHERE table_name = ? AND copied_rows = ? AND copied_from = ?",
		rows, sum.String(), key, t.name, t.copied, c.from.name)
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("table %s: %w", t.name, errMoved), err)
	}
	t.copied = rows // for the next transaction; if this one fails, the copy has ended
	return nil
}

var errMoved = errors.New("another copy into this database is under way: let one of them end, then run the other again")

// blame finds the row that the target did not take, if it was a row, and says which one it is.
func (c *Copy) blame(ctx context.Context, t *tableCopy, rows [][]any, err error) error {
	unknown := (*CommitError)(nil)
	if ctx.Err() != nil || errors.Is(err, errMoved) || errors.As(err, &unknown) || Transient(err) || Full(err) || ReadOnly(err) || Corrupt(err) {
		return err
	}
	var found error
	_ = c.to.Write(ctx, func(ctx context.Context, tx *Tx) error {
		for _, row := range rows {
			if _, err := tx.ExecContext(ctx, tx.dialect.Insert(t.name, t.names(), 1), row...); err != nil {
				found = fmt.Errorf("table %s does not take the row with %s: %w", t.name, t.describe(row), err)
				break
			}
		}
		return errEnough // nothing of it stays
	})
	if found != nil {
		return found
	}
	return err
}

// Finish gives the target the source's [DB.Identity], since it takes its place, and lets it be used. It is for after [Copy.Verify], and whatever else the caller wants to know.
func (c *Copy) Finish(ctx context.Context) error {
	err := c.to.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if err := c.inherit(ctx, tx); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM "+progressTable)
		return err
	})
	if err != nil {
		return c.to.explain(fmt.Errorf("finish the copy to database %s: %w", c.to.name, err))
	}
	if _, err := c.to.writer.ExecContext(ctx, "DROP TABLE "+progressTable); err != nil {
		// On MySQL the user of a service may not. The table is empty, and in nobody's way.
		c.to.log.DebugContext(ctx, "an empty table stays", slog.String("table", progressTable), slog.Any("error", err))
	}
	return nil
}

// CopyInProgress returns the name of the database that this one is a copy of, as long as the copy is not finished, and ""
// otherwise.
func (db *DB) CopyInProgress(ctx context.Context) (from string, err error) {
	exists, err := db.hasTable(ctx, progressTable)
	if err != nil || !exists {
		return "", err
	}
	err = db.readers.QueryRowContext(ctx, "SELECT coalesce(max(copied_from), '') FROM "+progressTable).Scan(&from)
	return from, err
}

// refuseHalfCopy keeps everybody but the copy itself from using half of the data.
func (db *DB) refuseHalfCopy(ctx context.Context) error {
	from, err := db.CopyInProgress(ctx)
	if err == nil && from != "" {
		err = unfinished(from)
	}
	return err
}

// unfinished is what whoever wants to use half a copy is told.
func unfinished(from string) error {
	return fmt.Errorf("it is an unfinished copy of %s: run the same 'movieexample copy' again, which goes on where it stopped", from)
}

// Checksum stands for the rows of a table, in whatever order: the sum, modulo 2^64 for each of its four words, of the
// SHA-256 of each row. A row is written for it as its columns in the order of their names, each as one byte for what it
// is and then the value: 0 NULL; 1 integer, 8 bytes, two's complement, big endian; 2 text and 3 blob, the length in bytes
// as 8 bytes and the bytes. What is text and what is a blob is as SQLite's schema has it, on every engine.
type Checksum [4]uint64

func (s *Checksum) add(o Checksum) {
	for i := range s {
		s[i] += o[i]
	}
}

// String returns 64 hexadecimal digits.
func (s Checksum) String() string {
	return fmt.Sprintf("%016x%016x%016x%016x", s[0], s[1], s[2], s[3])
}

func (s *Checksum) parse(text string) error {
	b, err := hex.DecodeString(text)
	if err != nil || len(b) != 8*len(s) {
		return fmt.Errorf("%q is no checksum", text)
	}
	*s = checksumOf([32]byte(b))
	return nil
}
