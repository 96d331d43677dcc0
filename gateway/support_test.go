package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

func ptr[T any](v T) *T { return &v }

func film(id string) *moviev1.Movie {
	return &moviev1.Movie{
		Id: id, Title: "The Shawshank Redemption", Year: ptr(int32(1994)), Genres: []string{"Crime", "Drama"}, Director: "Frank Darabont",
		Description: "A banker who is sent to prison for life makes a friend, & <plans>.",
		ExternalIds: &moviev1.ExternalIds{Imdb: "tt0111161", Tmdb: "278", Movielens: "318"},
		RatingSummary: &moviev1.RatingSummary{
			Mean: 8.858044164037855, Votes: 317, Weighted: 8.7224, Histogram: []int32{0, 2, 0, 4, 0, 24, 15, 72, 49, 153},
			AsOfTime: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 678_000_000, time.UTC)),
		},
		RatingStatus: "fresh", Etag: "v1",
	}
}

// fakeMovie echoes what reached it, so that the golden file shows the request's way through the gateway.
type fakeMovie struct {
	moviev1.UnimplementedMovieServiceServer
	mu  sync.Mutex
	got proto.Message
	id  string // of the request
}

func (f *fakeMovie) keep(ctx context.Context, m proto.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.got, f.id = proto.Clone(m), rpc.RequestID(ctx)
}

func (f *fakeMovie) last() (proto.Message, string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.got, f.id
}

func (f *fakeMovie) GetMovie(ctx context.Context, r *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	f.keep(ctx, r)
	switch r.GetId() {
	case "missing":
		return nil, fault.NotFound("no movie has the id %q", r.GetId())
	case "bare":
		return &moviev1.GetMovieResponse{Movie: &moviev1.Movie{Id: "bare", Title: "Bare", ExternalIds: &moviev1.ExternalIds{}, RatingStatus: "unrated"}}, nil
	case "down":
		return nil, fault.Unavailable(errors.New("dial 10.0.0.1: secret"), "the metadata service cannot be reached: try again later")
	case "broken":
		return nil, errors.New("secret of the log")
	case "panic":
		panic("secret of the log")
	case "slow":
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return &moviev1.GetMovieResponse{Movie: film(r.GetId())}, nil
}

func (f *fakeMovie) PutMovie(ctx context.Context, r *moviev1.PutMovieRequest) (*moviev1.PutMovieResponse, error) {
	f.keep(ctx, r)
	id, etag := r.GetMovie().GetId(), r.GetMovie().GetEtag()
	reason := ""
	switch missing := id == "missing"; {
	case missing && (etag == "" || etag == "none"), !missing && (etag == "" || etag == "*" || etag == "v1"), id == "a" && etag != "none":
	case missing:
		reason = fmt.Sprintf("the movie %q does not exist (any more): leave it out to create the movie", id)
	case etag == "none":
		reason = fmt.Sprintf("the movie %q exists, its etag is %q: leave it out to replace the movie", id, "v1")
	default:
		reason = fmt.Sprintf("the movie %q has the etag %q now, not %q: read it again, then retry", id, "v1", etag)
	}
	if reason != "" {
		return nil, &fault.Error{Kind: fault.KindConflict, Fields: []fault.Field{{Name: "movie.etag", Reason: reason}}}
	}
	switch r.GetMovie().GetTitle() {
	case "Slow":
		<-ctx.Done()
		return nil, ctx.Err()
	case "":
		return nil, fault.InvalidFields([]fault.Field{
			{Name: "movie.title", Reason: "is required: 1 to 500 characters"},
			{Name: "movie.external_ids.imdb", Reason: `must be "tt" and at least seven digits, got "x"`},
			{Name: "movie.alternative_titles[0]", Reason: "must not be empty"},
		})
	case "Old":
		return nil, &fault.Error{Kind: fault.KindConflict, Fields: []fault.Field{{Name: "movie.etag", Reason: `the movie "a" has the etag "v1" now, not "v0": read it again, then retry`}}}
	case "Taken":
		return nil, &fault.Error{Kind: fault.KindExists, Fields: []fault.Field{{Name: "movie.external_ids.imdb", Reason: `"tt0111161" belongs to the movie "b"`}}}
	}
	stored := proto.Clone(r.GetMovie()).(*moviev1.Movie)
	if etag == "none" || etag == "*" {
		stored.Etag = "v2"
	}
	return &moviev1.PutMovieResponse{Movie: stored}, nil
}

func (f *fakeMovie) DeleteMovie(ctx context.Context, r *moviev1.DeleteMovieRequest) (*moviev1.DeleteMovieResponse, error) {
	f.keep(ctx, r)
	return &moviev1.DeleteMovieResponse{}, nil
}

func (f *fakeMovie) ListMovies(ctx context.Context, r *moviev1.ListMoviesRequest) (*moviev1.ListMoviesResponse, error) {
	f.keep(ctx, r)
	if r.GetPageSize() < 0 {
		return nil, fault.Invalid("page_size", "must be 0 to 200, got %d", r.GetPageSize())
	}
	return &moviev1.ListMoviesResponse{NextPageToken: fmt.Sprintf("%s %v %v %s %d", r.GetGenre(), r.MinYear != nil, r.GetMaxYear(), r.GetOrderBy(), r.GetPageSize())}, nil
}

func (f *fakeMovie) LookupMovie(ctx context.Context, r *moviev1.LookupMovieRequest) (*moviev1.LookupMovieResponse, error) {
	f.keep(ctx, r)
	return &moviev1.LookupMovieResponse{Movie: &moviev1.Movie{Id: r.GetImdbId() + r.GetTmdbId() + r.GetMovielensId()}}, nil
}

func (f *fakeMovie) SearchMovies(ctx context.Context, r *moviev1.SearchMoviesRequest) (*moviev1.SearchMoviesResponse, error) {
	f.keep(ctx, r)
	if r.GetQ() == "" {
		return nil, fault.Invalid("q", "is required: 1 to 200 characters")
	}
	return &moviev1.SearchMoviesResponse{
		Hits: []*moviev1.SearchMoviesResponse_Hit{{
			Movie: &moviev1.Movie{Id: "a", Title: r.GetQ()}, Match: "exact",
			TitlePieces: []*moviev1.TextPiece{{Text: r.GetQ(), Matched: true}},
		}},
		NextPageToken: `a token+with/odd "characters" & <more>`, Total: 2,
		Genres:  []*moviev1.GenreCount{{Genre: "Drama", Count: 2}},
		Decades: []*moviev1.DecadeCount{{Decade: r.GetDecade(), Count: 2}},
	}, nil
}

func (f *fakeMovie) SuggestMovies(ctx context.Context, r *moviev1.SuggestMoviesRequest) (*moviev1.SuggestMoviesResponse, error) {
	f.keep(ctx, r)
	return &moviev1.SuggestMoviesResponse{Suggestions: []*moviev1.SuggestMoviesResponse_Suggestion{{Id: "a", Title: r.GetQ(), Year: ptr(int32(1999))}}}, nil
}

func (f *fakeMovie) ListSimilarMovies(ctx context.Context, r *moviev1.ListSimilarMoviesRequest) (*moviev1.ListSimilarMoviesResponse, error) {
	f.keep(ctx, r)
	return &moviev1.ListSimilarMoviesResponse{Movies: []*moviev1.ListSimilarMoviesResponse_SimilarMovie{{Movie: &moviev1.Movie{Id: "not " + r.GetId()}, Similarity: 0.5, Score: 4.25}}}, nil
}

func (f *fakeMovie) GetStats(ctx context.Context, r *moviev1.GetStatsRequest) (*moviev1.GetStatsResponse, error) {
	f.keep(ctx, r)
	return &moviev1.GetStatsResponse{
		Movies: 9742, Ratings: 100836, Users: 610, RatedMovies: 9724, GlobalMean: 7.003114, MinVotes: 25, PriorMean: 7.003114,
		AsOfTime: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)),
	}, nil
}

func (f *fakeMovie) BatchGetMovies(ctx context.Context, r *moviev1.BatchGetMoviesRequest) (*moviev1.BatchGetMoviesResponse, error) {
	f.keep(ctx, r)
	return &moviev1.BatchGetMoviesResponse{MissingIds: r.GetIds()}, nil
}

func (f *fakeMovie) ListChart(ctx context.Context, r *moviev1.ListChartRequest) (*moviev1.ListChartResponse, error) {
	f.keep(ctx, r)
	return &moviev1.ListChartResponse{
		Entries:  []*moviev1.ListChartResponse_Entry{{Rank: 1, Score: 8.7224, Movie: &moviev1.Movie{Id: r.GetChart()}}},
		MinVotes: 25, GlobalMean: 7.003114,
	}, nil
}

type fakeRating struct {
	ratingv1.UnimplementedRatingServiceServer
}

func (fakeRating) PutRating(_ context.Context, r *ratingv1.PutRatingRequest) (*ratingv1.PutRatingResponse, error) {
	if r.Value == nil { // as the rating service does
		return nil, fault.Invalid("value", "is required: an integer from 1 to 10")
	}
	if r.GetValue() < 1 || r.GetValue() > 10 {
		return nil, fault.Invalid("value", "must be 1 to 10, got %d", r.GetValue())
	}
	return &ratingv1.PutRatingResponse{Rating: &ratingv1.Rating{RecordType: r.GetRecordType(), RecordId: r.GetRecordId(), UserId: r.GetUserId(), Value: r.GetValue()}}, nil
}

func (fakeRating) GetRating(_ context.Context, r *ratingv1.GetRatingRequest) (*ratingv1.GetRatingResponse, error) {
	return nil, fault.NotFound("user %q has no rating of %s %q", r.GetUserId(), r.GetRecordType(), r.GetRecordId())
}

func (fakeRating) DeleteRating(context.Context, *ratingv1.DeleteRatingRequest) (*ratingv1.DeleteRatingResponse, error) {
	return &ratingv1.DeleteRatingResponse{}, nil
}

func (fakeRating) ListUserRatings(_ context.Context, r *ratingv1.ListUserRatingsRequest) (*ratingv1.ListUserRatingsResponse, error) {
	return &ratingv1.ListUserRatingsResponse{Ratings: []*ratingv1.Rating{{UserId: r.GetUserId(), RecordType: r.GetRecordType()}}}, nil
}

func (fakeRating) GetRatingSummary(_ context.Context, r *ratingv1.GetRatingSummaryRequest) (*ratingv1.GetRatingSummaryResponse, error) {
	return &ratingv1.GetRatingSummaryResponse{Summary: &ratingv1.RatingSummary{RecordType: r.GetRecordType(), RecordId: r.GetRecordId(), Mean: 7, Votes: 1, Histogram: make([]int32, 10)}}, nil
}

func (fakeRating) ListRatingHistory(context.Context, *ratingv1.ListRatingHistoryRequest) (*ratingv1.ListRatingHistoryResponse, error) {
	return &ratingv1.ListRatingHistoryResponse{Years: []*ratingv1.ListRatingHistoryResponse_Year{{Year: 1999, Votes: 3, Mean: 8}}, AsOfTime: timestamppb.New(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))}, nil
}

func inProcess(t testing.TB, name string, register func(grpc.ServiceRegistrar)) grpc.ClientConnInterface {
	t.Helper()
	s, err := rpc.NewServer(rpc.ServerConfig{Name: name})
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

func newGateway(t testing.TB, cfg gateway.Config, movie moviev1.MovieServiceServer, change func(*gateway.Deps)) *gateway.Service {
	t.Helper()
	deps := gateway.Deps{
		Movie:     inProcess(t, "movie", func(r grpc.ServiceRegistrar) { moviev1.RegisterMovieServiceServer(r, movie) }),
		Rating:    inProcess(t, "rating", func(r grpc.ServiceRegistrar) { ratingv1.RegisterRatingServiceServer(r, fakeRating{}) }),
		Endpoints: []gateway.Endpoint{{Name: "metadata (gRPC)", Addr: "127.0.0.1:8081"}, {Name: "rating events (Kafka)", Addr: "127.0.0.1:9092"}},
	}
	if change != nil {
		change(&deps)
	}
	g, err := gateway.New(t.Context(), cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return l
}
