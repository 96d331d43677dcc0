package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"

	sqlite3 "modernc.org/sqlite/lib"

	"movieexample.com/internal/fault"
)

// Transient reports whether the same transaction may succeed if it is run again
// from its beginning, and certainly was not committed: another process held a lock
// for too long, the engine chose it as a deadlock's victim, the server could not be
// reached, or the connection was lost before COMMIT. A [*CommitError] is not transient.
func Transient(err error) bool {
	if unknown := (*CommitError)(nil); err == nil || errors.As(err, &unknown) {
		return false
	}
	return sqliteTransient(err) || mysqlTransient(err) ||
		errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Full reports whether the database could not grow: its disk, or a quota, is full.
// Nothing is damaged; after space has been freed the same transaction succeeds.
// [DB.Write] has put a text into such an error that tells the operator what to do.
func Full(err error) bool { return sqliteFull(err) || mysqlFull(err) }

// Duplicate reports whether a row with the same primary or unique key exists.
func Duplicate(err error) bool { return sqliteDuplicate(err) || mysqlDuplicate(err) }

// ReadOnly reports whether something was to be written that cannot be: through
// [DB.Read], to a file without write permission, or to a server that is read-only.
func ReadOnly(err error) bool { return sqliteReadOnly(err) || mysqlReadOnly(err) }

// Corrupt reports whether the stored data is damaged, or the file is no database.
func Corrupt(err error) bool { return sqliteCorrupt(err) || mysqlCorrupt(err) }

// explain returns a [TroubleError] for an error that an operator has to remove. It returns other errors unchanged.
func (db *DB) explain(err error) error {
	if err == nil || errors.As(err, new(*TroubleError)) {
		return err
	}
	hint := ""
	switch db.dialect {
	case SQLite:
		hint = sqliteHint(db.name, err)
	case MySQL:
		hint = mysqlHint(db.server, err)
	}
	if hint == "" {
		return err
	}
	return &TroubleError{Name: db.name, Hint: hint, Err: err}
}

// TroubleError is an error that an operator has to remove. It names the database, the cause and what to do.
type TroubleError struct {
	Name string // of the database, see [DB.Name]
	Hint string // the problem, and what to do about it
	Err  error  // what the driver said
}

// Error describes the error.
func (e *TroubleError) Error() string {
	return fmt.Sprintf("database %s: %s: %v", e.Name, e.Hint, e.Err)
}

// Unwrap returns what the driver said.
func (e *TroubleError) Unwrap() error { return e.Err }

// refusesWrites reports whether err is about the state of the database, which an operator has to repair. Errors about the written
// data and transient errors are not.
func refusesWrites(err error) bool {
	return ReadOnly(err) || Full(err) || Corrupt(err) || Forbidden(err) || cannotOpen(err) || ioFailed(err) || mysqlLoginRefused(err)
}

// noted explains an error of a connection, and records what it says about the database's state.
func (db *DB) noted(err error, writes bool) error {
	if err == nil {
		return nil
	}
	err = db.explain(err)
	if writes && db.dialect == SQLite && ReadOnly(err) && !errors.As(err, new(*TroubleError)) {
		err = &TroubleError{Name: db.name, Hint: "the file cannot be written: check who may write it, and how its file system is mounted", Err: err}
	}
	if errors.As(err, new(*TroubleError)) {
		if Corrupt(err) {
			db.watch.damaged(err)
		}
		if writes && refusesWrites(err) {
			db.watch.refused(err, Forbidden(err))
		}
	}
	return err
}

// Fault gives an error of this package the kind with which a service answers, so that
// each store need not repeat the rules. Stores first handle what has a meaning of its
// own for them (no row, [Duplicate]), then return Fault(err).
//
//   - [Transient] and [*CommitError]: Unavailable. Everything our services write can be
//     repeated with the same effect, so a client that retries is right in both cases.
//   - [*TroubleError], which is about a file that cannot be written, damage, a missing right or a refused login: Unavailable,
//     with the database and what to do.
//   - [Full]: Unavailable, with a text that says so to the client as well; it is not
//     the client's quota that is exhausted.
//   - a server that is read-only: Unavailable. It is being replaced, or was replaced.
//   - an error that has a kind already, or is about a context: unchanged.
//   - any other: unchanged, which means Internal; its text stays in the log.
func Fault(err error) error {
	var kind *fault.Error
	var unknown *CommitError
	var trouble *TroubleError
	switch {
	case err == nil, errors.As(err, &kind):
		return err
	case Full(err):
		return fault.Unavailable(err, "the database's disk is full; the operator must free space, then the same request succeeds")
	case errors.As(err, &trouble) && refusesWrites(err) && !mysqlReadOnlyServer(err):
		return fault.Unavailable(err, "database %s: %s", trouble.Name, trouble.Hint)
	case errors.As(err, &unknown):
		return fault.Unavailable(err, "the database did not confirm the change; read it back, or repeat the same request")
	case mysqlReadOnlyServer(err):
		return fault.Unavailable(err, "the database takes no writes at the moment; repeat the same request later")
	case Transient(err):
		return fault.Unavailable(err, "the database is busy or was not reached; repeat the same request")
	default:
		return err
	}
}

// Refused reports whether the engine rejects the data itself: a value that does not fit its column, a NULL, a constraint, a row that
// a trigger rejects. The same data is rejected again, and other data is not. A missing table or right, and a full disk, do not count.
func Refused(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH, sqlite3.SQLITE_TOOBIG:
		return true
	}
	number, state := mysqlError(err)
	switch number {
	case erNoDefaultForField, erTruncatedWrongValue, erWarnDataTruncated, erCheckMySQL:
		return true
	}
	return len(state) == 5 && (state[:2] == "22" || state[:2] == "23")
}

// CommitError says that COMMIT was sent and its answer was an error: it is unknown whether the
// transaction was committed. The connection has been closed. Before it writes again, the caller
// must read back what it wanted to write. A CommitError is never [Transient], since a blind
// retry may do the work twice.
type CommitError struct {
	Name string // of the database, see [DB.Name]
	Err  error  // what the driver said
}

// Error describes the error.
func (e *CommitError) Error() string {
	return fmt.Sprintf("commit to database %s: outcome unknown, read back before writing again: %v", e.Name, e.Err)
}

// Unwrap returns what the driver said.
func (e *CommitError) Unwrap() error { return e.Err }

// abortedError is the answer to every statement, and to COMMIT, after an error that
// may have ended the transaction inside the engine.
type abortedError struct{ cause error }

func (e *abortedError) Error() string {
	return "transaction abandoned after an earlier error: " + e.cause.Error()
}

func (e *abortedError) Unwrap() error { return e.cause }

// Unreachable reports whether a server cannot be reached or accepts no connections at the
// moment: it does not listen, its name has no address, it is starting, shutting down, or
// full. A retry may succeed. Other errors of [Open] are permanent: a wrong password, an
// unknown database, a mistake in the URL, anything about an SQLite file.
func Unreachable(err error) bool {
	if unknown := (*CommitError)(nil); err == nil || errors.As(err, &unknown) || errors.Is(err, context.Canceled) {
		return false
	}
	return mysqlLost(err) || errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone)
}
