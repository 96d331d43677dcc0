// Package sqltest gives tests a database: a new, empty one for each test, gone after it.
//
// [URL] is for suites that hold on every engine. It names an SQLite file, or, where the
// environment variable MOVIEEXAMPLE_TEST_MYSQL is set, a new database on that server, so
// that the same suite runs on both:
//
//	MOVIEEXAMPLE_TEST_MYSQL=mysql://root@127.0.0.1:3306/ go test ./...
//
// [MySQL] is for tests that are about MySQL. They have the build tag "servers", and fail
// where the variable is missing: a requested test is never skipped.
package sqltest

import (
	"context"
	"crypto/rand"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"

	"movieexample.com/internal/sqldb"
)

// Variable is the environment variable that names the server: a URL like
// "mysql://root@127.0.0.1:3306/", of a user who may create databases and users.
const Variable = "MOVIEEXAMPLE_TEST_MYSQL"

// URL returns the URL of a new, empty database for sqldb.Open. What the test opens it
// closes itself, before the test ends.
func URL(tb testing.TB) string {
	tb.Helper()
	if os.Getenv(Variable) == "" {
		return "sqlite:" + filepath.Join(tb.TempDir(), "test.db")
	}
	return MySQL(tb).Database(tb)
}

// Server is a MySQL server with a user who may do anything.
type Server struct {
	// Admin is a pool of that user's connections, with no database chosen.
	Admin *sql.DB

	url *url.URL
}

// MySQL returns the server that [Variable] names, and fails the test if there is none.
func MySQL(tb testing.TB) *Server {
	tb.Helper()
	text := os.Getenv(Variable)
	if text == "" {
		tb.Fatalf("%s is not set: it has to be the URL of a MySQL server, such as mysql://root@127.0.0.1:3306/", Variable)
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "mysql" || u.Host == "" {
		tb.Fatalf("%s is not a URL like mysql://root@127.0.0.1:3306/", Variable)
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User = "tcp", u.Host, u.User.Username()
	cfg.Passwd, _ = u.User.Password()
	cfg.Logger = &mysql.NopLogger{}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		tb.Fatalf("%s: %v", Variable, err)
	}
	s := &Server{Admin: sql.OpenDB(connector), url: u}
	tb.Cleanup(func() {
		if err := s.Admin.Close(); err != nil {
			tb.Errorf("close connections to the test server: %v", err)
		}
	})
	return s
}

// Addr is the server's host and port.
func (s *Server) Addr() string { return s.url.Host }

// Database creates an empty database and returns its URL. It is dropped when the test ends.
func (s *Server) Database(tb testing.TB) string {
	tb.Helper()
	// Shorter names are easier to read in SHOW PROCESSLIST; this one is unique enough.
	name := "test_" + strings.ToLower(rand.Text()[:16])
	s.Exec(tb, "CREATE DATABASE "+name+" CHARACTER SET utf8mb4 COLLATE utf8mb4_bin")
	tb.Cleanup(func() { s.cleanup(tb, "DROP DATABASE "+name) })
	u := *s.url
	u.Path = "/" + name
	return u.String()
}

// User creates a user with the given rights on the database that databaseURL names, or
// with sqldb.Rights, the least that a service needs, if none are given. It returns the
// database's URL for that user, who is dropped when the test ends.
func (s *Server) User(tb testing.TB, databaseURL string, rights ...string) string {
	tb.Helper()
	if len(rights) == 0 {
		rights = sqldb.Rights()
	}
	u, err := url.Parse(databaseURL)
	if err != nil {
		tb.Fatal(err)
	}
	name, password := "user_"+strings.ToLower(rand.Text()[:12]), rand.Text()
	s.Exec(tb, fmt.Sprintf("CREATE USER '%s'@'%%' IDENTIFIED BY '%s'", name, password))
	tb.Cleanup(func() { s.cleanup(tb, fmt.Sprintf("DROP USER '%s'@'%%'", name)) })
	s.Exec(tb, fmt.Sprintf("GRANT %s ON %s.* TO '%s'@'%%'", strings.Join(rights, ", "), strings.TrimPrefix(u.Path, "/"), name))
	u.User = url.UserPassword(name, password)
	return u.String()
}

// Exec runs a statement as the user who may do anything.
func (s *Server) Exec(tb testing.TB, text string, args ...any) {
	tb.Helper()
	if _, err := s.Admin.ExecContext(tb.Context(), text, args...); err != nil {
		tb.Fatalf("%s: %v", text, err)
	}
}

// cleanup runs after the test's context has ended.
func (s *Server) cleanup(tb testing.TB, text string) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if _, err := s.Admin.ExecContext(ctx, text); err != nil {
		tb.Errorf("%s: %v", text, err)
	}
}
