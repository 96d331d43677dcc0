package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"strings"
	"time"

	"github.com/pressly/goose/v3"
)

// migrateTimeout bounds the wait for another process that migrates the same database.
const migrateTimeout = time.Minute

// migrations are the files of this engine.
func (db *DB) migrations(fsys fs.FS) (fs.FS, error) {
	own, err := fs.Stat(fsys, db.dialect.String())
	if err != nil || !own.IsDir() {
		return fsys, nil // one set of files for every engine
	}
	return fs.Sub(fsys, db.dialect.String())
}

// fileNames are the migrations in fsys, as one text.
func fileNames(fsys fs.FS) (string, error) {
	names, err := fs.Glob(fsys, "*.sql")
	return strings.Join(names, "\n"), err
}

func newProvider(dialect goose.Dialect, pool *sql.DB, fsys fs.FS, options ...goose.ProviderOption) (*goose.Provider, error) {
	provider, err := goose.NewProvider(dialect, pool, fsys,
		append(options, goose.WithDisableGlobalRegistry(true), goose.WithLogger(goose.NopLogger()))...)
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil, errors.New(`no migrations: no file is named like "00001_init.sql"`)
	}
	return provider, err
}

// report logs what was applied, and names the file that failed.
func (db *DB) report(ctx context.Context, results []*goose.MigrationResult, err error) error {
	if partial := (*goose.PartialError)(nil); errors.As(err, &partial) {
		results, err = partial.Applied, fmt.Errorf("apply %s: %w", partial.Failed.Source.Path, partial.Err)
	}
	for _, r := range results {
		db.log.InfoContext(ctx, "migration applied",
			slog.String("database", db.name), slog.String("file", r.Source.Path), slog.Duration("duration", r.Duration))
	}
	return err
}

func (db *DB) compareVersions(ctx context.Context, provider *goose.Provider) error {
	current, newest, err := provider.GetVersions(ctx)
	if err != nil {
		return err
	}
	if current > newest {
		db.log.WarnContext(ctx, "database schema is newer than this program; continuing, since migrations only add",
			slog.String("database", db.name), slog.Int64("schema", current), slog.Int64("program", newest))
	}
	return nil
}
