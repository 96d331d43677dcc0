package rating

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"slices"
	"time"

	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/sqldb"
)

//go:embed schema/*/*.sql
var schemaFiles embed.FS

// Schema returns the migrations of the service's database as [sqldb.DB.Migrate] takes them: a directory per engine.
func Schema() fs.FS {
	files, err := fs.Sub(schemaFiles, "schema")
	if err != nil {
		panic(err) // the name above is no path
	}
	return files
}

// Database is where the service keeps its rows.
type Database = sqldb.DB

// store is the service's rows. It knows SQL and no rule: which change wins is fold's.
type store struct {
	db   *Database
	now  func() time.Time
	puts *groupcommit.Group[put, Rating]
	// changed is told of each record that was put, once the transaction has ended in whatever way: what failed may have been done.
	changed func(Record)

	lockRecords   func(n int) string
	selectBefore  func(n int) string
	insertRatings func(n int) string
	upsertRatings func(n int) string
	addAggregates func(n int) string
	insertDead    func(n int) string
	selectAggs    func(n int) string
}

// newStore migrates the database. metrics are those of the puts; nil: nothing is counted.
func newStore(ctx context.Context, db *Database, now func() time.Time, metrics *groupcommit.Metrics) (*store, error) {
	if err := db.Migrate(ctx, Schema()); err != nil {
		return nil, fmt.Errorf("migrate rating database: %w", err)
	}
	d := db.Dialect()
	key := []string{"record_type", "record_id", "user_id"}
	s := &store{
		db:  db,
		now: now,

		changed: func(Record) {},
		// Adds no votes: it makes the row where there is none, and locks it in any case. The other counters are 0 by default.
		lockRecords: perSize(d, func(n int) string {
			return d.UpsertAdd("aggregates", []string{"record_type", "record_id"}, []string{"votes"}, nil, n)
		}),
		selectBefore: perSize(d, func(n int) string {
			return "SELECT " + ratingColumns + " FROM ratings" + d.ByPrimaryKey() + " WHERE " + d.In(key, n) + d.ForUpdate()
		}),
		insertRatings: perSize(d, func(n int) string {
			return d.Insert("ratings", slices.Concat(key, []string{"value", "rated_at", "event_id"}), n)
		}),
		upsertRatings: perSize(d, func(n int) string {
			return d.Upsert("ratings", key, []string{"value", "rated_at", "event_id"}, n)
		}),
		addAggregates: perSize(d, func(n int) string {
			return d.UpsertAdd("aggregates", []string{"record_type", "record_id"},
				[]string{"votes", "total", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10"}, nil, n)
		}),
		insertDead: perSize(d, func(n int) string {
			return d.InsertIgnore("dead_letters", []string{"id"}, []string{
				"topic", "topic_id", "part", "record_offset", "class", "reason", "record_key", "payload",
				"content_type", "record_time", "created_at",
			}, n)
		}),
		selectAggs: perSize(d, func(n int) string {
			return "SELECT " + aggregateColumns + " FROM aggregates WHERE record_type = ? AND " + d.In([]string{"record_id"}, n)
		}),
	}
	s.puts = groupcommit.New(groupcommit.Config[put]{
		Batches: min(maxPutBatches, max(1, db.WriteConns()/2)), MaxBatch: maxPutBatch, MaxWaiting: maxPutsWaiting, Metrics: metrics,
	}, s.putAll)
	return s, nil
}

// perSize keeps the statement of each size that sqldb asks for, so that building it costs nothing per batch.
func perSize(d sqldb.Dialect, text func(n int) string) func(n int) string {
	texts := make(map[int]string)
	for n := 1; n <= d.MaxRowsPerStatement(); n *= 2 {
		texts[n] = text(n)
	}
	return func(n int) string { return texts[n] }
}

const (
	ratingColumns    = "record_type, record_id, user_id, value, rated_at, event_id"
	aggregateColumns = "record_type, record_id, votes, total, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10"
)

type scanFunc = func(dest ...any) error

func scanRating(scan scanFunc) (r Rating, err error) {
	err = scan(&r.Type, &r.ID, &r.User, &r.Value, &r.At, &r.EventID)
	return r, err
}

func scanAggregate(scan scanFunc) (d delta, err error) {
	c := &d.Counts
	err = scan(&d.Type, &d.ID, &d.Votes, &d.Sum,
		&c[0], &c[1], &c[2], &c[3], &c[4], &c[5], &c[6], &c[7], &c[8], &c[9])
	return d, err
}

// read returns the row of key, a tombstone included; the zero Rating where there is none.
func (s *store) read(ctx context.Context, key Key) (Rating, error) {
	rows, err := s.query(ctx, s.db.Read(), "SELECT "+ratingColumns+
		" FROM ratings WHERE record_type = ? AND record_id = ? AND user_id = ?", key.Type, key.ID, key.User)
	if err != nil || len(rows) == 0 {
		return Rating{}, err
	}
	return rows[0], nil
}

func (s *store) query(ctx context.Context, q sqldb.Queryer, text string, args ...any) ([]Rating, error) {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return nil, storeError("read ratings", err)
	}
	defer rows.Close()
	var out []Rating
	for rows.Next() {
		r, err := scanRating(rows.Scan)
		if err != nil {
			return nil, storeError("read ratings", err)
		}
		out = append(out, r)
	}
	return out, storeError("read ratings", rows.Err())
}

// byRecord returns up to limit ratings of a record in the order of user ids, those after afterUser.
func (s *store) byRecord(ctx context.Context, rec Record, afterUser string, limit int) ([]Rating, error) {
	return s.query(ctx, s.db.Read(), "SELECT "+ratingColumns+" FROM ratings"+
		" WHERE record_type = ? AND record_id = ? AND user_id > ? AND value > 0 ORDER BY user_id LIMIT ?",
		rec.Type, rec.ID, afterUser, limit)
}

// userPlace is a place in a user's list: the last rating before it.
type userPlace struct {
	At   Micros `json:"a"`
	Type string `json:"t"`
	ID   string `json:"i"`
}

// byUser returns up to limit ratings of a user, newest first, those after place; recordType may be empty.
func (s *store) byUser(ctx context.Context, user, recordType string, place *userPlace, limit int) ([]Rating, error) {
	text := "SELECT " + ratingColumns + " FROM ratings WHERE user_id = ? AND value > 0"
	args := []any{user}
	if recordType != "" {
		// COALESCE hides the column from the optimizer. Knowing that there is one type, MySQL leaves it out of the order,
		// does not see any more that the user's index has this order, and sorts, or reads all of the type instead.
		text += " AND COALESCE(record_type, '') = ?"
		args = append(args, recordType)
	}
	if place != nil {
		// Spelled out, because MySQL finds no index range for a comparison of tuples.
		text += " AND rated_at <= ? AND (rated_at < ? OR record_type < ? OR (record_type = ? AND record_id < ?))"
		args = append(args, int64(place.At), int64(place.At), place.Type, place.Type, place.ID)
	}
	text += " ORDER BY rated_at DESC, record_type DESC, record_id DESC LIMIT ?"
	return s.query(ctx, s.db.Read(), text, append(args, limit)...)
}

// aggregate reads one record's aggregate: one row by its key, however many ratings there are.
func (s *store) aggregate(ctx context.Context, rec Record) (Aggregate, error) {
	var out Aggregate
	err := s.aggregates(ctx, rec.Type, []string{rec.ID}, func(_ string, a Aggregate) { out = a })
	return out, err
}

// aggregates calls each for those of the records that were ever rated, in no order.
func (s *store) aggregates(ctx context.Context, recordType string, ids []string, each func(id string, a Aggregate)) error {
	// QueryRows appends one key at a time, and the record type stands once before the list: it goes with the first.
	err := sqldb.QueryRows(ctx, s.db.Read(), len(ids), s.selectAggs,
		func(i int, dst []any) []any {
			if len(dst) == 0 {
				dst = append(dst, recordType)
			}
			return append(dst, ids[i])
		},
		func(scan func(dest ...any) error) error {
			d, err := scanAggregate(scan)
			if err == nil {
				each(d.ID, d.Aggregate)
			}
			return err
		})
	return storeError("read aggregates", err)
}

// scanAggregates calls each for every aggregate of a type with at least one vote.
func (s *store) scanAggregates(ctx context.Context, recordType string, each func(id string, a Aggregate)) error {
	rows, err := s.db.Read().QueryContext(ctx, "SELECT "+aggregateColumns+
		" FROM aggregates WHERE record_type = ? AND votes > 0", recordType)
	if err != nil {
		return storeError("scan aggregates", err)
	}
	defer rows.Close()
	for rows.Next() {
		d, err := scanAggregate(rows.Scan)
		if err != nil {
			return storeError("scan aggregates", err)
		}
		each(d.ID, d.Aggregate)
	}
	return storeError("scan aggregates", rows.Err())
}

// scanPage is how many ratings scanNewestFirst reads with one query. A client of MySQL that stops reading still gets the
// rest of the answer, so that an answer must have an end.
const scanPage = 4096

// errEnough ends a scan whose caller has what it wants.
var errEnough = errors.New("enough")

// scanNewestFirst calls each for every rating of a type as of one moment, newest first, until each returns false.
func (s *store) scanNewestFirst(ctx context.Context, recordType string, each func(id string, at Micros) (more bool)) error {
	err := s.db.Snapshot(ctx, func(ctx context.Context, q sqldb.Queryer) error {
		for through, limit := Micros(math.MaxInt64), scanPage; ; {
			next, err := scanNewestPage(ctx, q, recordType, through, limit, each)
			switch {
			case errors.Is(err, errEnough):
				return nil
			case err != nil || next == nil:
				return err
			case *next == through:
				limit *= 2 // a page full of ratings of one moment, and perhaps not all of them
			default:
				through, limit = *next, scanPage
			}
		}
	})
	return storeError("scan ratings, newest first", err)
}

// scanNewestPage reads up to limit ratings that were given at through or before. What comes last on a full page is kept
// back, as there may be more of the same moment: next is that moment, and nil after the last rating.
func scanNewestPage(ctx context.Context, q sqldb.Queryer, recordType string, through Micros, limit int, each func(string, Micros) bool) (next *Micros, err error) {
	var (
		n    int
		last = through
		held []string // the records of the ratings that were given at last
	)
	pass := func() error {
		for _, id := range held {
			if !each(id, last) {
				return errEnough
			}
		}
		held = held[:0]
		return nil
	}
	err = eachRow(ctx, q, func(scan scanFunc) error {
		var id string
		var at Micros
		if err := scan(&id, &at); err != nil {
			return err
		}
		if at != last {
			if err := pass(); err != nil {
				return err
			}
		}
		n, last, held = n+1, at, append(held, id)
		return nil
	}, "SELECT record_id, rated_at FROM ratings WHERE record_type = ? AND rated_at <= ? AND value > 0 ORDER BY rated_at DESC, record_id DESC LIMIT ?",
		recordType, int64(through), limit)
	if err != nil {
		return nil, err
	}
	if n < limit {
		return nil, pass()
	}
	return &last, nil
}

// storeError turns what a database says into a kind: driver errors end here.
func storeError(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, sqldb.Fault(err))
}
