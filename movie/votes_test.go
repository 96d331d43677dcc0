package movie_test

import (
	"context"
	"fmt"
	"maps"
	"testing"
	"testing/synctest"
	"time"

	"movieexample.com/movie"
)

// syncing runs the votes sync until the test ends. The test runs in a bubble: time moves when all goroutines wait.
func syncing(t *testing.T, w *world) {
	t.Helper()
	ctx, stop := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- w.service.Run(ctx) }()
	t.Cleanup(func() {
		stop()
		if err := <-done; err != nil {
			t.Errorf("the sync ended with %v", err)
		}
	})
	synctest.Wait()
}

// pass lets time pass in the bubble.
func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func (w *world) wantVotes(t *testing.T, when string, want map[string]int32) {
	t.Helper()
	if got := w.metadata.votesOf(); !maps.Equal(got, want) {
		t.Errorf("%s: metadata knows %v, want %v", when, got, want)
	}
}

func TestVotesSync(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		want := map[string]int32{}
		for i := range 8 { // three pages of the fake
			id := fmt.Sprint("m", i)
			w.rating.set(id, int32(i+1), 5)
			want[id] = int32(i + 1)
		}
		// What metadata knows from before and is not true any more, before, between and behind the films that have ratings.
		for _, id := range []string{"a", "m2x", "m3", "z"} {
			w.metadata.votes[id] = 99
		}
		syncing(t, w)
		w.wantVotes(t, "right after the start", want)
		if got := fmt.Sprint(w.metadataConn.take(), w.ratingConn.take()); got != "map[SyncVotes:3] map[GetTotals:1 ListRatingSummaries:3]" {
			t.Errorf("calls %v", got)
		}

		// Nothing new: one look each second and a little, and nothing else.
		pass(10 * time.Second)
		calls := w.ratingConn.take()
		if n := calls["GetTotals"]; n < 7 || n > 10 || len(calls) != 1 || len(w.metadataConn.take()) != 0 {
			t.Errorf("calls %v within ten seconds without news, want seven to ten of GetTotals", calls)
		}

		w.rating.set("m4", 50, 5)
		want["m4"] = 50
		w.rating.remove("m7")
		delete(want, "m7")
		pass(3 * time.Second)
		w.wantVotes(t, "three seconds after ratings changed", want)

		// One rating less here, one more there: the sums are the same, and the digest is not.
		w.rating.set("m0", 3, 5)
		w.rating.set("m2", 1, 5)
		want["m0"], want["m2"] = 3, 1
		pass(3 * time.Second)
		w.wantVotes(t, "three seconds after ratings went from one to another", want)

		// A rating service of an earlier release tells no digest.
		w.rating.mu.Lock()
		w.rating.noDigest = true
		w.rating.mu.Unlock()
		pass(3 * time.Second)
		w.rating.set("m0", 2, 5)
		w.rating.set("m1", 3, 5)
		before := maps.Clone(want)
		want["m0"], want["m1"] = 2, 3
		pass(time.Minute)
		w.wantVotes(t, "the totals are the same", before)
		pass(5 * time.Minute)
		w.wantVotes(t, "after five minutes", want)
	})
}

// A catalogue without any rating is synced, too.
func TestVotesSyncOfNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		w.metadata.votes["a"] = 3
		syncing(t, w)
		w.wantVotes(t, "right after the start", map[string]int32{})
	})
}

func TestVotesSyncOutlastsOutages(t *testing.T) {
	for name, service := range map[string]func(*world) *hook{
		"rating":   func(w *world) *hook { return &w.rating.before },
		"metadata": func(w *world) *hook { return &w.metadata.before },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, movie.Config{})
				for i := range 8 {
					w.rating.set(fmt.Sprint("m", i), 1, 5)
				}
				service(w).set(down)
				syncing(t, w)
				pass(time.Minute)
				if n := w.log.with("level=WARN"); n != 1 {
					t.Errorf("%d warnings in a minute of outage, want 1", n)
				}
				w.wantVotes(t, "during the outage", map[string]int32{})
				service(w).set(nil)
				pass(3 * time.Second)
				if len(w.metadata.votesOf()) != 8 || w.log.with("level=INFO") != 1 {
					t.Errorf("after the outage metadata knows %v, log has %d lines about it; want all 8 and 1", w.metadata.votesOf(), w.log.with("level=INFO"))
				}
				// The next outage is logged again, and a sweep that ended half way is repeated.
				calls := 0
				w.metadata.before.set(func(_ context.Context, method string) error {
					if calls++; calls == 2 {
						return down(t.Context(), method)
					}
					return nil
				})
				for i := range 8 {
					w.rating.set(fmt.Sprint("m", i), 2, 5)
				}
				pass(6 * time.Second)
				if n := w.log.with("level=WARN"); n != 2 {
					t.Errorf("%d warnings after two outages, want 2", n)
				}
				for id, n := range w.metadata.votesOf() {
					if n != 2 {
						t.Errorf("metadata knows %d votes of %s, want 2", n, id)
					}
				}
			})
		})
	}
}

// A sweep that takes long is followed by a longer rest: it never takes more than a twentieth of the time.
func TestVotesSyncRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		w.rating.set("m", 1, 5)
		w.rating.before.set(func(_ context.Context, method string) error {
			if method == "ListRatingSummaries" {
				<-time.After(time.Second)
			}
			return nil
		})
		syncing(t, w)
		pass(time.Second)
		w.wantVotes(t, "after the sweep", map[string]int32{"m": 1})
		w.rating.set("m", 2, 5)
		pass(19 * time.Second)
		w.wantVotes(t, "during the rest", map[string]int32{"m": 1})
		pass(7 * time.Second)
		w.wantVotes(t, "after the rest", map[string]int32{"m": 2})
	})
}

// Two processes may sync at the same time.
func TestVotesSyncTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		for i := range 8 {
			w.rating.set(fmt.Sprint("m", i), 1, 5)
		}
		other, err := movie.New(t.Context(), movie.Config{}, movie.Deps{Metadata: w.metadataConn, Rating: w.ratingConn, Now: w.clock})
		if err != nil {
			t.Fatal(err)
		}
		defer func() {
			if err := other.Close(); err != nil {
				t.Error(err)
			}
		}()
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan error, 1)
		go func() { done <- other.Run(ctx) }()
		syncing(t, w)
		w.rating.set("m5", 7, 5)
		pass(3 * time.Second)
		want := map[string]int32{}
		for i := range 8 {
			want[fmt.Sprint("m", i)] = 1
		}
		want["m5"] = 7
		w.wantVotes(t, "after both", want)
		stop()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
}
