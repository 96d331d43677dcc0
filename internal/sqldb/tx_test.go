package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
)

func TestWritesTakeTurns(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	if err := set(t.Context(), db, "a", 0); err != nil {
		t.Fatal(err)
	}
	const writers, each = 8, 25
	var inside atomic.Int32
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range each {
				err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
					if n := inside.Add(1); int(n) > db.WriteConns() {
						t.Errorf("%d writers at the same time", n)
					}
					defer inside.Add(-1)
					var balance int
					if err := tx.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id=?"+tx.Dialect().ForUpdate(), "a").Scan(&balance); err != nil {
						return err
					}
					runtime.Gosched()
					return setIn(ctx, tx, "a", balance+1)
				})
				if err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if _, sum := count(t, db.Read()); sum != writers*each {
		t.Errorf("balance %d, want %d: writes were lost", sum, writers*each)
	}
}

// Readers never see half of a transfer, nor a snapshot that moves.
func TestReadersSeeCommittedDataOnly(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return errors.Join(setIn(ctx, tx, "a", 500), setIn(ctx, tx, "b", 500))
	}); err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	var wg sync.WaitGroup
	for range 3 {
		wg.Go(func() {
			for reads := 0; ; reads++ {
				if _, sum := count(t, db.Read()); sum != 1000 {
					t.Errorf("read: sum %d", sum)
				}
				err := db.Snapshot(t.Context(), func(ctx context.Context, q sqldb.Queryer) error {
					var a, b int
					if err := q.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id='a'").Scan(&a); err != nil {
						return err
					}
					runtime.Gosched()
					if err := q.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id='b'").Scan(&b); err != nil {
						return err
					}
					if a+b != 1000 {
						t.Errorf("snapshot: sum %d", a+b)
					}
					return nil
				})
				if err != nil {
					t.Error(err)
				}
				select {
				case <-done:
					return
				default:
				}
			}
		})
	}
	for i := range 100 {
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			return errors.Join(setIn(ctx, tx, "a", 500-i), setIn(ctx, tx, "b", 500+i))
		}); err != nil {
			t.Error(err)
		}
	}
	close(done)
	wg.Wait()
}

func TestUncommittedIsInvisibleOutside(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := setIn(ctx, tx, "a", 1); err != nil {
			return err
		}
		if n, _ := count(t, tx); n != 1 {
			t.Errorf("the transaction sees %d rows that it wrote", n)
		}
		if n, _ := count(t, db.Read()); n != 0 {
			t.Errorf("a reader sees %d uncommitted rows", n)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n, _ := count(t, db.Read()); n != 1 {
		t.Errorf("a reader sees %d rows after the commit", n)
	}
}

func TestWriteRollsBack(t *testing.T) {
	errMine := errors.New("mine")
	for name, tc := range map[string]struct {
		end  func(cancel func()) error
		want error
	}{
		"error":  {func(func()) error { return errMine }, errMine},
		"cancel": {func(cancel func()) error { cancel(); return nil }, context.Canceled},
		"panic":  {func(func()) error { panic("ouch") }, nil},
		"goexit": {func(func()) error { runtime.Goexit(); return nil }, nil},
	} {
		t.Run(name, func(t *testing.T) {
			db := open(t, sqldb.Options{}, accounts)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			var err error
			var wg sync.WaitGroup
			wg.Go(func() {
				defer func() {
					if p := recover(); p != nil && p != "ouch" {
						t.Errorf("panic with %v", p)
					}
				}()
				err = db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
					if err := setIn(ctx, tx, "a", 1); err != nil {
						return err
					}
					return tc.end(cancel)
				})
			})
			wg.Wait()
			if !errors.Is(err, tc.want) {
				t.Errorf("error %v, want %v", err, tc.want)
			}
			if n, _ := count(t, db.Read()); n != 0 {
				t.Errorf("%d rows stored", n)
			}
			if err := set(t.Context(), db, "b", 1); err != nil {
				t.Errorf("the next write: %v", err)
			}
		})
	}
}

func TestWriteWaitsNoLongerThanItsContext(t *testing.T) {
	db := open(t, sqldb.Options{WriteConns: 1}, accounts)
	err := db.Write(t.Context(), func(context.Context, *sqldb.Tx) error {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := set(ctx, db, "a", 1); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("a write that waits for this one: %v, want its deadline", err)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A statement that the context interrupts makes SQLite roll back the transaction on
// its own, and costs the connection on MySQL. Code that ignores the error must not have its next statement stored alone.
func TestInterruptedTransactionStoresNothing(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := setIn(ctx, tx, "before", 1); err != nil {
			return err
		}
		short, cancel := context.WithTimeout(ctx, 20*time.Millisecond)
		defer cancel()
		long := `INSERT INTO accounts (id, balance)
			WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n LIMIT 1000000000) SELECT 'n'||i, i FROM n`
		if tx.Dialect() == sqldb.MySQL {
			long = "INSERT INTO accounts (id, balance) SELECT 'n', sleep(100)"
		}
		_, err := tx.ExecContext(short, long)
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the long statement: %v, want its deadline", err)
		}
		if err := setIn(ctx, tx, "after", 1); err == nil || !strings.Contains(err.Error(), "abandoned after an earlier error") {
			t.Errorf("the next statement: %v", err)
		}
		return nil
	})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Write: %v, want the reason why nothing was stored", err)
	}
	var unknown *sqldb.CommitError
	if errors.As(err, &unknown) {
		t.Error("the outcome is called unknown, but no COMMIT was sent")
	}
	if n, _ := count(t, db.Read()); n != 0 {
		t.Errorf("%d rows stored", n)
	}
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

func TestDuplicateLeavesTheTransactionUsable(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		insert := tx.Dialect().Insert("accounts", []string{"id", "balance"}, 1)
		if _, err := tx.ExecContext(ctx, insert, "a", 1); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, insert, "a", 2); !sqldb.Duplicate(err) {
			t.Errorf("second insert: %v, want a duplicate", err)
		}
		_, err := tx.ExecContext(ctx, insert, "b", 3)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	if n, sum := count(t, db.Read()); n != 2 || sum != 4 {
		t.Errorf("%d rows, sum %d; want 2 and 4", n, sum)
	}
}

func TestFailedCommitIsAnUnknownOutcome(t *testing.T) {
	for _, mode := range faultdriver.Modes() {
		t.Run(mode.String(), func(t *testing.T) {
			plan := &faultdriver.Plan{N: 1, Mode: mode, Ops: []faultdriver.Op{faultdriver.Commit}}
			db := open(t, sqldb.Options{Wrap: plan.Wrap}, accounts)
			plan.Start()
			err := set(t.Context(), db, "a", 1)
			plan.Stop()
			var unknown *sqldb.CommitError
			if !errors.As(err, &unknown) || !errors.Is(err, faultdriver.ErrInjected) {
				t.Fatalf("error %v, want a CommitError around the injected one", err)
			}
			if sqldb.Transient(err) {
				t.Error("an unknown outcome is called transient")
			}
			if !strings.Contains(err.Error(), "outcome unknown, read back") || !strings.Contains(err.Error(), db.Name()) {
				t.Errorf("message %q", err)
			}
			want := 0
			if mode == faultdriver.ErrorAfter || mode == faultdriver.LostAfter {
				want = 1
			}
			if n, _ := count(t, db.Read()); n != want {
				t.Errorf("%d rows stored, want %d", n, want)
			}
			if open := db.Stats().Writer.OpenConnections; open != 0 {
				t.Errorf("%d writing connections are open, want the failed one dropped", open)
			}
			if err := set(t.Context(), db, "b", 1); err != nil {
				t.Errorf("the next write: %v", err)
			}
		})
	}
}

// The same text may be open several times on one connection; the driver's prepared
// statements alone would mix their cursors up.
func TestNestedQueriesOfTheSameText(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	const n = 5
	var pairs []string
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range n {
			if err := setIn(ctx, tx, fmt.Sprint(i), i); err != nil {
				return err
			}
		}
		each := func(do func(id string) error) error {
			rows, err := tx.QueryContext(ctx, "SELECT id FROM accounts ORDER BY id")
			if err != nil {
				return err
			}
			defer rows.Close()
			for rows.Next() {
				var id string
				if err := errors.Join(rows.Scan(&id), do(id)); err != nil {
					return err
				}
			}
			return rows.Err()
		}
		return each(func(a string) error {
			return each(func(b string) error {
				pairs = append(pairs, a+b)
				return nil
			})
		})
	}); err != nil {
		t.Fatal(err)
	}
	if len(pairs) != n*n || pairs[0] != "00" || pairs[n*n-1] != "44" {
		t.Errorf("pairs %v, want all %d in order", pairs, n*n)
	}
}

// More texts than a connection keeps prepared: all work, first time and again.
func TestManyTexts(t *testing.T) {
	db := open(t, sqldb.Options{ReadConns: 1}, accounts)
	for range 2 {
		for i := range 600 {
			var got int
			if err := db.Read().QueryRowContext(t.Context(), fmt.Sprintf("SELECT %d + count(*) FROM accounts", i)).Scan(&got); err != nil || got != i {
				t.Fatalf("text %d: %d, %v", i, got, err)
			}
		}
	}
}

func TestReadingSideCannotWrite(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	write := func(ctx context.Context, q sqldb.Queryer) error {
		var id string
		return q.QueryRowContext(ctx, "INSERT INTO accounts (id, balance) VALUES ('a', 1) RETURNING id").Scan(&id)
	}
	if err := write(t.Context(), db.Read()); !sqldb.ReadOnly(err) {
		t.Errorf("through Read: %v", err)
	}
	if err := db.Snapshot(t.Context(), write); !sqldb.ReadOnly(err) {
		t.Errorf("through Snapshot: %v", err)
	}
	if n, _ := count(t, db.Read()); n != 0 {
		t.Errorf("%d rows stored", n)
	}
}

func TestTransactionEndsWithWrite(t *testing.T) {
	db := open(t, sqldb.Options{}, accounts)
	var kept *sqldb.Tx
	if err := db.Write(t.Context(), func(_ context.Context, tx *sqldb.Tx) error { kept = tx; return nil }); err != nil {
		t.Fatal(err)
	}
	if err := setIn(t.Context(), kept, "a", 1); !errors.Is(err, sql.ErrTxDone) {
		t.Errorf("a transaction that was kept: %v", err)
	}
}

// The promises of durability and isolation rest on settings that each new connection
// must have, also one that replaces a connection that was dropped.
func TestSettingsOfEveryConnection(t *testing.T) {
	plan := &faultdriver.Plan{N: 1, Mode: faultdriver.LostBefore, Writer: true, Ops: []faultdriver.Op{faultdriver.Commit}}
	db := openFile(t, sqldb.Options{Wrap: plan.Wrap}, accounts)
	check := func(q sqldb.Queryer, want map[string]string) {
		t.Helper()
		for name, want := range want {
			var got string
			if err := q.QueryRowContext(t.Context(), "PRAGMA "+name).Scan(&got); err != nil || got != want {
				t.Errorf("%s is %q, %v; want %q", name, got, err, want)
			}
		}
	}
	for range 2 {
		if err := db.Write(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			check(tx, map[string]string{"journal_mode": "wal", "synchronous": "2", "query_only": "0", "foreign_keys": "0", "busy_timeout": "5000"})
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		check(db.Read(), map[string]string{"journal_mode": "wal", "query_only": "1", "busy_timeout": "5000"})
		plan.Start()
		if err := set(t.Context(), db, "a", 1); err == nil || !plan.Fired() {
			t.Fatalf("the writing connection was not lost: %v", err)
		}
		plan.Stop()
	}
}
