//go:build servers

package metadata_test

import (
	"fmt"
	"net/url"
	"testing"

	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/test/servers"
)

// A write without contention takes at most three round trips to the database.
func TestRoundTripsOfAWrite(t *testing.T) {
	at, err := url.Parse(sqltest.MySQL(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := servers.NewProxy(at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	at.Host = proxy.Address()
	c := openCatalogue(t, at.String(), nil) // and without reads in the background
	c.put(t, film("warm", "Up"))
	full := func(id, title string, genres ...string) *metadatav1.Movie {
		return &metadatav1.Movie{
			Id: id, Title: title, Year: proto.Int32(1994), Genres: genres, Director: `Agnès "A" d'Or \`, Description: "What? 'This': \\ 🎬\nand; that.",
			AlternativeTitles: []string{"Two", "Three"}, ExternalIds: &metadatav1.ExternalIds{Imdb: "tt011116" + id, Tmdb: "27" + id, Movielens: "31" + id},
		}
	}
	const changed = "Another 4"
	trips := &servers.RoundTrips{}
	proxy.Watch(trips.Watch)
	for _, write := range []struct {
		what string
		do   func(run int)
	}{
		{"a new film", func(run int) { c.put(t, full(fmt.Sprint(run), "One", "Crime", "Drama")) }},
		{"a changed one", func(run int) { c.put(t, full("1", fmt.Sprint("Another ", run), "Comedy", "Drama", "Western")) }},
		{"the same again", func(int) { c.put(t, full("1", changed, "Comedy", "Drama", "Western")) }},
		{"a batch of two", func(run int) {
			_, err := c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
				Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL, Movies: []*metadatav1.Movie{film(fmt.Sprint("y", run), "Y"), film("warm", "Upper")},
			})
			if err != nil {
				t.Error(err)
			}
		}},
		{"a deleted one", func(run int) {
			if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: fmt.Sprint("y", run)}); err != nil {
				t.Error(err)
			}
		}},
	} {
		if n := trips.Counts(write.do); n[0] < 2 || n[4] > 3 {
			t.Errorf("%s took %d round trips, want 3 at most each time", write.what, n)
		}
	}
	wantMovie(t, c.get(t, "1"), full("1", changed, "Comedy", "Drama", "Western"))
	checkTables(t, c.db)
}
