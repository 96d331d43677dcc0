package sqldb

import (
	"fmt"
	"strings"
)

// Dialect writes the few texts that differ between engines. Names of tables and
// columns are the program's own, never input; a name that is not made of letters,
// digits and underscores is a programming error, and panics.
type Dialect uint8

// The engines.
const (
	SQLite Dialect = iota
	MySQL          // MySQL 8, MariaDB 10.11 and later, TiDB, Vitess
)

// String is the engine's name, also the name of the directory of migrations that
// are its own (see [DB.Migrate]).
func (d Dialect) String() string {
	if d == MySQL {
		return "mysql"
	}
	return "sqlite"
}

// MaxArgs is the greatest number of "?" in one statement.
// (SQLite: SQLITE_MAX_VARIABLE_NUMBER; MySQL: the protocol counts in 16 bits.)
func (d Dialect) MaxArgs() int {
	if d == MySQL {
		return 65535
	}
	return 32766
}

// MaxRowsPerStatement is the greatest number of rows that [Tx.ExecRows], and of keys that
// [QueryRows], puts into one statement: a power of two.
func (d Dialect) MaxRowsPerStatement() int {
	if d == MySQL {
		return maxRowsMySQL
	}
	return MaxRowsPerStatement
}

// ForUpdate is the suffix of a SELECT whose rows must not change before this
// transaction ends. SQLite needs none: a [Tx] holds the only write lock.
func (d Dialect) ForUpdate() string {
	if d == MySQL {
		return " FOR UPDATE"
	}
	return ""
}

// ByPrimaryKey is the suffix of a table's name in a query with a long list of keys ([Dialect.In] with several
// columns) on a table that has other indexes with the same columns. MySQL's planner finds the right index, but
// first looks into each of the others for each key of the list, which takes twenty times as long as the query.
func (d Dialect) ByPrimaryKey() string {
	if d == MySQL {
		return " FORCE INDEX (PRIMARY)"
	}
	return ""
}

// Placeholders returns rows groups of cols question marks: "(?,?),(?,?)".
func (Dialect) Placeholders(cols, rows int) string {
	if cols < 1 || rows < 1 {
		panic(fmt.Sprintf("sqldb: placeholders for %d columns and %d rows", cols, rows))
	}
	group := "(" + strings.Repeat("?,", cols-1) + "?)"
	return strings.Repeat(group+",", rows-1) + group
}

// Delete deletes the rows with the given keys. Arguments per row: key, in order.
//
// MySQL finds no index for a list of tuples in a DELETE, although it does in a SELECT: it reads the whole table, and locks it
// on its way. It finds one for each of several conditions.
func (d Dialect) Delete(table string, key []string, rows int) string {
	mustBeNames(table)
	if d != MySQL || len(key) == 1 {
		return "DELETE FROM " + table + " WHERE " + d.In(key, rows)
	}
	mustBeNames(key...)
	one := "(" + strings.Join(key, "=? AND ") + "=?)"
	return "DELETE FROM " + table + " WHERE " + strings.Repeat(one+" OR ", rows-1) + one
}

// Insert inserts rows rows; a key that exists is a [Duplicate] error.
// Arguments per row: cols in order.
func (d Dialect) Insert(table string, cols []string, rows int) string {
	return d.insert(table, cols, nil, nil, rows)
}

// InsertIgnore inserts rows rows and leaves those alone whose key exists. Other
// violations stay errors, which is why MySQL's INSERT IGNORE is not used.
// Arguments per row: key, then rest, in order.
func (d Dialect) InsertIgnore(table string, key, rest []string, rows int) string {
	text := d.insert(table, key, rest, nil, rows)
	if d == MySQL {
		// To itself, and not a column of the key where there is another: sharding engines refuse to be told where a row moves.
		same := append(rest[:len(rest):len(rest)], key...)[0]
		return text + " ON DUPLICATE KEY UPDATE " + same + "=" + same
	}
	return text + " ON CONFLICT(" + strings.Join(key, ",") + ") DO NOTHING"
}

// Upsert inserts rows rows or, where the key exists, replaces the columns set.
// Arguments per row: key, then set, in order. No key may come twice in one
// statement with a meaning that depends on the order.
func (d Dialect) Upsert(table string, key, set []string, rows int) string {
	return d.UpsertAdd(table, key, nil, set, rows)
}

// UpsertAdd inserts rows rows or, where the key exists, adds to the columns add and
// replaces the columns set: how deltas are applied to counters.
// Arguments per row: key, add, set, in order.
func (d Dialect) UpsertAdd(table string, key, add, set []string, rows int) string {
	if len(key) == 0 || len(add)+len(set) == 0 {
		panic("sqldb: upsert into " + table + " without a key or without columns to change")
	}
	var b strings.Builder
	b.WriteString(d.insert(table, key, add, set, rows))
	value := func(col string) string { return "excluded." + col }
	if d == MySQL {
		// VALUES() is deprecated in MySQL 8.0.20, but the row alias that replaces it
		// is unknown to MariaDB.
		value = func(col string) string { return "VALUES(" + col + ")" }
		b.WriteString(" ON DUPLICATE KEY UPDATE ")
	} else {
		b.WriteString(" ON CONFLICT(" + strings.Join(key, ",") + ") DO UPDATE SET ")
	}
	sep := ""
	for _, col := range add {
		b.WriteString(sep + col + "=" + table + "." + col + "+" + value(col))
		sep = ","
	}
	for _, col := range set {
		b.WriteString(sep + col + "=" + value(col))
		sep = ","
	}
	return b.String()
}

// In is a condition that holds for the n given values of cols:
// "c IN (?,?)", or for several columns a list of tuples, which every engine finds
// through an index on cols. Arguments: one tuple after the other.
func (d Dialect) In(cols []string, n int) string {
	mustBeNames(cols...)
	if len(cols) == 1 {
		return cols[0] + " IN " + d.Placeholders(n, 1)
	}
	values := d.Placeholders(len(cols), n)
	if d == SQLite {
		values = "VALUES " + values // SQLite takes a tuple list only as a subquery
	}
	return "(" + strings.Join(cols, ",") + ") IN (" + values + ")"
}

func (d Dialect) insert(table string, a, b, c []string, rows int) string {
	cols := make([]string, 0, len(a)+len(b)+len(c))
	cols = append(append(append(cols, a...), b...), c...)
	mustBeNames(table)
	mustBeNames(cols...)
	return "INSERT INTO " + table + " (" + strings.Join(cols, ",") + ") VALUES " + d.Placeholders(len(cols), rows)
}

func (d Dialect) checkQuery() string {
	if d == MySQL {
		return "SELECT 1"
	}
	return "SELECT count(*) FROM sqlite_schema" // SELECT 1 would not touch the file
}

func mustBeNames(names ...string) {
	for _, name := range names {
		ok := name != ""
		for i := range len(name) {
			c := name[i]
			ok = ok && (c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9')
		}
		if !ok {
			panic(fmt.Sprintf("sqldb: %q is not the name of a table or column", name))
		}
	}
}

// MaxRowsPerStatement is [Dialect.MaxRowsPerStatement] of SQLite. BenchmarkUpsert is the measurement behind it (rows per second on 2
// busy cores, in brackets bare database/sql): 1 row 75,000 (46,000), 32 rows 114,000
// (81,000), 64 rows 128,000 (86,000), 256 rows 127,000 (88,000). Beyond 64 the time
// goes into the tree, not into the calls.
const MaxRowsPerStatement = 64

// maxRowsMySQL is [Dialect.MaxRowsPerStatement] of MySQL, after BenchmarkProtocol (medians
// of 4 runs; MariaDB 10.11 and the test shared 2 busy cores): 16 rows 108,000 rows/s, 64
// rows 246,000, 128 rows 298,000, 256 rows 342,000, 512 rows 358,000. Reading by a list of
// keys gains nothing beyond 256. A larger statement would be worth more over a slower
// network, and costs the server more memory for each connection that has prepared it.
const maxRowsMySQL = 256
