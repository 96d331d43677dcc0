//go:build servers

package servers_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/servers"
)

// within bounds a test of a real server.
func within(t *testing.T, d time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

// closing closes a server when the test ends.
func closing(t *testing.T, server interface{ Close() error }) {
	t.Helper()
	t.Cleanup(func() {
		if err := server.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// openURL opens a database by its URL, as a client does that knows nothing of this package.
func openURL(t *testing.T, text string) *sql.DB {
	t.Helper()
	u, err := url.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	db, err := sql.Open("mysql", fmt.Sprintf("%s:%s@tcp(%s)%s", u.User.Username(), password, u.Host, u.Path))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

func TestMariaDB(t *testing.T) {
	ctx := within(t, 4*time.Minute)
	began := time.Now()
	m, err := servers.StartMariaDB(ctx, servers.MariaDBConfig{})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, m)
	t.Logf("a new MariaDB answers after %s", time.Since(began))
	// A server removes all temporary tables of its directory when it starts, also those of another one that runs.
	var temporary string
	if err := m.Root().QueryRowContext(ctx, "SELECT @@tmpdir").Scan(&temporary); err != nil || temporary == os.TempDir() {
		t.Errorf("temporary tables are in %q (%v), which is not its own", temporary, err)
	}

	dbURL, err := m.CreateDatabase(ctx, "films", "reader", "it's \\ a secret", "")
	if err != nil {
		t.Fatal(err)
	}
	db := openURL(t, dbURL)
	if _, err := db.ExecContext(ctx, "CREATE TABLE t (id INT PRIMARY KEY)"); err != nil {
		t.Fatal(err)
	}
	rows := func() (n int) {
		t.Helper()
		if err := m.Root().QueryRowContext(ctx, "SELECT COUNT(*) FROM films.t").Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	insert := func(id int) error {
		_, err := db.ExecContext(ctx, "INSERT INTO t VALUES (?)", id)
		return err
	}
	if err := insert(1); err != nil {
		t.Fatal(err)
	}
	if _, err := db.ExecContext(ctx, "CREATE DATABASE other"); err == nil {
		t.Error("the service's user may create databases")
	}

	t.Run("kill", func(t *testing.T) {
		pid := m.PID()
		if err := m.Kill(); err != nil {
			t.Fatal(err)
		}
		if err := m.Kill(); err == nil {
			t.Error("a second kill of a dead server is no error")
		}
		if err := insert(2); err == nil {
			t.Fatal("a killed server takes a row")
		}
		began := time.Now()
		if err := m.Start(ctx); err != nil {
			t.Fatal(err)
		}
		t.Logf("back after %s", time.Since(began))
		if m.PID() == pid || rows() != 1 {
			t.Errorf("pid %d after %d, %d rows; want another process and the one row", m.PID(), pid, rows())
		}
		if err := m.Start(ctx); err == nil {
			t.Error("a second start of a running server is no error")
		}
	})
	t.Run("pause", func(t *testing.T) {
		if err := m.Pause(); err != nil {
			t.Fatal(err)
		}
		short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
		defer cancel()
		if _, err := m.Root().ExecContext(short, "DO 1"); err == nil {
			t.Error("a paused server answers")
		}
		if err := m.Resume(); err != nil {
			t.Fatal(err)
		}
		if err := insert(3); err != nil {
			t.Error(err)
		}
	})
	t.Run("restart", func(t *testing.T) {
		if err := m.Pause(); err != nil { // a paused server can be stopped, too
			t.Fatal(err)
		}
		if err := m.Restart(ctx); err != nil {
			t.Fatal(err)
		}
		if rows() != 2 {
			t.Errorf("%d rows after a restart, want 2", rows())
		}
	})
	t.Run("read only", func(t *testing.T) {
		if err := m.SetReadOnly(ctx, true); err != nil {
			t.Fatal(err)
		}
		if err := insert(4); err == nil || !strings.Contains(err.Error(), "read-only") {
			t.Errorf("a read-only server answers an insert with %v", err)
		}
		if err := m.SetReadOnly(ctx, false); err != nil {
			t.Fatal(err)
		}
		if err := insert(4); err != nil {
			t.Error(err)
		}
	})
	dir := m.LogFile()
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) || m.Running() {
		t.Errorf("after Close: %v, running %t; want nothing left", err, m.Running())
	}
}

// TestMariaDBDoesNotStart looks at the error of a server that cannot come up.
func TestMariaDBDoesNotStart(t *testing.T) {
	m, err := servers.StartMariaDB(within(t, time.Minute), servers.MariaDBConfig{Args: []string{"--no-such-option"}})
	if err == nil {
		closing(t, m)
		t.Fatal("it starts")
	}
	for _, part := range []string{"MariaDB on 127.0.0.1:", "ended before it answered", "no-such-option"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("the error lacks %q: %v", part, err)
		}
	}
}
