package rating

import (
	"context"
	"time"

	"movieexample.com/internal/fault"
)

// ratings reads and writes single ratings, and the aggregates of single records. Its errors are faults.
type ratings struct {
	store   *store
	writer  *writer
	results *results
}

// put sets a user's rating as of now.
func (s *ratings) put(ctx context.Context, k Key, value int) (Rating, error) {
	if err := k.validate(); err != nil {
		return Rating{}, err
	}
	if err := validValue("value", value); err != nil {
		return Rating{}, err
	}
	return s.writer.put(ctx, k, value)
}

// remove deletes a user's rating as of now, if there is one.
func (s *ratings) remove(ctx context.Context, k Key) error {
	if err := k.validate(); err != nil {
		return err
	}
	_, err := s.writer.put(ctx, k, tombstone)
	return err
}

// rating returns a user's rating, or NotFound.
func (s *ratings) rating(ctx context.Context, k Key) (Rating, error) {
	if err := k.validate(); err != nil {
		return Rating{}, err
	}
	r, err := s.store.read(ctx, k)
	if err == nil && r.Deleted() {
		err = fault.NotFound("user %q has not rated %s %q", k.User, k.Type, k.ID)
	}
	return r, err
}

// ofRecord returns up to limit ratings of a record in the order of user ids, those after afterUser.
func (s *ratings) ofRecord(ctx context.Context, rec Record, afterUser string, limit int) ([]Rating, error) {
	return s.store.byRecord(ctx, rec, afterUser, limit)
}

// ofUser returns up to limit ratings of a user, newest first, those after place; recordType may be empty.
func (s *ratings) ofUser(ctx context.Context, user, recordType string, place *userPlace, limit int) ([]Rating, error) {
	return s.store.byUser(ctx, user, recordType, place, limit)
}

// all returns up to limit ratings in the order of their keys, those after a key: of recordType, or of all types if it is empty.
func (s *ratings) all(ctx context.Context, recordType string, after Key, limit int) ([]Rating, error) {
	if recordType == "" {
		return s.store.everyRatingAfter(ctx, after, limit)
	}
	return s.store.ratingsAfter(ctx, after, limit)
}

// aggregate returns a record's aggregate and when it was read. A record without ratings is NotFound.
func (s *ratings) aggregate(ctx context.Context, rec Record) (Aggregate, time.Time, error) {
	if err := rec.validate(); err != nil {
		return Aggregate{}, time.Time{}, err
	}
	asOf := s.store.now()
	a, err := s.store.aggregate(ctx, rec)
	if err == nil && a.Votes == 0 {
		err = noRatings(rec)
	}
	return a, asOf, err
}

// summaryList has aggregates of records of one type, and what their weighted means are computed with.
type summaryList struct {
	records []delta
	prior   Prior
	asOf    time.Time
}

// summary returns a record's summary. A record without ratings is NotFound.
func (s *ratings) summary(ctx context.Context, rec Record) (summaryList, error) {
	a, asOf, err := s.aggregate(ctx, rec)
	if err != nil {
		return summaryList{}, err
	}
	prior, err := s.results.prior(ctx, rec.Type)
	return summaryList{[]delta{{rec, a}}, prior, asOf}, err
}

// summaries returns those of the records that have ratings, in the order of ids.
func (s *ratings) summaries(ctx context.Context, recordType string, ids []string) (out summaryList, err error) {
	out.asOf = s.store.now()
	found := make(map[string]Aggregate, len(ids))
	err = s.store.aggregates(ctx, recordType, ids, func(id string, a Aggregate) { found[id] = a })
	if err != nil || len(found) == 0 {
		return out, err // a type without records needs no prior
	}
	for _, id := range ids {
		if a := found[id]; a.Votes > 0 {
			out.records = append(out.records, delta{Record{Type: recordType, ID: id}, a})
		}
	}
	out.prior, err = s.results.prior(ctx, recordType)
	return out, err
}

// summariesAfter returns up to limit summaries of a type in the order of record ids, those after afterID.
func (s *ratings) summariesAfter(ctx context.Context, recordType, afterID string, limit int) (out summaryList, err error) {
	if out.prior, err = s.results.prior(ctx, recordType); err != nil {
		return out, err
	}
	out.asOf = s.store.now()
	out.records, err = s.store.aggregatesAfter(ctx, recordType, afterID, limit)
	return out, err
}

// audit recomputes aggregates after a record, see [store.audit].
func (s *ratings) audit(ctx context.Context, after Record, limit int) ([]audited, *Record, error) {
	return s.store.audit(ctx, after, limit)
}
