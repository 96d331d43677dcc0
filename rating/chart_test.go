package rating

import (
	"context"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"movieexample.com/internal/sqldb"
)

// Walking a chart piece by piece returns every entry once, in order; a group of ties is split only where it is greater
// than what a piece may be longer.
func TestWindowsCoverAChart(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var entries []chartEntry
		for i := range rapid.IntRange(0, 60).Draw(t, "entries") {
			key := float64(rapid.IntRange(0, 4).Draw(t, "key"))
			entries = append(entries, chartEntry{
				id: fmt.Sprintf("m%02d", i), score: key, sortKey: key, agg: &Aggregate{Votes: int64(rapid.IntRange(1, 2).Draw(t, "votes"))},
			})
		}
		slices.SortFunc(entries, compareEntries)
		size, slack := rapid.IntRange(1, 10).Draw(t, "size"), rapid.IntRange(0, 8).Draw(t, "slack")
		var got []chartEntry
		var place *chartPlace
		for {
			page, next := window(entries, place, size, slack)
			got = append(got, page...)
			if next == nil {
				break
			}
			if len(page) < size || len(page) > size+slack {
				t.Fatalf("a piece of %d entries, want %d to %d", len(page), size, size+slack)
			}
			split := sameTie(entries[len(got)-1], entries[len(got)])
			if split && len(page) < size+slack {
				t.Fatalf("a group was split after %d entries, though %d more were allowed", len(page), slack)
			}
			if split != (next.afterID != "") {
				t.Fatalf("split is %v, but the next place is %+v", split, *next)
			}
			place = next
		}
		if !slices.Equal(got, entries) {
			t.Fatalf("walked %v, want %v", got, entries)
		}
	})
}

// A place stays valid when its record no longer has ratings: the page begins with the next record below.
func TestWindowAfterTheChartChanged(t *testing.T) {
	entry := func(id string, key float64, votes int64) chartEntry {
		return chartEntry{id: id, sortKey: key, agg: &Aggregate{Votes: votes}}
	}
	entries := []chartEntry{entry("a", 9, 5), entry("b", 8, 7), entry("c", 8, 6), entry("d", 8, 6), entry("e", 7, 1)}
	for _, c := range []struct {
		start chartPlace
		want  string
	}{
		{chartPlace{sortKey: 10}, "a"},
		{chartPlace{sortKey: 9, votes: 5}, "a"},
		{chartPlace{sortKey: 9, votes: 4}, "b"},
		{chartPlace{sortKey: 8.5, votes: 1}, "b"},
		{chartPlace{sortKey: 8, votes: 6}, "c"},
		{chartPlace{sortKey: 8, votes: 6, afterID: "c"}, "d"},
		{chartPlace{sortKey: 8, votes: 6, afterID: "bb"}, "c"},
		{chartPlace{sortKey: 8, votes: 6, afterID: "d"}, "e"},
		{chartPlace{sortKey: 1}, ""},
	} {
		page, _ := window(entries, &c.start, 1, 0)
		got := ""
		if len(page) > 0 {
			got = page[0].id
		}
		if got != c.want {
			t.Errorf("from %+v: %q, want %q", c.start, got, c.want)
		}
	}
}

func idsOf(entries []chartEntry) (ids []string) {
	for _, e := range entries {
		ids = append(ids, e.id)
	}
	return ids
}

func (s *store) rate(t testing.TB, ratings ...Rating) {
	t.Helper()
	if err := s.db.Write(t.Context(), func(ctx context.Context, tx *sqldb.Tx) error {
		before, err := s.before(ctx, tx, ratings)
		if err != nil {
			return err
		}
		return s.apply(ctx, tx, before, ratings)
	}); err != nil {
		t.Fatal(err)
	}
}

// ratingAt is the rating of a record by a user at a time.
func ratingAt(id, user string, value int, at time.Time) Rating {
	return newRating(Key{Record: Record{Type: "movie", ID: id}, User: user}, value, ToMicros(at), "")
}

// top has the records with at least m votes by the Bayesian estimate; ties by votes, then id. popular goes by votes.
func TestTopAndPopular(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	for id, values := range map[string][]int{
		"few": {10}, "good": {9, 9, 9}, "fine": {8, 8}, "fair": {8, 8}, "bad": {1, 1, 1, 1}, "gone": {5, 5, 5},
	} {
		for i, v := range values {
			s.rate(t, ratingAt(id, fmt.Sprint(i), v, t0))
			if id == "gone" {
				s.rate(t, ratingAt(id, fmt.Sprint(i), 0, t0.Add(time.Second)))
			}
		}
	}
	b, err := buildSnapshot(t.Context(), s, "movie", 2)
	if err != nil {
		t.Fatal(err)
	}
	// 12 ratings: 10 + 27 + 16 + 16 + 4 = 73
	if b.totals != (totals{Records: 5, Ratings: 12, Sum: 73}) || b.prior != (Prior{MinVotes: 2, Mean: 73.0 / 12}) {
		t.Errorf("totals %+v, prior %+v", b.totals, b.prior)
	}
	if got, want := idsOf(b.top(b.prior)), []string{"good", "fair", "fine", "bad"}; !slices.Equal(got, want) {
		t.Errorf("top %q, want %q", got, want)
	}
	// good: 3/5·9 + 2/5·73/12 = 7.8333…
	if got := b.top(b.prior)[0].score; math.Abs(got-47.0/6) > 1e-12 {
		t.Errorf("score of the best %v, want 7.8333…", got)
	}
	if got, want := idsOf(b.popular()), []string{"bad", "good", "fair", "fine", "few"}; !slices.Equal(got, want) {
		t.Errorf("popular %q, want %q", got, want)
	}
	empty, err := buildSnapshot(t.Context(), s, "book", 2)
	if err != nil || len(empty.top(empty.prior)) != 0 || empty.prior.Mean != 0 || empty.totals != (totals{}) {
		t.Errorf("a type without ratings: %+v, %v", empty, err)
	}
}

// buildTrending builds the chart; without enough it does not look further back than it must.
func buildTrending(t testing.TB, s *store, enough ...int) *trend {
	t.Helper()
	b, err := buildSnapshot(t.Context(), s, "movie", 1)
	if err != nil {
		t.Fatal(err)
	}
	tr, err := buildTrend(t.Context(), s, trendKey{recordType: "movie"}, b, append(enough, 1)[0])
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// A rating counts one half after seven days, as of the newest rating, not of the clock.
func TestTrending(t *testing.T) {
	const week = 7 * 24 * time.Hour
	s := openStore(t, sqldb.Options{})
	newest := t0.Add(-400 * 24 * time.Hour)
	s.rate(t,
		ratingAt("now", "1", 1, newest),
		ratingAt("week", "1", 10, newest.Add(-week)),
		ratingAt("fortnight", "1", 10, newest.Add(-2*week)), ratingAt("fortnight", "2", 10, newest.Add(-2*week)),
		ratingAt("half a week", "1", 10, newest.Add(-week/2)), ratingAt("half a week", "2", 0, newest.Add(-week/2)),
		ratingAt("many", "1", 5, newest), ratingAt("many", "2", 5, newest.Add(-week)), ratingAt("many", "3", 5, newest.Add(-3*week)),
		ratingAt("too old", "1", 5, newest.Add(-16*week-12*time.Hour-time.Microsecond)), // the day before
		ratingAt("nearly too old", "1", 5, newest.Add(-16*week)),
	)
	scores := func(tr *trend) string {
		out := ""
		for _, e := range tr.entries {
			out += fmt.Sprintf("%s %.9f\n", e.id, e.score)
		}
		return out
	}
	first := buildTrending(t, s)
	want := "many 1.625000000\nnow 1.000000000\nhalf a week 0.707106781\nfortnight 0.500000000\nweek 0.500000000\nnearly too old 0.000015259\n"
	if got := scores(first); got != want {
		t.Errorf("trending\n%swant\n%s", got, want)
	}
	// A newer rating of another record lowers all scores, and changes no sort key, to the last bit.
	s.rate(t, ratingAt("news", "1", 5, newest.Add(week)))
	second := buildTrending(t, s)
	want = "news 1.000000000\nmany 0.812500000\nnow 0.500000000\nhalf a week 0.353553391\nfortnight 0.250000000\nweek 0.250000000\n"
	if got := scores(second); got != want {
		t.Errorf("a week later\n%swant\n%s", got, want)
	}
	keys := func(tr *trend) map[string]float64 {
		m := map[string]float64{}
		for _, e := range tr.entries {
			m[e.id] = e.sortKey
		}
		return m
	}
	for id, k := range keys(second) {
		if before, ok := keys(first)[id]; ok && k != before {
			t.Errorf("the sort key of %q moved from %v to %v", id, before, k)
		}
	}
	// Deleting the newest rating brings the old chart back.
	s.rate(t, ratingAt("news", "1", 0, newest.Add(2*week)))
	if got := scores(buildTrending(t, s)); got != scores(first) {
		t.Errorf("after the newest was deleted\n%swant\n%s", got, scores(first))
	}
	// Where few records were rated lately, the older ones are in the chart too, however old.
	s.rate(t, ratingAt("today", "1", 5, newest.Add(20*365*24*time.Hour)))
	if got := len(buildTrending(t, s).entries); got != 1 {
		t.Errorf("%d records, want the one that was rated lately", got)
	}
	all := buildTrending(t, s, 1000).entries
	if len(all) != 8 || all[0].id != "today" || all[1].id != "many" || all[7].id != "too old" {
		t.Errorf("%d records, want all 8 in their order: %v", len(all), all)
	}
	for i, e := range all {
		if math.IsInf(e.sortKey, 0) || math.IsNaN(e.sortKey) || i > 0 && e.sortKey > all[i-1].sortKey {
			t.Errorf("sort key %v of %q", e.sortKey, e.id)
		}
	}
	empty := openStore(t, sqldb.Options{})
	if tr := buildTrending(t, empty); len(tr.entries) != 0 {
		t.Errorf("trending of nothing: %v", tr.entries)
	}
}
