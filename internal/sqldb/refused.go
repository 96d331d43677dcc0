package sqldb

import sqlite3 "modernc.org/sqlite/lib"

// Refused reports whether the engine refuses what is to be written for what it is: a value that does not fit its column, a
// NULL, a constraint, a row that a trigger turns away. The same data is refused again, and other data is not. Nothing else
// is counted in: a table or a right that is missing is no fault of a row, nor is a full disk.
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
