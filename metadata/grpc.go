package metadata

import (
	"context"
	"fmt"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/fault"
)

// Register puts the own API and the book API on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	metadatav1.RegisterMetadataServiceServer(r, &server{svc: s})
	book.RegisterMetadataServiceServer(r, &bookServer{svc: s})
}

// server is the own API.
type server struct {
	metadatav1.UnimplementedMetadataServiceServer
	svc *Service
}

func (s *server) PutMovie(ctx context.Context, req *metadatav1.PutMovieRequest) (*metadatav1.PutMovieResponse, error) {
	m, err := movieFromWire("movie", req.GetMovie())
	if err != nil {
		return nil, err
	}
	m, outcome, err := s.svc.Put(ctx, m, req.GetExpectedEtag())
	if err != nil {
		return nil, err
	}
	return &metadatav1.PutMovieResponse{Movie: movieToWire(m), Created: outcome == Created, Changed: outcome != Unchanged}, nil
}

func (s *server) BatchPutMovies(ctx context.Context, req *metadatav1.BatchPutMoviesRequest) (*metadatav1.BatchPutMoviesResponse, error) {
	mode := Replace
	switch req.GetMode() {
	case metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE:
	case metadatav1.BatchPutMode_BATCH_PUT_MODE_FILL:
		mode = Fill
	default:
		return nil, fault.Invalid("mode", "must be BATCH_PUT_MODE_REPLACE or BATCH_PUT_MODE_FILL, got %v", req.GetMode())
	}
	movies := make([]Movie, len(req.GetMovies()))
	unreadable := make([]error, len(movies))
	for i, m := range req.GetMovies() {
		movies[i], unreadable[i] = movieFromWire(fmt.Sprintf("movies[%d]", i), m)
	}
	results, err := s.svc.putBatch(ctx, movies, unreadable, mode, req.GetOverwrite())
	if err != nil {
		return nil, err
	}
	return &metadatav1.BatchPutMoviesResponse{Results: converted(results, resultToWire)}, nil
}

func resultToWire(r putResult) *metadatav1.BatchPutMoviesResponse_Result {
	switch r.outcome {
	case Created:
		return &metadatav1.BatchPutMoviesResponse_Result{Outcome: metadatav1.BatchPutMoviesResponse_OUTCOME_CREATED}
	case Updated:
		return &metadatav1.BatchPutMoviesResponse_Result{Outcome: metadatav1.BatchPutMoviesResponse_OUTCOME_UPDATED}
	case Unchanged:
		return &metadatav1.BatchPutMoviesResponse_Result{Outcome: metadatav1.BatchPutMoviesResponse_OUTCOME_UNCHANGED}
	}
	st := fault.Status(r.err)
	return &metadatav1.BatchPutMoviesResponse_Result{
		Outcome: metadatav1.BatchPutMoviesResponse_OUTCOME_REFUSED, Code: int32(st.Code()), Reason: st.Message(),
	}
}

func (s *server) GetMovie(ctx context.Context, req *metadatav1.GetMovieRequest) (*metadatav1.GetMovieResponse, error) {
	m, err := s.svc.Movie(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return &metadatav1.GetMovieResponse{Movie: movieToWire(m)}, nil
}

func (s *server) BatchGetMovies(ctx context.Context, req *metadatav1.BatchGetMoviesRequest) (*metadatav1.BatchGetMoviesResponse, error) {
	movies, missing, err := s.svc.Movies(ctx, req.GetIds())
	if err != nil {
		return nil, err
	}
	return &metadatav1.BatchGetMoviesResponse{Movies: converted(movies, movieToWire), MissingIds: missing}, nil
}

func (s *server) SelectMovies(ctx context.Context, req *metadatav1.SelectMoviesRequest) (*metadatav1.SelectMoviesResponse, error) {
	filter, err := filterFromWire(req.GetFilter())
	if err != nil {
		return nil, err
	}
	matches, err := s.svc.Select(ctx, req.GetIds(), filter)
	if err != nil {
		return nil, err
	}
	return &metadatav1.SelectMoviesResponse{Matches: converted(matches, func(m Match) *metadatav1.SelectMoviesResponse_Match {
		return &metadatav1.SelectMoviesResponse_Match{Id: m.ID, Title: m.Title, SortKey: m.SortKey}
	})}, nil
}

func (s *server) ListMovies(ctx context.Context, req *metadatav1.ListMoviesRequest) (*metadatav1.ListMoviesResponse, error) {
	filter, err := filterFromWire(req.GetFilter())
	if err != nil {
		return nil, err
	}
	order := ByTitle
	switch req.GetOrder() {
	case metadatav1.MovieOrder_MOVIE_ORDER_UNSPECIFIED, metadatav1.MovieOrder_MOVIE_ORDER_TITLE:
	case metadatav1.MovieOrder_MOVIE_ORDER_YEAR:
		order = ByYear
	case metadatav1.MovieOrder_MOVIE_ORDER_YEAR_DESC:
		order = ByYearDesc
	default:
		return nil, fault.Invalid("order", "must be MOVIE_ORDER_TITLE, MOVIE_ORDER_YEAR or MOVIE_ORDER_YEAR_DESC, got %v", req.GetOrder())
	}
	movies, next, err := s.svc.List(ctx, filter, order, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	return &metadatav1.ListMoviesResponse{Movies: converted(movies, movieToWire), NextPageToken: next}, nil
}

func (s *server) DeleteMovie(ctx context.Context, req *metadatav1.DeleteMovieRequest) (*metadatav1.DeleteMovieResponse, error) {
	if err := s.svc.Delete(ctx, req.GetId(), req.GetExpectedEtag()); err != nil {
		return nil, err
	}
	return &metadatav1.DeleteMovieResponse{}, nil
}

func (s *server) LookupMovie(ctx context.Context, req *metadatav1.LookupMovieRequest) (*metadatav1.LookupMovieResponse, error) {
	var source, id string
	switch x := req.GetExternalId().(type) {
	case *metadatav1.LookupMovieRequest_ImdbId:
		source, id = SourceIMDb, x.ImdbId
	case *metadatav1.LookupMovieRequest_TmdbId:
		source, id = SourceTMDb, x.TmdbId
	case *metadatav1.LookupMovieRequest_MovielensId:
		source, id = SourceMovieLens, x.MovielensId
	default:
		return nil, fault.Invalid("external_id", "exactly one of imdb_id, tmdb_id and movielens_id must be set, got none")
	}
	m, err := s.svc.Lookup(ctx, source, id)
	if err != nil {
		return nil, err
	}
	return &metadatav1.LookupMovieResponse{Movie: movieToWire(m)}, nil
}

// movieFromWire checks only what the domain type cannot express; the service checks the rest.
func movieFromWire(field string, m *metadatav1.Movie) (Movie, error) {
	if m == nil {
		return Movie{}, fault.Invalid(field, "is required")
	}
	if m.Year != nil && m.GetYear() == 0 {
		return Movie{}, checkYear(field+".year", 0)
	}
	if m.RuntimeMinutes != nil && m.GetRuntimeMinutes() == 0 {
		return Movie{}, checkRuntime(field+".runtime_minutes", 0)
	}
	return Movie{
		ID:                m.GetId(),
		Title:             m.GetTitle(),
		OriginalTitle:     m.GetOriginalTitle(),
		AlternativeTitles: m.GetAlternativeTitles(),
		Year:              int(m.GetYear()),
		Genres:            m.GetGenres(),
		Director:          m.GetDirector(),
		Description:       m.GetDescription(),
		RuntimeMinutes:    int(m.GetRuntimeMinutes()),
		External: ExternalIDs{
			IMDb:      m.GetExternalIds().GetImdb(),
			TMDb:      m.GetExternalIds().GetTmdb(),
			MovieLens: m.GetExternalIds().GetMovielens(),
		},
	}, nil
}

func movieToWire(m Movie) *metadatav1.Movie {
	w := &metadatav1.Movie{
		Id:                m.ID,
		Title:             m.Title,
		OriginalTitle:     m.OriginalTitle,
		AlternativeTitles: m.AlternativeTitles,
		Year:              known(m.Year),
		Genres:            m.Genres,
		Director:          m.Director,
		Description:       m.Description,
		RuntimeMinutes:    known(m.RuntimeMinutes),
		Etag:              m.ETag,
		CreateTime:        timestamppb.New(m.Created),
		UpdateTime:        timestamppb.New(m.Updated),
	}
	if m.External != (ExternalIDs{}) {
		w.ExternalIds = &metadatav1.ExternalIds{Imdb: m.External.IMDb, Tmdb: m.External.TMDb, Movielens: m.External.MovieLens}
	}
	return w
}

// converted converts every element of a list.
func converted[A, B any](list []A, convert func(A) B) []B {
	out := make([]B, len(list))
	for i, v := range list {
		out[i] = convert(v)
	}
	return out
}

// known is nil for 0, which in the domain means an unknown number.
func known(n int) *int32 {
	if n == 0 {
		return nil
	}
	return new(int32(n))
}

func filterFromWire(f *metadatav1.MovieFilter) (Filter, error) {
	// A bound of 0 is a wrong year; an absent bound is none.
	if f != nil && f.MinYear != nil && f.GetMinYear() == 0 {
		return Filter{}, checkBound("filter.min_year", 0)
	}
	if f != nil && f.MaxYear != nil && f.GetMaxYear() == 0 {
		return Filter{}, checkBound("filter.max_year", 0)
	}
	return Filter{Genre: f.GetGenre(), MinYear: int(f.GetMinYear()), MaxYear: int(f.GetMaxYear())}, nil
}
