package rating_test

import (
	"fmt"
	"math"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"movieexample.com/gen/book"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

const (
	wantType   = `is required: must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"`
	wantID     = "is required: 1 to 128 bytes"
	wantNoPage = "must be between 0 and 2147483647, 0 meaning "
)

// Every method refuses bad input with a message that names the field, says what is allowed and what was given.
func TestBadInput(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	f.put(t, "1", "u", 5)
	ctx := t.Context()
	long := strings.Repeat("x", 129)
	many := make([]string, 201)
	for i := range many {
		many[i] = "x"
	}
	put := func(typ, id, user string, v int32) func() error {
		return func() error {
			_, err := f.PutRating(ctx, &ratingv1.PutRatingRequest{RecordType: typ, RecordId: id, UserId: user, Value: &v})
			return err
		}
	}
	get := func(typ, id, user string) func() error {
		return func() error {
			_, err := f.GetRating(ctx, &ratingv1.GetRatingRequest{RecordType: typ, RecordId: id, UserId: user})
			return err
		}
	}
	del := func(typ, id, user string) func() error {
		return func() error {
			_, err := f.DeleteRating(ctx, &ratingv1.DeleteRatingRequest{RecordType: typ, RecordId: id, UserId: user})
			return err
		}
	}
	byRecord := func(typ, id string, size int32, token string) func() error {
		return func() error {
			_, err := f.ListRecordRatings(ctx, &ratingv1.ListRecordRatingsRequest{RecordType: typ, RecordId: id, PageSize: size, PageToken: token})
			return err
		}
	}
	byUser := func(typ, user string, size int32, token string) func() error {
		return func() error {
			_, err := f.ListUserRatings(ctx, &ratingv1.ListUserRatingsRequest{RecordType: typ, UserId: user, PageSize: size, PageToken: token})
			return err
		}
	}
	sum := func(typ, id string) func() error {
		return func() error {
			_, err := f.GetRatingSummary(ctx, &ratingv1.GetRatingSummaryRequest{RecordType: typ, RecordId: id})
			return err
		}
	}
	batch := func(typ string, ids ...string) func() error {
		return func() error {
			_, err := f.BatchGetRatingSummaries(ctx, &ratingv1.BatchGetRatingSummariesRequest{RecordType: typ, RecordIds: ids})
			return err
		}
	}
	chart := func(typ string, c ratingv1.Chart, size int32, start *ratingv1.ChartPosition) func() error {
		return func() error {
			_, err := f.ListChart(ctx, &ratingv1.ListChartRequest{RecordType: typ, Chart: c, PageSize: size, Start: start})
			return err
		}
	}
	totals := func(typ string) func() error {
		return func() error {
			_, err := f.GetTotals(ctx, &ratingv1.GetTotalsRequest{RecordType: typ})
			return err
		}
	}
	history := func(typ, id string) func() error {
		return func() error {
			_, err := f.ListRatingHistory(ctx, &ratingv1.ListRatingHistoryRequest{RecordType: typ, RecordId: id})
			return err
		}
	}
	summaries := func(typ string, size int32, token string) func() error {
		return func() error {
			_, err := f.ListRatingSummaries(ctx, &ratingv1.ListRatingSummariesRequest{RecordType: typ, PageSize: size, PageToken: token})
			return err
		}
	}
	export := func(typ string, size int32, token string) func() error {
		return func() error {
			_, err := f.admin.ListRatings(ctx, &ratingv1.ListRatingsRequest{RecordType: typ, PageSize: size, PageToken: token})
			return err
		}
	}
	bookGet := func(typ, id string) func() error {
		return func() error {
			_, err := f.book.GetAggregatedRating(ctx, &book.GetAggregatedRatingRequest{RecordType: typ, RecordId: id})
			return err
		}
	}
	bookPut := func(typ, id, user string, v int32) func() error {
		return func() error {
			_, err := f.book.PutRating(ctx, &book.PutRatingRequest{RecordType: typ, RecordId: id, UserId: user, RatingValue: v})
			return err
		}
	}
	audit := func(size int32, token string) func() error {
		return func() error {
			_, err := f.admin.AuditAggregates(ctx, &ratingv1.AuditAggregatesRequest{PageSize: size, PageToken: token})
			return err
		}
	}
	letters := func(size int32, token string) func() error {
		return func() error {
			_, err := f.admin.ListDeadLetters(ctx, &ratingv1.ListDeadLettersRequest{PageSize: size, PageToken: token})
			return err
		}
	}
	replay := func(ids ...string) func() error {
		return func() error {
			_, err := f.admin.ReplayDeadLetters(ctx, &ratingv1.ReplayDeadLettersRequest{Ids: ids})
			return err
		}
	}
	drop := func(ids ...string) func() error {
		return func() error {
			_, err := f.admin.DropDeadLetters(ctx, &ratingv1.DropDeadLettersRequest{Ids: ids})
			return err
		}
	}
	const altered = "page_token: is no token of this service: it must be next_page_token (nextPageToken in JSON) of an earlier answer, unchanged; leave page_token out to begin at the first page"
	top := ratingv1.Chart_CHART_TOP
	for _, c := range []struct {
		name string
		call func() error
		want string
	}{
		{"put, no type", put("", "1", "u", 5), "record_type: " + wantType},
		{"put, bad type", put("Movie", "1", "u", 5), `record_type: must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"; got "Movie"`},
		{"put, no record", put("movie", "", "u", 5), "record_id: " + wantID},
		{"put, long record", put("movie", long, "u", 5), "record_id: must be 1 to 128 bytes, got 129"},
		{"put, no user", put("movie", "1", "", 5), "user_id: " + wantID},
		{"put, user with a space", put("movie", "1", " u", 5), `user_id: must not start or end with white space, got " u"`},
		{"put, user with a control character", put("movie", "1", "u\n", 5), `user_id: must not contain control characters, got "u\n"`},
		{"put, 0", put("movie", "1", "u", 0), "value: must be an integer from 1 to 10, got 0"},
		{"put, 11", put("movie", "1", "u", 11), "value: must be an integer from 1 to 10, got 11"},
		{"get, no type", get("", "1", "u"), "record_type: " + wantType},
		{"get, no record", get("movie", "", "u"), "record_id: " + wantID},
		{"get, no user", get("movie", "1", ""), "user_id: " + wantID},
		{"delete, no type", del("", "1", "u"), "record_type: " + wantType},
		{"delete, no record", del("movie", "", "u"), "record_id: " + wantID},
		{"delete, no user", del("movie", "1", ""), "user_id: " + wantID},
		{"by record, no type", byRecord("", "1", 0, ""), "record_type: " + wantType},
		{"by record, no record", byRecord("movie", "", 0, ""), "record_id: " + wantID},
		{"by record, size", byRecord("movie", "1", -1, ""), "page_size: " + wantNoPage + "50; got -1"},
		{"by record, token", byRecord("movie", "1", 0, "?"), altered},
		{"by user, no user", byUser("", "", 0, ""), "user_id: " + wantID},
		{"by user, bad type", byUser("1", "u", 0, ""), `record_type: must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"; got "1"`},
		{"by user, size", byUser("", "u", -5, ""), "page_size: " + wantNoPage + "50; got -5"},
		{"by user, token", byUser("", "u", 0, "?"), altered},
		{"summary, no type", sum("", "1"), "record_type: " + wantType},
		{"summary, no record", sum("movie", ""), "record_id: " + wantID},
		{"batch, no type", batch("", "1"), "record_type: " + wantType},
		{"batch, none", batch("movie"), "record_ids: must have 1 to 200 ids, got 0"},
		{"batch, too many", batch("movie", many...), "record_ids: must have 1 to 200 ids, got 201"},
		{"batch, bad one", batch("movie", "1", ""), "record_ids[1]: " + wantID},
		{"chart, no type", chart("", top, 0, nil), "record_type: " + wantType},
		{"chart, none", chart("movie", 0, 0, nil), "chart: must be CHART_TOP, CHART_POPULAR or CHART_TRENDING, got CHART_UNSPECIFIED"},
		{"chart, unknown", chart("movie", 9, 0, nil), "chart: must be CHART_TOP, CHART_POPULAR or CHART_TRENDING, got 9"},
		{"chart, size", chart("movie", top, -1, nil), "page_size: " + wantNoPage + "50; got -1"},
		{"chart, start", chart("movie", top, 0, &ratingv1.ChartPosition{SortKey: math.NaN()}), "start.sort_key: must be a number, got NaN; send next of the previous response unchanged as start"},
		{"chart, start votes", chart("movie", top, 0, &ratingv1.ChartPosition{Votes: -1}), "start.votes: must not be negative, got -1; send next of the previous response unchanged as start"},
		{"chart, start id", chart("movie", top, 0, &ratingv1.ChartPosition{AfterRecordId: long}), "start.after_record_id: must be 1 to 128 bytes, got 129"},
		{"totals, no type", totals(""), "record_type: " + wantType},
		{"history, no type", history("", "1"), "record_type: " + wantType},
		{"history, no record", history("movie", ""), "record_id: " + wantID},
		{"history, long record", history("movie", long), "record_id: must be 1 to 128 bytes, got 129"},
		{"summaries, no type", summaries("", 0, ""), "record_type: " + wantType},
		{"summaries, size", summaries("movie", -1, ""), "page_size: " + wantNoPage + "1000; got -1"},
		{"summaries, token", summaries("movie", 0, "?"), altered},
		{"export, bad type", export("Movie", 0, ""), `record_type: must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"; got "Movie"`},
		{"export, size", export("", -1, ""), "page_size: " + wantNoPage + "1000; got -1"},
		{"export, token", export("", 0, "?"), altered},
		{"book get, no type", bookGet("", "1"), "record_type: " + wantType},
		{"book get, no record", bookGet("movie", ""), "record_id: " + wantID},
		{"book put, no user", bookPut("movie", "1", "", 5), "user_id: " + wantID},
		{"book put, no record", bookPut("movie", "", "u", 5), "record_id: " + wantID},
		{"book put, no type", bookPut("", "1", "u", 5), "record_type: " + wantType},
		{"book put, 0", bookPut("movie", "1", "u", 0), "rating_value: must be an integer from 1 to 10, got 0"},
		{"book put, -3", bookPut("movie", "1", "u", -3), "rating_value: must be an integer from 1 to 10, got -3"},
		{"audit, size", audit(-1, ""), "page_size: " + wantNoPage + "1000; got -1"},
		{"audit, token", audit(0, "?"), altered},
		{"letters, size", letters(-1, ""), "page_size: " + wantNoPage + "50; got -1"},
		{"letters, token", letters(0, "?"), altered},
		{"replay, none", replay(), "ids: must have 1 to 200 ids, got 0"},
		{"replay, too many", replay(many...), "ids: must have 1 to 200 ids, got 201"},
		{"replay, bad one", replay("a", long), "ids[1]: must be 1 to 128 bytes, got 129"},
		{"drop, none", drop(), "ids: must have 1 to 200 ids, got 0"},
		{"drop, too many", drop(many...), "ids: must have 1 to 200 ids, got 201"},
	} {
		if st := status.Convert(c.call()); st.Code() != codes.InvalidArgument || st.Message() != c.want {
			t.Errorf("%s:\n got %s: %s\nwant InvalidArgument: %s", c.name, st.Code(), st.Message(), c.want)
		}
	}
	for _, c := range []struct {
		name string
		call func() error
		want string
	}{
		{"get", get("movie", "1", "other"), `user "other" has not rated movie "1"`},
		{"get, another type", get("book", "1", "u"), `user "u" has not rated book "1"`},
		{"summary", sum("movie", "2"), `movie "2" has no ratings`},
		{"book", bookGet("movie", "2"), `movie "2" has no ratings`},
	} {
		if st := status.Convert(c.call()); st.Code() != codes.NotFound || st.Message() != c.want {
			t.Errorf("%s:\n got %s: %s\nwant NotFound: %s", c.name, st.Code(), st.Message(), c.want)
		}
	}
	if f.value(t, "1", "u") != 5 || f.votes(t, "1") != 1 {
		t.Error("bad input changed something")
	}
}

// A second rating replaces the first, on both contracts; the aggregate says so at once.
func TestPutReplaces(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	f.put(t, "1", "a", 3)
	f.put(t, "1", "b", 10)
	c.Add(time.Second)
	got := f.put(t, "1", "a", 8)
	if got.GetRecordType() != "movie" || got.GetRecordId() != "1" || got.GetUserId() != "a" || got.GetValue() != 8 || !got.GetRatedAt().AsTime().Equal(c.Now()) {
		t.Errorf("put answers %v", got)
	}
	if _, err := f.book.PutRating(t.Context(), &book.PutRatingRequest{RecordType: "movie", RecordId: "1", UserId: "a", RatingValue: 7}); err != nil {
		t.Fatal(err)
	}
	c.Add(2 * time.Second) // charts and the global mean may be a second old
	resp, err := f.GetRatingSummary(t.Context(), &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: "1"})
	if err != nil {
		t.Fatal(err)
	}
	s := resp.GetSummary()
	if s.GetVotes() != 2 || s.GetMean() != 8.5 || s.GetWeighted() != 8.5 || s.GetHistogram()[6] != 1 || s.GetHistogram()[9] != 1 || len(s.GetHistogram()) != 10 ||
		!s.GetAsOfTime().AsTime().Equal(c.Now()) {
		t.Errorf("summary %v", s)
	}
	b, err := f.book.GetAggregatedRating(t.Context(), &book.GetAggregatedRatingRequest{RecordType: "movie", RecordId: "1"})
	if err != nil || b.GetRatingValue() != 8.5 {
		t.Errorf("book API: %v, %v", b, err)
	}
}

// The version of a put is max(now, stored+1): a later put wins even if the clock was set back or an event is from the
// future.
func TestVersionOfAPut(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	first := f.put(t, "1", "a", 3).GetRatedAt().AsTime()
	if !first.Equal(t0) {
		t.Errorf("rated at %v, want now, %v", first, t0)
	}
	if second := f.put(t, "1", "a", 4).GetRatedAt().AsTime(); !second.Equal(t0.Add(time.Microsecond)) {
		t.Errorf("a second put at the same time is rated at %v, want a microsecond later", second)
	}
	c.Set(t0.Add(-time.Hour))
	if third := f.put(t, "1", "a", 5).GetRatedAt().AsTime(); !third.Equal(t0.Add(2 * time.Microsecond)) {
		t.Errorf("a put after the clock went back is rated at %v", third)
	}
	if v := f.value(t, "1", "a"); v != 5 {
		t.Errorf("value %d, want that of the last put", v)
	}
	c.Set(t0.Add(1500 * time.Nanosecond)) // an hour back and forth: microseconds count
	f.delete(t, "1", "a")
	if v := f.value(t, "1", "a"); v != 0 {
		t.Errorf("value %d after a delete at the same microsecond", v)
	}
	ahead := t0.Add(20 * time.Hour)
	execSQL(t, f.db, "INSERT INTO ratings VALUES ('movie', '2', 'a', 9, ?, 77)", ahead.UnixMicro())
	execSQL(t, f.db, "INSERT INTO aggregates VALUES ('movie', '2', 1, 9, 0,0,0,0,0,0,0,0,1,0)")
	if r := f.put(t, "2", "a", 2); !r.GetRatedAt().AsTime().Equal(ahead.Add(time.Microsecond)) {
		t.Errorf("a put over a rating of the future is rated at %v", r.GetRatedAt().AsTime())
	}
	f.checkAudit(t)
}

// A delete is idempotent, leaves nothing visible anywhere, and beats an event that is older and comes later.
func TestDeleteAndTombstones(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	c := newClock()
	c.Set(time.Now())
	f := start(t, sqltest.URL(t), s.cfg(), c.Now)
	before := c.Now().Add(-time.Minute)
	f.put(t, "1", "a", 9)
	f.put(t, "1", "b", 5)
	f.put(t, "2", "a", 7)
	for range 3 {
		f.delete(t, "1", "a")
		f.delete(t, "2", "a")
		f.delete(t, "3", "never rated")
	}
	check := func(when string) {
		t.Helper()
		c.Add(2 * time.Second)
		if v := f.value(t, "1", "a"); v != 0 {
			t.Errorf("%s: GetRating has %d", when, v)
		}
		if v := f.votes(t, "2") + f.votes(t, "3"); v != 0 {
			t.Errorf("%s: summaries have %d votes", when, v)
		}
		rec, err := f.ListRecordRatings(t.Context(), &ratingv1.ListRecordRatingsRequest{RecordType: "movie", RecordId: "1"})
		if err != nil || len(rec.GetRatings()) != 1 || rec.GetRatings()[0].GetUserId() != "b" {
			t.Errorf("%s: list by record: %v, %v", when, rec, err)
		}
		usr, err := f.ListUserRatings(t.Context(), &ratingv1.ListUserRatingsRequest{UserId: "a"})
		if err != nil || len(usr.GetRatings()) != 0 {
			t.Errorf("%s: list by user: %v, %v", when, usr, err)
		}
		b, err := f.BatchGetRatingSummaries(t.Context(), &ratingv1.BatchGetRatingSummariesRequest{RecordType: "movie", RecordIds: []string{"3", "2", "1"}})
		if err != nil || len(b.GetSummaries()) != 1 || b.GetSummaries()[0].GetRecordId() != "1" {
			t.Errorf("%s: batch: %v, %v", when, b, err)
		}
		for _, chart := range []ratingv1.Chart{ratingv1.Chart_CHART_POPULAR, ratingv1.Chart_CHART_TRENDING} {
			l, err := f.ListChart(t.Context(), &ratingv1.ListChartRequest{RecordType: "movie", Chart: chart})
			if err != nil || len(l.GetEntries()) != 1 || l.GetEntries()[0].GetSummary().GetRecordId() != "1" || l.GetEntries()[0].GetSummary().GetVotes() != 1 {
				t.Errorf("%s: %v: %v, %v", when, chart, l, err)
			}
		}
		tot, err := f.GetTotals(t.Context(), &ratingv1.GetTotalsRequest{RecordType: "movie"})
		if err != nil || tot.GetRecords() != 1 || tot.GetRatings() != 1 || tot.GetSum() != 5 {
			t.Errorf("%s: totals: %v, %v", when, tot, err)
		}
		f.checkAudit(t)
	}
	check("after the delete")
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	s.publish(t, event("1", "a", 10, before), event("2", "a", 10, before), event("3", "never rated", 10, before))
	eventually(t, "the late events", func() bool { return f.ingested(t) == 3 })
	check("after late events")
}

// What was acknowledged is there when the database is opened again.
func TestRatingsLast(t *testing.T) {
	t.Parallel()
	url, c := sqltest.URL(t), newClock()
	f := start(t, url, rating.Config{}, c.Now)
	f.put(t, "1", "a", 9)
	f.put(t, "1", "b", 4)
	f.delete(t, "1", "b")
	f.close(t)
	g := start(t, url, rating.Config{}, c.Now)
	if a, b, n := g.value(t, "1", "a"), g.value(t, "1", "b"), g.votes(t, "1"); a != 9 || b != 0 || n != 1 {
		t.Errorf("after reopening: a %d, b %d, votes %d; want 9, 0, 1", a, b, n)
	}
	g.checkAudit(t)
}

// A batch has the order of the request, each record once, and none without ratings.
func TestBatchOfSummaries(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	for i, id := range []string{"a", "b", "c"} {
		f.put(t, id, "u", int32(i+1))
	}
	ids := []string{"c", "none", "a", "c", "a"}
	for len(ids) < 200 {
		ids = append(ids, "x"+strings.Repeat("y", len(ids)%100))
	}
	resp, err := f.BatchGetRatingSummaries(t.Context(), &ratingv1.BatchGetRatingSummariesRequest{RecordType: "movie", RecordIds: ids})
	if err != nil {
		t.Fatal(err)
	}
	s := resp.GetSummaries()
	if len(s) != 2 || s[0].GetRecordId() != "c" || s[0].GetMean() != 3 || s[1].GetRecordId() != "a" || s[1].GetMean() != 1 {
		t.Errorf("summaries %v", s)
	}
}

// A full disk is an answer that says so, changes nothing, and is over when there is space again. This is about SQLite; what
// a full server answers is among the troubles of TestIngestionWaitsForTheDatabase.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	f := start(t, "sqlite:"+filepath.Join(t.TempDir(), "rating.db"), rating.Config{}, nil)
	f.put(t, "1", "a", 5)
	execSQL(t, f.db, "PRAGMA max_page_count = 1") // SQLite makes it the present size
	var err error
	acknowledged := 0
	for i := range 5000 {
		user := strings.Repeat("u", 100) + fmt.Sprint(i)
		if _, err = f.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: "2", UserId: user, Value: proto.Int32(5)}); err != nil {
			break
		}
		acknowledged++
	}
	const want = "the database's disk is full; the operator must free space, then the same request succeeds"
	if st := status.Convert(err); st.Code() != codes.Unavailable || st.Message() != want {
		t.Fatalf("got %v, want Unavailable: %s", st, want)
	}
	if v := f.value(t, "1", "a"); v != 5 {
		t.Errorf("value %d, want 5 still", v)
	}
	if n := f.votes(t, "2"); int(n) != acknowledged {
		t.Errorf("%d votes of %d acknowledged ratings", n, acknowledged)
	}
	execSQL(t, f.db, "PRAGMA max_page_count = 1000000")
	f.put(t, "2", "b", 7)
	f.checkAudit(t)
}
