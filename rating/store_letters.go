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

// dropOldest drops dead letters, oldest first, while they are older than a time, or until they have freed some bytes, at most limit
// of them. It returns how many there were and what they took.
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

// buryChunk bounds keys and payloads of one statement that writes dead letters: a record may have a megabyte, and servers bound what
// they take at once.
const buryChunk = 4 << 20

// bury writes dead letters. A dead letter that is there already stays: its id is its place in the log.
func (s *store) bury(ctx context.Context, tx *sqldb.Tx, dead []deadLetter) error {
	for len(dead) > 0 {
		n, size := 0, int64(0)
		for n < len(dead) && (n == 0 || size+dead[n].size() <= buryChunk) {
			size += dead[n].size()
			n++
		}
		if err := s.buryChunk(ctx, tx, dead[:n]); err != nil {
			return err
		}
		dead = dead[n:]
	}
	return nil
}

// buryChunk writes dead letters by one statement, or a few.
func (s *store) buryChunk(ctx context.Context, tx *sqldb.Tx, dead []deadLetter) error {
	now := int64(ToMicros(s.now()))
	err := tx.ExecRows(ctx, len(dead), s.insertDead, func(i int, dst []any) []any {
		d := &dead[i]
		// The header is the sender's, any bytes at all; the column and the wire hold text.
		d.ContentType = truncate(strings.ToValidUTF8(d.ContentType, "\uFFFD"), 255)
		return append(dst, d.id(), d.Topic, d.TopicID, d.Number, d.Offset, d.Class, truncate(d.Reason, 2000),
			d.RecordKey, d.Payload, d.ContentType, int64(d.RecordTime), now)
	})
	if err != nil {
		return fmt.Errorf("write dead letters: %w", err)
	}
	return nil
}

// deadPageBytes bounds keys and payloads of one page of dead letters, so that an answer stays far under what gRPC
// takes: a Kafka record may have a megabyte. One letter is always returned, however large.
const deadPageBytes = 1 << 20

// deadLetters returns up to limit dead letters after place, oldest first; more says that there are others.
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
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var d deadLetter
		if err := rows.Scan(&d.Topic, &d.TopicID, &d.Number, &d.Offset, &d.Class, &d.Reason, &d.RecordKey, &d.Payload,
			&d.ContentType, &d.RecordTime, &d.Created); err != nil {
			return err
		}
		if !each(d) {
			return nil
		}
	}
	return rows.Err()
}

func (s *store) countDeadLetters(ctx context.Context) (int64, error) {
	var n int64
	err := s.db.Read().QueryRowContext(ctx, "SELECT COUNT(*) FROM dead_letters").Scan(&n)
	return n, storeError("count dead letters", err)
}

// replay decodes one dead letter again; if it is good now it is applied and removed, in one transaction. refused says
// why it was not.
func (s *store) replay(ctx context.Context, id string, decode func(deadLetter) (change Rating, arrives bool, err error)) (refused error, err error) {
	err = s.settled(ctx, []string{id}, func(ctx context.Context, tx *sqldb.Tx) error {
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
			if change.At, err = s.arrivalOf(ctx, tx, *letter); err != nil {
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

// drop removes dead letters for good and returns how many there were.
func (s *store) drop(ctx context.Context, ids []string) (int64, error) {
	ids = slices.Compact(slices.Sorted(slices.Values(ids))) // whoever locks several rows locks them in the same order
	var dropped int64
	err := s.settled(ctx, ids, func(ctx context.Context, tx *sqldb.Tx) error {
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

// settled runs a transaction that removes dead letters (or changes nothing) until its outcome is known. After a commit
// of unknown outcome the letters tell: if one that was to go is still there, the transaction did not take place.
func (s *store) settled(ctx context.Context, ids []string, change func(context.Context, *sqldb.Tx) error) error {
	for attempt := 0; ; attempt++ {
		err := s.db.Write(ctx, change)
		if unknown := (*sqldb.CommitError)(nil); errors.As(err, &unknown) {
			left, readErr := s.anyDeadLetter(ctx, ids)
			if readErr == nil && !left {
				return nil
			}
			if readErr == nil && sqldb.Full(err) {
				return err // waiting frees no disk
			}
		} else if err == nil || !sqldb.Transient(err) {
			return err
		}
		if ended := backoff(ctx, attempt); ended != nil {
			return fmt.Errorf("%w; the last attempt said: %w", ended, err)
		}
	}
}

// anyDeadLetter tells whether one of the dead letters is still there. It waits for whoever has them locked: the transaction
// of unknown outcome itself may still be at work.
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
		return found, nil // nothing was written, so that it does not matter how the transaction ended
	}
	return false, err
}
