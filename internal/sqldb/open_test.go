package sqldb_test

import (
	"context"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

// accounts is the schema of most tests: a sum that no half-done transfer keeps.
const accounts = `-- +goose Up
CREATE TABLE accounts (
  id VARCHAR(20) NOT NULL PRIMARY KEY,
  balance BIGINT NOT NULL
);
`

func schema(text string) fs.FS {
	return fstest.MapFS{"00001_init.sql": {Data: []byte(text)}}
}

// open opens and migrates a new database on the engine under test.
func open(tb testing.TB, opt sqldb.Options, text string) *sqldb.DB {
	tb.Helper()
	return openURL(tb, sqltest.URL(tb), opt, text)
}

// openFile opens and migrates an SQLite file, for what is true of SQLite only.
func openFile(tb testing.TB, opt sqldb.Options, text string) *sqldb.DB {
	tb.Helper()
	return openAt(tb, filepath.Join(tb.TempDir(), "test.db"), opt, text)
}

func openAt(tb testing.TB, path string, opt sqldb.Options, text string) *sqldb.DB {
	tb.Helper()
	return openURL(tb, "sqlite:"+path, opt, text)
}

func openURL(tb testing.TB, url string, opt sqldb.Options, text string) *sqldb.DB {
	tb.Helper()
	db, err := sqldb.Open(tb.Context(), url, opt)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := db.Close(); err != nil {
			tb.Errorf("close: %v", err)
		}
	})
	if err := db.Migrate(tb.Context(), schema(text)); err != nil {
		tb.Fatal(err)
	}
	return db
}

// set writes one account in one transaction.
func set(ctx context.Context, db *sqldb.DB, id string, balance int) error {
	return db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error { return setIn(ctx, tx, id, balance) })
}

func setIn(ctx context.Context, tx *sqldb.Tx, id string, balance int) error {
	_, err := tx.ExecContext(ctx, tx.Dialect().Upsert("accounts", []string{"id"}, []string{"balance"}, 1), id, balance)
	return err
}

// count returns how many accounts q sees, and their sum.
func count(tb testing.TB, q sqldb.Queryer) (n, sum int) {
	tb.Helper()
	if err := q.QueryRowContext(tb.Context(), "SELECT count(*), coalesce(sum(balance), 0) FROM accounts").Scan(&n, &sum); err != nil {
		tb.Fatal(err)
	}
	return n, sum
}

func TestOpenCreatesAndReopens(t *testing.T) {
	// Every character that could be taken for part of a URI.
	path := filepath.Join(t.TempDir(), "a b?mode=memory#%41é&.db")
	db := openAt(t, path, sqldb.Options{}, accounts)
	if db.Name() != path {
		t.Errorf("name %q, want %q", db.Name(), path)
	}
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	if err := db.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path + "-wal"); err == nil && info.Size() > 0 {
		t.Errorf("after Close the log still has %d bytes", info.Size())
	}
	if err := db.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if err := set(t.Context(), db, "b", 1); err == nil {
		t.Error("a write after Close succeeded")
	}
	if err := db.Check(t.Context()); err == nil {
		t.Error("a closed database says that it answers")
	}
	if n, sum := count(t, openAt(t, path, sqldb.Options{}, accounts).Read()); n != 1 || sum != 1 {
		t.Errorf("after reopening: %d accounts, sum %d", n, sum)
	}
}

func TestOpenRefuses(t *testing.T) {
	dir := t.TempDir()
	text := filepath.Join(dir, "notes.txt")
	if err := os.WriteFile(text, []byte(strings.Repeat("These are notes, not a database.\n", 50)), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		url  string
		want []string
	}{
		"no kind":           {"ratings.db", []string{`"ratings.db"`, "sqlite:PATH"}},
		"another kind":      {"postgres://u:secret@h/db", []string{`"postgres"`, "sqlite:PATH"}},
		"no path":           {"sqlite:", []string{"a file is needed"}},
		"in memory":         {"sqlite::memory:", []string{"in-memory databases cannot be shared"}},
		"host":              {"sqlite://data/ratings.db", []string{"has no host", `"sqlite:data/ratings.db"`}},
		"not a database":    {"sqlite:" + text, []string{text, "not an SQLite database", "name another file"}},
		"no directory":      {"sqlite:" + dir + "/no/such/ratings.db", []string{dir + "/no/such", "does not exist: create it"}},
		"file as directory": {"sqlite:" + text + "/ratings.db", []string{text, "is not a directory"}},
		"directory":         {"sqlite:" + dir, []string{dir, "this is a directory: name a file in it"}},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sqldb.Open(t.Context(), tc.url, sqldb.Options{})
			if err == nil {
				t.Fatalf("opened, closing: %v", db.Close())
			}
			for _, want := range tc.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("message %q lacks %q", err, want)
				}
			}
			if strings.Contains(err.Error(), "secret") {
				t.Errorf("message %q shows the password", err)
			}
		})
	}
}

// A file without permission is an error for all but the superuser, who is
// never asked.
func TestOpenWithoutPermission(t *testing.T) {
	path := filepath.Join(t.TempDir(), "ratings.db")
	if err := openAt(t, path, sqldb.Options{}, accounts).Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0); err != nil {
		t.Fatal(err)
	}
	db, err := sqldb.Open(t.Context(), "sqlite:"+path, sqldb.Options{})
	if err == nil {
		err = db.Close()
		if os.Geteuid() != 0 {
			t.Errorf("opened a file without permission; closing: %v", err)
		}
		return
	}
	if !strings.Contains(err.Error(), path) || !strings.Contains(err.Error(), "no permission") {
		t.Errorf("message %q lacks the path or the reason", err)
	}
}

// What was committed is there after the process dies, and nothing else: the files
// as they are in the middle of a write are what a killed process leaves behind.
func TestReopenAfterKill(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	copied := filepath.Join(t.TempDir(), "copy.db")
	db := openAt(t, path, sqldb.Options{}, accounts)
	if err := set(t.Context(), db, "committed", 7); err != nil {
		t.Fatal(err)
	}
	err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		if err := setIn(ctx, tx, "uncommitted", 100); err != nil {
			return err
		}
		for _, suffix := range []string{"", "-wal"} {
			data, err := os.ReadFile(path + suffix)
			if err != nil {
				return err
			}
			if err := os.WriteFile(copied+suffix, data, 0o600); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, sum := count(t, openAt(t, copied, sqldb.Options{}, accounts).Read()); n != 1 || sum != 7 {
		t.Errorf("after the kill: %d accounts, sum %d; want the committed one alone", n, sum)
	}
	if n, sum := count(t, db.Read()); n != 2 || sum != 107 {
		t.Errorf("without the kill: %d accounts, sum %d", n, sum)
	}
}
