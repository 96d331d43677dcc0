package rating

import (
	"context"
	"fmt"

	"movieexample.com/internal/groupcommit"
)

// Bounds of synchronous writes (ADR 022).
const (
	// maxPutBatch is how many puts share a transaction: with more, one transaction lasts longer, and a put costs no less.
	maxPutBatch = 256
	// maxPutsWaiting is about what a second makes durable. Further puts fail at once.
	maxPutsWaiting = 4096
	// maxPutBatches is how many of these transactions run at the same time on an engine with several writers.
	maxPutBatches = 2
)

// writer writes the ratings that users give now. Puts at the same time share transactions.
type writer struct {
	store *store
	// changed is called for each record that was put, after the transaction has ended: what failed may have been committed.
	changed func(Record)
	puts    *groupcommit.Group[put, Rating]
}

// newWriter returns a writer. metrics may be nil.
func newWriter(s *store, changed func(Record), metrics *groupcommit.Metrics) *writer {
	w := &writer{store: s, changed: changed}
	w.puts = groupcommit.New(groupcommit.Config[put]{
		Batches: min(maxPutBatches, max(1, s.db.WriteConns()/2)), MaxBatch: maxPutBatch, MaxWaiting: maxPutsWaiting, Metrics: metrics,
	}, w.commit)
	return w
}

// put sets the rating of key to value (tombstone deletes it), as of now and in any case after the stored one: the version is
// max(now, stored+1), so that the later write wins even if clocks disagree. The rating is durable when put returns.
func (w *writer) put(ctx context.Context, key Key, value int) (Rating, error) {
	// unsure is what the last COMMIT without a reply would have stored. That it can be read proves nothing: a server shows a commit
	// before it is on disk. So the rating is written again, one version later, until a COMMIT is acknowledged.
	var unsure *Rating
	for attempt := 0; ; attempt++ {
		r, err := w.puts.Do(ctx, put{key: key, value: value, unsure: unsure})
		if err == nil {
			return r, nil
		}
		if commitUnknown(err) {
			unsure = &r
			if diskFull(err) {
				if stored, readErr := w.store.read(ctx, key); readErr == nil && r.newer(stored) {
					return Rating{}, storeError("write rating", err)
				}
			}
		} else if !transient(err) {
			return Rating{}, storeError("write rating", err)
		}
		if ended := backoff(ctx, attempt); ended != nil {
			return Rating{}, fmt.Errorf("write rating: %w; last attempt: %w", ended, err)
		}
	}
}

// put is one attempt of [writer.put]. unsure is what an earlier attempt may have stored; nil: nothing.
type put struct {
	key    Key
	value  int
	unsure *Rating
}

// result is the rating that p makes of old, the zero Rating if there is none. write is false if a newer rating than unsure is stored:
// another write has superseded p, or would have.
func (p put) result(old Rating, now Micros) (r Rating, write bool) {
	if p.unsure != nil && old.newer(*p.unsure) {
		return *p.unsure, false
	}
	return newRating(p.key, p.value, max(now, old.At+1), ""), true
}

// commit is one attempt of several puts in one transaction, in their order: each sees those before it. The results are what it tried
// to store, even with an error.
func (w *writer) commit(ctx context.Context, puts []*groupcommit.Write[put]) (results []groupcommit.Result[Rating], err error) {
	keys := make([]Rating, len(puts))
	for i, p := range puts {
		keys[i].Key = p.Value.key
		defer w.changed(p.Value.key.Record)
	}
	err = w.store.rewrite(ctx, keys, func(before map[Key]Rating) (changes []Rating) {
		results = make([]groupcommit.Result[Rating], len(puts))
		latest := make(map[Key]Rating, len(puts)) // after the puts so far
		for i, p := range puts {
			if results[i].Err = p.Left(); results[i].Err != nil {
				continue
			}
			old, changed := latest[p.Value.key]
			if !changed {
				old = before[p.Value.key]
			}
			r, write := p.Value.result(old, ToMicros(w.store.now()))
			if results[i].Value = r; write {
				changes = append(changes, r)
				latest[r.Key] = r
			}
		}
		return changes
	})
	return results, err
}
