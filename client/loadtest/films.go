package loadtest

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/url"
	"slices"
	"strconv"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
)

// film is what requests are made of.
type film struct {
	id, title string
	year      int32
	genres    []string
}

const filmsPerPage = 200

// reader asks the system for its films, by gRPC or by REST.
type reader interface {
	chart(ctx context.Context, token string) (*moviev1.ListChartResponse, error)
	list(ctx context.Context, token string) (*moviev1.ListMoviesResponse, error)
}

// readFilms reads at most so many films: those with ratings first, the most rated first of all, then others.
func readFilms(ctx context.Context, from reader, most int) ([]film, error) {
	var films []film
	known := make(map[string]bool)
	add := func(m *moviev1.Movie) {
		if id := m.GetId(); !known[id] && len(films) < most {
			known[id] = true
			films = append(films, film{id, m.GetTitle(), m.GetYear(), m.GetGenres()})
		}
	}
	for token := ""; ; {
		page, err := from.chart(ctx, token)
		if err != nil {
			return nil, err
		}
		for _, e := range page.GetEntries() {
			add(e.GetMovie())
		}
		if token = page.GetNextPageToken(); token == "" || len(films) >= most {
			break
		}
	}
	for token := ""; len(films) < most; {
		page, err := from.list(ctx, token)
		if err != nil {
			return nil, err
		}
		for _, m := range page.GetMovies() {
			add(m)
		}
		if token = page.GetNextPageToken(); token == "" {
			break
		}
	}
	if len(films) == 0 {
		return nil, fault.Precondition("the system has no films to ask for: load some first, for example with 'movieexample import'")
	}
	return films, nil
}

// grpcReader asks the movie service.
type grpcReader struct{ moviev1.MovieServiceClient }

func (g grpcReader) chart(ctx context.Context, token string) (*moviev1.ListChartResponse, error) {
	return g.ListChart(ctx, &moviev1.ListChartRequest{Chart: "popular", PageSize: filmsPerPage, PageToken: token})
}

func (g grpcReader) list(ctx context.Context, token string) (*moviev1.ListMoviesResponse, error) {
	return g.ListMovies(ctx, &moviev1.ListMoviesRequest{PageSize: filmsPerPage, PageToken: token})
}

// restReader asks the gateway.
type restReader struct {
	base   string
	client *http.Client
}

func (g restReader) chart(ctx context.Context, token string) (*moviev1.ListChartResponse, error) {
	page := new(moviev1.ListChartResponse)
	return page, g.read(ctx, "/v1/charts/popular", token, page)
}

func (g restReader) list(ctx context.Context, token string) (*moviev1.ListMoviesResponse, error) {
	page := new(moviev1.ListMoviesResponse)
	return page, g.read(ctx, "/v1/movies", token, page)
}

func (g restReader) read(ctx context.Context, path, token string, into proto.Message) error {
	query := url.Values{"page_size": {strconv.Itoa(filmsPerPage)}}
	if token != "" {
		query.Set("page_token", token)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, g.base+path+"?"+query.Encode(), http.NoBody)
	if err != nil {
		return err
	}
	answer, err := g.client.Do(request)
	if err != nil {
		return fault.Unavailable(err, "GET %s: no answer", path)
	}
	defer answer.Body.Close() // read to its end
	body, err := io.ReadAll(io.LimitReader(answer.Body, 64<<20))
	switch {
	case err != nil:
		return fault.Unavailable(err, "GET %s: no whole answer", path)
	case answer.StatusCode != http.StatusOK:
		return fmt.Errorf("GET %s: %w", path, StatusError(answer.StatusCode))
	}
	if err := (protojson.UnmarshalOptions{DiscardUnknown: true}).Unmarshal(body, into); err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	return nil
}

// zipf returns a choice of a rank below n, 0 being the first: rank k comes 1/(k+1)^s as often as the first. With s = 0 all come
// alike.
func zipf(n int, s float64) func(*rand.Rand) int {
	sums := make([]float64, n)
	sum := 0.0
	for i := range sums {
		sum += math.Pow(float64(i+1), -s)
		sums[i] = sum
	}
	return func(r *rand.Rand) int {
		i, _ := slices.BinarySearchFunc(sums, r.Float64()*sum, cmp.Compare[float64])
		return min(i, n-1)
	}
}
