package pages_test

import (
	"cmp"
	"context"
	"errors"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/data"
	"movieexample.com/gateway/internal/pages"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// asOf is when the fakes read their numbers.
var asOf = time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)

// fakeMovie answers from a list of films in memory, well enough to browse it.
type fakeMovie struct {
	moviev1.UnimplementedMovieServiceServer
	films       []*moviev1.Movie
	extras      error // of similar films and statistics
	down        error // of everything
	gets, lists atomic.Int64
	hangs       bool // charts and statistics do not answer
}

type fakeRating struct {
	ratingv1.UnimplementedRatingServiceServer
	down  error
	years []*ratingv1.ListRatingHistoryResponse_Year
	films []*moviev1.Movie
	hangs bool
}

// noToken is a page token as pages get it when it is none.
func noToken(token string) error {
	if _, err := strconv.Atoi(token); token != "" && err != nil {
		return fault.Invalid("page_token", "is no token of this service: it must be next_page_token of an earlier answer")
	}
	return nil
}

// demoFilms are the films of the demo with ratings made up from their levels.
func demoFilms(t testing.TB) []*moviev1.Movie {
	t.Helper()
	list, err := data.Films()
	if err != nil {
		t.Fatal(err)
	}
	films := make([]*moviev1.Movie, len(list))
	for i, f := range list {
		year, minutes := int32(f.Year), int32(f.RuntimeMinutes)
		films[i] = &moviev1.Movie{
			Id: f.ID, Title: f.Title, OriginalTitle: f.OriginalTitle, Year: &year, Genres: f.Genres, Director: f.Director,
			Description: f.Description, RuntimeMinutes: &minutes, Etag: "v1", RatingStatus: "fresh",
			ExternalIds:   &moviev1.ExternalIds{Imdb: f.ID, Tmdb: strconv.Itoa(100 + i)},
			RatingSummary: ratingsAround(f.ID, f.Level, 20*f.Popularity),
		}
	}
	return films
}

func ratingsAround(id string, level float64, votes int) *moviev1.RatingSummary {
	h := fnv.New64a()
	_, _ = h.Write([]byte(id))
	seed := h.Sum64()
	s := &moviev1.RatingSummary{Histogram: make([]int32, 10), AsOfTime: timestamppb.New(asOf)}
	sum := 0
	for range votes {
		spread := 0.0
		for range 6 {
			seed = seed*6364136223846793005 + 1442695040888963407
			spread += float64(seed>>40)/float64(1<<24) - 0.5
		}
		value := min(10, max(1, int(level+2.2*spread+0.5)))
		s.Histogram[value-1]++
		sum += value
	}
	s.Votes = int32(votes)
	if votes > 0 {
		s.Mean = float64(sum) / float64(votes)
		s.Weighted = (float64(sum) + 25*6.9) / float64(votes+25)
	}
	return s
}

func (f *fakeMovie) find(id string) *moviev1.Movie {
	for _, m := range f.films {
		if m.GetId() == id {
			return m
		}
	}
	return nil
}

func (f *fakeMovie) GetMovie(_ context.Context, r *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	f.gets.Add(1)
	if f.down != nil {
		return nil, f.down
	}
	if err := fault.ID("id", r.GetId()); err != nil {
		return nil, err
	}
	if m := f.find(r.GetId()); m != nil {
		return &moviev1.GetMovieResponse{Movie: m}, nil
	}
	return nil, fault.NotFound("no movie has the id %q", r.GetId())
}

func (f *fakeMovie) BatchGetMovies(_ context.Context, r *moviev1.BatchGetMoviesRequest) (*moviev1.BatchGetMoviesResponse, error) {
	answer := &moviev1.BatchGetMoviesResponse{}
	for _, id := range r.GetIds() {
		if m := f.find(id); m != nil {
			answer.Movies = append(answer.Movies, m)
		}
	}
	return answer, f.extras
}

func (f *fakeMovie) ListMovies(_ context.Context, r *moviev1.ListMoviesRequest) (*moviev1.ListMoviesResponse, error) {
	f.lists.Add(1)
	page, next := cut(f.films, int(r.GetPageSize()), r.GetPageToken())
	return &moviev1.ListMoviesResponse{Movies: page, NextPageToken: next}, f.down
}

// cut returns the page of a list at a token, which is the number of entries before the page.
func cut[T any](list []T, size int, token string) (page []T, next string) {
	from, _ := strconv.Atoi(token)
	from = min(from, len(list))
	to := min(from+size, len(list))
	if to < len(list) {
		next = strconv.Itoa(to)
	}
	return list[from:to], next
}

func narrowed(films []*moviev1.Movie, genre string, decade *int32) []*moviev1.Movie {
	return slices.DeleteFunc(slices.Clone(films), func(m *moviev1.Movie) bool {
		return genre != "" && !slices.ContainsFunc(m.GetGenres(), func(g string) bool { return strings.EqualFold(g, genre) }) ||
			decade != nil && m.GetYear()/10*10 != *decade
	})
}

func (f *fakeMovie) ListChart(ctx context.Context, r *moviev1.ListChartRequest) (*moviev1.ListChartResponse, error) {
	if f.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := noToken(r.GetPageToken()); err != nil {
		return nil, err
	}
	if f.down != nil {
		return nil, f.down
	}
	films := narrowed(f.films, r.GetGenre(), r.Decade)
	slices.SortStableFunc(films, func(a, b *moviev1.Movie) int {
		if r.GetChart() == "popular" {
			return int(b.GetRatingSummary().GetVotes() - a.GetRatingSummary().GetVotes())
		}
		return cmp.Compare(b.GetRatingSummary().GetWeighted(), a.GetRatingSummary().GetWeighted())
	})
	from, _ := strconv.Atoi(r.GetPageToken())
	answer := &moviev1.ListChartResponse{MinVotes: 25, GlobalMean: 6.934, AsOfTime: timestamppb.New(asOf)}
	page, next := cut(films, int(r.GetPageSize()), r.GetPageToken())
	for i, m := range page {
		answer.Entries = append(answer.Entries, &moviev1.ListChartResponse_Entry{Rank: int32(from + i + 1), Score: m.GetRatingSummary().GetWeighted(), Movie: m})
	}
	answer.NextPageToken = next
	return answer, nil
}

// piecesOf marks the first place where a text has the query.
func piecesOf(text, q string) []*moviev1.TextPiece {
	i := strings.Index(strings.ToLower(text), strings.ToLower(q))
	if i < 0 || i+len(q) > len(text) {
		return []*moviev1.TextPiece{{Text: text}}
	}
	pieces := []*moviev1.TextPiece{{Text: text[:i]}, {Text: text[i : i+len(q)], Matched: true}, {Text: text[i+len(q):]}}
	return slices.DeleteFunc(pieces, func(p *moviev1.TextPiece) bool { return p.GetText() == "" })
}

func (f *fakeMovie) SearchMovies(_ context.Context, r *moviev1.SearchMoviesRequest) (*moviev1.SearchMoviesResponse, error) {
	if err := noToken(r.GetPageToken()); err != nil {
		return nil, err
	}
	if f.down != nil {
		return nil, f.down
	}
	var hits []*moviev1.SearchMoviesResponse_Hit
	q := strings.ToLower(r.GetQ())
	for _, m := range narrowed(f.films, r.GetGenre(), r.Decade) {
		h := &moviev1.SearchMoviesResponse_Hit{Movie: m, Match: "title", TitlePieces: piecesOf(m.GetTitle(), q)}
		switch {
		case strings.Contains(strings.ToLower(m.GetTitle()), q):
		case strings.Contains(strings.ToLower(m.GetOriginalTitle()), q):
			h.MatchedNamePieces = piecesOf(m.GetOriginalTitle(), q)
		case strings.Contains(strings.ToLower(m.GetDirector()), q):
			h.Match, h.MatchedNamePieces = "director", piecesOf(m.GetDirector(), q)
		case len(q) > 4 && strings.Contains(strings.ToLower(m.GetTitle()), q[:len(q)-2]):
			h.Match, h.TitlePieces = "spelling", piecesOf(m.GetTitle(), q[:len(q)-2])
		default:
			continue
		}
		hits = append(hits, h)
	}
	answer := &moviev1.SearchMoviesResponse{Total: int32(len(hits))}
	slices.SortStableFunc(hits, func(a, b *moviev1.SearchMoviesResponse_Hit) int {
		return strings.Compare(strings.TrimPrefix(b.GetMatch(), "title"), strings.TrimPrefix(a.GetMatch(), "title")) * -1
	})
	answer.Hits, answer.NextPageToken = cut(hits, int(r.GetPageSize()), r.GetPageToken())
	var films []*moviev1.Movie
	for _, h := range hits {
		films = append(films, h.GetMovie())
	}
	answer.Genres, answer.Decades = counted(films)
	return answer, nil
}

func (f *fakeMovie) SuggestMovies(ctx context.Context, r *moviev1.SuggestMoviesRequest) (*moviev1.SuggestMoviesResponse, error) {
	result, err := f.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: r.GetQ(), PageSize: 8})
	answer := &moviev1.SuggestMoviesResponse{}
	for _, h := range result.GetHits() {
		m := h.GetMovie()
		answer.Suggestions = append(answer.Suggestions, &moviev1.SuggestMoviesResponse_Suggestion{
			Id: m.GetId(), Title: m.GetTitle(), Year: m.Year, Director: m.GetDirector(), TitlePieces: h.GetTitlePieces(), MatchedNamePieces: h.GetMatchedNamePieces(),
		})
	}
	return answer, err
}

func (f *fakeMovie) ListSimilarMovies(_ context.Context, r *moviev1.ListSimilarMoviesRequest) (*moviev1.ListSimilarMoviesResponse, error) {
	answer := &moviev1.ListSimilarMoviesResponse{}
	of := f.find(r.GetId())
	if len(of.GetGenres()) == 0 {
		return answer, f.extras
	}
	for _, m := range narrowed(f.films, of.GetGenres()[0], nil) {
		if m != of && len(answer.Movies) < int(r.GetPageSize()) {
			answer.Movies = append(answer.Movies, &moviev1.ListSimilarMoviesResponse_SimilarMovie{Movie: m})
		}
	}
	return answer, f.extras
}

func counted(films []*moviev1.Movie) (genres []*moviev1.GenreCount, decades []*moviev1.DecadeCount) {
	byGenre, byDecade := map[string]int32{}, map[int32]int32{}
	for _, m := range films {
		for _, g := range m.GetGenres() {
			byGenre[g]++
		}
		if m.Year != nil {
			byDecade[m.GetYear()/10*10]++
		}
	}
	for g, n := range byGenre {
		genres = append(genres, &moviev1.GenreCount{Genre: g, Count: n})
	}
	for d, n := range byDecade {
		decades = append(decades, &moviev1.DecadeCount{Decade: d, Count: n})
	}
	slices.SortFunc(genres, func(a, b *moviev1.GenreCount) int {
		return cmp.Or(int(b.GetCount()-a.GetCount()), strings.Compare(a.GetGenre(), b.GetGenre()))
	})
	slices.SortFunc(decades, func(a, b *moviev1.DecadeCount) int { return int(a.GetDecade() - b.GetDecade()) })
	return genres, decades
}

func (f *fakeMovie) GetStats(ctx context.Context, _ *moviev1.GetStatsRequest) (*moviev1.GetStatsResponse, error) {
	if f.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	genres, decades := counted(f.films)
	return &moviev1.GetStatsResponse{
		Movies: int32(len(f.films)), Ratings: 100_000, Users: 943, RatedMovies: int32(len(f.films)), GlobalMean: 6.934, MinVotes: 25, PriorMean: 6.934,
		AsOfTime: timestamppb.New(asOf), Genres: genres, Decades: decades,
	}, cmp.Or(f.down, f.extras)
}

func (f *fakeRating) ListRatingHistory(context.Context, *ratingv1.ListRatingHistoryRequest) (*ratingv1.ListRatingHistoryResponse, error) {
	return &ratingv1.ListRatingHistoryResponse{Years: f.years, AsOfTime: timestamppb.New(asOf)}, f.down
}

func (f *fakeRating) ListUserRatings(ctx context.Context, r *ratingv1.ListUserRatingsRequest) (*ratingv1.ListUserRatingsResponse, error) {
	if f.hangs {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	if err := cmp.Or(fault.ID("user_id", r.GetUserId()), noToken(r.GetPageToken())); err != nil {
		return nil, err
	}
	answer := &ratingv1.ListUserRatingsResponse{}
	if strings.HasPrefix(r.GetUserId(), "nobody") {
		return answer, f.down
	}
	var all []*ratingv1.Rating
	for i, m := range f.films {
		all = append(all, &ratingv1.Rating{RecordId: m.GetId(), Value: int32(10 - i%10), RatedAt: timestamppb.New(asOf.Add(-time.Duration(i) * 30 * time.Hour))})
	}
	all = slices.Insert(all, min(3, len(all)), &ratingv1.Rating{RecordId: "gone", Value: 7, RatedAt: timestamppb.New(asOf)})
	answer.Ratings, answer.NextPageToken = cut(all, int(r.GetPageSize()), r.GetPageToken())
	return answer, f.down
}

func history() []*ratingv1.ListRatingHistoryResponse_Year {
	var years []*ratingv1.ListRatingHistoryResponse_Year
	for i := range 12 {
		years = append(years, &ratingv1.ListRatingHistoryResponse_Year{Year: int32(2014 + i), Votes: int32(40 + 17*i%90), Mean: 7.5 + float64(i*7%11)/10})
	}
	return years
}

func inProcess(t testing.TB, register func(grpc.ServiceRegistrar)) grpc.ClientConnInterface {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{Name: "test"})
	if err != nil {
		t.Fatal(err)
	}
	register(s)
	t.Cleanup(func() {
		if err := s.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return s.Conn()
}

// site is the pages over fakes that a test may change before it asks.
type site struct {
	*pages.Pages
	movie  *fakeMovie
	rating *fakeRating
}

func newSite(t testing.TB, films []*moviev1.Movie, change func(*pages.Deps)) *site {
	t.Helper()
	s := &site{movie: &fakeMovie{films: films}, rating: &fakeRating{years: history(), films: films}}
	deps := pages.Deps{
		Movie:  inProcess(t, func(r grpc.ServiceRegistrar) { moviev1.RegisterMovieServiceServer(r, s.movie) }),
		Rating: inProcess(t, func(r grpc.ServiceRegistrar) { ratingv1.RegisterRatingServiceServer(r, s.rating) }),
		Problems: []pages.Problem{
			{Slug: "invalid-argument", Title: "Invalid argument", Status: 400, Meaning: "A field of the request has a value that is not allowed.\n\nThe member errors names each.", Remedy: "Correct the fields that errors names.", Example: `{"type": "/problems/invalid-argument"}`},
			{Slug: "not-found", Title: "Not found", Status: 404, Meaning: "It does not exist.", Remedy: "Check the id."},
		},
		Endpoints: []pages.Endpoint{{Name: "metadata (gRPC)", Addr: "127.0.0.1:8081"}, {Name: "rating events (Kafka)", Addr: "127.0.0.1:9092"}},
		PublicURL: "https://films.example.org",
	}
	if change != nil {
		change(&deps)
	}
	p, err := pages.New(pages.Config{}, deps)
	if err != nil {
		t.Fatal(err)
	}
	s.Pages = p
	return s
}

var (
	errRatingAway   = fault.Unavailable(errors.New("secret of the log"), "the rating service cannot be reached: try again later")
	errMetadataAway = fault.Unavailable(errors.New("secret of the log"), "the metadata service cannot be reached: try again later")
)

// unrated, stale and unavailable are films with little to tell.
func specialFilms() []*moviev1.Movie {
	long := strings.Repeat("Donaudampfschifffahrtsgesellschaft", 6)
	stale := ratingsAround("stale", 7, 300)
	return []*moviev1.Movie{
		{Id: "unrated", Title: "Unrated", RatingStatus: "unrated"},
		{Id: "unavailable", Title: "Unavailable", RatingStatus: "unavailable"},
		{Id: "stale", Title: "Stale", RatingStatus: "stale", RatingSummary: stale, Genres: []string{"Drama"}},
		{Id: "one", Title: "One vote", RatingStatus: "fresh", RatingSummary: ratingsAround("one", 7, 1), Genres: []string{"Drama"}},
		{Id: "a/b c%?#é", Title: long, OriginalTitle: long, Director: long, RatingStatus: "unrated", Genres: []string{"Science Fiction & Fantasy of the Future in Colour"}},
	}
}
