package bench_test

import (
	"strconv"
	"testing"

	"movieexample.com/api/events"
	"movieexample.com/movielens"
)

// The MovieLens shape: as many ratings, users and films as ml-latest-small has.
const (
	shapeRatings = 100_836
	shapeUsers   = 610
	shapeMovies  = 9_742
)

// ratingEvents are made-up ratings of the shape of MovieLens, in the order of its file: user by user.
func ratingEvents(b *testing.B) []events.Event {
	b.Helper()
	path := b.TempDir()
	_, err := movielens.Generate(b.Context(), path, movielens.GenerateOptions{
		Users: shapeUsers, Ratings: shapeRatings, Movies: shapeMovies, Seed: 1,
	})
	if err != nil {
		b.Fatal(err)
	}
	dir, err := movielens.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	all := make([]events.Event, 0, shapeRatings)
	for r, err := range dir.Ratings(b.Context()) {
		if err != nil {
			b.Fatal(err)
		}
		all = append(all, events.Event{
			UserID: strconv.FormatInt(r.UserID, 10), RecordID: "tt" + strconv.FormatInt(90_000_000+r.MovieID, 10), RecordType: "movie",
			Value: r.Value, ProviderID: "bench", RatedAt: r.RatedAt,
		})
	}
	return all
}
