package rating

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/sqldb"
)

// Bounds of synchronous writes (ADR 022).
const (
	// maxPutBatch is how many puts share a transaction: with more, one transaction lasts longer, and a put costs no less.
	maxPutBatch = 256
	// maxPutsWaiting is what a second or so makes durable. Who comes then is better told at once.
	maxPutsWaiting = 4096
	// maxPutBatches is how many of these transactions are under way on an engine with several writers.
	maxPutBatches = 2
)

// put sets the rating of key to value (tombstone deletes it) as of now, and in any case after what is stored: the
// version is max(now, stored+1), so that a write which was asked for later wins even where clocks disagree.
// It is durable when put returns. Puts at the same time share transactions.
func (s *store) put(ctx context.Context, key Key, value int) (Rating, error) {
	// What the last COMMIT without an answer would have stored. That it can be seen proves nothing: a server shows a commit before it
	// is on disk. So it is written again, a version later, until a COMMIT is answered.
	var unsure *Rating
	for attempt := 0; ; attempt++ {
		r, err := s.puts.Do(ctx, put{key: key, value: value, unsure: unsure})
		if err == nil {
			return r, nil
		}
		if unknown := (*sqldb.CommitError)(nil); errors.As(err, &unknown) {
			unsure = &r
			if sqldb.Full(err) {
				if stored, readErr := s.read(ctx, key); readErr == nil && r.newer(stored) {
					return Rating{}, storeError("write rating", err) // waiting frees no disk
				}
			}
		} else if !sqldb.Transient(err) {
			return Rating{}, storeError("write rating", err)
		}
		if ended := backoff(ctx, attempt); ended != nil {
			return Rating{}, fmt.Errorf("write rating: %w; the last attempt said: %w", ended, err)
		}
	}
}

// put is what one attempt of [store.put] asks for. unsure is what an attempt before it may have stored; nil: none may have.
type put struct {
	key    Key
	value  int
	unsure *Rating
}

// result is the rating that p makes of old, the zero Rating where there is none; write is false where nothing is left to do.
// Where something newer is stored than what p is unsure of, another write came behind it: p was overtaken, or is as good as
// overtaken.
func (p put) result(old Rating, now Micros) (r Rating, write bool) {
	if p.unsure != nil && old.newer(*p.unsure) {
		return *p.unsure, false
	}
	return newRating(p.key, p.value, max(now, old.At+1), ""), true
}

// putAll is one attempt of several puts in one transaction, in their order: each sees those before it. Also with an error it
// returns what it tried to store.
func (s *store) putAll(ctx context.Context, puts []*groupcommit.Write[put]) (results []groupcommit.Result[Rating], err error) {
	keys := make([]Rating, len(puts))
	for i, p := range puts {
		keys[i].Key = p.Value.key
		defer s.changed(p.Value.key.Record)
	}
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		before, err := s.before(ctx, tx, keys)
		if err != nil {
			return err
		}
		results = make([]groupcommit.Result[Rating], len(puts))
		var (
			changes = make([]Rating, 0, len(puts))
			latest  = make(map[Key]Rating, len(puts)) // what the puts so far make of before
		)
		for i, p := range puts {
			if results[i].Err = p.Left(); results[i].Err != nil {
				continue
			}
			old, changed := latest[p.Value.key]
			if !changed {
				old = before[p.Value.key]
			}
			r, write := p.Value.result(old, ToMicros(s.now()))
			if results[i].Value = r; write {
				changes = append(changes, r)
				latest[r.Key] = r
			}
		}
		return s.apply(ctx, tx, before, changes)
	})
	return results, err
}

// backoff waits before another attempt: up to 10 ms · 2^attempt, at most a second, with full jitter so that those
// who collided do not meet again.
func backoff(ctx context.Context, attempt int) error {
	limit := min(10*time.Millisecond<<min(attempt, 10), time.Second)
	t := time.NewTimer(rand.N(limit) + time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
