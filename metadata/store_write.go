package metadata

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/sqldb"
)

// change is what one request asks of the catalogue: the movies and external ids that it is about, and rules that change them.
type change struct {
	ids   []string
	keys  []externalKey
	rules func(*excerpt) error
}

// update reads the movies with the ids, and who owns the external ids, into an excerpt, lets
// rules change it, and writes the difference: in one transaction, in which nobody else changes
// what was read. It returns the number that the transaction has in the change feed, 0 if it changed nothing. If
// rules return an error, they must leave the excerpt as it was; the error is returned and nothing is written.
//
// Updates at the same time share a transaction: their rules run one after the other, on one excerpt. Rules may be called
// again, with a new excerpt, but not after update has returned anything but ctx's error.
func (s *store) update(ctx context.Context, ids []string, keys []externalKey, rules func(*excerpt) error) (number int64, err error) {
	number, err = s.updates.Do(ctx, change{ids: ids, keys: keys, rules: rules})
	return number, explain(ctx, "write movies", err)
}

// updateAll makes several updates in one transaction, in their order: each sees those before it.
func (s *store) updateAll(ctx context.Context, updates []*groupcommit.Write[change]) (results []groupcommit.Result[int64], err error) {
	var (
		ids     []string
		keys    []externalKey
		written trace
	)
	for _, u := range updates {
		ids = append(ids, u.Value.ids...)
		keys = append(keys, u.Value.keys...)
	}
	// Whoever locks several rows locks them in the same order, or two transactions can wait
	// for each other on engines that lock rows.
	slices.Sort(ids)
	slices.SortFunc(keys, externalKey.compare)
	ids, keys = slices.Compact(ids), slices.Compact(keys)
	defer func() {
		for _, id := range ids {
			s.changed(id)
		}
	}()
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		results, written = make([]groupcommit.Result[int64], len(updates)), trace{}
		var (
			last   int64
			before = make(map[string]movieRow, len(ids))
			owners = make(map[externalKey]string, len(keys))
		)
		err := tx.Pipeline(ctx, turn(tx, movieSequence, &last), s.rows(tx, ids, before), s.owners(tx, keys, owners))
		if err == nil {
			err = mustCount(movieSequence, last)
		}
		if err != nil {
			return err
		}
		x := &excerpt{movies: make(map[string]Movie, len(before)), owners: owners}
		for id, r := range before {
			x.movies[id] = r.Movie
		}
		for i, u := range updates {
			if results[i].Err = u.Left(); results[i].Err != nil {
				continue
			}
			results[i].Err = u.Value.rules(x)
		}
		c := difference(ids, before, x.movies)
		number, err := s.save(ctx, tx, c, last+1)
		for i := range results {
			results[i].Value = number
		}
		written = trace{number: number, ids: c.announce, etags: etagsOf(x.movies, c.announce)}
		return err
	}, func(ctx context.Context) (outcome, error) { return s.find(ctx, written) })
	return results, err
}

// outcome is what a look at the tables tells of a transaction whose commit nobody confirmed.
type outcome uint8

const (
	// undecided: others have changed since whatever it would have changed.
	undecided outcome = iota
	stored
	absent
)

// writePatience bounds for how long a write is tried again. It is longer than a database needs to restart or to find a
// deadlock, and short enough for a caller without a deadline to hear what is wrong.
const writePatience = 20 * time.Second

// write runs a transaction until its outcome is known, and returns nil if it took place. What the engine gave up for others
// (a deadlock, a lock that was not to be had, a lost connection) runs again. After a commit of unknown outcome, find looks
// whether it took place; only if that cannot be told either, the *sqldb.CommitError is returned.
func (s *store) write(ctx context.Context, change func(context.Context, *sqldb.Tx) error, find func(context.Context) (outcome, error)) error {
	began := time.Now()
	for attempt := 0; ; attempt++ {
		err := s.db.Write(ctx, change)
		unknown := (*sqldb.CommitError)(nil)
		switch {
		case errors.As(err, &unknown):
			found, findErr := s.retry(ctx, began, find)
			switch {
			case findErr != nil:
				return fmt.Errorf("%w (reading back: %w)", err, findErr)
			case found == stored:
				return nil
			case found == undecided:
				return err
			case sqldb.Full(err), errors.As(err, new(*sqldb.TroubleError)):
				return unknown.Err // it is known now, and waiting mends neither a disk nor a file
			}
		case err == nil || !sqldb.Transient(err):
			return err
		}
		if !pause(ctx, began, attempt) {
			return err
		}
	}
}

// retry repeats a look at the tables until it succeeds, patience is at its end, or an operator has to do something first.
func (s *store) retry(ctx context.Context, began time.Time, find func(context.Context) (outcome, error)) (outcome, error) {
	for attempt := 0; ; attempt++ {
		found, err := find(ctx)
		if err == nil || errors.As(err, new(*sqldb.TroubleError)) || !pause(ctx, began, attempt) {
			return found, err
		}
	}
}

// pause waits before another attempt, with full jitter so that those who collided do not meet again, and reports whether
// there should be one.
func pause(ctx context.Context, began time.Time, attempt int) bool {
	limit := min(10*time.Millisecond<<min(attempt, 10), time.Second)
	wait := time.Millisecond + rand.N(limit)
	if time.Since(began)+wait > writePatience {
		return false
	}
	return sleep(ctx, wait, nil)
}

// trace is what a transaction leaves behind: its number in the feed, and the films it changed with their etags, "" for one
// that it removed.
type trace struct {
	number int64
	ids    []string
	etags  map[string]string
}

func etagsOf(movies map[string]Movie, ids []string) map[string]string {
	etags := make(map[string]string, len(ids))
	for _, id := range ids {
		etags[id] = movies[id].ETag
	}
	return etags
}

// find tells whether the transaction that would have left a trace took place. It waits for its turn, and so for the
// transaction itself, should the server still be at it. What it says took place is on disk: that it can be seen proves nothing, as a
// server shows a commit before; so a number is taken behind it, by a commit that is answered.
func (s *store) find(ctx context.Context, t trace) (found outcome, err error) {
	if t.number == 0 {
		return stored, nil // there was nothing to write
	}
	read := false
	err = s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		var last int64
		present := make(map[string]version, len(t.ids))
		err := tx.Pipeline(ctx, turn(tx, movieSequence, &last), s.versions(t.ids, present))
		if err == nil {
			err = mustCount(movieSequence, last)
		}
		if err != nil {
			return err
		}
		if found, read = t.verdict(last, present), true; found == stored {
			err = tx.Pipeline(ctx, number(movieSequence, last+1))
		}
		return err
	})
	if read && (err == nil || found != stored) {
		return found, nil // where nothing was written, it does not matter how the transaction ended
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

// verdict compares the trace with what is there. The number alone proves nothing: it was given out again if the
// transaction that took it first was rolled back. The etag does, as it depends on the content, the version before and the
// time.
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
