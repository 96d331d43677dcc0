package metadata

import (
	"context"
	"fmt"
	"slices"
	"time"

	"movieexample.com/internal/fault"
)

// Outcome is what became of one movie of a put.
type Outcome uint8

// The outcomes.
const (
	Refused Outcome = iota
	Created
	Updated
	Unchanged // the stored movie was the same already; nothing was written
)

// String is the outcome's name in lower case.
func (o Outcome) String() string {
	switch o {
	case Created:
		return "created"
	case Updated:
		return "updated"
	case Unchanged:
		return "unchanged"
	}
	return "refused"
}

// Mode says what a put does to a movie that exists.
type Mode uint8

const (
	// Replace replaces it whole.
	Replace Mode = iota
	// Fill fills in what the stored movie lacks and unites lists; nothing stored is overwritten
	// but in the fields of which the sender says so. Another title than the stored one becomes an
	// alternative title.
	Fill
)

// putResult is what became of one movie of a batch.
type putResult struct {
	outcome Outcome
	err     error // why it was refused; nil for all other outcomes
}

// What an expected etag may be beside the etag of a stored movie, which is never one of them. A
// service from before they had a meaning refuses a write that has one, because no movie has such
// an etag; that is why the condition is not a field of its own, which such a service would ignore.
const (
	anyETag = "*"    // the movie must exist
	noETag  = "none" // it must not
)

// Put creates the movie or replaces it whole, and returns it as stored. If expectedETag is not
// empty, the stored movie must have it; with "*" it must exist, with "none" it must not.
// KindInvalid: a field is out of range. KindConflict: the stored movie is not what the etag
// demands. KindExists: an external id belongs to another movie.
func (s *Service) Put(ctx context.Context, m Movie, expectedETag string) (Movie, Outcome, error) {
	return s.put(ctx, "movie", m, expectedETag, func(_, m Movie) Movie { return m })
}

// put writes one movie. field is what the request calls the movie; merge makes the new movie of
// the stored one, where there is one, and of the normalised m.
func (s *Service) put(ctx context.Context, field string, m Movie, expectedETag string, merge func(stored, m Movie) Movie) (Movie, Outcome, error) {
	written, outcome, err := Movie{}, Refused, error(nil)
	if m, err = m.normalised(field); err == nil {
		e := edit{movie: m, field: field, expectedETag: expectedETag, merge: merge}
		now := s.now()
		var number int64
		number, err = s.store.update(ctx, []string{m.ID}, keysOf(m), func(x *excerpt) (err error) {
			written, outcome, err = x.apply(e, now)
			return err
		})
		s.follower.wrote(number)
	}
	if err != nil {
		s.count(Refused)
		return Movie{}, Refused, err
	}
	s.count(outcome)
	return written, outcome, nil
}

// putBatch writes up to MaxBatch movies in one transaction and tells what became of each, in their
// order. A refused movie leaves the others alone; an id that comes twice is written twice, in
// order. A movie whose element of unreadable is not nil is refused with that error: the door it
// came through could not make a Movie of it. The error is about the batch as a whole: then nothing
// was written. overwrite names the fields in which a Fill replaces what is stored.
func (s *Service) putBatch(ctx context.Context, movies []Movie, unreadable []error, mode Mode, overwrite []string) ([]putResult, error) {
	if n := len(movies); n > MaxBatch {
		return nil, fault.Invalid("movies", "must be at most %d movies, got %d", MaxBatch, n)
	}
	merge := func(_, m Movie) Movie { return m }
	if mode == Fill {
		o, err := overwrittenFields(overwrite)
		if err != nil {
			return nil, err
		}
		merge = func(stored, m Movie) Movie { return fill(stored, m, o) }
	} else if len(overwrite) > 0 {
		return nil, fault.Invalid("overwrite", "must be empty unless the mode is BATCH_PUT_MODE_FILL: a movie that is replaced is overwritten whole")
	}
	var (
		results = make([]putResult, len(movies))
		edits   = make(map[int]edit, len(movies)) // by the movie's place in the batch
		ids     = make([]string, 0, len(movies))
		keys    []externalKey
	)
	for i, m := range movies {
		field, err := fmt.Sprintf("movies[%d]", i), unreadable[i]
		if err == nil {
			m, err = m.normalised(field)
		}
		if err != nil {
			results[i].err = err
			continue
		}
		edits[i] = edit{movie: m, field: field, merge: merge}
		ids = append(ids, m.ID)
		keys = append(keys, keysOf(m)...)
	}
	if len(edits) > 0 {
		now := s.now()
		number, err := s.store.update(ctx, ids, keys, func(x *excerpt) error {
			for i := range movies {
				if e, ok := edits[i]; ok {
					_, results[i].outcome, results[i].err = x.apply(e, now)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		s.follower.wrote(number)
	}
	for _, r := range results {
		s.count(r.outcome)
	}
	return results, nil
}

// Delete removes a movie. If expectedETag is neither empty nor "*", the movie must have it.
// KindInvalid: it is "none". KindNotFound: there is no such movie. KindConflict: the etag is
// another one.
func (s *Service) Delete(ctx context.Context, id, expectedETag string) error {
	if err := fault.ID("id", id); err != nil {
		return err
	}
	if expectedETag == noETag {
		return fault.Invalid("expected_etag", "must not be %q: a movie that does not exist cannot be deleted", noETag)
	}
	number, err := s.store.update(ctx, []string{id}, nil, func(x *excerpt) error {
		return x.remove(id, expectedETag)
	})
	if err != nil {
		return err
	}
	s.follower.wrote(number)
	return nil
}

func keysOf(m Movie) []externalKey { return slices.Collect(m.External.all()) }

// edit is one movie of a put.
type edit struct {
	movie        Movie  // normalised
	field        string // what the request calls it
	expectedETag string
	merge        func(stored, movie Movie) Movie // used where the movie exists
}

// excerpt is the part of the catalogue that one transaction works on: the store fills it, the
// rules change it, the store writes the difference. So the rules need no SQL, and a batch in
// which a movie or an external id occurs several times needs no second look at the tables.
type excerpt struct {
	// movies has every movie of the transaction that exists, by id.
	movies map[string]Movie
	// owners tells which movie carries an external id. It knows the ids that the transaction
	// wants to write; one that is missing is free.
	owners map[externalKey]string
}

// apply makes one edit, and returns the movie as it is now and what became of it. An error
// leaves the excerpt as it was.
func (x *excerpt) apply(e edit, now time.Time) (Movie, Outcome, error) {
	id := e.movie.ID
	stored, exists := x.movies[id]
	if err := checkETag(id, stored, exists, e.expectedETag); err != nil {
		return Movie{}, Refused, err
	}
	next := e.movie
	if exists {
		if next = e.merge(stored, e.movie); next.sameContent(stored) {
			return stored, Unchanged, nil
		}
	}
	for k := range next.External.all() {
		if owner, taken := x.owners[k]; taken && owner != id {
			return Movie{}, Refused, clash(fault.KindExists, e.field+".external_ids."+k.source,
				"%q belongs to the movie %s; an external id belongs to one movie: change that one first, or write to it", k.id, quote(owner))
		}
	}
	now = now.UTC().Truncate(time.Microsecond)
	outcome := Created
	next.Created, next.Updated = now, now
	if exists {
		outcome = Updated
		next.Created = stored.Created
		if now.Before(stored.Updated) { // the clock was set back
			next.Updated = stored.Updated
		}
	}
	next.ETag = next.nextETag(stored.ETag)
	for k := range stored.External.all() {
		delete(x.owners, k)
	}
	for k := range next.External.all() {
		x.owners[k] = id
	}
	x.movies[id] = next
	return next, outcome, nil
}

// remove deletes a movie.
func (x *excerpt) remove(id, expectedETag string) error {
	stored, exists := x.movies[id]
	if !exists {
		return noSuchMovie(id)
	}
	if err := checkETag(id, stored, exists, expectedETag); err != nil {
		return err
	}
	for k := range stored.External.all() {
		delete(x.owners, k)
	}
	delete(x.movies, id)
	return nil
}

// checkETag reports whether the stored movie is what the expected etag demands.
func checkETag(id string, stored Movie, exists bool, expected string) error {
	switch {
	case expected == "", expected == noETag && !exists, exists && (expected == anyETag || expected == stored.ETag):
		return nil
	case expected == noETag:
		return clash(fault.KindConflict, "expected_etag", "the movie %s exists, its etag is %q: leave it out to replace the movie", quote(id), stored.ETag)
	case !exists:
		return clash(fault.KindConflict, "expected_etag", "the movie %s does not exist (any more): leave it out to create the movie", quote(id))
	}
	return clash(fault.KindConflict, "expected_etag", "the movie %s has the etag %q now, not %s: read it again, then retry", quote(id), stored.ETag, quote(expected))
}

// clash says which field of a request does not go with what is stored. The name is in the error's field and not in its
// text, because the services in front of this one spell it otherwise.
func clash(kind fault.Kind, field, format string, args ...any) error {
	return &fault.Error{Kind: kind, Fields: []fault.Field{{Name: field, Reason: fmt.Sprintf(format, args...)}}}
}
