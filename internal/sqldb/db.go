package sqldb

import (
	"database/sql"
	"log/slog"
	"sync"
	"sync/atomic"

	"golang.org/x/sync/semaphore"
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
	server     *mysqlServer        // MySQL only: as it was opened
	login      *login              // MySQL only
	opt        Options             // MySQL only, for Migrate
	writes     *semaphore.Weighted // MySQL only: one for each write in progress, and all for Close

	closeOnce sync.Once
	closeErr  error
}

// Dialect returns the SQL dialect of this database.
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

// allWrites is more than the possible number of concurrent writes. Close acquires all of them, so that none begins any more.
const allWrites = 1 << 40
