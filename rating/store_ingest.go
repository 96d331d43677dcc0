package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

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
	// arrivals are the changes that have no time yet, in the order of their offsets.
	arrivals []arriving
	dead     []deadLetter
}

// errFenced says that the stored offset is not where the batch begins: another process ingests this partition, or an
// earlier commit of unknown outcome did take place. Nothing was written.
var errFenced = errors.New("the partition's stored offset moved")

// ingest writes a batch and moves the partition's offset, all or nothing.
func (s *store) ingest(ctx context.Context, b batch) (done outcome, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
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
			return blame(ctx, tx, b.partition, err)
		}
		if err := s.arrive(ctx, tx, b); err != nil {
			return err
		}
		before, winners, err := s.change(ctx, tx, b.changes)
		if err == nil {
			done = tally(before, b, winners)
		}
		return blame(ctx, tx, b.partition, err)
	})
	return done, err
}

// tally tells what becomes of a batch's events, each of them after those before it; winners is how many rows they change.
func tally(before map[Key]Rating, b batch, winners int) (done outcome) {
	done.refused = len(b.dead)
	for i := range b.dead {
		done.letters += b.dead[i].size()
	}
	if winners == len(b.changes) { // as in most batches, and cheap to tell
		done.applied = winners
		return done
	}
	current := make(map[Key]Rating, len(b.changes))
	for _, c := range b.changes {
		old, known := current[c.Key]
		if !known {
			old, known = before[c.Key]
		}
		switch {
		case !known || c.newer(old):
			current[c.Key] = c
			done.applied++
		case old.newer(c):
			done.superseded++
		default:
			done.repeated++
		}
	}
	return done
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
	// moved is when an operator moved it, if the process that has the partition has not taken that up yet; 0 otherwise.
	moved Micros
}

func (o ingestOffset) compare(b ingestOffset) int {
	return cmp.Or(cmp.Compare(o.Topic, b.Topic), cmp.Compare(o.TopicID, b.TopicID), cmp.Compare(o.Number, b.Number))
}

// offsets returns how far every partition is ingested.
func (s *store) offsets(ctx context.Context) ([]ingestOffset, error) {
	rows, err := s.db.Read().QueryContext(ctx, "SELECT o.topic, o.topic_id, o.part, o.next_offset, h.reason, m.moved_at FROM ingest_offsets o"+
		" LEFT JOIN ingest_halts h ON h.topic_id = o.topic_id AND h.part = o.part"+
		" LEFT JOIN ingest_moves m ON m.topic_id = o.topic_id AND m.part = o.part")
	if err != nil {
		return nil, storeError("read ingest offsets", err)
	}
	defer rows.Close()
	var out []ingestOffset
	for rows.Next() {
		var o ingestOffset
		var halted *string
		var moved *Micros
		if err := rows.Scan(&o.Topic, &o.TopicID, &o.Number, &o.next, &halted, &moved); err != nil {
			return nil, storeError("read ingest offsets", err)
		}
		if halted != nil {
			o.halted = *halted
		}
		if moved != nil {
			o.moved = *moved
		}
		out = append(out, o)
	}
	slices.SortFunc(out, ingestOffset.compare)
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
