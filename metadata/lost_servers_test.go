//go:build servers

package metadata_test

import (
	"fmt"
	"log/slog"
	"testing"

	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/metadata"
)

// The cases of TestLostWritesAreNotFound, with sessions that the server ends, as a killed one does.
func TestLostWritesAreNotFoundOnMySQL(t *testing.T) {
	server := sqltest.MySQL(t)
	for _, l := range losses() {
		t.Run(l.name, func(t *testing.T) {
			url := server.Database(t)
			var log syncBuffer
			writer := openWith(t, url, nil, quick(), metadata.Deps{})
			follower := openWith(t, url, nil, quick(), metadata.Deps{Logger: slog.New(slog.NewTextHandler(&log, nil))})
			crash := func() {
				ended := killSessions(t, server, databaseOf(url))
				if ended < 4 { // two pools each of two processes
					t.Fatalf("only %d sessions were ended", ended)
				}
			}
			l.play(t, writer, follower, &log, crash, func() *catalogue { return openCatalogue(t, url, nil) })
		})
	}
}

// killSessions ends all sessions with a database, waits until they are gone, and returns how many there were.
func killSessions(t *testing.T, server *sqltest.Server, database string) (ended int) {
	t.Helper()
	list := func() (ids []int64) {
		rows, err := server.Admin.QueryContext(t.Context(), "SELECT id FROM information_schema.processlist WHERE db = ?", database)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var id int64
			if err := rows.Scan(&id); err != nil {
				t.Fatal(err)
			}
			ids = append(ids, id)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return ids
	}
	ids := list()
	for _, id := range ids {
		server.Exec(t, fmt.Sprintf("KILL %d", id))
	}
	until(t, "the sessions are gone", func() error {
		if n := len(list()); n > 0 {
			return fmt.Errorf("%d are left", n)
		}
		return nil
	})
	return len(ids)
}
