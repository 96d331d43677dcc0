package sqldb

import (
	"database/sql"
	"database/sql/driver"
	"errors"
	"io"
)

// Transient reports whether the same transaction may well succeed if it is run again
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

// explain puts what to do about it before the errors that an operator has to deal
// with. Others are returned as they are.
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
