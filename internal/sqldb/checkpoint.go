package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"time"

	"movieexample.com/internal/guard"
)

// Sizes of SQLite's log, in pages of 4 KiB.
const (
	// checkpointAt is the size at which the log is written back (32 MiB). A page that many transactions change is then written to
	// the file once instead of many times: with checkpoints in the commit, ingestion wrote 83,000 rows/s at 1000 pages, 94,000 at
	// 4096, 122,000 at 16000, on 2 cores. The price is disk space, and the log that is read back after a crash.
	checkpointAt = 8192
	// checkpointAgain is how much of a log above checkpointAt is new before it is tried again, where a reader kept the log from
	// being started over.
	checkpointAgain = 1024
	// checkpointInCommit is the size at which SQLite does it in a commit, whatever that takes (128 MiB): the log is bounded even
	// where the checkpointer fails or does not keep up.
	checkpointInCommit = 4 * checkpointAt
	// checkpointRest is what the last step may leave to write while writers wait.
	checkpointRest = 256
	// checkpointPause is the time between two looks at the log, which cost as much as a small write.
	checkpointPause = 10 * time.Millisecond
)

// checkpointer writes SQLite's log back into the database file beside the writer. SQLite itself would do that in the commit that
// finds the log long, and whoever waits for that commit would wait for 32 MiB of random writes and two disk syncs.
//
// SQLite starts the log over only at a moment at which all of it is in the file. Under a steady load there is no such moment. So
// the checkpointer first writes back and syncs while writers go on, until little is left, and then takes the writing connection
// for the rest.
type checkpointer struct {
	db   *DB
	conn *sql.DB // one connection, with the writer's settings
	path string
	file *os.File // to sync; nil until it is needed

	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
	failed bool // the last attempt; so a lasting failure is logged once
}

// newCheckpointer starts a checkpointer for the file at path. conn becomes its own.
func newCheckpointer(db *DB, path string, conn *sql.DB) *checkpointer {
	ctx, cancel := context.WithCancel(context.Background())
	c := &checkpointer{db: db, conn: conn, path: path, wake: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
	conn.SetMaxOpenConns(1)
	conn.SetMaxIdleConns(1)
	go c.run(ctx)
	return c
}

// committed tells the checkpointer that the log has grown. A nil checkpointer ignores it.
func (c *checkpointer) committed() {
	if c == nil {
		return
	}
	select {
	case c.wake <- struct{}{}:
	default: // it has not looked yet
	}
}

// end stops the work and closes the connection.
func (c *checkpointer) end() error {
	if c == nil {
		return nil
	}
	c.cancel()
	<-c.done
	return c.conn.Close()
}

// close releases the file. It comes after the last connection has closed: on Unix, closing any descriptor of a file drops the locks
// that the process holds on it, SQLite's among them.
func (c *checkpointer) close() error {
	if c == nil || c.file == nil {
		return nil
	}
	return c.file.Close()
}

func (c *checkpointer) run(ctx context.Context) {
	defer close(c.done)
	pause := time.NewTimer(checkpointPause)
	defer pause.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.wake:
		}
		tried, err := guard.Catch("write back the log", func() (bool, error) { return c.checkpoint(ctx) })
		if ctx.Err() != nil {
			return
		}
		switch {
		case err != nil && !c.failed:
			c.failed = true
			c.db.log.Error("Cannot write the database's log back into its file; the log grows until this works again.",
				"database", c.db.name, "error", c.db.noted(err, false))
		case err == nil && tried && c.failed:
			c.failed = false
			c.db.log.Info("The database's log is written back into its file again.", "database", c.db.name)
		}
		pause.Reset(checkpointPause)
		select {
		case <-ctx.Done():
			return
		case <-pause.C:
		}
	}
}

// checkpoint writes the log back if it is long, and reports whether it was.
func (c *checkpointer) checkpoint(ctx context.Context) (tried bool, err error) {
	length, rest, err := walCheckpoint(ctx, c.conn, "NOOP")
	if err != nil || length < checkpointAt || rest < checkpointAgain {
		return false, err
	}
	for {
		before := rest
		if _, _, err = walCheckpoint(ctx, c.conn, "PASSIVE"); err != nil {
			return true, err
		}
		if err = c.sync(); err != nil {
			return true, err
		}
		if _, rest, err = walCheckpoint(ctx, c.conn, "NOOP"); err != nil {
			return true, err
		}
		// Either little is left, or writers are as fast as this or readers of old snapshots are in the way, and more passes would
		// only let the log grow.
		if rest <= checkpointRest || rest > before/2 {
			break
		}
	}
	writer, err := c.db.writer.Conn(ctx)
	if err != nil {
		return true, fmt.Errorf("wait for the writing connection: %w", err)
	}
	_, _, err = walCheckpoint(ctx, writer, "PASSIVE")
	return true, errors.Join(err, writer.Close())
}

// sync syncs the database file. SQLite does so only in the step that writes the end of the log; what was written back until then would
// have to be synced while writers wait.
func (c *checkpointer) sync() (err error) {
	if c.file == nil {
		if c.file, err = os.OpenFile(c.path, os.O_RDWR, 0); err != nil {
			c.file = nil
			return err
		}
	}
	return c.file.Sync()
}

// walCheckpoint runs a checkpoint and returns how long the log is and how much of it is not in the file, in pages. NOOP only looks
// (https://sqlite.org/pragma.html#pragma_wal_checkpoint). An interrupted or partial checkpoint harms nothing.
func walCheckpoint(ctx context.Context, q Queryer, mode string) (length, rest int, err error) {
	var busy, done int
	if err := q.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&busy, &length, &done); err != nil {
		return 0, 0, fmt.Errorf("checkpoint: %w", err)
	}
	return length, length - done, nil
}
