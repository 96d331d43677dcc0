package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"sync/atomic"

	sqlite3 "modernc.org/sqlite/lib"
)

// maxIdleStatements bounds the prepared statements that a connection keeps. All
// texts of a service fit several times; what falls out is parsed again when needed.
const maxIdleStatements = 256

// sqliteConnector makes connections that do three things which the driver leaves to
// database/sql, and which database/sql cannot do well for SQLite:
//
//   - Statements are kept prepared per connection. Parsing a multi-row upsert costs
//     more than executing it. (sql.Stmt is no substitute: the driver has one cursor
//     per statement, so running the same sql.Stmt inside its own rows loop silently
//     restarts the outer loop. Here a statement in use is not in the cache.)
//   - COMMIT cannot be interrupted by a context.
//   - A transaction that SQLite rolled back on its own is remembered as such, until
//     it is ended. Otherwise its later statements would be committed one by one.
type sqliteConnector struct {
	raw driver.Connector
	// opened counts the connections of the reading side; nil on the writing side.
	opened *atomic.Uint64
	db     *DB // records errors and commits
}

// ReadOnly tells a wrapper (see [Options]) which side it wraps.
func (c *sqliteConnector) ReadOnly() bool { return c.opened != nil }

func (c *sqliteConnector) Driver() driver.Driver { return c.raw.Driver() }

func (c *sqliteConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.raw.Connect(ctx)
	if err != nil {
		return nil, c.db.noted(err, c.opened == nil)
	}
	raw, ok := conn.(rawSQLite)
	if !ok {
		return nil, errors.Join(fmt.Errorf("SQLite driver: connection is a %T, which lacks a method", conn), conn.Close())
	}
	if c.opened != nil {
		c.opened.Add(1) // before it is used
	}
	return &sqliteConn{raw: raw, statements: newStatements(maxIdleStatements), db: c.db, writes: c.opened == nil}, nil
}

// rawSQLite is what sqliteConn needs of the driver's connection.
type rawSQLite interface {
	driver.Conn
	driver.ConnPrepareContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
}

// sqliteConn is one connection. database/sql never calls it concurrently.
type sqliteConn struct {
	raw        rawSQLite
	statements *statements
	db         *DB
	writes     bool

	inTx    bool
	aborted error // set once SQLite may have ended the transaction; an *abortedError
	broken  bool  // the transaction's state is unknown: never use again
}

var _ interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.Pinger
	driver.SessionResetter
	driver.Validator
} = (*sqliteConn)(nil)

func (c *sqliteConn) put(query string, stmt rawStmt) error {
	if c.broken {
		return stmt.Close()
	}
	return c.statements.put(query, stmt)
}

// note remembers an error that may have ended the transaction.
func (c *sqliteConn) note(err error) error {
	if c.inTx && c.aborted == nil && sqliteEndsTransaction(err) {
		c.aborted = &abortedError{cause: err}
	}
	return c.db.noted(err, c.writes)
}

func (c *sqliteConn) exec(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	stmt, err := c.statements.take(ctx, c.raw, query)
	if err != nil {
		return nil, err
	}
	result, err := stmt.ExecContext(ctx, args)
	if err != nil {
		_ = stmt.Close() // repeats the statement's own error
		return nil, err
	}
	return result, c.put(query, stmt)
}

func (c *sqliteConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	if c.aborted != nil {
		return nil, c.aborted
	}
	result, err := c.exec(ctx, query, args)
	if err != nil {
		return nil, c.note(err)
	}
	return result, nil
}

func (c *sqliteConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	if c.aborted != nil {
		return nil, c.aborted
	}
	stmt, err := c.statements.take(ctx, c.raw, query)
	if err != nil {
		return nil, c.note(err)
	}
	rows, err := stmt.QueryContext(ctx, args)
	if err != nil {
		_ = stmt.Close() // repeats the statement's own error
		return nil, c.note(err)
	}
	return &sqliteRows{Rows: rows, conn: c, query: query, stmt: stmt}, nil
}

// sqliteRows gives its statement back when it is closed.
type sqliteRows struct {
	driver.Rows
	conn   *sqliteConn
	query  string
	stmt   rawStmt
	failed bool
}

func (r *sqliteRows) Next(dest []driver.Value) error {
	err := r.Rows.Next(dest)
	if err != nil && !errors.Is(err, io.EOF) {
		r.failed = true
		return r.conn.note(err)
	}
	return err
}

func (r *sqliteRows) Close() error {
	if r.stmt == nil {
		return nil
	}
	stmt := r.stmt
	r.stmt = nil
	err := r.Rows.Close()
	if err != nil || r.failed {
		_ = stmt.Close()
		return r.conn.note(err)
	}
	return r.conn.put(r.query, stmt)
}

// BeginTx starts a transaction that has the write lock from the beginning, since one
// that asks for it later fails if another connection wrote in between; or, given ReadOnly, one
// that keeps its snapshot from its first read on.
func (c *sqliteConn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	switch sql.IsolationLevel(opts.Isolation) {
	case sql.LevelDefault, sql.LevelSerializable:
	default:
		return nil, fmt.Errorf("SQLite transactions are serializable; isolation level %v is not available", sql.IsolationLevel(opts.Isolation))
	}
	begin := "BEGIN IMMEDIATE"
	if opts.ReadOnly {
		begin = "BEGIN"
	}
	if _, err := c.exec(ctx, begin, nil); err != nil {
		return nil, c.note(err)
	}
	c.inTx = true
	return sqliteTx{c}, nil
}

type sqliteTx struct{ c *sqliteConn }

// Commit runs with a context that never ends. If it fails, the connection is not used
// again, and closing it rolls back whatever may still be open.
func (t sqliteTx) Commit() error {
	if aborted := t.c.aborted; aborted != nil {
		return errors.Join(aborted, t.Rollback())
	}
	t.c.inTx = false
	_, err := t.c.exec(context.Background(), "COMMIT", nil)
	t.c.broken = err != nil
	if err == nil && t.c.writes {
		t.c.db.watch.committed()
		t.c.db.checkpoints.committed()
	}
	return t.c.note(err)
}

// Rollback undoes the transaction, or finds that SQLite has done so.
func (t sqliteTx) Rollback() error {
	gone := t.c.aborted != nil
	t.c.inTx, t.c.aborted = false, nil
	_, err := t.c.exec(context.Background(), "ROLLBACK", nil)
	if gone && primary(err) == sqlite3.SQLITE_ERROR { // "no transaction is active"
		return nil
	}
	t.c.broken = err != nil
	return err
}

func (c *sqliteConn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *sqliteConn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

// PrepareContext goes around the cache and the memory of failed transactions. Nothing
// in this package uses it; goose does not either.
func (c *sqliteConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	return c.raw.PrepareContext(ctx, query)
}

func (c *sqliteConn) Ping(ctx context.Context) error { return c.raw.Ping(ctx) }

func (c *sqliteConn) ResetSession(ctx context.Context) error {
	if c.broken {
		return driver.ErrBadConn
	}
	return c.raw.ResetSession(ctx)
}

func (c *sqliteConn) IsValid() bool { return !c.broken && c.raw.IsValid() }

func (c *sqliteConn) Close() error {
	return errors.Join(c.statements.close(), c.raw.Close())
}
