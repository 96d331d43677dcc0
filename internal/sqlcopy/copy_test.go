package sqlcopy_test

import (
	"bytes"
	"context"
	"errors"
	"math"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"movieexample.com/internal/sqlcopy"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
)

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
		opt := sqlcopy.Options{BatchRows: rapid.SampledFrom([]int{7, 100}).Draw(rt, "batch")}
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

// Whatever operation on the target fails, and however: the copy says so and no one can use what is there, or it is done; and
// the same copy run again ends with the same rows.
func TestCopyGoesOnAfterEveryFault(t *testing.T) {
	from := source(t, 8)
	want := dump(t, from)
	fired, resumed := 0, 0
	for plan := range faultdriver.Sweep(faultdriver.ErrorAfter, faultdriver.LostAfter) {
		plan.Ops = []faultdriver.Op{faultdriver.Exec, faultdriver.Commit}
		if plan.Mode == faultdriver.ErrorAfter {
			plan.Ops = plan.Ops[1:] // a statement's error is no other than its loss
		}
		url := file(t)
		to := openCopied(t, url, false, sqldb.Options{ReadConns: 1, Wrap: plan.Wrap})
		plan.Start()
		_, err := copyAll(t.Context(), from, to, sqlcopy.Options{BatchRows: 3})
		plan.Stop()
		if closeErr := to.Close(); closeErr != nil && !errors.Is(closeErr, faultdriver.ErrInjected) {
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
			if c, err := copyAll(t.Context(), from, to, sqlcopy.Options{BatchRows: 3}); err != nil || !c.Resumed() {
				t.Errorf("%v: resume: %v", plan, err)
			}
		case err != nil && dump0(t, to) != want: // it had not begun, or only the answer to the last commit was lost
			if c, err := copyAll(t.Context(), from, to, sqlcopy.Options{BatchRows: 3}); err != nil || c.Resumed() {
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

// Pages end before they take too much memory, whatever the rows are; nothing is lost where they do.
func TestCopyOfLargeRows(t *testing.T) {
	from, to := openCopied(t, file(t), true), openCopied(t, sqltest.URL(t), false)
	const rows, size = 40, 400_000
	for i := range rows {
		exec(t, from, "INSERT INTO odd (id, n, note, folded, payload) VALUES ('large', ?, '', '', ?)", i, bytes.Repeat([]byte{byte(i)}, size))
	}
	steps, last := 0, int64(0)
	if _, err := copyAll(t.Context(), from, to, sqlcopy.Options{Progress: func(p sqlcopy.Progress) {
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
