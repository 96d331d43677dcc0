//go:build servers

package bench_test

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
)

// bareStatement is the number of rows in a statement of the bare loop: the best of 64, 256 and 1,000.
const bareStatement = 256

// bareDelta is what a batch adds to a record's aggregate.
type bareDelta struct {
	recordType, recordID string
	total                int
	counts               [10]int
}

const (
	bareInsertRating = "INSERT INTO ratings (record_type,record_id,user_id,value,rated_at,event_id) VALUES "
	bareOnRating     = " ON DUPLICATE KEY UPDATE value=VALUES(value),rated_at=VALUES(rated_at),event_id=VALUES(event_id)"
	bareInsertDelta  = "INSERT INTO aggregates VALUES "
	bareOnDelta      = " ON DUPLICATE KEY UPDATE votes=votes+VALUES(votes),total=total+VALUES(total),c1=c1+VALUES(c1),c2=c2+VALUES(c2),c3=c3+VALUES(c3)," +
		"c4=c4+VALUES(c4),c5=c5+VALUES(c5),c6=c6+VALUES(c6),c7=c7+VALUES(c7),c8=c8+VALUES(c8),c9=c9+VALUES(c9),c10=c10+VALUES(c10)"
)

// bareTables makes a database with the rating service's tables, and opens it as a program without our code would.
func (s *realServers) bareTables(b *testing.B, what string, interpolate bool) (name string, db *sql.DB, done func()) {
	b.Helper()
	name, url, drop := s.database(b, what)
	schema(b, url)
	db = s.pool(b, name, interpolate)
	return name, db, func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
		drop()
	}
}

func placeholders(columns, rows int) string {
	row := "(" + strings.TrimSuffix(strings.Repeat("?,", columns), ",") + "),"
	return strings.TrimSuffix(strings.Repeat(row, rows), ",")
}

// bareUpserts is the plain way to do all that ingestion does to the tables: statements of many rows for the ratings, then
// for the aggregates, whose deltas were added up per batch; one transaction per batch. Nothing is read, so it is not exact: an
// event that comes twice would count twice. It returns rows per second.
func (s *realServers) bareUpserts(b *testing.B, rows []bareRow, batch int) float64 {
	b.Helper()
	_, db, drop := s.bareTables(b, "bare", true)
	defer drop()
	ctx := b.Context()
	began := time.Now()
	for chunk := range slices.Chunk(rows, batch) {
		if err := bareBatch(ctx, db, chunk); err != nil {
			b.Fatal(err)
		}
	}
	return float64(len(rows)) / time.Since(began).Seconds()
}

// bareBatch is one transaction of bareUpserts.
func bareBatch(ctx context.Context, db *sql.DB, rows []bareRow) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := errors.Join(bareRatings(ctx, tx, rows), bareAggregates(ctx, tx, rows)); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}

func bareRatings(ctx context.Context, tx *sql.Tx, rows []bareRow) error {
	var args []any
	for chunk := range slices.Chunk(rows, bareStatement) {
		args = args[:0]
		for _, r := range chunk {
			args = append(args, r.recordType, r.recordID, r.user, r.value, r.at, r.eventID)
		}
		if _, err := tx.ExecContext(ctx, bareInsertRating+placeholders(6, len(chunk))+bareOnRating, args...); err != nil {
			return err
		}
	}
	return nil
}

func bareAggregates(ctx context.Context, tx *sql.Tx, rows []bareRow) error {
	of := map[string]*bareDelta{}
	var all []*bareDelta
	for _, r := range rows {
		d := of[r.recordID]
		if d == nil {
			d = &bareDelta{recordType: r.recordType, recordID: r.recordID}
			of[r.recordID] = d
			all = append(all, d)
		}
		d.total += r.value
		d.counts[r.value-1]++
	}
	var args []any
	for chunk := range slices.Chunk(all, bareStatement) {
		args = args[:0]
		for _, d := range chunk {
			votes := 0
			for _, c := range d.counts {
				votes += c
			}
			args = append(args, d.recordType, d.recordID, votes, d.total)
			for _, c := range d.counts {
				args = append(args, c)
			}
		}
		if _, err := tx.ExecContext(ctx, bareInsertDelta+placeholders(14, len(chunk))+bareOnDelta, args...); err != nil {
			return err
		}
	}
	return nil
}

// loadData is the fastest way that the server has: LOAD DATA of a text that is in memory already, into the same table with its
// indexes, in one transaction. No aggregates.
func (s *realServers) loadData(b *testing.B, rows []bareRow) float64 {
	b.Helper()
	name, db, drop := s.bareTables(b, "load", false)
	defer drop()
	var text bytes.Buffer
	for _, r := range rows {
		fmt.Fprintf(&text, "%s\t%s\t%s\t%d\t%d\t%d\n", r.recordType, r.recordID, r.user, r.value, r.at, r.eventID)
	}
	mysql.RegisterReaderHandler(name, func() io.Reader { return bytes.NewReader(text.Bytes()) })
	defer mysql.DeregisterReaderHandler(name)
	began := time.Now()
	result, err := db.ExecContext(b.Context(), "LOAD DATA LOCAL INFILE 'Reader::"+name+"' INTO TABLE ratings (record_type,record_id,user_id,value,rated_at,event_id)")
	if err != nil {
		b.Fatal(err)
	}
	took := time.Since(began)
	if n, err := result.RowsAffected(); err != nil || n != int64(len(rows)) {
		b.Fatalf("LOAD DATA loaded %d of %d rows; %v", n, len(rows), err)
	}
	return float64(len(rows)) / took.Seconds()
}

// oneByOneRows writes ratings, each in its own statement and transaction. No aggregates.
func (s *realServers) oneByOneRows(b *testing.B, rows []bareRow) float64 {
	b.Helper()
	_, db, drop := s.bareTables(b, "single", false)
	defer drop()
	one, err := db.PrepareContext(b.Context(), bareInsertRating+placeholders(6, 1)+bareOnRating)
	if err != nil {
		b.Fatal(err)
	}
	defer one.Close()
	began := time.Now()
	for _, r := range rows {
		if _, err := one.ExecContext(b.Context(), r.recordType, r.recordID, r.user, r.value, r.at, r.eventID); err != nil {
			b.Fatal(err)
		}
	}
	return float64(len(rows)) / time.Since(began).Seconds()
}
