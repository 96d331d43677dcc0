package sqldb

import (
	"context"
	"fmt"
	"slices"
)

// CopyProgressTable is where a copy of another database records how far it is (see package sqlcopy). As long as it has rows,
// [DB.Migrate] refuses the database.
const CopyProgressTable = "copy_progress"

// Tables returns the names of the database's tables, sorted, but for those that this package and package sqlcopy make for themselves.
func (db *DB) Tables(ctx context.Context) (names []string, err error) {
	text := "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"
	if db.dialect == MySQL {
		text = "SELECT table_name FROM information_schema.tables WHERE table_schema = database() AND table_type = 'BASE TABLE'"
	}
	err = QueryRows(ctx, db.Read(), 1, func(int) string { return text }, func(_ int, dst []any) []any { return dst },
		func(scan func(...any) error) error {
			var name string
			err := scan(&name)
			if !slices.Contains([]string{versionTableName, CopyProgressTable, identityTable}, name) {
				names = append(names, name)
			}
			return err
		})
	if err != nil {
		return nil, fmt.Errorf("list the tables of database %s: %w", db.name, err)
	}
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

// CopyInProgress returns the name of the source if this database is an unfinished copy, else "".
func (db *DB) CopyInProgress(ctx context.Context) (from string, err error) {
	exists, err := db.hasTable(ctx, CopyProgressTable)
	if err != nil || !exists {
		return "", err
	}
	err = db.readers.QueryRowContext(ctx, "SELECT coalesce(max(copied_from), '') FROM "+CopyProgressTable).Scan(&from)
	return from, err
}

// RefuseUnfinishedCopy returns an error if the database is an unfinished copy, which only the copy itself may use.
func (db *DB) RefuseUnfinishedCopy(ctx context.Context) error {
	from, err := db.CopyInProgress(ctx)
	if err == nil && from != "" {
		err = fmt.Errorf("it is an unfinished copy of %s: run the same 'movieexample copy' again, which continues where it stopped", from)
	}
	return err
}

// ChangeSchema runs one statement that creates, alters or drops a table. It does so outside of a transaction, which it would end on
// MySQL. Tables of services are made by [DB.Migrate].
func (db *DB) ChangeSchema(ctx context.Context, text string) error {
	_, err := db.writer.ExecContext(ctx, text)
	return err
}

// identityTable has the database's identity in the row with the id 1. Rows with other ids are those of write probes, which
// delete them again in the same transaction.
const (
	identityTable = "database_identity"
	identityRow   = 1
)

const versionTableName = "goose_db_version"
