package metadata_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// Of all clients with the same etag, one writes; of all that create the same film, one does, and one again after its deletion.
func TestOneOfManyWins(t *testing.T) {
	const rounds = 10
	t.Run("replacing a version", func(t *testing.T) {
		c := newCatalogue(t)
		etag := c.put(t, film("x", "start")).GetEtag()
		for round := range rounds {
			etag = oneWins(t, c, etag, round).GetEtag()
		}
	})
	t.Run("creating", func(t *testing.T) {
		c := newCatalogue(t)
		for round := range rounds {
			etag := oneWins(t, c, "none", round).GetEtag()
			if _, err := c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: "x", ExpectedEtag: etag}); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// oneWins makes many clients write the film x with the same expected etag. It returns the film of the one that succeeded.
func oneWins(t *testing.T, c *catalogue, etag string, round int) *metadatav1.Movie {
	t.Helper()
	const writers = 8
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		wins []*metadatav1.Movie
	)
	for w := range writers {
		wg.Go(func() {
			resp, err := c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: film("x", fmt.Sprintf("round %d, writer %d", round, w)), ExpectedEtag: etag})
			if err != nil {
				if status.Code(err) != codes.Aborted {
					t.Error(err)
				}
				return
			}
			mu.Lock()
			defer mu.Unlock()
			wins = append(wins, resp.GetMovie())
		})
	}
	wg.Wait()
	if len(wins) != 1 {
		t.Fatalf("round %d: %d writers won", round, len(wins))
	}
	got := c.get(t, "x")
	if got.GetEtag() != wins[0].GetEtag() || got.GetTitle() != wins[0].GetTitle() {
		t.Fatalf("round %d: stored %v, acknowledged %v", round, got, wins[0])
	}
	return got
}

// Writers compete for the same ids and external ids, and concurrent readers must never
// see half of a movie: each movie's genre, year and external id follow from its title.
func TestConcurrentWritersAndReaders(t *testing.T) {
	c := newCatalogue(t)
	const writers, writes, films = 6, 40, 5
	movie := func(id string, n int) *metadatav1.Movie {
		year := int32(1900 + n%100)
		return &metadatav1.Movie{
			Id: id, Title: fmt.Sprint("number ", n), Year: &year, Genres: []string{fmt.Sprint("genre ", n%7), "Drama"},
			ExternalIds: &metadatav1.ExternalIds{Tmdb: fmt.Sprint(1 + n%3), Movielens: fmt.Sprint(1 + n)},
		}
	}
	consistent := func(m *metadatav1.Movie) {
		var n int
		if _, err := fmt.Sscanf(m.GetTitle(), "number %d", &n); err != nil {
			t.Errorf("title %q: %v", m.GetTitle(), err)
		}
		wantMovie(t, m, movie(m.GetId(), n))
	}
	var writing, reading sync.WaitGroup
	done := make(chan struct{})
	for w := range writers {
		writing.Go(func() {
			for i := range writes {
				n := w*writes + i
				id := fmt.Sprint("film ", n%films)
				var err error
				switch n % 5 {
				case 0:
					_, err = c.DeleteMovie(t.Context(), &metadatav1.DeleteMovieRequest{Id: id})
				case 1:
					_, err = c.BatchPutMovies(t.Context(), &metadatav1.BatchPutMoviesRequest{
						Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE, Movies: []*metadatav1.Movie{movie(id, n), movie(fmt.Sprint("film ", (n+1)%films), n+1000)},
					})
				default:
					_, err = c.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: movie(id, n)})
				}
				if code := status.Code(err); code != codes.OK && code != codes.NotFound && code != codes.AlreadyExists {
					t.Error(err)
				}
			}
		})
	}
	for range 3 {
		reading.Go(func() {
			for {
				select {
				case <-done:
					return
				default:
				}
				resp, err := c.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{Order: byYearDesc, Filter: &metadatav1.MovieFilter{Genre: "Drama"}})
				if err != nil {
					t.Error(err)
					return
				}
				for _, m := range resp.GetMovies() {
					consistent(m)
				}
				got, err := c.LookupMovie(t.Context(), &metadatav1.LookupMovieRequest{ExternalId: &metadatav1.LookupMovieRequest_TmdbId{TmdbId: "1"}})
				if err == nil {
					consistent(got.GetMovie())
				} else if status.Code(err) != codes.NotFound {
					t.Error(err)
				}
			}
		})
	}
	writing.Wait()
	close(done)
	reading.Wait()
	checkTables(t, c.db)
	owners := map[string]string{}
	for _, m := range snapshot(t, c) {
		consistent(m)
		if !strings.HasPrefix(m.GetId(), "film ") || owners[m.GetExternalIds().GetTmdb()] != "" {
			t.Errorf("%v shares its tmdb id with %v", m.GetId(), owners[m.GetExternalIds().GetTmdb()])
		}
		owners[m.GetExternalIds().GetTmdb()] = m.GetId()
	}
}
