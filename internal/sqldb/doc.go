// Package sqldb opens, migrates, reads and writes SQL databases.
//
// It owns how a database is opened, tuned, migrated, written and read, and the
// meaning of driver errors. It knows no film, no rating and no user: tables and
// statements belong to the stores that use it.
//
// What it promises:
//
//   - [DB.Write] runs one function in one transaction. All of it is durable when
//     Write returns nil, and none of it is when Write returns an error, except for
//     a [*CommitError], whose outcome is unknown.
//   - Writes to an SQLite file run one after the other on a single connection,
//     for any number of callers. SQLite allows one writer at a time anyway; waiting
//     in Go is fair and ends with the caller's context, unlike waiting for
//     SQLITE_BUSY.
//   - Writes to a MySQL server run side by side, up to [DB.WriteConns]. They see what is
//     committed in between (READ COMMITTED) unless they lock it; see [DB.Write].
//   - A transaction that the engine has ended (a deadlock's victim, a connection that was
//     lost or killed, an interrupted statement) never continues in autocommit: every later
//     statement in it fails, and [DB.Write] returns the cause.
//   - [DB.Read] never sees uncommitted data, never blocks a writer and is never
//     blocked by one. It cannot write.
//   - [DB.Snapshot] gives several reads one point in time.
//   - [DB.Session] gives several reads one session, and reports whether a crash of the server may
//     have lost data that was read before.
//   - A statement text is parsed once per connection, not once per execution:
//     both sides keep a bounded cache of prepared statements below database/sql,
//     so that a store simply runs text.
//   - [Transient], [Unreachable], [Full], [Duplicate], [ReadOnly] and [Corrupt] are the
//     only places that inspect a driver's error code.
//   - No message shows a password.
//
// What it refuses: to retry a write (only the caller knows whether that is right),
// to wait for a server ([Open] tries once, and [Unreachable] says whether waiting may
// help), to create directories, to open an in-memory database (several connections could
// not share it), and to hide which SQL runs: the few differences between engines
// are texts made by [Dialect].
//
// # Statements that run everywhere
//
// Placeholders are "?". Integers are stored as integers, times as integer
// milliseconds or microseconds: SQLite has no time type, and the conversions of two
// drivers never agree. No auto-increment, foreign keys, triggers or views. No
// statement may depend on the count of affected rows of an upsert: engines disagree.
// UPDATE and DELETE count the rows that they found, on both.
//
// Every MySQL session is set to a strict mode in which texts mean what they mean to
// SQLite: || joins strings, "x" is a name, a backslash is a character. Rows may be read
// while other statements run in the same transaction; on MySQL the remaining rows are
// then held in memory, so a loop over a large result should run no other statement. A
// result that is closed long before its end costs a connection there: use LIMIT.
//
// # MySQL
//
// Tested with MariaDB 10.11. The statements use only what MySQL 8, TiDB and Vitess
// document as well, but no test runs on those. A service needs its own database and a
// user with the [Rights] on it:
//
//	CREATE DATABASE rating CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
//	CREATE USER 'rating'@'%' IDENTIFIED BY '…';
//	GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, INDEX ON rating.* TO 'rating'@'%';
//
// A process that is frozen while it writes would lock out all others until it wakes up. MariaDB ends its transaction after
// ten seconds; MySQL has no such limit: an operator has to kill the connection.
//
// Identifiers are VARBINARY columns, compared byte by byte; text for people is VARCHAR or
// TEXT in utf8mb4.
package sqldb
