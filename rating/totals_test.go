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

// totals is the answer of GetTotals for movies.
func (f *front) totals(t testing.TB) *ratingv1.GetTotalsResponse {
	t.Helper()
	resp, err := f.GetTotals(t.Context(), &ratingv1.GetTotalsRequest{RecordType: "movie"})
	if err != nil {
		t.Fatal(err)
	}
	return resp
}

// chart is a chart of movies as text: each record with its number of ratings, such as "c 5", best first.
func (f *front) chart(t testing.TB, chart ratingv1.Chart) (places []string) {
	t.Helper()
	resp, err := f.ListChart(t.Context(), &ratingv1.ListChartRequest{RecordType: "movie", Chart: chart})
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range resp.GetEntries() {
		places = append(places, fmt.Sprint(e.GetSummary().GetRecordId(), " ", e.GetSummary().GetVotes()))
	}
	return places
}

// Ratings that move from one film to another leave every sum unchanged. The charts, the digest and the number of users show them within
// the second that charts may be old, in the process that wrote them and in another one on the same database. Undoing them restores the
// digest.
func TestChangesThatCancelOutInTheTotals(t *testing.T) {
	t.Parallel()
	url, c := sqltest.URL(t), newClock()
	cfg := rating.Config{ChartMinVotes: 1}
	f := start(t, url, cfg, c.Now)
	other := start(t, url, cfg, c.Now)
	for i := range 5 {
		f.put(t, "c", fmt.Sprint("fan ", i), 5)
	}
	f.put(t, "d", "fan 0", 5)
	f.put(t, "e", "fan 0", 10)
	f.put(t, "e", "fan 1", 2)

	type seen struct {
		totals                 *ratingv1.GetTotalsResponse
		popular, trending, top []string
	}
	look := func(f *front) seen {
		t.Helper()
		return seen{f.totals(t), f.chart(t, ratingv1.Chart_CHART_POPULAR), f.chart(t, ratingv1.Chart_CHART_TRENDING), f.chart(t, ratingv1.Chart_CHART_TOP)}
	}
	steps := []struct {
		name                   string
		change                 func()
		users                  int64
		popular, trending, top []string
	}{
		{
			"at first", func() {},
			5,
			[]string{"c 5", "e 2", "d 1"},
			[]string{"c 5", "e 2", "d 1"},
			[]string{"e 2", "d 1", "c 5"},
		},
		{
			"three fives from c to d", func() {
				for i := range 3 {
					f.delete(t, "c", fmt.Sprint("fan ", i+2))
					f.put(t, "d", fmt.Sprint("fan ", i+1), 5)
				}
			},
			4,
			[]string{"d 4", "c 2", "e 2"},
			[]string{"d 4", "c 2", "e 2"},
			[]string{"e 2", "c 2", "d 4"},
		},
		{
			"and back", func() {
				for i := range 3 {
					f.delete(t, "d", fmt.Sprint("fan ", i+1))
					f.put(t, "c", fmt.Sprint("fan ", i+2), 5)
				}
			},
			5,
			[]string{"c 5", "e 2", "d 1"},
			[]string{"c 5", "e 2", "d 1"},
			[]string{"e 2", "d 1", "c 5"},
		},
	}
	digests := map[string]int64{}
	for _, step := range steps {
		step.change()
		c.Add(time.Second)
		for name, f := range map[string]*front{"the process that was told": f, "another process": other} {
			got := look(f)
			if n := got.totals; n.GetRecords() != 3 || n.GetRatings() != 8 || n.GetSum() != 42 {
				t.Fatalf("%s: the test is wrong, the changes show in the totals: %v", step.name, n)
			}
			if !got.totals.GetAsOfTime().AsTime().Equal(c.Now()) || !got.totals.GetUsersAsOfTime().AsTime().Equal(c.Now()) {
				t.Errorf("%s, %s: totals as of %v, users as of %v, want now, %v", step.name, name,
					got.totals.GetAsOfTime().AsTime(), got.totals.GetUsersAsOfTime().AsTime(), c.Now())
			}
			if got.totals.GetUsers() != step.users {
				t.Errorf("%s, %s: %d users, want %d", step.name, name, got.totals.GetUsers(), step.users)
			}
			if !slices.Equal(got.popular, step.popular) {
				t.Errorf("%s, %s: popular %q, want %q", step.name, name, got.popular, step.popular)
			}
			if !slices.Equal(got.trending, step.trending) {
				t.Errorf("%s, %s: trending %q, want %q", step.name, name, got.trending, step.trending)
			}
			if !slices.Equal(got.top, step.top) {
				t.Errorf("%s, %s: top %q, want %q", step.name, name, got.top, step.top)
			}
			// The numbers of ratings are the digest's key: alike where they are alike, and only there.
			votes := fmt.Sprint(step.popular)
			digest := got.totals.GetVotesDigest()
			if before, known := digests[votes]; known && before != digest {
				t.Errorf("%s, %s: digest %d, was %d with the same numbers of ratings", step.name, name, digest, before)
			}
			for otherVotes, before := range digests {
				if otherVotes != votes && before == digest {
					t.Errorf("%s, %s: digest %d of %s is that of %s", step.name, name, digest, votes, otherVotes)
				}
			}
			digests[votes] = digest
		}
	}
}

// Trending is computed from the snapshot and the newest ratings, each up to a second old. Their ages do not add up: ratings more than a
// second old are in the chart.
func TestTrendingIsNoOlderThanItsSnapshotMayBe(t *testing.T) {
	t.Parallel()
	f, c := serve(t)
	f.put(t, "a", "u", 5)
	f.totals(t) // a snapshot as of now
	f.put(t, "b", "u", 5)
	f.put(t, "b", "v", 5)
	c.Add(900 * time.Millisecond)
	f.chart(t, ratingv1.Chart_CHART_TRENDING) // trending as of now, on that snapshot
	c.Add(900 * time.Millisecond)
	if got, want := f.chart(t, ratingv1.Chart_CHART_TRENDING), []string{"b 2", "a 1"}; !slices.Equal(got, want) {
		t.Errorf("trending %q after 1.8 s, want %q", got, want)
	}
}
