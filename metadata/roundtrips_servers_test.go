//go:build servers

package metadata_test

import (
	"net/url"
	"testing"

	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/test/servers"
)

// A write that nothing competes with takes three round trips to the database at most, whatever it changes.
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
	c := openCatalogue(t, at.String(), nil) // and nobody reads in the background
	c.put(t, film("warm", "Up"))
	full := func(title string, genres ...string) *metadatav1.Movie {
		return &metadatav1.Movie{
			Id: "x", Title: title, Year: proto.Int32(1994), Genres: genres, Director: `Agnès "A" d'Or \`, Description: "What? 'This': \\ 🎬\nand; that.",
			AlternativeTitles: []string{"Two", "Three"}, ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0111161", Tmdb: "278", Movielens: "318"},
		}
	}
	trips := &servers.RoundTrips{}
	proxy.Watch(trips.Watch)
	for _, write := range []struct {
		what string
		do   func()
	}{
		{"a new film", func() { c.put(t, full("One", "Crime", "Drama")) }},
		{"a changed one", func() { c.put(t, full("Another", "Comedy", "Drama", "Western")) }},
		{"the same again", func() { c.put(t, full("Another", "Comedy", "Drama", "Western")) }},
		{"a batch of two", func() {
			_, err := c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
				Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL, Movies: []*metadatav1.Movie{film("y", "Y"), film("warm", "Upper")},
			})
			if err != nil {
				t.Error(err)
			}
		}},
		{"a deleted one", func() {
			if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "y"}); err != nil {
				t.Error(err)
			}
		}},
	} {
		trips.Reset()
		write.do()
		if n := trips.Count(); n < 2 || n > 3 {
			t.Errorf("%s took %d round trips, want 3 at most", write.what, n)
		}
	}
	wantMovie(t, c.get(t, "x"), full("Another", "Comedy", "Drama", "Western"))
	checkTables(t, c.db)
}
