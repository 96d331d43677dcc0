package sqldb_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"pgregory.net/rapid"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqlfault"
	"movieexample.com/internal/sqldb/sqltest"
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
func copyAll(ctx context.Context, from, to *sqldb.DB, opt sqldb.CopyOptions) (*sqldb.Copy, error) {
	c, err := sqldb.NewCopy(ctx, from, to, copied(), opt)
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

// Whatever the values are, they come back from the other engine as they were.
func TestCopyThereAndBack(t *testing.T) {
	text := rapid.OneOf(
		rapid.SampledFrom([]string{"", " ", "a", "A", "a ", "a\x00b", "\x00", "é", "e\u0301", "😀", "ﬀ", "'", `\`, "\"", "%", "\u2028", "\U0010ffff"}),
		rapid.StringN(0, 12, 48),
	)
	integer := rapid.OneOf(rapid.SampledFrom([]int64{0, -1, 1, math.MaxInt64, math.MinInt64, 1<<53 + 1}), rapid.Int64())
	blob := rapid.OneOf(rapid.SampledFrom([][]byte{nil, {}, {0}, {0xff, 0xfe}, []byte("text"), bytes.Repeat([]byte{7}, 70_000)}), rapid.SliceOfN(rapid.Byte(), 0, 40))
	rapid.Check(t, func(rt *rapid.T) {
		from := openCopied(t, file(t), true)
		if err := from.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) (err error) {
			insert := func(text string, args ...any) {
				if err == nil {
					_, err = tx.ExecContext(ctx, text, args...)
				}
			}
			insert("DELETE FROM numbers WHERE name = 'second'") // a seed that the source lost must not come back
			insert("UPDATE numbers SET last_number = ?", integer.Draw(rt, "number"))
			for range rapid.IntRange(0, 40).Draw(rt, "rows") {
				id, maybe := text.Draw(rt, "id"), any(nil)
				if rapid.Bool().Draw(rt, "known") {
					maybe = integer.Draw(rt, "maybe")
				}
				insert("INSERT INTO odd (id, n, note, folded, payload, maybe) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
					id, integer.Draw(rt, "n"), text.Draw(rt, "note"), text.Draw(rt, "folded"), blob.Draw(rt, "payload"), maybe)
				insert("INSERT INTO tags (id, tag) VALUES (?, ?) ON CONFLICT DO NOTHING", id, text.Draw(rt, "tag"))
			}
			return err
		}); err != nil {
			rt.Fatal(err)
		}
		there, back := openCopied(t, sqltest.URL(t), false), openCopied(t, file(t), false)
		opt := sqldb.CopyOptions{BatchRows: rapid.SampledFrom([]int{7, 100}).Draw(rt, "batch")}
		for _, pair := range [][2]*sqldb.DB{{from, there}, {there, back}} {
			if _, err := copyAll(t.Context(), pair[0], pair[1], opt); err != nil {
				rt.Fatal(err)
			}
			// What was a target can be used like any other.
			if err := pair[1].Migrate(t.Context(), copied()); err != nil {
				rt.Fatal(err)
			}
		}
		if before, after := dump(t, from), dump(t, back); before != after {
			rt.Fatalf("not the same; was\n%s\nis\n%s", before, after)
		}
		for _, db := range []*sqldb.DB{from, there, back} {
			if err := db.Close(); err != nil {
				rt.Fatal(err)
			}
		}
	})
}

// Whatever operation on the target fails, and however: the copy says so and nobody can use what is there, or it is done; and
// the same copy run again ends with the same rows.
func TestCopyGoesOnAfterEveryFault(t *testing.T) {
	from := source(t, 8)
	want := dump(t, from)
	fired, resumed := 0, 0
	for plan := range sqlfault.Sweep(sqlfault.ErrorAfter, sqlfault.LostAfter) {
		plan.Ops = []sqlfault.Op{sqlfault.Exec, sqlfault.Commit}
		if plan.Mode == sqlfault.ErrorAfter {
			plan.Ops = plan.Ops[1:] // a statement's error is no other than its loss
		}
		url := file(t)
		to := openCopied(t, url, false, sqldb.Options{ReadConns: 1, Wrap: plan.Wrap})
		plan.Start()
		_, err := copyAll(t.Context(), from, to, sqldb.CopyOptions{BatchRows: 3})
		plan.Stop()
		if closeErr := to.Close(); closeErr != nil && !errors.Is(closeErr, sqlfault.ErrInjected) {
			t.Fatalf("%v: close: %v", plan, closeErr)
		}
		if plan.Fired() {
			fired++
		}
		to = openCopied(t, url, false)
		of, progressErr := to.CopyInProgress(t.Context())
		if progressErr != nil {
			t.Fatal(progressErr)
		}
		switch {
		case of != "":
			resumed++
			if err == nil {
				t.Errorf("%v: success, but the copy is not finished", plan)
			}
			if err := to.Migrate(t.Context(), copied()); err == nil || !strings.Contains(err.Error(), "unfinished copy of "+from.Name()) {
				t.Errorf("%v: half a copy can be used: %v", plan, err)
			}
			if c, err := copyAll(t.Context(), from, to, sqldb.CopyOptions{BatchRows: 3}); err != nil || !c.Resumed() {
				t.Errorf("%v: going on: %v", plan, err)
			}
		case err != nil && dump0(t, to) != want: // it had not begun, or only the answer to the last commit was lost
			if c, err := copyAll(t.Context(), from, to, sqldb.CopyOptions{BatchRows: 3}); err != nil || c.Resumed() {
				t.Errorf("%v: once more: %v", plan, err)
			}
		}
		if got := dump(t, to); got != want {
			t.Errorf("%v (%v): not the same; want\n%s\ngot\n%s", plan, err, want, got)
		}
		if err := to.Close(); err != nil {
			t.Fatal(err)
		}
		if t.Failed() {
			return
		}
	}
	t.Logf("%d faults, %d copies resumed", fired, resumed)
	if fired < 60 || resumed < 40 {
		t.Errorf("%d faults, %d copies resumed: too few to mean anything", fired, resumed)
	}
}

// dump0 is dump of a database that may have no tables.
func dump0(tb testing.TB, db *sqldb.DB) string {
	tb.Helper()
	tables, err := db.Tables(tb.Context())
	if err != nil {
		tb.Fatal(err)
	}
	if len(tables) == 0 {
		return ""
	}
	return dump(tb, db)
}

// interrupted is a target in which a copy stopped after some rows.
func interrupted(t *testing.T, from *sqldb.DB) (to *sqldb.DB) {
	t.Helper()
	to = openCopied(t, sqltest.URL(t), false)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, err := copyAll(ctx, from, to, sqldb.CopyOptions{BatchRows: 2, Progress: func(p sqldb.CopyProgress) {
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
			_, err := copyAll(ctx, source(t, 3), to, sqldb.CopyOptions{StartOver: startOver})
			refused(t, err, to.Name(), "table tags has rows", "empty database")
		}
	})
	t.Run("a target of another service", func(t *testing.T) {
		to := openCopied(t, sqltest.URL(t), false)
		other := fstest.MapFS{"00001_init.sql": {Data: []byte("-- +goose Up\nCREATE TABLE others (id INTEGER NOT NULL PRIMARY KEY);\n")}}
		if err := to.Migrate(ctx, other); err != nil {
			t.Fatal(err)
		}
		_, err := copyAll(ctx, source(t, 3), to, sqldb.CopyOptions{})
		refused(t, err, to.Name(), "table others", "empty database")
	})
	t.Run("a target whose seeds were changed", func(t *testing.T) {
		to := openCopied(t, sqltest.URL(t), true)
		exec(t, to, "UPDATE numbers SET last_number = 7 WHERE name = 'second'")
		_, err := copyAll(ctx, source(t, 3), to, sqldb.CopyOptions{})
		refused(t, err, "table numbers has rows")
	})
	t.Run("a target that was copied to", func(t *testing.T) {
		from, to := source(t, 3), openCopied(t, sqltest.URL(t), false)
		if _, err := copyAll(ctx, from, to, sqldb.CopyOptions{}); err != nil {
			t.Fatal(err)
		}
		_, err := copyAll(ctx, from, to, sqldb.CopyOptions{})
		refused(t, err, "finished before, there is nothing left to do")
	})
	t.Run("half a copy of another source", func(t *testing.T) {
		first, second := source(t, 9), source(t, 4)
		to := interrupted(t, first)
		_, err := copyAll(ctx, second, to, sqldb.CopyOptions{})
		refused(t, err, first.Name(), second.Name(), "--start-over")
		if c, err := copyAll(ctx, second, to, sqldb.CopyOptions{StartOver: true}); err != nil || c.Resumed() {
			t.Errorf("starting over: %v", err)
		}
	})
	t.Run("half a copy as source", func(t *testing.T) {
		_, err := copyAll(ctx, interrupted(t, source(t, 9)), openCopied(t, file(t), false), sqldb.CopyOptions{})
		refused(t, err, "unfinished copy", "run the same 'movieexample copy' again")
	})
	t.Run("a source of an older or newer release", func(t *testing.T) {
		older := openCopied(t, file(t), false)
		_, err := copyAll(ctx, older, openCopied(t, file(t), false), sqldb.CopyOptions{})
		refused(t, err, older.Name(), "00001_init.sql", "movieexample migrate up")
		newer := openCopied(t, file(t), true)
		exec(t, newer, "INSERT INTO goose_db_version (version_id, is_applied) VALUES (7, 1)")
		_, err = copyAll(ctx, newer, openCopied(t, file(t), false), sqldb.CopyOptions{})
		refused(t, err, newer.Name(), "newer release", "00007")
		_, err = copyAll(ctx, source(t, 1), newer, sqldb.CopyOptions{})
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
			_, err := copyAll(ctx, from, openCopied(t, file(t), false), sqldb.CopyOptions{})
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
			_, err := copyAll(ctx, from, openCopied(t, sqltest.URL(t), false), sqldb.CopyOptions{})
			refused(t, err, from.Name(), `id = "id 0", n = 1`, want)
		}
	})
	t.Run("a row that is there already", func(t *testing.T) {
		from := source(t, 9)
		to := interrupted(t, from)
		exec(t, to, "INSERT INTO tags (id, tag) VALUES ('8', 'tag 0')")
		_, err := copyAll(ctx, from, to, sqldb.CopyOptions{})
		refused(t, err, to.Name(), `table tags does not take the row with tag = "tag 0", id = "8"`)
		if !sqldb.Duplicate(err) {
			t.Errorf("%v is no duplicate", err)
		}
	})
	t.Run("two copies at once", func(t *testing.T) {
		from, to := source(t, 9), openCopied(t, sqltest.URL(t), false)
		first, err := sqldb.NewCopy(ctx, from, to, copied(), sqldb.CopyOptions{BatchRows: 2})
		if err != nil {
			t.Fatal(err)
		}
		second, err := sqldb.NewCopy(ctx, from, to, copied(), sqldb.CopyOptions{BatchRows: 2})
		if err != nil {
			t.Fatal(err)
		}
		if err := first.Run(ctx); err != nil {
			t.Fatal(err)
		}
		refused(t, second.Run(ctx), "another copy into this database is under way")
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

// A source or a target that somebody else writes to is told from a copy.
func TestCopyNoticesChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		source, target  string
		changed, differ []string
	}{
		"nothing":                 {},
		"row changed in source":   {source: "UPDATE odd SET note = 'changed' WHERE n = 0", changed: []string{"odd"}},
		"row gone from source":    {source: "DELETE FROM tags WHERE id = '0'", changed: []string{"tags"}},
		"rows swapped":            {source: "UPDATE odd SET note = CASE n WHEN 0 THEN 'b' ELSE 'a' END WHERE n < 2", changed: []string{"odd"}},
		"row changed in target":   {target: "UPDATE odd SET maybe = 0 WHERE n = 0", differ: []string{"odd"}},
		"row added to the target": {target: "INSERT INTO tags (id, tag) VALUES ('new', 'new')", differ: []string{"tags"}},
		"both":                    {source: "DELETE FROM odd WHERE n = 0", target: "DELETE FROM numbers", changed: []string{"odd"}, differ: []string{"numbers"}},
	} {
		t.Run(name, func(t *testing.T) {
			from, to := source(t, 9), openCopied(t, sqltest.URL(t), false)
			exec(t, from, "UPDATE odd SET note = CASE n WHEN 0 THEN 'a' ELSE 'b' END WHERE n < 2")
			c, err := sqldb.NewCopy(t.Context(), from, to, copied(), sqldb.CopyOptions{})
			if err == nil {
				err = c.Run(t.Context())
			}
			if err != nil {
				t.Fatal(err)
			}
			if tc.source != "" {
				exec(t, from, tc.source)
			}
			if tc.target != "" {
				exec(t, to, tc.target)
			}
			checks, err := c.Verify(t.Context())
			if len(checks) != 3 {
				t.Errorf("%d tables checked, want 3", len(checks))
			}
			wrong := (*sqldb.DifferenceError)(nil)
			if errors.As(err, &wrong) {
				if !slices.Equal(wrong.Changed, tc.changed) || !slices.Equal(wrong.Differ, tc.differ) {
					t.Errorf("changed %v, different %v; want %v and %v", wrong.Changed, wrong.Differ, tc.changed, tc.differ)
				}
			} else if err != nil || tc.changed != nil || tc.differ != nil {
				t.Errorf("got %v", err)
			}
			for _, check := range checks {
				if bad := slices.Contains(slices.Concat(tc.changed, tc.differ), check.Table); bad == check.Same() {
					t.Errorf("%+v", check)
				}
			}
		})
	}
}

// A checksum is that of the rows, in whatever order and pages they are read: written down, it must mean the same later.
func TestChecksumIsStable(t *testing.T) {
	for _, batch := range []int{1, 2, 100} {
		from, to := source(t, 9), openCopied(t, sqltest.URL(t), false)
		c, err := sqldb.NewCopy(t.Context(), from, to, copied(), sqldb.CopyOptions{BatchRows: batch})
		if err == nil {
			err = c.Run(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		checks, err := c.Verify(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"numbers 2 2f900f1f5ad3ef3757fc2a4e135cb8c4e803210d78493958ab958758aecd7ce3", "odd 9 1bd704658dc77eba2505e1c505b9593bd8e604fb344852bbdab979a04ae8798f", "tags 9 ca078ce0c3585db20a3df5d31ae10db5eb6df9f22502b446b80066590c48a4d2"}
		for i, check := range checks {
			if got := fmt.Sprint(check.Table, " ", check.Target.Rows, " ", check.Target.Checksum); got != want[i] {
				t.Errorf("batches of %d: %s, want %s", batch, got, want[i])
			}
		}
	}
}

// Pages end before they take too much memory, whatever the rows are; nothing is lost where they do.
func TestCopyOfLargeRows(t *testing.T) {
	from, to := openCopied(t, file(t), true), openCopied(t, sqltest.URL(t), false)
	const rows, size = 40, 400_000
	for i := range rows {
		exec(t, from, "INSERT INTO odd (id, n, note, folded, payload) VALUES ('large', ?, '', '', ?)", i, bytes.Repeat([]byte{byte(i)}, size))
	}
	steps, last := 0, int64(0)
	if _, err := copyAll(t.Context(), from, to, sqldb.CopyOptions{Progress: func(p sqldb.CopyProgress) {
		if !p.Verifying && p.Rows > last {
			if steps++; p.Rows-last > 16 {
				t.Errorf("%d rows of %d bytes in one page", p.Rows-last, size)
			}
			last = p.Rows
		}
	}}); err != nil {
		t.Fatal(err)
	}
	if steps < rows*size/(5<<20) {
		t.Errorf("%d pages for %d bytes", steps, rows*size)
	}
}
