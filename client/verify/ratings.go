package verify

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// ratingScenarios are about one user's rating of one record, and what it does to the aggregate.
func ratingScenarios() []Scenario {
	return []Scenario{
		{Area: AreaRating, Door: Rating, Promise: "An acknowledged rating is read back by the next read through every instance.", ask: ratingRoundTrip},
		{Area: AreaRating, Door: Rating, Promise: "A user's second rating replaces the first: there is one per user and record.", ask: ratingReplaced},
		{Area: AreaRating, Door: Rating, Promise: "Count, mean and histogram are exact, even if many rate at the same moment through all instances.", ask: aggregateExact},
		{Area: AreaRating, Door: Rating, Promise: "A deleted rating is gone, and out of the aggregate.", ask: ratingDeleted},
		{Area: AreaRating, Door: Rating, Promise: "Deleting is idempotent, even for a rating that never existed, and rating again restores it.", ask: ratingDeletedAgain},
		{Area: AreaRating, Door: Rating, Promise: "Each rating of a user has a later time than the one that it replaces.", ask: ratingVersions},
		{Area: AreaRating, Door: Rating, Promise: "A bad rating is refused with a message that names the field and what is allowed, and changes nothing.", ask: badRating},
		{Area: AreaRating, Door: Rating, Promise: "A record without ratings is NOT_FOUND, never a zero.", ask: recordUnrated},
		{Area: AreaRating, Door: Rating, Promise: "Ids that differ only in case, accents or a space within are different records and users.", ask: idsBytewise},
		{Area: AreaRating, Door: Rating, Promise: "Ratings of one record id under different record types are separate.", ask: recordTypesApart},
	}
}

func ratingRoundTrip(t *trial) {
	record, user := t.name("record"), t.name("user")
	put := t.rate("movie", record, user, 7)
	same(t, "the value in the answer", put.GetValue(), 7)
	age := time.Since(put.GetRatedAt().AsTime())
	t.must(age < time.Minute && age > -time.Minute, "rated now, by clocks that agree to a minute", "%s ago", age)
	for _, d := range t.sys.reachable(Rating) {
		got := ask(t, d.ratings().GetRating, &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: user}).GetRating()
		t.must(proto.Equal(got, put), shorten(put.String()), "at %s: %s", d.addr, shorten(got.String()))
		s := ask(t, d.ratings().GetRatingSummary, &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: record}).GetSummary()
		same(t, "votes", s.GetVotes(), 1)
		t.near("mean", s.GetMean(), 7, 1e-9)
	}
}

func ratingReplaced(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.rate("movie", record, user, 3)
	t.rerate("movie", record, user, 9)
	t.rerate("movie", record, user, 6)
	t.summed("movie", record, 6)
	same(t, "the rating", t.rated("movie", record, user).GetValue(), 6)
}

func aggregateExact(t *trial) {
	record := t.name("record")
	doors := t.sys.reachable(Rating)
	const users = 24
	var want []int32
	for i := range users {
		want = append(want, int32(1+(i*7)%10))
	}
	t.parallel(users, func(t *trial, i int) {
		user := fmt.Sprintf("%s-user%d", t.id, i)
		t.forgetRating("movie", record, user)
		put := doors[i%len(doors)].ratings().PutRating
		for _, v := range []int32{10, want[i]} { // the first is replaced
			ask(t, put, &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: record, UserId: user, Value: &v})
		}
	})
	t.summed("movie", record, want...)
}

func ratingDeleted(t *trial) {
	record, a, b := t.name("record"), t.name("user"), t.name("user")
	t.rate("movie", record, a, 10)
	t.rate("movie", record, b, 4)
	t.unrate("movie", record, a)
	t.summed("movie", record, 4)
	refused(t, codes.NotFound, t.door.ratings().GetRating, &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: a})
	t.unrate("movie", record, b)
	t.unrated("movie", record)
}

func ratingDeletedAgain(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.unrate("movie", record, user)
	t.rate("movie", record, user, 8)
	t.unrate("movie", record, user)
	t.unrate("movie", record, user)
	t.unrated("movie", record)
	t.rerate("movie", record, user, 5)
	t.summed("movie", record, 5)
}

func ratingVersions(t *trial) {
	record, user := t.name("record"), t.name("user")
	doors := t.sys.reachable(Rating)
	last := t.rate("movie", record, user, 1).GetRatedAt().AsTime()
	for i := range 10 {
		v := int32(1 + i)
		now := ask(t, doors[i%len(doors)].ratings().PutRating,
			&ratingv1.PutRatingRequest{RecordType: "movie", RecordId: record, UserId: user, Value: &v}).GetRating().GetRatedAt().AsTime()
		t.must(now.After(last), "later than "+at(last), "%s", at(now))
		last = now
	}
	t.summed("movie", record, 10)
}

func badRating(t *trial) {
	record, user := t.name("record"), t.name("user")
	good := func() *ratingv1.PutRatingRequest {
		v := int32(5)
		return &ratingv1.PutRatingRequest{RecordType: "movie", RecordId: record, UserId: user, Value: &v}
	}
	value := func(v int32) func(*ratingv1.PutRatingRequest) {
		return func(q *ratingv1.PutRatingRequest) { q.Value = &v }
	}
	t.forgetRating("movie", record, user)
	for _, tc := range []struct {
		field string
		spoil func(*ratingv1.PutRatingRequest)
	}{
		{"value", value(0)},
		{"value", value(11)},
		{"value", value(-5)},
		{"value", func(q *ratingv1.PutRatingRequest) { q.Value = nil }},
		{"record_type", func(q *ratingv1.PutRatingRequest) { q.RecordType = "Movie" }},
		{"record_id", func(q *ratingv1.PutRatingRequest) { q.RecordId = "" }},
		{"user_id", func(q *ratingv1.PutRatingRequest) { q.UserId = " " + user }},
		{"user_id", func(q *ratingv1.PutRatingRequest) { q.UserId = strings.Repeat("u", 129) }},
	} {
		q := good()
		tc.spoil(q)
		refused(t, codes.InvalidArgument, t.door.ratings().PutRating, q, tc.field)
	}
	t.unrated("movie", record)
}

func recordUnrated(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.unrated("movie", record)
	refused(t, codes.NotFound, t.door.ratings().GetRating, &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: user})
	refused(t, codes.NotFound, t.door.ratings().ListRatingHistory, &ratingv1.ListRatingHistoryRequest{RecordType: "movie", RecordId: record})
	t.rate("movie", t.name("other"), user, 5)
	refused(t, codes.NotFound, t.door.ratings().GetRating, &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: record, UserId: user})
}

func idsBytewise(t *trial) {
	base := t.name("id")
	ids := []string{base + "a b", base + "A b", base + "á b", base + "ab", base + "a  b"}
	for i, id := range ids {
		t.rate("movie", id, base, int32(1+i))
		t.rate("movie", base, id, int32(1+i))
	}
	for i, id := range ids {
		t.summed("movie", id, int32(1+i))
		same(t, "the rating by "+id, t.rated("movie", base, id).GetValue(), int32(1+i))
	}
	t.summed("movie", base, 1, 2, 3, 4, 5)
}

func recordTypesApart(t *trial) {
	record, user := t.name("record"), t.name("user")
	t.rate("movie", record, user, 9)
	t.rate(t.recordType(), record, user, 2)
	t.summed("movie", record, 9)
	t.summed(t.recordType(), record, 2)
	t.unrate("movie", record, user)
	t.unrated("movie", record)
	t.summed(t.recordType(), record, 2)
}

// ratingListScenarios are about lists of ratings and aggregates.
func ratingListScenarios() []Scenario {
	return []Scenario{
		{Area: AreaRating, Door: Rating, Promise: "A walk over a record's ratings shows each once, by user id.", ask: recordWalk},
		{Area: AreaRating, Door: Rating, Promise: "A walk over a user's ratings shows each once, newest first.", ask: userWalk},
		{Area: AreaRating, Door: Rating, Promise: "A page token of ratings that was altered, or that belongs to another query, is refused by name.", ask: ratingTokens},
		{Area: AreaRating, Door: Rating, Promise: "A batch returns aggregates in the requested order; records without ratings are left out.", ask: summariesInOrder},
		{Area: AreaRating, Door: Rating, Promise: "A record's history counts its ratings in the year that they were given in.", ask: historyByYear},
	}
}

func recordWalk(t *trial) {
	record := t.name("record")
	var want []string
	for _, tail := range []string{"b", "a", "C", "é", "z", "c", "a b"} {
		user := t.id + tail
		t.rate("movie", record, user, 5)
		want = append(want, user)
	}
	slices.Sort(want) // byte by byte
	var got []string
	for token := ""; ; {
		page := ask(t, t.door.ratings().ListRecordRatings, &ratingv1.ListRecordRatingsRequest{RecordType: "movie", RecordId: record, PageSize: 2, PageToken: token})
		for _, r := range page.GetRatings() {
			got = append(got, r.GetUserId())
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
		t.must(len(got) <= len(want), "an end of the pages", "%d ratings", len(got))
	}
	same(t, "the users", got, want)
}

func (t *trial) userRatings(user, recordType string) (got []*ratingv1.Rating) {
	for token := ""; ; {
		page := ask(t, t.door.ratings().ListUserRatings, &ratingv1.ListUserRatingsRequest{UserId: user, RecordType: recordType, PageSize: 2, PageToken: token})
		got = append(got, page.GetRatings()...)
		if token = page.GetNextPageToken(); token == "" {
			return got
		}
		t.must(len(got) <= 20, "an end of the pages", "%d ratings", len(got))
	}
}

func userWalk(t *trial) {
	user := t.name("user")
	var want []string
	for i := range 5 {
		record := t.name("record")
		t.rate("movie", record, user, int32(1+i))
		want = append(want, record)
	}
	t.rate(t.recordType(), t.name("record"), user, 1)
	t.rerate("movie", want[1], user, 10) // the newest now
	want = []string{want[1], want[4], want[3], want[2], want[0]}
	got := t.userRatings(user, "movie")
	var records []string
	for _, r := range got {
		records = append(records, r.GetRecordId())
	}
	same(t, "the records", records, want)
	t.must(slices.IsSortedFunc(got, func(a, b *ratingv1.Rating) int {
		return cmp.Compare(b.GetRatedAt().AsTime().UnixMicro(), a.GetRatedAt().AsTime().UnixMicro())
	}), "the newest first", "%v", got)
	same(t, "the number of ratings of all types", len(t.userRatings(user, "")), 6)
}

func ratingTokens(t *trial) {
	record := t.name("record")
	for range 3 {
		t.rate("movie", record, t.name("user"), 5)
	}
	list := t.door.ratings().ListRecordRatings
	q := &ratingv1.ListRecordRatingsRequest{RecordType: "movie", RecordId: record, PageSize: 2}
	token := ask(t, list, q).GetNextPageToken()
	t.must(token != "", "a next page", "none")
	altered, other := proto.CloneOf(q), proto.CloneOf(q)
	altered.PageToken = alter(token)
	refused(t, codes.InvalidArgument, list, altered, "page_token")
	other.PageToken, other.RecordId = token, record+"x"
	refused(t, codes.InvalidArgument, list, other, "page_token")
}

func summariesInOrder(t *trial) {
	a, b, none := t.name("record"), t.name("record"), t.name("record")
	t.rate("movie", a, t.name("user"), 3)
	t.rate("movie", b, t.name("user"), 8)
	list := ask(t, t.door.ratings().BatchGetRatingSummaries, &ratingv1.BatchGetRatingSummariesRequest{
		RecordType: "movie", RecordIds: []string{b, none, a, b},
	}).GetSummaries()
	var got []string
	for _, s := range list {
		got = append(got, fmt.Sprintf("%s %d×%g", s.GetRecordId(), s.GetVotes(), s.GetMean()))
	}
	same(t, "the aggregates", got, []string{b + " 1×8", a + " 1×3"})
}

func historyByYear(t *trial) {
	record := t.name("record")
	var last time.Time
	for i, v := range []int32{2, 6} {
		last = t.rate("movie", record, t.name(fmt.Sprint("user", i)), v).GetRatedAt().AsTime()
	}
	years := ask(t, t.door.ratings().ListRatingHistory, &ratingv1.ListRatingHistoryRequest{RecordType: "movie", RecordId: record}).GetYears()
	votes, sum := int32(0), 0.0
	for _, y := range years { // two only if they were given around New Year
		votes += y.GetVotes()
		sum += y.GetMean() * float64(y.GetVotes())
	}
	same(t, "votes in all years", votes, 2)
	t.near("the sum over all years", sum, 8, 1e-9)
	same(t, "the last year", years[len(years)-1].GetYear(), int32(last.UTC().Year()))
}
