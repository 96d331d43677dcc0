package rating

import (
	"context"
	"fmt"
	"strings"

	"movieexample.com/internal/sqldb"
)

// liftHalts lets all partitions go on whose reason begins with prefix: its cause is gone.
func (s *store) liftHalts(ctx context.Context, prefix string) error {
	rows, err := s.offsets(ctx)
	if err != nil {
		return err
	}
	for _, o := range rows {
		if !strings.HasPrefix(o.halted, prefix) {
			continue
		}
		err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
			_, err := tx.ExecContext(ctx, "DELETE FROM ingest_halts WHERE topic_id = ? AND part = ?", o.TopicID, o.Number)
			return err
		})
		if err != nil {
			return fmt.Errorf("lift the halt of partition %s: %w", o.partition, err)
		}
	}
	return nil
}
