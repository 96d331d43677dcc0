package metadata

import (
	"context"
	"fmt"
	"slices"
	"time"

	"movieexample.com/internal/fault"
)

// Outcome is what became of one movie of a put.
type Outcome string

// The outcomes, as in the metric.
const (
	Refused   Outcome = "refused"
	Created   Outcome = "created"
	Updated   Outcome = "updated"
	Unchanged Outcome = "unchanged" // the stored movie was the same already; nothing was written
)

// Mode says what a put does to a movie that exists.
type Mode uint8

const (
	// Replace replaces it whole.
	Replace Mode = iota
	// Fill fills in what the stored movie lacks and unites lists; it overwrites only the fields that the
	// sender names. A title that differs from the stored one becomes an alternative title.
	Fill
)

// putResult is what became of one movie of a batch.
type putResult struct {
	outcome Outcome
	err     error // why it was refused; nil for all other outcomes
}

// An expected etag that is not the etag of a stored movie, which is never one of these. They are not a
// separate field, because a service of an earlier version would ignore that; it refuses these, as no movie has such an etag.
const (
	anyETag = "*"    // the movie must exist
	noETag  = "none" // it must not
)

// Put creates the movie or replaces it whole, and returns it as stored. If expectedETag is not
// empty, the stored movie must have it; with "*" it must exist, with "none" it must not.
// KindInvalid: a field is out of range. KindConflict: the stored movie does not meet the
// condition. KindExists: an external id belongs to another movie.
func (s *Service) Put(ctx context.Context, m Movie, expectedETag string) (Movie, Outcome, error) {
	return s.put(ctx, "movie", m, expectedETag, func(_, m Movie) Movie { return m })
}

// put writes one movie. field is the movie's name in the request; merge makes the new movie from
// the stored one, if there is one, and the normalised m.
func (s *Service) put(ctx context.Context, field string, m Movie, expectedETag string, merge func(stored, m Movie) Movie) (Movie, Outcome, error) {
	written, outcome, err := Movie{}, Refused, error(nil)
	if m, err = m.normalised(field); err == nil {
		e := edit{movie: m, field: field, expectedETag: expectedETag, merge: merge}
		now := s.now()
		var number int64
		number, err = s.writer.update(ctx, []string{m.ID}, slices.Collect(m.External.all()), func(x *excerpt) (err error) {
			written, outcome, err = x.edit(e, now)
			return err
		})
		s.indexer.wrote(number)
	}
	if err != nil {
		s.written.WithLabelValues(string(Refused)).Inc()
		return Movie{}, Refused, err
	}
	s.written.WithLabelValues(string(outcome)).Inc()
	return written, outcome, nil
}

// putBatch writes up to MaxBatch movies in one transaction and returns the outcome of each, in their
// order. A refused movie does not affect the others; an id that comes twice is written twice, in
// order. A movie whose element of unreadable is not nil is refused with that error: the API
// could not convert it to a Movie. The returned error is about the batch as a whole: then nothing
// was written. overwrite names the fields in which a Fill replaces what is stored.
func (s *Service) putBatch(ctx context.Context, movies []Movie, unreadable []error, mode Mode, overwrite []string) ([]putResult, error) {
	if n := len(movies); n > MaxBatch {
		return nil, fault.Invalid("movies", "must be at most %d movies, got %d", MaxBatch, n)
	}
	merged := func(_, m Movie) Movie { return m }
	if mode == Fill {
		o, err := overwrittenFields(overwrite)
		if err != nil {
			return nil, err
		}
		merged = func(stored, m Movie) Movie { return merge(stored, m, o) }
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
			results[i] = putResult{Refused, err}
			continue
		}
		edits[i] = edit{movie: m, field: field, merge: merged}
		ids = append(ids, m.ID)
		keys = slices.AppendSeq(keys, m.External.all())
	}
	if len(edits) > 0 {
		now := s.now()
		number, err := s.writer.update(ctx, ids, keys, func(x *excerpt) error {
			for i := range movies {
				if e, ok := edits[i]; ok {
					_, results[i].outcome, results[i].err = x.edit(e, now)
				}
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
		s.indexer.wrote(number)
	}
	for _, r := range results {
		s.written.WithLabelValues(string(r.outcome)).Inc()
	}
	return results, nil
}

// Delete removes a movie. If expectedETag is neither empty nor "*", the movie must have it.
// KindInvalid: it is "none". KindNotFound: the movie does not exist. KindConflict: the movie has
// another etag.
func (s *Service) Delete(ctx context.Context, id, expectedETag string) error {
	if err := fault.ID("id", id); err != nil {
		return err
	}
	if expectedETag == noETag {
		return fault.Invalid("expected_etag", "must not be %q: a movie that does not exist cannot be deleted", noETag)
	}
	number, err := s.writer.update(ctx, []string{id}, nil, func(x *excerpt) error {
		return x.remove(id, expectedETag)
	})
	if err != nil {
		return err
	}
	s.indexer.wrote(number)
	return nil
}

// edit is one movie of a put.
type edit struct {
	movie        Movie  // normalised
	field        string // its name in the request
	expectedETag string
	merge        func(stored, movie Movie) Movie // used if the movie exists
}

// edit makes one edit, and returns the movie as it is now and the outcome. After an error the
// excerpt is as it was.
func (x *excerpt) edit(e edit, now time.Time) (Movie, Outcome, error) {
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

// checkETag checks the stored movie against the expected etag.
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

// clash says which field of a request conflicts with what is stored. The name is in the error's field and not in its
// text, because the services in front of this one spell it differently.
func clash(kind fault.Kind, field, format string, args ...any) error {
	return &fault.Error{Kind: kind, Fields: []fault.Field{{Name: field, Reason: fmt.Sprintf(format, args...)}}}
}
