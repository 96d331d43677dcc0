//go:build servers

package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

// openMySQL opens a new database on the server, for tests of MySQL only.
func openMySQL(tb testing.TB, opt sqldb.Options, text string) *sqldb.DB {
	tb.Helper()
	return openURL(tb, sqltest.MySQL(tb).Database(tb), opt, text)
}

// Two transactions that lock two rows in opposite order: the server ends one of them and
// would continue in autocommit on its connection. That one fails as a whole, and may be
// repeated.
func TestDeadlock(t *testing.T) {
	db := openMySQL(t, sqldb.Options{}, accounts)
	if err := errors.Join(set(t.Context(), db, "a", 0), set(t.Context(), db, "b", 0)); err != nil {
		t.Fatal(err)
	}
	var victims atomic.Int32
	move := func(name, first, second string, locked chan<- struct{}, other <-chan struct{}) error {
		return db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			add := func(id string) error {
				_, err := tx.ExecContext(ctx, "UPDATE accounts SET balance = balance + 1 WHERE id = ?", id)
				return err
			}
			if err := add(first); err != nil {
				return err
			}
			if locked != nil {
				close(locked)
				<-other
			}
			err := add(second)
			if err == nil {
				return nil
			}
			victims.Add(1)
			// Code that ignores the error: nothing of it may be stored, nor read.
			if err := setIn(ctx, tx, "leaked by "+name, 1); err == nil || !strings.Contains(err.Error(), "abandoned after an earlier error") {
				t.Errorf("the statement after the deadlock: %v", err)
			}
			if err := tx.QueryRowContext(ctx, "SELECT 1").Scan(new(int)); err == nil {
				t.Error("a query after the deadlock was answered")
			}
			return nil
		})
	}
	const rounds = 10
	for range rounds {
		x, y := make(chan struct{}), make(chan struct{})
		errs := make([]error, 2)
		var wg sync.WaitGroup
		wg.Go(func() { errs[0] = move("x", "a", "b", x, y) })
		wg.Go(func() { errs[1] = move("y", "b", "a", y, x) })
		wg.Wait()
		if (errs[0] == nil) == (errs[1] == nil) {
			t.Fatalf("%v and %v: want one deadlock", errs[0], errs[1])
		}
		err := errors.Join(errs...)
		if kindsOf(err) != (kinds{transient: true}) || sqldb.Unreachable(err) {
			t.Fatalf("%v is %+v, want transient", err, kindsOf(err))
		}
		if err := move("again", "a", "b", nil, nil); err != nil {
			t.Fatalf("the same again: %v", err)
		}
	}
	if got := victims.Load(); got != rounds {
		t.Errorf("%d deadlocks, want %d", got, rounds)
	}
	if n, sum := count(t, db.Read()); n != 2 || sum != 4*rounds {
		t.Errorf("%d accounts, sum %d; want 2 and %d: the victims stored something", n, sum, 4*rounds)
	}
}

// The server keeps the transaction when a wait for a lock ends; this package does not.
func TestLockWaitEndsTheTransaction(t *testing.T) {
	db := openMySQL(t, sqldb.Options{BusyTimeout: time.Millisecond}, accounts) // rounded up to a second
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := setIn(ctx, tx, "a", 2); err != nil {
			return err
		}
		err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			if err := setIn(ctx, tx, "before", 1); err != nil {
				return err
			}
			if err := setIn(ctx, tx, "a", 3); !sqldb.Transient(err) {
				t.Errorf("a row that is locked: %v", err)
			}
			return setIn(ctx, tx, "after", 1)
		})
		if !sqldb.Transient(err) || !strings.Contains(err.Error(), "abandoned") {
			t.Errorf("the transaction that waited: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if n, sum := count(t, db.Read()); n != 1 || sum != 2 {
		t.Errorf("%d accounts, sum %d; want one with 2", n, sum)
	}
}

// A process that is frozen in the middle of a transaction holds its locks for so long as its connection lives, which the kernel
// keeps alive. MariaDB ends a transaction whose owner is silent; then others get on, and the owner finds out.
func TestSilentTransaction(t *testing.T) {
	db := openMySQL(t, sqldb.Options{}, accounts)
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		var patience int
		if err := tx.QueryRowContext(ctx, "SELECT @@idle_transaction_timeout").Scan(&patience); err != nil {
			return err
		}
		if patience != 10 {
			t.Errorf("a silent transaction may live for %d s, want 10", patience)
		}
		if _, err := tx.ExecContext(ctx, "SET SESSION idle_transaction_timeout = 1"); err != nil { // 10 s of a test are long
			return err
		}
		if err := setIn(ctx, tx, "a", 2); err != nil {
			return err
		}
		if err := set(ctx, db, "a", 3); err != nil { // waits for the lock, and for less than that may take
			t.Errorf("another transaction: %v", err)
		}
		return nil
	})
	if kindsOf(err) != (kinds{transient: true}) {
		t.Errorf("the silent transaction: %v is %+v, want transient", err, kindsOf(err))
	}
	if n, sum := count(t, db.Read()); n != 1 || sum != 3 {
		t.Errorf("%d accounts, sum %d; want one with 3", n, sum)
	}
}

// A connection that is killed takes its transaction with it: certainly, whether that is
// noticed by a statement or only before COMMIT.
func TestKilledBeforeCommit(t *testing.T) {
	server := sqltest.MySQL(t)
	db := openURL(t, server.Database(t), sqldb.Options{}, accounts)
	for name, next := range map[string]func(ctx context.Context, tx *sqldb.Tx) error{
		"commit":    func(context.Context, *sqldb.Tx) error { return nil },
		"statement": func(ctx context.Context, tx *sqldb.Tx) error { return setIn(ctx, tx, "after", 1) },
		"ignored": func(ctx context.Context, tx *sqldb.Tx) error {
			if err := setIn(ctx, tx, "after", 1); err == nil {
				t.Error("a statement on a killed connection succeeded")
			}
			_ = setIn(ctx, tx, "later", 1)
			return nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			for range 20 {
				err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
					if err := setIn(ctx, tx, "before", 1); err != nil {
						return err
					}
					kill(t, server, tx)
					return next(ctx, tx)
				})
				if kindsOf(err) != (kinds{transient: true}) {
					t.Fatalf("%v is %+v, want transient", err, kindsOf(err))
				}
			}
			if n, _ := count(t, db.Read()); n != 0 {
				t.Errorf("%d accounts stored", n)
			}
		})
	}
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

// kill kills the connection under tx and waits until the server has ended it.
func kill(t *testing.T, server *sqltest.Server, tx *sqldb.Tx) {
	t.Helper()
	var id int64
	if err := tx.QueryRowContext(t.Context(), "SELECT connection_id()").Scan(&id); err != nil {
		t.Fatal(err)
	}
	server.Exec(t, fmt.Sprintf("KILL %d", id))
	for {
		var n int
		if err := server.Admin.QueryRowContext(t.Context(), "SELECT count(*) FROM information_schema.processlist WHERE id = ?", id).Scan(&n); err != nil {
			t.Fatal(err)
		}
		if n == 0 {
			return
		}
	}
}

// The connection breaks in COMMIT. Who asked cannot know what happened, and both happen.
func TestLostInCommit(t *testing.T) {
	server := sqltest.MySQL(t)
	between := startProxy(t, server.Addr())
	at := server.Database(t)
	db := openURL(t, strings.Replace(at, server.Addr(), between.Addr(), 1), sqldb.Options{}, accounts)
	direct := openURL(t, at, sqldb.Options{}, accounts)
	for i, tc := range []struct {
		how    breakage
		stored bool
	}{{beforeCommit, false}, {amidCommit, false}, {afterCommit, true}} {
		t.Run(tc.how.String(), func(t *testing.T) {
			for j := range 10 {
				id := fmt.Sprint(i, "-", j)
				between.Break(tc.how)
				err := set(t.Context(), db, id, 1)
				if got := between.Broken(); got != 1 {
					t.Fatalf("the connection broke %d times", got)
				}
				var unknown *sqldb.CommitError
				if !errors.As(err, &unknown) || sqldb.Transient(err) || sqldb.Unreachable(err) {
					t.Fatalf("error %v, want a CommitError and nothing else", err)
				}
				if !strings.Contains(err.Error(), "outcome unknown, read back") {
					t.Errorf("message %q", err)
				}
				var n int
				read := func() {
					if err := direct.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM accounts WHERE id = ?", id).Scan(&n); err != nil {
						t.Fatal(err)
					}
				}
				// The server may still be at it when the client has lost the connection.
				for read(); tc.stored && n == 0 && t.Context().Err() == nil; {
					read()
				}
				if (n == 1) != tc.stored {
					t.Errorf("%s: %d rows stored", id, n)
				}
				if open := db.Stats().Writer.OpenConnections; open != 0 {
					t.Errorf("%d writing connections are open, want the failed one dropped", open)
				}
			}
		})
	}
	if err := set(t.Context(), db, "next", 1); err != nil {
		t.Errorf("the next write: %v", err)
	}
}

// Writing transactions see what is committed while they run, and what they lock stays.
func TestReadCommitted(t *testing.T) {
	db := openMySQL(t, sqldb.Options{}, accounts)
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if n, _ := count(t, tx); n != 0 {
			t.Errorf("%d accounts", n)
		}
		if err := set(ctx, db, "a", 1); err != nil {
			return err
		}
		if n, _ := count(t, tx); n != 1 {
			t.Errorf("%d accounts after another's commit, want READ COMMITTED", n)
		}
		// No gap is locked: a neighbour is written while this one stands.
		if err := tx.QueryRowContext(ctx, "SELECT balance FROM accounts WHERE id = ?"+tx.Dialect().ForUpdate(), "a").Scan(new(int)); err != nil {
			return err
		}
		return set(ctx, db, "b", 1)
	}); err != nil {
		t.Fatal(err)
	}
}

// The pools stay within their limits, and who waits for a connection waits no longer than
// its context.
func TestPoolLimits(t *testing.T) {
	at := sqltest.MySQL(t).Database(t)
	db := openURL(t, at+"?write_conns=2&read_conns=3", sqldb.Options{WriteConns: 9}, accounts)
	if db.WriteConns() != 2 {
		t.Errorf("%d writers, want those of the URL", db.WriteConns())
	}
	inside, release := make(chan struct{}), make(chan struct{})
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := db.Write(t.Context(), func(context.Context, *sqldb.Tx) error {
				inside <- struct{}{}
				<-release
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
		wg.Go(func() {
			if err := db.Snapshot(t.Context(), func(context.Context, sqldb.Queryer) error {
				inside <- struct{}{}
				<-release
				return nil
			}); err != nil {
				t.Error(err)
			}
		})
	}
	for range 5 { // two writers, three readers
		<-inside
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := set(ctx, db, "a", 1); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("one too many: %v", err)
	}
	if got := db.Stats(); got.Writer.OpenConnections != 2 || got.Readers.OpenConnections != 3 {
		t.Errorf("%d writing and %d reading connections", got.Writer.OpenConnections, got.Readers.OpenConnections)
	}
	go func() {
		for range 5 {
			<-inside
		}
	}()
	close(release)
	wg.Wait()
}

// Close waits for a write that has begun, and lets no other begin.
func TestCloseWaitsForWrites(t *testing.T) {
	db := openMySQL(t, sqldb.Options{}, accounts)
	closed := make(chan error)
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		go func() { closed <- db.Close() }()
		for db.Check(ctx) == nil { // until the readers are closed
			continue
		}
		return setIn(ctx, tx, "a", 1)
	})
	if err := errors.Join(err, <-closed); err != nil {
		t.Fatal(err)
	}
	if err := set(t.Context(), db, "b", 1); err == nil || !strings.Contains(err.Error(), "closed") {
		t.Errorf("a write after Close: %v", err)
	}
}
