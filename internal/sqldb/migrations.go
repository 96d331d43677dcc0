package sqldb

import (
	"cmp"
	"context"
	"fmt"
	"io/fs"
	"slices"
	"time"

	"github.com/pressly/goose/v3"
)

// Migration is one migration, as [DB.Migrations] finds it.
type Migration struct {
	// Version is the number that the file's name begins with.
	Version int64
	// File is the file's name, or empty for a migration that this program does not have:
	// a newer release has applied it.
	File string
	// AppliedAt is when it was applied, in UTC; zero if it is pending.
	AppliedAt time.Time
	// Interrupted reports that it is pending because it was interrupted (MySQL only;
	// see [DB.Migrate], which repeats it).
	Interrupted bool
}

// Migrations lists the migrations in fsys and those that the database knows, in the order
// of their versions. It looks at the database and changes nothing: all are pending in one
// that was never migrated.
func (db *DB) Migrations(ctx context.Context, fsys fs.FS) ([]Migration, error) {
	list, err := db.listMigrations(ctx, fsys)
	if err != nil {
		return nil, db.explain(fmt.Errorf("list migrations of database %s: %w", db.name, err))
	}
	return list, nil
}

func (db *DB) listMigrations(ctx context.Context, fsys fs.FS) ([]Migration, error) {
	fsys, err := db.migrations(fsys)
	if err != nil {
		return nil, err
	}
	// goose only reads the files here; the dialect is of no account.
	provider, err := newProvider(goose.DialectSQLite3, db.readers, fsys)
	if err != nil {
		return nil, err
	}
	known, err := db.knownMigrations(ctx)
	if err != nil {
		return nil, err
	}
	var list []Migration
	for _, source := range provider.ListSources() {
		m := known[source.Version]
		m.Version, m.File = source.Version, source.Path
		list = append(list, m)
		delete(known, source.Version)
	}
	for _, m := range known {
		list = append(list, m)
	}
	slices.SortFunc(list, func(a, b Migration) int { return cmp.Compare(a.Version, b.Version) })
	return list, nil
}

// knownMigrations reads the table of versions, if there is one.
func (db *DB) knownMigrations(ctx context.Context) (map[int64]Migration, error) {
	text := "SELECT version_id, is_applied, CAST(unixepoch(tstamp) AS INTEGER) * 1000000 FROM " + versionTableName + " ORDER BY id"
	if db.dialect == MySQL {
		text = "SELECT version_id, is_applied, tstamp FROM " + versionTableName
	}
	if exists, err := db.hasTable(ctx, versionTableName); err != nil || !exists {
		return nil, err
	}
	rows, err := db.readers.QueryContext(ctx, text)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[int64]Migration{}
	for rows.Next() {
		var version, applied, at int64
		if err := rows.Scan(&version, &applied, &at); err != nil {
			return nil, err
		}
		switch {
		case version == 0: // goose's own
		case applied != 0:
			known[version] = Migration{Version: version, AppliedAt: time.UnixMicro(at).UTC()}
		case db.dialect == MySQL:
			known[version] = Migration{Version: version, Interrupted: true}
		default:
			delete(known, version) // taken back
		}
	}
	return known, rows.Err()
}
