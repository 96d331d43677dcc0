package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"

	"modernc.org/sqlite"
)

// pragmas are set on each new connection, in the DSN, since a pragma that is
// executed once would be lost with its connection.
type pragma struct{ name, value string }

// commonPragmas returns the settings of both sides. mmap_size is left at 0: mapped
// reads were no faster here (point reads 12.3 µs mapped, 11.4 µs not), they count as
// resident memory, and an I/O error becomes a SIGBUS, which no error handling survives.
func commonPragmas() []pragma {
	return []pragma{
		// Pages that a query reads are kept per connection; negative means KiB.
		{"cache_size", "-16384"},
		// Sorting and temporary indexes stay in memory: they are small here, and a
		// full or read-only /tmp must not fail a query.
		{"temp_store", "MEMORY"},
		// A schema that was tampered with cannot call functions with side effects.
		{"trusted_schema", "0"},
	}
}

func writerPragmas() []pragma {
	return append(commonPragmas(),
		// Readers and the writer do not block each other, and a commit is one append
		// and one fsync. The mode is stored in the file; readers find it there.
		pragma{"journal_mode", "WAL"},
		// fsync on every commit: what was acknowledged survives a power cut. NORMAL
		// would keep the file consistent, but lose the last commits.
		pragma{"synchronous", "FULL"},
		// The checkpointer comes long before this.
		pragma{"wal_autocheckpoint", strconv.Itoa(checkpointInCommit)},
		// A long snapshot lets the log grow; give the space back afterwards.
		pragma{"journal_size_limit", "67108864"},
	)
}

func readerPragmas() []pragma {
	// query_only rather than mode=ro: a read-only connection cannot recover a log
	// that a crash left behind, nor create the shared-memory index that WAL needs.
	return append(commonPragmas(), pragma{"query_only", "1"})
}

// dsn is the name under which the driver opens path. The "file:" prefix is what makes
// SQLite look at mode at all.
func dsn(path, mode string, opt Options, pragmas []pragma) string {
	p := filepath.ToSlash(path)
	if !strings.HasPrefix(p, "/") {
		p = "/" + p // a drive letter
	}
	q := url.Values{"mode": {mode}}
	// Without it the driver may append the message of an earlier, unrelated error.
	q.Set("_error_rc", "1")
	// A text in double quotes is a mistyped column, not a string.
	q.Set("_dqs", "0")
	q.Set("_busy_timeout", strconv.FormatInt(opt.BusyTimeout.Milliseconds(), 10))
	for _, p := range pragmas {
		q.Add("_pragma", p.name+"("+p.value+")")
	}
	return (&url.URL{Scheme: "file", OmitHost: true, Path: p, RawQuery: q.Encode()}).String()
}

func openSQLite(ctx context.Context, path string, opt Options) (*DB, error) {
	fill(&opt.ReadConns, max(4, 2*runtime.GOMAXPROCS(0)))
	fill(&opt.BusyTimeout, defaultBusyTimeout)
	if rest, ok := strings.CutPrefix(path, "//"); ok {
		if !strings.HasPrefix(rest, "/") {
			return nil, fmt.Errorf(`open database "sqlite:%s": an SQLite URL has no host; write "sqlite:%s" or an absolute path`, path, rest)
		}
		path = rest
	}
	if path == "" || strings.HasPrefix(path, ":") {
		return nil, fmt.Errorf(`open database "sqlite:%s": a file is needed, for example "sqlite:ratings.db"; in-memory databases cannot be shared by several connections`, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	// Before SQLite looks: it would make files beside one that it may not write, with the same rights, and then trip over those.
	if why := unwritable(path); why != "" {
		return nil, fmt.Errorf("open database %s: %s", path, why)
	}
	db := &DB{dialect: SQLite, name: path, log: opt.Logger, writeConns: 1}

	// The writer goes first: it creates the file and sets its journal mode.
	db.writer, err = db.openPool(dsn(path, "rwc", opt, writerPragmas()), nil, opt)
	if err != nil {
		return nil, fmt.Errorf("open database %s: %w", path, err)
	}
	// One connection, never closed: its page and statement caches stay warm.
	db.writer.SetMaxOpenConns(1)
	db.writer.SetMaxIdleConns(1)
	if err := probe(ctx, db.writer); err != nil {
		return nil, errors.Join(explainOpen(path, err), db.writer.Close())
	}
	db.readers, err = db.openPool(dsn(path, "rw", opt, readerPragmas()), &db.opened, opt)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("open database %s for reading: %w", path, err), db.writer.Close())
	}
	db.readers.SetMaxOpenConns(opt.ReadConns)
	db.readers.SetMaxIdleConns(opt.ReadConns)
	if err := probe(ctx, db.readers); err != nil {
		return nil, errors.Join(explainOpen(path, err), db.readers.Close(), db.writer.Close())
	}
	// Not through opt.Wrap, and not counted: what tests inject is for the two sides that callers use.
	opt.BusyTimeout = checkpointWait
	raw, err := sqlite.NewConnector(dsn(path, "rw", opt, writerPragmas()))
	if err != nil {
		return nil, errors.Join(err, db.readers.Close(), db.writer.Close())
	}
	db.checkpoints = newCheckpointer(path, db.writer, sql.OpenDB(raw), db.log, func(err error) error { return db.noted(err, false) })
	return db, nil
}

// openPool opens the reading side if opened is there, which counts its connections, else the writing side.
func (db *DB) openPool(dsn string, opened *atomic.Uint64, opt Options) (*sql.DB, error) {
	raw, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	var c driver.Connector = &sqliteConnector{raw: raw, opened: opened, db: db}
	if opt.Wrap != nil {
		c = opt.Wrap(c)
	}
	return sql.OpenDB(c), nil
}

// probe reads from the file: opening alone does not look into it.
func probe(ctx context.Context, db *sql.DB) error {
	var n int64
	return db.QueryRowContext(ctx, SQLite.checkQuery()).Scan(&n)
}

// explainOpen finds out what SQLite's "unable to open database file" is about.
func explainOpen(path string, err error) error {
	dir := filepath.Dir(path)
	wrap := func(what string) error { return fmt.Errorf("open database %s: %s: %w", path, what, err) }
	switch {
	case Corrupt(err):
		return wrap("the file is not an SQLite database, or is damaged: name another file, or move this one away")
	case Full(err):
		return wrap("disk full: free space on the file system of " + dir + " and retry")
	case Transient(err):
		return wrap("another process has locked it: stop that process")
	}
	info, statErr := os.Stat(dir)
	switch {
	case errors.Is(statErr, os.ErrNotExist):
		return wrap("the directory " + dir + " does not exist: create it")
	case statErr == nil && !info.IsDir():
		return wrap(dir + " is not a directory")
	}
	info, statErr = os.Stat(path)
	if statErr == nil && info.IsDir() {
		return wrap("this is a directory: name a file in it")
	}
	if f, openErr := os.OpenFile(path, os.O_RDWR, 0); openErr == nil {
		_ = f.Close()
	} else if errors.Is(openErr, os.ErrPermission) {
		return wrap("no permission to read and write the file")
	} else if errors.Is(openErr, os.ErrNotExist) {
		return wrap("the file cannot be created: is the directory " + dir + " writable?")
	}
	return fmt.Errorf("open database %s: %w", path, err)
}
