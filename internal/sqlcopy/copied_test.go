package sqlcopy_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"movieexample.com/internal/sqlcopy"
	"movieexample.com/internal/sqldb"
)

// copied is a schema with all that a copy has to get right: keys of several columns and kinds, one in another order than
// the columns, texts that are bytes on MySQL, blobs, NULL, a table that is all key, and rows that the migration inserts.
func copied() fs.FS {
	const sqlite = `-- +goose Up
CREATE TABLE odd (
  note TEXT NOT NULL,
  n BIGINT NOT NULL,
  id VARCHAR(64) NOT NULL,
  folded TEXT NOT NULL,
  payload MEDIUMBLOB,
  maybe BIGINT,
  PRIMARY KEY (id, n)
);
CREATE TABLE tags (id VARCHAR(64) NOT NULL, tag VARCHAR(64) NOT NULL, PRIMARY KEY (tag, id));
CREATE TABLE numbers (name VARCHAR(16) NOT NULL, last_number BIGINT NOT NULL, PRIMARY KEY (name));
INSERT INTO numbers (name, last_number) VALUES ('first', 1), ('second', 0);
`
	mysql := strings.NewReplacer("VARCHAR", "VARBINARY", "folded TEXT", "folded BLOB", "CREATE TABLE", "CREATE TABLE IF NOT EXISTS",
		"('second', 0)", "('second', 0) ON DUPLICATE KEY UPDATE name = VALUES(name)").Replace(sqlite)
	return fstest.MapFS{"sqlite/00001_init.sql": {Data: []byte(sqlite)}, "mysql/00001_init.sql": {Data: []byte(mysql)}}
}

// openCopied opens a database, and migrates it where it is to be a source.
func openCopied(tb testing.TB, url string, migrate bool, wrap ...sqldb.Options) *sqldb.DB {
	tb.Helper()
	opt := sqldb.Options{ReadConns: 2}
	for _, o := range wrap {
		opt = o
	}
	db, err := sqldb.Open(tb.Context(), url, opt)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = db.Close() }) // twice is no error; what the first call said was looked at
	if migrate {
		if err := db.Migrate(tb.Context(), copied()); err != nil {
			tb.Fatal(err)
		}
	}
	return db
}

func file(tb testing.TB) string { return "sqlite:" + filepath.Join(tb.TempDir(), "test.db") }

func exec(tb testing.TB, db *sqldb.DB, text string, args ...any) {
	tb.Helper()
	if err := db.Write(tb.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, text, args...)
		return err
	}); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
}

// source is a database with rows in each table.
func source(tb testing.TB, rows int) *sqldb.DB {
	tb.Helper()
	db := openCopied(tb, file(tb), true)
	if err := db.Write(tb.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range rows {
			_, err := tx.ExecContext(ctx, "INSERT INTO odd (id, n, note, folded, payload, maybe) VALUES (?, ?, ?, ?, ?, ?)",
				fmt.Sprint("id ", i/3), i, "note", "é", []byte{0, byte(i)}, nil)
			if err == nil {
				_, err = tx.ExecContext(ctx, "INSERT INTO tags (id, tag) VALUES (?, ?)", fmt.Sprint(i), fmt.Sprint("tag ", i%2))
			}
			if err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		tb.Fatal(err)
	}
	exec(tb, db, "UPDATE numbers SET last_number = ? WHERE name = 'first'", rows)
	return db
}

// dump is all that an SQLite database holds, with the class of each value.
func dump(tb testing.TB, db *sqldb.DB) string {
	tb.Helper()
	var b strings.Builder
	for table, columns := range map[string][]string{
		"odd": {"id", "n", "note", "folded", "payload", "maybe"}, "tags": {"tag", "id"}, "numbers": {"name", "last_number"},
	} {
		var values []string
		for _, c := range columns {
			values = append(values, fmt.Sprintf("typeof(%[1]s) || ' ' || quote(%[1]s) || ' ' || hex(%[1]s)", c))
		}
		rows, err := db.Read().QueryContext(tb.Context(), "SELECT "+strings.Join(values, " || ', ' || ")+" FROM "+table)
		if err != nil {
			tb.Fatal(err)
		}
		for rows.Next() {
			var line string
			if err := rows.Scan(&line); err != nil {
				tb.Fatal(err)
			}
			b.WriteString(table + ": " + line + "\n")
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			tb.Fatal(err)
		}
	}
	lines := strings.Split(b.String(), "\n")
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// copyAll is a copy from beginning to end.
func copyAll(ctx context.Context, from, to *sqldb.DB, opt sqlcopy.Options) (*sqlcopy.Copy, error) {
	c, err := sqlcopy.New(ctx, from, to, copied(), opt)
	if err != nil {
		return nil, err
	}
	if err := c.Run(ctx); err != nil {
		return c, err
	}
	if _, err := c.Verify(ctx); err != nil {
		return c, err
	}
	return c, c.Finish(ctx)
}
