package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/sqldb"
)

// kinds is every question about one error, so that a case also shows what it is not.
type kinds struct{ transient, full, duplicate, readOnly, corrupt bool }

func kindsOf(err error) kinds {
	return kinds{sqldb.Transient(err), sqldb.Full(err), sqldb.Duplicate(err), sqldb.ReadOnly(err), sqldb.Corrupt(err)}
}

func TestNoErrorHasNoKind(t *testing.T) {
	for _, err := range []error{nil, errors.New("other"), context.Canceled, sql.ErrNoRows, &sqldb.CommitError{Err: sql.ErrConnDone}} {
		if got := kindsOf(err); got != (kinds{}) {
			t.Errorf("%v: %+v", err, got)
		}
	}
}

func TestLockedByAnotherProcess(t *testing.T) {
	db := openFile(t, sqldb.Options{BusyTimeout: time.Millisecond}, accounts)
	other, err := sql.Open("sqlite", "file:"+db.Name())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	conn, err := other.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	err = set(t.Context(), db, "a", 1)
	if got := kindsOf(fmt.Errorf("store: %w", err)); got != (kinds{transient: true}) {
		t.Errorf("%v: %+v, want transient", err, got)
	}
	if got := fault.KindOf(sqldb.Fault(err)); got != fault.KindUnavailable {
		t.Errorf("kind %v, want unavailable", got)
	}
	if _, err := conn.ExecContext(t.Context(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Errorf("after the lock is gone: %v", err)
	}
}

func TestDiskFull(t *testing.T) {
	db := openFile(t, sqldb.Options{}, accounts)
	if err := set(t.Context(), db, "kept", 1); err != nil {
		t.Fatal(err)
	}
	limit := func(pages int) error { // what a file system does when it is full
		return db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			var n int
			return tx.QueryRowContext(ctx, fmt.Sprintf("PRAGMA max_page_count=%d", pages)).Scan(&n)
		})
	}
	if err := limit(10); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for i := range 1000 {
			if err := setIn(ctx, tx, strings.Repeat("x", 1000)+fmt.Sprint(i), 1); err != nil {
				return fmt.Errorf("store: %w", err)
			}
		}
		return nil
	})
	if got := kindsOf(err); got != (kinds{full: true}) {
		t.Fatalf("%v: %+v, want full", err, got)
	}
	for _, want := range []string{db.Name(), "disk full", "free space on the file system of " + filepath.Dir(db.Name()), "retry"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("message %q lacks %q", err, want)
		}
	}
	answer := sqldb.Fault(err)
	if fault.KindOf(answer) != fault.KindUnavailable || !strings.Contains(fault.Status(answer).Message(), "disk is full") {
		t.Errorf("a client gets %v", fault.Status(answer))
	}
	if n, sum := count(t, db.Read()); n != 1 || sum != 1 {
		t.Errorf("%d rows, sum %d; want what was there before", n, sum)
	}
	if err := limit(100_000); err != nil {
		t.Fatal(err)
	}
	if err := set(t.Context(), db, "more", 1); err != nil {
		t.Errorf("after space was freed: %v", err)
	}
}

func TestDuplicate(t *testing.T) {
	db := open(t, sqldb.Options{}, `-- +goose Up
CREATE TABLE movies (id VARCHAR(20) NOT NULL PRIMARY KEY, imdb VARCHAR(20), n BIGINT NOT NULL CHECK (n > 0));
CREATE UNIQUE INDEX movies_imdb ON movies (imdb);
`)
	insert := func(id string, imdb any, n int) error {
		return db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "INSERT INTO movies (id, imdb, n) VALUES (?,?,?)", id, imdb, n)
			return err
		})
	}
	if err := insert("1", "tt1", 1); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		err  error
		want kinds
	}{
		"primary key": {insert("1", "tt2", 1), kinds{duplicate: true}},
		"unique":      {insert("2", "tt1", 1), kinds{duplicate: true}},
		"check":       {insert("3", "tt3", 0), kinds{}},
	} {
		if tc.err == nil || kindsOf(tc.err) != tc.want {
			t.Errorf("%s: %v is %+v, want %+v", name, tc.err, kindsOf(tc.err), tc.want)
		}
	}
}

func TestDamagedFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, sqldb.Options{}, accounts)
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, 2000,
			func(rows int) string {
				return tx.Dialect().Upsert("accounts", []string{"id"}, []string{"balance"}, rows)
			},
			func(i int, dst []any) []any { return append(dst, strings.Repeat("x", 100)+fmt.Sprint(i), i) })
	}); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	for i := 2 * page; i < len(data); i++ { // the schema on the first pages stays readable
		data[i] = 0xA5
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err = sqldb.Open(t.Context(), "sqlite:"+path, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = set(t.Context(), db, "a", 1)
	if got := kindsOf(err); got != (kinds{corrupt: true}) {
		t.Fatalf("%v: %+v, want corrupt", err, got)
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "restore a backup") {
		t.Errorf("message %q", err)
	}
}

func TestFaultKeepsOtherErrors(t *testing.T) {
	kept := fault.NotFound("no such film")
	for _, err := range []error{nil, kept, context.Canceled, errors.New("other")} {
		if got := sqldb.Fault(err); got != err {
			t.Errorf("%v became %v", err, got)
		}
	}
	if got := fault.KindOf(sqldb.Fault(&sqldb.CommitError{Err: errors.New("lost")})); got != fault.KindUnavailable {
		t.Errorf("unknown outcome: kind %v", got)
	}
}
