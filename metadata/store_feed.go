package metadata

import (
	"context"
	"fmt"
	"strconv"

	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata/internal/search"
)

// The names of the counters in the table sequences. What they are for is told in
// schema/sqlite/00002_search.sql.
const (
	movieSequence = "movies"
	voteSequence  = "votes"
)

// reading is what the queries of one look at the feeds run in.
type reading = sqldb.Queryer

// inSession lets fn read in one session; opened tells whether the database may have lost something since, see [sqldb.DB.Session].
func (s *store) inSession(ctx context.Context, fn func(ctx context.Context, q reading, opened uint64) error) error {
	return s.db.Session(ctx, fn)
}

// turn waits until no other transaction that takes numbers of the counter is at work, and keeps others from beginning
// until this one ends. It comes first in such a transaction: then what it reads stays as it was read, and it never waits for
// a second lock while it holds a first. Into last it reads the number that was given out last: [number] gives out the next. It is
// noNumber where the counter is missing.
func turn(tx *sqldb.Tx, sequence string, last *int64) sqldb.Statement {
	*last = noNumber
	return sqldb.Statement{
		Doing: "wait for other writers of " + sequence, N: 1,
		Text: func(int) string {
			return "SELECT last_number FROM sequences WHERE name = ?" + tx.Dialect().ForUpdate()
		},
		Args: func(_ int, dst []any) []any { return append(dst, sequence) },
		Scan: func(scan func(...any) error) error { return scan(last) },
	}
}

// noNumber is the last number of a counter that is not there.
const noNumber = -1

// mustCount returns an error where a counter is not there: without it the feed would stand still, and tell of nothing.
func mustCount(sequence string, last int64) error {
	if last == noNumber {
		return fmt.Errorf("the counter %q is missing in the table sequences: restore a backup", sequence)
	}
	return nil
}

// number gives out a number of a counter, the one after the last, which no other transaction gets before this one has ended;
// the transaction has taken its turn.
func number(sequence string, next int64) sqldb.Statement {
	return sqldb.Statement{
		Doing: "take a number of " + sequence, N: 1,
		Text: func(int) string { return "UPDATE sequences SET last_number = ? WHERE name = ?" },
		Args: func(_ int, dst []any) []any { return append(dst, next, sequence) },
	}
}

// announce puts the films into the change feed under a number.
func announce(tx *sqldb.Tx, ids []string, number int64) sqldb.Statement {
	return sqldb.Statement{
		Doing: "announce changes", N: len(ids),
		Text: func(rows int) string {
			return tx.Dialect().Upsert("movie_changes", []string{"movie_id"}, []string{"seq"}, rows)
		},
		Args: func(i int, dst []any) []any { return append(dst, ids[i], number) },
	}
}

// numbers returns the numbers that were last given out.
func (s *store) numbers(ctx context.Context, q sqldb.Queryer) (numbers, error) {
	var n numbers
	err := s.each(ctx, q, "SELECT name, last_number FROM sequences WHERE name IN (?, ?)", []any{movieSequence, voteSequence}, func(scan func(...any) error) error {
		var (
			name string
			last int64
		)
		err := scan(&name, &last)
		if name == movieSequence {
			n.movies = last
		} else {
			n.votes = last
		}
		return err
	})
	if err != nil {
		return numbers{}, fmt.Errorf("read the feeds' numbers: %w", err)
	}
	return n, nil
}

// filmColumns are what the search index has of a film. One that has been deleted has none of them,
// and no title is empty.
const filmColumns = `COALESCE(m.title, ''), COALESCE(m.original_title, ''), COALESCE(m.alternative_titles, ''), COALESCE(m.director, ''),
 COALESCE(m.release_year, 0), COALESCE(m.genres, ''), COALESCE(v.votes, 0)`

// scanFilm scans what the query selects before filmColumns into first, then those.
func scanFilm(scan func(...any) error, first ...any) (search.Change, error) {
	var (
		c                  search.Change
		alternates, genres string
	)
	f := &c.Film
	if err := scan(append(first, &f.ID, &f.Title, &f.Original, &alternates, &f.Director, &f.Year, &genres, &f.Votes)...); err != nil {
		return search.Change{}, err
	}
	var err error
	if f.Alternatives, err = decodeList(alternates); err == nil {
		f.Genres, err = decodeList(genres)
	}
	if err != nil {
		return search.Change{}, fmt.Errorf("movie %q: stored list: %w", f.ID, err)
	}
	c.Deleted = f.Title == ""
	return c, nil
}

// filmsAfter returns the first films with an id greater than the given one, in the order of the ids.
func (s *store) filmsAfter(ctx context.Context, q sqldb.Queryer, id string, limit int) ([]search.Change, error) {
	const query = "SELECT m.id, " + filmColumns + " FROM movies m LEFT JOIN movie_votes v ON v.movie_id = m.id WHERE m.id > ? ORDER BY m.id LIMIT ?"
	films := make([]search.Change, 0, limit)
	err := s.each(ctx, q, query, []any{id, limit}, func(scan func(...any) error) error {
		c, err := scanFilm(scan)
		films = append(films, c)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("load films: %w", err)
	}
	return films, nil
}

// films returns those of a few films that exist, by id, as the search index knows them.
func (s *store) films(ctx context.Context, ids []string) (map[string]search.Film, error) {
	const selection = "SELECT m.id, " + filmColumns + " FROM movies m LEFT JOIN movie_votes v ON v.movie_id = m.id "
	found := make(map[string]search.Film, len(ids))
	err := s.byID(ctx, s.db.Read(), selection, ids, func(scan func(...any) error) error {
		c, err := scanFilm(scan)
		found[c.Film.ID] = c.Film
		return err
	})
	return found, explain(ctx, "read movies", err)
}

// entry is a film, or its votes, as a feed tells it.
type entry struct {
	number int64
	search.Change
	// tag differs between two contents of the same film: its etag, "" where it was deleted, or its votes.
	tag string
}

// changesAfter calls do for every film that was changed or deleted by a transaction with a greater
// number, in the order of these numbers. It is one query, and so sees one state of the catalogue.
func (s *store) changesAfter(ctx context.Context, q sqldb.Queryer, number int64, do func(entry)) error {
	const query = "SELECT c.seq, COALESCE(m.etag, ''), c.movie_id, " + filmColumns + ` FROM movie_changes c
 LEFT JOIN movies m ON m.id = c.movie_id LEFT JOIN movie_votes v ON v.movie_id = c.movie_id WHERE c.seq > ? ORDER BY c.seq`
	err := s.each(ctx, q, query, []any{number}, func(scan func(...any) error) (err error) {
		var e entry
		if e.Change, err = scanFilm(scan, &e.number, &e.tag); err == nil {
			do(e)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read changed films: %w", err)
	}
	return nil
}

// changesOf calls do for those of the films that exist. The entries have no number.
func (s *store) changesOf(ctx context.Context, q sqldb.Queryer, ids []string, do func(entry)) error {
	const selection = "SELECT m.etag, m.id, " + filmColumns + " FROM movies m LEFT JOIN movie_votes v ON v.movie_id = m.id "
	err := s.byID(ctx, q, selection, ids, func(scan func(...any) error) (err error) {
		var e entry
		if e.Change, err = scanFilm(scan, &e.tag); err == nil {
			do(e)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("read films again: %w", err)
	}
	return nil
}

// votesAfter is changesAfter for votes; nothing else is known of the films.
func (s *store) votesAfter(ctx context.Context, q sqldb.Queryer, number int64, do func(entry)) error {
	const query = "SELECT seq, movie_id, votes FROM movie_votes WHERE seq > ? ORDER BY seq"
	err := s.each(ctx, q, query, []any{number}, func(scan func(...any) error) error { return scanVotes(scan, do) })
	if err != nil {
		return fmt.Errorf("read changed votes: %w", err)
	}
	return nil
}

// votesOf is changesOf for votes.
func (s *store) votesOf(ctx context.Context, q sqldb.Queryer, ids []string, do func(entry)) error {
	err := sqldb.QueryRows(ctx, q, len(ids),
		func(n int) string {
			return "SELECT seq, movie_id, votes FROM movie_votes WHERE movie_id IN " + s.db.Dialect().Placeholders(n, 1)
		},
		func(i int, dst []any) []any { return append(dst, ids[i]) },
		func(scan func(...any) error) error { return scanVotes(scan, do) })
	if err != nil {
		return fmt.Errorf("read votes again: %w", err)
	}
	return nil
}

func scanVotes(scan func(...any) error, do func(entry)) error {
	var e entry
	err := scan(&e.number, &e.Film.ID, &e.Film.Votes)
	e.tag = votesTag(e.Film.Votes)
	if err == nil {
		do(e)
	}
	return err
}

func votesTag(votes int32) string { return strconv.Itoa(int(votes)) }

// each runs a query and calls row for every row.
func (s *store) each(ctx context.Context, q sqldb.Queryer, query string, args []any, row func(scan func(...any) error) error) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := row(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}
