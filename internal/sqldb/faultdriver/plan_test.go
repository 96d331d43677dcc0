package faultdriver_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"modernc.org/sqlite"

	"movieexample.com/internal/sqldb/faultdriver"
)

// open opens a database on the driver itself: the plan works without package sqldb.
func open(t *testing.T, plan *faultdriver.Plan, readOnly bool) *sql.DB {
	t.Helper()
	c, err := sqlite.NewConnector("file:" + filepath.Join(t.TempDir(), "test.db"))
	if err != nil {
		t.Fatal(err)
	}
	if readOnly {
		c = reading{c}
	}
	db := sql.OpenDB(plan.Wrap(c))
	db.SetMaxOpenConns(1)
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	if _, err := db.ExecContext(t.Context(), "CREATE TABLE t (v BIGINT NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	return db
}

type reading struct{ driver.Connector }

func (reading) ReadOnly() bool { return true }

func count(t *testing.T, db *sql.DB) (n int) {
	t.Helper()
	if err := db.QueryRowContext(t.Context(), "SELECT count(*) FROM t").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// scenario is one of each operation: begin, prepare, exec, query, next, next, commit;
// or, given undo, a rollback at the end.
func scenario(ctx context.Context, db *sql.DB, undo bool) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }()
	stmt, err := tx.PrepareContext(ctx, "INSERT INTO t (v) VALUES (?)")
	if err != nil {
		return err
	}
	if _, err := stmt.ExecContext(ctx, 1); err != nil {
		return err
	}
	rows, err := tx.QueryContext(ctx, "SELECT v FROM t")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var v int
		if err := rows.Scan(&v); err != nil {
			return err
		}
	}
	if err := rows.Err(); err != nil {
		return err
	}
	if undo {
		return tx.Rollback()
	}
	return tx.Commit()
}

func TestCountsFromStartToStop(t *testing.T) {
	plan := &faultdriver.Plan{}
	db := open(t, plan, false)
	if plan.Count() != 0 {
		t.Errorf("counted %d before Start", plan.Count())
	}
	plan.Start()
	if err := scenario(t.Context(), db, false); err != nil {
		t.Fatal(err)
	}
	plan.Stop()
	if got := plan.Count(); got != 7 {
		t.Errorf("counted %d, want begin, prepare, exec, query, next, next, commit", got)
	}
	if n := count(t, db); n != 1 || plan.Count() != 7 || plan.Fired() {
		t.Errorf("after Stop: %d rows, count %d, fired %v", n, plan.Count(), plan.Fired())
	}
}

func TestRestrictions(t *testing.T) {
	for name, tc := range map[string]struct {
		plan     *faultdriver.Plan
		readOnly bool
		want     int
	}{
		"kinds":           {&faultdriver.Plan{Ops: []faultdriver.Op{faultdriver.Exec, faultdriver.Next}}, false, 3},
		"writer":          {&faultdriver.Plan{Writer: true}, false, 7},
		"not the writer":  {&faultdriver.Plan{Readers: true}, false, 0},
		"readers":         {&faultdriver.Plan{Readers: true}, true, 7},
		"not the readers": {&faultdriver.Plan{Writer: true}, true, 0},
		"both":            {&faultdriver.Plan{Writer: true, Readers: true}, true, 7},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, tc.plan, tc.readOnly)
			tc.plan.Start()
			if err := scenario(t.Context(), db, false); err != nil {
				t.Fatal(err)
			}
			if got := tc.plan.Count(); got != tc.want {
				t.Errorf("counted %d, want %d", got, tc.want)
			}
		})
	}
}

// Each operation in each mode: the error is ours, it is what the mode says, and what
// is stored afterwards is what the mode says.
func TestModes(t *testing.T) {
	ops := []faultdriver.Op{
		faultdriver.Begin, faultdriver.Prepare, faultdriver.Exec, faultdriver.Query, faultdriver.Next, faultdriver.Commit, faultdriver.Rollback,
	}
	for _, op := range ops {
		for _, mode := range faultdriver.Modes() {
			t.Run(string(op)+"/"+mode.String(), func(t *testing.T) {
				plan := &faultdriver.Plan{N: 1, Mode: mode, Ops: []faultdriver.Op{op}}
				db := open(t, plan, false)
				plan.Start()
				err := scenario(t.Context(), db, op == faultdriver.Rollback)
				plan.Stop()
				if !plan.Fired() || !strings.Contains(plan.String(), string(op)) {
					t.Fatalf("plan: %v", plan)
				}
				// database/sql itself begins again on another connection.
				retried := op == faultdriver.Begin && mode == faultdriver.LostBefore
				if retried != (err == nil) {
					t.Fatalf("error %v", err)
				}
				if err != nil && !errors.Is(err, faultdriver.ErrInjected) {
					t.Errorf("error %v is not recognisable", err)
				}
				if got := errors.Is(err, driver.ErrBadConn); got != (mode == faultdriver.LostBefore) && !retried {
					t.Errorf("%v: bad connection: %v", err, got)
				}
				if got := errors.Is(err, io.ErrUnexpectedEOF); got != (mode == faultdriver.LostAfter) {
					t.Errorf("%v: connection lost: %v", err, got)
				}
				stored := retried || op == faultdriver.Commit && (mode == faultdriver.ErrorAfter || mode == faultdriver.LostAfter)
				if n := count(t, db); (n == 1) != stored {
					t.Errorf("%d rows stored", n)
				}
				// No lock and no transaction is left behind.
				if err := scenario(t.Context(), db, false); err != nil {
					t.Errorf("the same again: %v", err)
				}
			})
		}
	}
}

// A statement outside a transaction: executed or not, and repeated by database/sql only
// where the error says that it was not executed.
func TestSingleStatements(t *testing.T) {
	for mode, want := range map[faultdriver.Mode]struct {
		rows   int
		failed bool
	}{
		faultdriver.ErrorBefore: {0, true},
		faultdriver.ErrorAfter:  {1, true},
		faultdriver.LostBefore:  {1, false},
		faultdriver.LostAfter:   {1, true},
	} {
		t.Run(mode.String(), func(t *testing.T) {
			plan := &faultdriver.Plan{N: 1, Mode: mode, Ops: []faultdriver.Op{faultdriver.Exec}}
			db := open(t, plan, false)
			plan.Start()
			_, err := db.ExecContext(t.Context(), "INSERT INTO t (v) VALUES (1)")
			plan.Stop()
			if (err != nil) != want.failed || err != nil && !errors.Is(err, faultdriver.ErrInjected) {
				t.Errorf("error %v", err)
			}
			if n := count(t, db); n != want.rows {
				t.Errorf("%d rows, want %d", n, want.rows)
			}
		})
	}
}

func TestSweepReachesEveryOperationOnce(t *testing.T) {
	var failed []string
	for plan := range faultdriver.Sweep(faultdriver.ErrorBefore) {
		db := open(t, plan, false)
		plan.Start()
		err := scenario(t.Context(), db, false)
		plan.Stop()
		if plan.Fired() != (err != nil) {
			t.Fatalf("%v: error %v", plan, err)
		}
		if err != nil {
			failed = append(failed, strings.Fields(strings.SplitAfter(plan.String(), ": ")[1])[0])
		}
	}
	if want := []string{"begin", "prepare", "exec", "query", "next", "next", "commit"}; !slices.Equal(failed, want) {
		t.Errorf("failed %v, want %v", failed, want)
	}
}

func TestSweepRefusesATestOfNothing(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	for range faultdriver.Sweep(faultdriver.ErrorBefore) {
		continue // Start is never called
	}
}
