package rating

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"movieexample.com/internal/sqldb"
)

// errFenced says that the stored offset is not the expected one: another process ingests this partition, or an earlier commit of
// unknown outcome succeeded. Nothing was written.
var errFenced = errors.New("the partition's stored offset moved")

// offset returns the partition's next offset; known is false if it was never ingested.
func (s *store) offset(ctx context.Context, p partition) (next int64, known bool, err error) {
	all, err := s.offsets(ctx)
	if err != nil {
		return 0, false, err
	}
	for _, o := range all {
		if o.TopicID == p.TopicID && o.Number == p.Number {
			return o.next, true, nil
		}
	}
	return 0, false, nil
}

// offsets returns how far every partition is ingested.
func (s *store) offsets(ctx context.Context) ([]ingestOffset, error) {
	var out []ingestOffset
	err := eachRow(ctx, s.db.Read(), func(scan scanFunc) error {
		var o ingestOffset
		err := scan(&o.Topic, &o.TopicID, &o.Number, &o.next, &o.halted, &o.moved)
		out = append(out, o)
		return err
	}, "SELECT o.topic, o.topic_id, o.part, o.next_offset, COALESCE(h.reason, ''), COALESCE(m.moved_at, 0) FROM ingest_offsets o"+
		" LEFT JOIN ingest_halts h ON h.topic_id = o.topic_id AND h.part = o.part"+
		" LEFT JOIN ingest_moves m ON m.topic_id = o.topic_id AND m.part = o.part")
	slices.SortFunc(out, ingestOffset.compare)
	return out, storeError("read ingest offsets", err)
}

// begin records where ingestion of a partition starts, if it is new, and returns its offset.
func (s *store) begin(ctx context.Context, p partition, start int64) (next int64, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		next, err = insertOffset(ctx, tx, p, start)
		return err
	})
	if err != nil {
		return 0, fmt.Errorf("record the start of partition %s: %w", p, err)
	}
	return next, nil
}

// insertOffset records a new partition at next. It locks the partition until the transaction ends, and returns its offset.
func insertOffset(ctx context.Context, tx *sqldb.Tx, p partition, next int64) (stored int64, err error) {
	text := tx.Dialect().InsertIgnore("ingest_offsets", []string{"topic_id", "part"}, []string{"topic", "next_offset"}, 1)
	if _, err := tx.ExecContext(ctx, text, p.TopicID, p.Number, p.Topic, next); err != nil {
		return 0, err
	}
	return lockOffset(ctx, tx, p)
}

// lockOffset reads a partition's next offset, and locks it until the transaction ends.
func lockOffset(ctx context.Context, tx *sqldb.Tx, p partition) (next int64, err error) {
	err = tx.QueryRowContext(ctx, "SELECT next_offset FROM ingest_offsets WHERE topic_id = ? AND part = ?"+tx.Dialect().ForUpdate(),
		p.TopicID, p.Number).Scan(&next)
	return next, err
}

// halt records that a partition, whose next offset is next, is halted until an operator resumes it. It records a new partition too.
// errFenced: the partition has moved, and the reason may no longer hold.
func (s *store) halt(ctx context.Context, p partition, next int64, reason string) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		if stored, err := insertOffset(ctx, tx, p, next); err != nil {
			return err
		} else if stored != next {
			return errFenced
		}
		// The first reason stays: what is found later are its consequences.
		text := tx.Dialect().InsertIgnore("ingest_halts", []string{"topic_id", "part"}, []string{"reason", "halted_at"}, 1)
		_, err := tx.ExecContext(ctx, text, p.TopicID, p.Number, truncate(reason, 2000), int64(ToMicros(s.now())))
		return err
	})
	if err != nil {
		return fmt.Errorf("record the halt of partition %s: %w", p, err)
	}
	return nil
}

// resume moves a partition and ends its halt, unless the partition has moved meanwhile (errFenced). It deletes what is recorded of
// former topics of that name, which would halt the partition again. After a commit of unknown outcome it checks the result.
func (s *store) resume(ctx context.Context, r resumption) error {
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		lock := lockOffset
		if !r.known {
			lock = func(ctx context.Context, tx *sqldb.Tx, p partition) (int64, error) {
				return insertOffset(ctx, tx, p, r.from)
			}
		}
		if stored, err := lock(ctx, tx, r.partition); err != nil {
			return err
		} else if stored != r.from {
			return errFenced
		}
		for _, change := range []struct {
			text string
			args []any
		}{
			{"UPDATE ingest_offsets SET next_offset = ? WHERE topic_id = ? AND part = ?", []any{r.to, r.TopicID, r.Number}},
			{"DELETE FROM ingest_halts WHERE topic_id = ? AND part = ?", []any{r.TopicID, r.Number}},
			{tx.Dialect().Upsert("ingest_moves", []string{"topic_id", "part"}, []string{"moved_at"}, 1), []any{r.TopicID, r.Number, int64(ToMicros(s.now()))}},
		} {
			if _, err := tx.ExecContext(ctx, change.text, change.args...); err != nil {
				return err
			}
		}
		return s.forgetOldTopics(ctx, tx, r)
	})
	if commitUnknown(err) {
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

// forgetOldTopics deletes the rows that a resumed partition had under other topic ids. With the last halted partition it also deletes
// those of partitions that the topic no longer has, which would halt a partition added later.
func (s *store) forgetOldTopics(ctx context.Context, tx *sqldb.Tx, r resumption) error {
	var known [2]int // of this topic
	for i, table := range []string{"ingest_offsets", "ingest_halts"} {
		if err := tx.QueryRowContext(ctx, "SELECT COUNT(*) FROM "+table+" WHERE topic_id = ?", r.TopicID).Scan(&known[i]); err != nil {
			return err
		}
	}
	text, args := "DELETE FROM ingest_offsets WHERE topic = ? AND topic_id <> ?", []any{r.Topic, r.TopicID}
	if known[0] < r.partitions || known[1] > 0 {
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

// resumed records that the owner of a moved partition has resumed there. The partition may have been moved again since.
func (s *store) resumed(ctx context.Context, o ingestOffset) error {
	err := s.write(ctx, "DELETE FROM ingest_moves WHERE topic_id = ? AND part = ? AND moved_at = ?", o.TopicID, o.Number, int64(o.moved))
	return storeError("record that partition "+o.String()+" resumed", err)
}

// awaitsOwner reports whether a partition was moved and its owner has not resumed there yet.
func (s *store) awaitsOwner(ctx context.Context, p partition) (bool, error) {
	var n int
	err := s.db.Read().QueryRowContext(ctx, "SELECT COUNT(*) FROM ingest_moves WHERE topic_id = ? AND part = ?", p.TopicID, p.Number).Scan(&n)
	return n > 0, storeError("look up whether partition "+p.String()+" resumed", err)
}

// liftHalts ends the halts whose reason begins with prefix.
func (s *store) liftHalts(ctx context.Context, prefix string) error {
	rows, err := s.offsets(ctx)
	if err != nil {
		return err
	}
	for _, o := range rows {
		if !strings.HasPrefix(o.halted, prefix) {
			continue
		}
		if err := s.write(ctx, "DELETE FROM ingest_halts WHERE topic_id = ? AND part = ?", o.TopicID, o.Number); err != nil {
			return fmt.Errorf("lift the halt of partition %s: %w", o.partition, err)
		}
	}
	return nil
}
