package rating

import (
	"cmp"
	"context"
	"slices"
)

// years returns a record's ratings by the year they were given in, oldest first. It reads every row of the record, by
// the range of the primary key, and groups them here: SQL that groups by year or day is no faster with a million rows
// (1.3 s against 1.4 s on one core), as finding the rows is most of the work, and holds all of them in memory to sort.
func (s *store) years(ctx context.Context, rec Record) ([]yearVotes, error) {
	byYear := make(map[int]*yearVotes)
	err := eachRow(ctx, s.db.Read(), func(scan scanFunc) error {
		var at Micros
		var value int64
		if err := scan(&at, &value); err != nil {
			return err
		}
		year := at.Time().Year()
		y, ok := byYear[year]
		if !ok {
			y = &yearVotes{Year: year}
			byYear[year] = y
		}
		y.Votes++
		y.Sum += value
		return nil
	}, "SELECT rated_at, value FROM ratings WHERE record_type = ? AND record_id = ? AND value > 0", rec.Type, rec.ID)
	if err != nil {
		return nil, storeError("read ratings by year", err)
	}
	years := make([]yearVotes, 0, len(byYear))
	for _, y := range byYear {
		years = append(years, *y)
	}
	slices.SortFunc(years, func(a, b yearVotes) int { return cmp.Compare(a.Year, b.Year) })
	return years, nil
}

// countUsers returns how many users have at least one rating of a type. It reads all ratings of the type and holds the
// distinct users in memory (a million ratings: 0.3 s by 10,000 users, 1.1 s by a million). An index that had value beside
// user_id would be faster to read, and would be written with every rating.
func (s *store) countUsers(ctx context.Context, recordType string) (int64, error) {
	var n int64
	err := s.db.Read().QueryRowContext(ctx, "SELECT COUNT(DISTINCT user_id) FROM ratings WHERE record_type = ? AND value > 0", recordType).Scan(&n)
	return n, storeError("count users", err)
}

// totals returns the sums over all records of a type. It reads every aggregate of the type and holds none.
func (s *store) totals(ctx context.Context, recordType string) (t totals, err error) {
	err = s.db.Read().QueryRowContext(ctx, "SELECT COUNT(*), COALESCE(SUM(votes), 0), COALESCE(SUM(total), 0) FROM aggregates"+
		" WHERE record_type = ? AND votes > 0", recordType).Scan(&t.Records, &t.Ratings, &t.Sum)
	return t, storeError("sum aggregates", err)
}

// aggregatesAfter returns up to limit aggregates with votes of a type, in the order of their record ids, those after
// afterID.
func (s *store) aggregatesAfter(ctx context.Context, recordType, afterID string, limit int) ([]delta, error) {
	var out []delta
	err := eachRow(ctx, s.db.Read(), func(scan scanFunc) error {
		d, err := scanAggregate(scan)
		out = append(out, d)
		return err
	}, "SELECT "+aggregateColumns+" FROM aggregates WHERE record_type = ? AND record_id > ? AND votes > 0 ORDER BY record_id LIMIT ?",
		recordType, afterID, limit)
	return out, storeError("list aggregates", err)
}

// ratingsAfter returns up to limit ratings of a type in the order of record id and user id, those after the given key
// of that type.
func (s *store) ratingsAfter(ctx context.Context, after Key, limit int) ([]Rating, error) {
	var out []Rating
	var err error
	// The rest of a record and the records after it are a query each, as each is one range of the primary key then: an OR
	// of both would walk a popular record again for every page.
	if after.ID != "" {
		if out, err = s.byRecord(ctx, after.Record, after.User, limit); err != nil || len(out) == limit {
			return out, err
		}
	}
	more, err := s.query(ctx, s.db.Read(), "SELECT "+ratingColumns+" FROM ratings"+
		" WHERE record_type = ? AND record_id > ? AND value > 0 ORDER BY record_id, user_id LIMIT ?", after.Type, after.ID, limit-len(out))
	return append(out, more...), err
}

// everyRatingAfter is ratingsAfter over all types, in their order; after.Type may be empty.
func (s *store) everyRatingAfter(ctx context.Context, after Key, limit int) ([]Rating, error) {
	var out []Rating
	for len(out) < limit {
		if after.Type != "" {
			more, err := s.ratingsAfter(ctx, after, limit-len(out))
			if err != nil {
				return nil, err
			}
			out = append(out, more...)
		}
		next, err := nextType(ctx, s.db.Read(), after.Type)
		if err != nil {
			return nil, storeError("read ratings", err)
		}
		if next == "" {
			break
		}
		after = Key{Record: Record{Type: next}}
	}
	return out, nil
}
