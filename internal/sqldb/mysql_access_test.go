//go:build servers

package sqldb_test

import (
	"errors"
	"strings"
	"sync/atomic"
	"testing"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/sqldb"
	"movieexample.com/test/servers"
)

// A right that is revoked while the service runs is named, and no other; readiness and answers say so until it is granted again.
func TestMySQLRevokedRight(t *testing.T) {
	server, at := ownServer(t, servers.MariaDBConfig{})
	db := openURL(t, at+"?conn_lifetime=50ms&write_conns=1", sqldb.Options{}, accounts) // rights of a database count for new connections
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	run(t, server, "REVOKE INSERT ON films.* FROM 'service'@'%'")
	var err error
	until(t, "a write that is refused", func() bool { err = set(t.Context(), db, "a", 2); return err != nil })
	answer := fault.Status(sqldb.Fault(err))
	if fault.KindOf(sqldb.Fault(err)) != fault.KindUnavailable || !strings.Contains(answer.Message(), "lacks the right INSERT on") ||
		!strings.Contains(answer.Message(), "GRANT INSERT ON `films`.* TO 'service'") || strings.Contains(answer.Message(), "ALTER") {
		t.Errorf("a write answers %v: %v", answer.Message(), err)
	}
	if err := db.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "GRANT INSERT") {
		t.Errorf("ready: %v", err)
	}
	run(t, server, "GRANT INSERT ON films.* TO 'service'@'%'")
	until(t, "a write that is not refused", func() bool { return set(t.Context(), db, "a", 3) == nil })
	if err := db.Check(t.Context()); err != nil {
		t.Errorf("ready again: %v", err)
	}
}

// A password that was replaced is read again where the old one is refused; without a new one the answers say what is wrong.
func TestMySQLReplacedPassword(t *testing.T) {
	server, at := ownServer(t, servers.MariaDBConfig{})
	url := &atomic.Pointer[string]{}
	at += "?conn_lifetime=50ms"
	url.Store(&at)
	db := openURL(t, at, sqldb.Options{RereadURL: func() (string, error) { return *url.Load(), nil }}, accounts)
	if err := set(t.Context(), db, "a", 1); err != nil {
		t.Fatal(err)
	}
	run(t, server, "ALTER USER 'service'@'%' IDENTIFIED BY 'another'")
	var err error
	until(t, "a login that is refused", func() bool { err = set(t.Context(), db, "a", 2); return err != nil })
	if got := sqldb.Fault(err); fault.KindOf(got) != fault.KindUnavailable || !strings.Contains(fault.Status(got).Message(), "refuses the user or the password") {
		t.Errorf("a write answers %v", got)
	}
	until(t, "a check that fails", func() bool { err = db.Check(t.Context()); return err != nil })
	if !errors.As(err, new(*sqldb.TroubleError)) || !strings.Contains(err.Error(), "password") {
		t.Errorf("ready: %v", err)
	}
	next := strings.Replace(at, "pass%20word", "another", 1)
	url.Store(&next)
	if err := set(t.Context(), db, "a", 3); err != nil {
		t.Errorf("with the new password in the file: %v", err)
	}
	until(t, "a check that succeeds", func() bool { return db.Check(t.Context()) == nil })
}

// A caller that migrates at the same time gets one identity, and a copy to SQLite has it too.
func TestMySQLIdentity(t *testing.T) {
	_, at := ownServer(t, servers.MariaDBConfig{})
	const processes = 8
	ids := make(chan string, processes)
	for range processes {
		go func() {
			db, err := sqldb.Open(t.Context(), at, sqldb.Options{})
			if err == nil {
				defer db.Close()
				err = db.Migrate(t.Context(), schema(accounts))
			}
			id := ""
			if err == nil {
				id, err = db.Identity(t.Context())
			}
			if err != nil {
				id = err.Error()
			}
			ids <- id
		}()
	}
	first := <-ids
	for range processes - 1 {
		if id := <-ids; id != first || len(id) != 36 {
			t.Errorf("identities %q and %q", id, first)
		}
	}
}
