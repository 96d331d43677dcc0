package metadata_test

import (
	"fmt"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/metadata"
)

// batchOf returns films as in an import: three external ids, two or three genres.
func batchOf(from, n int) []*metadatav1.Movie {
	genres := [][]string{{"Drama", "Romance"}, {"Action", "Sci-Fi", "Thriller"}, {"Comedy", "Children"}}
	movies := make([]*metadatav1.Movie, n)
	for i := range movies {
		k := from + i
		movies[i] = &metadatav1.Movie{
			Id: fmt.Sprintf("tt%07d", k), Title: fmt.Sprintf("The %c Story of Number %d", 'A'+k*7%26, k), Year: proto.Int32(int32(1920 + k%100)),
			Genres: genres[k%3], ExternalIds: &metadatav1.ExternalIds{Imdb: fmt.Sprintf("tt%07d", k), Tmdb: fmt.Sprint(k + 1), Movielens: fmt.Sprint(k + 1)},
		}
	}
	return movies
}

func fillCatalogue(b *testing.B, n int) *catalogue {
	b.Helper()
	c := newCatalogue(b)
	for from := 0; from < n; from += 200 {
		c.replace(b, batchOf(from, min(200, n-from))...)
	}
	return c
}

func BenchmarkBatchPutNew(b *testing.B) {
	c := newCatalogue(b)
	n := 0
	for b.Loop() {
		c.fill(b, batchOf(n, 200)...)
		n += 200
	}
	b.ReportMetric(200*float64(b.N)/b.Elapsed().Seconds(), "movies/s")
}

func BenchmarkBatchPutUnchanged(b *testing.B) {
	c := fillCatalogue(b, 200)
	batch := batchOf(0, 200)
	for b.Loop() {
		c.fill(b, batch...)
	}
	b.ReportMetric(200*float64(b.N)/b.Elapsed().Seconds(), "movies/s")
}

// BenchmarkImport writes as many films as MovieLens' small data set has.
func BenchmarkImport(b *testing.B) {
	for b.Loop() {
		fillCatalogue(b, 9742)
	}
}

func BenchmarkGetMovie(b *testing.B) {
	c := fillCatalogue(b, 10_000)
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.GetMovie(b.Context(), &metadatav1.GetMovieRequest{Id: fmt.Sprintf("tt%07d", n*7919%10_000)}); err != nil {
			b.Fatal(err)
		}
		n++
	}
}

func BenchmarkSelect5000(b *testing.B) {
	c := fillCatalogue(b, 10_000)
	ids := make([]string, 5000)
	for i := range ids {
		ids[i] = fmt.Sprintf("tt%07d", i*7919%10_000)
	}
	for name, f := range map[string]*metadatav1.MovieFilter{
		"all": nil, "genre": {Genre: "Drama"}, "genre and decade": {Genre: "Drama", MinYear: proto.Int32(1990), MaxYear: proto.Int32(1999)},
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if _, err := c.SelectMovies(b.Context(), &metadatav1.SelectMoviesRequest{Ids: ids, Filter: f}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkListMovies(b *testing.B) {
	c := fillCatalogue(b, 100_000)
	for name, req := range map[string]*metadatav1.ListMoviesRequest{
		"title":                    {Order: byTitle},
		"title, genre":             {Order: byTitle, Filter: &metadatav1.MovieFilter{Genre: "Drama"}},
		"title, genre, one decade": {Order: byTitle, Filter: &metadatav1.MovieFilter{Genre: "Drama", MinYear: proto.Int32(1990), MaxYear: proto.Int32(1999)}},
		"title, widest range":      {Order: byTitle, Filter: &metadatav1.MovieFilter{MinYear: proto.Int32(1871), MaxYear: proto.Int32(2099)}},
		"year":                     {Order: byYear},
		"year, newest first":       {Order: byYearDesc, Filter: &metadatav1.MovieFilter{Genre: "Drama"}},
	} {
		req.PageSize = 50
		deep := proto.Clone(req).(*metadatav1.ListMoviesRequest)
		deep.PageSize = 200
		for range 40 {
			resp, err := c.ListMovies(b.Context(), deep)
			if err != nil {
				b.Fatal(err)
			}
			if resp.GetNextPageToken() == "" {
				break
			}
			deep.PageToken = resp.GetNextPageToken()
		}
		deep.PageSize = 50
		for depth, req := range map[string]*metadatav1.ListMoviesRequest{"first page": req, "deep page": deep} {
			b.Run(name+"/"+depth, func(b *testing.B) {
				for b.Loop() {
					if _, err := c.ListMovies(b.Context(), req); err != nil {
						b.Fatal(err)
					}
				}
			})
		}
	}
}

// BenchmarkListPage reads pages of 50 of a catalogue as large as MovieLens' small data set, its
// films with a description each.
func BenchmarkListPage(b *testing.B) {
	c := newCatalogue(b)
	for from := 0; from < 10_000; from += 200 {
		batch := batchOf(from, 200)
		for _, m := range batch {
			m.Director, m.Description = "A Director", strings.Repeat("What the film is about. ", 20)
		}
		c.replace(b, batch...)
	}
	b.ReportAllocs()
	req := &metadatav1.ListMoviesRequest{Order: byTitle, PageSize: 50}
	for b.Loop() {
		resp, err := c.ListMovies(b.Context(), req)
		if err != nil {
			b.Fatal(err)
		}
		req.PageToken = resp.GetNextPageToken()
	}
}

// BenchmarkSearchPage reads pages of 50 of many hits, suggestions, and a page of a typo.
func BenchmarkSearchPage(b *testing.B) {
	c := fillCatalogue(b, 10_000)
	until(b, "the index is up to date", func() error {
		stats, err := c.GetCatalogueStats(b.Context(), &metadatav1.GetCatalogueStatsRequest{})
		if err == nil && stats.GetMovies() != 10_000 {
			err = fmt.Errorf("%d films", stats.GetMovies())
		}
		return err
	})
	for _, query := range []string{"story", "s", "story 77", "stroy numbr"} {
		b.Run("search "+query, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := c.SearchMovies(b.Context(), &metadatav1.SearchMoviesRequest{Query: query})
				if err != nil || len(resp.GetHits()) == 0 {
					b.Fatal(resp, err)
				}
			}
		})
		b.Run("suggest "+query, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				resp, err := c.SuggestMovies(b.Context(), &metadatav1.SuggestMoviesRequest{Query: query})
				if err != nil || len(resp.GetSuggestions()) == 0 {
					b.Fatal(resp, err)
				}
			}
		})
	}
}

// BenchmarkStart opens the service on a catalogue of 10,000 films: New must take less than 0.3 s.
func BenchmarkStart(b *testing.B) {
	c := fillCatalogue(b, 10_000)
	for b.Loop() {
		if _, err := metadata.New(b.Context(), metadata.Config{}, metadata.Deps{DB: c.db}); err != nil {
			b.Fatal(err)
		}
	}
}
