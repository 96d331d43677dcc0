package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"movieexample.com/internal/config"
	"movieexample.com/internal/sqldb"
)

// Databases says where the services keep their data, each a URL that sqldb.Open takes; empty means an SQLite file in the
// data directory.
type Databases struct {
	Metadata string `yaml:"metadata" placeholder:"URL" secret:"true" usage:"database of the metadata service, as --database describes it"`
	Rating   string `yaml:"rating" placeholder:"URL" secret:"true" usage:"database of the rating service, as --database describes it"`
}

func (d Databases) of(service string) string {
	switch service {
	case "metadata":
		return d.Metadata
	case "rating":
		return d.Rating
	}
	return ""
}

// databaseOf is the URL under which a service of this process keeps its data; dir is the data directory.
func (c Config) databaseOf(service, dir string) string {
	return cmp.Or(c.Databases.of(service), c.Database, "sqlite:"+filepath.Join(dir, service, service+".db"))
}

// inDataDirectory reports whether a service has its database in the data directory.
func (c Config) inDataDirectory(s service) bool {
	return s.keepsData() && c.Databases.of(s.name) == "" && c.Database == ""
}

// usesDataDirectory reports whether a service has something in the data directory: its database, or the log of the embedded
// broker.
func (c Config) usesDataDirectory(s service) bool {
	return c.inDataDirectory(s) || s.name == "rating" && len(c.Rating.Brokers) == 0
}

// ownDirectory is the directory of which a process must be the only user because the service's data is there; "" where the
// data is on a server, which several processes share.
func (c Config) ownDirectory(service, dir string) string {
	path, file := strings.CutPrefix(c.databaseOf(service, dir), "sqlite:")
	if !file {
		return ""
	}
	return filepath.Dir(path)
}

// checkDatabases reports what is wrong with the databases of a process that runs the services.
func (c Config) checkDatabases(services []service) error {
	var errs []error
	var keepers []string
	for _, s := range services {
		if s.keepsData() {
			keepers = append(keepers, s.name)
		}
	}
	if c.Database != "" && len(keepers) != 1 {
		reason := "is for a process that runs one service which keeps data; this one runs none"
		if len(keepers) > 1 {
			reason = fmt.Sprintf("is for a process that runs one service which keeps data; this one runs %s: give each its own with %s",
				strings.Join(keepers, " and "), "--databases-"+strings.Join(keepers, " and --databases-"))
		}
		errs = append(errs, &config.Problem{Path: "database", Reason: reason})
	}
	check := func(path, url string) {
		if url == "" {
			return
		}
		if err := sqldb.CheckURL(url); err != nil {
			errs = append(errs, &config.Problem{Path: path, Reason: err.Error()})
		}
	}
	check("database", c.Database)
	taken := make(map[string]string)
	for _, s := range serviceTable() {
		url := c.Databases.of(s.name)
		check("databases."+s.name, url)
		if other, again := taken[url]; again && url != "" {
			errs = append(errs, &config.Problem{Path: "databases." + s.name, Reason: "is the database of " + other + " too: each service needs its own"})
		}
		taken[url] = s.name
		if url != "" && c.Database != "" && slices.Contains(keepers, s.name) {
			errs = append(errs, &config.Problem{Path: "database", Reason: "is given beside databases." + s.name + ": give one of them"})
		}
	}
	return errors.Join(errs...)
}

// database opens the service's own database and brings its schema up to date, for which it may not have the right. A server that
// cannot be reached is waited for, and so is whoever migrates: who starts a system need not know in which order. What waiting
// does not mend (a wrong password, say) is an error at once.
func (b *builder) database(ctx context.Context, name string, schema fs.FS) (*sqldb.DB, error) {
	url := b.cfg.databaseOf(name, b.dataDir)
	log := b.log.With("component", name)
	worthWaiting := func(err error) bool { return sqldb.Unreachable(err) || sqldb.Forbidden(err) }
	var db *sqldb.DB
	err := b.await(ctx, "the database of "+name, worthWaiting, func(ctx context.Context) (err error) {
		if db, err = sqldb.Open(ctx, url, sqldb.Options{Logger: log}); err != nil {
			return err
		}
		if err = db.Migrate(ctx, schema); err == nil {
			return nil
		}
		if sqldb.Forbidden(err) {
			err = fmt.Errorf("its schema is not up to date, and this user may not change it: run 'movieexample migrate up %s' with a user who may: %w", name, err)
		}
		return errors.Join(err, db.Close())
	})
	if err != nil {
		return nil, err
	}
	b.onClose(name+" database", func(context.Context) error { return db.Close() })
	b.ready.Add(name+"-database", db.Check)
	return db, nil
}

// Pauses of await.
const (
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
	// repeatLog is how often what is waited for is logged again.
	repeatLog = 30 * time.Second
)

// await tries until there is no error, an error for which waiting is of no use, or the end of ctx. The log says what is
// waited for and why, and when it came.
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
