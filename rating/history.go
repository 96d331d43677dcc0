package rating

import (
	"context"
	"fmt"
	"time"

	"movieexample.com/internal/fault"
)

// yearVotes is what was rated within one year, in UTC.
type yearVotes struct {
	Year       int
	Votes, Sum int64
}

// mean is the arithmetic mean, 1–10.
func (y yearVotes) mean() float64 { return float64(y.Sum) / float64(y.Votes) }

// recordHistory is a record's ratings by the year they were given in, oldest first.
type recordHistory struct {
	asOf  time.Time
	years []yearVotes
}

const (
	// longVotes is the number of ratings from which on a history is kept. Up to it reading costs a millisecond or two, so
	// that the answer can simply be that of now; a million ratings cost one or two seconds.
	longVotes = 1000
	// maxHistories bounds the histories that are kept.
	maxHistories = 1024
)

// history returns a record's ratings by year. That of a record with more than longVotes ratings may be old, as
// [refreshed] says, with the record's aggregate as its basis. A record without ratings is NotFound.
func (s *Service) history(ctx context.Context, rec Record) (recordHistory, error) {
	if err := rec.validate(); err != nil {
		return recordHistory{}, err
	}
	a, err := s.store.aggregate(ctx, rec)
	if err != nil {
		return recordHistory{}, err
	}
	var h recordHistory
	switch {
	case a.Votes == 0:
	case a.Votes <= longVotes:
		h, err = s.readHistory(ctx, rec)
	default:
		h, err = s.histories.get(ctx, rec, a, func(ctx context.Context) (recordHistory, error) {
			select {
			case s.longHistory <- struct{}{}:
				defer func() { <-s.longHistory }()
				return s.readHistory(ctx, rec)
			case <-ctx.Done():
				return recordHistory{}, fmt.Errorf("wait for another long history: %w", ctx.Err())
			}
		})
	}
	if err == nil && len(h.years) == 0 {
		err = noRatings(rec)
	}
	return h, err
}

func (s *Service) readHistory(ctx context.Context, rec Record) (recordHistory, error) {
	h := recordHistory{asOf: s.now()}
	var err error
	h.years, err = s.store.years(ctx, rec)
	return h, err
}

// noRatings is the error of a record that nobody rated.
func noRatings(rec Record) error { return fault.NotFound("%s %q has no ratings", rec.Type, rec.ID) }

// userCount is how many users have at least one rating of a type. The zero value is: not counted yet.
type userCount struct {
	asOf  time.Time
	users int64
}

// countPatience is how long whoever asks for totals waits for the users to be counted, before it gets an older number
// or none.
const countPatience = 500 * time.Millisecond

// countedUsers returns the number of users with a rating of a type. It is counted at most every twenty times what
// counting costs, and seldom while the board says that the totals and each record's number of ratings are the same; what
// neither shows is one user's rating that another takes over, of the same record and value. Where it was never counted and
// counting takes long, it is the zero userCount.
func (s *Service) countedUsers(ctx context.Context, recordType string, b *board) (userCount, error) {
	type basis struct {
		totals
		votesDigest
	}
	patient, cancel := context.WithTimeout(ctx, countPatience)
	defer cancel()
	n, err := s.users.get(patient, recordType, basis{b.totals, b.votes}, func(ctx context.Context) (userCount, error) {
		n := userCount{asOf: s.now()}
		var err error
		n.users, err = s.store.countUsers(ctx, recordType)
		return n, err
	})
	if err != nil && patient.Err() != nil && ctx.Err() == nil {
		return userCount{}, nil // it goes on counting, for those who ask later
	}
	return n, err
}
