package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// Tx is one writing transaction. It has no Commit and no Rollback: the function
// given to [DB.Write] returns nil or an error, and that decides.
//
// A Tx must not be kept after that function returns, and must not be used by
// several goroutines at once. Rows must be closed before the function returns.
//
// Running the same text again costs no parsing, also in later transactions.
type Tx struct {
	tx      *sql.Tx
	dialect Dialect
}

// Dialect returns the SQL dialect of this transaction.
func (tx *Tx) Dialect() Dialect { return tx.dialect }

// ExecContext runs a statement that returns no rows. An error that [Duplicate]
// recognises, or a mistake in the text, leaves the transaction usable. After any
// other error every later call fails with the same cause and nothing is committed:
// the engine may have rolled back already, and what came after would otherwise be
// committed without what came before.
func (tx *Tx) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	return tx.tx.ExecContext(ctx, query, args...)
}

// QueryContext runs a query that sees what this transaction has written so far.
func (tx *Tx) QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return tx.tx.QueryContext(ctx, query, args...)
}

// QueryRowContext is [Tx.QueryContext] for at most one row.
func (tx *Tx) QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row {
	return tx.tx.QueryRowContext(ctx, query, args...)
}

// Write runs fn in one transaction. If fn returns nil the transaction is committed and
// durable; if fn returns an error or panics, it is rolled back and the error (or the
// panic) passed on.
//
// On SQLite the transaction holds the write lock from its beginning, so that no row that
// fn reads can change before fn writes. Writers of a file wait here for each other, in
// order of arrival, until ctx ends.
//
// On MySQL up to [DB.WriteConns] run at the same time, at READ COMMITTED: rows that
// fn reads can change before fn writes, unless fn locks them ([Dialect.ForUpdate]), and each
// statement sees the data committed before it. A caller that locks several rows must
// lock them in the same order everywhere, or risk deadlocks, which are [Transient]. A statement that ctx
// interrupts costs the connection; the server rolls back, and releases the locks, when it
// has finished that statement.
//
// Write must not be called inside fn: it would wait for itself.
//
// If ctx ends before COMMIT begins, nothing is written and ctx's error is returned.
// Once COMMIT has begun it runs to its end, even if ctx ends: database/sql and the
// driver get a context that cannot end, because after an interrupted COMMIT the caller
// does not know what was stored. For the same reason the
// wait for another process's lock on an SQLite file at the beginning is bounded by
// Options.BusyTimeout and not by ctx, and a server's answer to COMMIT by
// Options.ReadTimeout. A COMMIT that fails is a [*CommitError].
func (db *DB) Write(ctx context.Context, fn func(ctx context.Context, tx *Tx) error) error {
	if db.dialect == MySQL {
		if !db.writes.TryAcquire(1) {
			return fmt.Errorf("begin transaction: database %s is closed", db.name)
		}
		defer db.writes.Release(1)
	}
	conn, tx, err := db.begin(ctx)
	if err != nil {
		return db.explain(fmt.Errorf("begin transaction: %w", err))
	}
	defer conn.Close() // returns it to the pool, unless drop was called: then it does nothing

	finished := false
	defer func() {
		if !finished { // fn panicked, or ended its goroutine
			rollback(conn, tx)
		}
	}()
	err = fn(ctx, &Tx{tx: tx, dialect: db.dialect})
	if err == nil {
		err = ctx.Err()
	}
	finished = true
	if err != nil {
		rollback(conn, tx)
		return db.explain(err)
	}
	return db.commit(conn, tx)
}

// begin takes the writing connection and starts a transaction on it. A connection
// that turns out to be dead at this point has executed nothing, so a second one is
// tried; database/sql does the same for the operations that it chooses connections for.
func (db *DB) begin(ctx context.Context) (*sql.Conn, *sql.Tx, error) {
	for attempt := 0; ; attempt++ {
		conn, err := db.writer.Conn(ctx)
		if err != nil {
			return nil, nil, err
		}
		// With ctx, database/sql would roll back behind fn's back, and a COMMIT that it
		// refuses because ctx has just ended would look like one that failed. The
		// transaction's own context therefore never ends: fn's statements have ctx, and
		// Write looks at it before COMMIT.
		tx, err := conn.BeginTx(context.WithoutCancel(ctx), nil)
		if err == nil {
			return conn, tx, nil
		}
		drop(conn)
		if attempt > 0 || !errors.Is(err, driver.ErrBadConn) {
			return nil, nil, err
		}
	}
}

func (db *DB) commit(conn *sql.Conn, tx *sql.Tx) error {
	err := tx.Commit()
	if err == nil {
		return nil
	}
	drop(conn)
	if aborted := (*abortedError)(nil); errors.As(err, &aborted) {
		return db.explain(err) // no COMMIT was sent
	}
	return &CommitError{Name: db.name, Err: db.explain(err)}
}

// rollback undoes tx. If even that fails, closing the connection does it.
func rollback(conn *sql.Conn, tx *sql.Tx) {
	if err := tx.Rollback(); err != nil && !errors.Is(err, sql.ErrTxDone) {
		drop(conn)
	}
}

// drop closes the physical connection instead of giving it back to the pool.
func drop(conn *sql.Conn) {
	_ = conn.Raw(func(any) error { return driver.ErrBadConn })
}
