//go:build servers

package sqldb_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"strings"
	"testing"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/faultdriver"
	"movieexample.com/internal/sqldb/sqltest"
)

// films is written as the rules of DB.Migrate want it, with a statement of each kind.
const films = `-- +goose Up
CREATE TABLE films (id VARBINARY(20) NOT NULL, year SMALLINT NOT NULL, PRIMARY KEY (id), KEY by_year (year));
INSERT INTO films (id, year) VALUES ('1', 1999), ('2', 2001) ON DUPLICATE KEY UPDATE year = VALUES(year);
ALTER TABLE films ADD COLUMN votes BIGINT NOT NULL DEFAULT 0, ADD KEY by_votes (votes);
CREATE INDEX by_both ON films (year, votes);
UPDATE films SET votes = 7 WHERE votes = 0;
CREATE TABLE lists (id VARBINARY(20) NOT NULL, PRIMARY KEY (id));
`

// The process dies after any of the statements of a migration: who comes next
// finishes it, and the result is the same.
func TestMySQLMigrateAfterACrashAnywhere(t *testing.T) {
	server := sqltest.MySQL(t)
	both := files("00001_films.sql", films, "00002_accounts.sql", accounts)
	interrupted, fired := 0, 0
	for plan := range faultdriver.Sweep(faultdriver.LostAfter) {
		at := server.Database(t)
		db, err := sqldb.Open(t.Context(), at, sqldb.Options{ReadConns: 1, WriteConns: 1, Wrap: plan.Wrap})
		if err != nil {
			t.Fatal(err)
		}
		plan.Start()
		err = db.Migrate(t.Context(), both)
		plan.Stop()
		if plan.Fired() {
			fired++
		}
		if err != nil && !plan.Fired() {
			t.Fatalf("%v: %v", plan, err)
		}
		list, err := db.Migrations(t.Context(), both)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range list {
			if m.Interrupted {
				interrupted++
			}
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}

		var log bytes.Buffer
		again, err := sqldb.Open(t.Context(), at, sqldb.Options{ReadConns: 1, WriteConns: 1, Logger: slog.New(slog.NewTextHandler(&log, nil))})
		if err != nil {
			t.Fatal(err)
		}
		if err := again.Migrate(t.Context(), both); err != nil {
			t.Fatalf("%v: the next start: %v", plan, err)
		}
		if list[0].Interrupted != strings.Contains(log.String(), "migration was interrupted before; repeating it") && !list[1].Interrupted {
			t.Errorf("%v: log %s", plan, &log)
		}
		var n, votes, indexes, tables int
		if err := again.Read().QueryRowContext(t.Context(), `SELECT count(*), sum(votes),
			(SELECT count(DISTINCT index_name) FROM information_schema.statistics WHERE table_schema = database() AND table_name = 'films'),
			(SELECT count(*) FROM information_schema.tables WHERE table_schema = database()) FROM films`).Scan(&n, &votes, &indexes, &tables); err != nil {
			t.Fatal(err)
		}
		if n != 2 || votes != 14 || indexes != 4 || tables != 5 {
			t.Errorf("%v: %d films, %d votes, %d indexes, %d tables; want 2, 14, 4, 5", plan, n, votes, indexes, tables)
		}
		if err := again.Close(); err != nil {
			t.Error(err)
		}
	}
	if fired < 20 || interrupted < 5 {
		t.Errorf("%d crashes, %d of them inside a migration: too few to show anything", fired, interrupted)
	}
}

// What counts as done in a repetition is a mistake the first time.
func TestMySQLMigrateSeesMistakes(t *testing.T) {
	db := openMySQL(t, sqldb.Options{}, accounts)
	both := files("00001_init.sql", accounts, "00002_twice.sql", "-- +goose Up\nALTER TABLE accounts ADD COLUMN balance BIGINT;\n")
	err := db.Migrate(t.Context(), both)
	if err == nil || !strings.Contains(err.Error(), "00002_twice.sql") || !strings.Contains(err.Error(), "Duplicate column name") {
		t.Errorf("a column that exists: %v", err)
	}
}

// Who holds the lock migrates; the others wait, but not beyond their context; a holder who
// dies leaves it to them.
func TestMySQLMigrateLock(t *testing.T) {
	server := sqltest.MySQL(t)
	db, err := sqldb.Open(t.Context(), server.Database(t), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	_, name, _ := strings.Cut(db.Name(), "/")
	holder, err := server.Admin.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var id, got int64
	if err := holder.QueryRowContext(t.Context(), "SELECT connection_id(), GET_LOCK(?, 0)", "migrate "+name).Scan(&id, &got); err != nil || got != 1 {
		t.Fatal(got, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	migrated := make(chan error)
	go func() { migrated <- db.Migrate(ctx, schema(accounts)) }()
	waiting := func() {
		for n := 0; n == 0; {
			if err := server.Admin.QueryRowContext(t.Context(), "SELECT count(*) FROM information_schema.processlist WHERE state = 'User lock' AND db = ?", name).Scan(&n); err != nil {
				t.Fatal(err)
			}
		}
	}
	waiting()
	cancel()
	if err := <-migrated; !errors.Is(err, context.Canceled) {
		t.Errorf("a wait that was given up: %v", err)
	}
	go func() { migrated <- db.Migrate(t.Context(), schema(accounts)) }()
	waiting()
	server.Exec(t, "KILL ?", id)
	if err := <-migrated; err != nil {
		t.Errorf("after the holder died: %v", err)
	}
	if err := holder.Close(); err != nil && !errors.Is(err, sql.ErrConnDone) {
		t.Log(err) // it was killed
	}
}
