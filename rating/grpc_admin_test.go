package rating_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// damaged is a database whose aggregates were changed by hand, one thing each.
func damaged(t *testing.T) *front {
	f, _ := serve(t)
	for i := range 7 {
		for j := range 3 {
			f.put(t, fmt.Sprint("m", i), fmt.Sprint("u", j), int32(1+(i+j)%10))
		}
	}
	for _, text := range []string{
		"UPDATE aggregates SET votes = 4 WHERE record_id = 'm0'",
		"UPDATE aggregates SET total = total - 1 WHERE record_id = 'm2'",
		"UPDATE aggregates SET c10 = 1 WHERE record_id = 'm3'",
		// Rows without an aggregate: between others, after the last, and of types that have no aggregates at all.
		"DELETE FROM aggregates WHERE record_id = 'm4'",
		"INSERT INTO ratings VALUES ('movie', 'z', 'u', 7, 1, 1)",
		"INSERT INTO ratings VALUES ('album', 'a', 'u', 2, 1, 1)",
		"INSERT INTO ratings VALUES ('zine', 'z', 'u', 3, 1, 1)",
		// Aggregates without rows; one that is empty is right.
		"INSERT INTO aggregates VALUES ('movie', 'm9', 1, 5, 0,0,0,0,1,0,0,0,0,0)",
		"INSERT INTO aggregates VALUES ('book', 'empty', 0, 0, 0,0,0,0,0,0,0,0,0,0)",
		// A value that no rating can have is counted nowhere but in votes and sum.
		"UPDATE ratings SET value = 12 WHERE record_id = 'm5' AND user_id = 'u0'",
	} {
		execSQL(t, f.db, text)
	}
	return f
}

// The audit finds the difference of every field, rows without aggregates and aggregates without rows, once each,
// also at the end of a page.
func TestAuditFindsEveryDifference(t *testing.T) {
	t.Parallel()
	f := damaged(t)
	want := strings.Split(`album/a votes: stored 0, recomputed 1
album/a sum: stored 0, recomputed 2
album/a histogram[2]: stored 0, recomputed 1
movie/m0 votes: stored 4, recomputed 3
movie/m2 sum: stored 11, recomputed 12
movie/m3 histogram[10]: stored 1, recomputed 0
movie/m4 votes: stored 0, recomputed 3
movie/m4 sum: stored 0, recomputed 18
movie/m4 histogram[5]: stored 0, recomputed 1
movie/m4 histogram[6]: stored 0, recomputed 1
movie/m4 histogram[7]: stored 0, recomputed 1
movie/m5 sum: stored 21, recomputed 27
movie/m5 histogram[6]: stored 1, recomputed 0
movie/m9 votes: stored 1, recomputed 0
movie/m9 sum: stored 5, recomputed 0
movie/m9 histogram[5]: stored 1, recomputed 0
movie/z votes: stored 0, recomputed 1
movie/z sum: stored 0, recomputed 7
movie/z histogram[7]: stored 0, recomputed 1
zine/z votes: stored 0, recomputed 1
zine/z sum: stored 0, recomputed 3
zine/z histogram[3]: stored 0, recomputed 1`, "\n")
	for size := int32(0); size <= 10; size++ {
		var got []string
		var checked, ratings int64
		req := &ratingv1.AuditAggregatesRequest{PageSize: size}
		for {
			resp, err := f.admin.AuditAggregates(t.Context(), req)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range resp.GetDifferences() {
				got = append(got, fmt.Sprintf("%s/%s %s: stored %d, recomputed %d", d.GetRecordType(), d.GetRecordId(), d.GetField(), d.GetStored(), d.GetRecomputed()))
			}
			checked += resp.GetChecked()
			ratings += resp.GetRatings()
			if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
				break
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("pages of %d (-want +got):\n%s", size, diff)
		}
		if checked != 11 || ratings != 24 { // of the twelfth nothing is left
			t.Errorf("pages of %d: %d records with %d ratings checked, want 11 with 24", size, checked, ratings)
		}
	}
}

// TestAuditCountsRecordsWithRatings: a record whose last rating was taken back is none that was rated, for the audit as for all lists.
func TestAuditCountsRecordsWithRatings(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	for _, record := range []string{"kept", "emptied"} {
		f.put(t, record, "u", 8)
	}
	if _, err := f.DeleteRating(t.Context(), &ratingv1.DeleteRatingRequest{RecordType: "movie", RecordId: "emptied", UserId: "u"}); err != nil {
		t.Fatal(err)
	}
	for size := range int32(3) {
		var checked, ratings int64
		req := &ratingv1.AuditAggregatesRequest{PageSize: size}
		for more := true; more; more = req.PageToken != "" {
			resp, err := f.admin.AuditAggregates(t.Context(), req)
			if err != nil || len(resp.GetDifferences()) != 0 {
				t.Fatalf("%v, %v", resp, err)
			}
			checked, ratings, req.PageToken = checked+resp.GetChecked(), ratings+resp.GetRatings(), resp.GetNextPageToken()
		}
		if checked != 1 || ratings != 1 {
			t.Errorf("pages of %d: %d records with %d ratings checked, want 1 with 1", size, checked, ratings)
		}
	}
}

func TestAuditOfNothing(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	resp, err := f.admin.AuditAggregates(t.Context(), &ratingv1.AuditAggregatesRequest{})
	if err != nil || resp.GetChecked() != 0 || resp.GetNextPageToken() != "" || len(resp.GetDifferences()) != 0 {
		t.Errorf("%v, %v", resp, err)
	}
}

// Dead letters are listed whole, replayed if they are good now, and dropped.
func TestDeadLetters(t *testing.T) {
	t.Parallel()
	s, c := dial(t, startBroker(t, "", "").Addr()), newClock()
	c.Set(time.Now())
	url := sqltest.URL(t)
	f := start(t, url, s.cfg(), c.Now)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	tomorrow := c.Now().Add(30 * time.Hour).Truncate(time.Microsecond)
	s.publish(t, event("1", "early", 9, tomorrow))
	for i := range 5 {
		r := poisons()["not-json"]
		r.Value = append(r.Value, fmt.Sprint(i)...)
		s.publish(t, r)
	}
	eventually(t, "all events", func() bool { return f.ingested(t) == 6 })
	list := func(size int32, token string) *ratingv1.ListDeadLettersResponse {
		t.Helper()
		resp, err := f.admin.ListDeadLetters(t.Context(), &ratingv1.ListDeadLettersRequest{PageSize: size, PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	var ids []string
	for token := ""; ; {
		resp := list(2, token)
		if resp.GetTotal() != 6 || len(resp.GetDeadLetters()) > 2 {
			t.Errorf("a page of 2: %d letters of %d", len(resp.GetDeadLetters()), resp.GetTotal())
		}
		for _, l := range resp.GetDeadLetters() {
			if l.GetOffset() != int64(len(ids)) || !l.GetCreateTime().AsTime().Equal(c.Now().Truncate(time.Microsecond)) {
				t.Errorf("letter %d: %v", len(ids), l)
			}
			ids = append(ids, l.GetId())
		}
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(ids) != 6 {
		t.Fatalf("%d letters, want 6", len(ids))
	}

	replay := func(ids ...string) *ratingv1.ReplayDeadLettersResponse {
		t.Helper()
		resp, err := f.admin.ReplayDeadLetters(t.Context(), &ratingv1.ReplayDeadLettersRequest{Ids: ids})
		if err != nil {
			t.Fatal(err)
		}
		return resp
	}
	if r := replay(ids[0], ids[1], ids[0], "unknown"); r.GetReplayed() != 0 || len(r.GetRefused()) != 3 ||
		!strings.HasPrefix(r.GetRefused()[0].GetReason(), "ratedAt: must be at most 24 hours ahead of now") ||
		!strings.HasPrefix(r.GetRefused()[1].GetReason(), "event: must be valid JSON") ||
		r.GetRefused()[2].GetReason() != "there is no dead letter with this id; it may have been replayed or dropped" {
		t.Errorf("a replay too early: %v", r)
	}
	c.Add(12 * time.Hour)
	if r := replay(ids[0], ids[1]); r.GetReplayed() != 1 || len(r.GetRefused()) != 1 || r.GetRefused()[0].GetId() != ids[1] {
		t.Errorf("a replay in time: %v", r)
	}
	got, err := f.GetRating(t.Context(), &ratingv1.GetRatingRequest{RecordType: "movie", RecordId: "1", UserId: "early"})
	if err != nil || got.GetRating().GetValue() != 9 || !got.GetRating().GetRatedAt().AsTime().Equal(tomorrow) {
		t.Errorf("the replayed rating: %v, %v", got, err)
	}
	drop, err := f.admin.DropDeadLetters(t.Context(), &ratingv1.DropDeadLettersRequest{Ids: append([]string{ids[1]}, ids...)})
	if err != nil || drop.GetDropped() != 5 {
		t.Errorf("dropped %v, %v; want 5", drop, err)
	}
	if l := list(0, ""); l.GetTotal() != 0 || len(l.GetDeadLetters()) != 0 {
		t.Errorf("left: %v", l)
	}
	f.checkAudit(t)
}

// However large the payloads, a page is an answer that gRPC takes, and the pages have all letters.
func TestLargeDeadLetters(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	const n = 12
	now := int64(rating.ToMicros(time.Now())) // older ones would be dropped for their age
	for i := range n {
		execSQL(t, f.db, "INSERT INTO dead_letters VALUES (?, 'ratings', 'x', 0, ?, 'too-large', 'is too large', NULL, ?, '', 0, ?)",
			fmt.Sprintf("%s-%05d-%019d", "x", 0, i), i, make([]byte, 900_000), now)
	}
	execSQL(t, f.db, "INSERT INTO dead_letters VALUES ('x-00000-0000000000000000099', 'ratings', 'x', 0, 99, 'too-large', 'is too large', NULL, ?, '', 0, ?)",
		make([]byte, 3_000_000), now+1)
	seen := 0
	for token := ""; ; {
		resp, err := f.admin.ListDeadLetters(t.Context(), &ratingv1.ListDeadLettersRequest{PageToken: token})
		if err != nil {
			t.Fatal(err)
		}
		seen += len(resp.GetDeadLetters())
		if token = resp.GetNextPageToken(); token == "" {
			break
		}
	}
	if seen != n+1 {
		t.Errorf("%d letters seen, want %d", seen, n+1)
	}
}

// A sender's header may hold any bytes; the dead letters can be listed nevertheless.
func TestDeadLetterWithABinaryHeader(t *testing.T) {
	t.Parallel()
	s := dial(t, startBroker(t, "", "").Addr())
	f := start(t, sqltest.URL(t), s.cfg(), nil)
	eventually(t, "the topic", func() bool { return len(f.partitions(t)) == 2 })
	r := poisons()["bad-content-type"]
	r.Headers[0].Value = []byte("a\xff\x00b")
	s.publish(t, r)
	eventually(t, "the event", func() bool { return f.ingested(t) == 1 })
	if l := f.deadLetters(t); len(l) != 1 || l[0].GetContentType() != "a\uFFFD\x00b" || l[0].GetClass() != "bad-content-type" {
		t.Errorf("dead letters %v", l)
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	for _, want := range []string{`topic: must be 1 to 249 of a-z, A-Z, 0-9, ".", "_" and "-", got ""`, "group: must not be empty", "batch_records: must be from 1 to 100000, got 0"} {
		if err := (rating.Config{}).Validate(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("the zero value: %v\nlacks %q", err, want)
		}
	}
	if err := rating.DefaultConfig().Validate(); err != nil {
		t.Errorf("the defaults: %v", err)
	}
	bad := rating.Config{
		ChartMinVotes: -1, ChartMaxAge: time.Hour, Partitions: 2000, Replication: 101, Retention: -time.Second, RetentionBytes: -1, BatchRecords: -5,
	}
	err := bad.Validate()
	if err == nil {
		t.Fatal("no error")
	}
	for _, want := range []string{
		"chart_min_votes: must be from 1 to 1000000, got -1", "chart_max_age: must be from 10ms to 1m, got 1h0m0s",
		"partitions: must be from 1 to 1024, got 2000", "replication: must be from 0 to 100, got 101",
		"retention: must be 0 (forever) or at least 1m, got -1s", "retention_bytes: must be 0 (everything) or at least 1MiB, got -1", "batch_records: must be from 1 to 100000, got -5",
	} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%v\nlacks %q", err, want)
		}
	}
}
