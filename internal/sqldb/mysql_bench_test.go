//go:build servers

package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"

	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/sqldb/sqltest"
)

// interpolating opens the database with bare database/sql, on connections that put the
// arguments into the text themselves.
func interpolating(b *testing.B, databaseURL string) *sql.DB {
	b.Helper()
	u, err := url.Parse(databaseURL)
	if err != nil {
		b.Fatal(err)
	}
	cfg := mysql.NewConfig()
	cfg.Net, cfg.Addr, cfg.User, cfg.DBName = "tcp", u.Host, u.User.Username(), strings.TrimPrefix(u.Path, "/")
	cfg.Passwd, _ = u.User.Password()
	cfg.InterpolateParams = true
	cfg.Params = map[string]string{"sql_mode": "'STRICT_ALL_TABLES,NO_BACKSLASH_ESCAPES'"}
	connector, err := mysql.NewConnector(cfg)
	if err != nil {
		b.Fatal(err)
	}
	pool := sql.OpenDB(connector)
	pool.SetMaxOpenConns(1)
	b.Cleanup(func() {
		if err := pool.Close(); err != nil {
			b.Error(err)
		}
	})
	return pool
}

// benchMySQL is benchSchema as MySQL has it: identifiers are bytes.
func benchMySQL() string {
	return strings.ReplaceAll(benchSchema, "VARCHAR", "VARBINARY")
}

// BenchmarkProtocol compares statements that are kept prepared, as this package does,
// with texts that have their arguments put in, on a MySQL server: durable transactions of
// 4096 ratings by the number of rows per statement, and reading one row by its key. It is
// the reason for both choices. Run it with a fixed count (-benchtime 50x).
func BenchmarkProtocol(b *testing.B) {
	const batch = 4096
	for _, per := range []int{1, 16, 64, 128, 256, 512, 1024} {
		if per == 1 && testing.Short() {
			continue
		}
		next, args := 0, make([]any, 0, 7*per)
		upsert := func(ctx context.Context, exec func(context.Context, string, ...any) (sql.Result, error)) error {
			text := benchText(sqldb.MySQL, per)
			for range batch / per {
				args = args[:0]
				for range per {
					args = benchRow(next, args)
					next++
				}
				if _, err := exec(ctx, text, args...); err != nil {
					return err
				}
			}
			return nil
		}
		run := func(name string, write func(db *sqldb.DB, pool *sql.DB) error) {
			b.Run(fmt.Sprintf("upsert/%s/rows=%d", name, per), func(b *testing.B) {
				b.ReportAllocs()
				at := sqltest.MySQL(b).Database(b)
				db, pool := openURL(b, at, sqldb.Options{}, benchMySQL()), interpolating(b, at)
				next = 0
				for b.Loop() {
					if err := write(db, pool); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "rows/s")
			})
		}
		run("prepared", func(db *sqldb.DB, _ *sql.DB) error {
			return db.Write(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return upsert(ctx, tx.ExecContext) })
		})
		run("interpolated", func(_ *sqldb.DB, pool *sql.DB) error {
			tx, err := pool.BeginTx(b.Context(), &sql.TxOptions{Isolation: sql.LevelReadCommitted})
			if err != nil {
				return err
			}
			if err := upsert(b.Context(), tx.ExecContext); err != nil {
				return errors.Join(err, tx.Rollback())
			}
			return tx.Commit()
		})
	}

	at := sqltest.MySQL(b).Database(b)
	db := openURL(b, at, sqldb.Options{}, benchMySQL())
	const n = 100_000
	if err := db.Write(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, n, func(rows int) string { return benchText(sqldb.MySQL, rows) }, benchRow)
	}); err != nil {
		b.Fatal(err)
	}
	for _, side := range []struct {
		name string
		q    sqldb.Queryer
	}{{"prepared", db.Read()}, {"interpolated", interpolating(b, at)}} {
		b.Run("read/"+side.name, func(b *testing.B) {
			b.ReportAllocs()
			i, key := 0, make([]any, 0, 7)
			for b.Loop() {
				i = (i + 7919) % n
				key = benchRow(i, key[:0])[:3]
				var value int
				if err := side.q.QueryRowContext(b.Context(), "SELECT value FROM ratings WHERE record_type=? AND record_id=? AND user_id=?", key...).Scan(&value); err != nil {
					b.Fatal(err)
				}
			}
		})
		for _, keys := range []int{16, 64, 256, 1024} {
			b.Run(fmt.Sprintf("read/%s/keys=%d", side.name, keys), func(b *testing.B) {
				i, args := 0, make([]any, 0, 3*keys)
				text := "SELECT value FROM ratings WHERE " + sqldb.MySQL.In([]string{"record_type", "record_id", "user_id"}, keys)
				for b.Loop() {
					args = args[:0]
					for range keys {
						i = (i + 7919) % n
						from := len(args)
						args = benchRow(i, args)[:from+3]
					}
					rows, err := side.q.QueryContext(b.Context(), text, args...)
					if err != nil {
						b.Fatal(err)
					}
					found := 0
					for rows.Next() {
						found++
					}
					if err := errors.Join(rows.Err(), rows.Close()); err != nil || found != keys {
						b.Fatalf("%d of %d keys, %v", found, keys, err)
					}
				}
				b.ReportMetric(float64(keys)*float64(b.N)/b.Elapsed().Seconds(), "keys/s")
			})
		}
	}
}
