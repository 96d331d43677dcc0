package metadata

import (
	"context"
	"sort"

	"movieexample.com/internal/sqldb"
)

const (
	// votesPage is how many stored votes are compared at a time.
	votesPage = 2_000
	// votesWrite bounds one transaction that writes votes: the writers of films wait for it.
	votesWrite = 500
)

// syncVotes makes the stored votes of the range (afterID, throughID] those wanted, which are in the
// order of their ids, and returns how many it changed. Comparing needs no lock; only what differs is
// written, in transactions of their own.
func (s *store) syncVotes(ctx context.Context, afterID, throughID string, wanted []Votes) (changed int, err error) {
	for {
		stored, err := s.votesPage(ctx, afterID, throughID)
		if err != nil {
			return changed, explain(ctx, "read votes", err)
		}
		// A full page ends the part of the range that is compared now.
		n, last := len(wanted), len(stored) < votesPage
		if !last {
			afterID = stored[len(stored)-1].MovieID
			n = sort.Search(len(wanted), func(i int) bool { return wanted[i].MovieID > afterID })
		}
		for changes := votesDifference(stored, wanted[:n]); len(changes) > 0; {
			part := changes[:min(votesWrite, len(changes))]
			changes = changes[len(part):]
			written, err := s.writeVotes(ctx, part)
			if err != nil {
				return changed, explain(ctx, "write votes", err)
			}
			changed += written
		}
		if wanted = wanted[n:]; last {
			return changed, nil
		}
	}
}

// votesPage returns the first votes of a range, in the order of the ids.
func (s *store) votesPage(ctx context.Context, afterID, throughID string) ([]Votes, error) {
	query, args := "SELECT movie_id, votes FROM movie_votes WHERE movie_id > ? ORDER BY movie_id LIMIT ?", []any{afterID, votesPage}
	if throughID != "" {
		query, args = "SELECT movie_id, votes FROM movie_votes WHERE movie_id > ? AND movie_id <= ? ORDER BY movie_id LIMIT ?", []any{afterID, throughID, votesPage}
	}
	var page []Votes
	err := s.each(ctx, s.db.Read(), query, args, func(scan func(...any) error) error {
		var v Votes
		err := scan(&v.MovieID, &v.Votes)
		page = append(page, v)
		return err
	})
	return page, err
}

// writeVotes writes the votes that are not stored already and returns how many that were.
func (s *store) writeVotes(ctx context.Context, votes []Votes) (written int, err error) {
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// Another process may have written the same meanwhile.
		var last int64
		stored := make(map[string]int32, len(votes))
		err := tx.Pipeline(ctx, turn(tx, voteSequence, &last), sqldb.Statement{
			Doing: "read votes", N: len(votes),
			Text: func(n int) string {
				return "SELECT movie_id, votes FROM movie_votes WHERE movie_id IN " + tx.Dialect().Placeholders(n, 1) + tx.Dialect().ForUpdate()
			},
			Args: func(i int, dst []any) []any { return append(dst, votes[i].MovieID) },
			Scan: func(scan func(...any) error) error {
				var v Votes
				err := scan(&v.MovieID, &v.Votes)
				stored[v.MovieID] = v.Votes
				return err
			},
		})
		if err == nil {
			err = mustCount(voteSequence, last)
		}
		if err != nil {
			return err
		}
		changes := make([]Votes, 0, len(votes))
		for _, v := range votes {
			if stored[v.MovieID] != v.Votes {
				changes = append(changes, v)
			}
		}
		// A second attempt finds what the first one wrote, if its commit took place after all.
		written = max(written, len(changes))
		if len(changes) == 0 {
			return nil
		}
		return tx.Pipeline(ctx, number(voteSequence, last+1), sqldb.Statement{
			Doing: "write votes", N: len(changes),
			Text: func(rows int) string {
				return tx.Dialect().Upsert("movie_votes", []string{"movie_id"}, []string{"votes", "seq"}, rows)
			},
			Args: func(i int, dst []any) []any { return append(dst, changes[i].MovieID, changes[i].Votes, last+1) },
		})
	}, func(context.Context) (outcome, error) { return absent, nil }) // writing the same again is nothing new
	if err != nil {
		return 0, err
	}
	return written, nil
}
