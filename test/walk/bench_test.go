package walk_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// benchCatalogue has 10,000 films as MovieLens has them, of which 300 are rated.
func benchCatalogue(b *testing.B) *services {
	b.Helper()
	s := newServices(b, false)
	genres := [][]string{{"Drama", "Romance"}, {"Action", "Sci-Fi", "Thriller"}, {"Comedy", "Children"}}
	films := make([]*metadatav1.Movie, 10_000)
	for i := range films {
		films[i] = &metadatav1.Movie{
			Id: fmt.Sprintf("tt%07d", i), Title: fmt.Sprintf("The %c Story of Number %d", 'A'+i*7%26, i), Year: proto.Int32(int32(1920 + i%100)),
			Genres: genres[i%3], ExternalIds: &metadatav1.ExternalIds{Imdb: fmt.Sprintf("tt%07d", i), Tmdb: fmt.Sprint(i + 1), Movielens: fmt.Sprint(i + 1)},
		}
	}
	s.put(b, films)
	for i := range 300 {
		s.rate(b, films[i].GetId(), 1+int32(i%5), 1+int32(i%10))
	}
	return s
}

// BenchmarkWarm asks for what is kept, BenchmarkWarm/…/cold for what has to be read again because the caches' time is over. handler is
// the movie service alone, conn with the in-process connection that the gateway has.
func BenchmarkWarm(b *testing.B) {
	s := benchCatalogue(b)
	handler := s.handlers["movieexample.movie.v1.MovieService"].(moviev1.MovieServiceServer)
	const id = "tt0000007"
	for _, c := range []struct {
		name          string
		handler, conn func(context.Context) (int, error)
		films         int
	}{
		{
			"details",
			func(ctx context.Context) (int, error) {
				_, err := handler.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
				return 1, err
			},
			func(ctx context.Context) (int, error) {
				_, err := s.movie.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
				return 1, err
			}, 1,
		},
		{
			"list",
			func(ctx context.Context) (int, error) {
				r, err := handler.ListMovies(ctx, &moviev1.ListMoviesRequest{Genre: "Drama", PageSize: 50})
				return len(r.GetMovies()), err
			},
			func(ctx context.Context) (int, error) {
				r, err := s.movie.ListMovies(ctx, &moviev1.ListMoviesRequest{Genre: "Drama", PageSize: 50})
				return len(r.GetMovies()), err
			}, 50,
		},
		{
			"chart",
			func(ctx context.Context) (int, error) {
				r, err := handler.ListChart(ctx, &moviev1.ListChartRequest{Chart: "popular", PageSize: 50})
				return len(r.GetEntries()), err
			},
			func(ctx context.Context) (int, error) {
				r, err := s.movie.ListChart(ctx, &moviev1.ListChartRequest{Chart: "popular", PageSize: 50})
				return len(r.GetEntries()), err
			}, 50,
		},
		{
			"search",
			func(ctx context.Context) (int, error) {
				r, err := handler.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "story", PageSize: 20})
				return len(r.GetHits()), err
			},
			func(ctx context.Context) (int, error) {
				r, err := s.movie.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "story", PageSize: 20})
				return len(r.GetHits()), err
			}, 20,
		},
	} {
		until(b, c.name+" is whole", func() bool {
			s.advance(2 * time.Second)
			n, err := c.handler(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			return n == c.films
		})
		for name, call := range map[string]func(context.Context) (int, error){"handler": c.handler, "conn": c.conn} {
			b.Run(c.name+"/"+name, func(b *testing.B) {
				b.ReportAllocs()
				for b.Loop() {
					if n, err := call(b.Context()); err != nil || n != c.films {
						b.Fatal(n, err)
					}
				}
			})
		}
		b.Run(c.name+"/cold", func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				s.advance(2 * time.Second)
				if n, err := c.handler(b.Context()); err != nil || n != c.films {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// BenchmarkFilteredChart composes pages that were not requested a moment ago, of charts that were: any filter, any size.
func BenchmarkFilteredChart(b *testing.B) {
	s := benchCatalogue(b)
	handler := s.handlers["movieexample.movie.v1.MovieService"].(moviev1.MovieServiceServer)
	var requests []*moviev1.ListChartRequest
	for size := int32(40); size <= 60; size++ {
		for _, chart := range []string{"top", "popular"} {
			for _, genre := range []string{"", "Drama", "Thriller", "Comedy"} {
				requests = append(requests, &moviev1.ListChartRequest{Chart: chart, Genre: genre, PageSize: size})
			}
		}
	}
	until(b, "the charts are whole", func() bool {
		s.advance(2 * time.Second)
		r, err := handler.ListChart(b.Context(), &moviev1.ListChartRequest{Chart: "top", PageSize: 200})
		if err != nil {
			b.Fatal(err)
		}
		return len(r.GetEntries()) == 200
	})
	b.ReportAllocs()
	next := 0
	for b.Loop() {
		if next%len(requests) == 0 {
			b.StopTimer()
			s.advance(2 * time.Second)
			for _, genre := range []string{"", "Drama", "Thriller", "Comedy"} { // one page of each filter has been asked for
				for _, chart := range []string{"top", "popular"} {
					if _, err := handler.ListChart(b.Context(), &moviev1.ListChartRequest{Chart: chart, Genre: genre, PageSize: 7}); err != nil {
						b.Fatal(err)
					}
				}
			}
			b.StartTimer()
		}
		r, err := handler.ListChart(b.Context(), requests[next%len(requests)])
		next++
		if err != nil || len(r.GetEntries()) < 40 {
			b.Fatal(len(r.GetEntries()), err)
		}
	}
}
