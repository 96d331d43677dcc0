// Package sqldb is the one door to SQL databases.
//
// It owns how a database is opened, tuned, migrated, written and read, and what
// a driver's error means. It knows no film, no rating and no user: tables and
// statements belong to the stores that use it.
//
// What it promises:
//
//   - [DB.Write] runs one function in one transaction. All of it is durable when
//     Write returns nil, and none of it is when Write returns an error, except for
//     a [*CommitError], which says that nobody knows.
//   - Writes to an SQLite file run one after the other on a single connection,
//     whatever the number of callers. SQLite allows one writer at a time anyway;
//     waiting in Go is fair and ends with the caller's context, waiting for
//     SQLITE_BUSY is neither.
//   - [DB.Read] never sees uncommitted data, never blocks a writer and is never
//     blocked by one. It cannot write.
//   - [DB.Snapshot] gives several reads one point in time.
//   - A statement text is parsed once per connection, not once per execution:
//     both sides keep a bounded cache of prepared statements below database/sql,
//     so that a store simply runs text.
//   - [Transient], [Full], [Duplicate], [ReadOnly] and [Corrupt] are the only
//     places where a driver's error code is looked at.
//
// What it refuses: to retry a write (only its author knows whether that is right),
// to create directories, to open an in-memory database (several connections could
// not share it), and to hide which SQL runs: the few differences between engines
// are texts made by [Dialect].
//
// # Statements that run everywhere
//
// Placeholders are "?". Integers are stored as integers, times as integer
// milliseconds or microseconds: SQLite has no time type, and the conversions of two
// drivers never agree. No auto-increment, foreign keys, triggers or views. No
// statement may depend on the count of affected rows of an upsert: engines disagree.
package sqldb
