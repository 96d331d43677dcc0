package sqldb_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

func files(nameAndText ...string) fstest.MapFS {
	fsys := fstest.MapFS{}
	for i := 0; i < len(nameAndText); i += 2 {
		fsys[nameAndText[i]] = &fstest.MapFile{Data: []byte(nameAndText[i+1])}
	}
	return fsys
}

const addName = "-- +goose Up\nALTER TABLE accounts ADD COLUMN name VARCHAR(50);\n"

func TestMigrateInOrderAndOnce(t *testing.T) {
	var log bytes.Buffer
	db := open(t, sqldb.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, accounts)
	both := files("00001_init.sql", accounts, "00002_name.sql", addName)
	for range 2 {
		if err := db.Migrate(t.Context(), both); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), "migration applied"); n != 2 {
		t.Errorf("%d migrations logged, want each once:\n%s", n, &log)
	}
	if _, err := db.Read().QueryContext(t.Context(), "SELECT name FROM accounts"); err != nil {
		t.Error(err)
	}
}

// The previous release must run on the schema of the next one.
func TestMigrateAcceptsANewerSchema(t *testing.T) {
	url := sqltest.URL(t)
	newer, err := sqldb.Open(t.Context(), url, sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := newer.Migrate(t.Context(), files("00001_init.sql", accounts, "00002_name.sql", addName)); err != nil {
		t.Fatal(err)
	}
	if err := newer.Close(); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	older := openURL(t, url, sqldb.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, accounts)
	if err := set(t.Context(), older, "a", 1); err != nil {
		t.Error(err)
	}
	for _, want := range []string{"schema is newer than this program", "schema=2", "program=1", older.Name()} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("log lacks %q:\n%s", want, &log)
		}
	}
}

func TestMigrateInParallel(t *testing.T) {
	url := sqltest.URL(t)
	all := files("00001_init.sql", accounts, "00002_name.sql", addName,
		"00003_index.sql", "-- +goose Up\nCREATE INDEX accounts_name ON accounts (name);\n")
	var log bytes.Buffer
	logger := slog.New(slog.NewTextHandler(&log, nil))
	const programs = 8
	var opened, done sync.WaitGroup
	opened.Add(programs)
	for range programs {
		done.Go(func() {
			db, err := sqldb.Open(t.Context(), url, sqldb.Options{ReadConns: 1, Logger: logger})
			opened.Done()
			if err != nil {
				t.Error(err)
				return
			}
			opened.Wait() // so that all of them find the database empty
			if err := db.Migrate(t.Context(), all); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	done.Wait()
	if n := strings.Count(log.String(), "migration applied"); n != 3 {
		t.Errorf("%d migrations applied, want each of 3 once:\n%s", n, &log)
	}
}

func TestMigrateTakesTheFilesOfItsEngine(t *testing.T) {
	db, err := sqldb.Open(t.Context(), sqltest.URL(t), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if err := db.Migrate(t.Context(), files(
		db.Dialect().String()+"/00001_init.sql", accounts,
		map[sqldb.Dialect]string{sqldb.SQLite: "mysql", sqldb.MySQL: "sqlite"}[db.Dialect()]+"/00001_init.sql", "-- +goose Up\nnot for this one;\n")); err != nil {
		t.Fatal(err)
	}
	if n, _ := count(t, db.Read()); n != 0 {
		t.Errorf("%d rows in a new table", n)
	}
}

func TestMigrateRefuses(t *testing.T) {
	for name, tc := range map[string]struct {
		fsys fstest.MapFS
		want string
	}{
		"nothing":        {files("readme.txt", "hello"), `no file is named like "00001_init.sql"`},
		"mistake":        {files("00001_init.sql", accounts, "00002_typo.sql", "-- +goose Up\nALTR TABLE accounts;\n"), "00002_typo.sql"},
		"text in quotes": {files("00001_init.sql", accounts, "00002_dqs.sql", "-- +goose Up\nINSERT INTO accounts VALUES (\"a\", 1);\n"), "column"},
		"two of one":     {files("00001_init.sql", accounts, "00001_other.sql", addName), "00001_other.sql"},
	} {
		t.Run(name, func(t *testing.T) {
			db, err := sqldb.Open(t.Context(), sqltest.URL(t), sqldb.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			err = db.Migrate(t.Context(), tc.fsys)
			if err == nil || !strings.Contains(err.Error(), tc.want) || !strings.Contains(err.Error(), "migrate database "+db.Name()) {
				t.Errorf("error %v, want the path and %q", err, tc.want)
			}
			// A migration is applied whole or not at all, and the database stays usable.
			if err := db.Check(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
}

// The list says what is where, and asking changes nothing.
func TestMigrations(t *testing.T) {
	db, err := sqldb.Open(t.Context(), sqltest.URL(t), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	one := files("00001_init.sql", accounts)
	two := files("00001_init.sql", accounts, "00002_name.sql", addName)
	check := func(fsys fstest.MapFS, want ...string) {
		t.Helper()
		list, err := db.Migrations(t.Context(), fsys)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, m := range list {
			state := "pending"
			if !m.AppliedAt.IsZero() {
				if state = "applied"; time.Since(m.AppliedAt).Abs() > time.Hour || m.AppliedAt.Location() != time.UTC {
					t.Errorf("%s was applied at %v", m.File, m.AppliedAt)
				}
			}
			got = append(got, fmt.Sprint(m.Version, " ", m.File, " ", state))
			if m.Interrupted {
				t.Errorf("%s is called interrupted", m.File)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("migrations %q, want %q", got, want)
		}
	}
	check(two, "1 00001_init.sql pending", "2 00002_name.sql pending")
	tables := "SELECT count(*) FROM sqlite_schema"
	if db.Dialect() == sqldb.MySQL {
		tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database()"
	}
	var n int
	if err := db.Read().QueryRowContext(t.Context(), tables).Scan(&n); err != nil || n != 0 {
		t.Errorf("%d tables after asking, %v", n, err)
	}
	if err := db.Migrate(t.Context(), one); err != nil {
		t.Fatal(err)
	}
	check(two, "1 00001_init.sql applied", "2 00002_name.sql pending")
	if err := db.Migrate(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	check(two, "1 00001_init.sql applied", "2 00002_name.sql applied")
	check(one, "1 00001_init.sql applied", "2  applied")
	if _, err := db.Migrations(t.Context(), files("readme.txt", "hello")); err == nil || !strings.Contains(err.Error(), "no migrations") {
		t.Errorf("no files: %v", err)
	}
}
