package sqldb

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"database/sql/driver"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pressly/goose/v3"
	"github.com/pressly/goose/v3/database"
)

// migrateMySQL uses one separate connection. That connection holds the lock, and losing it
// loses the lock. A second connection is therefore never opened (see onlyOne).
func (db *DB) migrateMySQL(ctx context.Context, fsys fs.FS) (err error) {
	again := &redo{}
	connector, err := db.newMySQLConnector(migrating, again, nil)
	if err != nil {
		return err
	}
	pool := sql.OpenDB(&onlyOne{Connector: connector})
	pool.SetMaxOpenConns(1)
	pool.SetMaxIdleConns(1)
	defer func() { err = errors.Join(err, pool.Close()) }() // which releases the lock as well

	provider, err := newProvider(goose.DialectCustom, pool, fsys, goose.WithStore(versionTable{}))
	if err != nil {
		return err
	}
	if err := lockMySQL(ctx, pool, db.server.database); err != nil {
		return err
	}
	known, err := provider.Status(ctx) // creates the table of versions
	if err != nil {
		return err
	}
	for _, m := range known {
		if m.State == goose.StateApplied {
			continue
		}
		if err := db.applyMySQL(ctx, pool, provider, again, m.Source); err != nil {
			return err
		}
	}
	if err := db.identify(ctx, pool); err != nil {
		return err
	}
	return db.compareVersions(ctx, provider)
}

// applyMySQL applies one migration. It is marked as begun before its first statement, so
// that after a crash it is known that some of its statements may have been executed.
func (db *DB) applyMySQL(ctx context.Context, pool *sql.DB, provider *goose.Provider, again *redo, source *goose.Source) error {
	interrupted, err := versionTable{}.begin(ctx, pool, source.Version)
	if err != nil {
		return fmt.Errorf("mark %s as begun: %w", source.Path, err)
	}
	if interrupted {
		db.log.WarnContext(ctx, "migration was interrupted before; repeating it",
			slog.String("database", db.name), slog.String("file", source.Path))
	}
	again.on.Store(interrupted)
	results, err := provider.UpTo(ctx, source.Version)
	return db.report(ctx, results, err)
}

// lockMySQL takes the lock that those who migrate the same database take turns with. It
// belongs to the connection: a crash, of this process or of the server, releases it.
func lockMySQL(ctx context.Context, pool *sql.DB, name string) error {
	lock := "migrate " + name
	if len(lock) > 64 { // the greatest length on MySQL
		sum := sha256.Sum256([]byte(name))
		lock = lock[:40] + hex.EncodeToString(sum[:12])
	}
	var got sql.NullInt64
	err := pool.QueryRowContext(ctx, "SELECT GET_LOCK(?, ?)", lock, int64(migrateTimeout/time.Second)).Scan(&got)
	if err != nil {
		return fmt.Errorf("lock %q against other processes: %w", lock, err)
	}
	if got.Int64 != 1 {
		return fmt.Errorf("lock %q against other processes: another process has been migrating for %v; see who with SELECT IS_USED_LOCK('%s')",
			lock, migrateTimeout, lock)
	}
	return nil
}

// onlyOne makes one connection and no other.
type onlyOne struct {
	driver.Connector
	used atomic.Bool
}

func (o *onlyOne) Connect(ctx context.Context) (driver.Conn, error) {
	if o.used.Load() {
		return nil, fmt.Errorf("the connection was lost during the migration: %w", driver.ErrBadConn)
	}
	conn, err := o.Connector.Connect(ctx)
	if err == nil {
		o.used.Store(true)
	}
	return conn, err
}

// versionTable is the table of applied migrations on MySQL, for goose. goose's own has an
// auto-increment and a time in the session's time zone, and cannot say that a migration
// has begun. The name and the meaning of the columns are goose's.
type versionTable struct{}

var _ database.StoreExtender = versionTable{}

func (versionTable) Tablename() string { return versionTableName }

func (versionTable) TableExists(ctx context.Context, db database.DBTxConn) (bool, error) {
	var n int
	err := db.QueryRowContext(ctx, "SELECT count(*) FROM information_schema.tables WHERE table_schema = database() AND table_name = ?",
		versionTableName).Scan(&n)
	return n > 0, err
}

// CreateVersionTable creates the table. tstamp is in microseconds since 1970 UTC.
func (versionTable) CreateVersionTable(ctx context.Context, db database.DBTxConn) error {
	_, err := db.ExecContext(ctx, "CREATE TABLE IF NOT EXISTS "+versionTableName+
		" (version_id BIGINT NOT NULL, is_applied SMALLINT NOT NULL, tstamp BIGINT NOT NULL, PRIMARY KEY (version_id)) ENGINE=InnoDB")
	return err
}

// begin marks a version as begun, and reports whether it was before.
func (versionTable) begin(ctx context.Context, db database.DBTxConn, version int64) (again bool, err error) {
	var n int
	if err := db.QueryRowContext(ctx, "SELECT count(*) FROM "+versionTableName+" WHERE version_id = ?", version).Scan(&n); err != nil || n > 0 {
		return n > 0, err
	}
	_, err = db.ExecContext(ctx, "INSERT INTO "+versionTableName+" (version_id, is_applied, tstamp) VALUES (?, 0, ?)", version, time.Now().UnixMicro())
	return false, err
}

func (versionTable) Insert(ctx context.Context, db database.DBTxConn, req database.InsertRequest) error {
	_, err := db.ExecContext(ctx, MySQL.Upsert(versionTableName, []string{"version_id"}, []string{"is_applied", "tstamp"}, 1),
		req.Version, 1, time.Now().UnixMicro())
	return err
}

func (versionTable) Delete(ctx context.Context, db database.DBTxConn, version int64) error {
	_, err := db.ExecContext(ctx, "DELETE FROM "+versionTableName+" WHERE version_id = ?", version)
	return err
}

func (versionTable) GetMigration(ctx context.Context, db database.DBTxConn, version int64) (*database.GetMigrationResult, error) {
	var at int64
	err := db.QueryRowContext(ctx, "SELECT tstamp FROM "+versionTableName+" WHERE version_id = ? AND is_applied = 1", version).Scan(&at)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, database.ErrVersionNotFound
	}
	if err != nil {
		return nil, err
	}
	return &database.GetMigrationResult{Timestamp: time.UnixMicro(at), IsApplied: true}, nil
}

func (v versionTable) GetLatestVersion(ctx context.Context, db database.DBTxConn) (int64, error) {
	var version int64
	err := db.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTableName+" WHERE is_applied = 1").Scan(&version)
	return version, err
}

func (versionTable) ListMigrations(ctx context.Context, db database.DBTxConn) ([]*database.ListMigrationsResult, error) {
	rows, err := db.QueryContext(ctx, "SELECT version_id FROM "+versionTableName+" WHERE is_applied = 1 AND version_id > 0 ORDER BY version_id DESC")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var list []*database.ListMigrationsResult
	for rows.Next() {
		r := &database.ListMigrationsResult{IsApplied: true}
		if err := rows.Scan(&r.Version); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	// goose wants to see a version 0, which says that the table exists. A crash may have
	// come between the table and that row, and the table says it as well.
	return append(list, &database.ListMigrationsResult{Version: 0, IsApplied: true}), rows.Err()
}
