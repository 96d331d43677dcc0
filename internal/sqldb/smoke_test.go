package sqldb_test

import (
	"context"
	"path/filepath"
	"testing"
	"testing/fstest"

	"movieexample.com/internal/sqldb"
)

func TestSmoke(t *testing.T) {
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "a b?#%.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Migrate(t.Context(), fstest.MapFS{"00001_init.sql": {Data: []byte("-- +goose Up\nCREATE TABLE t(k VARCHAR(20) NOT NULL PRIMARY KEY, v BIGINT NOT NULL);\n")}}); err != nil {
		t.Fatal(err)
	}
	if err := db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, tx.Dialect().Upsert("t", []string{"k"}, []string{"v"}, 1), "a", 1)
		return err
	}); err != nil {
		t.Fatal(err)
	}
	var v int
	if err := db.Read().QueryRowContext(t.Context(), "SELECT v FROM t WHERE k=?", "a").Scan(&v); err != nil || v != 1 {
		t.Fatal(v, err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
}
