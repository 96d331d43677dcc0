package metadata

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"time"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/sqldb"
)

//go:embed schema/*/*.sql
var schemaFiles embed.FS

// Schema returns the migrations of the catalogue's database as [sqldb.DB.Migrate] takes them: a directory per engine.
func Schema() fs.FS {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the name above is no path
	}
	return files
}

// Database is where the service keeps its films.
type Database = sqldb.DB

// queryer reads from the database; only the store knows SQL.
type queryer = sqldb.Queryer

// store is the catalogue's database (schema/). The table movies is the truth; movie_listings and external_ids are its
// indexes, and movie_changes is the feed of the films that changed last: a transaction that changes one changes the others.
// The table movie_votes has the numbers of ratings, which other services count.
type store struct{ db *Database }

func (s *store) movie(ctx context.Context, id string) (Movie, bool, error) {
	return s.queryMovie(ctx, selectMovies+"WHERE m.id = ?", id)
}

func (s *store) movieByExternalID(ctx context.Context, k externalKey) (Movie, bool, error) {
	return s.queryMovie(ctx, selectMovies+"JOIN external_ids e ON m.id = e.movie_id WHERE e.source = ? AND e.external_id = ?", k.source, k.id)
}

func (s *store) queryMovie(ctx context.Context, query string, args ...any) (Movie, bool, error) {
	m, err := scanMovie(s.db.Read().QueryRowContext(ctx, query, args...).Scan)
	if errors.Is(err, sql.ErrNoRows) {
		return Movie{}, false, nil
	}
	return m, err == nil, explain(ctx, "read a movie", err)
}

// movies returns those of the movies that exist, by id.
func (s *store) movies(ctx context.Context, q sqldb.Queryer, ids []string) (map[string]Movie, error) {
	found := make(map[string]Movie, len(ids))
	err := s.byID(ctx, q, selectMovies, "m.id", ids, func(scan func(...any) error) error {
		m, err := scanMovie(scan)
		found[m.ID] = m
		return err
	})
	if err != nil {
		return nil, explain(ctx, "read movies", err)
	}
	return found, nil
}

// byID runs a query for the rows whose column has one of the ids, and calls row for each of them.
func (s *store) byID(ctx context.Context, q sqldb.Queryer, selection, column string, ids []string, row func(scan func(...any) error) error) error {
	return sqldb.QueryRows(ctx, q, len(ids),
		func(n int) string { return selection + "WHERE " + column + " IN " + s.db.Dialect().Placeholders(n, 1) },
		func(i int, dst []any) []any { return append(dst, ids[i]) },
		row)
}

// each runs a query and calls row for every row.
func each(ctx context.Context, q sqldb.Queryer, query string, args []any, row func(scan func(...any) error) error) error {
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

// movieColumns are the columns in the order of movieRow.args.
func movieColumns() []string {
	return []string{
		"id", "title", "release_year", "genre_keys", "title_key", "etag", "create_time", "update_time", "runtime_minutes",
		"imdb_id", "tmdb_id", "movielens_id", "original_title", "director", "genres", "alternative_titles", "description",
	}
}

// readColumns are those of a movie, in the order of scanMovie: all but the derived ones, since most
// of the time of a page is spent per column.
const readColumns = `m.id, m.title, m.release_year, m.etag, m.create_time, m.update_time, m.runtime_minutes,
 m.imdb_id, m.tmdb_id, m.movielens_id, m.original_title, m.director, m.genres, m.alternative_titles, m.description`

// selectMovies starts every query whose rows are movies, selectRows those whose rows will be written again.
const (
	selectMovies = "SELECT " + readColumns + " FROM movies m "
	selectRows   = "SELECT " + readColumns + ", m.genre_keys, m.title_key FROM movies m "
)

// movieRow is a movie with the derived columns as they are stored. Those of a stored row are not
// computed again: a later version of this program may fold titles differently.
type movieRow struct {
	Movie
	genreKeys []string
	titleKey  string
}

// scanMovie scans the columns of readColumns, and those that follow into more.
func scanMovie(scan func(dest ...any) error, more ...any) (Movie, error) {
	var (
		m                  Movie
		genres, alternates string
		created, updated   int64
	)
	err := scan(append([]any{
		&m.ID, &m.Title, &m.Year, &m.ETag, &created, &updated, &m.RuntimeMinutes,
		&m.External.IMDb, &m.External.TMDb, &m.External.MovieLens, &m.OriginalTitle, &m.Director, &genres, &alternates, &m.Description,
	}, more...)...)
	if err != nil {
		return Movie{}, err
	}
	m.Created, m.Updated = time.UnixMicro(created).UTC(), time.UnixMicro(updated).UTC()
	if m.Genres, m.AlternativeTitles, err = decodeLists(m.ID, genres, alternates); err != nil {
		return Movie{}, err
	}
	return m, nil
}

// args are the values of movieColumns.
func (r movieRow) args() ([]any, error) {
	genres, err := encodeList(r.Genres)
	if err != nil {
		return nil, fmt.Errorf("movie %q: %w", r.ID, err)
	}
	alternates, err := encodeList(r.AlternativeTitles)
	if err != nil {
		return nil, fmt.Errorf("movie %q: %w", r.ID, err)
	}
	return []any{
		r.ID, r.Title, r.Year, joinKeys(r.genreKeys), r.titleKey, r.ETag, r.Created.UnixMicro(), r.Updated.UnixMicro(), r.RuntimeMinutes,
		r.External.IMDb, r.External.TMDb, r.External.MovieLens, r.OriginalTitle, r.Director, genres, alternates, r.Description,
	}, nil
}

// A list is stored as a JSON array, and an empty one as the empty text.
func encodeList(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

// decodeLists reads two lists of a movie.
func decodeLists(id, text1, text2 string) (list1, list2 []string, err error) {
	if text1 != "" {
		err = json.Unmarshal([]byte(text1), &list1)
	}
	if err == nil && text2 != "" {
		err = json.Unmarshal([]byte(text2), &list2)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("movie %q: stored list: %w", id, err)
	}
	return list1, list2, nil
}

// Genre keys are stored with a line end before and after each, so that SQL can search for one
// without finding it inside another. Genres are one line each.
func joinKeys(keys []string) string {
	if len(keys) == 0 {
		return ""
	}
	return "\n" + strings.Join(keys, "\n") + "\n"
}

func splitKeys(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(strings.Trim(text, "\n"), "\n")
}

// explain gives a store's error its kind; doing says what was being done, for the log. No driver
// error leaves the store without it.
func explain(ctx context.Context, doing string, err error) error {
	var (
		unknown *sqldb.CommitError
		trouble *sqldb.TroubleError
		known   *fault.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return err
	case errors.As(err, &unknown) && errors.As(err, &trouble):
		return fault.Unavailable(err, "database %s: %s; whether the write was stored is not known: read it back, then retry", trouble.Name, trouble.Hint)
	case errors.As(err, &unknown):
		return fault.Unavailable(err, "the database did not confirm the write, which may or may not be stored: read it back, then retry")
	case ctx.Err() != nil:
		// Each engine reports an interrupted statement in its own way.
		return fmt.Errorf("%s: %w (%w)", doing, ctx.Err(), err)
	case sqldb.Full(err):
		return fault.Unavailable(err, "the catalogue's disk is full: nothing was written; the operator has to free space")
	case sqldb.Transient(err):
		return fault.Unavailable(fmt.Errorf("%s: %w", doing, err), "the catalogue's database is busy or was lost: nothing was written; retry")
	case sqldb.Duplicate(err):
		return fault.Unavailable(fmt.Errorf("%s: %w", doing, err), "another request wrote the same movie or external id at the same time: nothing was written; retry")
	}
	return fmt.Errorf("%s: %w", doing, sqldb.Fault(err)) // the rest concerns a file, or a server that accepts no writes
}
