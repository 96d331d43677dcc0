package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
)

// A Queryer reads. [DB.Read] returns one, [DB.Snapshot] passes one, and [*Tx] is one,
// so that a store's query can run in any of the three. Rows must be closed.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var _ Queryer = (*Tx)(nil)

// queryer is a Queryer that knows its engine.
type queryer struct {
	Queryer
	dialect Dialect
}

// Dialect returns the engine that executes the queries.
func (q queryer) Dialect() Dialect { return q.dialect }

// Read returns the reading side: a bounded pool of connections that cannot write.
// Every query sees everything that was committed before it began. Two queries may
// see different states; use [DB.Snapshot] where they must not.
func (db *DB) Read() Queryer { return queryer{db.readers, db.dialect} }

// Snapshot runs fn with a Queryer all of whose queries see the same committed state,
// whatever is written in between. It occupies one reading
// connection, and while it is open SQLite's log cannot be reset and grows (MySQL keeps
// the old versions of what changes): keep it short, or accept the growth.
func (db *DB) Snapshot(ctx context.Context, fn func(ctx context.Context, q Queryer) error) error {
	tx, err := db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return db.explain(fmt.Errorf("begin snapshot: %w", err))
	}
	defer func() { _ = tx.Rollback() }() // ends the snapshot; there is nothing to lose
	return db.explain(fn(ctx, queryer{tx, db.dialect}))
}

// Session runs fn with a Queryer all of whose queries run in one session of the reading side, which is not replaced
// if it ends: then they fail. Each query sees what was committed before it began; unlike in [DB.Snapshot], two
// queries may see different states. It occupies one reading connection. If the session turns out to be dead, fn may be
// called a second time, with a new one.
//
// opened is how many sessions the reading side had opened before fn's first query. It never decreases. Two calls of fn with
// the same number were answered by the same run of the same server, provided that one server at a time answers at the
// address, and that its sessions end with it: no session was opened between the first query of the former call and
// that of the latter, so that the latter was answered in a session that the former's server had accepted, or one before it.
// A caller that reads what may be lost with a crash (a MySQL server shows a commit to others before it is on disk) therefore reads
// it again when the number has grown. A proxy that gives one session of ours to several servers by turns breaks this.
//
// The number also grows for harmless reasons. On MySQL, the pool opens sessions as more queries run at the same
// time, up to Options.ReadConns, and again after those were idle for Options.ConnIdleTime or reached Options.ConnLifetime:
// at most ReadConns in each ConnIdleTime. SQLite shows a commit only when it is on disk (in WAL mode with
// synchronous=FULL the log is synced before its index says that the transaction is there): all of its reasons are harmless, and
// it opens up to ReadConns in all, and one for each that breaks.
func (db *DB) Session(ctx context.Context, fn func(ctx context.Context, q Queryer, opened uint64) error) error {
	for attempt := 0; ; attempt++ {
		err := db.inSession(ctx, fn)
		if attempt > 0 || !errors.Is(err, driver.ErrBadConn) {
			return err
		}
	}
}

func (db *DB) inSession(ctx context.Context, fn func(ctx context.Context, q Queryer, opened uint64) error) error {
	conn, err := db.readers.Conn(ctx)
	if err != nil {
		return db.explain(fmt.Errorf("begin session: %w", err))
	}
	defer conn.Close() // returns it to the pool
	// Read after the connection was taken, so that it is among those counted.
	return db.explain(fn(ctx, queryer{conn, db.dialect}, db.opened.Load()))
}
