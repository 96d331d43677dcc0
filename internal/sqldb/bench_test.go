package sqldb_test

import (
	"context"
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

var (
	benchKey = []string{"record_type", "record_id", "user_id"}
	benchSet = []string{"value", "deleted", "rated_at", "event_id"}
)

func benchRow(i int, dst []any) []any {
	return append(dst, "movie", fmt.Sprintf("tt%07d", i*7919%9724), fmt.Sprintf("u%d", i%611),
		int64(1+i%10), int64(0), int64(1_700_000_000_000+i), fmt.Sprintf("0:%d", i))
}

// BenchmarkUpsert measures one durable transaction of 1000 rows by the number of
// rows per statement. It is the reason for [sqldb.MaxRowsPerStatement].
func BenchmarkUpsert(b *testing.B) {
	const batch = 1024
	for _, per := range []int{1, 4, 8, 16, 32, 64, 128, 256} {
		b.Run(fmt.Sprintf("rows=%d", per), func(b *testing.B) {
			db := open(b, sqldb.Options{}, benchSchema)
			text := db.Dialect().Upsert("ratings", benchKey, benchSet, per)
			i, args := 0, make([]any, 0, 7*per)
			for b.Loop() {
				err := db.Write(b.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
					for range batch / per {
						args = args[:0]
						for range per {
							args = benchRow(i, args)
							i++
						}
						if _, err := tx.ExecContext(ctx, text, args...); err != nil {
							return err
						}
					}
					return nil
				})
				if err != nil {
					b.Fatal(err)
				}
			}
			b.ReportMetric(float64(i)/b.Elapsed().Seconds(), "rows/s")
		})
	}
}
