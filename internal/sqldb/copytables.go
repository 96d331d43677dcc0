package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// copyTable is a table as both databases have it.
type copyTable struct {
	name    string
	columns []copyColumn // in the order of their names
	key     []int        // the columns of the primary key, in its order
}

type copyColumn struct {
	name string
	kind valueKind
}

func (t *copyTable) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

func (t *copyTable) keyNames() []string {
	names := make([]string, len(t.key))
	for i, k := range t.key {
		names[i] = t.columns[k].name
	}
	return names
}

// keyOf is a row's primary key.
func (t *copyTable) keyOf(row []any) []any {
	key := make([]any, len(t.key))
	for i, k := range t.key {
		key[i] = row[k]
	}
	return key
}

// describe tells a person which row it is.
func (t *copyTable) describe(row []any) string {
	parts := make([]string, len(t.key))
	for i, k := range t.key {
		v := row[k]
		if b, ok := v.([]byte); ok {
			v = string(b)
		}
		if s, ok := v.(string); ok {
			v = fmt.Sprintf("%.100q", s)
		}
		parts[i] = fmt.Sprintf("%s = %v", t.columns[k].name, v)
	}
	return strings.Join(parts, ", ")
}

func (t *copyTable) count(ctx context.Context, db *DB) (n int64, err error) {
	err = db.readers.QueryRowContext(ctx, "SELECT count(*) FROM "+t.name).Scan(&n)
	return n, err
}

// Tables returns the names of the database's tables, sorted, but for those that this package makes for itself.
func (db *DB) Tables(ctx context.Context) ([]string, error) {
	text := "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
	if db.dialect == MySQL {
		text = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE'"
	}
	names, err := collect(ctx, db.readers, text, func(scan func(...any) error) (name string, err error) {
		return name, scan(&name)
	})
	if err != nil {
		return nil, db.explain(fmt.Errorf("list the tables of database %s: %w", db.name, err))
	}
	names = slices.DeleteFunc(names, func(name string) bool {
		return name == versionTableName || name == progressTable || name == identityTable
	})
	slices.Sort(names)
	return names, nil
}

func (db *DB) hasTable(ctx context.Context, name string) (bool, error) {
	text := "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = ?"
	if db.dialect == MySQL {
		text = "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name = ?"
	}
	var n int
	err := db.readers.QueryRowContext(ctx, text, name).Scan(&n)
	return n > 0, err
}

// SchemaTables returns the names of the tables, sorted, that the migrations make.
func SchemaTables(ctx context.Context, schema fs.FS) (names []string, err error) {
	err = withFresh(ctx, schema, func(fresh *DB) error {
		names, err = fresh.Tables(ctx)
		return err
	})
	return names, err
}

// withFresh calls do with an SQLite database that has the schema and nothing else, and removes it.
func withFresh(ctx context.Context, schema fs.FS, do func(fresh *DB) error) (err error) {
	dir, err := os.MkdirTemp("", "movieexample-schema-")
	if err != nil {
		return fmt.Errorf("make a database to compare with: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fresh, err := Open(ctx, "sqlite:"+filepath.Join(dir, "schema.db"), Options{ReadConns: 1})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, fresh.Close()) }()
	if err := fresh.Migrate(ctx, schema); err != nil {
		return err
	}
	return do(fresh)
}

// storedColumn is a column as an engine describes it.
type storedColumn struct {
	name, typ string
	keyPart   int // its place in the primary key, from 1; 0: not part of it
}

func (db *DB) storedColumns(ctx context.Context, table string) ([]storedColumn, error) {
	text := "SELECT name, type, pk FROM pragma_table_info(?)"
	if db.dialect == MySQL {
		text = `SELECT c.column_name, c.data_type, coalesce(s.seq_in_index, 0) FROM information_schema.columns c
 LEFT JOIN information_schema.statistics s ON s.table_schema = c.table_schema AND s.table_name = c.table_name
 AND s.column_name = c.column_name AND s.index_name = 'PRIMARY'
 WHERE c.table_schema = database() AND c.table_name = ?`
	}
	return collect(ctx, db.readers, text, func(scan func(...any) error) (c storedColumn, err error) {
		return c, scan(&c.name, &c.typ, &c.keyPart)
	}, table)
}

// kind is what the column's type stands for. On SQLite it is the type's affinity (https://sqlite.org/datatype3.html §3.1);
// on MySQL identifiers and folded texts are binary, so that it tells only integers from the rest.
func (c storedColumn) kind() (valueKind, error) {
	typ := strings.ToUpper(c.typ)
	switch {
	case strings.Contains(typ, "INT"):
		return integerValue, nil
	case strings.Contains(typ, "CHAR"), strings.Contains(typ, "TEXT"):
		return textValue, nil
	case strings.Contains(typ, "BLOB"), strings.Contains(typ, "BINARY"):
		return blobValue, nil
	}
	return nullValue, fmt.Errorf("column %s is of type %q, which is none of integer, text and blob", c.name, c.typ)
}

// onlyTablesOf is an error where a database has a table that a new one has not.
func onlyTablesOf(ctx context.Context, fresh, db *DB) error {
	own, err := fresh.Tables(ctx)
	if err != nil {
		return err
	}
	there, err := db.Tables(ctx)
	if err != nil {
		return err
	}
	for _, name := range there {
		if !slices.Contains(own, name) {
			return fmt.Errorf("its table %s is not one of the schema", name)
		}
	}
	return nil
}

// pairTables finds the tables of a new database in both others. Its types are the ones that count: see [Checksum].
func pairTables(ctx context.Context, fresh, from, to *DB) ([]copyTable, error) {
	if err := onlyTablesOf(ctx, fresh, from); err != nil {
		return nil, fmt.Errorf("copy from database %s: %w, so that it would not be copied: move it elsewhere", from.name, err)
	}
	names, err := fresh.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var tables []copyTable
	for _, name := range names {
		stored, err := fresh.storedColumns(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read the schema of %s: %w", name, err)
		}
		t, err := newCopyTable(name, stored)
		if err != nil {
			return nil, err
		}
		for _, db := range []*DB{from, to} {
			stored, err := db.storedColumns(ctx, name)
			if err == nil {
				err = t.compare(stored, db.dialect)
			}
			if err != nil {
				return nil, fmt.Errorf("compare the schema of database %s: %w", db.name, err)
			}
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func newCopyTable(name string, stored []storedColumn) (copyTable, error) {
	t := copyTable{name: name}
	slices.SortFunc(stored, func(a, b storedColumn) int { return strings.Compare(a.name, b.name) })
	parts := make([]int, len(stored)+1)
	n := 0
	for i, c := range stored {
		kind, err := c.kind()
		if err != nil {
			return t, fmt.Errorf("table %s: %w", name, err)
		}
		t.columns = append(t.columns, copyColumn{c.name, kind})
		if c.keyPart > 0 {
			parts[c.keyPart] = i
			n++
		}
	}
	if t.key = parts[1 : n+1]; n == 0 {
		return t, fmt.Errorf("table %s has no primary key, so that it cannot be copied in batches", name)
	}
	return t, nil
}

// compare reports what a database has otherwise.
func (t *copyTable) compare(stored []storedColumn, of Dialect) error {
	if len(stored) == 0 {
		return fmt.Errorf("there is no table %s", t.name)
	}
	other, err := newCopyTable(t.name, stored)
	if err != nil {
		return err
	}
	if !slices.Equal(t.names(), other.names()) || !slices.Equal(t.keyNames(), other.keyNames()) {
		return fmt.Errorf("table %s has the columns %v with the primary key %v, but the schema has %v with %v",
			t.name, other.names(), other.keyNames(), t.names(), t.keyNames())
	}
	for i, c := range t.columns {
		is := other.columns[i].kind
		if is != c.kind && (of == SQLite || is == integerValue || c.kind == integerValue) {
			return fmt.Errorf("column %s of table %s holds %s, but in the schema %s", c.name, t.name, is, c.kind)
		}
	}
	return nil
}

// collect reads a result into a slice.
func collect[T any](ctx context.Context, db *sql.DB, text string, read func(scan func(...any) error) (T, error), args ...any) (all []T, err error) {
	rows, err := db.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		one, err := read(rows.Scan)
		if err != nil {
			return nil, err
		}
		all = append(all, one)
	}
	return all, rows.Err()
}
