package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"movieexample.com/internal/sqldb"
)

// partition is one partition of one topic. The topic's identity is its id: a topic that was deleted and created again
// under the same name is another one, and its offsets mean other records.
type partition struct {
	Topic   string
	TopicID string // 32 hexadecimal digits
	Number  int32
}

func (p partition) String() string { return fmt.Sprintf("%s[%d]", p.Topic, p.Number) }

// batch is what one transaction ingests: the records [start, end) of a partition.
type batch struct {
	partition
	start, end int64
	changes    []Rating
	dead       []deadLetter
}

// errFenced says that the stored offset is not where the batch begins: another process ingests this partition, or an
// earlier commit of unknown outcome did take place. Nothing was written.
var errFenced = errors.New("the partition's stored offset moved")

// ingest writes a batch and moves the partition's offset, all or nothing.
func (s *store) ingest(ctx context.Context, b batch) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// First, so that a zombie fails before it waits for any other lock.
		res, err := tx.ExecContext(ctx, "UPDATE ingest_offsets SET next_offset = ? WHERE topic_id = ? AND part = ? AND next_offset = ?",
			b.end, b.TopicID, b.Number, b.start)
		if err != nil {
			return fmt.Errorf("move offset: %w", err)
		}
		if n, err := res.RowsAffected(); err != nil {
			return fmt.Errorf("move offset: %w", err)
		} else if n != 1 {
			return errFenced
		}
		if err := s.bury(ctx, tx, b.dead); err != nil {
			return err
		}
		before, err := s.before(ctx, tx, b.changes)
		if err == nil {
			err = s.apply(ctx, tx, before, b.changes)
		}
		return blame(ctx, tx, b.partition, err)
	})
}

// refusedError says that the database takes writes, but not this one: the data is to blame.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return "the database refuses the change: " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// blame finds out whether a write failed for what it wrote. A missing table or right is not about what is written, though the
// engine may well go on after it; and the transaction must still take other writes.
func blame(ctx context.Context, tx *sqldb.Tx, p partition, err error) error {
	if err == nil || ctx.Err() != nil || !sqldb.Refused(err) {
		return err
	}
	_, probe := tx.ExecContext(ctx, "UPDATE ingest_offsets SET topic = topic WHERE topic_id = ? AND part = ?", p.TopicID, p.Number)
	if probe != nil {
		return err
	}
	return &refusedError{err: err}
}

// bury writes dead letters. A dead letter that is there already stays: its id is its place in the log.
func (s *store) bury(ctx context.Context, tx *sqldb.Tx, dead []deadLetter) error {
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

// truncate cuts s to at most n bytes at a rune's border.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// offset returns the partition's next offset; known is false where it was never ingested.
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

// ingestOffset is how far a partition is ingested.
type ingestOffset struct {
	partition
	next   int64
	halted string // why it stands still until an operator lets it go on; empty if it does not
}

// offsets returns how far every partition is ingested.
func (s *store) offsets(ctx context.Context) ([]ingestOffset, error) {
	rows, err := s.db.Read().QueryContext(ctx, "SELECT o.topic, o.topic_id, o.part, o.next_offset, h.reason FROM ingest_offsets o"+
		" LEFT JOIN ingest_halts h ON h.topic_id = o.topic_id AND h.part = o.part")
	if err != nil {
		return nil, storeError("read ingest offsets", err)
	}
	defer rows.Close()
	var out []ingestOffset
	for rows.Next() {
		var o ingestOffset
		var halted *string
		if err := rows.Scan(&o.Topic, &o.TopicID, &o.Number, &o.next, &halted); err != nil {
			return nil, storeError("read ingest offsets", err)
		}
		if halted != nil {
			o.halted = *halted
		}
		out = append(out, o)
	}
	slices.SortFunc(out, func(a, b ingestOffset) int {
		return cmp.Or(cmp.Compare(a.Topic, b.Topic), cmp.Compare(a.TopicID, b.TopicID), cmp.Compare(a.Number, b.Number))
	})
	return out, storeError("read ingest offsets", rows.Err())
}

// begin records where ingestion of a partition starts, if it never did, and returns where it stands.
func (s *store) begin(ctx context.Context, p partition, start int64) (int64, error) {
	var next int64
	err := s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		text := tx.Dialect().InsertIgnore("ingest_offsets", []string{"topic_id", "part"}, []string{"topic", "next_offset"}, 1)
		if _, err := tx.ExecContext(ctx, text, p.TopicID, p.Number, p.Topic, start); err != nil {
			return err
		}
		return tx.QueryRowContext(ctx, "SELECT next_offset FROM ingest_offsets WHERE topic_id = ? AND part = ?",
			p.TopicID, p.Number).Scan(&next)
	})
	if err != nil {
		return 0, fmt.Errorf("record the start of partition %s: %w", p, err)
	}
	return next, nil
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

// deadLetterGauge is countDeadLetters for a metric, which has no context and no error.
func (s *store) deadLetterGauge() float64 {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	n, err := s.countDeadLetters(ctx)
	if err != nil {
		return math.NaN()
	}
	return float64(n)
}

// replay decodes one dead letter again; if it is good now it is applied and removed, in one transaction. refused says
// why it was not.
func (s *store) replay(ctx context.Context, id string, decode func(deadLetter) (Rating, error)) (refused error, err error) {
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
		change, err := decode(*letter)
		if err != nil {
			refused = err
			return nil
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
