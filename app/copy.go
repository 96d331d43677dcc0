package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"movieexample.com/internal/lockfile"
	"movieexample.com/internal/sqlcopy"
	"movieexample.com/internal/sqldb"
)

// CopyOptions configures a copy.
type CopyOptions struct {
	// From and To are the URLs of two databases, as sqldb.Open takes them.
	From, To string
	// StartOver gives up what an unfinished copy has put into To.
	StartOver bool
	// Progress, if set, is called with the progress of the copy, from one goroutine at a time.
	Progress func(sqlcopy.Progress)
	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
}

// CopyResult is the result of a copy.
type CopyResult struct {
	// Service is the one that the database belongs to.
	Service string
	// From and To are what messages call the databases.
	From, To string
	// Resumed reports that the copy resumed an earlier run.
	Resumed bool
	// Tables has what was found in each table, on both sides.
	Tables []sqlcopy.TableCheck
	// Audited is how many films or aggregates the audits of both sides have checked; they found no difference.
	Audited int64
}

// Rows is the number of rows of a table in the target, 0 if there is no such table.
func (r CopyResult) Rows(table string) int64 {
	for _, t := range r.Tables {
		if t.Table == table {
			return t.Target.Rows
		}
	}
	return 0
}

// Copy moves the data of a service from one database into another, empty one, and proves that it is the same there. Nothing
// may write to either meanwhile. An interrupted copy resumes when it is called again with the same databases; until it is
// finished, no service starts on the target. A copy that turned out to differ is a *sqlcopy.DifferenceError, and
// the result then has the sums of all tables.
func Copy(ctx context.Context, opt CopyOptions) (_ CopyResult, err error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	release, err := lockCopied(opt.From, opt.To)
	if err != nil {
		return CopyResult{}, err
	}
	defer func() { err = errors.Join(err, release()) }()
	from, err := sqldb.Open(ctx, opt.From, sqldb.Options{Logger: opt.Logger})
	if err != nil {
		return CopyResult{}, err
	}
	defer func() { err = errors.Join(err, from.Close()) }()
	s, err := serviceOf(ctx, from)
	if err != nil {
		return CopyResult{}, err
	}
	to, err := sqldb.Open(ctx, opt.To, sqldb.Options{Logger: opt.Logger})
	if err != nil {
		return CopyResult{}, err
	}
	defer func() { err = errors.Join(err, to.Close()) }()
	if placeOf(from) == placeOf(to) {
		return CopyResult{}, fmt.Errorf("%s is both source and target: a copy goes into another database", from.Name())
	}
	return copyService(ctx, s, from, to, opt)
}

func copyService(ctx context.Context, s service, from, to *sqldb.DB, opt CopyOptions) (CopyResult, error) {
	result := CopyResult{Service: s.name, From: from.Name(), To: to.Name()}
	c, err := sqlcopy.New(ctx, from, to, s.schema(), sqlcopy.Options{StartOver: opt.StartOver, Progress: opt.Progress})
	if err != nil {
		return result, err
	}
	result.Resumed = c.Resumed()
	// Audit first: copying inconsistent data for an hour is useless.
	if result.Audited, err = auditClean(ctx, s, from); err != nil {
		return result, err
	}
	if err := c.Run(ctx); err != nil {
		return result, err
	}
	if result.Tables, err = c.Verify(ctx); err != nil {
		return result, err
	}
	if _, err := auditClean(ctx, s, to); err != nil {
		return result, err
	}
	return result, c.Finish(ctx)
}

// auditClean returns an error if the audit finds a difference.
func auditClean(ctx context.Context, s service, db *sqldb.DB) (checked int64, err error) {
	first, n := "", 0
	checked, err = s.audit(ctx, db, func(text string) {
		if n++; n == 1 {
			first = text
		}
	})
	if err != nil {
		return 0, fmt.Errorf("audit database %s: %w", db.Name(), err)
	}
	if n > 0 {
		return 0, fmt.Errorf("the audit of database %s finds %d differences, the first: %s; it is not copied while it is inconsistent: keep it and report it", db.Name(), n, first)
	}
	return checked, nil
}

// serviceOf finds out by its tables which service a database belongs to.
func serviceOf(ctx context.Context, db *sqldb.DB) (service, error) {
	tables, err := db.Tables(ctx)
	if err != nil {
		return service{}, err
	}
	var found []service
	var names []string
	for _, s := range serviceTable() {
		if !s.keepsData() {
			continue
		}
		names = append(names, s.name)
		own, err := sqlcopy.SchemaTables(ctx, s.schema())
		if err != nil {
			return service{}, err
		}
		if slices.ContainsFunc(own, func(t string) bool { return slices.Contains(tables, t) }) {
			found = append(found, s)
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return service{}, fmt.Errorf("database %s has no table of %s: name the database that the service uses", db.Name(), strings.Join(names, " or "))
	}
	return service{}, fmt.Errorf("database %s has tables of several services: each service needs its own database", db.Name())
}

// placeOf returns the location of a database, without the user.
func placeOf(db *sqldb.DB) string {
	if _, place, ok := strings.Cut(db.Name(), "@"); ok && db.Dialect() == sqldb.MySQL {
		return place
	}
	return db.Name()
}

// lockCopied locks those of the databases that are files for this process alone, as a service does. A missing source is an
// error; opening it would create it.
func lockCopied(from, to string) (release func() error, err error) {
	var releases []func() error
	release = func() error {
		var errs []error
		for _, r := range releases {
			errs = append(errs, r())
		}
		return errors.Join(errs...)
	}
	var locked []string
	for i, url := range []string{from, to} {
		path, file := strings.CutPrefix(url, "sqlite:")
		if !file {
			continue
		}
		path, err := filepath.Abs(path)
		if err != nil {
			return nil, errors.Join(err, release())
		}
		if _, err := os.Stat(path); i == 0 && errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("there is no file %s to copy from", path)
		}
		dir := filepath.Dir(path)
		if slices.Contains(locked, dir) {
			continue
		}
		r, err := lockfile.Lock(dir)
		if err != nil {
			return nil, errors.Join(fmt.Errorf("a database must not be in use while it is copied: %w", err), release())
		}
		locked, releases = append(locked, dir), append(releases, r)
	}
	return release, nil
}
