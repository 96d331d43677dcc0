package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"movieexample.com/internal/lockfile"
	"movieexample.com/internal/sqldb"
)

// Migrations are those of one service's database.
type Migrations struct {
	Service string
	// Database is what messages call it: a file's path, or user@host:port/name.
	Database string
	// List is empty if the database is an SQLite file that does not exist yet.
	List []sqldb.Migration
}

// Pending counts the migrations that this program has and the database has not.
func (m Migrations) Pending() int {
	n := 0
	for _, one := range m.List {
		if one.AppliedAt.IsZero() {
			n++
		}
	}
	return n
}

// ValidateData is Validate for a program that only opens the databases of the named services, or of all if none is named.
func (c Config) ValidateData(names []string) error {
	keepers, err := selectKeepers(names)
	if err != nil {
		return err
	}
	return errors.Join(c.Validate(), c.checkDatabases(keepers))
}

// selectKeepers returns the rows of the named services that keep data, or of all such services if names is empty.
func selectKeepers(names []string) ([]service, error) {
	services, err := selectServices(names)
	if err != nil {
		return nil, err
	}
	var keepers []service
	for _, s := range services {
		if s.keepsData() {
			keepers = append(keepers, s)
		} else if len(names) > 0 {
			return nil, fmt.Errorf("%s keeps no data, so there is nothing to migrate", s.name)
		}
	}
	return keepers, nil
}

// Migrate brings the schemas of the databases up to date, as each service does when it starts, and returns all migrations
// then. It may run concurrently with other migrations, and beside services of this release and the previous one. An SQLite
// file must not be in use.
func Migrate(ctx context.Context, cfg Config, opt Options) ([]Migrations, error) {
	return eachDatabase(ctx, cfg, opt, true, func(ctx context.Context, s service, db *sqldb.DB) error {
		return db.Migrate(ctx, s.schema())
	})
}

// ReadMigrations returns the migrations of the databases and changes nothing. A missing SQLite file is
// not created.
func ReadMigrations(ctx context.Context, cfg Config, opt Options) ([]Migrations, error) {
	return eachDatabase(ctx, cfg, opt, false, func(context.Context, service, *sqldb.DB) error { return nil })
}

func eachDatabase(ctx context.Context, cfg Config, opt Options, create bool, do func(context.Context, service, *sqldb.DB) error) ([]Migrations, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	keepers, err := selectKeepers(opt.Services)
	if err != nil {
		return nil, err
	}
	if err := cfg.ValidateData(opt.Services); err != nil {
		return nil, err
	}
	dir := ""
	for _, s := range keepers {
		if cfg.inDataDirectory(s) {
			if dir, err = cfg.DataDirectory(); err != nil {
				return nil, err
			}
		}
	}
	var all []Migrations
	for _, s := range keepers {
		m, err := oneDatabase(ctx, cfg, s, dir, opt.Logger, create, do)
		if err != nil {
			return all, fmt.Errorf("%s: %w", s.name, err)
		}
		all = append(all, m)
	}
	return all, nil
}

func oneDatabase(ctx context.Context, cfg Config, s service, dir string, log *slog.Logger, create bool, do func(context.Context, service, *sqldb.DB) error) (_ Migrations, err error) {
	url := cfg.databaseOf(s.name, dir)
	path, file := strings.CutPrefix(url, "sqlite:")
	if _, missing := os.Stat(path); file && !create && errors.Is(missing, fs.ErrNotExist) {
		return Migrations{Service: s.name, Database: path}, nil
	}
	if file && create {
		release, err := lockfile.Lock(filepath.Dir(path))
		if err != nil {
			return Migrations{}, err
		}
		defer func() { err = errors.Join(err, release()) }()
	}
	db, err := sqldb.Open(ctx, url, sqldb.Options{Logger: log.With("component", s.name)})
	if err != nil {
		return Migrations{}, err
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	if err := do(ctx, s, db); err != nil {
		return Migrations{}, err
	}
	list, err := db.Migrations(ctx, s.schema())
	return Migrations{Service: s.name, Database: db.Name(), List: list}, err
}
