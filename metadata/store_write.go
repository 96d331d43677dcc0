package metadata

import (
	"context"
	"fmt"
	"slices"

	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/sqldb"
)

// maxWaiting bounds the movies of the updates that wait for a transaction (ADR 022).
const maxWaiting = 20 * MaxBatch

// writer changes the catalogue, one transaction at a time. Updates that come at the same time share one.
type writer struct {
	*store
	updates *groupcommit.Group[change, int64]
	changed func(id string) // see Deps.Changed
}

// newWriter returns a writer; nil metrics count nothing.
func newWriter(s *store, changed func(id string), metrics *groupcommit.Metrics) *writer {
	w := &writer{store: s, changed: changed}
	w.updates = groupcommit.New(groupcommit.Config[change]{
		Batches: 1, MaxBatch: MaxBatch, MaxWaiting: maxWaiting, Weight: func(c change) int { return len(c.ids) }, Metrics: metrics,
	}, w.commit)
	return w
}

// change is one update: the movies and external ids that it reads and writes, and the rules that change them.
type change struct {
	ids   []string
	keys  []externalKey
	rules func(*excerpt) error
}

// excerpt is the part of the catalogue that one transaction works on: the writer loads it, the
// rules change it, the writer stores the difference. So the rules need no SQL, and a batch in
// which a movie or an external id occurs several times reads it once.
type excerpt struct {
	// movies has every movie of the transaction that exists, by id.
	movies map[string]Movie
	// owners says which movie has an external id. It has the ids that the transaction
	// writes; an id that is missing is free.
	owners map[externalKey]string
}

// update reads the movies with the ids, and the owners of the external ids, into an excerpt, calls
// rules to change it, and writes the difference. All of this is one transaction, during which no other
// changes what was read. It returns the number that the transaction has in the change feed, 0 if it changed nothing. If
// rules return an error, they must leave the excerpt as it was; the error is returned and nothing is written.
//
// If updates share a transaction, their rules run one after the other on one excerpt. Rules may be called
// again, with a new excerpt, but not after update has returned anything but ctx's error.
func (w *writer) update(ctx context.Context, ids []string, keys []externalKey, rules func(*excerpt) error) (number int64, err error) {
	number, err = w.updates.Do(ctx, change{ids: ids, keys: keys, rules: rules})
	return number, explain(ctx, "write movies", err)
}

// commit makes several updates in one transaction, in their order: each sees those before it.
func (w *writer) commit(ctx context.Context, updates []*groupcommit.Write[change]) (results []groupcommit.Result[int64], err error) {
	var (
		ids     []string
		keys    []externalKey
		written trace
	)
	for _, u := range updates {
		ids = append(ids, u.Value.ids...)
		keys = append(keys, u.Value.keys...)
	}
	// Every transaction locks rows in the same order, to avoid deadlocks on engines that lock rows.
	slices.Sort(ids)
	slices.SortFunc(keys, externalKey.compare)
	ids, keys = slices.Compact(ids), slices.Compact(keys)
	defer func() {
		for _, id := range ids {
			w.changed(id) // even after an error, as the write may have been stored
		}
	}()
	err = w.write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		results, written = make([]groupcommit.Result[int64], len(updates)), trace{}
		var (
			before = make(map[string]movieRow, len(ids))
			x      = &excerpt{movies: make(map[string]Movie, len(ids)), owners: make(map[externalKey]string, len(keys))}
		)
		last, err := takeTurn(ctx, tx, movieSequence, lockRows(tx, ids, before), lockOwners(tx, keys, x.owners))
		if err != nil {
			return err
		}
		for id, r := range before {
			x.movies[id] = r.Movie
		}
		for i, u := range updates {
			if results[i].Err = u.Left(); results[i].Err == nil {
				results[i].Err = u.Value.rules(x)
			}
		}
		d := differenceOf(ids, before, x.movies)
		number, err := d.save(ctx, tx, last+1)
		for i := range results {
			results[i].Value = number
		}
		written = trace{number: number, ids: d.changed, etags: make(map[string]string, len(d.changed))}
		for _, id := range d.changed {
			written.etags[id] = x.movies[id].ETag
		}
		return err
	}, func(ctx context.Context) (outcome, error) { return w.find(ctx, written) })
	return results, err
}

// lockRows reads those of the movies that exist into found, by id, locked until the transaction ends.
func lockRows(tx *sqldb.Tx, ids []string, found map[string]movieRow) sqldb.Statement {
	return sqldb.Statement{
		Doing: "read movies", N: len(ids),
		Text: func(n int) string {
			return selectRows + "WHERE m.id IN " + tx.Dialect().Placeholders(n, 1) + tx.Dialect().ForUpdate()
		},
		Args: func(i int, dst []any) []any { return append(dst, ids[i]) },
		Scan: func(scan func(...any) error) (err error) {
			var (
				row       movieRow
				genreKeys string
			)
			row.Movie, err = scanMovie(scan, &genreKeys, &row.titleKey)
			row.genreKeys = splitKeys(genreKeys)
			found[row.ID] = row
			return err
		},
	}
}

// lockOwners reads into found which movies have the external ids, locked until the transaction ends.
func lockOwners(tx *sqldb.Tx, keys []externalKey, found map[externalKey]string) sqldb.Statement {
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

// difference is what one transaction writes.
type difference struct {
	changed          []string // ids of all films that are inserted, updated or removed
	inserts, updates []movieRow
	removals         []string // ids
	unlisted, added  []listing
	freed, claimed   []owned // external ids; all are freed before the first is claimed, so they can be swapped
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

// differenceOf returns what turns the stored rows into the movies.
func differenceOf(ids []string, before map[string]movieRow, after map[string]Movie) (d difference) {
	for _, id := range ids {
		old, existed := before[id]
		m, exists := after[id]
		if existed == exists && old.ETag == m.ETag {
			continue
		}
		d.changed = append(d.changed, id)
		var next movieRow
		if exists {
			next = movieRow{Movie: m, genreKeys: m.genreKeys(), titleKey: titleKey(m.Title, m.ID)}
		}
		switch {
		case !exists:
			d.removals = append(d.removals, id)
		case existed:
			d.updates = append(d.updates, next)
		default:
			d.inserts = append(d.inserts, next)
		}
		oldListings, newListings := old.listings(), next.listings()
		d.unlisted = append(d.unlisted, without(oldListings, newListings)...)
		d.added = append(d.added, without(newListings, oldListings)...)
		oldIDs, newIDs := ownedBy(old.Movie), ownedBy(m)
		d.freed = append(d.freed, without(oldIDs, newIDs)...)
		d.claimed = append(d.claimed, without(newIDs, oldIDs)...)
	}
	return d
}

// listings are the movie's rows in the list of all films and in those of its genres.
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

// save writes the difference under the next number of the feed, and returns it; 0 if there is none.
func (d difference) save(ctx context.Context, tx *sqldb.Tx, next int64) (int64, error) {
	if len(d.changed) == 0 {
		return 0, nil
	}
	dialect, columns := tx.Dialect(), movieColumns()
	insert, err := encoded(d.inserts)
	if err != nil {
		return 0, fmt.Errorf("insert movies: %w", err)
	}
	update, err := encoded(d.updates)
	if err != nil {
		return 0, fmt.Errorf("update movies: %w", err)
	}
	remove := func(table string, key ...string) func(rows int) string {
		return func(rows int) string { return dialect.Delete(table, key, rows) }
	}
	add := func(table string, columns ...string) func(rows int) string {
		return func(rows int) string { return dialect.Insert(table, columns, rows) }
	}
	return next, tx.Pipeline(ctx,
		sqldb.Statement{
			Doing: "free external ids", N: len(d.freed), Text: remove("external_ids", "source", "external_id"),
			Args: func(i int, dst []any) []any { return append(dst, d.freed[i].source, d.freed[i].id) },
		},
		sqldb.Statement{
			Doing: "remove from lists", N: len(d.unlisted), Text: remove("movie_listings", "genre_key", "title_key"),
			Args: func(i int, dst []any) []any { return append(dst, d.unlisted[i].genreKey, d.unlisted[i].titleKey) },
		},
		sqldb.Statement{
			Doing: "remove movies", N: len(d.removals), Text: remove("movies", "id"),
			Args: func(i int, dst []any) []any { return append(dst, d.removals[i]) },
		},
		// Insert, not upsert: on an engine with several writers, a movie that another one has just
		// created must be an error, not a second truth beside its old index rows.
		sqldb.Statement{
			Doing: "claim external ids", N: len(d.claimed), Text: add("external_ids", "source", "external_id", "movie_id"),
			Args: func(i int, dst []any) []any {
				return append(dst, d.claimed[i].source, d.claimed[i].id, d.claimed[i].movieID)
			},
		},
		sqldb.Statement{
			Doing: "add to lists", N: len(d.added), Text: add("movie_listings", "genre_key", "title_key", "release_year", "decade"),
			Args: func(i int, dst []any) []any {
				l := d.added[i]
				return append(dst, l.genreKey, l.titleKey, l.year, l.year-l.year%10) // decade 0 for an unknown year
			},
		},
		sqldb.Statement{
			Doing: "insert movies", N: len(insert), Text: add("movies", columns...),
			Args: func(i int, dst []any) []any { return append(dst, insert[i]...) },
		},
		// Existing rows are upserted, since that replaces many with one statement.
		sqldb.Statement{
			Doing: "update movies", N: len(update), Text: func(rows int) string { return dialect.Upsert("movies", columns[:1], columns[1:], rows) },
			Args: func(i int, dst []any) []any { return append(dst, update[i]...) },
		},
		setNumber(movieSequence, next),
		sqldb.Statement{
			Doing: "announce changes", N: len(d.changed),
			Text: func(rows int) string {
				return dialect.Upsert("movie_changes", []string{"movie_id"}, []string{"seq"}, rows)
			},
			Args: func(i int, dst []any) []any { return append(dst, d.changed[i], next) },
		})
}

// encoded returns the rows as arguments of statements.
func encoded(rows []movieRow) (all [][]any, err error) {
	all = make([][]any, len(rows))
	for i, r := range rows {
		if all[i], err = r.args(); err != nil {
			return nil, err
		}
	}
	return all, nil
}
