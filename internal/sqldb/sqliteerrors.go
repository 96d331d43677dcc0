package sqldb

import (
	"context"
	"errors"
	"path/filepath"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"
)

// code is SQLite's extended result code, or 0 if err is not from SQLite.
func code(err error) int {
	if e := (*sqlite.Error)(nil); errors.As(err, &e) {
		return e.Code()
	}
	return 0
}

// primary is the result code without its details.
func primary(err error) int { return code(err) & 0xff }

// sqliteEndsTransaction reports whether SQLite may have rolled the transaction back on its
// own because of err (https://sqlite.org/lang_transaction.html, "response to errors
// within a transaction"). Codes that are about the statement alone are listed;
// anything else, an interrupt by the context included, is taken for the end.
func sqliteEndsTransaction(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_ERROR, sqlite3.SQLITE_CONSTRAINT, sqlite3.SQLITE_MISMATCH,
		sqlite3.SQLITE_RANGE, sqlite3.SQLITE_TOOBIG, sqlite3.SQLITE_READONLY:
		return false
	case 0: // not from SQLite: the driver refused an argument, or the context ended
		return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	}
	return true
}

func sqliteTransient(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return true
	}
	return false
}

func sqliteFull(err error) bool {
	// Before SQLite writes a page, it reserves space in its shared-memory file; on a full
	// disk this fails first, with a special I/O error.
	return primary(err) == sqlite3.SQLITE_FULL || code(err) == sqlite3.SQLITE_IOERR_SHMSIZE
}

func sqliteDuplicate(err error) bool {
	switch code(err) {
	case sqlite3.SQLITE_CONSTRAINT_PRIMARYKEY, sqlite3.SQLITE_CONSTRAINT_UNIQUE, sqlite3.SQLITE_CONSTRAINT_ROWID:
		return true
	}
	return false
}

func sqliteReadOnly(err error) bool { return primary(err) == sqlite3.SQLITE_READONLY }

func sqliteCorrupt(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return true
	}
	return false
}

// cannotOpen reports whether a file of the database cannot be opened: the database itself, or one that SQLite keeps beside it.
func cannotOpen(err error) bool {
	switch primary(err) {
	case sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return true
	}
	return false
}

// ioFailed reports whether the operating system refused to read or write a file that is open, a full disk and the lack of memory
// aside.
func ioFailed(err error) bool {
	return primary(err) == sqlite3.SQLITE_IOERR && !sqliteFull(err) && code(err) != sqlite3.SQLITE_IOERR_NOMEM
}

// sqliteHint is what an operator has to do about err, or "".
func sqliteHint(path string, err error) string {
	switch {
	case sqliteReadOnly(err) && code(err) != sqlite3.SQLITE_READONLY_DBMOVED, cannotOpen(err), ioFailed(err):
		if why := unwritable(path); why != "" {
			return why
		}
		if cannotOpen(err) {
			return "the file, or one of those beside it (" + filepath.Base(path) + "-wal, -shm), cannot be opened: check that they are there and who may use them, and the limit of open files"
		}
		if ioFailed(err) {
			return "the file, or one of those beside it (" + filepath.Base(path) + "-wal, -shm), cannot be read or written: look at the kernel's log, the disk and how it is mounted"
		}
	case code(err) == sqlite3.SQLITE_READONLY_DBMOVED:
		return "the file was moved or deleted while it was in use: restart, with the file in its place"
	case sqliteFull(err):
		return "disk full: free space on the file system of " + filepath.Dir(path) + " and retry; nothing stored so far is lost"
	case sqliteCorrupt(err):
		return "the file is damaged or is not an SQLite database: stop, keep a copy, and restore a backup (docs/operations.md)"
	}
	return ""
}
