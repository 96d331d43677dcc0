package sqldb

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-sql-driver/mysql"
	"golang.org/x/sync/semaphore"
)

// The defaults of [Options] for MySQL.
const (
	// Two processes of each of two services with one database each then use at most 128
	// connections, less than a server's default limit (max_connections is 151). More writers
	// than the server has cores wait for each other's commits and locks anyway.
	defaultConns = 16

	// After a fail-over, the lifetime moves the connections to the name's new address. It
	// also frees session memory in the server. It is long, because a new connection has no
	// prepared statements.
	defaultConnLifetime = 30 * time.Minute
	// Shorter than the 10 minutes after which common load balancers forget a connection
	// silently.
	defaultConnIdleTime = 5 * time.Minute

	// A host in the same site answers within milliseconds; three lost SYN packets are
	// repeated within 7 s.
	defaultDialTimeout = 7 * time.Second
	// Bounds the wait for one answer if no context does: above all for that of COMMIT.
	// A server that is paused for less does no harm, and no statement of ours is silent
	// for so long. Migrations are exempt.
	defaultReadTimeout = time.Minute
	// A server that accepts no bytes for this long counts as down.
	defaultWriteTimeout = 30 * time.Second
)

// mysqlModes are the same for every session, whatever the server's default is. Values
// that do not fit are errors, not truncated. The others make texts mean what they mean to
// SQLite: "x" is a name and never a string, || joins texts, a backslash is a character.
const mysqlModes = "STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO," +
	"NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY,ANSI_QUOTES,PIPES_AS_CONCAT,NO_BACKSLASH_ESCAPES"

// silentSeconds is how long a transaction that has written may be silent before the server ends it. Ours are silent for
// milliseconds. But a process may be frozen in the middle of one (its machine is suspended, say): its kernel keeps the
// connection alive, and every writer of the same rows would wait until it wakes up.
const silentSeconds = "10"

// endSilent says so to MariaDB. MySQL has no such setting; to it that part is a comment, and the rest changes nothing.
const endSilent = "SET SESSION autocommit=1 /*M!100300 , idle_transaction_timeout=" + silentSeconds + " */"

// side is the purpose of a pool of MySQL connections.
type side uint8

const (
	writing side = iota
	reading
	migrating
)

func openMySQL(ctx context.Context, rest string, opt Options) (*DB, error) {
	server, err := parseMySQL(rest, &opt)
	if err != nil {
		return nil, fmt.Errorf("open MySQL database: %w", err)
	}
	fill(&opt.WriteConns, defaultConns)
	fill(&opt.ReadConns, defaultConns)
	fill(&opt.BusyTimeout, defaultBusyTimeout)
	fill(&opt.ConnLifetime, defaultConnLifetime)
	fill(&opt.ConnIdleTime, defaultConnIdleTime)
	fill(&opt.DialTimeout, defaultDialTimeout)
	fill(&opt.ReadTimeout, defaultReadTimeout)
	fill(&opt.WriteTimeout, defaultWriteTimeout)

	db := &DB{
		dialect: MySQL, name: server.name(), log: opt.Logger, writeConns: opt.WriteConns, server: server, opt: opt, login: &login{server: server, reread: opt.RereadURL},
		writes: semaphore.NewWeighted(allWrites),
	}
	open := func(s side, conns int) (*sql.DB, error) {
		connector, err := db.newMySQLConnector(s, nil, &db.opened)
		if err != nil {
			return nil, fmt.Errorf("open database %s: %w", db.name, err)
		}
		pool := sql.OpenDB(connector)
		pool.SetMaxOpenConns(conns)
		pool.SetMaxIdleConns(conns) // ConnIdleTime closes what is not needed
		pool.SetConnMaxLifetime(opt.ConnLifetime)
		pool.SetConnMaxIdleTime(opt.ConnIdleTime)
		if err := probeMySQL(ctx, pool); err != nil {
			return nil, errors.Join(explainMySQLOpen(server, err), pool.Close())
		}
		return pool, nil
	}
	if db.writer, err = open(writing, opt.WriteConns); err != nil {
		return nil, err
	}
	if db.readers, err = open(reading, opt.ReadConns); err != nil {
		return nil, errors.Join(err, db.writer.Close())
	}
	return db, nil
}

func probeMySQL(ctx context.Context, pool *sql.DB) error {
	bounded, cancel := context.WithTimeoutCause(ctx, openTimeout, errNoAnswer)
	defer cancel()
	var n int64
	err := pool.QueryRowContext(bounded, MySQL.checkQuery()).Scan(&n)
	if err != nil && ctx.Err() == nil && bounded.Err() != nil {
		return errNoAnswer
	}
	return err
}

// mysqlConnector makes connections that are set up for one side, and wraps them (see mysqlConn).
type mysqlConnector struct {
	db *DB

	mu  sync.Mutex
	raw driver.Connector
	of  *mysqlServer // whose login raw has

	side  side
	setup []string // executed on each new connection
	redo  *redo    // of the migrating side, else nil
	// opened counts the connections of the reading side.
	opened *atomic.Uint64
}

// rawMySQLConnector is the driver's part: how the server is reached, and as whom.
func rawMySQLConnector(server *mysqlServer, s side, opt Options) (driver.Connector, error) {
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.DBName = "tcp", server.addr(), server.database
	cfg.User, cfg.Passwd = server.user, server.password
	cfg.TLS, cfg.AllowFallbackToPlaintext = server.tls, server.fallback
	cfg.Timeout, cfg.ReadTimeout, cfg.WriteTimeout = opt.DialTimeout, opt.ReadTimeout, opt.WriteTimeout
	if s == migrating {
		cfg.ReadTimeout = 0 // building an index may take an hour
	}
	// Keep-alive detects a host that vanished silently within half a minute, also while a
	// statement waits for its answer.
	dialer := &net.Dialer{KeepAliveConfig: net.KeepAliveConfig{Enable: true, Idle: 15 * time.Second, Interval: 5 * time.Second, Count: 3}}
	cfg.DialFunc = dialer.DialContext
	// An UPDATE counts the rows that it matched, even if their values did not change.
	cfg.ClientFoundRows = true
	// Several statements may travel together, with their arguments in the text (see mysqlConn).
	cfg.MultiStatements, cfg.InterpolateParams = s == writing, s == writing
	// Ask the server how large a packet may be; larger values are then sent in pieces.
	cfg.MaxAllowedPacket = 0
	cfg.ConnectionAttributes = "program_name:movieexample"
	cfg.Logger = mysqlLogger{opt.Logger}
	if server.fallback {
		// The driver notes in its configuration that the server has no TLS. It must do so
		// in one of the connection's own: connections are made at the same time.
		if err := cfg.Apply(mysql.BeforeConnect(func(context.Context, *mysql.Config) error { return nil })); err != nil {
			return nil, err
		}
	}
	return mysql.NewConnector(cfg)
}

func (db *DB) newMySQLConnector(s side, again *redo, opened *atomic.Uint64) (driver.Connector, error) {
	opt, server := db.opt, db.login.current()
	raw, err := rawMySQLConnector(server, s, opt)
	if err != nil {
		return nil, err
	}
	// The server counts whole seconds.
	lockSeconds := strconv.FormatInt(int64((opt.BusyTimeout+time.Second-1)/time.Second), 10)
	c := &mysqlConnector{db: db, raw: raw, of: server, side: s, redo: again, opened: opened, setup: []string{
		"SET NAMES utf8mb4 COLLATE utf8mb4_bin",
		"SET SESSION sql_mode='" + mysqlModes + "', innodb_lock_wait_timeout=" + lockSeconds,
	}}
	switch s {
	case writing:
		// Stores lock the rows they depend on. REPEATABLE READ would lock the gaps between
		// them as well, and writers of neighbouring keys would become deadlocks.
		c.setup = append(c.setup, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED, READ WRITE", endSilent)
	case reading:
		// READ ONLY is kept by the server, for single statements too.
		c.setup = append(c.setup, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
	case migrating:
		// Others may hold locks on the tables for as long as their transactions last, and
		// this session may be silent for as long as a statement takes.
		c.setup = append(c.setup, "SET SESSION lock_wait_timeout=60, wait_timeout=86400")
	}
	if opt.Wrap != nil {
		return opt.Wrap(c), nil
	}
	return c, nil
}

// ReadOnly tells a wrapper (see [Options]) which side it wraps.
func (c *mysqlConnector) ReadOnly() bool { return c.side == reading }

func (c *mysqlConnector) Driver() driver.Driver { return mysql.MySQLDriver{} }

func (c *mysqlConnector) Connect(ctx context.Context) (driver.Conn, error) {
	conn, err := c.dial(ctx)
	if err != nil {
		return nil, c.db.noted(err, c.side == writing)
	}
	raw, ok := conn.(rawMySQL)
	if !ok {
		return nil, errors.Join(fmt.Errorf("MySQL driver: connection is a %T, which lacks a method", conn), conn.Close())
	}
	for _, text := range c.setup {
		if _, err := raw.ExecContext(ctx, text, nil); err != nil {
			return nil, errors.Join(c.db.noted(fmt.Errorf("set up connection (%s): %w", text, err), c.side == writing), conn.Close())
		}
	}
	if c.side == reading {
		c.opened.Add(1) // before it is used
	}
	return &mysqlConn{raw: raw, statements: newStatements(maxIdleMySQLStatements), redo: c.redo, db: c.db, writes: c.side == writing}, nil
}

// dial makes the driver's connection. If the server refuses the login, it is read again, and tried once if it is another one.
func (c *mysqlConnector) dial(ctx context.Context) (driver.Conn, error) {
	raw, of, err := c.connector(c.db.login.current())
	if err != nil {
		return nil, err
	}
	conn, err := raw.Connect(ctx)
	if !mysqlLoginRefused(err) {
		return conn, err
	}
	next, renewErr := c.db.login.renew(of)
	if renewErr != nil {
		return nil, fmt.Errorf("%w (the URL was read again: %w)", err, renewErr)
	}
	if next == nil {
		return nil, err
	}
	if raw, _, err = c.connector(next); err != nil {
		return nil, err
	}
	if conn, err = raw.Connect(ctx); err == nil {
		c.db.log.InfoContext(ctx, "the server takes the login that was read again", "database", c.db.name)
	}
	return conn, err
}

// connector returns the driver's part for a login.
func (c *mysqlConnector) connector(server *mysqlServer) (driver.Connector, *mysqlServer, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of != server {
		raw, err := rawMySQLConnector(server, c.side, c.db.opt)
		if err != nil {
			return nil, nil, err
		}
		c.raw, c.of = raw, server
	}
	return c.raw, c.of, nil
}

// mysqlLogger gets the driver's messages: details of errors that it also returns.
type mysqlLogger struct{ log *slog.Logger }

func (l mysqlLogger) Print(v ...any) {
	l.log.Debug("MySQL driver", slog.String("message", strings.TrimSpace(fmt.Sprintln(v...))))
}
