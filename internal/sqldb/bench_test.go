package sqldb_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"testing"

	"movieexample.com/internal/sqldb"
)

const benchSchema = `-- +goose Up
CREATE TABLE ratings (
  record_type VARCHAR(32) NOT NULL,
  record_id VARCHAR(128) NOT NULL,
  user_id VARCHAR(128) NOT NULL,
  value SMALLINT NOT NULL,
  deleted SMALLINT NOT NULL,
  rated_at BIGINT NOT NULL,
  event_id VARCHAR(64) NOT NULL,
  PRIMARY KEY (record_type, record_id, user_id)
);
`

// benchText is the upsert of so many ratings.
func benchText(d sqldb.Dialect, rows int) string {
	return d.Upsert("ratings", []string{"record_type", "record_id", "user_id"},
		[]string{"value", "deleted", "rated_at", "event_id"}, rows)
}

func benchRow(i int, dst []any) []any {
	return append(dst, "movie", fmt.Sprintf("tt%07d", i*7919%9724), fmt.Sprintf("u%d", i%611),
		int64(1+i%10), int64(0), int64(1_700_000_000_000+i), fmt.Sprintf("0:%d", i))
}

// bare opens the file of db with nothing but database/sql and the driver.
func bare(b *testing.B, db *sqldb.DB) *sql.DB {
	b.Helper()
	pool, err := sql.Open("sqlite", "file:"+db.Name()+
		"?_txlock=immediate&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(8192)&_pragma=cache_size(-16384)")
	if err != nil {
		b.Fatal(err)
	}
	pool.SetMaxOpenConns(1)
	b.Cleanup(func() {
		if err := pool.Close(); err != nil {
			b.Error(err)
		}
	})
	return pool
}

// BenchmarkUpsert measures durable transactions of 1024 rows by the number of rows per
// statement, through this package and on bare database/sql. It is the reason for
// [sqldb.MaxRowsPerStatement]. Run it with a fixed count (-benchtime 200x), since the
// rate falls as the table grows.
func BenchmarkUpsert(b *testing.B) {
	const batch = 1024
	for _, per := range []int{1, 8, 32, 64, 128, 256} {
		next, args := 0, make([]any, 0, 7*per)
		upsert := func(ctx context.Context, exec func(context.Context, string, ...any) (sql.Result, error)) error {
			for range batch / per {
				args = args[:0]
				for range per {
					args = benchRow(next, args)
					next++
				}
				if _, err := exec(ctx, benchText(sqldb.SQLite, per), args...); err != nil {
					return err
				}
			}
			return nil
		}
		run := func(name string, write func(db *sqldb.DB, pool *sql.DB) error) {
			b.Run(fmt.Sprintf("%s/rows=%d", name, per), func(b *testing.B) {
				db := openFile(b, sqldb.Options{}, benchSchema)
				pool := bare(b, db)
				next = 0
				for b.Loop() {
					if err := write(db, pool); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(next)/b.Elapsed().Seconds(), "rows/s")
			})
		}
		run("sqldb", func(db *sqldb.DB, _ *sql.DB) error {
			return db.Write(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error { return upsert(ctx, tx.ExecContext) })
		})
		run("bare", func(_ *sqldb.DB, pool *sql.DB) error {
			tx, err := pool.BeginTx(b.Context(), nil)
			if err != nil {
				return err
			}
			if err := upsert(b.Context(), tx.ExecContext); err != nil {
				return errors.Join(err, tx.Rollback())
			}
			return tx.Commit()
		})
	}
}

// BenchmarkRead measures reading one row by its key.
func BenchmarkRead(b *testing.B) {
	db := openFile(b, sqldb.Options{}, benchSchema)
	const n = 100_000
	if err := db.Write(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		return tx.ExecRows(ctx, n, func(rows int) string { return benchText(tx.Dialect(), rows) }, benchRow)
	}); err != nil {
		b.Fatal(err)
	}
	for name, q := range map[string]sqldb.Queryer{"sqldb": db.Read(), "bare": bare(b, db)} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			i, key := 0, make([]any, 0, 7)
			for b.Loop() {
				i = (i + 7919) % n
				key = benchRow(i, key[:0])[:3]
				var value int
				if err := q.QueryRowContext(b.Context(), "SELECT value FROM ratings WHERE record_type=? AND record_id=? AND user_id=?", key...).Scan(&value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
