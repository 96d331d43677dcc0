package metadata_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"pgregory.net/rapid"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// votesOf lists votes in the order of their ids.
func votesOf(votes map[string]int32) []*metadatav1.SyncVotesRequest_MovieVotes {
	var list []*metadatav1.SyncVotesRequest_MovieVotes
	for _, id := range slices.Sorted(maps.Keys(votes)) {
		list = append(list, &metadatav1.SyncVotesRequest_MovieVotes{MovieId: id, Votes: votes[id]})
	}
	return list
}

// sync sends the votes of a range, and returns how many changed.
func (c *catalogue) sync(t testing.TB, after, through string, votes map[string]int32) int {
	t.Helper()
	resp, err := c.SyncVotes(t.Context(), &metadatav1.SyncVotesRequest{AfterId: after, ThroughId: through, Votes: votesOf(votes)})
	if err != nil {
		t.Fatal(err)
	}
	return int(resp.GetChanged())
}

// For any ranges in any order, the stored votes are the last ones of each id.
func TestSyncVotesMatchesTheModel(t *testing.T) {
	c := newCatalogue(t)
	model := map[string]int32{}
	rapid.Check(t, func(rt *rapid.T) {
		id := rapid.Custom(func(rt *rapid.T) string { return fmt.Sprintf("m%02d", rapid.IntRange(0, 30).Draw(rt, "id")) })
		bounds := []string{"", "m00", "m07", "m15", "m30", "z"}
		after, through := rapid.SampledFrom(bounds).Draw(rt, "after"), rapid.SampledFrom(bounds).Draw(rt, "through")
		if through != "" && after >= through {
			through = ""
		}
		inRange := func(id string) bool { return id > after && (through == "" || id <= through) }
		said := rapid.MapOf(id, rapid.Int32Range(1, 3)).Draw(rt, "votes")
		maps.DeleteFunc(said, func(id string, _ int32) bool { return !inRange(id) })
		want := 0
		for id, n := range model {
			if inRange(id) && said[id] != n {
				want++
			}
		}
		for id := range said {
			if model[id] == 0 {
				want++
			}
		}
		if got := c.sync(t, after, through, said); got != want {
			rt.Errorf("changed %d, want %d", got, want)
		}
		maps.DeleteFunc(model, func(id string, _ int32) bool { return inRange(id) })
		maps.Copy(model, said)
		if diff := cmp.Diff(model, votes(t, c.db)); diff != "" {
			rt.Fatalf("votes (-want +got):\n%s", diff)
		}
		if got := c.sync(t, after, through, said); got != 0 {
			rt.Errorf("again: changed %d", got)
		}
	})
	checkTables(t, c.db)
}

// A range may have more movies than a request, and take more than one transaction.
func TestSyncVotesOfManyMovies(t *testing.T) {
	c := newCatalogue(t)
	const n = 12_000
	want := map[string]int32{}
	for from := 0; from < n; from += 5_000 {
		part := map[string]int32{}
		for i := from; i < min(n, from+5_000); i++ {
			part[fmt.Sprintf("tt%07d", i)] = int32(1 + i%7)
		}
		maps.Copy(want, part)
		ids := slices.Sorted(maps.Keys(part))
		after, through := fmt.Sprintf("tt%07d", from-1), ids[len(ids)-1]
		if from == 0 {
			after = ""
		}
		if got := c.sync(t, after, through, part); got != len(part) {
			t.Errorf("changed %d of %d", got, len(part))
		}
	}
	if diff := cmp.Diff(want, votes(t, c.db)); diff != "" {
		t.Fatalf("votes (-want +got):\n%s", diff)
	}
	if got := c.sync(t, "tt0000999", "", map[string]int32{"tt0005000": want["tt0005000"], "tt0011111": 9}); got != n-1001 {
		t.Errorf("changed %d, want %d", got, n-1001)
	}
	if got := votes(t, c.db); len(got) != 1002 || got["tt0011111"] != 9 {
		t.Errorf("%d movies have votes", len(got))
	}
	checkTables(t, c.db)
}

func TestSyncVotesErrors(t *testing.T) {
	c := newCatalogue(t)
	type votes = []*metadatav1.SyncVotesRequest_MovieVotes
	vote := func(id string, n int32) *metadatav1.SyncVotesRequest_MovieVotes {
		return &metadatav1.SyncVotesRequest_MovieVotes{MovieId: id, Votes: n}
	}
	tooMany := make(votes, 5_001)
	for i := range tooMany {
		tooMany[i] = vote(fmt.Sprintf("tt%07d", i), 1)
	}
	for name, tc := range map[string]struct {
		after, through string
		votes          votes
		want           []string
	}{
		"an empty range":    {"b", "b", nil, []string{`through_id: must be greater than after_id, compared byte by byte; got "b" and "b"`}},
		"a range backwards": {"b", "a", nil, []string{"through_id: must be greater"}},
		"wrong bounds":      {strings.Repeat("x", 129), " y", nil, []string{"after_id: must be 1 to 128 bytes, got 129", "through_id: must not start or end with white space"}},
		"too many":          {"", "", tooMany, []string{"votes: must be at most 5000 movies, got 5001"}},
		"no id":             {"", "", votes{vote("a", 1), vote("", 1)}, []string{"votes[1].movie_id: is required"}},
		"out of order":      {"", "", votes{vote("b", 1), vote("a", 1)}, []string{`votes[1].movie_id: must be greater than the one before, compared byte by byte; got "a" after "b"`}},
		"twice":             {"", "", votes{vote("a", 1), vote("b", 1), vote("b", 1)}, []string{`votes[2].movie_id: must be greater than the one before`}},
		"before the range":  {"b", "", votes{vote("b", 1)}, []string{`votes[0].movie_id: must be greater than after_id, compared byte by byte; got "b" and "b"`}},
		"after the range":   {"a", "c", votes{vote("c", 1), vote("d", 1)}, []string{`votes[1].movie_id: must not be greater than through_id, compared byte by byte; got "d" and "c"`}},
		"no votes":          {"", "", votes{vote("a", 0)}, []string{"votes[0].votes: must be at least 1, got 0; a movie without votes is left out"}},
		"less than none":    {"", "", votes{vote("a", -1)}, []string{"votes[0].votes: must be at least 1, got -1"}},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.SyncVotes(t.Context(), &metadatav1.SyncVotesRequest{AfterId: tc.after, ThroughId: tc.through, Votes: tc.votes})
			wantError(t, err, codes.InvalidArgument, tc.want...)
		})
	}
}
