package rating_test

import (
	"fmt"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
)

// years is a movie's history as text, such as "2020: 2 of 7.5, 2026: 1 of 3"; "" where it has no ratings.
func (f *front) years(t testing.TB, record string) string {
	t.Helper()
	resp, err := f.ListRatingHistory(t.Context(), &ratingv1.ListRatingHistoryRequest{RecordType: "movie", RecordId: record})
	if status.Code(err) == codes.NotFound {
		return ""
	}
	if err != nil {
		t.Fatal(err)
	}
	text, sep := "", ""
	for _, y := range resp.GetYears() {
		text += fmt.Sprintf("%s%d: %d of %v", sep, y.GetYear(), y.GetVotes(), y.GetMean())
		sep = ", "
	}
	return text
}

// A rating counts in the year it was given in, in UTC, to the microsecond; one that was changed, in that of the change.
func TestHistory(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	newYear := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(when time.Time, user string, value int32) {
		c.Set(when)
		f.put(t, "1", user, value)
	}
	at(newYear.Add(-time.Microsecond), "last of 2024", 4)
	at(newYear, "first of 2025", 9)
	at(newYear.In(time.FixedZone("", -11*3600)), "elsewhere", 10)
	at(time.Date(1999, 6, 1, 0, 0, 0, 0, time.UTC), "long ago", 1)
	f.put(t, "2", "other record", 5)
	if got, want := f.years(t, "1"), "1999: 1 of 1, 2024: 1 of 4, 2025: 2 of 9.5"; got != want {
		t.Errorf("history %q, want %q", got, want)
	}
	at(t0, "last of 2024", 7)
	f.delete(t, "1", "long ago")
	if got, want := f.years(t, "1"), "2025: 2 of 9.5, 2026: 1 of 7"; got != want {
		t.Errorf("history %q after a change and a delete, want %q", got, want)
	}
	for _, user := range []string{"last of 2024", "first of 2025", "elsewhere"} {
		f.delete(t, "1", user)
	}
	for _, record := range []string{"1", "never rated"} {
		_, err := f.ListRatingHistory(t.Context(), &ratingv1.ListRatingHistoryRequest{RecordType: "movie", RecordId: record})
		if st := status.Convert(err); st.Code() != codes.NotFound || st.Message() != fmt.Sprintf("movie %q has no ratings", record) {
			t.Errorf("history of %q, which has no ratings: %v", record, err)
		}
	}
}

// manyVotes gives a movie n ratings of the value 6 in 2020, behind the service's back and with the right aggregate.
func (f *front) manyVotes(t testing.TB, record string, n int) {
	t.Helper()
	insertRatings(t, f.db, n, func(i int) []any {
		return []any{"movie", record, fmt.Sprint("many", i+1), 6, 1590000000000000, i}
	})
	execSQL(t, f.db, "INSERT INTO aggregates VALUES ('movie', ?, ?, ?, 0,0,0,0,0,?,0,0,0,0)", record, n, 6*n, n)
}

// A long history is cached, but shows a change as soon as the record's aggregate does: at once in this test, where the clock
// does not move and so nothing has a cost. A change that the aggregate does not show appears a moment later.
func TestLongHistory(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	f.manyVotes(t, "long", 1001)
	if got, want := f.years(t, "long"), "2020: 1001 of 6"; got != want {
		t.Errorf("history %q, want %q", got, want)
	}
	f.put(t, "long", "a", 6)
	if got, want := f.years(t, "long"), "2020: 1001 of 6, 2026: 1 of 6"; got != want {
		t.Errorf("history %q after a put, want %q", got, want)
	}
	f.put(t, "long", "many1", 6) // the same value again: the aggregate is the same, the year is not
	c.Add(time.Microsecond)
	if got, want := f.years(t, "long"), "2020: 1000 of 6, 2026: 2 of 6"; got != want {
		t.Errorf("history %q after a rating was given again, want %q", got, want)
	}
	resp, err := f.ListRatingHistory(t.Context(), &ratingv1.ListRatingHistoryRequest{RecordType: "movie", RecordId: "long"})
	if err != nil || resp.GetAsOfTime().AsTime().After(c.Now()) || c.Now().Sub(resp.GetAsOfTime().AsTime()) > time.Second {
		t.Errorf("as of %v, %v; now is %v", resp.GetAsOfTime().AsTime(), err, c.Now())
	}
}

// users is the number of users that GetTotals knows, and whether it has counted them.
func (f *front) users(t testing.TB, recordType string) (n int64, counted bool) {
	t.Helper()
	resp, err := f.GetTotals(t.Context(), &ratingv1.GetTotalsRequest{RecordType: recordType})
	if err != nil {
		t.Fatal(err)
	}
	if resp.GetUsersAsOfTime() == nil && resp.GetUsers() != 0 {
		t.Errorf("%d users as of no time", resp.GetUsers())
	}
	return resp.GetUsers(), resp.GetUsersAsOfTime() != nil
}

// GetTotals counts the users that have a rating of the type, after any puts, deletes and events on their other ratings,
// including those that cancel out in the totals. Each number is compared with a recount over an export.
func TestUsers(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	c := newClock()
	c.Set(time.Now())
	f := start(t, sqltest.URL(t), s.cfg(), c.Now)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	check := func(when string, want int64) {
		t.Helper()
		distinct := map[string]bool{}
		for _, r := range pages(t, f.exportPage(t.Context(), "movie", 2), func() {}) {
			distinct[r.GetUserId()] = true
		}
		if len(distinct) != int(want) {
			t.Errorf("%s: an export has %d users, want %d", when, len(distinct), want)
		}
		c.Add(15 * time.Second) // a snapshot may be a second old; while the totals are the same, the count ten
		eventually(t, "the users to be counted "+when, func() bool { n, counted := f.users(t, "movie"); return counted && n == want })
	}
	check("before any rating", 0)
	f.put(t, "1", "a", 5)
	f.put(t, "2", "a", 6)
	f.put(t, "1", "b", 7)
	check("after puts", 2)
	f.delete(t, "2", "a")
	check("after a delete of one of two", 2)
	f.delete(t, "1", "b")
	f.delete(t, "1", "never rated")
	check("after a delete of the last", 1)
	if n, counted := f.users(t, "book"); n != 0 || !counted {
		t.Errorf("%d users rated a book, counted %v; want 0, true", n, counted)
	}
	f.put(t, "2", "c", 9)
	check("after a put", 2)
	// c goes, a rates what c had rated, alike: the totals do not show it.
	f.delete(t, "2", "c")
	f.put(t, "2", "a", 9)
	check("after changes that cancel out", 1)
	now := c.Now()
	s.publish(t, event("3", "d", 5, now), event("3", "e", 5, now), event("3", "d", 0, now.Add(time.Second)), event("4", "a", 1, now))
	eventually(t, "the events", func() bool { return f.ingested(t) == 4 })
	check("after events", 2)
}
