package sqltest

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Template is a database that is filled once and copied often: a test that tries every fault needs the same content
// for each.
type Template struct {
	file   []byte // of SQLite
	source string // the database's name on the MySQL server
}

// NewTemplate calls fill with the URL of an empty database. What fill opens it must have closed when it returns.
func NewTemplate(tb testing.TB, fill func(url string)) *Template {
	tb.Helper()
	url := URL(tb)
	fill(url)
	t := &Template{}
	if path, ok := strings.CutPrefix(url, "sqlite:"); ok {
		file, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		t.file = file
		return t
	}
	t.source = url[strings.LastIndexByte(url, '/')+1:]
	return t
}

// Copies returns a function that returns the URL of a database with the template's content. Each call ends the copy
// before: nothing may have it open any more.
func (t *Template) Copies(tb testing.TB) (next func() string) {
	tb.Helper()
	if t.source == "" {
		dir, n := tb.TempDir(), 0
		path := func() string { return filepath.Join(dir, fmt.Sprint(n, ".db")) }
		return func() string {
			for _, suffix := range []string{"", "-wal", "-shm", "-migrate.lock"} {
				if err := os.RemoveAll(path() + suffix); err != nil {
					tb.Fatal(err)
				}
			}
			n++
			if err := os.WriteFile(path(), t.file, 0o600); err != nil {
				tb.Fatal(err)
			}
			return "sqlite:" + path()
		}
	}
	server := MySQL(tb)
	url := server.Database(tb)
	name := url[strings.LastIndexByte(url, '/')+1:]
	tables := server.tables(tb, t.source)
	for _, table := range tables {
		server.Exec(tb, fmt.Sprintf("CREATE TABLE %s.%s LIKE %s.%s", name, table, t.source, table))
	}
	return func() string {
		// Rows are replaced, not tables: that is hundreds of times faster.
		if err := inTransaction(tb.Context(), server.Admin, func(tx *sql.Tx) error {
			for _, table := range tables {
				for _, text := range []string{"DELETE FROM %[1]s.%[3]s", "INSERT INTO %[1]s.%[3]s SELECT * FROM %[2]s.%[3]s"} {
					if _, err := tx.ExecContext(tb.Context(), fmt.Sprintf(text, name, t.source, table)); err != nil {
						return fmt.Errorf("%s: %w", table, err)
					}
				}
			}
			return nil
		}); err != nil {
			tb.Fatalf("copy the template: %v", err)
		}
		return url
	}
}

func inTransaction(ctx context.Context, db *sql.DB, do func(*sql.Tx) error) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer func() { _ = tx.Rollback() }() // after Commit it does nothing
	if err := do(tx); err != nil {
		return err
	}
	return tx.Commit()
}

// tables are the names of a database's tables.
func (s *Server) tables(tb testing.TB, database string) []string {
	tb.Helper()
	rows, err := s.Admin.QueryContext(tb.Context(), "SELECT table_name FROM information_schema.tables WHERE table_schema = ?", database)
	if err != nil {
		tb.Fatal(err)
	}
	defer rows.Close()
	var names []string
	for rows.Next() {
		var name string
		if err := rows.Scan(&name); err != nil {
			tb.Fatal(err)
		}
		names = append(names, name)
	}
	if err := rows.Err(); err != nil || len(names) == 0 {
		tb.Fatalf("tables of %s: %q, %v", database, names, err)
	}
	return names
}
