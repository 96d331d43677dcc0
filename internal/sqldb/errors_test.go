package sqldb_test

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

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

// What a MySQL server says, without one; the tests with the tag "servers" make most of
// these happen.
func TestMySQLErrors(t *testing.T) {
	answer := func(number uint16, state, message string) error {
		e := &mysql.MySQLError{Number: number, Message: message}
		copy(e.SQLState[:], state)
		return fmt.Errorf("store: %w", e)
	}
	for name, tc := range map[string]struct {
		err         error
		want        kinds
		unreachable bool
	}{
		"deadlock":              {answer(1213, "40001", ""), kinds{transient: true}, false},
		"lock wait":             {answer(1205, "HY000", ""), kinds{transient: true}, false},
		"interrupted":           {answer(1317, "70100", ""), kinds{transient: true}, false},
		"killed":                {answer(1927, "70100", ""), kinds{transient: true}, true},
		"shutdown":              {answer(1053, "08S01", ""), kinds{transient: true}, true},
		"too many connections":  {answer(1040, "08004", ""), kinds{transient: true}, true},
		"of this user":          {answer(1203, "42000", ""), kinds{transient: true}, true},
		"invalid connection":    {mysql.ErrInvalidConn, kinds{transient: true}, true},
		"bad connection":        {driver.ErrBadConn, kinds{transient: true}, true},
		"reset":                 {&net.OpError{Op: "read", Err: errors.New("connection reset")}, kinds{transient: true}, true},
		"TLS alert":             {&net.OpError{Op: "remote error", Err: errors.New("bad certificate")}, kinds{}, false},
		"table full":            {answer(1114, "HY000", ""), kinds{full: true}, false},
		"disk full":             {answer(1021, "HY000", ""), kinds{full: true}, false},
		"engine says full":      {answer(1030, "HY000", `Got error 28 "No space left on device" from storage engine InnoDB`), kinds{full: true}, false},
		"engine says something": {answer(1030, "HY000", `Got error 168 "Unknown (generic) error from engine"`), kinds{}, false},
		"duplicate":             {answer(1062, "23000", ""), kinds{duplicate: true}, false},
		"reading side":          {answer(1792, "25006", ""), kinds{readOnly: true}, false},
		"read-only server":      {answer(1290, "HY000", "The MariaDB server is running with the --read-only option"), kinds{readOnly: true}, false},
		"another option":        {answer(1290, "HY000", "The MariaDB server is running with the --secure-file-priv option"), kinds{}, false},
		"damaged":               {answer(1712, "HY000", ""), kinds{corrupt: true}, false},
		"password":              {answer(1045, "28000", ""), kinds{}, false},
		"database":              {answer(1049, "42000", ""), kinds{}, false},
		"too long":              {answer(1406, "22001", ""), kinds{}, false},
		"commit":                {&sqldb.CommitError{Err: mysql.ErrInvalidConn}, kinds{}, false},
	} {
		if got := kindsOf(tc.err); got != tc.want || sqldb.Unreachable(tc.err) != tc.unreachable {
			t.Errorf("%s: %+v, unreachable %v; want %+v, %v", name, got, sqldb.Unreachable(tc.err), tc.want, tc.unreachable)
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
