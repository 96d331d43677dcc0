package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Options tunes a [DB]. The zero value is right for production.
type Options struct {
	// ReadConns bounds the connections that read at the same time. Zero means, for
	// SQLite, twice GOMAXPROCS, at least 4: a read is CPU bound once its pages are
	// cached, and each connection has a page cache of its own. For MySQL it means 16.
	// URL parameter: read_conns.
	ReadConns int

	// WriteConns bounds the transactions that write at the same time, on MySQL. Zero
	// means 16: with as many readers, two processes each of two services fit into the
	// 151 connections of a server as it comes. SQLite has one writer, whatever is set.
	// URL parameter: write_conns.
	WriteConns int

	// BusyTimeout is how long a statement waits for a lock that another process
	// (on MySQL: another transaction) holds before it fails with an error that is
	// [Transient]. Zero means 5 s. Writers of this process do not wait here for an
	// SQLite file, but in [DB.Write]. MySQL counts in seconds: it is rounded up.
	// URL parameter: lock_timeout.
	BusyTimeout time.Duration

	// The rest is for MySQL alone.

	// ConnLifetime is how long a connection is used. Zero means 30 minutes: after a
	// fail-over the connections move to where the name points now, and a server's
	// session memory is freed. URL parameter: conn_lifetime.
	ConnLifetime time.Duration

	// ConnIdleTime is how long a connection is kept unused. Zero means 5 minutes, less
	// than the time after which load balancers forget one. URL parameter: conn_idle_time.
	ConnIdleTime time.Duration

	// DialTimeout bounds making a TCP connection. Zero means 7 s, in which a lost
	// packet is repeated three times. URL parameter: dial_timeout.
	DialTimeout time.Duration

	// ReadTimeout bounds the silence of the server where it has to answer, for what has
	// no context: above all COMMIT, whose outcome is unknown then. Zero means 1 minute.
	// Migrations are not bounded by it. URL parameter: read_timeout.
	ReadTimeout time.Duration

	// RereadURL, where set, is called when the server refuses user and password: it returns the URL as it is now, so that a
	// password can be replaced without a restart. What else the URL says must be as before. It must be safe for concurrent use.
	RereadURL func() (string, error)

	// WriteTimeout bounds how long the server may take no bytes. Zero means 30 s.
	// URL parameter: write_timeout.
	WriteTimeout time.Duration

	// Logger gets one line per applied migration and the rare warnings.
	// Nil discards them.
	Logger *slog.Logger

	// Wrap, where set, stands between database/sql and the driver. Tests inject
	// faults with it (see package faultdriver). It is called once for the writing
	// and once for the reading side, and for MySQL on each Migrate; the connector of
	// the reading side has a method ReadOnly() bool that answers true.
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
	name    string // what messages call it: the file's path, or user@host:port/database
	writer  *sql.DB
	readers *sql.DB
	opened  atomic.Uint64 // how many sessions the readers have opened
	log     *slog.Logger
	watch   watch

	identity atomic.Pointer[string] // nil before Migrate
	migrated atomic.Pointer[string] // the files that Migrate has applied last; nil before

	checkpoints *checkpointer // SQLite only

	writeConns int
	server     *mysqlServer // MySQL only: as it was opened
	login      *login       // MySQL only
	opt        Options      // MySQL only, for Migrate
	writes     inFlight     // MySQL only, for Close

	closeOnce sync.Once
	closeErr  error
}

const (
	defaultBusyTimeout = 5 * time.Second
	// closeTimeout bounds how long Close waits for a write in progress.
	closeTimeout = 10 * time.Second
)

// Open opens the database that url names.
//
// "sqlite:PATH" is an SQLite file, created where it does not exist: "sqlite:ratings.db"
// is relative to the working directory, "sqlite:/var/lib/movieexample/ratings.db" is
// absolute. The whole rest is the path, whatever characters it has; its directory must
// exist. Settings are not part of the URL: there is one right way to open the file.
//
// "mysql://user:password@host:port/database?parameters" is a database on a MySQL or
// MariaDB server; it must exist. The port is 3306 where it is missing. In the user, the
// password and the database, "%", "?", "#" and "/" are written as "%25", "%3F", "%23" and
// "%2F" (any character may be). The parameters are those that [Options] names, and
//
//   - tls: "true" encrypts and checks the server's certificate for the host's name;
//     "skip-verify" encrypts; "preferred" encrypts where the server can; "false" does not.
//     Without it the connection is not encrypted, unless tls_ca is given.
//   - tls_ca: a PEM file with the certificates of the authorities to trust. Without it
//     those of the operating system are trusted.
//
// Open reports what is wrong at once, not at the first query. It tries a server once,
// for 15 s or until ctx ends: whoever starts before the database repeats it as long as
// the error is [Unreachable]. No error shows the password.
func Open(ctx context.Context, url string, opt Options) (*DB, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	scheme, rest, ok := strings.Cut(url, ":")
	switch {
	case ok && scheme == "sqlite":
		return openSQLite(ctx, rest, opt)
	case ok && scheme == "mysql":
		return openMySQL(ctx, rest, opt)
	case ok && strings.HasPrefix(rest, "//"):
		return nil, fmt.Errorf(`open database: unknown kind %q; use "sqlite:PATH" or %s`, scheme, mysqlExample)
	default:
		return nil, fmt.Errorf(`open database %q: the URL must name the kind of database; use "sqlite:PATH", for example "sqlite:ratings.db", or %s`, url, mysqlExample)
	}
}

// Dialect tells which engine's texts this database understands.
func (db *DB) Dialect() Dialect { return db.dialect }

// Name is what messages call the database: the absolute path of an SQLite file, or
// "user@host:port/database".
func (db *DB) Name() string { return db.name }

// WriteConns is how many transactions can write at the same time: 1 on SQLite. Who
// writes in the background must leave some of them to those who wait for an answer.
func (db *DB) WriteConns() int { return db.writeConns }

// Read returns the reading side: a bounded pool of connections that cannot write.
// Every query sees everything that was committed before it began. Two queries may
// see different states; use [DB.Snapshot] where they must not.
func (db *DB) Read() Queryer { return reader{db.readers, db.dialect} }

// Snapshot runs fn with a Queryer that sees one committed state, however many
// queries it makes and whatever is written meanwhile. It occupies one reading
// connection, and while it is open SQLite's log cannot be reset and grows (MySQL keeps
// the old versions of what changes): keep it short, or accept the growth.
func (db *DB) Snapshot(ctx context.Context, fn func(ctx context.Context, q Queryer) error) error {
	tx, err := db.readers.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return db.explain(fmt.Errorf("begin snapshot: %w", err))
	}
	defer func() { _ = tx.Rollback() }() // ends the snapshot; there is nothing to lose
	return db.explain(fn(ctx, snapshot{tx, db.dialect}))
}

// Check reports whether the database answers and takes writes, for readiness. It reads from the file. Whether writes succeed it
// knows from the last ones; only when there was none for ten seconds, or when they fail, it writes and deletes a row of its own,
// once a second at most. The error is a [*TroubleError] where an operator has to do something. Damage that was met once stays
// reported: mending it takes a restart.
func (db *DB) Check(ctx context.Context) error {
	var n int64
	if err := db.readers.QueryRowContext(ctx, db.dialect.checkQuery()).Scan(&n); err != nil {
		return db.explain(fmt.Errorf("check database %s: %w", db.name, err))
	}
	return db.checkWrites(ctx)
}

// Stats are the pool counters of both sides, for metrics.
type Stats struct {
	Writer, Readers sql.DBStats
}

// Stats returns the counters since Open.
func (db *DB) Stats() Stats {
	return Stats{Writer: db.writer.Stats(), Readers: db.readers.Stats()}
}

// Close waits for the writes in progress, but not for ever, moves SQLite's log into the
// file, so that the file alone is the whole database, and closes every connection. Calls
// after Close fail. Calling Close again returns what the first call returned.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		// The readers go first: a reader in an old snapshot would keep the log alive.
		errReaders := db.readers.Close()
		errCheckpoints := db.checkpoints.end()
		errLog := db.finish()
		db.closeErr = errors.Join(errReaders, errCheckpoints, errLog, db.writer.Close(), db.checkpoints.close())
	})
	return db.closeErr
}

// finish waits for writes. On SQLite it also folds the log into the database file. Losing
// the race against a write that does not end costs nothing but a log file that the next
// Open reads, or on a server the connection under that write, which is rolled back.
func (db *DB) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if db.dialect == MySQL {
		if err := db.writes.wait(ctx); err != nil {
			return fmt.Errorf("close database %s: a write does not end: %w", db.name, err)
		}
		return nil
	}
	if _, err := db.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return db.explain(fmt.Errorf("close database %s: write back its log: %w", db.name, err))
	}
	return nil
}

// inFlight counts writes, so that Close can wait for those that have begun.
type inFlight struct {
	mu      sync.Mutex
	n       int
	closing bool
	none    chan struct{} // closed when n is 0 and closing is set
}

func (f *inFlight) init() { f.none = make(chan struct{}) }

// enter reports whether a write may begin.
func (f *inFlight) enter() bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closing {
		return false
	}
	f.n++
	return true
}

func (f *inFlight) leave() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.n--; f.n == 0 && f.closing {
		close(f.none)
	}
}

// wait lets nobody in any more and waits for those who are.
func (f *inFlight) wait(ctx context.Context) error {
	f.mu.Lock()
	if f.closing = true; f.n == 0 {
		close(f.none)
	}
	f.mu.Unlock()
	select {
	case <-f.none:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
