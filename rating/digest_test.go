package rating

import (
	"fmt"
	"maps"
	"math"
	"testing"
	"time"

	"pgregory.net/rapid"

	"movieexample.com/internal/sqldb"
)

// digestOf is the digest of numbers of ratings by record id, in the map's random order.
func digestOf(votes map[string]int64) (d votesDigest) {
	for id, n := range votes {
		d.add(id, n)
	}
	return d
}

// Two sets of records have the same digest if each record has the same number of ratings, in any order, and different
// digests otherwise, even if ratings move to a record with a similar id or a similar number.
func TestDigest(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		votes := rapid.MapOfN(rapid.StringMatching(`[ab]{1,3}`), rapid.OneOf(rapid.Int64Range(1, 3), rapid.Int64Range(1, math.MaxInt64)), 0, 8)
		a := votes.Draw(t, "votes")
		b := votes.Draw(t, "other votes")
		if rapid.Bool().Draw(t, "moved") && len(a) > 1 {
			b = maps.Clone(a)
			ids := rapid.Permutation(keysOf(a)).Draw(t, "ids")
			n := rapid.Int64Range(1, b[ids[0]]).Draw(t, "n")
			b[ids[0]] -= n
			b[ids[1]] += n
			maps.DeleteFunc(b, func(_ string, n int64) bool { return n == 0 })
		}
		if digestOf(a) != digestOf(maps.Clone(a)) {
			t.Fatal("the digest depends on the order")
		}
		if same := maps.Equal(a, b); same != (digestOf(a) == digestOf(b)) {
			t.Fatalf("digests %d and %d, though it is %v that the numbers are the same", digestOf(a), digestOf(b), same)
		}
	})
}

func keysOf(m map[string]int64) (keys []string) {
	for k := range m {
		keys = append(keys, k)
	}
	return keys
}

// Every process and every release computes the same digest. With different ones, a client that asks two processes in turn would see a
// change each time.
func TestDigestIsTheSameEverywhere(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	for id, n := range map[string]int{"tt0133093": 3, "é": 1, "1": 2, "gone": 1} {
		for i := range n {
			s.rate(t, ratingAt(id, fmt.Sprint(i), 1+i, t0))
		}
	}
	s.rate(t, ratingAt("gone", "0", tombstone, t0.Add(time.Second)))
	s.rate(t, newRating(Key{Record: Record{Type: "book", ID: "1"}, User: "0"}, 5, ToMicros(t0), ""))
	for recordType, want := range map[string]int64{"movie": -6820693210970083068, "book": 4305166747353210591, "song": 0} {
		b, err := buildSnapshot(t.Context(), s, recordType, 1)
		if err != nil {
			t.Fatal(err)
		}
		if got := int64(b.votes); got != want {
			t.Errorf("digest of the %ss %d, want %d", recordType, got, want)
		}
	}
}
