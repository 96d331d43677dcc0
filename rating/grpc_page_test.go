package rating_test

import (
	"context"
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"pgregory.net/rapid"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/rpc"
)

// pages walks a list to its end; between two pages meanwhile runs.
func pages(t interface{ Fatal(...any) }, list func(token string) ([]*ratingv1.Rating, string, error), meanwhile func()) []*ratingv1.Rating {
	var all []*ratingv1.Rating
	for token := ""; ; {
		page, next, err := list(token)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, page...)
		if next == "" {
			return all
		}
		if len(page) == 0 {
			t.Fatal("an empty page that is not the last")
		}
		token = next
		meanwhile()
	}
}

func (f *front) userPage(ctx context.Context, user, recordType string, size int32) func(string) ([]*ratingv1.Rating, string, error) {
	return func(token string) ([]*ratingv1.Rating, string, error) {
		r, err := f.ListUserRatings(ctx, &ratingv1.ListUserRatingsRequest{UserId: user, RecordType: recordType, PageSize: size, PageToken: token})
		return r.GetRatings(), r.GetNextPageToken(), err
	}
}

func (f *front) recordPage(ctx context.Context, record string, size int32) func(string) ([]*ratingv1.Rating, string, error) {
	return func(token string) ([]*ratingv1.Rating, string, error) {
		r, err := f.ListRecordRatings(ctx, &ratingv1.ListRecordRatingsRequest{RecordType: "movie", RecordId: record, PageSize: size, PageToken: token})
		return r.GetRatings(), r.GetNextPageToken(), err
	}
}

// A user's ratings come newest first, those of one time in a fixed order; a page ends anywhere, also among equals.
func TestUserRatingsNewestFirst(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	var want []string // newest first
	for i, at := range []int{5, 1, 3, 3, 3, 1, 9, 3} {
		c.Set(t0.Add(time.Duration(at) * time.Second))
		f.put(t, fmt.Sprint("m", i), "u", 5)
		want = append(want, fmt.Sprintf("%d m%d", at, i))
	}
	if _, err := f.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: "book", RecordId: "b", UserId: "u", Value: proto.Int32(1)}); err != nil {
		t.Fatal(err)
	}
	f.put(t, "m0", "other", 5)
	slices.Sort(want)
	slices.Reverse(want)
	for size := int32(1); size <= 9; size++ {
		var got []string
		for _, r := range pages(t, f.userPage(t.Context(), "u", "movie", size), func() {}) {
			got = append(got, fmt.Sprintf("%d %s", int(r.GetRatedAt().AsTime().Sub(t0).Seconds()), r.GetRecordId()))
		}
		if !slices.Equal(got, want) {
			t.Errorf("pages of %d: %q, want %q", size, got, want)
		}
		if all := pages(t, f.userPage(t.Context(), "u", "", size), func() {}); len(all) != 9 {
			t.Errorf("pages of %d of all types: %d ratings, want 9", size, len(all))
		}
		var users []string
		for _, r := range pages(t, f.recordPage(t.Context(), "m0", size), func() {}) {
			users = append(users, r.GetUserId())
		}
		if !slices.Equal(users, []string{"other", "u"}) {
			t.Errorf("pages of %d of a record: %q", size, users)
		}
	}
}

// walk is a list that is read page by page during writes: which rating has number i, and what a page shows of it.
type walk struct {
	key  func(i int) (recordType, record, user string)
	page func(size int32) func(token string) ([]*ratingv1.Rating, string, error)
	same func(a, b *ratingv1.Rating) bool
}

// walks are all lists of ratings and of records.
func (f *front) walks(ctx context.Context) map[string]walk {
	types := [...]string{"book", "movie", "song"}
	whole := func(a, b *ratingv1.Rating) bool {
		return a.GetRecordType() == b.GetRecordType() && a.GetRecordId() == b.GetRecordId() && a.GetUserId() == b.GetUserId()
	}
	return map[string]walk{
		"a record's": {
			func(i int) (string, string, string) { return "movie", "r", fmt.Sprintf("u%02d", i) },
			func(size int32) func(string) ([]*ratingv1.Rating, string, error) { return f.recordPage(ctx, "r", size) }, whole,
		},
		"a user's": {
			func(i int) (string, string, string) { return "movie", fmt.Sprintf("r%02d", i), "u" },
			func(size int32) func(string) ([]*ratingv1.Rating, string, error) {
				return f.userPage(ctx, "u", "movie", size)
			}, whole,
		},
		"a type's": {
			func(i int) (string, string, string) { return "movie", fmt.Sprint("r", i%4), fmt.Sprint("u", i) },
			func(size int32) func(string) ([]*ratingv1.Rating, string, error) {
				return f.exportPage(ctx, "movie", size)
			}, whole,
		},
		"all": {
			func(i int) (string, string, string) { return types[i%3], fmt.Sprint("r", i%4), fmt.Sprint("u", i) },
			func(size int32) func(string) ([]*ratingv1.Rating, string, error) { return f.exportPage(ctx, "", size) }, whole,
		},
		"summaries": {
			func(i int) (string, string, string) { return "movie", fmt.Sprintf("r%02d", i), "u" },
			func(size int32) func(string) ([]*ratingv1.Rating, string, error) {
				return func(token string) (records []*ratingv1.Rating, next string, err error) {
					resp, err := f.ListRatingSummaries(ctx, &ratingv1.ListRatingSummariesRequest{RecordType: "movie", PageSize: size, PageToken: token})
					for _, s := range resp.GetSummaries() {
						records = append(records, &ratingv1.Rating{RecordType: s.GetRecordType(), RecordId: s.GetRecordId()})
					}
					return records, resp.GetNextPageToken(), err
				}
			},
			func(a, b *ratingv1.Rating) bool { return a.GetRecordId() == b.GetRecordId() },
		},
	}
}

// A walk through a list during writes sees each unchanged rating exactly once, and nothing twice but ratings that changed and so moved.
func TestWalkingWhileOthersWrite(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	walks := f.walks(t.Context())
	names := slices.Sorted(maps.Keys(walks))
	rapid.Check(t, func(rt *rapid.T) {
		execSQL(t, f.db, "DELETE FROM ratings")
		execSQL(t, f.db, "DELETE FROM aggregates")
		name := rapid.SampledFrom(names).Draw(rt, "list")
		w := walks[name]
		put := func(i int) {
			c.Set(t0.Add(time.Duration(rapid.IntRange(-3, 3).Draw(rt, "at")) * time.Second))
			recordType, record, user := w.key(i)
			_, err := f.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: recordType, RecordId: record, UserId: user, Value: proto.Int32(5)})
			if err != nil {
				rt.Fatal(err)
			}
		}
		n := rapid.IntRange(1, 30).Draw(rt, "ratings")
		for i := range n {
			put(i)
		}
		touched := map[int]bool{}
		all := pages(rt, w.page(int32(rapid.IntRange(1, 7).Draw(rt, "size"))), func() {
			i := rapid.IntRange(0, 40).Draw(rt, "touched")
			touched[i] = true
			if !rapid.Bool().Draw(rt, "delete") {
				put(i)
				return
			}
			recordType, record, user := w.key(i)
			_, err := f.DeleteRating(t.Context(), &ratingv1.DeleteRatingRequest{RecordType: recordType, RecordId: record, UserId: user})
			if err != nil {
				rt.Fatal(err)
			}
		})
		for i := range 41 {
			recordType, record, user := w.key(i)
			want, seen := &ratingv1.Rating{RecordType: recordType, RecordId: record, UserId: user}, 0
			for _, r := range all {
				if w.same(r, want) {
					seen++
				}
			}
			switch {
			case touched[i]:
				if seen > 1 && name != "a user's" {
					rt.Fatalf("%s: %v, which stays in its place, was seen %d times", name, want, seen)
				}
			case i < n && seen != 1:
				rt.Fatalf("%s: %v, which is unchanged, was seen %d times", name, want, seen)
			case i >= n && seen != 0:
				rt.Fatalf("%s: %v, which was never given, was seen %d times", name, want, seen)
			}
		}
	})
}

// Exports and summaries come in the order of their ids, byte by byte, and have what single reads have.
func TestExportAndSummaries(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	var want []string
	for _, recordType := range []string{"book", "movie"} {
		for _, record := range []string{"10", "9", "B", "a", "a b", "é"} {
			for i, user := range []string{"Z", "u1", "u10", "u2", "ü"} {
				_, err := f.PutRating(t.Context(), &ratingv1.PutRatingRequest{RecordType: recordType, RecordId: record, UserId: user, Value: proto.Int32(int32(i + 1))})
				if err != nil {
					t.Fatal(err)
				}
				want = append(want, fmt.Sprintf("%s/%s/%s %d", recordType, record, user, i+1))
			}
		}
	}
	f.put(t, "gone", "u", 5)
	f.delete(t, "gone", "u")
	texts := func(all []*ratingv1.Rating) (out []string) {
		for _, r := range all {
			out = append(out, fmt.Sprintf("%s/%s/%s %d", r.GetRecordType(), r.GetRecordId(), r.GetUserId(), r.GetValue()))
			if !r.GetRatedAt().AsTime().Equal(t0) {
				t.Errorf("%v was rated at %v", r, r.GetRatedAt().AsTime())
			}
		}
		return out
	}
	for _, size := range []int32{0, 1, 3, 5, 30, 59, 60, 61} {
		if diff := cmp.Diff(want, texts(pages(t, f.exportPage(t.Context(), "", size), func() {}))); diff != "" {
			t.Errorf("pages of %d of all types (-want +got):\n%s", size, diff)
		}
		if diff := cmp.Diff(want[30:], texts(pages(t, f.exportPage(t.Context(), "movie", size), func() {}))); diff != "" {
			t.Errorf("pages of %d of a type (-want +got):\n%s", size, diff)
		}
	}
	if all := pages(t, f.exportPage(t.Context(), "song", 0), func() {}); len(all) != 0 {
		t.Errorf("an export of a type without ratings has %v", all)
	}
	resp, err := f.ListRatingSummaries(t.Context(), &ratingv1.ListRatingSummariesRequest{RecordType: "movie"})
	if err != nil || len(resp.GetSummaries()) != 6 || resp.GetNextPageToken() != "" {
		t.Fatalf("summaries %v, %v; want 6", resp, err)
	}
	for _, s := range resp.GetSummaries() {
		one, err := f.GetRatingSummary(t.Context(), &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: s.GetRecordId()})
		if diff := cmp.Diff(one.GetSummary(), s, protocmp.Transform()); diff != "" || err != nil {
			t.Errorf("summary of %q, %v (-single +listed):\n%s", s.GetRecordId(), err, diff)
		}
	}
}

// The largest pages of the longest ids come over the network as they come within the process: no answer is larger than
// what gRPC takes.
func TestLargestPages(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	recordType := strings.Repeat("t", 32)
	insertRatings(t, f.db, 10_001, func(i int) []any {
		id := fmt.Sprintf("%0128d", i+1)
		return []any{recordType, id, id, 10, t0.UnixMicro() + 1, i}
	})
	execSQL(t, f.db, `INSERT INTO aggregates SELECT record_type, record_id, 2147483647, 21474836470, 0,0,0,0,0,0,0,0,0,2147483647 FROM ratings`)
	lis, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- f.srv.Serve(lis) }()
	f.srv.SetServing(true)
	t.Cleanup(func() { // before the server's own end, which it causes
		f.close(t)
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	network, err := rpc.Dial(lis.Addr().String(), rpc.DialConfig{Name: "rating"})
	if err != nil {
		t.Fatal(err)
	}
	defer network.Close()
	// Megabytes of rows, and a machine that may be busy: the deadline of a call that has none is not what this is about.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for name, conn := range map[string]grpc.ClientConnInterface{"in process": f.srv.Conn(), "network": network} {
		ratings, err := ratingv1.NewRatingAdminServiceClient(conn).ListRatings(ctx, &ratingv1.ListRatingsRequest{PageSize: 1 << 30})
		if err != nil || len(ratings.GetRatings()) != 10_000 || ratings.GetNextPageToken() == "" {
			t.Errorf("%s: %d ratings, %v", name, len(ratings.GetRatings()), err)
		}
		sums, err := ratingv1.NewRatingServiceClient(conn).ListRatingSummaries(ctx, &ratingv1.ListRatingSummariesRequest{RecordType: recordType, PageSize: 1 << 30})
		if err != nil || len(sums.GetSummaries()) != 5000 || sums.GetNextPageToken() == "" {
			t.Errorf("%s: %d summaries, %v", name, len(sums.GetSummaries()), err)
		}
		_, err = ratingv1.NewRatingServiceClient(conn).ListRatingHistory(t.Context(), &ratingv1.ListRatingHistoryRequest{RecordType: "movie", RecordId: "1"})
		if st := status.Convert(err); st.Code() != codes.NotFound || st.Message() != `movie "1" has no ratings` {
			t.Errorf("%s: history of nothing: %v", name, err)
		}
	}
}

// A token belongs to its query: another record, user, type or list refuses it; another page size does not.
func TestTokensOfAnotherQuery(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	for _, m := range []string{"1", "2", "3"} {
		for _, u := range []string{"a", "b", "c"} {
			f.put(t, m, u, 5)
		}
	}
	ctx := t.Context()
	_, recordToken, _ := f.recordPage(ctx, "1", 1)("")
	_, userToken, _ := f.userPage(ctx, "a", "", 1)("")
	_, exportToken, _ := f.exportPage(ctx, "movie", 1)("")
	sums, _ := f.ListRatingSummaries(ctx, &ratingv1.ListRatingSummariesRequest{RecordType: "movie", PageSize: 1})
	summariesOf := func(recordType, token string) error {
		_, err := f.ListRatingSummaries(ctx, &ratingv1.ListRatingSummariesRequest{RecordType: recordType, PageToken: token})
		return err
	}
	audit, err := f.admin.AuditAggregates(ctx, &ratingv1.AuditAggregatesRequest{PageSize: 1})
	if err != nil || recordToken == "" || userToken == "" || audit.GetNextPageToken() == "" ||
		exportToken == "" || sums.GetNextPageToken() == "" {
		t.Fatalf("tokens %q, %q, %q, %q, %q, %v", recordToken, userToken, audit.GetNextPageToken(), exportToken, sums.GetNextPageToken(), err)
	}
	const want = "page_token: belongs to another query: filter and order must stay the same from page to page; leave page_token out to begin at the first page"
	for name, call := range map[string]func() error{
		"another record":       func() error { _, _, err := f.recordPage(ctx, "2", 1)(recordToken); return err },
		"another user":         func() error { _, _, err := f.userPage(ctx, "b", "", 1)(userToken); return err },
		"another type":         func() error { _, _, err := f.userPage(ctx, "a", "movie", 1)(userToken); return err },
		"a record's of a user": func() error { _, _, err := f.userPage(ctx, "1", "", 1)(recordToken); return err },
		"an export's of all":   func() error { _, _, err := f.exportPage(ctx, "", 1)(exportToken); return err },
		"an export's, audited": func() error {
			_, err := f.admin.AuditAggregates(ctx, &ratingv1.AuditAggregatesRequest{PageToken: exportToken})
			return err
		},
		"an audit's, exported": func() error { _, _, err := f.exportPage(ctx, "movie", 1)(audit.GetNextPageToken()); return err },
		"summaries' of a type": func() error { return summariesOf("book", sums.GetNextPageToken()) },
		"an export's":          func() error { return summariesOf("movie", exportToken) },
		"an audit's":           func() error { _, _, err := f.recordPage(ctx, "1", 1)(audit.GetNextPageToken()); return err },
	} {
		if st := status.Convert(call()); st.Message() != want {
			t.Errorf("%s: %v, want %s", name, st, want)
		}
	}
	if page, _, err := f.recordPage(ctx, "1", 200)(recordToken); err != nil || len(page) != 2 {
		t.Errorf("another page size: %v, %v", page, err)
	}
}

func TestPageSizes(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	insertRatings(t, f.db, 250, func(i int) []any { return []any{"movie", "1", fmt.Sprint("u", i), 5, i, i} })
	for size, want := range map[int32]int{0: 50, 1: 1, 200: 200, 201: 200, 1 << 30: 200} {
		if page, next, err := f.recordPage(t.Context(), "1", size)(""); err != nil || len(page) != want || next == "" {
			t.Errorf("page size %d: %d ratings, token %q, %v; want %d", size, len(page), next, err, want)
		}
	}
	insert(t, f.db, "aggregates", []string{"record_type", "record_id", "votes", "total", "c1", "c2", "c3", "c4", "c5", "c6", "c7", "c8", "c9", "c10"}, 6000,
		func(i int) []any { return []any{"movie", fmt.Sprint("m", i), 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0} })
	for size, want := range map[int32]int{0: 1000, 1: 1, 5000: 5000, 5001: 5000, 1 << 30: 5000} {
		r, err := f.ListRatingSummaries(t.Context(), &ratingv1.ListRatingSummariesRequest{RecordType: "movie", PageSize: size})
		if err != nil || len(r.GetSummaries()) != want || r.GetNextPageToken() == "" {
			t.Errorf("page size %d: %d summaries, token %q, %v; want %d", size, len(r.GetSummaries()), r.GetNextPageToken(), err, want)
		}
	}
	if page, _, err := f.recordPage(t.Context(), strings.Repeat("é", 64), 0)(""); err != nil || len(page) != 0 {
		t.Errorf("a record without ratings: %v, %v", page, err)
	}
}

func (f *front) exportPage(ctx context.Context, recordType string, size int32) func(string) ([]*ratingv1.Rating, string, error) {
	return func(token string) ([]*ratingv1.Rating, string, error) {
		r, err := f.admin.ListRatings(ctx, &ratingv1.ListRatingsRequest{RecordType: recordType, PageSize: size, PageToken: token})
		return r.GetRatings(), r.GetNextPageToken(), err
	}
}
