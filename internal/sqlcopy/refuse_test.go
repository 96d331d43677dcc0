package sqlcopy_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/fstest"

	"movieexample.com/internal/sqlcopy"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

// interrupted is a target in which a copy stopped after some rows.
func interrupted(t *testing.T, from *sqldb.DB) (to *sqldb.DB) {
	t.Helper()
	to = openCopied(t, sqltest.URL(t), false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := copyAll(ctx, from, to, sqlcopy.Options{BatchRows: 2, Progress: func(p sqlcopy.Progress) {
		if p.Rows > 4 {
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("the copy was interrupted, and says %v", err)
	}
	return to
}

// Nothing that is there is lost by a copy, and nothing comes from two sources.
func TestCopyRefuses(t *testing.T) {
	ctx := t.Context()
	t.Run("a target with rows", func(t *testing.T) {
		to := openCopied(t, sqltest.URL(t), true)
		exec(t, to, "INSERT INTO tags (id, tag) VALUES ('mine', 'mine')")
		for _, startOver := range []bool{false, true} {
			_, err := copyAll(ctx, source(t, 3), to, sqlcopy.Options{StartOver: startOver})
			refused(t, err, to.Name(), "table tags has rows", "empty database")
		}
	})
	t.Run("a target of another service", func(t *testing.T) {
		to := openCopied(t, sqltest.URL(t), false)
		other := fstest.MapFS{"00001_init.sql": {Data: []byte("-- +goose Up\nCREATE TABLE others (id INTEGER NOT NULL PRIMARY KEY);\n")}}
		if err := to.Migrate(ctx, other); err != nil {
			t.Fatal(err)
		}
		_, err := copyAll(ctx, source(t, 3), to, sqlcopy.Options{})
		refused(t, err, to.Name(), "table others", "empty database")
	})
	t.Run("a target whose seeds were changed", func(t *testing.T) {
		to := openCopied(t, sqltest.URL(t), true)
		exec(t, to, "UPDATE numbers SET last_number = 7 WHERE name = 'second'")
		_, err := copyAll(ctx, source(t, 3), to, sqlcopy.Options{})
		refused(t, err, "table numbers has rows")
	})
	t.Run("a target that was copied to", func(t *testing.T) {
		from, to := source(t, 3), openCopied(t, sqltest.URL(t), false)
		if _, err := copyAll(ctx, from, to, sqlcopy.Options{}); err != nil {
			t.Fatal(err)
		}
		_, err := copyAll(ctx, from, to, sqlcopy.Options{})
		refused(t, err, "finished before, there is nothing left to do")
	})
	t.Run("half a copy of another source", func(t *testing.T) {
		first, second := source(t, 9), source(t, 4)
		to := interrupted(t, first)
		_, err := copyAll(ctx, second, to, sqlcopy.Options{})
		refused(t, err, first.Name(), second.Name(), "--start-over")
		if c, err := copyAll(ctx, second, to, sqlcopy.Options{StartOver: true}); err != nil || c.Resumed() {
			t.Errorf("starting over: %v", err)
		}
	})
	t.Run("half a copy as source", func(t *testing.T) {
		_, err := copyAll(ctx, interrupted(t, source(t, 9)), openCopied(t, file(t), false), sqlcopy.Options{})
		refused(t, err, "unfinished copy", "run the same 'movieexample copy' again")
	})
	t.Run("a source of an older or newer release", func(t *testing.T) {
		older := openCopied(t, file(t), false)
		_, err := copyAll(ctx, older, openCopied(t, file(t), false), sqlcopy.Options{})
		refused(t, err, older.Name(), "00001_init.sql", "movieexample migrate up")
		newer := openCopied(t, file(t), true)
		exec(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, 1)")
		_, err = copyAll(ctx, newer, openCopied(t, file(t), false), sqlcopy.Options{})
		refused(t, err, newer.Name(), "newer release", "00007")
		_, err = copyAll(ctx, source(t, 1), newer, sqlcopy.Options{})
		refused(t, err, newer.Name(), "newer release", "00007")
	})
	t.Run("tables and columns that are not the schema's", func(t *testing.T) {
		for text, want := range map[string][]string{
			"CREATE TABLE mine (id TEXT PRIMARY KEY)":       {"table mine", "not be copied"},
			"DROP TABLE tags":                               {"no table tags"},
			"ALTER TABLE tags ADD COLUMN colour TEXT":       {"table tags", "colour"},
			"ALTER TABLE numbers RENAME COLUMN name TO nom": {"table numbers", "nom"},
		} {
			from := source(t, 1)
			exec(t, from, text)
			_, err := copyAll(ctx, from, openCopied(t, file(t), false), sqlcopy.Options{})
			refused(t, err, append(want, from.Name())...)
		}
	})
	t.Run("values of another class than their columns", func(t *testing.T) {
		for value, want := range map[string]string{
			"note = x'00'":      "note holds a blob where the schema has a text",
			"payload = 'text'":  "payload holds a text where the schema has a blob",
			"payload = 5":       "payload holds an integer where the schema has a blob",
			"maybe = 'seven'":   "maybe holds a text where the schema has an integer",
			"maybe = 2.5":       "maybe holds a float64",
			"payload = 1.5e300": "payload holds a float64",
		} {
			from := source(t, 3)
			exec(t, from, "UPDATE odd SET "+value+" WHERE n = 1")
			_, err := copyAll(ctx, from, openCopied(t, sqltest.URL(t), false), sqlcopy.Options{})
			refused(t, err, from.Name(), `id = "id 0", n = 1`, want)
		}
	})
	t.Run("a row that is there already", func(t *testing.T) {
		from := source(t, 9)
		to := interrupted(t, from)
		exec(t, to, "INSERT INTO tags (id, tag) VALUES ('8', 'tag 0')")
		_, err := copyAll(ctx, from, to, sqlcopy.Options{})
		refused(t, err, to.Name(), `table tags rejects the row with tag = "tag 0", id = "8"`)
		if !sqldb.Duplicate(err) {
			t.Errorf("%v is no duplicate", err)
		}
	})
	t.Run("two copies at once", func(t *testing.T) {
		from, to := source(t, 9), openCopied(t, sqltest.URL(t), false)
		first, err := sqlcopy.New(ctx, from, to, copied(), sqlcopy.Options{BatchRows: 2})
		if err != nil {
			t.Fatal(err)
		}
		second, err := sqlcopy.New(ctx, from, to, copied(), sqlcopy.Options{BatchRows: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Run(ctx); err != nil {
			t.Fatal(err)
		}
		refused(t, second.Run(ctx), "another copy into this database is running")
	})
}

func refused(t *testing.T, err error, parts ...string) {
	t.Helper()
	if err == nil {
		t.Error("it is not refused")
		return
	}
	for _, p := range parts {
		if !strings.Contains(err.Error(), p) {
			t.Errorf("%v: want … %s …", err, p)
		}
	}
}
