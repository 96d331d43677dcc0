package metadata

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"movieexample.com/internal/sqldb"
)

// outcome is what the tables tell about a transaction whose commit was not confirmed.
type outcome uint8

const (
	// undecided: others have since changed everything that it would have changed.
	undecided outcome = iota
	stored
	absent
)

// maxWriteRetry bounds for how long a write is retried. It is longer than a database needs to restart or to detect a
// deadlock, and short enough that a caller without a deadline learns what is wrong.
const maxWriteRetry = 20 * time.Second

// write runs a transaction until its outcome is known, and returns nil if it was committed. It retries after a deadlock, a lock
// that it could not get, or a lost connection. After a commit of unknown outcome, find checks whether it was stored; if find
// cannot tell either, write returns the *sqldb.CommitError.
func (s *store) write(ctx context.Context, change func(context.Context, *sqldb.Tx) error, find func(context.Context) (outcome, error)) error {
	began := time.Now()
	for attempt := 0; ; attempt++ {
		err := s.db.Write(ctx, change)
		unknown := (*sqldb.CommitError)(nil)
		switch {
		case errors.As(err, &unknown):
			found, findErr := retryFind(ctx, began, find)
			switch {
			case findErr != nil:
				return fmt.Errorf("%w (reading back: %w)", err, findErr)
			case found == stored:
				return nil
			case found == undecided:
				return err
			case sqldb.Full(err), errors.As(err, new(*sqldb.TroubleError)):
				return unknown.Err // known to be absent; a retry would not help
			}
		case err == nil || !sqldb.Transient(err):
			return err
		}
		if !pause(ctx, began, attempt) {
			return err
		}
	}
}

// retryFind repeats find until it succeeds, maxWriteRetry has passed, or an operator has to act first.
func retryFind(ctx context.Context, began time.Time, find func(context.Context) (outcome, error)) (outcome, error) {
	for attempt := 0; ; attempt++ {
		found, err := find(ctx)
		if err == nil || errors.As(err, new(*sqldb.TroubleError)) || !pause(ctx, began, attempt) {
			return found, err
		}
	}
}

// pause waits before another attempt, with full jitter so that transactions that collided do not collide again, and reports
// whether there should be one.
func pause(ctx context.Context, began time.Time, attempt int) bool {
	limit := min(10*time.Millisecond<<min(attempt, 10), time.Second)
	wait := time.Millisecond + rand.N(limit)
	if time.Since(began)+wait > maxWriteRetry {
		return false
	}
	return sleep(ctx, wait, nil)
}

// sleep waits for d or until wake has an element, and reports whether ctx is still valid.
func sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-wake:
	case <-timer.C:
	}
	return true
}

// trace is what a transaction leaves behind: its number in the feed, and the films it changed with their etags, "" for one
// that it removed.
type trace struct {
	number int64
	ids    []string
	etags  map[string]string
}

// find reports whether the transaction that would have left the trace was committed. It waits for its turn, and so for the
// transaction itself, if the server still runs it. A visible effect does not prove that it is on disk, because a
// server shows a commit earlier; so find takes a number after it and waits until that commit is confirmed.
func (s *store) find(ctx context.Context, t trace) (found outcome, err error) {
	if t.number == 0 {
		return stored, nil // there was nothing to write
	}
	read := false
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		present := make(map[string]version, len(t.ids))
		last, err := takeTurn(ctx, tx, movieSequence, s.versions(t.ids, present))
		if err != nil {
			return err
		}
		if found, read = t.verdict(last, present), true; found == stored {
			err = tx.Pipeline(ctx, setNumber(movieSequence, last+1))
		}
		return err
	})
	if read && (err == nil || found != stored) {
		return found, nil // if nothing was written, it does not matter how the transaction ended
	}
	return undecided, fmt.Errorf("look for a write of unknown outcome: %w", err)
}

// version is a film's last change.
type version struct {
	number int64
	etag   string // "" where the film was removed
}

// versions reads the last changes of the films into found.
func (s *store) versions(ids []string, found map[string]version) sqldb.Statement {
	return sqldb.Statement{
		Doing: "read the films' last changes", N: len(ids),
		Text: func(n int) string {
			return "SELECT c.movie_id, c.seq, COALESCE(m.etag, '') FROM movie_changes c LEFT JOIN movies m ON m.id = c.movie_id WHERE c.movie_id IN " +
				s.db.Dialect().Placeholders(n, 1)
		},
		Args: func(i int, dst []any) []any { return append(dst, ids[i]) },
		Scan: func(scan func(...any) error) error {
			var (
				id string
				v  version
			)
			err := scan(&id, &v.number, &v.etag)
			found[id] = v
			return err
		},
	}
}

// verdict compares the trace with what is there. The number alone proves nothing: if the transaction that took it first was
// rolled back, it was given out again. The etag does, as it depends on the content, the version before and the time.
func (t trace) verdict(last int64, present map[string]version) outcome {
	if last < t.number {
		return absent
	}
	found := undecided
	for _, id := range t.ids {
		switch v := present[id]; {
		case v.number < t.number, v.number == t.number && v.etag != t.etags[id]:
			return absent
		case v.number == t.number:
			found = stored
		}
	}
	return found
}
