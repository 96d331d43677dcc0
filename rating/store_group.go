package rating

import (
	"context"
	"fmt"

	"movieexample.com/internal/sqldb"
)

// liftHalts lets all partitions go on whose reason begins with prefix: its cause is gone.
func (s *store) liftHalts(ctx context.Context, prefix string) error {
	var n int
	const having = " FROM ingest_halts WHERE reason LIKE ?"
	if err := s.db.Read().QueryRowContext(ctx, "SELECT COUNT(*)"+having, prefix+"%").Scan(&n); err != nil || n == 0 {
		return storeError("look for halts", err)
	}
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE"+having, prefix+"%")
		return err
	})
	if err != nil {
		return fmt.Errorf("lift halts: %w", err)
	}
	return nil
}
