package faultdriver

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
)

type connector struct {
	driver.Connector
	plan     *Plan
	readOnly bool
}

func (c *connector) ReadOnly() bool { return c.readOnly }

func (c *connector) Connect(ctx context.Context) (driver.Conn, error) {
	raw, err := c.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	return &conn{raw: raw, plan: c.plan, readOnly: c.readOnly, rows: map[*rows]struct{}{}, stmts: map[*stmt]struct{}{}}, nil
}

// conn offers every optional interface of a modern driver. Where the driver below
// lacks one, it answers as database/sql would treat a driver without it.
type conn struct {
	raw      driver.Conn
	plan     *Plan
	readOnly bool
	lost     bool

	// What is open below: SQLite keeps a closed connection, its locks included, until
	// its last cursor is closed.
	rows  map[*rows]struct{}
	stmts map[*stmt]struct{}
}

var _ interface {
	driver.Conn
	driver.ConnBeginTx
	driver.ConnPrepareContext
	driver.ExecerContext
	driver.QueryerContext
	driver.NamedValueChecker
	driver.SessionResetter
	driver.Validator
	driver.Pinger
} = (*conn)(nil)

// do runs one operation under the plan.
func do[T any](c *conn, op Op, text string, run func() (T, error)) (T, error) {
	var zero T
	if c.lost {
		return zero, &fault{mode: LostBefore, op: op}
	}
	if !c.plan.next(c.readOnly, op, text) {
		return run()
	}
	f := &fault{mode: c.plan.Mode, op: op}
	after := f.mode == ErrorAfter || f.mode == LostAfter
	if after {
		result, err := run()
		if err != nil && !errors.Is(err, io.EOF) {
			// The operation itself failed: that is the answer, and the fault is only
			// that the connection may be gone as well.
			if f.mode == LostAfter {
				c.lose()
			}
			return zero, errors.Join(f, err)
		}
		discard(result)
	}
	// An operation that ends a transaction and reports an error leaves a connection that must not be
	// used again; drivers close it.
	if f.mode == LostBefore || f.mode == LostAfter || op == Commit || op == Rollback {
		c.lose()
	}
	return zero, f
}

// discard ends what an operation has begun and the caller will never see.
func discard(result any) {
	switch r := result.(type) {
	case driver.Tx:
		_ = r.Rollback() // or the next BEGIN on this connection fails
	case driver.Rows:
		_ = r.Close()
	case driver.Stmt:
		_ = r.Close()
	}
}

// lose makes the connection useless. It is closed below at once, as by a server that
// notices the loss: locks are released and an open transaction is rolled back before
// the next operation.
func (c *conn) lose() {
	if !c.lost {
		c.lost = true
		for r := range c.rows {
			_ = r.raw.Close()
		}
		for s := range c.stmts {
			_ = s.raw.Close()
		}
		_ = c.raw.Close()
	}
}

func (c *conn) Close() error {
	if c.lost {
		return nil
	}
	return c.raw.Close()
}

func (c *conn) IsValid() bool {
	if c.lost {
		return false
	}
	v, ok := c.raw.(driver.Validator)
	return !ok || v.IsValid()
}

func (c *conn) ResetSession(ctx context.Context) error {
	if c.lost {
		return driver.ErrBadConn
	}
	if r, ok := c.raw.(driver.SessionResetter); ok {
		return r.ResetSession(ctx)
	}
	return nil
}

func (c *conn) Ping(ctx context.Context) error {
	if c.lost {
		return driver.ErrBadConn
	}
	if p, ok := c.raw.(driver.Pinger); ok {
		return p.Ping(ctx)
	}
	return nil
}

func (c *conn) CheckNamedValue(v *driver.NamedValue) error {
	if n, ok := c.raw.(driver.NamedValueChecker); ok {
		return n.CheckNamedValue(v)
	}
	return driver.ErrSkip // database/sql converts by its default rules
}

func (c *conn) Begin() (driver.Tx, error) {
	return c.BeginTx(context.Background(), driver.TxOptions{})
}

func (c *conn) BeginTx(ctx context.Context, opts driver.TxOptions) (driver.Tx, error) {
	b, ok := c.raw.(driver.ConnBeginTx)
	if !ok {
		return nil, errors.New("faultdriver: the driver cannot begin a transaction with a context")
	}
	raw, err := do(c, Begin, "", func() (driver.Tx, error) { return b.BeginTx(ctx, opts) })
	if err != nil {
		return nil, err
	}
	return &tx{raw: raw, c: c}, nil
}

func (c *conn) Prepare(query string) (driver.Stmt, error) {
	return c.PrepareContext(context.Background(), query)
}

func (c *conn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	raw, err := do(c, Prepare, query, func() (driver.Stmt, error) {
		if p, ok := c.raw.(driver.ConnPrepareContext); ok {
			return p.PrepareContext(ctx, query)
		}
		return c.raw.Prepare(query)
	})
	if err != nil {
		return nil, err
	}
	return c.openStmt(raw, query), nil
}

func (c *conn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Result, error) {
	e, ok := c.raw.(driver.ExecerContext)
	if !ok {
		return nil, driver.ErrSkip // database/sql prepares instead
	}
	return do(c, Exec, query, func() (driver.Result, error) { return e.ExecContext(ctx, query, args) })
}

func (c *conn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := c.raw.(driver.QueryerContext)
	if !ok {
		return nil, driver.ErrSkip // database/sql prepares instead
	}
	raw, err := do(c, Query, query, func() (driver.Rows, error) { return q.QueryContext(ctx, query, args) })
	if err != nil {
		return nil, err
	}
	return c.openRows(raw, query), nil
}

type tx struct {
	raw driver.Tx
	c   *conn
}

func (t *tx) Commit() error {
	_, err := do(t.c, Commit, "", func() (struct{}, error) { return struct{}{}, t.raw.Commit() })
	return err
}

func (t *tx) Rollback() error {
	_, err := do(t.c, Rollback, "", func() (struct{}, error) { return struct{}{}, t.raw.Rollback() })
	return err
}

type stmt struct {
	raw   driver.Stmt
	c     *conn
	query string
}

var _ interface {
	driver.Stmt
	driver.StmtExecContext
	driver.StmtQueryContext
} = (*stmt)(nil)

func (c *conn) openStmt(raw driver.Stmt, query string) *stmt {
	s := &stmt{raw: raw, c: c, query: query}
	c.stmts[s] = struct{}{}
	return s
}

func (s *stmt) Close() error {
	if s.c.lost {
		return nil
	}
	delete(s.c.stmts, s)
	return s.raw.Close()
}

func (s *stmt) NumInput() int { return s.raw.NumInput() }

func (s *stmt) Exec(args []driver.Value) (driver.Result, error) {
	return s.ExecContext(context.Background(), named(args))
}

func (s *stmt) Query(args []driver.Value) (driver.Rows, error) {
	return s.QueryContext(context.Background(), named(args))
}

func (s *stmt) ExecContext(ctx context.Context, args []driver.NamedValue) (driver.Result, error) {
	e, ok := s.raw.(driver.StmtExecContext)
	if !ok {
		return nil, errors.New("faultdriver: the driver's statements take no context")
	}
	return do(s.c, Exec, s.query, func() (driver.Result, error) { return e.ExecContext(ctx, args) })
}

func (s *stmt) QueryContext(ctx context.Context, args []driver.NamedValue) (driver.Rows, error) {
	q, ok := s.raw.(driver.StmtQueryContext)
	if !ok {
		return nil, errors.New("faultdriver: the driver's statements take no context")
	}
	raw, err := do(s.c, Query, s.query, func() (driver.Rows, error) { return q.QueryContext(ctx, args) })
	if err != nil {
		return nil, err
	}
	return s.c.openRows(raw, s.query), nil
}

func named(args []driver.Value) []driver.NamedValue {
	out := make([]driver.NamedValue, len(args))
	for i, v := range args {
		out[i] = driver.NamedValue{Ordinal: i + 1, Value: v}
	}
	return out
}

type rows struct {
	raw   driver.Rows
	c     *conn
	query string
}

func (r *rows) Columns() []string { return r.raw.Columns() }

func (c *conn) openRows(raw driver.Rows, query string) *rows {
	r := &rows{raw: raw, c: c, query: query}
	c.rows[r] = struct{}{}
	return r
}

func (r *rows) Close() error {
	if r.c.lost {
		return nil
	}
	delete(r.c.rows, r)
	return r.raw.Close()
}

func (r *rows) Next(dest []driver.Value) error {
	_, err := do(r.c, Next, r.query, func() (struct{}, error) { return struct{}{}, r.raw.Next(dest) })
	return err
}

// HasNextResultSet answers for the driver below.
func (r *rows) HasNextResultSet() bool {
	next, ok := r.raw.(driver.RowsNextResultSet)
	return ok && !r.c.lost && next.HasNextResultSet()
}

// NextResultSet counts as a [Next].
func (r *rows) NextResultSet() error {
	next, ok := r.raw.(driver.RowsNextResultSet)
	if !ok {
		return io.EOF
	}
	_, err := do(r.c, Next, r.query, func() (struct{}, error) { return struct{}{}, next.NextResultSet() })
	return err
}
