package rating

import (
	"context"
	"fmt"
	"slices"

	"movieexample.com/internal/sqldb"
)

// maxAuditPage is how many aggregates one audit may recompute.
const maxAuditPage = 10_000

// audited is one record's aggregate as stored and as recomputed from its ratings.
type audited struct {
	Record
	stored, recomputed Aggregate
}

// differences calls differ for each field whose stored value is not the recomputed one.
func (a audited) differences(differ func(field string, stored, recomputed int64)) {
	compare := func(field string, stored, recomputed int64) {
		if stored != recomputed {
			differ(field, stored, recomputed)
		}
	}
	compare("votes", a.stored.Votes, a.recomputed.Votes)
	compare("sum", a.stored.Sum, a.recomputed.Sum)
	for i := range a.stored.Counts {
		compare(fmt.Sprintf("histogram[%d]", i+Lowest), a.stored.Counts[i], a.recomputed.Counts[i])
	}
}

// Audit recomputes every aggregate of a database from its ratings, as RatingAdminService.AuditAggregates does, without a service. It
// only reads the database, whose schema must be up to date. It calls differ for each difference, and returns how many aggregates it
// checked: those of records with ratings, and those with a count but no ratings.
func Audit(ctx context.Context, db *Database, differ func(r Record, field string, stored, recomputed int64)) (checked int64, err error) {
	s := &store{db: db}
	next := &Record{}
	for next != nil {
		var found []audited
		if found, next, err = s.audit(ctx, *next, maxAuditPage); err != nil {
			return checked, err
		}
		checked += int64(len(found))
		for _, a := range found {
			a.differences(func(field string, stored, recomputed int64) { differ(a.Record, field, stored, recomputed) })
		}
	}
	return checked, nil
}

// audit recomputes aggregates from one snapshot of the database: limit records after the given one, and any records between them that
// have ratings but no aggregate. A page has records of one type. next is where the next page begins, nil on the last page.
func (s *store) audit(ctx context.Context, after Record, limit int) (out []audited, next *Record, err error) {
	err = s.db.Snapshot(ctx, func(ctx context.Context, q sqldb.Queryer) error {
		if after.Type == "" {
			first, err := nextType(ctx, q, "")
			if err != nil || first == "" {
				return err
			}
			after.Type = first
		}
		out, next, err = auditPage(ctx, q, after, limit)
		if err != nil || next != nil {
			return err
		}
		following, err := nextType(ctx, q, after.Type)
		if following != "" {
			next = &Record{Type: following}
		}
		return err
	})
	if err != nil {
		return nil, nil, storeError("audit aggregates", err)
	}
	return out, next, nil
}

// auditPage audits records of after's type; next is nil after the last one.
func auditPage(ctx context.Context, q sqldb.Queryer, after Record, limit int) (out []audited, next *Record, err error) {
	found := make(map[Record]*audited)
	entry := func(r Record) *audited {
		a, ok := found[r]
		if !ok {
			a = &audited{Record: r}
			found[r] = a
		}
		return a
	}
	last, n := after, 0
	err = eachRow(ctx, q, func(scan scanFunc) error {
		d, err := scanAggregate(scan)
		entry(d.Record).stored = d.Aggregate
		last, n = d.Record, n+1
		return err
	}, auditAggregates, after.Type, after.ID, limit)
	if err != nil {
		return nil, nil, err
	}
	text, args := auditRatings, []any{after.Type, after.ID}
	// The last page of a type has no upper end: there may be ratings after the last aggregate.
	if n == limit {
		next = &last
		text, args = auditRatingsUpTo, append(args, last.ID)
	}
	err = eachRow(ctx, q, func(scan scanFunc) error {
		d, err := scanAggregate(scan)
		entry(d.Record).recomputed = d.Aggregate
		return err
	}, text, args...)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range found {
		// An aggregate that is rightly zero belongs to tombstones alone and is not reported. Its row stays as long as they do,
		// because changes of the record lock it (ADR 012); no list, total or summary shows it.
		if a.stored.Votes != 0 || a.recomputed.Votes != 0 || a.stored != a.recomputed {
			out = append(out, *a)
		}
	}
	slices.SortFunc(out, func(a, b audited) int { return a.Record.compare(b.Record) })
	return out, next, nil
}

const (
	auditAggregates = "SELECT " + aggregateColumns + " FROM aggregates WHERE record_type = ? AND record_id > ? ORDER BY record_id LIMIT ?"
	// Sums over cases rather than groups by value: the primary key delivers the groups in order, without sorting.
	auditColumns = "SELECT MIN(record_type), record_id, COUNT(*), SUM(value)," +
		" SUM(CASE value WHEN 1 THEN 1 ELSE 0 END), SUM(CASE value WHEN 2 THEN 1 ELSE 0 END)," +
		" SUM(CASE value WHEN 3 THEN 1 ELSE 0 END), SUM(CASE value WHEN 4 THEN 1 ELSE 0 END)," +
		" SUM(CASE value WHEN 5 THEN 1 ELSE 0 END), SUM(CASE value WHEN 6 THEN 1 ELSE 0 END)," +
		" SUM(CASE value WHEN 7 THEN 1 ELSE 0 END), SUM(CASE value WHEN 8 THEN 1 ELSE 0 END)," +
		" SUM(CASE value WHEN 9 THEN 1 ELSE 0 END), SUM(CASE value WHEN 10 THEN 1 ELSE 0 END) FROM ratings"
	auditGroups      = " AND value > 0 GROUP BY record_id"
	auditRatings     = auditColumns + " WHERE record_type = ? AND record_id > ?" + auditGroups
	auditRatingsUpTo = auditColumns + " WHERE record_type = ? AND record_id > ? AND record_id <= ?" + auditGroups
)
