package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// Migrate brings the schema up to the newest of the migrations in fsys. They are
// files like "00001_init.sql" in goose's format ("-- +goose Up" first), applied in
// order, each in a transaction, each once. If fsys has a directory named after the
// dialect ("sqlite", "mysql"), the files are taken from there, else from its root;
// those must keep to statements that every engine understands.
//
// Migrations only add: the previous release must run on the new schema. For the same
// reason a schema that is newer than fsys is accepted, and logged.
//
// Calling Migrate again with the same migrations does nothing, so a service and its builder may both call it.
//
// Several processes may call Migrate on the same database at once; they take turns. A
// database that is an unfinished copy is refused. One without [DB.Identity] gets one.
//
// # Migrations for MySQL
//
// MySQL commits before and after each statement that changes the schema, so that a crash
// can leave a migration done in part. Migrate marks a migration as begun before its first
// statement. An interrupted migration is executed again from its beginning; then, and only
// then, a statement whose object was already created or altered counts as done. That is
// enough if each file keeps these rules:
//
//   - A statement is one change: CREATE TABLE with all its keys, or an ALTER TABLE whose
//     parts belong together; each is atomic. CREATE INDEX is fine.
//   - A statement that changes rows can be executed twice with the same effect, and after
//     each statement of the same file that comes after it: INSERT … ON DUPLICATE KEY
//     UPDATE, INSERT … SELECT … WHERE NOT EXISTS, UPDATE … WHERE it is not done yet.
//   - Nothing is renamed or dropped; the previous release runs on the new schema anyway.
//
// The user needs the [Rights]. Building an index on a large table takes long: only ctx
// bounds it.
func (db *DB) Migrate(ctx context.Context, fsys fs.FS) error {
	fsys, err := db.migrations(fsys)
	files := ""
	if err == nil {
		if files, err = fileNames(fsys); err == nil && db.migrated.Load() != nil && *db.migrated.Load() == files {
			return nil
		}
	}
	if err == nil {
		err = db.RefuseUnfinishedCopy(ctx)
	}
	if err == nil && db.dialect == MySQL {
		err = db.migrateMySQL(ctx, fsys)
	} else if err == nil {
		err = db.migrateSQLite(ctx, fsys)
	}
	if err != nil {
		return db.explain(fmt.Errorf("migrate database %s: %w", db.name, err))
	}
	db.migrated.Store(&files)
	return nil
}

func (db *DB) migrateSQLite(ctx context.Context, fsys fs.FS) (err error) {
	provider, err := newProvider(goose.DialectSQLite3, db.writer, fsys)
	if err != nil {
		return err
	}
	unlock, err := lockMigration(ctx, db.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	results, err := provider.Up(ctx)
	if err := db.report(ctx, results, err); err != nil {
		return err
	}
	if err := db.identify(ctx, db.writer); err != nil {
		return err
	}
	return db.compareVersions(ctx, provider)
}

// lockMigration serializes migrations of the same file, in one process or in several.
// goose applies each migration in a separate transaction, and decides before the first
// which ones to apply, so a transaction on the database itself cannot protect the whole.
// The lock is SQLite's own lock on an empty file next to the database: it works wherever
// SQLite works, and a crash releases it. The file stays, since removing it would race with
// the next process that locks it.
func lockMigration(ctx context.Context, path string) (unlock func() error, err error) {
	connector, err := sqlite.NewConnector(dsn(path+"-migrate.lock", "rwc", Options{BusyTimeout: migrateTimeout}, nil))
	if err != nil {
		return nil, fmt.Errorf("lock against other processes: %w", err)
	}
	pool := sql.OpenDB(connector)
	conn, err := pool.Conn(ctx)
	if err == nil {
		_, err = conn.ExecContext(ctx, "BEGIN EXCLUSIVE")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("lock %s-migrate.lock against other processes: %w", path, err), pool.Close())
	}
	return func() error { // closing the connection ends the transaction and the lock
		return errors.Join(conn.Close(), pool.Close())
	}, nil
}
