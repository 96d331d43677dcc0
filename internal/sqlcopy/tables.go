package sqlcopy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"movieexample.com/internal/sqldb"
)

// table is a table as both databases have it.
type table struct {
	name    string
	columns []column // in the order of their names
	key     []int    // the columns of the primary key, in its order
}

type column struct {
	name string
	kind valueKind
}

func (t *table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

func (t *table) keyNames() []string {
	names := make([]string, len(t.key))
	for i, k := range t.key {
		names[i] = t.columns[k].name
	}
	return names
}

// keyOf is a row's primary key.
func (t *table) keyOf(row []any) []any {
	key := make([]any, len(t.key))
	for i, k := range t.key {
		key[i] = row[k]
	}
	return key
}

// describe names a row in a message.
func (t *table) describe(row []any) string {
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

func (t *table) count(ctx context.Context, db *sqldb.DB) (n int64, err error) {
	err = db.Read().QueryRowContext(ctx, "SELECT count(*) FROM "+t.name).Scan(&n)
	return n, err
}

// SchemaTables returns the names of the tables that the migrations create, sorted.
func SchemaTables(ctx context.Context, schema fs.FS) (names []string, err error) {
	err = withFresh(ctx, schema, func(fresh *sqldb.DB) error {
		names, err = fresh.Tables(ctx)
		return err
	})
	return names, err
}

// withFresh calls do with a new SQLite database that has only the schema, and removes it.
func withFresh(ctx context.Context, schema fs.FS, do func(fresh *sqldb.DB) error) (err error) {
	dir, err := os.MkdirTemp("", "movieexample-schema-")
	if err != nil {
		return fmt.Errorf("create a temporary database: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fresh, err := sqldb.Open(ctx, "sqlite:"+filepath.Join(dir, "schema.db"), sqldb.Options{ReadConns: 1})
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
	keyPart   int // its position in the primary key, from 1; 0 if it is not part of it
}

func storedColumns(ctx context.Context, db *sqldb.DB, name string) ([]storedColumn, error) {
	text := "SELECT name, type, pk FROM pragma_table_info(?)"
	if db.Dialect() == sqldb.MySQL {
		text = `SELECT c.column_name, c.data_type, coalesce(s.seq_in_index, 0) FROM information_schema.columns c
 LEFT JOIN information_schema.statistics s ON s.table_schema = c.table_schema AND s.table_name = c.table_name
 AND s.column_name = c.column_name AND s.index_name = 'PRIMARY'
 WHERE c.table_schema = database() AND c.table_name = ?`
	}
	var columns []storedColumn
	err := sqldb.QueryRows(ctx, db.Read(), 1, func(int) string { return text }, func(_ int, dst []any) []any { return append(dst, name) },
		func(scan func(...any) error) error {
			var c storedColumn
			err := scan(&c.name, &c.typ, &c.keyPart)
			columns = append(columns, c)
			return err
		})
	return columns, err
}

// kind returns the kind of the column's type. On SQLite it is the type's affinity (https://sqlite.org/datatype3.html §3.1);
// on MySQL identifiers and folded texts are binary, so only integers are certain.
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
	return nullValue, fmt.Errorf("column %s is of type %q, which is not an integer, text or blob", c.name, c.typ)
}

// onlyTablesOf returns an error if a database has a table that a new one does not have.
func onlyTablesOf(ctx context.Context, fresh, db *sqldb.DB) error {
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
			return fmt.Errorf("its table %s is not part of the schema", name)
		}
	}
	return nil
}

// pairTables finds the tables of a new database in both others. The types of the new database decide; see [Checksum].
func pairTables(ctx context.Context, fresh, from, to *sqldb.DB) ([]table, error) {
	if err := onlyTablesOf(ctx, fresh, from); err != nil {
		return nil, fmt.Errorf("copy from database %s: %w and would not be copied: move it elsewhere", from.Name(), err)
	}
	names, err := fresh.Tables(ctx)
	if err != nil {
		return nil, err
	}
	var tables []table
	for _, name := range names {
		stored, err := storedColumns(ctx, fresh, name)
		if err != nil {
			return nil, fmt.Errorf("read the schema of %s: %w", name, err)
		}
		t, err := newTable(name, stored)
		if err != nil {
			return nil, err
		}
		for _, db := range []*sqldb.DB{from, to} {
			stored, err := storedColumns(ctx, db, name)
			if err == nil {
				err = t.compare(stored, db.Dialect())
			}
			if err != nil {
				return nil, fmt.Errorf("compare the schema of database %s: %w", db.Name(), err)
			}
		}
		tables = append(tables, t)
	}
	return tables, nil
}

func newTable(name string, stored []storedColumn) (table, error) {
	t := table{name: name}
	slices.SortFunc(stored, func(a, b storedColumn) int { return strings.Compare(a.name, b.name) })
	parts := make([]int, len(stored)+1)
	n := 0
	for i, c := range stored {
		kind, err := c.kind()
		if err != nil {
			return t, fmt.Errorf("table %s: %w", name, err)
		}
		t.columns = append(t.columns, column{c.name, kind})
		if c.keyPart > 0 {
			parts[c.keyPart] = i
			n++
		}
	}
	if t.key = parts[1 : n+1]; n == 0 {
		return t, fmt.Errorf("table %s has no primary key and cannot be copied in batches", name)
	}
	return t, nil
}

// compare returns an error if a database has other columns.
func (t *table) compare(stored []storedColumn, of sqldb.Dialect) error {
	if len(stored) == 0 {
		return fmt.Errorf("there is no table %s", t.name)
	}
	other, err := newTable(t.name, stored)
	if err != nil {
		return err
	}
	if !slices.Equal(t.names(), other.names()) || !slices.Equal(t.keyNames(), other.keyNames()) {
		return fmt.Errorf("table %s has the columns %v with the primary key %v, but the schema has %v with %v",
			t.name, other.names(), other.keyNames(), t.names(), t.keyNames())
	}
	for i, c := range t.columns {
		is := other.columns[i].kind
		if is != c.kind && (of == sqldb.SQLite || is == integerValue || c.kind == integerValue) {
			return fmt.Errorf("column %s of table %s holds %s, but in the schema %s", c.name, t.name, is, c.kind)
		}
	}
	return nil
}
