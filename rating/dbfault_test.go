package rating

import (
	"fmt"
	"strings"
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

// refuse makes the database refuse to insert rows that have a value in a column, and says that the value is not wanted.
func refuse(t testing.TB, url, table, column, value string) {
	t.Helper()
	text := fmt.Sprintf("CREATE TRIGGER refuse BEFORE INSERT ON %s WHEN NEW.%s = '%s' BEGIN SELECT RAISE(ABORT, '%[3]s is not wanted'); END", table, column, value)
	if strings.HasPrefix(url, "mysql:") {
		text = signal(url, table, fmt.Sprintf("NEW.%s = '%s'", column, value), "SQLSTATE '23000' SET MYSQL_ERRNO = 4025, MESSAGE_TEXT = '"+value+" is not wanted'")
	}
	ddl(t, url, text)
}

// refuseAlso is refuse for a second table.
func refuseAlso(t testing.TB, url, table, column, value string) {
	t.Helper()
	text := fmt.Sprintf("CREATE TRIGGER refuse_also BEFORE INSERT ON %s WHEN NEW.%s = '%s' BEGIN SELECT RAISE(ABORT, '%[3]s is not wanted'); END", table, column, value)
	if strings.HasPrefix(url, "mysql:") {
		text = strings.Replace(signal(url, table, fmt.Sprintf("NEW.%s = '%s'", column, value), "SQLSTATE '23000' SET MYSQL_ERRNO = 4025, MESSAGE_TEXT = '"+value+" is not wanted'"), ".refuse ", ".refuse_also ", 1)
	}
	ddl(t, url, text)
}

// fillDisk makes every insert fail for want of room until end. A server whose disk is really full is among the tests of
// the whole system; here it says the same, with the same number.
func fillDisk(t *testing.T, url string, s *store) (end func()) {
	t.Helper()
	if s.db.Dialect() == sqldb.SQLite {
		s.exec(t, "PRAGMA max_page_count = 1") // SQLite makes it the present size
		return func() { s.exec(t, "PRAGMA max_page_count = 1000000") }
	}
	ddl(t, url, signal(url, "ratings", "TRUE", "SQLSTATE 'HY000' SET MYSQL_ERRNO = 1114, MESSAGE_TEXT = 'The table is full'"))
	return func() { ddl(t, url, "DROP TRIGGER "+databaseOf(url)+".refuse") }
}

// makeReadOnly makes every insert fail until end, as on a server that became a replica. SQLite has no replicas: there the
// disk is full instead.
func makeReadOnly(t *testing.T, url string, s *store) (end func()) {
	t.Helper()
	if s.db.Dialect() == sqldb.SQLite {
		return fillDisk(t, url, s)
	}
	ddl(t, url, signal(url, "aggregates", "TRUE",
		"SQLSTATE 'HY000' SET MYSQL_ERRNO = 1290, MESSAGE_TEXT = 'The MariaDB server is running with the --read-only option so it cannot execute this statement'"))
	return func() { ddl(t, url, "DROP TRIGGER "+databaseOf(url)+".refuse") }
}

// signal is the text of a trigger that ends an insert with an error of MySQL.
func signal(url, table, condition, err string) string {
	db := databaseOf(url)
	return fmt.Sprintf("CREATE TRIGGER %s.refuse BEFORE INSERT ON %s.%s FOR EACH ROW BEGIN IF %s THEN SIGNAL %s; END IF; END", db, db, table, condition, err)
}

func databaseOf(url string) string { return url[strings.LastIndexByte(url, '/')+1:] }

// ddl runs what belongs into no transaction of the store.
func ddl(t testing.TB, url, text string) {
	t.Helper()
	if strings.HasPrefix(url, "mysql:") {
		sqltest.MySQL(t).Exec(t, text)
		return
	}
	storeOn(t, openDB(t, url, sqldb.Options{})).exec(t, text)
}
