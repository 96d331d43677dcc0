package sqltest

import (
	"cmp"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// maxKey is the greatest length of an index entry on InnoDB, in bytes.
const maxKey = 3072

// CheckSchema fails the test unless the migrations for SQLite and for MySQL (the directories "sqlite" and "mysql" of
// files) come in the same steps, describe the same tables, columns, keys and indexes, keep to what every engine has, and
// those for MySQL can each be repeated after a run that was killed in the middle.
func CheckSchema(t testing.TB, files fs.FS) {
	t.Helper()
	wrong, tables, err := schemaFaults(files)
	if err != nil {
		t.Fatal(err)
	}
	for _, w := range wrong {
		t.Error(w)
	}
	if tables == 0 {
		t.Error("the migrations make no table")
	}
}

func schemaFaults(files fs.FS) (wrong []string, tables int, err error) {
	schemas := map[string]*schema{}
	for _, engine := range []string{"sqlite", "mysql"} {
		s, err := readSchema(files, engine)
		if err != nil {
			return nil, 0, err
		}
		schemas[engine] = s
		wrong = append(wrong, s.wrong...)
	}
	lite, my := schemas["sqlite"], schemas["mysql"]
	if !slices.Equal(lite.files, my.files) {
		wrong = append(wrong, fmt.Sprintf("the files are not the same: sqlite has %q, mysql %q", lite.files, my.files))
	}
	for _, name := range slices.Sorted(maps.Keys(lite.tables)) {
		if my.tables[name] == nil {
			wrong = append(wrong, "mysql lacks the table "+name)
		} else {
			wrong = append(wrong, tableDifference(name, lite.tables[name], my.tables[name])...)
		}
	}
	for _, name := range slices.Sorted(maps.Keys(my.tables)) {
		if lite.tables[name] == nil {
			wrong = append(wrong, "sqlite lacks the table "+name)
		}
		wrong = append(wrong, my.tables[name].keysTooLong(name)...)
	}
	return wrong, len(my.tables), nil
}

type column struct {
	name, typ string // the type without its length, in capitals
	length    int
	notNull   bool
}

type table struct {
	columns []column
	indexes map[string][]string // the columns by the index's name; the primary key is ""
}

// tableDifference describes what differs between a table on SQLite and on MySQL.
func tableDifference(name string, lite, my *table) (wrong []string) {
	differ := func(format string, args ...any) {
		wrong = append(wrong, "table "+name+": "+fmt.Sprintf(format, args...))
	}
	for i := range max(len(lite.columns), len(my.columns)) {
		if i >= len(lite.columns) || i >= len(my.columns) || lite.columns[i].name != my.columns[i].name {
			differ("the columns are not the same: sqlite has %v, mysql %v", lite.names(), my.names())
			break
		}
		l, m := lite.columns[i], my.columns[i]
		if l.integer() != m.integer() || l.blob() && !m.blob() || l.integer() && l.typ != m.typ {
			differ("column %s is %s on sqlite and %s on mysql", l.name, l.typ, m.typ)
		}
		if l.notNull != m.notNull {
			differ("column %s may be NULL on one engine only", l.name)
		}
		if m.length < l.length && !(strings.Contains(m.typ, "TEXT") || m.blob()) {
			differ("column %s holds %d on sqlite and %d on mysql", l.name, l.length, m.length)
		}
	}
	if !maps.EqualFunc(lite.indexes, my.indexes, slices.Equal[[]string]) {
		differ("the keys are not the same: sqlite has %v, mysql %v", lite.indexes, my.indexes)
	}
	return wrong
}

func (t *table) names() []string {
	names := make([]string, len(t.columns))
	for i, c := range t.columns {
		names[i] = c.name
	}
	return names
}

func (c column) integer() bool { return strings.HasSuffix(c.typ, "INT") || c.typ == "INTEGER" }
func (c column) blob() bool    { return strings.HasSuffix(c.typ, "BLOB") }

// keysTooLong checks that the keys of a MySQL table are not longer than an index can be, and compare bytes.
func (t *table) keysTooLong(name string) (wrong []string) {
	for _, index := range slices.Sorted(maps.Keys(t.indexes)) {
		called := "index " + cmp.Or(index, "primary key") + " of " + name
		size := 0
		for _, key := range t.indexes[index] {
			i := slices.IndexFunc(t.columns, func(c column) bool { return c.name == key })
			switch {
			case i < 0:
				wrong = append(wrong, called+": there is no column "+key)
			case t.columns[i].integer():
				size += 8
			case t.columns[i].typ == "VARBINARY":
				size += t.columns[i].length
			default:
				wrong = append(wrong, called+": column "+key+" is not VARBINARY, so that it is not compared byte by byte")
			}
		}
		if size > maxKey {
			wrong = append(wrong, fmt.Sprintf("%s: %d bytes, more than %d", called, size, maxKey))
		}
	}
	return wrong
}

// schema is what the migrations of one engine make.
type schema struct {
	files  []string
	tables map[string]*table
	wrong  []string
}

func readSchema(files fs.FS, engine string) (*schema, error) {
	names, err := fs.Glob(files, engine+"/*.sql")
	if err != nil {
		return nil, err
	}
	s := &schema{tables: map[string]*table{}}
	for _, name := range names { // Glob sorts
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		_, up, ok := strings.Cut(string(text), "-- +goose Up")
		if !ok {
			return nil, fmt.Errorf("%s: no line '-- +goose Up'", name)
		}
		up, _, _ = strings.Cut(up, "-- +goose Down")
		all, err := tokens(up)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		s.files = append(s.files, strings.TrimPrefix(name, engine+"/"))
		for len(all) > 0 {
			end := slices.IndexFunc(all, func(t token) bool { return t.text == ";" })
			if end < 0 {
				return nil, fmt.Errorf("%s: the last statement has no end", name)
			}
			s.read(name, engine == "mysql", all[:end])
			all = all[end+1:]
		}
	}
	return s, nil
}

// read records the object that a statement creates, and the statement's mistakes.
func (s *schema) read(file string, mysql bool, st []token) {
	object := func(format string, args ...any) {
		s.wrong = append(s.wrong, file+": "+fmt.Sprintf(format, args...)+": "+show(st))
	}
	for _, r := range everywhere() {
		if r.found(st) {
			object("%s", r.name)
		}
	}
	exists := has(st, "IF", "NOT", "EXISTS")
	if mysql && has(st, "ON", "CONFLICT") || !mysql && (has(st, "ON", "DUPLICATE") || has(st, "ENGINE")) {
		object("this belongs to another engine")
	}
	switch {
	case startsWith(st, "CREATE", "TABLE"):
		open := slices.IndexFunc(st, func(t token) bool { return t.text == "(" })
		if open < 0 {
			object("a table without columns")
			return
		}
		name := st[open-1].text
		t, rest, err := readTable(st[open+1:])
		if err != nil {
			object("%v", err)
			return
		}
		if s.tables[name] != nil {
			object("the table is made twice")
		}
		s.tables[name] = t
		if mysql && (!exists || show(rest) != "ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin") {
			object("must be CREATE TABLE IF NOT EXISTS … ENGINE = InnoDB DEFAULT CHARSET = utf8mb4 COLLATE = utf8mb4_bin")
		}
	case startsWith(st, "CREATE", "INDEX"):
		if mysql {
			object("MySQL cannot repeat CREATE INDEX: put it into the table")
			return
		}
		on := slices.IndexFunc(st, func(t token) bool { return t.is("ON") })
		if on < 0 || on+1 >= len(st) || s.tables[st[on+1].text] == nil {
			object("an index on no table")
			return
		}
		columns, _ := list(st[on+2:])
		s.tables[st[on+1].text].indexes[st[on-1].text] = columns
	case startsWith(st, "INSERT", "INTO"):
		if mysql && !has(st, "ON", "DUPLICATE", "KEY", "UPDATE") {
			object("must be repeatable: ON DUPLICATE KEY UPDATE")
		}
	default:
		object("this test does not know such statements; teach it, and see that MySQL can repeat them")
	}
}

// readTable reads what stands between the brackets of CREATE TABLE, and returns what follows.
func readTable(st []token) (t *table, rest []token, err error) {
	t = &table{indexes: map[string][]string{}}
	for {
		end, depth := 0, 0
		for ; end < len(st); end++ {
			if depth == 0 && (st[end].text == "," || st[end].text == ")") {
				break
			}
			switch st[end].text {
			case "(":
				depth++
			case ")":
				depth--
			}
		}
		if end == len(st) {
			return nil, nil, fmt.Errorf("a bracket is not closed")
		}
		part := st[:end]
		switch {
		case startsWith(part, "PRIMARY", "KEY"):
			t.indexes[""], _ = list(part[2:])
		case startsWith(part, "INDEX"):
			t.indexes[part[1].text], _ = list(part[2:])
		case len(part) < 2 || part[0].kind != word || part[1].kind != word:
			return nil, nil, fmt.Errorf("%q is no column", show(part))
		default:
			c := column{name: part[0].text, typ: strings.ToUpper(part[1].text), notNull: has(part, "NOT", "NULL")}
			if len(part) > 3 && part[2].text == "(" {
				c.length, err = strconv.Atoi(part[3].text)
			}
			if err != nil {
				return nil, nil, err
			}
			t.columns = append(t.columns, c)
		}
		if st[end].text == ")" {
			return t, st[end+1:], nil
		}
		st = st[end+1:]
	}
}

// list reads names in brackets, and returns what follows.
func list(st []token) (names []string, rest []token) {
	for i, t := range st {
		if t.kind == word {
			names = append(names, t.text)
		}
		if t.text == ")" {
			return names, st[i+1:]
		}
	}
	return names, nil
}

func show(st []token) string {
	texts := make([]string, len(st))
	for i, t := range st {
		texts[i] = t.text
	}
	return strings.Join(texts, " ")
}
