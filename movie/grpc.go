package movie

import (
	"context"
	"fmt"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gen/book"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
)

const (
	pageDefault = 50
	pageMost    = 200
	batchMost   = 200
	genreMost   = 50 // characters
)

// Register puts the service's own API and the book API on a server.
func (s *Service) Register(r grpc.ServiceRegistrar) {
	moviev1.RegisterMovieServiceServer(r, &server{service: s})
	book.RegisterMovieServiceServer(r, &bookServer{service: s})
}

// server is the own API.
type server struct {
	moviev1.UnimplementedMovieServiceServer
	service *Service
}

func (s *server) GetMovie(ctx context.Context, req *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	if err := fault.ID("id", req.GetId()); err != nil {
		return nil, err
	}
	d, err := s.service.details(ctx, req.GetId())
	if err != nil {
		return nil, err
	}
	return rendered(d), nil
}

// rendered is shared between requests. The transports only read it: the network encodes it, the in-process connection copies it.
func rendered(d Details) *moviev1.GetMovieResponse {
	return d.render(apiOwn, renderOwn).(*moviev1.GetMovieResponse)
}

func renderOwn(d Details) any { return &moviev1.GetMovieResponse{Movie: movieWire(d)} }

func (s *server) PutMovie(ctx context.Context, req *moviev1.PutMovieRequest) (*moviev1.PutMovieResponse, error) {
	if req.GetMovie() == nil {
		return nil, fault.Invalid("movie", "is required: the movie to write")
	}
	d, err := s.service.put(ctx, movieFromWire(req.GetMovie()))
	if err != nil {
		return nil, err
	}
	return &moviev1.PutMovieResponse{Movie: movieWire(d)}, nil
}

func (s *server) DeleteMovie(ctx context.Context, req *moviev1.DeleteMovieRequest) (*moviev1.DeleteMovieResponse, error) {
	if err := fault.ID("id", req.GetId()); err != nil {
		return nil, err
	}
	if err := s.service.remove(ctx, req.GetId(), req.GetEtag()); err != nil {
		return nil, err
	}
	return &moviev1.DeleteMovieResponse{}, nil
}

func (s *server) ListMovies(ctx context.Context, req *moviev1.ListMoviesRequest) (*moviev1.ListMoviesResponse, error) {
	by, orderErr := orderOf(req.GetOrderBy())
	size, sizeErr := page.Size(req.GetPageSize(), pageDefault, pageMost)
	if err := fault.All(fault.Text("genre", req.GetGenre(), genreMost, false), orderErr, sizeErr); err != nil {
		return nil, err
	}
	films, next, err := s.service.list(ctx, listQuery{
		filter: filter{genre: req.GetGenre(), minYear: req.MinYear, maxYear: req.MaxYear},
		order:  by,
		size:   int32(size),
		token:  req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	return &moviev1.ListMoviesResponse{Movies: moviesWire(films), NextPageToken: next}, nil
}

func (s *server) LookupMovie(ctx context.Context, req *moviev1.LookupMovieRequest) (*moviev1.LookupMovieResponse, error) {
	var given []string
	for _, f := range []struct{ name, value string }{
		{"imdb_id", req.GetImdbId()},
		{"tmdb_id", req.GetTmdbId()},
		{"movielens_id", req.GetMovielensId()},
	} {
		if f.value != "" {
			given = append(given, f.name)
		}
	}
	switch len(given) {
	case 0:
		return nil, fault.Invalid("imdb_id", "one of imdb_id, tmdb_id and movielens_id is required, got none")
	case 1:
	default:
		return nil, fault.Invalid(given[1], "only one of imdb_id, tmdb_id and movielens_id can be given, got %s", strings.Join(given, " and "))
	}
	d, err := s.service.lookup(ctx, externalID{IMDb: req.GetImdbId(), TMDb: req.GetTmdbId(), MovieLens: req.GetMovielensId()})
	if err != nil {
		return nil, err
	}
	return &moviev1.LookupMovieResponse{Movie: movieWire(d)}, nil
}

func (s *server) BatchGetMovies(ctx context.Context, req *moviev1.BatchGetMoviesRequest) (*moviev1.BatchGetMoviesResponse, error) {
	ids := req.GetIds()
	if n := len(ids); n < 1 || n > batchMost {
		return nil, fault.Invalid("ids", "must be 1 to %d ids, got %d", batchMost, n)
	}
	checks := make([]error, len(ids))
	for i, id := range ids {
		checks[i] = fault.ID(fmt.Sprintf("ids[%d]", i), id)
	}
	if err := fault.All(checks...); err != nil {
		return nil, err
	}
	films, missing, err := s.service.batch(ctx, ids)
	if err != nil {
		return nil, err
	}
	return &moviev1.BatchGetMoviesResponse{Movies: moviesWire(films), MissingIds: missing}, nil
}

func (s *server) ListChart(ctx context.Context, req *moviev1.ListChartRequest) (*moviev1.ListChartResponse, error) {
	which, chartErr := chartOf(req.GetChart())
	size, sizeErr := page.Size(req.GetPageSize(), pageDefault, pageMost)
	q := chartQuery{
		chart:  which,
		filter: filter{genre: req.GetGenre()},
		size:   size,
		token:  req.GetPageToken(),
	}
	err := fault.All(chartErr, fault.Text("genre", req.GetGenre(), genreMost, false), checkDecade(req.Decade), sizeErr)
	if err != nil {
		return nil, err
	}
	if req.Decade != nil {
		q.decade = req.GetDecade()
		last := min(q.decade+9, latestYear)
		q.filter.minYear, q.filter.maxYear = &q.decade, &last
	}
	p, err := s.service.listChart(ctx, q)
	if err != nil {
		return nil, err
	}
	resp := &moviev1.ListChartResponse{
		Entries:       make([]*moviev1.ListChartResponse_Entry, len(p.rows)),
		NextPageToken: p.next,
		MinVotes:      p.prior.minVotes,
		GlobalMean:    p.prior.mean,
		AsOfTime:      timestamppb.New(p.prior.asOf),
	}
	entries, now := make([]moviev1.ListChartResponse_Entry, len(p.rows)), s.service.now() // in one piece
	for i := range p.rows {
		r, e := &p.rows[i], &entries[i]
		e.Rank, e.Score, e.Movie = int32(r.rank), r.score, rendered(s.service.chartDetails(r, now)).GetMovie()
		resp.Entries[i] = e
	}
	return resp, nil
}

func chartOf(name string) (chart, error) {
	switch c := chart(name); c {
	case chartTop, chartPopular, chartTrending:
		return c, nil
	}
	return "", fault.Invalid("chart", "must be %q, %q or %q, got %q", chartTop, chartPopular, chartTrending, name)
}

func orderOf(name string) (order, error) {
	switch name {
	case "", "title":
		return byTitle, nil
	case "year":
		return byYear, nil
	case "year desc":
		return byYearDesc, nil
	}
	return 0, fault.Invalid("order_by", `must be "title", "year" or "year desc", got %q`, name)
}

// The years a film can have.
const earliestYear, latestYear = 1870, 2100

// checkDecade checks the first year of a decade; nil is no decade.
func checkDecade(first *int32) error {
	if d := first; d != nil && (*d < earliestYear || *d > latestYear || *d%10 != 0) {
		return fault.Invalid("decade", "must be the first year of a decade, %d to %d, such as 1990, got %d", earliestYear, latestYear, *d)
	}
	return nil
}

func moviesWire(films []Details) []*moviev1.Movie {
	wire := make([]*moviev1.Movie, len(films))
	for i, d := range films {
		wire[i] = rendered(d).GetMovie()
	}
	return wire
}

// movieWire shares the immutable lists of d; callers must not change the message.
func movieWire(d Details) *moviev1.Movie {
	m := d.Movie
	wire := &moviev1.Movie{
		Id:                m.ID,
		Title:             m.Title,
		OriginalTitle:     m.OriginalTitle,
		AlternativeTitles: m.AlternativeTitles,
		Year:              m.Year,
		Genres:            m.Genres,
		Director:          m.Director,
		Description:       m.Description,
		RuntimeMinutes:    m.RuntimeMinutes,
		// Set even where no id is known, so that a reader of the JSON need not look whether there is an object.
		ExternalIds:    &moviev1.ExternalIds{Imdb: m.External.IMDb, Tmdb: m.External.TMDb, Movielens: m.External.MovieLens},
		RatingStatus:   string(d.Rating.Status),
		MetadataStatus: string(Fresh),
		Etag:           m.ETag,
	}
	if m.Stale {
		wire.MetadataStatus = string(Stale)
	}
	if s := d.Rating.Summary; s != nil {
		wire.RatingSummary = &moviev1.RatingSummary{
			Mean:      s.Mean,
			Votes:     s.Votes,
			Weighted:  s.Weighted,
			Histogram: s.Histogram,
			AsOfTime:  timestamppb.New(s.AsOf),
		}
	}
	return wire
}

// movieFromWire takes what a writer may set; the rating fields are output only and ignored.
func movieFromWire(m *moviev1.Movie) *Movie {
	return &Movie{
		ID:                m.GetId(),
		Title:             m.GetTitle(),
		OriginalTitle:     m.GetOriginalTitle(),
		AlternativeTitles: m.GetAlternativeTitles(),
		Year:              m.Year,
		Genres:            m.GetGenres(),
		Director:          m.GetDirector(),
		Description:       m.GetDescription(),
		RuntimeMinutes:    m.RuntimeMinutes,
		External: ExternalIDs{
			IMDb:      m.GetExternalIds().GetImdb(),
			TMDb:      m.GetExternalIds().GetTmdb(),
			MovieLens: m.GetExternalIds().GetMovielens(),
		},
		ETag: m.GetEtag(),
	}
}
