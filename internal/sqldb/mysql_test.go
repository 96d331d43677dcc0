//go:build servers

package sqldb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
)

func TestMySQLName(t *testing.T) {
	server := sqltest.MySQL(t)
	at := server.User(t, server.Database(t))
	db := openURL(t, at, sqldb.Options{}, accounts)
	u, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	if want := u.User.Username() + "@" + u.Host + u.Path; db.Name() != want {
		t.Errorf("name %q, want %q", db.Name(), want)
	}
}

// Each mistake of an operator has its own words, and none is worth waiting for.
func TestMySQLOpenRefuses(t *testing.T) {
	server := sqltest.MySQL(t)
	at, other := server.Database(t), server.Database(t)
	user := server.User(t, at)
	password := func(u *url.URL) string { p, _ := u.User.Password(); return p }
	for name, tc := range map[string]struct {
		change func(u *url.URL)
		want   string
	}{
		"password": {func(u *url.URL) { u.User = url.UserPassword(u.User.Username(), "secret") }, "the server refuses the user or the password"},
		"user":     {func(u *url.URL) { u.User = url.UserPassword("nobody_here", "secret") }, "the server refuses the user or the password"},
		"rights":   {func(u *url.URL) { u.Path = strings.TrimPrefix(other, server.Addr())[strings.LastIndex(other, "/"):] }, "the user has no rights on the database, or it does not exist: GRANT SELECT, INSERT"},
		"tls":      {func(u *url.URL) { u.RawQuery = "tls=true" }, "the server has no TLS: set it up there, or use tls=preferred"},
	} {
		t.Run(name, func(t *testing.T) {
			u, err := url.Parse(user)
			if err != nil {
				t.Fatal(err)
			}
			secret := password(u)
			tc.change(u)
			_, err = sqldb.Open(t.Context(), u.String(), sqldb.Options{})
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), u.User.Username()+"@"+server.Addr()) {
				t.Fatalf("error %v, want the database and %q", err, tc.want)
			}
			if strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "secret") {
				t.Errorf("message %q shows the password", err)
			}
			if sqldb.Unreachable(err) || sqldb.Transient(err) {
				t.Errorf("%v: waiting does not help", err)
			}
		})
	}
	t.Run("database", func(t *testing.T) { // for a user who may see that it is missing
		_, err := sqldb.Open(t.Context(), at+"_not_there", sqldb.Options{})
		if err == nil || !strings.Contains(err.Error(), "create it with CREATE DATABASE") || sqldb.Unreachable(err) {
			t.Errorf("error %v", err)
		}
	})
	t.Run("preferred", func(t *testing.T) { // and several connections at once
		db := openURL(t, user+"?tls=preferred", sqldb.Options{}, accounts)
		if err := set(t.Context(), db, "a", 1); err != nil {
			t.Error(err)
		}
	})
}

// Rights are enough for all that this package does, and what is missing is named.
func TestMySQLRights(t *testing.T) {
	server := sqltest.MySQL(t)
	at := server.Database(t)
	db := openURL(t, server.User(t, at), sqldb.Options{}, accounts)
	if err := db.Migrate(t.Context(), files("00001_init.sql", accounts, "00002_name.sql", addName, "00003_index.sql", "-- +goose Up\nCREATE INDEX accounts_name ON accounts (name);\n")); err != nil {
		t.Fatal(err)
	}
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	reader, err := sqldb.Open(t.Context(), server.User(t, at, "SELECT"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	for name, err := range map[string]error{
		"write":   set(t.Context(), reader, "b", 1),
		"migrate": reader.Migrate(t.Context(), files("00001_init.sql", accounts, "00002_name.sql", addName, "00003_index.sql", "-- +goose Up\nCREATE INDEX accounts_name ON accounts (name);\n", "00004_x.sql", "-- +goose Up\nCREATE TABLE x (n BIGINT NOT NULL PRIMARY KEY);\n")),
	} {
		// The one that is missing, and no other.
		if err == nil || !strings.Contains(err.Error(), "the user lacks the right INSERT") || !strings.Contains(err.Error(), ": GRANT INSERT") ||
			strings.Contains(err.Error(), "DELETE") || kindsOf(err) != (kinds{}) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Identifiers are bytes, texts are whole, numbers are exact, and what does not fit is an
// error that leaves the transaction usable.
func TestMySQLValues(t *testing.T) {
	db := openMySQL(t, sqldb.Options{}, `-- +goose Up
CREATE TABLE films (
  id VARBINARY(8) NOT NULL,
  title VARCHAR(8) CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NOT NULL,
  at BIGINT NOT NULL,
  year SMALLINT NOT NULL,
  PRIMARY KEY (id)
);
`)
	cols := []string{"id", "title", "at", "year"}
	insert := func(ctx context.Context, tx *sqldb.Tx, row ...any) error {
		_, err := tx.ExecContext(ctx, tx.Dialect().Insert("films", cols, 1), row...)
		return err
	}
	type film struct {
		ID, Title string
		At, Year  int64
	}
	want := []film{
		{"A", "x", math.MinInt64, -32768},
		{"a", `a\'"?%`, math.MaxInt64, 32767},
		{"a ", "trailing", 1_700_000_000_123_457, 0},
		{"ä", "Amélie", 1, 1},
		{"😀😀", "😀😀😀😀😀😀😀😀", 1, 1},
	}
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		for _, f := range want {
			if err := insert(ctx, tx, f.ID, f.Title, f.At, f.Year); err != nil {
				return err
			}
		}
		for name, row := range map[string][]any{
			"id too long":    {"123456789", "x", 1, 1},
			"id of 12 bytes": {"😀😀😀", "x", 1, 1},
			"title too long": {"1", "123456789", 1, 1},
			"title of bytes": {"1", "\xff\xfe", 1, 1},
			"number":         {"1", "x", 1, 32768},
			"null":           {"1", nil, 1, 1},
		} {
			if err := insert(ctx, tx, row...); err == nil || kindsOf(err) != (kinds{}) {
				t.Errorf("%s: %v, want an error of no kind", name, err)
			}
		}
		if err := insert(ctx, tx, "a", "x", 1, 1); kindsOf(err) != (kinds{duplicate: true}) {
			t.Errorf("the same id: %v", err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	rows, err := db.Read().QueryContext(t.Context(), "SELECT id, title, at, year FROM films ORDER BY id")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	var got []film
	for rows.Next() {
		var f film
		if err := rows.Scan(&f.ID, &f.Title, &f.At, &f.Year); err != nil {
			t.Fatal(err)
		}
		got = append(got, f)
	}
	if diff := cmp.Diff(want, got); diff != "" || rows.Err() != nil {
		t.Errorf("%v; rows in the order of bytes (-want +got):\n%s", rows.Err(), diff)
	}
	// RowsAffected counts rows that were found, changed or not.
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		res, err := tx.ExecContext(ctx, "UPDATE films SET year = ? WHERE id = ?", 0, "a ")
		if err != nil {
			return err
		}
		if n, err := res.RowsAffected(); n != 1 || err != nil {
			t.Errorf("%d rows affected by an update that changes nothing, %v", n, err)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// As on SQLite, each new connection must have the settings that the promises rest on.
func TestMySQLSettingsOfEveryConnection(t *testing.T) {
	plan := &faultdriver.Plan{N: 1, Mode: faultdriver.LostBefore, Writer: true, Ops: []faultdriver.Op{faultdriver.Commit}}
	db := openMySQL(t, sqldb.Options{BusyTimeout: 1500 * time.Millisecond, Wrap: plan.Wrap}, accounts)
	check := func(q sqldb.Queryer, isolation string, readOnly int) {
		t.Helper()
		var got, mode, charset string
		var wait, ro, autocommit int
		if err := q.QueryRowContext(t.Context(), "SELECT @@tx_isolation, @@sql_mode, @@character_set_client, @@innodb_lock_wait_timeout, @@tx_read_only, @@autocommit").
			Scan(&got, &mode, &charset, &wait, &ro, &autocommit); err != nil {
			t.Fatal(err)
		}
		if got != isolation || charset != "utf8mb4" || wait != 2 || ro != readOnly || autocommit != 1 {
			t.Errorf("isolation %s, charset %s, lock wait %d s, read only %d, autocommit %d", got, charset, wait, ro, autocommit)
		}
		for _, want := range []string{"STRICT_ALL_TABLES", "ANSI_QUOTES", "PIPES_AS_CONCAT", "NO_BACKSLASH_ESCAPES"} {
			if !strings.Contains(mode, want) {
				t.Errorf("sql_mode %s lacks %s", mode, want)
			}
		}
	}
	for range 2 {
		if err := db.Write(t.Context(), func(_ context.Context, tx *sqldb.Tx) error {
			check(tx, "READ-COMMITTED", 0)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
		check(db.Read(), "REPEATABLE-READ", 1)
		plan.Start()
		if err := set(t.Context(), db, "a", 1); err == nil || !plan.Fired() {
			t.Fatalf("the writing connection was not lost: %v", err)
		}
		plan.Stop()
	}
}

// A text is parsed once per connection, however often it runs, in whatever transaction.
func TestMySQLStatementsStayPrepared(t *testing.T) {
	db := openMySQL(t, sqldb.Options{WriteConns: 1}, accounts)
	prepared := func(tx *sqldb.Tx) (n int) {
		var name string
		if err := tx.QueryRowContext(t.Context(), "SHOW SESSION STATUS LIKE 'Com_stmt_prepare'").Scan(&name, &n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	var before, after int
	for i := range 20 {
		if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
			if i == 1 {
				before = prepared(tx)
			}
			if err := setIn(ctx, tx, "a", i); err != nil {
				return err
			}
			after = prepared(tx)
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	if before != after || before == 0 {
		t.Errorf("%d statements prepared by the first transaction, %d by all", before, after)
	}
}

// A result that is not read to its end costs a connection, not the time to read it.
func TestMySQLResultsClosedEarly(t *testing.T) {
	db := openMySQL(t, sqldb.Options{ReadConns: 1}, accounts)
	const n = 20_000
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, n,
			func(rows int) string { return tx.Dialect().Insert("accounts", []string{"id", "balance"}, rows) },
			func(i int, dst []any) []any { return append(dst, fmt.Sprint(i), 1) })
	}); err != nil {
		t.Fatal(err)
	}
	connection := func(q sqldb.Queryer) (id int64) {
		if err := q.QueryRowContext(t.Context(), "SELECT connection_id()").Scan(&id); err != nil {
			t.Fatal(err)
		}
		return id
	}
	for _, limit := range []int{10, n} {
		before := connection(db.Read())
		rows, err := db.Read().QueryContext(t.Context(), "SELECT id FROM accounts LIMIT ?", limit)
		if err != nil || !rows.Next() {
			t.Fatalf("no row: %v", err)
		}
		if err := rows.Close(); err != nil {
			t.Errorf("closed after one of %d rows: %v", limit, err)
		}
		if got := connection(db.Read()) == before; got != (limit == 10) {
			t.Errorf("after one of %d rows the connection was kept: %v", limit, got)
		}
	}
	// In a transaction the connection is kept in any case.
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		rows, err := tx.QueryContext(ctx, "SELECT id FROM accounts")
		if err != nil || !rows.Next() {
			return fmt.Errorf("no row: %w", err)
		}
		return errors.Join(rows.Close(), setIn(ctx, tx, "after", 1))
	}); err != nil {
		t.Fatal(err)
	}
	if got, _ := count(t, db.Read()); got != n+1 {
		t.Errorf("%d accounts", got)
	}
}

// A list of tuples is searched through the index.
func TestMySQLInUsesTheIndex(t *testing.T) {
	db := openMySQL(t, sqldb.Options{}, counters)
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, 1000,
			func(rows int) string {
				return tx.Dialect().Insert("counters", []string{"kind", "id", "n", "note"}, rows)
			},
			func(i int, dst []any) []any { return append(dst, "m", fmt.Sprint(i), i, "") })
	}); err != nil {
		t.Fatal(err)
	}
	var id, rows int
	var ignored, table, kind, keys, key, keyLen, ref, extra any
	if err := db.Read().QueryRowContext(t.Context(), "EXPLAIN SELECT n FROM counters WHERE "+sqldb.MySQL.In([]string{"kind", "id"}, 2), "m", "1", "m", "2").
		Scan(&id, &ignored, &table, &kind, &keys, &key, &keyLen, &ref, &rows, &extra); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprintf("%s", kind) != "range" || rows != 2 {
		t.Errorf("access %s of %d rows, want a range of 2", kind, rows)
	}
}
