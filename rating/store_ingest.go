package rating

import (
	"context"
	"fmt"

	"movieexample.com/internal/sqldb"
)

// ingest writes a batch and moves the partition's offset, all or nothing.
func (s *store) ingest(ctx context.Context, b batch) (done outcome, err error) {
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// First, so that a fenced process fails before it waits for any other lock.
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
		if err := s.writeDead(ctx, tx, b.dead); err != nil {
			return classify(ctx, tx, b.partition, err)
		}
		if err := s.arrive(ctx, tx, b); err != nil {
			return err
		}
		before, winners, err := s.change(ctx, tx, b.changes)
		if err == nil {
			done = b.outcome(before, winners)
		}
		return classify(ctx, tx, b.partition, err)
	})
	return done, err
}

// refusedError says that the database takes writes, but refuses this one because of its data.
type refusedError struct{ err error }

func (e *refusedError) Error() string { return "the database refuses the change: " + e.err.Error() }
func (e *refusedError) Unwrap() error { return e.err }

// classify finds out whether a write failed because of its data, and makes the error a *refusedError then. A missing table or
// privilege is not about the data, though the engine may keep the transaction; and the transaction must still take other writes.
func classify(ctx context.Context, tx *sqldb.Tx, p partition, err error) error {
	if err == nil || ctx.Err() != nil || !sqldb.Refused(err) {
		return err
	}
	_, probe := tx.ExecContext(ctx, "UPDATE ingest_offsets SET topic = topic WHERE topic_id = ? AND part = ?", p.TopicID, p.Number)
	if probe != nil {
		return err
	}
	return &refusedError{err: err}
}
