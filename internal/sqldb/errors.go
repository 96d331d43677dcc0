package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// Transient reports whether the same transaction may well succeed if it is run again
// from its beginning, and certainly was not committed: another process held a lock
// for too long, the engine chose it as a deadlock's victim, or the connection was
// lost before COMMIT. A [*CommitError] is not transient.
func Transient(err error) bool {
	if unknown := (*CommitError)(nil); err == nil || errors.As(err, &unknown) {
		return false
	}
	switch primary(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return errors.Is(err, driver.ErrBadConn) || errors.Is(err, sql.ErrConnDone) || errors.Is(err, io.ErrUnexpectedEOF)
}

// Full reports whether the database could not grow: its disk, or a quota, is full.
// Nothing is damaged; after space has been freed the same transaction succeeds.
// [DB.Write] has put a text into such an error that tells the operator what to do.
func Full(err error) bool {
	// Before a page is written, SQLite reserves room in its shared-memory file; on a
	// full disk that is what fails first, as an I/O error of its own.
	return primary(err) == sqlite3.SQLITE_FULL || code(err) == sqlite3.SQLITE_IOERR_SHMSIZE
}

// Duplicate reports whether a row with the same primary or unique key exists.
func Duplicate(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return true
	}
	return false
}

// ReadOnly reports whether something was to be written that cannot be: through
// [DB.Read], or to a file without write permission.
func ReadOnly(err error) bool { return primary(err) == sqlite3.SQLITE_READONLY }

// Corrupt reports whether the file's content is damaged, or is no database.
func Corrupt(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// code is SQLite's extended result code, or 0 if err is not from SQLite.
func code(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// primary is the result code without its details.
func primary(err error) int { return code(err) & 0xff }

// endsTransaction reports whether SQLite may have rolled the transaction back on its
// own because of err (https://sqlite.org/lang_transaction.html, "response to errors
// within a transaction"). Codes that are about the statement alone are listed;
// anything else, an interrupt by the context included, is taken for the end.
func endsTransaction(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH,
		sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_READONLY:
		return false
	case 0: // not from SQLite: the driver refused an argument, or the context ended
		return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	}
	return true
}

// explain puts what to do about it before the errors that an operator has to deal
// with. Others are returned as they are.
func (db *DB) explain(err error) error {
	switch {
	case err == nil:
		return nil
	case Full(err):
		return fmt.Errorf("database %s: disk full: free space on the file system of %s and retry; nothing stored so far is lost: %w",
			db.name, filepath.Dir(db.name), err)
	case Corrupt(err):
		return fmt.Errorf("database %s: the file is damaged or is not an SQLite database: stop, keep a copy, and restore a backup: %w", db.name, err)
	default:
		return err
	}
}
