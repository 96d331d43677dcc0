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
	"movieexample.com/internal/discovery"
	"movieexample.com/internal/sqldb"
)

// embedded is what a database and the brokers of rating are called that this program brings along: an SQLite file in the data
// directory, and the broker of this process.
const embedded = "embedded"

// Databases says where the services keep their data, each a URL that sqldb.Open takes, or "embedded", which is an SQLite file in
// the data directory. Empty means that too, but only in a process that works with no others: see unsharedDatabase.
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
	if url := c.givenDatabase(service); url != "" && url != embedded {
		return url
	}
	return "sqlite:" + filepath.Join(dir, service, service+".db")
}

// givenDatabase is what was said about where a service keeps its data; "" if nothing was.
func (c Config) givenDatabase(service string) string {
	return cmp.Or(c.Databases.of(service), c.Database)
}

// embeddedBroker reports whether rating events come by the broker of this process.
func (c Config) embeddedBroker() bool {
	return len(c.Rating.Brokers) == 0 || slices.Equal(c.Rating.Brokers, []string{embedded})
}

// ExternalBrokers are the Kafka brokers of rating events; none where they come by the broker of this process.
func (c Config) ExternalBrokers() []string {
	if c.embeddedBroker() {
		return nil
	}
	return c.Rating.Brokers
}

// company is which setting says that this process works with others, which can only be if they share their databases and their
// Kafka; "" if none does.
func (c Config) company() string {
	switch {
	case c.Discovery != discovery.MemoryScheme && discovery.Validate(c.Discovery) == nil:
		return "discovery"
	case !c.embeddedBroker():
		return "rating.brokers"
	}
	return ""
}

// unsharedDatabase reports a service that would get an SQLite file in a process that works with others, without anyone having
// said so: it would take its part of their work and hide it in a file.
func (c Config) unsharedDatabase(s service) error {
	why := c.company()
	if why == "" || c.givenDatabase(s.name) != "" {
		return nil
	}
	path := "databases." + s.name
	return &config.Problem{Path: path, Reason: fmt.Sprintf("is not set, and neither is database, but %s says that this process works with others, which share one database: "+
		"give its URL by --databases-%s, or in a file that %sDATABASES_%s_FILE names, or the word %s for an SQLite file that this process alone uses",
		why, s.name, config.EnvPrefix, strings.ToUpper(s.name), embedded)}
}

// inDataDirectory reports whether a service has its database in the data directory.
func (c Config) inDataDirectory(s service) bool {
	given := c.givenDatabase(s.name)
	return s.keepsData() && (given == "" || given == embedded)
}

// usesDataDirectory reports whether a service has something in the data directory: its database, or the log of the embedded
// broker.
func (c Config) usesDataDirectory(s service) bool {
	return c.inDataDirectory(s) || s.name == "rating" && c.embeddedBroker()
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
	if c.Database != "" && len(keepers) != 1 && (c.Database != embedded || len(keepers) == 0) {
		reason := "is for a process that runs one service which keeps data; this one runs none"
		if len(keepers) > 1 {
			reason = fmt.Sprintf("is for a process that runs one service which keeps data; this one runs %s: give each its own with %s",
				strings.Join(keepers, " and "), "--databases-"+strings.Join(keepers, " and --databases-"))
		}
		errs = append(errs, &config.Problem{Path: "database", Reason: reason})
	}
	check := func(path, url string) {
		if url == "" || url == embedded {
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
		if other, again := taken[url]; again && url != "" && url != embedded {
			errs = append(errs, &config.Problem{Path: "databases." + s.name, Reason: "is the database of " + other + " too: each service needs its own"})
		}
		taken[url] = s.name
		if url != "" && c.Database != "" && slices.Contains(keepers, s.name) {
			errs = append(errs, &config.Problem{Path: "database", Reason: "is given beside databases." + s.name + ": give one of them"})
		}
	}
	for _, s := range services {
		if s.keepsData() {
			errs = append(errs, c.unsharedDatabase(s))
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

// rereadDatabase is what reads the URL of a service's database again; nil where it did not come from a file.
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
