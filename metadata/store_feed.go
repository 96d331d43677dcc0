package metadata

import (
	"context"
	"fmt"
	"strconv"

	"movieexample.com/internal/sqldb"
	"movieexample.com/metadata/internal/search"
)

// filmColumns are the columns of a film in the search index, without its id. A
// deleted film has none of the columns, and no title is empty.
const (
	filmColumns = `COALESCE(m.title, ''), COALESCE(m.original_title, ''), COALESCE(m.alternative_titles, ''), COALESCE(m.director, ''),
 COALESCE(m.release_year, 0), COALESCE(m.genres, ''), COALESCE(v.votes, 0)`
	fromMovies = " FROM movies m LEFT JOIN movie_votes v ON v.movie_id = m.id "
)

// scanFilm scans what the query selects before the film's id into first, then the id and filmColumns.
func scanFilm(scan func(...any) error, first ...any) (c search.Change, err error) {
	var alternates, genres string
	f := &c.Film
	if err := scan(append(first, &f.ID, &f.Title, &f.Original, &alternates, &f.Director, &f.Year, &genres, &f.Votes)...); err != nil {
		return search.Change{}, err
	}
	if f.Alternatives, f.Genres, err = decodeLists(f.ID, alternates, genres); err != nil {
		return search.Change{}, err
	}
	c.Deleted = f.Title == ""
	return c, nil
}

// filmsAfter returns the first films with an id greater than the given one, in the order of the ids.
func (s *store) filmsAfter(ctx context.Context, q sqldb.Queryer, id string, limit int) ([]search.Change, error) {
	const query = "SELECT m.id, " + filmColumns + fromMovies + "WHERE m.id > ? ORDER BY m.id LIMIT ?"
	films := make([]search.Change, 0, limit)
	err := each(ctx, q, query, []any{id, limit}, func(scan func(...any) error) error {
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
	found := make(map[string]search.Film, len(ids))
	err := s.byID(ctx, s.db.Read(), "SELECT m.id, "+filmColumns+fromMovies, "m.id", ids, func(scan func(...any) error) error {
		c, err := scanFilm(scan)
		found[c.Film.ID] = c.Film
		return err
	})
	return found, explain(ctx, "read movies", err)
}

// entry is a film, or its votes, in a feed.
type entry struct {
	number int64
	search.Change
	// tag differs between two contents of the same film: its etag, "" where it was deleted, or its votes.
	tag string
}

// changesAfter calls do for every film that a transaction with a greater number changed or deleted, in
// the order of these numbers. It is one query, and so sees one state of the catalogue.
func (s *store) changesAfter(ctx context.Context, q sqldb.Queryer, number int64, do func(entry)) error {
	const query = "SELECT c.seq, COALESCE(m.etag, ''), c.movie_id, " + filmColumns + ` FROM movie_changes c
 LEFT JOIN movies m ON m.id = c.movie_id LEFT JOIN movie_votes v ON v.movie_id = c.movie_id WHERE c.seq > ? ORDER BY c.seq`
	err := each(ctx, q, query, []any{number}, func(scan func(...any) error) (err error) {
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
	err := s.byID(ctx, q, "SELECT m.etag, m.id, "+filmColumns+fromMovies, "m.id", ids, func(scan func(...any) error) (err error) {
		var e entry
		if e.Change, err = scanFilm(scan, &e.tag); err == nil {
			do(e)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("reread films: %w", err)
	}
	return nil
}

const selectVotes = "SELECT seq, movie_id, votes FROM movie_votes "

// votesAfter is changesAfter for votes; the entries have nothing else of the films.
func (s *store) votesAfter(ctx context.Context, q sqldb.Queryer, number int64, do func(entry)) error {
	err := each(ctx, q, selectVotes+"WHERE seq > ? ORDER BY seq", []any{number}, func(scan func(...any) error) error { return scanVotes(scan, do) })
	if err != nil {
		return fmt.Errorf("read changed votes: %w", err)
	}
	return nil
}

// votesOf is changesOf for votes.
func (s *store) votesOf(ctx context.Context, q sqldb.Queryer, ids []string, do func(entry)) error {
	err := s.byID(ctx, q, selectVotes, "movie_id", ids, func(scan func(...any) error) error { return scanVotes(scan, do) })
	if err != nil {
		return fmt.Errorf("reread votes: %w", err)
	}
	return nil
}

func scanVotes(scan func(...any) error, do func(entry)) error {
	var e entry
	err := scan(&e.number, &e.Film.ID, &e.Film.Votes)
	if err == nil {
		e.tag = votesTag(e.Film.Votes)
		do(e)
	}
	return err
}

func votesTag(votes int32) string { return strconv.Itoa(int(votes)) }
