package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"movieexample.com/internal/sqldb"
)

// database opens the service's database and migrates it if the user has the right. It waits for an unreachable server and for
// migrations by another user, so that processes can start in any order. Permanent errors (wrong password, unknown database) abort
// startup.
func (b *builder) database(ctx context.Context, name string, schema fs.FS) (*sqldb.DB, error) {
	url := b.cfg.databaseOf(name, b.dataDir)
	log := b.log.With("component", name)
	worthWaiting := func(err error) bool { return sqldb.Unreachable(err) || sqldb.Forbidden(err) }
	var db *sqldb.DB
	err := b.await(ctx, "the database of "+name, worthWaiting, func(ctx context.Context) (err error) {
		if db, err = sqldb.Open(ctx, url, sqldb.Options{Logger: log, RereadURL: b.rereadDatabase(name)}); err != nil {
			return err
		}
		if err = db.Migrate(ctx, schema); err == nil {
			if err = db.ProveWritable(ctx); err == nil {
				return nil
			}
			return errors.Join(err, db.Close())
		}
		if sqldb.Forbidden(err) {
			err = fmt.Errorf("its schema is not up to date, and this user may not change it: run 'movieexample migrate up %s' with a user who may: %w", name, err)
		}
		return errors.Join(err, db.Close())
	})
	if err != nil {
		return nil, err
	}
	if b.identities[name], err = db.Identity(ctx); err != nil {
		return nil, errors.Join(err, db.Close())
	}
	b.onClose(name+" database", func(context.Context) error { return db.Close() })
	b.ready.Add(name+"-database", db.Check)
	return db, nil
}

// rereadDatabase returns a function that reads the URL of a service's database again, or nil if it did not come from a file.
func (b *builder) rereadDatabase(service string) func() (string, error) {
	path := "database"
	if b.cfg.Databases.of(service) != "" {
		path = "databases." + service
	}
	return b.reread(path)
}

// Pauses of await.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	// repeatLog is how often a wait is logged again.
	repeatLog = 30 * time.Second
)

// await retries try until it succeeds, fails with an error that is not worth waiting for, or ctx ends. It logs what it waits
// for and why, and the end of the wait.
func (b *builder) await(ctx context.Context, what string, worthWaiting func(error) bool, try func(context.Context) error) error {
	began, logged := time.Now(), time.Time{}
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := try(ctx)
		if err == nil {
			if !logged.IsZero() {
				b.log.Info("waited for "+what, "took", time.Since(began).Round(time.Millisecond))
			}
			return nil
		}
		if ctx.Err() != nil || !worthWaiting(err) {
			return err
		}
		if now := time.Now(); now.Sub(logged) > repeatLog {
			logged = now
			b.log.Warn("waiting for "+what, "since", now.Sub(began).Round(time.Second), "error", err)
		}
		t := time.NewTimer(pause)
		select {
		case <-ctx.Done():
			t.Stop()
			return fmt.Errorf("wait for %s: %w; the last attempt said: %w", what, context.Cause(ctx), err)
		case <-t.C:
		}
	}
}
