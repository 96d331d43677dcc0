//go:build linux

package servers

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/go-sql-driver/mysql"
)

// MariaDBConfig says what kind of MariaDB is wanted. The zero value is one that is gone when it is closed.
type MariaDBConfig struct {
	// Dir holds all that the server needs, data, log and socket. Empty: a new directory, removed by Close. A directory
	// that has data from an earlier start is used as it is.
	Dir string
	// DataDir holds the data alone, where they are to lie somewhere else: on a SmallDisk. Empty: below Dir.
	DataDir string
	// BufferPool is the memory for pages, in bytes; 0 is 128 MiB.
	BufferPool int64
	// Args are further arguments of mariadbd, such as "--innodb-lock-wait-timeout=2".
	Args []string
}

// MariaDB is a running server. Durability is as in production: each commit is on the disk before it is acknowledged.
type MariaDB struct {
	Process
	room *room
	port int
	root *sql.DB
}

// StartMariaDB starts a server and returns when it answers; ctx bounds the start and not the server's life. Run by root, it
// runs as user mysql, so each directory above a given one has to let others in.
func StartMariaDB(ctx context.Context, c MariaDBConfig) (_ *MariaDB, err error) {
	server, err := lookup("mariadbd", "mariadb")
	if err != nil {
		return nil, err
	}
	as, err := unprivileged("mysql")
	if err != nil {
		return nil, err
	}
	r, err := newRoom("mariadb", c.Dir)
	if err != nil {
		return nil, err
	}
	m := &MariaDB{room: r}
	defer func() {
		if err != nil {
			err = errors.Join(err, m.Close())
		}
	}()
	if m.port, err = r.port(); err != nil {
		return nil, err
	}
	data := c.DataDir
	if data == "" {
		data = filepath.Join(r.dir, "data")
	}
	if err := initialize(ctx, r.dir, data, as); err != nil {
		return nil, err
	}
	// Not /tmp: a server removes all temporary tables that it finds when it starts, also those of another one that runs.
	temporary := filepath.Join(r.dir, "tmp")
	if err := os.MkdirAll(temporary, 0o755); err != nil {
		return nil, fmt.Errorf("make MariaDB's directory for temporary tables: %w", err)
	}
	if as != nil {
		if err := letIn(temporary, as); err != nil {
			return nil, err
		}
	}
	pool := c.BufferPool
	if pool == 0 {
		pool = 128 << 20
	}
	m.program = program{
		name: "MariaDB on " + m.Address(),
		path: server,
		dir:  r.dir,
		log:  filepath.Join(r.dir, "mariadb.log"),
		user: as,
		args: append([]string{
			"--no-defaults",
			"--datadir=" + data,
			"--socket=" + filepath.Join(r.dir, "socket"),
			"--pid-file=" + filepath.Join(r.dir, "pid"),
			"--tmpdir=" + temporary,
			"--bind-address=127.0.0.1",
			"--port=" + strconv.Itoa(m.port),
			"--skip-name-resolve", // a grant for 'u'@'127.0.0.1' would be looked up as 'u'@'localhost'
			"--character-set-server=utf8mb4",
			"--max-connections=500",
			"--innodb-flush-log-at-trx-commit=1",
			// The page cache instead of O_DIRECT, which a tmpfs may not have; when data are flushed does not change.
			"--innodb-flush-method=fsync",
			"--innodb-log-file-size=" + strconv.Itoa(32<<20),
			"--innodb-buffer-pool-size=" + strconv.FormatInt(pool, 10),
			// The pool would be written at each stop and read at each start.
			"--innodb-buffer-pool-dump-at-shutdown=0",
			"--innodb-buffer-pool-load-at-startup=0",
		}, c.Args...),
		ready: func(ctx context.Context) error { return m.Exec(ctx, "DO 1") },
	}
	if m.root, err = sql.Open("mysql", m.dsn("", "root", "")); err != nil {
		return nil, fmt.Errorf("open MariaDB: %w", err)
	}
	// After a kill the pool would hand out its dead connections first.
	m.root.SetMaxIdleConns(0)
	if err := m.Start(ctx); err != nil {
		return nil, err
	}
	return m, nil
}

// initialize makes the system tables where there are none.
func initialize(ctx context.Context, dir, data string, as *syscall.Credential) error {
	if _, err := os.Stat(filepath.Join(data, "mysql")); err == nil {
		return nil
	}
	install, err := lookup("mariadb-install-db", "mariadb")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(data, 0o755); err != nil {
		return fmt.Errorf("make MariaDB's data directory: %w", err)
	}
	if as != nil {
		for _, d := range []string{dir, data} {
			if err := letIn(d, as); err != nil {
				return err
			}
		}
	}
	_, err = runTool(ctx, as, dir, install, "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal",
		"--skip-test-db", "--innodb-log-file-size="+strconv.Itoa(32<<20))
	if err != nil {
		return fmt.Errorf("make MariaDB's system tables: %w", err)
	}
	return nil
}

// letIn gives a directory to a user, and says which directory above keeps the user out.
func letIn(dir string, as *syscall.Credential) error {
	if err := os.Chown(dir, int(as.Uid), int(as.Gid)); err != nil {
		return fmt.Errorf("give the directory to the user that the server runs as: %w", err)
	}
	for above := filepath.Dir(dir); above != filepath.Dir(above); above = filepath.Dir(above) {
		info, err := os.Stat(above)
		if err != nil {
			return err
		}
		if info.Mode().Perm()&0o001 == 0 {
			return fmt.Errorf("the server runs as user %d, which cannot reach %s: %s has mode %#o; choose another directory or let others pass (chmod o+x)",
				as.Uid, dir, above, info.Mode().Perm())
		}
	}
	return nil
}

// unprivileged returns the credentials of the user that a server runs as when we are root, and nil otherwise.
//
// The server could change its user, but then the kernel forgets that it is to die with us.
func unprivileged(name string) (*syscall.Credential, error) {
	if os.Getuid() != 0 {
		return nil, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		return nil, fmt.Errorf("the server does not run as root: %w; test/servers/install makes that user", err)
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, fmt.Errorf("user %s: %w", name, err)
	}
	return &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}, nil
}

// lookup finds a program on PATH or where Debian keeps servers.
func lookup(name, install string) (string, error) {
	if path, err := exec.LookPath(name); err == nil {
		return path, nil
	}
	for _, dir := range []string{"/usr/sbin", "/sbin"} {
		if path, err := exec.LookPath(filepath.Join(dir, name)); err == nil {
			return path, nil
		}
	}
	return "", fmt.Errorf("%s is not installed: run test/servers/install %s", name, install)
}

// Address is host:port.
func (m *MariaDB) Address() string { return address(m.port) }

// URL is what --database takes: the address of a database as a user with a password sees it. Each may be empty.
func (m *MariaDB) URL(database, user, password string) string {
	return MySQLURL(m.Address(), database, user, password)
}

// RootURL is the URL of a user who may do everything, with no database: what MOVIEEXAMPLE_TEST_MYSQL takes.
func (m *MariaDB) RootURL() string { return m.URL("", "root", "") }

// MySQLURL is URL for another address: that of a Proxy in front of the server.
func MySQLURL(address, database, user, password string) string {
	u := url.URL{Scheme: "mysql", Host: address, Path: "/" + database}
	switch {
	case password != "":
		u.User = url.UserPassword(user, password)
	case user != "":
		u.User = url.User(user)
	}
	return u.String()
}

func (m *MariaDB) dsn(database, user, password string) string {
	c := mysql.NewConfig()
	c.Net, c.Addr = "tcp", m.Address()
	c.User, c.Passwd, c.DBName = user, password, database
	c.MultiStatements = true
	c.Logger = &mysql.NopLogger{} // a server that is not up yet is no news
	return c.FormatDSN()
}

// Exec runs SQL as root, one statement or several.
func (m *MariaDB) Exec(ctx context.Context, statements string) error {
	if _, err := m.root.ExecContext(ctx, statements); err != nil {
		return fmt.Errorf("run SQL as root: %w", err)
	}
	return nil
}

// Root is the pool that root's statements go through, for tests that have questions. It keeps no idle connection.
func (m *MariaDB) Root() *sql.DB { return m.root }

// A name that goes into a statement as it is.
var plainName = regexp.MustCompile(`^[A-Za-z0-9_]{1,32}$`)

// CreateDatabase makes an empty database and a user for it, and returns the database's URL for that user. grants is the SQL
// that gives the user its rights, run as root; empty gives what a service needs on its own database: to read and write
// rows, and to make and change tables.
func (m *MariaDB) CreateDatabase(ctx context.Context, database, user, password, grants string) (string, error) {
	for _, name := range []string{database, user} {
		if !plainName.MatchString(name) {
			return "", fmt.Errorf("create a database: the name %q has to be 1 to 32 letters, digits or _", name)
		}
	}
	if grants == "" {
		grants = fmt.Sprintf("GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, ALTER, DROP, INDEX ON `%s`.* TO '%s'@'%%'", database, user)
	}
	quoted := strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(password)
	statements := fmt.Sprintf("CREATE DATABASE `%s` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin; CREATE USER IF NOT EXISTS '%s'@'%%' IDENTIFIED BY '%s'; %s",
		database, user, quoted, grants)
	if err := m.Exec(ctx, statements); err != nil {
		return "", fmt.Errorf("create database %s for %s: %w", database, user, err)
	}
	return m.URL(database, user, password), nil
}

// SetReadOnly makes the server refuse writes of every user but root, or take them again.
func (m *MariaDB) SetReadOnly(ctx context.Context, on bool) error {
	return m.Exec(ctx, fmt.Sprintf("SET GLOBAL read_only = %t", on))
}

// Close ends the server, with SIGKILL where it runs, and removes its directory unless that was given. It may be called
// twice.
func (m *MariaDB) Close() error {
	err := m.end()
	if m.root != nil {
		err = errors.Join(err, m.root.Close())
	}
	return errors.Join(err, m.room.close())
}
