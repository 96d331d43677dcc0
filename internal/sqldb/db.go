package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"sync"
	"time"
)

// Options tunes a [DB]. The zero value is right for production.
type Options struct {
	// ReadConns bounds the connections that read at the same time. Zero means
	// twice GOMAXPROCS, at least 4: a read is CPU bound once its pages are cached,
	// and each connection has a page cache of its own.
	ReadConns int

	// BusyTimeout is how long a statement waits for a lock that another process
	// holds before it fails with an error that is [Transient]. Zero means 5 s.
	// Writers of this process do not wait here but in [DB.Write].
	BusyTimeout time.Duration

	// Logger gets one line per applied migration and the rare warnings.
	// Nil discards them.
	Logger *slog.Logger

	// Wrap, where set, stands between database/sql and the driver. Tests inject
	// faults with it (see package sqlfault). It is called once for the writing
	// and once for the reading side; the connector of the reading side has a
	// method ReadOnly() bool that answers true.
	Wrap func(driver.Connector) driver.Connector
}

// A Queryer reads. [DB.Read] returns one, [DB.Snapshot] passes one, and [*Tx] is one,
// so that a store's query can run in any of the three. Rows must be closed.
type Queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

var (
	_ Queryer = (*Tx)(nil)
	_ Queryer = (*sql.DB)(nil)
)

// DB is an open database. It is safe for concurrent use.
type DB struct {
	dialect Dialect
	name    string // what messages call it: the file's path
	writer  *sql.DB
	readers *sql.DB
	log     *slog.Logger

	closeOnce sync.Once
	closeErr  error
}

const (
	defaultBusyTimeout = 5 * time.Second
	// closeTimeout bounds how long Close waits for a write in progress.
	closeTimeout = 10 * time.Second
)

// Open opens the database that url names and creates it where it does not exist.
//
// "sqlite:PATH" is an SQLite file: "sqlite:ratings.db" is relative to the working
// directory, "sqlite:/var/lib/movieexample/ratings.db" is absolute. The whole rest
// is the path, whatever characters it has; its directory must exist. Settings are
// not part of the URL: there is one right way to open the file.
//
// "mysql://…" is reserved, and refused by this build.
//
// Open reports what is wrong with the file at once, not at the first query.
func Open(ctx context.Context, url string, opt Options) (*DB, error) {
	if opt.ReadConns <= 0 {
		opt.ReadConns = max(4, 2*runtime.GOMAXPROCS(0))
	}
	if opt.BusyTimeout <= 0 {
		opt.BusyTimeout = defaultBusyTimeout
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	scheme, rest, ok := strings.Cut(url, ":")
	switch {
	case ok && scheme == "sqlite":
		return openSQLite(ctx, rest, opt)
	case ok && scheme == "mysql":
		// Nothing of the URL is repeated here: it holds a password.
		return nil, errors.New(`open database: a mysql: URL was given, but this build has no MySQL support yet; use "sqlite:PATH"`)
	case ok && strings.HasPrefix(rest, "//"):
		return nil, fmt.Errorf(`open database: unknown kind %q; use "sqlite:PATH"`, scheme)
	default:
		return nil, fmt.Errorf(`open database %q: the URL must name the kind of database; use "sqlite:PATH", for example "sqlite:ratings.db"`, url)
	}
}

// Dialect tells which engine's texts this database understands.
func (db *DB) Dialect() Dialect { return db.dialect }

// Name is what messages call the database: the absolute path of an SQLite file.
func (db *DB) Name() string { return db.name }

// Read returns the reading side: a bounded pool of connections that cannot write.
// Every query sees everything that was committed before it began. Two queries may
// see different states; use [DB.Snapshot] where they must not.
func (db *DB) Read() Queryer { return db.readers }

// Snapshot runs fn with a Queryer that sees one committed state, however many
// queries it makes and whatever is written meanwhile. It occupies one reading
// connection, and while it is open SQLite's log cannot be reset and grows: keep it
// short, or accept the growth.
func (db *DB) Snapshot(ctx context.Context, fn func(ctx context.Context, q Queryer) error) error {
	tx, err := db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return db.explain(fmt.Errorf("begin snapshot: %w", err))
	}
	defer func() { _ = tx.Rollback() }() // ends the snapshot; there is nothing to lose
	return db.explain(fn(ctx, tx))
}

// Check reports whether the database answers, for readiness. It reads from the file.
func (db *DB) Check(ctx context.Context) error {
	var n int64
	if err := db.readers.QueryRowContext(ctx, db.dialect.checkQuery()).Scan(&n); err != nil {
		return db.explain(fmt.Errorf("check database %s: %w", db.name, err))
	}
	return nil
}

// Stats are the pool counters of both sides, for metrics.
type Stats struct {
	Writer, Readers sql.DBStats
}

// Stats returns the counters since Open.
func (db *DB) Stats() Stats {
	return Stats{Writer: db.writer.Stats(), Readers: db.readers.Stats()}
}

// Close waits for the write in progress, moves SQLite's log into the file, so that
// the file alone is the whole database, and closes every connection. Calls after
// Close fail. Calling Close again returns what the first call returned.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		// The readers go first: a reader in an old snapshot would keep the log alive.
		errReaders := db.readers.Close()
		errLog := db.finish()
		db.closeErr = errors.Join(errReaders, errLog, db.writer.Close())
	})
	return db.closeErr
}

// finish folds the log into the database file. Losing the race against a write
// that does not end costs nothing but a log file that the next Open reads.
func (db *DB) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if _, err := db.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return db.explain(fmt.Errorf("close database %s: write back its log: %w", db.name, err))
	}
	return nil
}
