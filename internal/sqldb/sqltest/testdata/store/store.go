// Package store is read by a test, and never compiled.
package store

const (
	columns = "a, b"
	query   = "SELECT " + columns + " FROM t WHERE a = ? "
)

func texts(suffix string) []string {
	condition := query + suffix
	condition += " AND a LIKE ?"
	return []string{condition, "no SQL at all", "SELECT " + ("*" + " FROM t")}
}
