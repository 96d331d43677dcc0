package bench_test

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"movieexample.com/api/events"
	"movieexample.com/internal/sqldb"
	"movieexample.com/rating"
)

// bareRow is what one event becomes in the table ratings.
type bareRow struct {
	recordType, recordID, user string
	value                      int
	at, eventID                int64
}

// bareRows is made before the clock starts: the bare loop neither decodes nor checks anything.
func bareRows(all []events.Event) []bareRow {
	rows := make([]bareRow, len(all))
	for i, e := range all {
		rows[i] = bareRow{e.RecordType, e.RecordID, e.UserID, e.Value, e.RatedAt.UnixMicro(), int64(i) * 0x5851f42d4c957f2d}
	}
	return rows
}

// barePerStatement is the size of the bare loop's statements: the best of 16, 64 and 256.
const barePerStatement = 64

// bareLoop is the loop to compare with: database/sql and the driver, nothing else. The schema, the settings of the
// connection and the rows are the same; one transaction per batch; statements of many rows, prepared once.
type bareLoop struct {
	db                           *sql.DB
	ratings, oneRating, oneDelta *sql.Stmt
	withAggregates               bool
}

// newBareLoop starts with a new and empty database.
func newBareLoop(b *testing.B, withAggregates bool) *bareLoop {
	b.Helper()
	path := filepath.Join(b.TempDir(), "rating.db")
	migrate(b, path)
	settings := url.Values{"_txlock": {"immediate"}, "_pragma": {
		"busy_timeout(5000)", "journal_mode(WAL)", "synchronous(FULL)", "wal_autocheckpoint(8192)", "journal_size_limit(67108864)",
		"cache_size(-16384)", "temp_store(MEMORY)",
	}}
	db, err := sql.Open("sqlite", "file:"+path+"?"+settings.Encode())
	if err != nil {
		b.Fatal(err)
	}
	db.SetMaxOpenConns(1)
	l := &bareLoop{db: db, withAggregates: withAggregates}
	for _, s := range []struct {
		stmt **sql.Stmt
		text string
	}{
		{&l.ratings, bareUpsert(barePerStatement)},
		{&l.oneRating, bareUpsert(1)},
		{&l.oneDelta, "INSERT INTO aggregates VALUES (?,?,1,?,?,?,?,?,?,?,?,?,?,?) ON CONFLICT(record_type,record_id) DO UPDATE SET " +
			"votes=votes+1,total=total+excluded.total,c1=c1+excluded.c1,c2=c2+excluded.c2,c3=c3+excluded.c3,c4=c4+excluded.c4,c5=c5+excluded.c5," +
			"c6=c6+excluded.c6,c7=c7+excluded.c7,c8=c8+excluded.c8,c9=c9+excluded.c9,c10=c10+excluded.c10"},
	} {
		if *s.stmt, err = db.PrepareContext(b.Context(), s.text); err != nil {
			b.Fatal(err)
		}
	}
	return l
}

func bareUpsert(rows int) string {
	return "INSERT INTO ratings (record_type,record_id,user_id,value,rated_at,event_id) VALUES " +
		strings.TrimSuffix(strings.Repeat("(?,?,?,?,?,?),", rows), ",") +
		" ON CONFLICT(record_type,record_id,user_id) DO UPDATE SET value=excluded.value,rated_at=excluded.rated_at,event_id=excluded.event_id"
}

// migrate makes the rating service make its schema.
func migrate(b *testing.B, path string) {
	b.Helper()
	db, err := sqldb.Open(b.Context(), "sqlite:"+path, sqldb.Options{})
	if err != nil {
		b.Fatal(err)
	}
	if _, err := rating.New(b.Context(), rating.Config{}, rating.Deps{DB: db}); err != nil {
		b.Fatal(err)
	}
	if err := db.Close(); err != nil {
		b.Fatal(err)
	}
}

// run upserts all rows, so many in each transaction, and returns rows per second.
func (l *bareLoop) run(b *testing.B, rows []bareRow, batch int) float64 {
	b.Helper()
	began := time.Now()
	for chunk := range slices.Chunk(rows, batch) {
		if err := l.transaction(b.Context(), chunk); err != nil {
			b.Fatal(err)
		}
	}
	return float64(len(rows)) / time.Since(began).Seconds()
}

func (l *bareLoop) transaction(ctx context.Context, rows []bareRow) error {
	tx, err := l.db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	many, one, delta := tx.StmtContext(ctx, l.ratings), tx.StmtContext(ctx, l.oneRating), tx.StmtContext(ctx, l.oneDelta)
	var args []any
	for chunk := range slices.Chunk(rows, barePerStatement) {
		args = args[:0]
		for _, r := range chunk {
			args = append(args, r.recordType, r.recordID, r.user, r.value, r.at, r.eventID)
		}
		if len(chunk) == barePerStatement {
			_, err = many.ExecContext(ctx, args...)
		} else {
			for row := range slices.Chunk(args, 6) {
				_, oneErr := one.ExecContext(ctx, row...)
				err = errors.Join(err, oneErr)
			}
		}
		if err != nil {
			return errors.Join(err, tx.Rollback())
		}
	}
	if l.withAggregates {
		for _, r := range rows {
			args = append(args[:0], r.recordType, r.recordID, r.value)
			for v := 1; v <= 10; v++ {
				n := 0
				if v == r.value {
					n = 1
				}
				args = append(args, n)
			}
			if _, err := delta.ExecContext(ctx, args...); err != nil {
				return errors.Join(err, tx.Rollback())
			}
		}
	}
	return tx.Commit()
}

func (l *bareLoop) close(b *testing.B) {
	b.Helper()
	if err := errors.Join(l.ratings.Close(), l.oneRating.Close(), l.oneDelta.Close(), l.db.Close()); err != nil {
		b.Fatal(err)
	}
}
