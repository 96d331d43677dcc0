package rating_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
)

// A walk through a chart while other records are rated sees each record with unchanged ratings exactly once, with pages from one process
// or from two in turn. Ratings of other records change the prior, and so every score.
func TestWalkingAChartWhileOthersAreRated(t *testing.T) {
	t.Parallel()
	for _, processes := range []int{1, 2} {
		t.Run(fmt.Sprint(processes), func(t *testing.T) {
			t.Parallel()
			url := sqltest.URL(t)
			fronts := make([]*front, processes)
			for i := range fronts {
				fronts[i] = start(t, url, rating.Config{ChartMinVotes: 2, ChartMaxAge: 10 * time.Millisecond}, nil)
			}
			// Each record has some of two to nine votes, so that few are far apart, and others overtake them as the mean moves.
			rnd := rand.New(rand.NewPCG(1, 2))
			const quiet = 100
			for i := range quiet {
				for u := range 2 + rnd.IntN(7) {
					fronts[0].put(t, fmt.Sprint("quiet", i), fmt.Sprint("u", u), int32(1+rnd.IntN(10)))
				}
			}
			for name, chart := range map[string]ratingv1.Chart{
				"top": ratingv1.Chart_CHART_TOP, "popular": ratingv1.Chart_CHART_POPULAR, "trending": ratingv1.Chart_CHART_TRENDING,
			} {
				t.Run(name, func(t *testing.T) {
					seen, snapshots := map[string]int{}, map[string]bool{}
					req := &ratingv1.ListChartRequest{RecordType: "movie", Chart: chart, PageSize: 7}
					for n := 0; ; n++ {
						resp, err := fronts[n%processes].ListChart(t.Context(), req)
						if err != nil {
							t.Fatal(err)
						}
						snapshots[resp.GetAsOfTime().String()] = true
						for _, e := range resp.GetEntries() {
							seen[e.GetSummary().GetRecordId()]++
						}
						if resp.GetNext() == nil {
							break
						}
						if n == 0 {
							req.Basis = resp.GetBasis()
						}
						req.Start = resp.GetNext()
						// The mean goes up and down with the votes of one record.
						for u := range 15 {
							fronts[n%processes].put(t, "busy", fmt.Sprint("u", u), int32(1+9*(n%2)))
						}
						next := fronts[(n+1)%processes]
						eventually(t, "another snapshot", func() bool {
							probe := proto.CloneOf(req)
							probe.Start, probe.PageSize = nil, 1
							r, err := next.ListChart(t.Context(), probe)
							return err == nil && r.GetAsOfTime().AsTime().After(resp.GetAsOfTime().AsTime())
						})
					}
					if len(snapshots) < 5 {
						t.Fatalf("the walk saw %d states of the chart: this tests nothing", len(snapshots))
					}
					for i := range quiet {
						if n := seen[fmt.Sprint("quiet", i)]; n != 1 {
							t.Errorf("record %d was shown %d times, want once", i, n)
						}
					}
				})
			}
		})
	}
}

// A basis that cannot be one is refused by name.
func TestChartBasisIsChecked(t *testing.T) {
	t.Parallel()
	f, _ := serve(t)
	f.put(t, "1", "u", 5)
	first, err := f.ListChart(t.Context(), &ratingv1.ListChartRequest{RecordType: "movie", Chart: ratingv1.Chart_CHART_POPULAR})
	if err != nil {
		t.Fatal(err)
	}
	if b := first.GetBasis(); b.GetGlobalMean() != 5 || b.GetSinceTime() != nil {
		t.Errorf("the basis is %v, want the mean 5 and no time", b)
	}
	for _, mean := range []float64{-0.1, 10.1, math.NaN()} {
		_, err := f.ListChart(t.Context(), &ratingv1.ListChartRequest{
			RecordType: "movie", Chart: ratingv1.Chart_CHART_TOP, Basis: &ratingv1.ChartBasis{GlobalMean: &mean},
		})
		if st := status.Convert(err); st.Code() != codes.InvalidArgument || !strings.Contains(st.Message(), "basis.global_mean") {
			t.Errorf("mean %v: %v", mean, err)
		}
	}
	for _, since := range []*timestamppb.Timestamp{{Seconds: -1}, {Seconds: 1}, {Seconds: 1 << 60}, {Seconds: 86400, Nanos: 1000}} {
		_, err := f.ListChart(t.Context(), &ratingv1.ListChartRequest{
			RecordType: "movie", Chart: ratingv1.Chart_CHART_TRENDING, Basis: &ratingv1.ChartBasis{SinceTime: since},
		})
		if st := status.Convert(err); st.Code() != codes.InvalidArgument || !strings.Contains(st.Message(), "basis.since_time") {
			t.Errorf("since %v: %v", since, err)
		}
	}
}
