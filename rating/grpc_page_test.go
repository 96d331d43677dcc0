package rating_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
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

// Whoever walks a list while others rate and delete sees each rating that nobody touched exactly once.
func TestWalkingWhileOthersWrite(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	run := 0
	rapid.Check(t, func(rt *rapid.T) {
		run++
		id := func(i int) string { return fmt.Sprintf("r%d-%02d", run, i) }
		byUser := rapid.Bool().Draw(rt, "by user")
		put := func(i int) {
			c.Set(t0.Add(time.Duration(rapid.IntRange(-3, 3).Draw(rt, "at")) * time.Second))
			if byUser {
				f.put(t, id(i), id(0), 5)
			} else {
				f.put(t, id(0), id(i), 5)
			}
		}
		n := rapid.IntRange(1, 30).Draw(rt, "ratings")
		for i := range n {
			put(i)
		}
		list, name := f.recordPage(t.Context(), id(0), int32(rapid.IntRange(1, 7).Draw(rt, "size"))), (*ratingv1.Rating).GetUserId
		if byUser {
			list, name = f.userPage(t.Context(), id(0), "movie", int32(rapid.IntRange(1, 7).Draw(rt, "size"))), (*ratingv1.Rating).GetRecordId
		}
		touched := map[string]bool{}
		seen := map[string]int{}
		for _, r := range pages(rt, list, func() {
			i := rapid.IntRange(0, 40).Draw(rt, "touched")
			touched[id(i)] = true
			if rapid.Bool().Draw(rt, "delete") {
				if byUser {
					f.delete(t, id(i), id(0))
				} else {
					f.delete(t, id(0), id(i))
				}
			} else {
				put(i)
			}
		}) {
			seen[name(r)]++
		}
		for i := range n {
			if !touched[id(i)] && seen[id(i)] != 1 {
				rt.Fatalf("rating %s, which nobody touched, was seen %d times", id(i), seen[id(i)])
			}
		}
	})
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
	audit, err := f.admin.AuditAggregates(ctx, &ratingv1.AuditAggregatesRequest{PageSize: 1})
	if err != nil || recordToken == "" || userToken == "" || audit.GetNextPageToken() == "" {
		t.Fatalf("tokens %q, %q, %q, %v", recordToken, userToken, audit.GetNextPageToken(), err)
	}
	const want = "page_token: belongs to another query: filter and order must stay the same from page to page; leave page_token out to begin at the first page"
	for name, call := range map[string]func() error{
		"another record":       func() error { _, _, err := f.recordPage(ctx, "2", 1)(recordToken); return err },
		"another user":         func() error { _, _, err := f.userPage(ctx, "b", "", 1)(userToken); return err },
		"another type":         func() error { _, _, err := f.userPage(ctx, "a", "movie", 1)(userToken); return err },
		"a record's of a user": func() error { _, _, err := f.userPage(ctx, "1", "", 1)(recordToken); return err },
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
	execSQL(t, f.db, `WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i+1 FROM n WHERE i < 250)
		INSERT INTO ratings SELECT 'movie', '1', 'u' || i, 5, i, i FROM n`)
	for size, want := range map[int32]int{0: 50, 1: 1, 200: 200, 201: 200, 1 << 30: 200} {
		if page, next, err := f.recordPage(t.Context(), "1", size)(""); err != nil || len(page) != want || next == "" {
			t.Errorf("page size %d: %d ratings, token %q, %v; want %d", size, len(page), next, err, want)
		}
	}
	if page, _, err := f.recordPage(t.Context(), strings.Repeat("é", 64), 0)(""); err != nil || len(page) != 0 {
		t.Errorf("a record that nobody rated: %v, %v", page, err)
	}
}
