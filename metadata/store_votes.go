package metadata

import (
	"context"

	"movieexample.com/internal/sqldb"
)

// votesOfRange returns the first stored votes of the range (afterID, throughID], in the order of the ids.
func (s *store) votesOfRange(ctx context.Context, afterID, throughID string, limit int) (page []Votes, err error) {
	query, args := "SELECT movie_id, votes FROM movie_votes WHERE movie_id > ? ORDER BY movie_id LIMIT ?", []any{afterID, limit}
	if throughID != "" {
		query, args = "SELECT movie_id, votes FROM movie_votes WHERE movie_id > ? AND movie_id <= ? ORDER BY movie_id LIMIT ?", []any{afterID, throughID, limit}
	}
	err = each(ctx, s.db.Read(), query, args, func(scan func(...any) error) error {
		var v Votes
		err := scan(&v.MovieID, &v.Votes)
		page = append(page, v)
		return err
	})
	return page, explain(ctx, "read votes", err)
}

// writeVotes writes the votes that are not stored yet, in one transaction, and returns how many it wrote.
func (s *store) writeVotes(ctx context.Context, votes []Votes) (written int, err error) {
	err = s.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		// Another process may have written the same since they were compared.
		stored := make(map[string]int32, len(votes))
		last, err := takeTurn(ctx, tx, voteSequence, sqldb.Statement{
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
		if err != nil {
			return err
		}
		changes := make([]Votes, 0, len(votes))
		for _, v := range votes {
			if stored[v.MovieID] != v.Votes {
				changes = append(changes, v)
			}
		}
		// A second attempt finds what the first one wrote if the first was committed.
		written = max(written, len(changes))
		if len(changes) == 0 {
			return nil
		}
		return tx.Pipeline(ctx, setNumber(voteSequence, last+1), sqldb.Statement{
			Doing: "write votes", N: len(changes),
			Text: func(rows int) string {
				return tx.Dialect().Upsert("movie_votes", []string{"movie_id"}, []string{"votes", "seq"}, rows)
			},
			Args: func(i int, dst []any) []any { return append(dst, changes[i].MovieID, changes[i].Votes, last+1) },
		})
	}, func(context.Context) (outcome, error) { return absent, nil }) // writing the same again does no harm
	if err != nil {
		return 0, explain(ctx, "write votes", err)
	}
	return written, nil
}
