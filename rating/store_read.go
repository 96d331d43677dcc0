package rating

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"movieexample.com/internal/sqldb"
)

// read returns the row of key, a tombstone included; the zero Rating where there is none.
func (s *store) read(ctx context.Context, key Key) (Rating, error) {
	rows, err := s.query(ctx, "SELECT "+ratingColumns+
		" FROM ratings WHERE record_type = ? AND record_id = ? AND user_id = ?", key.Type, key.ID, key.User)
	if err != nil || len(rows) == 0 {
		return Rating{}, err
	}
	return rows[0], nil
}

func (s *store) query(ctx context.Context, text string, args ...any) ([]Rating, error) {
	var out []Rating
	err := eachRow(ctx, s.db.Read(), func(scan scanFunc) error {
		r, err := scanRating(scan)
		out = append(out, r)
		return err
	}, text, args...)
	return out, storeError("read ratings", err)
}

// byRecord returns up to limit ratings of a record in the order of user ids, those after afterUser.
func (s *store) byRecord(ctx context.Context, rec Record, afterUser string, limit int) ([]Rating, error) {
	return s.query(ctx, "SELECT "+ratingColumns+" FROM ratings"+
		" WHERE record_type = ? AND record_id = ? AND user_id > ? AND value > 0 ORDER BY user_id LIMIT ?",
		rec.Type, rec.ID, afterUser, limit)
}

// userPlace is a place in a user's list: the rating before it.
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
		// COALESCE hides the column from the optimizer. If MySQL knows that there is one type, it leaves the type out of the
		// order, misses that the user's index has this order, and sorts, or reads the whole type instead.
		text += " AND COALESCE(record_type, '') = ?"
		args = append(args, recordType)
	}
	if place != nil {
		// Spelled out, because MySQL finds no index range for a comparison of tuples.
		text += " AND rated_at <= ? AND (rated_at < ? OR record_type < ? OR (record_type = ? AND record_id < ?))"
		args = append(args, int64(place.At), int64(place.At), place.Type, place.Type, place.ID)
	}
	text += " ORDER BY rated_at DESC, record_type DESC, record_id DESC LIMIT ?"
	return s.query(ctx, text, append(args, limit)...)
}

// aggregate reads one record's aggregate: one row by its key, however many ratings there are.
func (s *store) aggregate(ctx context.Context, rec Record) (Aggregate, error) {
	var out Aggregate
	err := s.aggregates(ctx, rec.Type, []string{rec.ID}, func(_ string, a Aggregate) { out = a })
	return out, err
}

// aggregates calls each for every record of ids that was ever rated, in no order.
func (s *store) aggregates(ctx context.Context, recordType string, ids []string, each func(id string, a Aggregate)) error {
	// QueryRows appends one key at a time. The record type comes once, before the list, so it goes with the first key.
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
	err := eachRow(ctx, s.db.Read(), func(scan scanFunc) error {
		d, err := scanAggregate(scan)
		if err == nil {
			each(d.ID, d.Aggregate)
		}
		return err
	}, "SELECT "+aggregateColumns+" FROM aggregates WHERE record_type = ? AND votes > 0", recordType)
	return storeError("scan aggregates", err)
}

// scanPage is how many ratings scanNewestFirst reads with one query. A client of MySQL that stops reading still receives the rest of
// the result, so a result must be bounded.
const scanPage = 4096

// scanNewestFirst calls each for every rating of a type from one snapshot, newest first, until each returns false.
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
				limit *= 2 // a full page of one time, and perhaps not all of it
			default:
				through, limit = *next, scanPage
			}
		}
	})
	return storeError("scan ratings, newest first", err)
}

// scanNewestPage reads up to limit ratings given at through or before. Of a full page the ratings of the last time are withheld,
// because there may be more of that time: next is that time, and nil after the last rating.
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

// years returns a record's ratings by the year they were given in, oldest first. It reads every row of the record,
// a range of the primary key, and groups them here. SQL that groups by year or day is no faster with a million rows
// (1.3 s against 1.4 s on one core), because finding the rows is most of the work, and it sorts all of them in memory.
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
// distinct users in memory (a million ratings: 0.3 s by 10,000 users, 1.1 s by a million). An index on user_id
// and value would be faster to read, but every rating would have to write it.
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
	// The rest of a record and the records after it are a query each, because each is one range of the primary key: an OR of
	// both would scan a popular record again for every page.
	if after.ID != "" {
		if out, err = s.byRecord(ctx, after.Record, after.User, limit); err != nil || len(out) == limit {
			return out, err
		}
	}
	more, err := s.query(ctx, "SELECT "+ratingColumns+" FROM ratings"+
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

// nextType returns the record type after the given one, of ratings or of aggregates; "" where there is none.
func nextType(ctx context.Context, q sqldb.Queryer, after string) (string, error) {
	next := ""
	for _, text := range [...]string{
		"SELECT record_type FROM ratings WHERE record_type > ? ORDER BY record_type LIMIT 1",
		"SELECT record_type FROM aggregates WHERE record_type > ? ORDER BY record_type LIMIT 1",
	} {
		err := eachRow(ctx, q, func(scan scanFunc) error {
			var t string
			err := scan(&t)
			if next == "" || t < next {
				next = t
			}
			return err
		}, text, after)
		if err != nil {
			return "", err
		}
	}
	return next, nil
}
