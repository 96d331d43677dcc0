package sqldb

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// Open opens the database that url names.
//
// "sqlite:PATH" is an SQLite file, created where it does not exist: "sqlite:ratings.db"
// is relative to the working directory, "sqlite:/var/lib/movieexample/ratings.db" is
// absolute. The whole rest is the path, whatever characters it has; its directory must
// exist. Settings are not part of the URL: there is one right way to open the file.
//
// "mysql://user:password@host:port/database?parameters" is a database on a MySQL or
// MariaDB server; it must exist. The default port is 3306. In the user, the
// password and the database, "%", "?", "#" and "/" are written as "%25", "%3F", "%23" and
// "%2F" (any character may be). The parameters are those that [Options] names, and
//
//   - tls: "true" encrypts and checks the server's certificate for the host's name;
//     "skip-verify" encrypts; "preferred" encrypts where the server can; "false" does not.
//     Without it the connection is not encrypted, unless tls_ca is given.
//   - tls_ca: a PEM file with the certificates of the authorities to trust. Without it
//     those of the operating system are trusted.
//
// Open reports problems at once, not at the first query. It tries a server once,
// for 15 s or until ctx ends: a process that starts before the database retries as long as
// the error is [Unreachable]. No error shows the password.
func Open(ctx context.Context, url string, opt Options) (*DB, error) {
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	scheme, rest, ok := strings.Cut(url, ":")
	switch {
	case ok && scheme == "sqlite":
		return openSQLite(ctx, rest, opt)
	case ok && scheme == "mysql":
		return openMySQL(ctx, rest, opt)
	case ok && strings.HasPrefix(rest, "//"):
		return nil, fmt.Errorf(`open database: unknown kind %q; use "sqlite:PATH" or %s`, scheme, mysqlExample)
	default:
		return nil, fmt.Errorf(`open database %q: the URL must name the kind of database; use "sqlite:PATH", for example "sqlite:ratings.db", or %s`, url, mysqlExample)
	}
}

// Close waits a bounded time for the writes in progress, moves SQLite's log into the file,
// so that the file alone is the whole database, and closes every connection. Calls after
// Close fail. Calling Close again returns the result of the first call.
func (db *DB) Close() error {
	db.closeOnce.Do(func() {
		// Close the readers first: a reader in an old snapshot would keep the log alive.
		errReaders := db.readers.Close()
		errCheckpoints := db.checkpoints.end()
		errLog := db.finish()
		db.closeErr = errors.Join(errReaders, errCheckpoints, errLog, db.writer.Close(), db.checkpoints.close())
	})
	return db.closeErr
}

// finish waits for writes. On SQLite it also folds the log into the database file. Losing
// the race against a write that does not end costs nothing but a log file that the next
// Open reads, or on a server the connection under that write, which is rolled back.
func (db *DB) finish() error {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if db.dialect == MySQL {
		if err := db.writes.Acquire(ctx, allWrites); err != nil {
			return fmt.Errorf("close database %s: a write does not end: %w", db.name, err)
		}
		return nil
	}
	if _, err := db.writer.ExecContext(ctx, "PRAGMA wal_checkpoint(TRUNCATE)"); err != nil {
		return db.explain(fmt.Errorf("close database %s: write back its log: %w", db.name, err))
	}
	return nil
}

// CheckURL reports what [Open] would find wrong with the form of a URL, without opening anything. The error never repeats
// what may be a password.
func CheckURL(url string) error {
	scheme, rest, _ := strings.Cut(url, ":")
	switch scheme {
	case "sqlite":
		if rest == "" || strings.HasPrefix(rest, ":") {
			return fmt.Errorf(`%q names no file: write for example "sqlite:ratings.db"`, url)
		}
		return nil
	case "mysql":
		_, err := parseMySQL(rest, &Options{})
		return err
	}
	return fmt.Errorf(`must be "mysql://user:password@host:port/database" or "sqlite:FILE"`)
}
