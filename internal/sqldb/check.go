package sqldb

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"
)

// probeTimeout bounds a probe.
const probeTimeout = 5 * time.Second

// checkWrites reports why the database cannot be written, according to the last writes. It writes itself if there was none for a
// while.
func (db *DB) checkWrites(ctx context.Context) error {
	if db.identity.Load() == nil {
		return nil // never migrated: there is no table for probes
	}
	known, due := db.watch.state(time.Now())
	if !due {
		return known
	}
	err := db.probeWrite(ctx)
	db.watch.probed()
	if err != nil && !refusesWrites(err) {
		return known // busy or out of time, which proves nothing
	}
	now, _ := db.watch.state(time.Now())
	return now
}

// ProveWritable writes to the database at the start, after [DB.Migrate], and returns an error that only an operator can remove. It
// ignores a full disk, a read-only server and transient errors: reads still work, and [DB.Check] reports those.
func (db *DB) ProveWritable(ctx context.Context) error {
	if err := db.probeWrite(ctx); err != nil && refusesWrites(err) && !Full(err) && !mysqlReadOnlyServer(err) {
		return fmt.Errorf("write to database %s: %w", db.name, err)
	}
	return nil
}

// probeWrite exercises every right that stores need, and leaves no row.
func (db *DB) probeWrite(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, probeTimeout)
	defer cancel()
	id := identityRow + 1 + rand.Int64N(1<<62) // random, so that processes do not wait for each other
	return db.Write(ctx, func(ctx context.Context, tx *Tx) error {
		if _, err := tx.ExecContext(ctx, "INSERT INTO "+identityTable+" (id, uuid) VALUES (?, ?)", id, "probe"); err != nil {
			return err
		}
		if _, err := tx.ExecContext(ctx, "UPDATE "+identityTable+" SET uuid = ? WHERE id = ?", "written", id); err != nil {
			return err
		}
		_, err := tx.ExecContext(ctx, "DELETE FROM "+identityTable+" WHERE id = ?", id)
		return err
	})
}

// Check reports whether the database can be read and written, for readiness. It relies on the result of recent writes. If there was
// none for ten seconds, or if they fail, it writes and deletes a test row, at most once per second. The error is a [*TroubleError]
// if an operator has to act. Damage is reported until the process restarts.
func (db *DB) Check(ctx context.Context) error {
	var n int64
	if err := db.readers.QueryRowContext(ctx, db.dialect.checkQuery()).Scan(&n); err != nil {
		return db.explain(fmt.Errorf("check database %s: %w", db.name, err))
	}
	return db.checkWrites(ctx)
}
