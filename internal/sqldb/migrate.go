package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/pressly/goose/v3"
	"modernc.org/sqlite"
)

// migrateTimeout bounds the wait for another process that migrates the same database.
const migrateTimeout = time.Minute

// Migrate brings the schema up to the newest of the migrations in fsys. They are
// files like "00001_init.sql" in goose's format ("-- +goose Up" first), applied in
// order, each in a transaction, each once. If fsys has a directory named after the
// dialect ("sqlite", "mysql"), the files are taken from there, else from its root;
// those must keep to statements that every engine understands.
//
// Migrations only add: the previous release must run on the new schema. For the same
// reason a schema that is newer than fsys is accepted, and logged.
//
// Several processes may call Migrate on the same database at once; they take turns.
func (db *DB) Migrate(ctx context.Context, fsys fs.FS) error {
	if err := db.migrate(ctx, fsys); err != nil {
		return db.explain(fmt.Errorf("migrate database %s: %w", db.name, err))
	}
	return nil
}

func (db *DB) migrate(ctx context.Context, fsys fs.FS) (err error) {
	if own, err := fs.Stat(fsys, db.dialect.String()); err == nil && own.IsDir() {
		if fsys, err = fs.Sub(fsys, db.dialect.String()); err != nil {
			return err
		}
	}
	provider, err := goose.NewProvider(goose.DialectSQLite3, db.writer, fsys,
		goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))
	if errors.Is(err, goose.ErrNoMigrations) {
		return errors.New(`no migrations: no file is named like "00001_init.sql"`)
	}
	if err != nil {
		return err
	}
	unlock, err := lockMigration(ctx, db.name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, unlock()) }()

	results, err := provider.Up(ctx)
	if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
		results, err = partial.Applied, fmt.Errorf("apply %s: %w", partial.Failed.Source.Path, partial.Err)
	}
	for _, r := range results {
		db.log.InfoContext(ctx, "migration applied",
			slog.String("database", db.name), slog.String("file", r.Source.Path), slog.Duration("duration", r.Duration))
	}
	if err != nil {
		return err
	}
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > newest {
		db.log.WarnContext(ctx, "database schema is newer than this program; going on, since migrations only add",
			slog.String("database", db.name), slog.Int64("schema", current), slog.Int64("program", newest))
	}
	return nil
}

// lockMigration makes those who migrate the same file take turns, in one process or
// in several. goose applies each migration in a transaction of its own, and decides
// before the first which ones to apply, so a transaction on the database itself
// cannot protect the whole. The lock is SQLite's own lock on an empty file next to
// the database: it works wherever SQLite works, and a crash releases it. The file
// stays, since removing it would race with the next one to lock it.
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
