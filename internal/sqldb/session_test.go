package sqldb_test

import (
	"context"
	"errors"
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
)

// openedNow is how many sessions were opened, as one call of Session learns it.
func openedNow(t *testing.T, db *sqldb.DB) (opened uint64) {
	t.Helper()
	err := db.Session(t.Context(), func(ctx context.Context, q sqldb.Queryer, n uint64) error {
		opened = n
		_, _ = count(t, q)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func TestSessionCountsSessions(t *testing.T) {
	plan := &faultdriver.Plan{N: 1, Mode: faultdriver.LostBefore, Readers: true}
	db := open(t, sqldb.Options{Wrap: plan.Wrap}, accounts)
	first := openedNow(t, db)
	if again := openedNow(t, db); again != first || first == 0 {
		t.Fatalf("%d sessions were opened, then %d: nothing happened in between", first, again)
	}
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	if again := openedNow(t, db); again != first {
		t.Errorf("%d sessions after a write, %d before: the writing side counts", again, first)
	}

	// Somebody else's query finds its session dead, and silently gets another one.
	plan.Start()
	_, _ = count(t, db.Read())
	plan.Stop()
	lost := openedNow(t, db)
	if !plan.Fired() || lost != first+1 {
		t.Errorf("%v: %d sessions were opened, then %d", plan, first, lost)
	}

	// Two queries at a time.
	err := db.Session(t.Context(), func(ctx context.Context, q sqldb.Queryer, n uint64) error {
		if inner := openedNow(t, db); n != lost || inner != lost+1 {
			t.Errorf("%d sessions, and %d while another is in use", n, inner)
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// A session that turns out to be dead is replaced only together with the number that says so.
func TestSessionIsNotReplaced(t *testing.T) {
	for _, mode := range []faultdriver.Mode{faultdriver.LostBefore, faultdriver.LostAfter} {
		plan := &faultdriver.Plan{N: 2, Ops: []faultdriver.Op{faultdriver.Query}, Mode: mode, Readers: true}
		db := open(t, sqldb.Options{Wrap: plan.Wrap}, accounts)
		var calls []uint64
		plan.Start()
		err := db.Session(t.Context(), func(ctx context.Context, q sqldb.Queryer, opened uint64) error {
			calls = append(calls, opened)
			for range 2 {
				var n int
				if err := q.QueryRowContext(ctx, "SELECT count(*) FROM accounts").Scan(&n); err != nil {
					return err
				}
			}
			return nil
		})
		plan.Stop()
		if !plan.Fired() {
			t.Fatalf("%v", plan)
		}
		if mode == faultdriver.LostBefore && (err != nil || len(calls) != 2 || calls[1] != calls[0]+1) {
			t.Errorf("%v: calls with %d, %v; want two, the second with another session", plan, calls, err)
		}
		if mode == faultdriver.LostAfter && (!errors.Is(err, faultdriver.ErrInjected) || len(calls) != 1) {
			t.Errorf("%v: calls with %d, %v; want one that fails", plan, calls, err)
		}
	}
}
