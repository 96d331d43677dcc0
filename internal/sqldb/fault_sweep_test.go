package sqldb_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
)

// transfer moves an amount and returns what is left; it ignores nothing.
func transfer(ctx context.Context, db *sqldb.DB, amount int) error {
	return db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT id, balance FROM accounts ORDER BY id")
		if err != nil {
			return err
		}
		defer rows.Close()
		balance := map[string]int{}
		for rows.Next() {
			var id string
			var n int
			if err := rows.Scan(&id, &n); err != nil {
				return err
			}
			balance[id] = n
		}
		if err := rows.Err(); err != nil {
			return err
		}
		if err := setIn(ctx, tx, "a", balance["a"]-amount); err != nil {
			return err
		}
		return setIn(ctx, tx, "b", balance["b"]+amount)
	})
}

// In whatever way any operation fails, a transfer is done completely or not at all, its
// result says which, and the database continues to work.
func TestEveryOperationMayFail(t *testing.T) {
	fired := map[faultdriver.Mode]int{}
	for plan := range faultdriver.Sweep(faultdriver.Modes()...) {
		db := open(t, sqldb.Options{ReadConns: 1, Wrap: plan.Wrap}, accounts)
		if err := errors.Join(set(t.Context(), db, "a", 100), set(t.Context(), db, "b", 0)); err != nil {
			t.Fatal(err)
		}
		plan.Start()
		err := transfer(t.Context(), db, 30)
		checkErr := db.Check(t.Context())
		plan.Stop()

		var a, b int
		if err := db.Read().QueryRowContext(t.Context(), "SELECT x.balance, y.balance FROM accounts x, accounts y WHERE x.id='a' AND y.id='b'").Scan(&a, &b); err != nil {
			t.Fatalf("%v: %v", plan, err)
		}
		before, after := a == 100 && b == 0, a == 70 && b == 30
		var unknown *sqldb.CommitError
		switch {
		case !before && !after:
			t.Errorf("%v: half a transfer: %d and %d", plan, a, b)
		case err == nil && !after:
			t.Errorf("%v: success, but nothing was stored", plan)
		case err != nil && !errors.As(err, &unknown) && !before:
			t.Errorf("%v: %v, but it was stored", plan, err)
		}
		if err := transfer(t.Context(), db, 1); err != nil {
			t.Errorf("%v: the next transfer: %v", plan, err)
		}
		if plan.Fired() {
			fired[plan.Mode]++
			// A connection found dead at BEGIN is replaced, and so is one for a single
			// query: no one notices. Everything else must be reported.
			if err == nil && checkErr == nil && plan.Mode != faultdriver.LostBefore {
				t.Errorf("%v: no error was reported", plan)
			}
			if err != nil && !errors.Is(err, faultdriver.ErrInjected) && !errors.Is(err, driver.ErrBadConn) {
				t.Errorf("%v: an error of another cause: %v", plan, err)
			}
		}
		if err := db.Close(); err != nil {
			t.Errorf("%v: close: %v", plan, err)
		}
	}
	for _, mode := range faultdriver.Modes() {
		// begin, query, three times next, two upserts, commit; check: query, next
		if fired[mode] < 10 {
			t.Errorf("%v: %d operations failed, want at least 10", mode, fired[mode])
		}
	}
}

// Once COMMIT has begun, the end of the caller's context does not matter.
func TestCommitIsNotInterrupted(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	armed, cancelled := false, false
	call := func() {
		if armed {
			cancel()
		}
	}
	db := open(t, sqldb.Options{Wrap: func(c driver.Connector) driver.Connector { return onCommit{c, call} }}, accounts)
	err := db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		err := setIn(ctx, tx, "a", 1)
		armed, cancelled = true, ctx.Err() != nil
		return err
	})
	if err != nil || cancelled {
		t.Fatalf("Write: %v; cancelled before COMMIT: %v", err, cancelled)
	}
	if ctx.Err() == nil {
		t.Fatal("the context was not cancelled during COMMIT")
	}
	if n, _ := count(t, db.Read()); n != 1 {
		t.Errorf("%d rows stored, want 1", n)
	}
}

// onCommit calls a function at the moment at which COMMIT begins.
type onCommit struct {
	driver.Connector
	call func()
}

type wholeConn interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ExecerContext
	driver.QueryerContext
	driver.SessionResetter
	driver.Validator
}

func (c onCommit) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return onCommitConn{conn.(wholeConn), c.call}, nil
}

type onCommitConn struct {
	wholeConn
	call func()
}

func (c onCommitConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	tx, err := c.wholeConn.BeginTx(ctx, opts)
	return onCommitTx{tx, c.call}, err
}

type onCommitTx struct {
	driver.Tx
	call func()
}

func (t onCommitTx) Commit() error {
	t.call()
	return t.Tx.Commit()
}
