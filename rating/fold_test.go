package rating

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"movieexample.com/internal/sqldb"
)

// someChanges draws changes of few keys at few times, so that re-ratings, deletes and equal times are common.
func someChanges() *rapid.Generator[[]Rating] {
	one := rapid.Custom(func(t *rapid.T) Rating {
		k := Key{
			Record: Record{Type: rapid.SampledFrom([]string{"movie", "book"}).Draw(t, "type"), ID: rapid.SampledFrom([]string{"a", "b", "ab", "é"}).Draw(t, "record")},
			User:   rapid.SampledFrom([]string{"1", "2", "u"}).Draw(t, "user"),
		}
		provider := rapid.SampledFrom([]string{"", "p", "q"}).Draw(t, "provider")
		return newRating(k, rapid.IntRange(0, Highest).Draw(t, "value"), Micros(rapid.Int64Range(0, 4).Draw(t, "at")), provider)
	})
	return rapid.SliceOfN(one, 0, 40)
}

// history draws events and an order of them with repetitions, cut into batches.
func history(t *rapid.T) (events []Rating, batches [][]Rating) {
	events = someChanges().Draw(t, "events")
	log := slices.Clone(events)
	for _, e := range events {
		for range rapid.IntRange(0, 2).Draw(t, "repetitions") {
			log = append(log, e)
		}
	}
	log = rapid.Permutation(log).Draw(t, "order")
	for len(log) > 0 {
		n := rapid.IntRange(1, len(log)).Draw(t, "batch")
		batches, log = append(batches, log[:n]), log[n:]
	}
	return events, batches
}

// The pure fold, applied batch after batch to a map, gives what the model gives for the set of events.
func TestFoldDoesNotDependOnOrderRepetitionOrBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		events, batches := history(t)
		rows, sums := map[Key]Rating{}, map[Record]Aggregate{}
		for _, b := range batches {
			changed, deltas := fold(rows, b)
			if !slices.IsSortedFunc(changed, func(a, b Rating) int { return a.Key.compare(b.Key) }) {
				t.Fatalf("rows are not in the order of their keys: %v", changed)
			}
			if !slices.IsSortedFunc(deltas, func(a, b delta) int { return a.Record.compare(b.Record) }) {
				t.Fatalf("deltas are not in the order of their records: %v", deltas)
			}
			for _, r := range changed {
				rows[r.Key] = r
			}
			for _, d := range deltas {
				if d.Aggregate == (Aggregate{}) {
					t.Fatalf("a delta of nothing: %v", d)
				}
				a := sums[d.Record]
				a.Votes += d.Votes
				a.Sum += d.Sum
				for i := range a.Counts {
					a.Counts[i] += d.Counts[i]
				}
				if sums[d.Record] = a; a == (Aggregate{}) {
					delete(sums, d.Record)
				}
			}
		}
		want := modelOf(events...)
		if diff := cmp.Diff(want.rows, rows); diff != "" {
			t.Fatalf("rows (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want.sums, sums); diff != "" {
			t.Fatalf("aggregates (-want +got):\n%s", diff)
		}
	})
}

// The same through the store: every example has its own record types in one database, as migrating one per
// example would take most of the time.
func TestStoreFoldsLikeTheModel(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	example := 0
	rapid.Check(t, func(rt *rapid.T) {
		example++
		events, batches := history(rt)
		rename := func(rs []Rating) []Rating {
			out := slices.Clone(rs)
			for i := range out {
				out[i].Type = fmt.Sprintf("%s-%d", out[i].Type, example) // the event id stays: the order of ties too
			}
			return out
		}
		p := partition{Topic: "ratings", TopicID: fmt.Sprintf("%032x", example)}
		if _, err := s.begin(t.Context(), p, 0); err != nil {
			rt.Fatal(err)
		}
		offset := int64(0)
		for _, b := range batches {
			end := offset + int64(len(b))
			if _, err := s.ingest(t.Context(), batch{partition: p, start: offset, end: end, changes: rename(b)}); err != nil {
				rt.Fatal(err)
			}
			offset = end
		}
		want := modelOf(rename(events)...)
		rows, sums := map[Key]Rating{}, map[Record]Aggregate{}
		for k, r := range s.rows(t) {
			if _, ok := want.rows[k]; ok {
				rows[k] = r
			}
		}
		for k, a := range s.sums(t) {
			if k.Type == fmt.Sprintf("movie-%d", example) || k.Type == fmt.Sprintf("book-%d", example) {
				sums[k] = a
			}
		}
		if diff := cmp.Diff(want.rows, rows); diff != "" {
			rt.Fatalf("rows (-want +got):\n%s", diff)
		}
		if diff := cmp.Diff(want.sums, sums); diff != "" {
			rt.Fatalf("aggregates (-want +got):\n%s", diff)
		}
	})
	s.checkAudit(t)
}

// The event id is stored and decides ties forever, so its values are golden (computed by another
// program, from the description of newRating).
func TestEventIDIsStable(t *testing.T) {
	k := func(typ, id, user string) Key { return Key{Record: Record{Type: typ, ID: id}, User: user} }
	for _, c := range []struct {
		key      Key
		value    int
		provider string
		want     int64
	}{
		{k("movie", "1", "105"), 5, "test-provider", 424855588092472230},
		{k("movie", "1", "105"), 5, "", 4819848868465462073},
		{k("movie", "1", "105"), tombstone, "", 1137987432677886068},
		{k("movie", "tt0111161", "é"), 10, "x", 4844943105839740129},
	} {
		if got := newRating(c.key, c.value, 1, c.provider).EventID; got != c.want {
			t.Errorf("event id of %v, value %d, provider %q = %d, want %d", c.key, c.value, c.provider, got, c.want)
		}
	}
	seen := map[int64]string{}
	for _, c := range []Rating{
		newRating(k("movie", "ab", "c"), 5, 1, "p"), newRating(k("movie", "a", "bc"), 5, 1, "p"),
		newRating(k("movie", "a", "b"), 5, 1, "cp"), newRating(k("moviea", "", "bc"), 5, 1, "p"),
		newRating(k("movie", "ab", "c"), 6, 1, "p"), newRating(k("movie", "ab", "c"), 0, 1, "p"),
	} {
		if other, ok := seen[c.EventID]; ok {
			t.Errorf("%v and %s have the same event id", c, other)
		}
		seen[c.EventID] = fmt.Sprint(c)
		if c.EventID < 0 {
			t.Errorf("event id %d is negative", c.EventID)
		}
	}
	if a, b := newRating(k("m", "1", "2"), 3, 10, "p"), newRating(k("m", "1", "2"), 3, 20, "p"); a.EventID != b.EventID {
		t.Error("the event id depends on the time: it is the rest of the version")
	}
}

// Of events at the same microsecond the same one wins in every order.
func TestTiesAreDecidedByContent(t *testing.T) {
	k := Key{Record: Record{Type: "movie", ID: "1"}, User: "u"}
	tied := make([]Rating, 0, 11)
	for v := range 11 {
		tied = append(tied, newRating(k, v, 100, "p"))
	}
	want := slices.MaxFunc(tied, func(a, b Rating) int { return cmpInt(a.EventID, b.EventID) })
	for range 50 {
		rand.Shuffle(len(tied), func(i, j int) { tied[i], tied[j] = tied[j], tied[i] })
		if rows, _ := fold(nil, tied); len(rows) != 1 || rows[0] != want {
			t.Fatalf("order %v: %v won, want %v", tied, rows, want)
		}
	}
}

func cmpInt(a, b int64) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestRulesOfARating(t *testing.T) {
	older, newer := change(1, 1, 3, 10), change(1, 1, 4, 11)
	if !newer.newer(older) || older.newer(newer) || older.newer(older) {
		t.Error("newer must be the later one, and not the same one")
	}
	if m := (Aggregate{Votes: 4, Sum: 29}).Mean(); m != 7.25 {
		t.Errorf("mean %v, want 7.25", m)
	}
	if m := (Aggregate{}).Mean(); m != 0 {
		t.Errorf("mean of nothing %v, want 0", m)
	}
	p := Prior{MinVotes: 25, Mean: 7}
	// 75/100·9 + 25/100·7
	if w := p.Weighted(Aggregate{Votes: 75, Sum: 675}); w != 8.5 {
		t.Errorf("weighted %v, want 8.5", w)
	}
	if w := p.Weighted(Aggregate{}); w != 7 {
		t.Errorf("weighted without votes %v, want the prior 7", w)
	}
	if w := (Prior{}).Weighted(Aggregate{}); w != 0 {
		t.Errorf("weighted of nothing %v, want 0", w)
	}
}
