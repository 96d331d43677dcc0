package verify

import (
	"fmt"
	"slices"
	"strings"
	"time"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// rankingScenarios check the values that are computed from all ratings of a type. The trial has its own record type, which has no
// other ratings, so the exact charts and totals are known, whatever other data the system holds.
func rankingScenarios() []Scenario {
	return []Scenario{
		{Area: AreaRating, Door: Rating, Promise: "The totals of a record type count its ratings and records exactly within 2 s.", ask: totalsExact},
		{Area: AreaRating, Door: Rating, Promise: "The top chart has only records with at least m ratings, ranked by v/(v+m)·R + m/(v+m)·C, within 2 s.", ask: topChart},
		{Area: AreaRating, Door: Rating, Promise: "The popular chart ranks by number of ratings, ties by id, within 2 s.", ask: popularChart},
		{Area: AreaRating, Door: Rating, Promise: "The charts of films keep their own rule: m, C, formula, order and ties.", ask: movieChartsConsistent},
		{Area: AreaRating, Door: Rating, Promise: "A walk over the aggregates of a record type shows each once, by record id.", ask: summariesWalk},
	}
}

// fresh is how soon numbers over all ratings of a type follow an acknowledged rating.
const fresh = 2 * time.Second

func (t *trial) totals(d *door, recordType string) *ratingv1.GetTotalsResponse {
	return ask(t, d.ratings().GetTotals, &ratingv1.GetTotalsRequest{RecordType: recordType})
}

func totalsExact(t *trial) {
	kind, user := t.recordType(), t.name("user")
	a, b := t.name("record"), t.name("record")
	t.rate(kind, a, user, 2)
	t.rate(kind, b, user, 9)
	t.rate(kind, b, t.name("user"), 10)
	check := func(records, ratings, sum int64) {
		for _, d := range t.sys.reachable(Rating) {
			t.within(fresh, func() {
				got := t.totals(d, kind)
				same(t, "ratings", got.GetRatings(), ratings)
				same(t, "records", got.GetRecords(), records)
				same(t, "sum", got.GetSum(), sum)
				if ratings > 0 {
					t.near("the global mean", got.GetGlobalMean(), float64(sum)/float64(ratings), 1e-9)
				}
			})
		}
	}
	check(2, 3, 21)
	t.unrate(kind, a, user)
	check(1, 2, 19)
}

// chart reads a whole chart of a record type.
func (t *trial) chart(kind string, chart ratingv1.Chart) *ratingv1.ListChartResponse {
	return ask(t, t.door.ratings().ListChart, &ratingv1.ListChartRequest{RecordType: kind, Chart: chart})
}

// chartVotes bounds the ratings that a trial gives to reach the chart. Where m is greater, only what stays below it is judged.
const chartVotes = 60

func topChart(t *trial) {
	kind := t.recordType()
	m := int(t.totals(t.door, kind).GetMinVotes())
	t.must(m >= 1, "m, at least 1", "%d", m)
	enough := min(m, chartVotes)
	below, equal, best := t.id+"-below", t.id+"-equal", t.id+"-best"
	rate := func(record string, votes int, value func(i int) int32) {
		t.parallel(4, func(t *trial, part int) {
			for i := part; i < votes; i += 4 {
				t.rate(kind, record, fmt.Sprintf("%s-u%d", t.id, i), value(i))
			}
		})
	}
	rate(below, enough-1, func(int) int32 { return 10 })
	rate(equal, enough, func(i int) int32 { return int32(3 + i%3) })
	rate(best, enough, func(i int) int32 { return int32(7 + i%3) })
	ratings := int64(3*enough - 1)
	t.within(fresh, func() {
		same(t, "ratings", t.totals(t.door, kind).GetRatings(), ratings)
		c := t.chart(kind, ratingv1.Chart_CHART_TOP)
		var got, want []string
		for _, e := range c.GetEntries() {
			got = append(got, e.GetSummary().GetRecordId())
		}
		if enough == m {
			want = []string{best, equal}
		}
		same(t, "the chart", got, want)
		t.chartRule(c, ratingv1.Chart_CHART_TOP)
		t.near("C", c.GetGlobalMean(), t.totals(t.door, kind).GetGlobalMean(), 1e-9)
	})
}

// chartRule ends the trial unless a chart is what it says of itself.
func (t *trial) chartRule(c *ratingv1.ListChartResponse, which ratingv1.Chart) {
	m, mean := float64(c.GetMinVotes()), c.GetGlobalMean()
	for i, e := range c.GetEntries() {
		s := e.GetSummary()
		place := fmt.Sprintf("place %d (%s)", i+1, s.GetRecordId())
		votes, sum := int32(0), int32(0)
		for i, n := range s.GetHistogram() {
			votes += n
			sum += n * int32(i+1)
		}
		same(t, place+": votes, beside the histogram,", s.GetVotes(), votes)
		v := float64(votes)
		t.near(place+": mean", s.GetMean(), float64(sum)/v, 1e-9)
		weighted := v/(v+m)*s.GetMean() + m/(v+m)*mean
		t.near(place+": weighted", s.GetWeighted(), weighted, 1e-6)
		switch which {
		case ratingv1.Chart_CHART_TOP:
			t.near(place+": score", e.GetScore(), weighted, 1e-6)
			t.must(votes >= c.GetMinVotes(), fmt.Sprintf("at least m = %d votes at %s", c.GetMinVotes(), place), "%d", votes)
		case ratingv1.Chart_CHART_POPULAR:
			t.near(place+": score", e.GetScore(), v, 0)
		}
		if i == 0 {
			continue
		}
		before := c.GetEntries()[i-1]
		ordered := before.GetScore() > e.GetScore() || before.GetScore() == e.GetScore() &&
			(before.GetSummary().GetVotes() > votes || before.GetSummary().GetVotes() == votes && before.GetSummary().GetRecordId() < s.GetRecordId())
		if which == ratingv1.Chart_CHART_TRENDING { // whose scores are rounded, but whose sort keys are not
			ordered = before.GetSortKey() >= e.GetSortKey()
		}
		t.must(ordered, "best first, ties by votes, then by id", "%s with %g from %d votes follows %s with %g from %d votes", s.GetRecordId(), e.GetScore(), votes,
			before.GetSummary().GetRecordId(), before.GetScore(), before.GetSummary().GetVotes())
	}
}

func popularChart(t *trial) {
	kind := t.recordType()
	twice, once, tie := t.id+"-a", t.id+"-c", t.id+"-b"
	u, v := t.name("user"), t.name("user")
	t.rate(kind, once, u, 10)
	t.rate(kind, twice, u, 1)
	t.rate(kind, twice, v, 2)
	t.rate(kind, tie, v, 1)
	t.within(fresh, func() {
		c := t.chart(kind, ratingv1.Chart_CHART_POPULAR)
		var got []string
		for _, e := range c.GetEntries() {
			got = append(got, e.GetSummary().GetRecordId())
		}
		same(t, "the chart", got, []string{twice, tie, once})
		t.chartRule(c, ratingv1.Chart_CHART_POPULAR)
	})
}

func movieChartsConsistent(t *trial) {
	for _, which := range []ratingv1.Chart{ratingv1.Chart_CHART_TOP, ratingv1.Chart_CHART_POPULAR, ratingv1.Chart_CHART_TRENDING} {
		t.chartRule(t.chart("movie", which), which)
	}
	got := t.totals(t.door, "movie")
	mean := 0.0
	if got.GetRatings() > 0 {
		mean = float64(got.GetSum()) / float64(got.GetRatings())
	}
	t.near("the global mean of the totals", got.GetGlobalMean(), mean, 1e-9)
}

func summariesWalk(t *trial) {
	kind, user := t.recordType(), t.name("user")
	var want []string
	for _, tail := range []string{"b", "a", "é", "B", "c"} {
		t.rate(kind, t.id+tail, user, 5)
		want = append(want, t.id+tail)
	}
	slices.Sort(want)
	t.within(fresh, func() {
		var got []string
		for token := ""; ; {
			page := ask(t, t.door.ratings().ListRatingSummaries, &ratingv1.ListRatingSummariesRequest{RecordType: kind, PageSize: 2, PageToken: token})
			for _, s := range page.GetSummaries() {
				got = append(got, s.GetRecordId())
			}
			if token = page.GetNextPageToken(); token == "" {
				break
			}
			t.must(len(got) <= 10, "an end of the pages", "%s", strings.Join(got, " "))
		}
		same(t, "the records", got, want)
	})
}
