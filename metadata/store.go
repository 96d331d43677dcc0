package metadata

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/sqldb"
)

// Deps is what the service needs from the process it runs in.
type Deps struct {
	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
	// Metrics gets the service's metrics; nil keeps them to nobody.
	Metrics prometheus.Registerer
	// DB is the catalogue's database. Required. Only this service may use its tables.
	DB *sqldb.DB
	// Changed is called with the id of each movie in a put or a deletion, whatever came of it, and before it is answered; nil is
	// called by nobody. It must return at once.
	Changed func(id string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

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

// store keeps the catalogue (schema/): the table movies is the truth, movie_listings and
// external_ids are its indexes, movie_changes tells which films changed last, and every transaction
// that changes one changes the others. Beside it movie_votes keeps what others count.
type store struct {
	db      *sqldb.DB
	updates *groupcommit.Group[change, int64]
	// changed is told of each movie that was to change, once the transaction has ended in whatever way: what failed may have been done.
	changed func(id string)
}

// Bounds of the transactions that change the catalogue (ADR 022): they take turns, so that there is one at a time.
const maxWaiting = 20 * MaxBatch // movies that wait

// newStore returns a store; metrics are those of its writes, nil: nothing is counted.
func newStore(db *sqldb.DB, metrics *groupcommit.Metrics) *store {
	s := &store{db: db, changed: func(string) {}}
	s.updates = groupcommit.New(groupcommit.Config[change]{
		Batches: 1, MaxBatch: MaxBatch, MaxWaiting: maxWaiting, Weight: func(c change) int { return len(c.ids) }, Metrics: metrics,
	}, s.updateAll)
	return s
}

func (s *store) migrate(ctx context.Context) error { return s.db.Migrate(ctx, Schema()) }

func (s *store) check(ctx context.Context) error {
	return explain(ctx, "check the catalogue", s.db.Check(ctx))
}

// movieColumns are the columns in the order of movieRow.args.
func movieColumns() []string {
	return []string{
		"id", "title", "release_year", "genre_keys", "title_key", "etag", "create_time", "update_time", "runtime_minutes",
		"imdb_id", "tmdb_id", "movielens_id", "original_title", "director", "genres", "alternative_titles", "description",
	}
}

// readColumns are those of a movie, in the order of scanMovie: all but the derived ones, since most
// of the time that a page takes goes by column.
const readColumns = `m.id, m.title, m.release_year, m.etag, m.create_time, m.update_time, m.runtime_minutes,
 m.imdb_id, m.tmdb_id, m.movielens_id, m.original_title, m.director, m.genres, m.alternative_titles, m.description`

// selectMovies is the beginning of every query whose rows are movies, selectRows of those that are
// going to be written again.
const (
	selectMovies = "SELECT " + readColumns + " FROM movies m "
	selectRows   = "SELECT " + readColumns + ", m.genre_keys, m.title_key FROM movies m "
)

// movieRow is a movie with the derived columns as they are stored. Those of a stored row are not
// computed again: a later version of this program may fold titles otherwise.
type movieRow struct {
	Movie
	genreKeys []string
	titleKey  string
}

func newMovieRow(m Movie) movieRow {
	return movieRow{Movie: m, genreKeys: m.genreKeys(), titleKey: titleKey(m.Title, m.ID)}
}

// scanMovie scans the columns of readColumns, and into more those that follow.
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
	if m.Genres, err = decodeList(genres); err == nil {
		m.AlternativeTitles, err = decodeList(alternates)
	}
	if err != nil {
		return Movie{}, fmt.Errorf("movie %q: stored list: %w", m.ID, err)
	}
	return m, nil
}

func (r movieRow) args(dst []any) ([]any, error) {
	genres, err := encodeList(r.Genres)
	if err != nil {
		return nil, err
	}
	alternates, err := encodeList(r.AlternativeTitles)
	if err != nil {
		return nil, err
	}
	return append(dst, r.ID, r.Title, r.Year, joinKeys(r.genreKeys), r.titleKey, r.ETag, r.Created.UnixMicro(), r.Updated.UnixMicro(), r.RuntimeMinutes,
		r.External.IMDb, r.External.TMDb, r.External.MovieLens, r.OriginalTitle, r.Director, genres, alternates, r.Description), nil
}

// A list is stored as a JSON array, and an empty one as the empty text.
func encodeList(list []string) (string, error) {
	if len(list) == 0 {
		return "", nil
	}
	text, err := json.Marshal(list)
	return string(text), err
}

func decodeList(text string) (list []string, err error) {
	if text != "" {
		err = json.Unmarshal([]byte(text), &list)
	}
	return list, err
}

// Genre keys are stored with a line end before and after each, so that one can be searched for
// in SQL without finding it inside another. Genres are one line each.
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
	if err != nil {
		return Movie{}, false, explain(ctx, "read a movie", err)
	}
	return m, true, nil
}

// movies returns those of the movies that exist, by id.
func (s *store) movies(ctx context.Context, q sqldb.Queryer, ids []string) (map[string]Movie, error) {
	found := make(map[string]Movie, len(ids))
	err := s.byID(ctx, q, selectMovies, ids, func(scan func(...any) error) error {
		m, err := scanMovie(scan)
		found[m.ID] = m
		return err
	})
	if err != nil {
		return nil, explain(ctx, "read movies", err)
	}
	return found, nil
}

// rows reads those of the movies that exist into found, by id, locked until the transaction ends.
func (s *store) rows(tx *sqldb.Tx, ids []string, found map[string]movieRow) sqldb.Statement {
	return sqldb.Statement{
		Doing: "read movies", N: len(ids),
		Text: func(n int) string {
			return selectRows + "WHERE m.id IN " + tx.Dialect().Placeholders(n, 1) + tx.Dialect().ForUpdate()
		},
		Args: func(i int, dst []any) []any { return append(dst, ids[i]) },
		Scan: func(scan func(...any) error) error {
			var (
				row       movieRow
				genreKeys string
				err       error
			)
			row.Movie, err = scanMovie(scan, &genreKeys, &row.titleKey)
			row.genreKeys = splitKeys(genreKeys)
			found[row.ID] = row
			return err
		},
	}
}

func (s *store) byID(ctx context.Context, q sqldb.Queryer, selection string, ids []string, row func(scan func(...any) error) error) error {
	return sqldb.QueryRows(ctx, q, len(ids),
		func(n int) string { return selection + "WHERE m.id IN " + s.db.Dialect().Placeholders(n, 1) },
		func(i int, dst []any) []any { return append(dst, ids[i]) },
		row)
}

// owners reads into found which movies carry the external ids; nobody else changes that until the transaction ends.
func (s *store) owners(tx *sqldb.Tx, keys []externalKey, found map[externalKey]string) sqldb.Statement {
	d := tx.Dialect()
	return sqldb.Statement{
		Doing: "read external ids", N: len(keys),
		Text: func(n int) string {
			return "SELECT source, external_id, movie_id FROM external_ids WHERE " + d.In([]string{"source", "external_id"}, n) + d.ForUpdate()
		},
		Args: func(i int, dst []any) []any { return append(dst, keys[i].source, keys[i].id) },
		Scan: func(scan func(...any) error) error {
			var k externalKey
			var owner string
			err := scan(&k.source, &k.id, &owner)
			found[k] = owner
			return err
		},
	}
}

// changes is what one transaction writes.
type changes struct {
	announce       []string // ids of all films that are inserted, updated or removed
	insert, update []movieRow
	remove         []string // ids
	unlist, list   []listing
	free, claim    []owned // external ids; all are freed before the first is claimed, so they can be swapped
}

// listing is a row of movie_listings.
type listing struct {
	genreKey, titleKey string
	year               int
}

// owned is a row of external_ids.
type owned struct {
	externalKey
	movieID string
}

// difference tells what makes the stored rows into the movies.
func difference(ids []string, before map[string]movieRow, after map[string]Movie) changes {
	var c changes
	for _, id := range ids {
		old, existed := before[id]
		m, exists := after[id]
		if existed == exists && old.ETag == m.ETag {
			continue
		}
		c.announce = append(c.announce, id)
		var next movieRow
		switch {
		case !exists:
			c.remove = append(c.remove, id)
		case existed:
			next = newMovieRow(m)
			c.update = append(c.update, next)
		default:
			next = newMovieRow(m)
			c.insert = append(c.insert, next)
		}
		oldListings, newListings := old.listings(), next.listings()
		c.unlist = append(c.unlist, without(oldListings, newListings)...)
		c.list = append(c.list, without(newListings, oldListings)...)
		oldIDs, newIDs := ownedBy(old.Movie), ownedBy(m)
		c.free = append(c.free, without(oldIDs, newIDs)...)
		c.claim = append(c.claim, without(newIDs, oldIDs)...)
	}
	return c
}

// listings are the lists the movie stands in: all films, and each of its genres.
func (r movieRow) listings() []listing {
	if r.ID == "" {
		return nil
	}
	rows := []listing{{"", r.titleKey, r.Year}}
	for _, key := range r.genreKeys {
		rows = append(rows, listing{key, r.titleKey, r.Year})
	}
	return rows
}

func ownedBy(m Movie) []owned {
	var rows []owned
	for k := range m.External.all() {
		rows = append(rows, owned{k, m.ID})
	}
	return rows
}

// without returns the elements of list that are not in other.
func without[T comparable](list, other []T) []T {
	var rest []T
	for _, v := range list {
		if !slices.Contains(other, v) {
			rest = append(rest, v)
		}
	}
	return rest
}

// save writes the changes under the next number of the feed, and returns it; 0 if there are none.
func (s *store) save(ctx context.Context, tx *sqldb.Tx, c changes, next int64) (int64, error) {
	if len(c.announce) == 0 {
		return 0, nil
	}
	d := tx.Dialect()
	columns := movieColumns()
	insert, err := encoded(c.insert)
	if err != nil {
		return 0, fmt.Errorf("insert movies: %w", err)
	}
	update, err := encoded(c.update)
	if err != nil {
		return 0, fmt.Errorf("update movies: %w", err)
	}
	return next, tx.Pipeline(ctx,
		sqldb.Statement{
			Doing: "free external ids", N: len(c.free), Text: deleteText(d, "external_ids", "source", "external_id"),
			Args: func(i int, dst []any) []any { return append(dst, c.free[i].source, c.free[i].id) },
		},
		sqldb.Statement{
			Doing: "remove from lists", N: len(c.unlist), Text: deleteText(d, "movie_listings", "genre_key", "title_key"),
			Args: func(i int, dst []any) []any { return append(dst, c.unlist[i].genreKey, c.unlist[i].titleKey) },
		},
		sqldb.Statement{
			Doing: "remove movies", N: len(c.remove), Text: deleteText(d, "movies", "id"),
			Args: func(i int, dst []any) []any { return append(dst, c.remove[i]) },
		},
		// Insert and not upsert: on an engine with several writers, a movie that another one
		// created meanwhile must be an error, not a second truth beside its old index rows.
		sqldb.Statement{
			Doing: "claim external ids", N: len(c.claim), Text: insertText(d, "external_ids", "source", "external_id", "movie_id"),
			Args: func(i int, dst []any) []any { return append(dst, c.claim[i].source, c.claim[i].id, c.claim[i].movieID) },
		},
		sqldb.Statement{
			Doing: "add to lists", N: len(c.list), Text: insertText(d, "movie_listings", "genre_key", "title_key", "release_year", "decade"),
			Args: func(i int, dst []any) []any {
				return append(dst, c.list[i].genreKey, c.list[i].titleKey, c.list[i].year, decadeOf(c.list[i].year))
			},
		},
		sqldb.Statement{
			Doing: "insert movies", N: len(insert), Text: insertText(d, "movies", columns...),
			Args: func(i int, dst []any) []any { return append(dst, insert[i]...) },
		},
		// Rows that are there are upserted, since that replaces many with one statement.
		sqldb.Statement{
			Doing: "update movies", N: len(update), Text: func(rows int) string { return d.Upsert("movies", columns[:1], columns[1:], rows) },
			Args: func(i int, dst []any) []any { return append(dst, update[i]...) },
		},
		number(movieSequence, next), announce(tx, c.announce, next))
}

// encoded returns the rows as arguments of statements.
func encoded(rows []movieRow) ([][]any, error) {
	all := make([][]any, len(rows))
	for i, r := range rows {
		args, err := r.args(nil)
		if err != nil {
			return nil, fmt.Errorf("movie %q: %w", r.ID, err)
		}
		all[i] = args
	}
	return all, nil
}

func insertText(d sqldb.Dialect, table string, columns ...string) func(rows int) string {
	return func(rows int) string { return d.Insert(table, columns, rows) }
}

func deleteText(d sqldb.Dialect, table string, key ...string) func(rows int) string {
	return func(rows int) string { return d.Delete(table, key, rows) }
}

// explain gives a store's error its kind; doing says what was being done, for the log. Driver
// errors do not get past here without it.
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
		// Engines report an interrupted statement in ways of their own.
		return fmt.Errorf("%s: %w (%w)", doing, ctx.Err(), err)
	case sqldb.Full(err):
		return fault.Unavailable(err, "the catalogue's disk is full: nothing was written; the operator has to free space")
	case sqldb.Transient(err):
		return fault.Unavailable(fmt.Errorf("%s: %w", doing, err), "the catalogue's database is busy or was lost: nothing was written; retry")
	case sqldb.Duplicate(err):
		return fault.Unavailable(fmt.Errorf("%s: %w", doing, err), "another request wrote the same movie or external id at the same time: nothing was written; retry")
	}
	return fmt.Errorf("%s: %w", doing, sqldb.Fault(err)) // what is left is about a file or a server that takes no writes
}

// ordered returns the movies of the ids that exist, in the order of the ids.
func ordered(ids []string, found map[string]Movie) []Movie {
	movies := make([]Movie, 0, len(ids))
	for _, id := range ids {
		if m, ok := found[id]; ok {
			movies = append(movies, m)
		}
	}
	return movies
}
