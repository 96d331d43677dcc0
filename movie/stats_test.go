package movie_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

func TestStats(t *testing.T) {
	w := newWorld(t, movie.Config{})
	for _, id := range []string{"a", "b", "c"} {
		w.film(id, id, 1990)
	}
	w.rating.set("a", 30, 8)
	w.rating.set("b", 10, 4)
	w.metadata.asOf = timestamppb.New(time.Unix(1_700_000_000, 0))
	w.rating.at(timestamppb.New(time.Unix(1_700_000_001, 0)), timestamppb.New(time.Unix(1_699_999_990, 0)))
	want := &moviev1.GetStatsResponse{
		Movies: 3, Ratings: 40, Users: 7, RatedMovies: 2, GlobalMean: 7, MinVotes: 25, PriorMean: 7,
		AsOfTime: timestamppb.New(time.Unix(1_699_999_990, 0)), // of the oldest
		Genres:   []*moviev1.GenreCount{{Genre: "Drama", Count: 3}},
		Decades:  []*moviev1.DecadeCount{{Decade: 1980, Count: 1}, {Decade: 1990, Count: 2}},
	}
	check := func(when string) {
		t.Helper()
		got, err := w.client.GetStats(t.Context(), &moviev1.GetStatsRequest{})
		if err != nil {
			t.Fatalf("%s: %v", when, err)
		}
		if diff := cmp.Diff(want, got, protocmp.Transform()); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	check("cold")
	check("warm")
	if got := fmt.Sprint(w.metadataConn.take(), w.ratingConn.take()); got != "map[GetCatalogueStats:1] map[GetTotals:1]" {
		t.Errorf("calls %v, want one of each service", got)
	}

	// The last known numbers are better than none, and say how old they are.
	w.advance(time.Hour)
	w.rating.before.set(down)
	w.film("d", "d", 1990)
	want.Movies = 4
	check("rating is down")
	w.advance(time.Hour)
	w.metadata.before.set(down)
	check("both are down")

	w.rating.before.set(nil)
	w.metadata.before.set(nil)
	w.rating.at(timestamppb.New(time.Unix(1_700_000_005, 0)), nil) // never counted users
	want.AsOfTime = timestamppb.New(time.Unix(1_700_000_000, 0))
	check("both are back")
}

func TestStatsOfNothingKnown(t *testing.T) {
	for service, stop := range map[string]func(*world){
		"rating service":   func(w *world) { w.rating.before.set(down) },
		"metadata service": func(w *world) { w.metadata.before.set(down) },
	} {
		w := newWorld(t, movie.Config{})
		stop(w)
		_, err := w.client.GetStats(t.Context(), &moviev1.GetStatsRequest{})
		if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), service) {
			t.Errorf("got %v, want UNAVAILABLE that names the %s", err, service)
		}
	}
}

func TestStatsAsksBothSideBySide(t *testing.T) {
	w := newWorld(t, movie.Config{})
	var both sync.WaitGroup
	both.Add(2)
	meet := func(ctx context.Context, _ string) error {
		both.Done() // a second call of either would panic here
		met := make(chan struct{})
		go func() { both.Wait(); close(met) }()
		select {
		case <-met:
			return nil
		case <-ctx.Done():
			return errors.New("the other service was not asked meanwhile")
		}
	}
	w.metadata.before.set(meet)
	w.rating.before.set(meet)
	var callers sync.WaitGroup
	for range 10 {
		callers.Go(func() {
			if _, err := w.client.GetStats(t.Context(), &moviev1.GetStatsRequest{}); err != nil {
				t.Error(err)
			}
		})
	}
	callers.Wait()
}
