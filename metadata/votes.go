package metadata

import (
	"context"
	"fmt"
	"slices"
	"sort"

	"movieexample.com/internal/fault"
)

// MaxSyncVotes is how many movies one SyncVotes names at most.
const MaxSyncVotes = 5_000

const (
	// votesPage is how many stored votes are compared at a time.
	votesPage = 2_000
	// votesWrite bounds one transaction that writes votes: the writers of films wait for it.
	votesWrite = 500
)

// SyncVotes replaces the numbers of ratings of the movies of a range of ids: those with ids greater
// than afterID, up to and including throughID, compared byte by byte; an empty bound is none. votes
// is in the order of the ids; movies of the range that it does not name have none. Votes of ids that
// no movie has are kept for a later movie. It returns how many ids have another number
// than before. KindInvalid: the range or a vote is wrong; then nothing was written. After another
// error, part of it may have been written; a retry completes it.
func (s *Service) SyncVotes(ctx context.Context, afterID, throughID string, votes []Votes) (changed int, err error) {
	if err := checkVotes(afterID, throughID, votes); err != nil {
		return 0, err
	}
	defer func() {
		if changed > 0 {
			s.indexer.wake()
		}
	}()
	// Comparing needs no lock; only differences are written, in their own transactions.
	for {
		stored, err := s.store.votesOfRange(ctx, afterID, throughID, votesPage)
		if err != nil {
			return changed, err
		}
		// A full page ends the part of the range that is compared now.
		n, last := len(votes), len(stored) < votesPage
		if !last {
			afterID = stored[len(stored)-1].MovieID
			n = sort.Search(len(votes), func(i int) bool { return votes[i].MovieID > afterID })
		}
		for part := range slices.Chunk(votesDifference(stored, votes[:n]), votesWrite) {
			written, err := s.store.writeVotes(ctx, part)
			if err != nil {
				return changed, err
			}
			changed += written
		}
		if votes = votes[n:]; last {
			return changed, nil
		}
	}
}

// checkVotes reports only the first mistake in the list: in a list that is out of order, all that follow are wrong too.
func checkVotes(afterID, throughID string, votes []Votes) error {
	var errs []error
	if afterID != "" {
		errs = append(errs, fault.ID("after_id", afterID))
	}
	if throughID != "" {
		errs = append(errs, fault.ID("through_id", throughID))
	}
	if afterID != "" && throughID != "" && afterID >= throughID {
		errs = append(errs, fault.Invalid("through_id", "must be greater than after_id, compared byte by byte; got %s and %s", quote(throughID), quote(afterID)))
	}
	if n := len(votes); n > MaxSyncVotes {
		errs = append(errs, fault.Invalid("votes", "must be at most %d movies, got %d", MaxSyncVotes, n))
	}
	if err := fault.All(errs...); err != nil {
		return err
	}
	previous := afterID
	for i, v := range votes {
		field := func(name string) string { return fmt.Sprintf("votes[%d].%s", i, name) }
		switch {
		case fault.ID("", v.MovieID) != nil: // build the field's name only if it is needed
			return fault.ID(field("movie_id"), v.MovieID)
		case v.MovieID <= previous && i > 0:
			return fault.Invalid(field("movie_id"), "must be greater than the one before, compared byte by byte; got %s after %s", quote(v.MovieID), quote(previous))
		case v.MovieID <= previous:
			return fault.Invalid(field("movie_id"), "must be greater than after_id, compared byte by byte; got %s and %s", quote(v.MovieID), quote(previous))
		case throughID != "" && v.MovieID > throughID:
			return fault.Invalid(field("movie_id"), "must not be greater than through_id, compared byte by byte; got %s and %s", quote(v.MovieID), quote(throughID))
		case v.Votes < 1:
			return fault.Invalid(field("votes"), "must be at least 1, got %d; a movie without votes is left out", v.Votes)
		}
		previous = v.MovieID
	}
	return nil
}

// votesDifference compares the stored votes of a range with the wanted ones, both in the order of
// their ids, and returns what has to be written.
func votesDifference(stored, wanted []Votes) []Votes {
	var changes []Votes
	for len(stored) > 0 || len(wanted) > 0 {
		switch {
		case len(stored) == 0 || len(wanted) > 0 && wanted[0].MovieID < stored[0].MovieID:
			changes = append(changes, wanted[0])
			wanted = wanted[1:]
		case len(wanted) == 0 || stored[0].MovieID < wanted[0].MovieID:
			if stored[0].Votes != 0 {
				changes = append(changes, Votes{MovieID: stored[0].MovieID})
			}
			stored = stored[1:]
		default:
			if stored[0].Votes != wanted[0].Votes {
				changes = append(changes, wanted[0])
			}
			stored, wanted = stored[1:], wanted[1:]
		}
	}
	return changes
}
