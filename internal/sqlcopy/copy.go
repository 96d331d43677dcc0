package sqlcopy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"movieexample.com/internal/sqldb"
)

// Options tunes a [Copy]. The zero value is right for production.
type Options struct {
	// StartOver empties a target that holds an unfinished copy of any source, and begins again. Rows that did not come from an
	// unfinished copy are never deleted.
	StartOver bool
	// BatchRows bounds the rows of one transaction. Zero means 4096 into MySQL, where more gain nothing, and 16384 into an
	// SQLite file, where they nearly double the speed: pages of its indexes are written less often.
	BatchRows int
	// Progress, if set, is called after each batch that was copied or read, from one goroutine at a time.
	Progress func(Progress)
}

// Progress is how far a copy is.
type Progress struct {
	// Verifying is false while rows are copied, and true while those of both databases are read again.
	Verifying bool
	// Rows is the number of rows done, including those of an earlier, interrupted run. Total is the number of all rows.
	Rows, Total int64
}

// Copy is a copy of one database into another one. Use [New].
type Copy struct {
	from, to *sqldb.DB
	opt      Options
	tables   []*tableCopy
	resumed  bool
	rows     int64 // copied
	total    int64 // in the source when the copy began or resumed
}

// tableCopy is the progress of one table, as recorded in the target.
type tableCopy struct {
	table
	copied int64 // rows; or toBeEmptied
	sum    Checksum
	after  []any // the key of the last row, nil: none
}

// toBeEmptied replaces the number of copied rows of a table whose rows must be deleted first.
const toBeEmptied = -1

// New compares the two databases with the schema and with each other. It migrates the target and marks it as an unfinished copy,
// or reads how far an earlier run got. schema is what [sqldb.DB.Migrate] takes.
//
// It refuses a source that has another schema than this program or is itself an unfinished copy, and a target with rows that do not
// come from an unfinished copy of this source. Rows that the migrations insert do not count.
func New(ctx context.Context, from, to *sqldb.DB, schema fs.FS, opt Options) (*Copy, error) {
	if opt.BatchRows <= 0 {
		opt.BatchRows = defaultBatch
		if to.Dialect() == sqldb.SQLite {
			opt.BatchRows = 4 * defaultBatch
		}
	}
	if opt.Progress == nil {
		opt.Progress = func(Progress) {}
	}
	c := &Copy{from: from, to: to, opt: opt}
	if err := c.prepare(ctx, schema); err != nil {
		return nil, err
	}
	return c, nil
}

func (c *Copy) prepare(ctx context.Context, schema fs.FS) error {
	if err := c.checkSource(ctx, schema); err != nil {
		return fmt.Errorf("copy from database %s: %w", c.from.Name(), err)
	}
	return withFresh(ctx, schema, func(fresh *sqldb.DB) error {
		begun, err := c.checkTarget(ctx, schema, fresh)
		if err != nil {
			return fmt.Errorf("copy to database %s: %w", c.to.Name(), err)
		}
		tables, err := pairTables(ctx, fresh, c.from, c.to)
		if err != nil {
			return err
		}
		for _, t := range tables {
			n, err := t.count(ctx, c.from)
			if err != nil {
				return fmt.Errorf("count the rows of %s in database %s: %w", t.name, c.from.Name(), err)
			}
			c.total += n
			c.tables = append(c.tables, &tableCopy{table: t})
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
			return fmt.Errorf("copy to database %s: %w", c.to.Name(), err)
		}
		return nil
	})
}

// checkSource refuses an unfinished copy, and a schema that is not this program's.
func (c *Copy) checkSource(ctx context.Context, schema fs.FS) error {
	if err := c.from.RefuseUnfinishedCopy(ctx); err != nil {
		return err
	}
	migrations, err := c.from.Migrations(ctx, schema)
	if err != nil {
		return err
	}
	return checkVersions(migrations, "bring its schema up to date first, with 'movieexample migrate up' and the service's name")
}

func checkVersions(migrations []sqldb.Migration, pending string) error {
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
func (c *Copy) checkTarget(ctx context.Context, schema fs.FS, fresh *sqldb.DB) (begun bool, err error) {
	// This comes first: in another service's database, migrations with the same numbers would count as applied.
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
	if of != c.from.Name() && !c.opt.StartOver {
		return false, fmt.Errorf("it has an unfinished copy of another database, %s: finish that copy, or use --start-over to delete it and copy %s", of, c.from.Name())
	}
	return true, checkVersions(migrations, "the copy in it was begun by an older release: finish it with that one, or empty the database by hand")
}

// untouched refuses a target that has other rows than the migrations insert.
func (c *Copy) untouched(ctx context.Context, fresh *sqldb.DB) error {
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
			return fmt.Errorf("its table %s has rows that do not come from an unfinished copy: copy into an empty database. "+
				"If a copy into it was finished before, there is nothing left to do", t.name)
		}
	}
	return nil
}

// createProgress creates the table. It may exist already, empty, if the user may not drop tables.
func (c *Copy) createProgress(ctx context.Context) error {
	text, tail := "VARCHAR", ""
	if c.to.Dialect() == sqldb.MySQL {
		text, tail = "VARBINARY", " ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin"
	}
	return c.to.ChangeSchema(ctx, strings.ReplaceAll("CREATE TABLE IF NOT EXISTS "+sqldb.CopyProgressTable+` (
  table_name TEXT_(64) NOT NULL,
  copied_from TEXT_(1000) NOT NULL,
  copied_rows BIGINT NOT NULL,
  copied_sum TEXT_(64) NOT NULL,
  last_key MEDIUMBLOB,
  PRIMARY KEY (table_name)
)`, "TEXT_", text)+tail)
}

// mark records in the target that a copy has begun, before the first row.
func (c *Copy) mark(ctx context.Context) error {
	if err := c.createProgress(ctx); err != nil {
		return fmt.Errorf("create %s: %w", sqldb.CopyProgressTable, err)
	}
	return c.to.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+sqldb.CopyProgressTable); err != nil {
			return err
		}
		columns := []string{"table_name", "copied_from", "copied_rows", "copied_sum"}
		return tx.ExecRows(ctx, len(c.tables),
			func(rows int) string { return tx.Dialect().Insert(sqldb.CopyProgressTable, columns, rows) },
			func(i int, dst []any) []any {
				t := c.tables[i]
				t.copied = toBeEmptied
				return append(dst, t.name, c.from.Name(), t.copied, t.sum.String())
			})
	})
}

// readProgress reads how far an earlier run got.
func (c *Copy) readProgress(ctx context.Context) error {
	for _, t := range c.tables {
		var sum string
		var key []byte
		err := c.to.Read().QueryRowContext(ctx, "SELECT copied_rows, copied_sum, last_key FROM "+sqldb.CopyProgressTable+" WHERE table_name = ?", t.name).
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

// Resumed reports whether Run resumes an earlier run.
func (c *Copy) Resumed() bool { return c.resumed }

// Run copies the remaining rows. If it fails, the copied rows stay, and a new Copy of the same databases resumes after them.
func (c *Copy) Run(ctx context.Context) error {
	c.opt.Progress(Progress{Rows: c.rows, Total: c.total})
	// Tables are emptied before the first row is copied: rows that appear later are not ours to delete, and Verify reports them.
	for _, t := range c.tables {
		if t.copied == toBeEmptied {
			if err := c.empty(ctx, t); err != nil {
				return fmt.Errorf("copy to database %s: empty %s: %w", c.to.Name(), t.name, err)
			}
		}
	}
	for _, t := range c.tables {
		err := t.eachPage(ctx, c.from, t.after, c.opt.BatchRows, func(p page) error {
			if err := c.insert(ctx, t, p); err != nil {
				return fmt.Errorf("copy to database %s: %w", c.to.Name(), err)
			}
			c.rows += int64(len(p.rows))
			c.opt.Progress(Progress{Rows: c.rows, Total: max(c.total, c.rows)})
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// empty deletes the rows that the migrations or an abandoned copy inserted.
func (c *Copy) empty(ctx context.Context, t *tableCopy) error {
	const bite = 10_000 // a transaction that the server takes back, or applies elsewhere, in a second
	text, args := "DELETE FROM "+t.name, []any(nil)
	if c.to.Dialect() == sqldb.MySQL {
		text, args = text+" ORDER BY "+strings.Join(t.keyNames(), ",")+" LIMIT ?", []any{bite}
	}
	for deleted := int64(-1); deleted != 0; {
		err := c.to.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
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
	return c.to.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return c.advance(ctx, tx, t, 0, Checksum{}, nil) })
}

// insert copies one batch and records its position in the same transaction.
func (c *Copy) insert(ctx context.Context, t *tableCopy, p page) error {
	last, sum := t.keyOf(p.rows[len(p.rows)-1]), t.sum
	sum.add(p.sum)
	err := c.to.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if err := c.advance(ctx, tx, t, t.copied+int64(len(p.rows)), sum, last); err != nil {
			return err
		}
		return tx.ExecRows(ctx, len(p.rows),
			func(rows int) string { return tx.Dialect().Insert(t.name, t.names(), rows) },
			func(i int, dst []any) []any { return append(dst, p.rows[i]...) })
	})
	if err != nil {
		return c.findRejected(ctx, t, p.rows, err)
	}
	t.after, t.sum = last, sum
	return nil
}

// advance moves the position of a table. If two copies run into the same database, the second finds an unexpected position and
// fails.
func (c *Copy) advance(ctx context.Context, tx *sqldb.Tx, t *tableCopy, rows int64, sum Checksum, last []any) error {
	key := []byte(nil)
	if last != nil {
		key = encodeValues(nil, last)
	}
	result, err := tx.ExecContext(ctx, "UPDATE "+sqldb.CopyProgressTable+" SET copied_rows = ?, copied_sum = ?, last_key = ? WHERE table_name = ? AND copied_rows = ? AND copied_from = ?",
		rows, sum.String(), key, t.name, t.copied, c.from.Name())
	if err != nil {
		return err
	}
	if n, err := result.RowsAffected(); err != nil || n != 1 {
		return errors.Join(fmt.Errorf("table %s: %w", t.name, errMoved), err)
	}
	t.copied = rows // for the next transaction; if this one fails, the copy has ended
	return nil
}

var errMoved = errors.New("another copy into this database is running: wait until it ends, then run this one again")

// findRejected returns an error that names the row that the target rejected, or err if it was not about a row.
func (c *Copy) findRejected(ctx context.Context, t *tableCopy, rows [][]any, err error) error {
	unknown := (*sqldb.CommitError)(nil)
	if ctx.Err() != nil || errors.Is(err, errMoved) || errors.As(err, &unknown) || sqldb.Transient(err) || sqldb.Full(err) || sqldb.ReadOnly(err) || sqldb.Corrupt(err) {
		return err
	}
	var found error
	_ = c.to.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, row := range rows {
			if _, err := tx.ExecContext(ctx, tx.Dialect().Insert(t.name, t.names(), 1), row...); err != nil {
				found = fmt.Errorf("table %s rejects the row with %s: %w", t.name, t.describe(row), err)
				break
			}
		}
		return errEnough // roll back
	})
	if found != nil {
		return found
	}
	return err
}

// Finish gives the target the source's [sqldb.DB.Identity] and allows it to be used. Call it after [Copy.Verify].
func (c *Copy) Finish(ctx context.Context) error {
	id, err := c.from.Identity(ctx)
	if err != nil {
		return err
	}
	err = c.to.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if id != "" { // a program that knows no identities has none to give
			if err := c.to.SetIdentity(ctx, tx, id); err != nil {
				return err
			}
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM "+sqldb.CopyProgressTable)
		return err
	})
	if err != nil {
		return fmt.Errorf("finish the copy to database %s: %w", c.to.Name(), err)
	}
	// On MySQL the user of a service may not drop tables. An empty one does no harm.
	_ = c.to.ChangeSchema(ctx, "DROP TABLE "+sqldb.CopyProgressTable)
	return nil
}
