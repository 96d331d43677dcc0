package rating

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"movieexample.com/internal/sqldb"
)

// letterSize is deadLetter.size in SQL.
var letterSize = fmt.Sprintf("(COALESCE(LENGTH(record_key), 0) + COALESCE(LENGTH(payload), 0) + %d)", letterOverhead)

// measureLetters counts the dead letters and what they take.
func (s *store) measureLetters(ctx context.Context) (count, bytes int64, err error) {
	err = s.db.Read().QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM("+letterSize+"), 0) FROM dead_letters").Scan(&count, &bytes)
	return count, bytes, storeError("measure dead letters", err)
}

// dropOldest drops up to limit dead letters, oldest first: those created before a time, and others until bytes are freed. It returns
// how many it dropped and their size.
func (s *store) dropOldest(ctx context.Context, before Micros, bytes int64, limit int) (count, freed int64, err error) {
	var ids []string
	err = eachRow(ctx, s.db.Read(), func(scan scanFunc) error {
		var id string
		var created Micros
		var size int64
		if err := scan(&id, &created, &size); err != nil {
			return err
		}
		if created < before || freed < bytes {
			ids, freed = append(ids, id), freed+size
		}
		return nil
	}, "SELECT id, created_at, "+letterSize+" FROM dead_letters ORDER BY created_at, id LIMIT ?", limit)
	if err != nil || len(ids) == 0 {
		return 0, 0, storeError("find the oldest dead letters", err)
	}
	count, err = s.drop(ctx, ids)
	return count, freed, err
}

// maxDeadBytes bounds keys and payloads of one statement that writes dead letters: a record may have a megabyte, and servers bound the
// size of a statement.
const maxDeadBytes = 4 << 20

// writeDead writes dead letters. An existing dead letter stays as it is: its id is its place in the log.
func (s *store) writeDead(ctx context.Context, tx *sqldb.Tx, dead []deadLetter) error {
	for len(dead) > 0 {
		n, size := 0, int64(0)
		for n < len(dead) && (n == 0 || size+dead[n].size() <= maxDeadBytes) {
			size += dead[n].size()
			n++
		}
		if err := s.writeDeadChunk(ctx, tx, dead[:n]); err != nil {
			return err
		}
		dead = dead[n:]
	}
	return nil
}

// writeDeadChunk writes dead letters with one statement, or a few.
func (s *store) writeDeadChunk(ctx context.Context, tx *sqldb.Tx, dead []deadLetter) error {
	now := int64(ToMicros(s.now()))
	err := tx.ExecRows(ctx, len(dead), s.insertDead, func(i int, dst []any) []any {
		d := &dead[i]
		// The header may have any bytes; the column and the wire hold text.
		d.ContentType = truncate(strings.ToValidUTF8(d.ContentType, "\uFFFD"), 255)
		return append(dst, d.id(), d.Topic, d.TopicID, d.Number, d.Offset, d.Class, truncate(d.Reason, 2000),
			d.RecordKey, d.Payload, d.ContentType, int64(d.RecordTime), now)
	})
	if err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	return nil
}

// deadPageBytes bounds keys and payloads of one page of dead letters, so that a response stays far below the limit of gRPC: a Kafka
// record may have a megabyte. A page has at least one letter of any size.
const deadPageBytes = 1 << 20

// deadLetters returns up to limit dead letters after place, oldest first; more says that there are more.
func (s *store) deadLetters(ctx context.Context, place *deadPlace, limit int) (page []deadLetter, more bool, err error) {
	text := "SELECT " + deadColumns + " FROM dead_letters"
	var args []any
	if place != nil {
		text += " WHERE created_at >= ? AND (created_at > ? OR id > ?)"
		args = append(args, int64(place.Created), int64(place.Created), place.ID)
	}
	text += " ORDER BY created_at, id LIMIT ?"
	size := 0
	err = eachDead(ctx, s.db.Read(), func(d deadLetter) bool {
		size += len(d.RecordKey) + len(d.Payload)
		if more = len(page) == limit || len(page) > 0 && size > deadPageBytes; more {
			return false
		}
		page = append(page, d)
		return true
	}, text, append(args, limit+1)...)
	return page, more, storeError("read dead letters", err)
}

const deadColumns = "topic, topic_id, part, record_offset, class, reason, record_key, payload, content_type, record_time, created_at"

// eachDead calls each for every row until it returns false.
func eachDead(ctx context.Context, q sqldb.Queryer, each func(deadLetter) bool, text string, args ...any) error {
	err := eachRow(ctx, q, func(scan scanFunc) error {
		var d deadLetter
		err := scan(&d.Topic, &d.TopicID, &d.Number, &d.Offset, &d.Class, &d.Reason, &d.RecordKey, &d.Payload, &d.ContentType, &d.RecordTime, &d.Created)
		if err == nil && !each(d) {
			return errEnough
		}
		return err
	}, text, args...)
	if errors.Is(err, errEnough) {
		return nil
	}
	return err
}

func (s *store) countDeadLetters(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.Read().QueryRowContext(ctx, "SELECT COUNT(*) FROM dead_letters").Scan(&n)
	return n, storeError("count dead letters", err)
}

// replay decodes a dead letter again, and applies and deletes it in one transaction if it is good now. refused says why it was not.
func (s *store) replay(ctx context.Context, id string, decode func(deadLetter) (change Rating, arrives bool, err error)) (refused error, err error) {
	err = s.reconcile(ctx, []string{id}, func(ctx context.Context, tx *sqldb.Tx) error {
		refused = nil
		var letter *deadLetter
		err := eachDead(ctx, tx, func(d deadLetter) bool { letter = &d; return true },
			"SELECT "+deadColumns+" FROM dead_letters WHERE id = ?"+tx.Dialect().ForUpdate(), id)
		if err != nil {
			return err
		}
		if letter == nil {
			refused = errNoDeadLetter
			return nil
		}
		change, arrives, err := decode(*letter)
		if err != nil {
			refused = err
			return nil
		}
		if arrives {
			if change.At, err = s.arrivalTime(ctx, tx, *letter); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM dead_letters WHERE id = ?", id); err != nil {
			return err
		}
		before, err := s.before(ctx, tx, []Rating{change})
		if err != nil {
			return err
		}
		return s.apply(ctx, tx, before, []Rating{change})
	})
	return refused, storeError("replay dead letter", err)
}

// drop deletes dead letters and returns how many there were.
func (s *store) drop(ctx context.Context, ids []string) (int64, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids))) // rows are locked in this order by every transaction
	var dropped int64
	err := s.reconcile(ctx, ids, func(ctx context.Context, tx *sqldb.Tx) error {
		dropped = 0
		for _, id := range ids {
			res, err := tx.ExecContext(ctx, "DELETE FROM dead_letters WHERE id = ?", id)
			if err != nil {
				return err
			}
			n, err := res.RowsAffected()
			if err != nil {
				return err
			}
			dropped += n
		}
		return nil
	})
	return dropped, storeError("drop dead letters", err)
}

// reconcile runs a transaction that deletes dead letters, or changes nothing, until its outcome is known. After a commit of unknown
// outcome it looks for the letters: if one is still there, the transaction did not take place.
func (s *store) reconcile(ctx context.Context, ids []string, change func(context.Context, *sqldb.Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := s.db.Write(ctx, change)
		if commitUnknown(err) {
			left, readErr := s.anyDeadLetter(ctx, ids)
			if readErr == nil && !left {
				return nil
			}
			if readErr == nil && diskFull(err) {
				return err
			}
		} else if err == nil || !transient(err) {
			return err
		}
		if ended := backoff(ctx, attempt); ended != nil {
			return fmt.Errorf("%w; last attempt: %w", ended, err)
		}
	}
}

// anyDeadLetter reports whether one of the dead letters is still there. It waits for their locks: the transaction of unknown outcome
// may still be running.
func (s *store) anyDeadLetter(ctx context.Context, ids []string) (found bool, err error) {
	looked := false
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for _, id := range ids {
			err := eachRow(ctx, tx, func(scanFunc) error { found = true; return nil },
				"SELECT part FROM dead_letters WHERE id = ?"+tx.Dialect().ForUpdate(), id)
			if err != nil {
				return err
			}
		}
		looked = true
		return nil
	})
	if looked {
		return found, nil // nothing was written, so the outcome of this transaction does not matter
	}
	return false, err
}
