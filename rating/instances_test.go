package rating_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// Two processes on one database: what one has acknowledged the other answers at once, in ratings and summaries; and its
// charts show it when they are as old as they may be.
func TestTwoProcessesOnOneDatabase(t *testing.T) {
	t.Parallel()
	url := sqltest.URL(t)
	cfg := rating.Config{ChartMaxAge: 50 * time.Millisecond}
	one, two := start(t, url, cfg, nil), start(t, url, cfg, nil)
	popular := ratingv1.Chart_CHART_POPULAR
	if got := two.chart(t, popular); len(got) != 0 {
		t.Fatalf("the chart of nothing has %q", got)
	}
	for i := range 30 {
		from, to := one, two
		if i%2 == 1 {
			from, to = two, one
		}
		record, user := fmt.Sprint("m", i%3), fmt.Sprint("u", i%7)
		from.put(t, record, user, int32(1+i%10))
		if v := to.value(t, record, user); v != int32(1+i%10) {
			t.Fatalf("put %d: the other process has the value %d", i, v)
		}
		req := &ratingv1.GetRatingSummaryRequest{RecordType: "movie", RecordId: record}
		here, err := from.GetRatingSummary(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		there, err := to.GetRatingSummary(t.Context(), req)
		if err != nil {
			t.Fatal(err)
		}
		if h, th := here.GetSummary(), there.GetSummary(); h.GetVotes() != th.GetVotes() || h.GetMean() != th.GetMean() {
			t.Fatalf("put %d: summaries %v and %v", i, h, th)
		}
	}
	one.delete(t, "m0", "u0")
	want := []string{"m1 7", "m2 7", "m0 6"}
	began := time.Now()
	for _, f := range []*front{one, two} {
		eventually(t, "the chart", func() bool { return slices.Equal(f.chart(t, popular), want) })
	}
	if took := time.Since(began); took > 2*time.Second {
		t.Errorf("the charts of both took %v", took)
	}
}
