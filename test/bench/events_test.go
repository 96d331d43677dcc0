package bench_test

import (
	"strconv"
	"testing"

	"movieexample.com/api/events"
	"movieexample.com/movielens"
)

// The shape of MovieLens: twice as many ratings and users as ml-latest-small has, so that joining the consumer group, an
// eighth of a second, does not pass for a part of the rate; and as many films.
const (
	shapeRatings = 2 * 100_836
	shapeUsers   = 2 * 610
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
