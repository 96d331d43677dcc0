package rating

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"movieexample.com/internal/sqldb"
)

// halt records that a partition, which goes on at next, stands still until an operator lets it go on. A partition that was
// never ingested is recorded with it. errFenced: it is somewhere else by now, so that the reason may hold no more.
func (s *store) halt(ctx context.Context, p partition, next int64, reason string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		d := tx.Dialect()
		text := d.InsertIgnore("ingest_offsets", []string{"topic_id", "part"}, []string{"topic", "next_offset"}, 1)
		if _, err := tx.ExecContext(ctx, text, p.TopicID, p.Number, p.Topic, next); err != nil {
			return err
		}
		if stored, err := s.lockOffset(ctx, tx, p); err != nil {
			return err
		} else if stored != next {
			return errFenced
		}
		// The first reason stays: it is what happened; what is found later are its consequences.
		text = d.InsertIgnore("ingest_halts", []string{"topic_id", "part"}, []string{"reason", "halted_at"}, 1)
		_, err := tx.ExecContext(ctx, text, p.TopicID, p.Number, truncate(reason, 2000), int64(ToMicros(s.now())))
		return err
	})
	if err != nil {
		return fmt.Errorf("record that partition %s stands still: %w", p, err)
	}
	return nil
}

// lockOffset reads where a partition goes on, and lets nobody else move it before the transaction ends.
func (s *store) lockOffset(ctx context.Context, tx *sqldb.Tx, p partition) (next int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT next_offset FROM ingest_offsets WHERE topic_id = ? AND part = ?"+tx.Dialect().ForUpdate(),
		p.TopicID, p.Number).Scan(&next)
	return next, err
}

// resumption is an operator's word on where a partition goes on.
type resumption struct {
	partition
	// known: the partition has been recorded, and stands at from; otherwise it must still be unrecorded.
	known    bool
	from, to int64
	// partitions is how many the topic has.
	partitions int
}

// resume moves a partition and ends its standing still, if nobody has moved it meanwhile (errFenced). What is recorded of topics
// that had the same name before goes with it: their offsets mean nothing any more, and would halt the partition again. After a
// commit of unknown outcome it looks.
func (s *store) resume(ctx context.Context, r resumption) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if !r.known {
			text := tx.Dialect().InsertIgnore("ingest_offsets", []string{"topic_id", "part"}, []string{"topic", "next_offset"}, 1)
			if _, err := tx.ExecContext(ctx, text, r.TopicID, r.Number, r.Topic, r.from); err != nil {
				return err
			}
		}
		if stored, err := s.lockOffset(ctx, tx, r.partition); err != nil {
			return err
		} else if stored != r.from {
			return errFenced
		}
		if _, err := tx.ExecContext(ctx, "UPDATE ingest_offsets SET next_offset = ? WHERE topic_id = ? AND part = ?",
			r.to, r.TopicID, r.Number); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM ingest_halts WHERE topic_id = ? AND part = ?", r.TopicID, r.Number); err != nil {
			return err
		}
		text := tx.Dialect().Upsert("ingest_moves", []string{"topic_id", "part"}, []string{"moved_at"}, 1)
		if _, err := tx.ExecContext(ctx, text, r.TopicID, r.Number, int64(ToMicros(s.now()))); err != nil {
			return err
		}
		return s.forgetOldTopics(ctx, tx, r)
	})
	if unknown := (*sqldb.CommitError)(nil); errors.As(err, &unknown) {
		rows, readErr := s.offsets(ctx)
		i := slices.IndexFunc(rows, func(o ingestOffset) bool { return o.partition == r.partition })
		if readErr == nil && i >= 0 && rows[i].next == r.to && rows[i].halted == "" {
			return nil
		}
	}
	if err != nil && !errors.Is(err, errFenced) {
		return storeError("resume partition "+r.String(), err)
	}
	return err
}

// forgetOldTopics removes the rows that a resumed partition had under other topic ids; with the last partition that is resumed
// also those of partitions that the topic has no more, which would halt a partition added later.
func (s *store) forgetOldTopics(ctx context.Context, tx *sqldb.Tx, r resumption) error {
	var recorded, halted int
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ingest_offsets WHERE topic_id = ?", r.TopicID).Scan(&recorded); err != nil {
		return err
	}
	if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM ingest_halts WHERE topic_id = ?", r.TopicID).Scan(&halted); err != nil {
		return err
	}
	text, args := "DELETE FROM ingest_offsets WHERE topic = ? AND topic_id <> ?", []any{r.Topic, r.TopicID}
	if recorded < r.partitions || halted > 0 {
		text, args = text+" AND part = ?", append(args, r.Number)
	}
	if _, err := tx.ExecContext(ctx, text, args...); err != nil {
		return err
	}
	for _, table := range []string{"ingest_halts", "ingest_moves", "ingest_arrivals"} {
		if _, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE topic_id NOT IN (SELECT topic_id FROM ingest_offsets)"); err != nil {
			return err
		}
	}
	return nil
}

// takenUp records that the process that has a partition goes on where it was moved to.
// It may have been moved again since.
func (s *store) takenUp(ctx context.Context, o ingestOffset) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM ingest_moves WHERE topic_id = ? AND part = ? AND moved_at = ?", o.TopicID, o.Number, int64(o.moved))
		return err
	})
	return storeError("record that partition "+o.String()+" goes on", err)
}

// awaitsOwner reports whether a partition was moved and the process that has it has not taken that up yet.
func (s *store) awaitsOwner(ctx context.Context, p partition) (bool, error) {
	var n int
	err := s.db.Read().QueryRowContext(ctx, "SELECT COUNT(*) FROM ingest_moves WHERE topic_id = ? AND part = ?", p.TopicID, p.Number).Scan(&n)
	return n > 0, storeError("look up whether partition "+p.String()+" goes on", err)
}
