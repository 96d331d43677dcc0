package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
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
	// checkpointAgain is how much a log above checkpointAt must grow before the next checkpoint, if a reader prevented a restart
	// of the log.
	checkpointAgain = 1024
	// checkpointInCommit is the size at which SQLite checkpoints in a commit, however long that takes (128 MiB): it bounds the
	// log even if the checkpointer fails or does not keep up.
	checkpointInCommit = 4 * checkpointAt
	// checkpointRest is how many pages the last step may write while writers wait.
	checkpointRest = 256
	// checkpointWait is how long writers may be held for readers, which finish their queries in that time.
	checkpointWait = 50 * time.Millisecond
	// checkpointRetry is how long writers are not held again after that was not enough.
	checkpointRetry = time.Second
	// checkpointPause is the time between two looks at the log, which cost as much as a small write.
	checkpointPause = 10 * time.Millisecond
)

// checkpointer writes SQLite's log back into the database file beside the writer. SQLite itself would do that in the commit that
// finds the log long, and every caller of that commit would wait for 32 MiB of random writes and two disk syncs.
//
// SQLite restarts the log only when all of it is in the database file. Under a steady load that never happens. So
// the checkpointer first writes back and syncs while writers continue, until little is left, and then holds the writing connection
// for the rest.
type checkpointer struct {
	writer *sql.DB
	conn   *sql.DB // one connection, with the writer's settings
	log    *slog.Logger
	noted  func(error) error // of the database
	path   string
	file   *os.File // to sync; nil until it is needed

	wake   chan struct{}
	cancel context.CancelFunc
	done   chan struct{}
	retry  time.Time // when writers may be held again
	failed bool      // the last attempt; so a lasting failure is logged once
}

// newCheckpointer starts a checkpointer for the file at path. It closes conn at its end.
func newCheckpointer(path string, writer, conn *sql.DB, log *slog.Logger, noted func(error) error) *checkpointer {
	ctx, cancel := context.WithCancel(context.Background())
	c := &checkpointer{writer: writer, conn: conn, path: path, log: log, noted: noted, wake: make(chan struct{}, 1), cancel: cancel, done: make(chan struct{})}
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
			c.log.Error("checkpoint failed; the write-ahead log grows until one succeeds", "database", c.path, "error", c.noted(err))
		case err == nil && tried && c.failed:
			c.failed = false
			c.log.Info("checkpoints succeed again", "database", c.path)
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
	log, err := c.wal(ctx, "NOOP")
	if err != nil || log.length < checkpointAt || log.rest < checkpointAgain {
		return false, err
	}
	for {
		before := log.rest
		if _, err = c.wal(ctx, "PASSIVE"); err != nil {
			return true, err
		}
		if err = c.sync(); err != nil {
			return true, err
		}
		if log, err = c.wal(ctx, "NOOP"); err != nil {
			return true, err
		}
		// Either little is left, or writers are as fast as this or a reader of an old state is in the way, and more passes would
		// only let the log grow.
		if log.rest <= checkpointRest || log.rest > before/2 {
			break
		}
	}
	if time.Now().Before(c.retry) {
		return true, nil
	}
	writer, err := c.writer.Conn(ctx)
	if err != nil {
		return true, fmt.Errorf("wait for the writing connection: %w", err)
	}
	log, err = c.wal(ctx, "RESTART")
	if log.busy {
		c.retry = time.Now().Add(checkpointRetry)
	}
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

// walState is what SQLite says of its log after a checkpoint.
type walState struct {
	busy   bool // readers or writers kept it from ending
	length int  // pages since the log was started over
	rest   int  // of which are not in the file
}

// wal runs a checkpoint (https://sqlite.org/pragma.html#pragma_wal_checkpoint). NOOP only looks; PASSIVE writes back what no reader needs
// to find in the log; RESTART waits for readers, so that the next write starts the log over. An interrupted checkpoint harms nothing.
func (c *checkpointer) wal(ctx context.Context, mode string) (s walState, err error) {
	var done int
	if err := c.conn.QueryRowContext(ctx, "PRAGMA wal_checkpoint("+mode+")").Scan(&s.busy, &s.length, &done); err != nil {
		return walState{}, fmt.Errorf("checkpoint: %w", err)
	}
	s.rest = s.length - done
	return s, nil
}
