package sqldb_test

import (
	"context"
	"fmt"
	"math/bits"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/internal/sqldb"
)

// The texts of both engines, side by side.
func TestTexts(t *testing.T) {
	key, cols := []string{"type", "id"}, []string{"mean"}
	for name, tc := range map[string]struct {
		text          func(d sqldb.Dialect) string
		sqlite, mysql string
	}{
		"name": {sqldb.Dialect.String, "sqlite", "mysql"},
		"placeholders": {
			func(d sqldb.Dialect) string { return d.Placeholders(3, 2) },
			"(?,?,?),(?,?,?)", "(?,?,?),(?,?,?)",
		},
		"by primary key": {sqldb.Dialect.ByPrimaryKey, "", " FORCE INDEX (PRIMARY)"},
		"for update":     {sqldb.Dialect.ForUpdate, "", " FOR UPDATE"},
		"insert": {
			func(d sqldb.Dialect) string { return d.Insert("t", key, 1) },
			"INSERT INTO t (type,id) VALUES (?,?)", "INSERT INTO t (type,id) VALUES (?,?)",
		},
		"insert ignore": {
			func(d sqldb.Dialect) string { return d.InsertIgnore("t", key, cols, 1) },
			"INSERT INTO t (type,id,mean) VALUES (?,?,?) ON CONFLICT(type,id) DO NOTHING",
			"INSERT INTO t (type,id,mean) VALUES (?,?,?) ON DUPLICATE KEY UPDATE mean=mean",
		},
		"upsert": {
			func(d sqldb.Dialect) string { return d.Upsert("t", key, []string{"a", "b"}, 2) },
			"INSERT INTO t (type,id,a,b) VALUES (?,?,?,?),(?,?,?,?) ON CONFLICT(type,id) DO UPDATE SET a=excluded.a,b=excluded.b",
			"INSERT INTO t (type,id,a,b) VALUES (?,?,?,?),(?,?,?,?) ON DUPLICATE KEY UPDATE a=VALUES(a),b=VALUES(b)",
		},
		"upsert add": {
			func(d sqldb.Dialect) string { return d.UpsertAdd("t", key, []string{"n", "s"}, cols, 1) },
			"INSERT INTO t (type,id,n,s,mean) VALUES (?,?,?,?,?) ON CONFLICT(type,id) DO UPDATE SET n=t.n+excluded.n,s=t.s+excluded.s,mean=excluded.mean",
			"INSERT INTO t (type,id,n,s,mean) VALUES (?,?,?,?,?) ON DUPLICATE KEY UPDATE n=t.n+VALUES(n),s=t.s+VALUES(s),mean=VALUES(mean)",
		},
		"delete by one": {
			func(d sqldb.Dialect) string { return d.Delete("t", []string{"id"}, 2) },
			"DELETE FROM t WHERE id IN (?,?)", "DELETE FROM t WHERE id IN (?,?)",
		},
		"delete by tuples": {
			func(d sqldb.Dialect) string { return d.Delete("t", key, 2) },
			"DELETE FROM t WHERE (type,id) IN (VALUES (?,?),(?,?))", "DELETE FROM t WHERE (type=? AND id=?) OR (type=? AND id=?)",
		},
		"in one": {
			func(d sqldb.Dialect) string { return d.In([]string{"id"}, 3) },
			"id IN (?,?,?)", "id IN (?,?,?)",
		},
		"in tuples": {
			func(d sqldb.Dialect) string { return d.In(key, 2) },
			"(type,id) IN (VALUES (?,?),(?,?))", "(type,id) IN ((?,?),(?,?))",
		},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.sqlite, tc.text(sqldb.SQLite)); diff != "" {
				t.Errorf("SQLite (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.mysql, tc.text(sqldb.MySQL)); diff != "" {
				t.Errorf("MySQL (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTextsRefuseWhatIsNoName(t *testing.T) {
	for name, make := range map[string]func(d sqldb.Dialect){
		"table":            func(d sqldb.Dialect) { d.Insert("t; DROP TABLE t", []string{"a"}, 1) },
		"column":           func(d sqldb.Dialect) { d.Upsert("t", []string{"a"}, []string{"b=1, c"}, 1) },
		"empty":            func(d sqldb.Dialect) { d.In([]string{""}, 1) },
		"no rows":          func(d sqldb.Dialect) { d.Placeholders(1, 0) },
		"nothing to set":   func(d sqldb.Dialect) { d.Upsert("t", []string{"a"}, nil, 1) },
		"nothing to match": func(d sqldb.Dialect) { d.Upsert("t", nil, []string{"a"}, 1) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("no panic")
				}
			}()
			make(sqldb.SQLite)
		})
	}
}

const counters = `-- +goose Up
CREATE TABLE counters (
  kind VARCHAR(20) NOT NULL,
  id VARCHAR(20) NOT NULL,
  n BIGINT NOT NULL,
  note VARCHAR(20) NOT NULL,
  PRIMARY KEY (kind, id)
);
`

// The texts mean on the engine what their comments say.
func TestTextsRun(t *testing.T) {
	db := open(t, sqldb.Options{}, counters)
	d := db.Dialect()
	key := []string{"kind", "id"}
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, step := range []struct {
			text string
			args []any
		}{
			{d.UpsertAdd("counters", key, []string{"n"}, []string{"note"}, 2), []any{"m", "1", 5, "new", "m", "2", 7, "new"}},
			{d.UpsertAdd("counters", key, []string{"n"}, []string{"note"}, 2), []any{"m", "1", -2, "changed", "m", "3", 1, "new"}},
			{d.InsertIgnore("counters", key, []string{"n", "note"}, 2), []any{"m", "2", 99, "ignored", "m", "4", 4, "new"}},
			{d.Upsert("counters", key, []string{"n", "note"}, 1), []any{"m", "3", 10, "replaced"}},
		} {
			if _, err := tx.ExecContext(ctx, step.text, step.args...); err != nil {
				return fmt.Errorf("%s: %w", step.text, err)
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	var got []string
	ids := []string{"1", "2", "3", "4", "5"}
	err := sqldb.QueryRows(t.Context(), db.Read(), len(ids),
		func(n int) string { return "SELECT id, n, note FROM counters WHERE " + d.In(key, n) },
		func(i int, dst []any) []any { return append(dst, "m", ids[i]) },
		func(scan func(...any) error) error {
			var id, note string
			var n int
			err := scan(&id, &n, &note)
			got = append(got, fmt.Sprint(id, " ", n, " ", note))
			return err
		})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if diff := cmp.Diff([]string{"1 3 changed", "2 7 new", "3 10 replaced", "4 4 new"}, got); diff != "" {
		t.Errorf("rows (-want +got):\n%s", diff)
	}
}

// A list of tuples must be searched through the index, not compared with every row.
func TestInUsesTheIndex(t *testing.T) {
	db := openFile(t, sqldb.Options{}, counters)
	rows, err := db.Read().QueryContext(t.Context(),
		"EXPLAIN QUERY PLAN SELECT n FROM counters WHERE "+db.Dialect().In([]string{"kind", "id"}, 2), "m", "1", "m", "2")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var plan []string
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			t.Fatal(err)
		}
		plan = append(plan, detail)
	}
	if text := strings.Join(plan, "; "); !strings.Contains(text, "SEARCH counters USING INDEX") || !strings.Contains(text, "kind=? AND id=?") {
		t.Errorf("plan %q, want a search by both columns", text)
	}
}

// Every key's row comes once, for all numbers around the chunk sizes, with one query for a full chunk and one for the rest.
func TestQueryRows(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	most := db.Dialect().MaxRowsPerStatement()
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, 3*most,
			func(rows int) string { return tx.Dialect().Insert("accounts", []string{"id", "balance"}, rows) },
			func(i int, dst []any) []any { return append(dst, fmt.Sprint(i), i) })
	}); err != nil {
		t.Fatal(err)
	}
	sizes := map[int]bool{}
	for _, n := range []int{0, 1, 2, 3, 5, most - 1, most, most + 1, 2*most - 1, 2 * most, 2*most + 3} {
		found, queries := make([]int, n), 0
		err := sqldb.QueryRows(t.Context(), db.Read(), n,
			func(keys int) string {
				queries++
				sizes[keys] = true
				return "SELECT balance FROM accounts WHERE " + db.Dialect().In([]string{"id"}, keys)
			},
			func(i int, dst []any) []any { return append(dst, fmt.Sprint(i)) },
			func(scan func(...any) error) error {
				var i int
				err := scan(&i)
				found[i]++
				return err
			})
		if err != nil {
			t.Fatal(err)
		}
		if i := slices.IndexFunc(found, func(times int) bool { return times != 1 }); i >= 0 {
			t.Errorf("n=%d: the row of key %d came %d times", n, i, found[i])
		}
		if want := (n + most - 1) / most; queries != want {
			t.Errorf("n=%d: %d queries, want %d", n, queries, want)
		}
	}
	for size := range sizes {
		if bits.OnesCount(uint(size)) != 1 || size > most {
			t.Errorf("a text for %d keys, want powers of two up to %d", size, most)
		}
	}
}

// Every row is written once and in order, for all numbers around the chunk sizes.
func TestExecRows(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	sizes := map[int]bool{}
	total := 0
	for _, n := range []int{0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129} {
		var order []int
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return tx.ExecRows(ctx, n,
				func(rows int) string {
					sizes[rows] = true
					return tx.Dialect().Insert("accounts", []string{"id", "balance"}, rows)
				},
				func(i int, dst []any) []any {
					order = append(order, i)
					return append(dst, fmt.Sprint(n, "-", i), i)
				})
		}); err != nil {
			t.Fatal(err)
		}
		if len(order) != n || !slices.IsSorted(order) {
			t.Errorf("n=%d: rows asked for in order %v", n, order)
		}
		total += n
	}
	if n, _ := count(t, db.Read()); n != total {
		t.Errorf("%d rows stored, want %d", n, total)
	}
	if most := bits.Len(uint(db.Dialect().MaxRowsPerStatement())); len(sizes) > most {
		t.Errorf("%d different texts %v, want few", len(sizes), sizes)
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, 40,
			func(rows int) string { return tx.Dialect().Insert("accounts", []string{"id", "balance"}, rows) },
			func(i int, dst []any) []any { return append(dst, fmt.Sprint("x", min(i, 38)), i) })
	})
	if !sqldb.Duplicate(err) || !strings.Contains(err.Error(), "rows 33 to 40 of 40") {
		t.Errorf("a duplicate among the last rows: %v", err)
	}
}
