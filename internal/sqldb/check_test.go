package sqldb_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/sqldb"
)

// until waits for a condition.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(time.Minute); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within a minute: %s", what)
		}
	}
}

// protection makes the connections that write refuse to, with what SQLite says of a file without permission.
type protection struct {
	driver.Connector
	on *atomic.Bool
}

func (p protection) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := p.Connector.Connect(ctx)
	if err == nil && p.on.Load() {
		_, err = conn.(driver.ExecerContext).ExecContext(ctx, "PRAGMA query_only=1", nil)
	}
	return conn, err
}

// openProtected opens a file whose protection can be switched.
func openProtected(t *testing.T) (db *sqldb.DB, protect func(on bool)) {
	t.Helper()
	protected := &atomic.Bool{}
	db = openFile(t, sqldb.Options{Wrap: func(c driver.Connector) driver.Connector {
		if c.(interface{ ReadOnly() bool }).ReadOnly() {
			return c
		}
		return protection{c, protected}
	}}, accounts)
	return db, func(on bool) {
		t.Helper()
		protected.Store(on)
		err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA query_only=%t", on))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// A database that takes no writes any more answers with the file's name and is not ready, from the first write that fails on and
// until one succeeds again.
func TestWritesThatFailShow(t *testing.T) {
	db, protect := openProtected(t)
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	protect(true)
	err := sqldb.Fault(fmt.Errorf("store: %w", set(t.Context(), db, "a", 1)))
	if fault.KindOf(err) != fault.KindUnavailable || !strings.Contains(fault.Status(err).Message(), db.Name()) {
		t.Errorf("a write answers %v", err)
	}
	var trouble *sqldb.TroubleError
	if err := db.Check(t.Context()); !errors.As(err, &trouble) || trouble.Name != db.Name() {
		t.Errorf("ready: %v", err)
	}
	if n, _ := count(t, db.Read()); n != 0 {
		t.Errorf("%d accounts", n)
	}
	protect(false)
	until(t, "a check that finds that it can write", func() bool { return db.Check(t.Context()) == nil })
}

// No one writes, and still a database that could not be written to is found out; the probe leaves nothing behind.
func TestAnIdleDatabaseIsTriedOut(t *testing.T) {
	db, protect := openProtected(t)
	if err := db.ProveWritable(t.Context()); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM database_identity").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d rows in the table of the identity, %v", n, err)
	}
	protect(true)
	until(t, "a check that finds that it cannot write", func() bool { return db.Check(t.Context()) != nil })
	if err := db.ProveWritable(t.Context()); err == nil || !strings.Contains(err.Error(), db.Name()) {
		t.Errorf("at a start: %v", err)
	}
}

// A damaged page is told by a caller that meets it, with the file's name, and makes the database not ready for good.
func TestDamageShows(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, sqldb.Options{}, accounts)
	for i := range 2000 {
		if err := set(t.Context(), db, fmt.Sprintf("account %d with a name of some length, to fill pages", i), i); err != nil {
			t.Fatal(err)
		}
		if i == 100 && testing.Short() {
			break
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for at := 8 * page; at+page <= len(content); at += page { // behind the schema and the small tables
		copy(content[at:], strings.Repeat("\xA5", page))
	}
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	db = openAt(t, path, sqldb.Options{}, accounts)
	var n int
	err = db.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM accounts WHERE balance >= 0").Scan(&n)
	if !sqldb.Corrupt(err) {
		t.Fatalf("%d accounts, %v", n, err)
	}
	err = sqldb.Fault(err)
	if fault.KindOf(err) != fault.KindUnavailable || !strings.Contains(fault.Status(err).Message(), path) || !strings.Contains(fault.Status(err).Message(), "restore a backup") {
		t.Errorf("a read answers %v", err)
	}
	if err := db.Check(t.Context()); err == nil || !strings.Contains(err.Error(), path) {
		t.Errorf("ready: %v", err)
	}
}

// Migrating what is migrated already does nothing.
func TestMigrateOnce(t *testing.T) {
	db := openFile(t, sqldb.Options{}, accounts)
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "DROP TABLE goose_db_version")
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), schema(accounts)); err != nil {
		t.Fatal(err)
	}
	var n int
	if err := db.Read().QueryRowContext(t.Context(), "SELECT count(*) FROM sqlite_schema WHERE name = 'goose_db_version'").Scan(&n); err != nil || n != 0 {
		t.Errorf("the migrations ran again: %d, %v", n, err)
	}
}
