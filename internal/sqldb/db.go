package sqldb

import (
	"context"
	"database/sql"
	"log/slog"
	"sync"
	"sync/atomic"
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

// Dialect tells which engine's texts this database understands.
func (db *DB) Dialect() Dialect { return db.dialect }

// Name is what messages call the database: the absolute path of an SQLite file, or
// "user@host:port/database".
func (db *DB) Name() string { return db.name }

// WriteConns is how many transactions can write at the same time: 1 on SQLite. Who
// writes in the background must leave some of them to those who wait for an answer.
func (db *DB) WriteConns() int { return db.writeConns }

// Stats are the pool counters of both sides, for metrics.
type Stats struct {
	Writer, Readers sql.DBStats
}

// Stats returns the counters since Open.
func (db *DB) Stats() Stats {
	return Stats{Writer: db.writer.Stats(), Readers: db.readers.Stats()}
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

// wait refuses new writes and waits for those in progress.
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
