package rating

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"time"

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

// store is the service's rows. It knows SQL. Which change wins is decided by fold, the version of a write by [writer], the time of an
// event without one by arrivalOf.
type store struct {
	db  *Database
	now func() time.Time

	lockRecords   func(n int) string
	selectBefore  func(n int) string
	insertRatings func(n int) string
	upsertRatings func(n int) string
	addAggregates func(n int) string
	insertDead    func(n int) string
	selectAggs    func(n int) string
}

// newStore migrates the database.
func newStore(ctx context.Context, db *Database, now func() time.Time) (*store, error) {
	if err := db.Migrate(ctx, Schema()); err != nil {
		return nil, fmt.Errorf("migrate rating database: %w", err)
	}
	d := db.Dialect()
	key := []string{"record_type", "record_id", "user_id"}
	return &store{
		db: db, now: now,
		// Adds no votes: it inserts the row if there is none, and locks it in any case. The other counters are 0 by default.
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
	}, nil
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

// errEnough ends a scan early.
var errEnough = errors.New("enough")

// eachRow calls each for every row of a query.
func eachRow(ctx context.Context, q sqldb.Queryer, each func(scanFunc) error, text string, args ...any) error {
	rows, err := q.QueryContext(ctx, text, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return err
		}
	}
	return rows.Err()
}

// write runs one statement in its own transaction.
func (s *store) write(ctx context.Context, text string, args ...any) error {
	return s.db.Write(ctx, func(ctx context.Context, tx *sqldb.Tx) error {
		_, err := tx.ExecContext(ctx, text, args...)
		return err
	})
}

// truncate cuts s to at most n bytes at a rune's border.
func truncate(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && s[n]&0xC0 == 0x80 {
		n--
	}
	return s[:n]
}

// What an error means for a writer.

// commitUnknown reports whether the transaction may have been committed.
func commitUnknown(err error) bool { return errors.As(err, new(*sqldb.CommitError)) }

// diskFull reports whether only an operator can help, by freeing space.
func diskFull(err error) bool { return sqldb.Full(err) }

// transient reports whether the same write may succeed later.
func transient(err error) bool { return sqldb.Transient(err) }

// storeError turns a database error into a kind of fault: driver errors end here.
func storeError(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, sqldb.Fault(err))
}
