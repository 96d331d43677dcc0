package sqldb_test

import (
	"bytes"
	"context"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"movieexample.com/internal/sqldb"
)

const (
	wide = `-- +goose Up
CREATE TABLE wide (id INTEGER NOT NULL PRIMARY KEY, text VARCHAR(4000) NOT NULL);
`
	wideRows = 20000 // 80 MB, one page each
	// SQLite checkpoints in a commit at 128 MiB.
	steadyLog = 120 << 20
	// SQLite truncates the log to this size when it restarts the log.
	keptLog = 64 << 20
)

// change writes n random rows of the table wide in one transaction: about n pages of log.
func change(ctx context.Context, db *sqldb.DB, n int) error {
	return db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		for range n {
			_, err := tx.ExecContext(ctx, "INSERT INTO wide (id, text) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET text = excluded.text",
				rand.IntN(wideRows), strings.Repeat(string(rune('a'+rand.IntN(26))), 3500))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func logSize(tb testing.TB, path string) int64 {
	tb.Helper()
	info, err := os.Stat(path + "-wal")
	if err != nil {
		tb.Fatal(err)
	}
	return info.Size()
}

// generation is different each time that SQLite starts the log over: the salt in its header (https://sqlite.org/fileformat2.html#walformat).
func generation(tb testing.TB, path string) string {
	tb.Helper()
	f, err := os.Open(path + "-wal")
	if err != nil {
		tb.Fatal(err)
	}
	defer f.Close()
	salt := make([]byte, 8)
	if _, err := f.ReadAt(salt, 16); err != nil {
		tb.Fatal(err)
	}
	return string(salt)
}

func TestLogIsWrittenBackBesideWriters(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, sqldb.Options{}, wide)
	ctx, stop := context.WithCancel(t.Context())
	var readers errgroup.Group
	for range 2 { // short reads, as services make them
		readers.Go(func() error {
			for ctx.Err() == nil {
				var n int
				if err := db.Read().QueryRowContext(context.WithoutCancel(ctx), "SELECT count(*) FROM wide WHERE id < 100").Scan(&n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for round := range 2 {
		if err := change(t.Context(), db, 1); err != nil {
			t.Fatal(err)
		}
		before := generation(t, path)
		for range 41 { // 33 MiB, when it is time to write the log back
			if err := change(t.Context(), db, 200); err != nil {
				t.Fatal(err)
			}
		}
		for generation(t, path) == before {
			if err := change(t.Context(), db, 1); err != nil {
				t.Fatal(err)
			}
			if size := logSize(t, path); size > steadyLog {
				t.Fatalf("round %d: the log has %d bytes and was not started over, want at most %d", round, size, steadyLog)
			}
		}
	}
	stop()
	if err := readers.Wait(); err != nil {
		t.Error(err)
	}
}

// A reader of an old state holds the log; once it ends, the log is written back and cut as writing continues.
func TestLogAfterALongSnapshot(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	db := openAt(t, path, sqldb.Options{}, wide)
	if err := change(t.Context(), db, 1); err != nil {
		t.Fatal(err)
	}
	err := db.Snapshot(t.Context(), func(ctx context.Context, q sqldb.Queryer) error {
		var before, after int
		if err := q.QueryRowContext(ctx, "SELECT count(*) FROM wide").Scan(&before); err != nil {
			return err
		}
		for range 90 { // 70 MiB
			if err := change(ctx, db, 200); err != nil {
				return err
			}
		}
		if size := logSize(t, path); size < keptLog {
			t.Errorf("the log has %d bytes beside a snapshot: it did not hold the log, so this test shows nothing", size)
		}
		if err := q.QueryRowContext(ctx, "SELECT count(*) FROM wide").Scan(&after); err != nil {
			return err
		}
		if before != after {
			t.Errorf("a snapshot saw %d rows, and then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(time.Minute); logSize(t, path) > keptLog; {
		if time.Now().After(deadline) {
			t.Fatalf("the log still has %d bytes after the snapshot ended", logSize(t, path))
		}
		if err := change(t.Context(), db, 50); err != nil {
			t.Fatal(err)
		}
	}
}

// lockedBuffer is a log that a test reads while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// The database file cannot be opened to sync it: that is told once, writes continue, and the end of it is told, too.
func TestLogThatCannotBeWrittenBack(t *testing.T) {
	path := filepath.Join(t.TempDir(), "test.db")
	var log lockedBuffer
	db := openAt(t, path, sqldb.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, wide)
	if err := os.Rename(path, path+".away"); err != nil {
		t.Fatal(err)
	}
	const failed, again = "checkpoint failed", "checkpoints succeed again"
	writeUntil := func(text string) {
		t.Helper()
		for deadline := time.Now().Add(time.Minute); !strings.Contains(log.String(), text); {
			if err := change(t.Context(), db, 200); err != nil {
				t.Fatal(err)
			}
			if time.Now().After(deadline) {
				t.Fatalf("nothing in the log says %q:\n%s", text, log.String())
			}
		}
	}
	writeUntil(failed)
	for range 50 {
		if err := change(t.Context(), db, 200); err != nil {
			t.Fatal(err)
		}
	}
	if n := strings.Count(log.String(), failed); n != 1 {
		t.Errorf("a lasting failure was logged %d times, want once:\n%s", n, log.String())
	}
	if err := os.Rename(path+".away", path); err != nil {
		t.Fatal(err)
	}
	writeUntil(again)
}
