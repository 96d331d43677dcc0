package movie

import (
	"context"
	"math"
	"strings"

	"google.golang.org/protobuf/types/known/timestamppb"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
)

const (
	queryMost      = 200 // characters
	suggestDefault = 8
	suggestMost    = 20
	similarDefault = 12
	similarMaximum = 50
)

func (s *server) SearchMovies(ctx context.Context, req *moviev1.SearchMoviesRequest) (*moviev1.SearchMoviesResponse, error) {
	size, sizeErr := page.Size(req.GetPageSize(), pageDefault, pageMost)
	err := fault.All(checkQuery(req.GetQ()), fault.Text("genre", req.GetGenre(), genreMost, false), checkDecade(req.Decade), sizeErr)
	if err != nil {
		return nil, err
	}
	p, films, err := s.service.search(ctx, searchQuery{
		q: req.GetQ(), genre: req.GetGenre(), decade: req.Decade, size: int32(size), token: req.GetPageToken(),
	})
	if err != nil {
		return nil, err
	}
	shared := p.render(renderSearch).(*moviev1.SearchMoviesResponse)
	resp := &moviev1.SearchMoviesResponse{
		Hits:          make([]*moviev1.SearchMoviesResponse_Hit, len(films)),
		NextPageToken: shared.GetNextPageToken(),
		Total:         shared.GetTotal(),
		Genres:        shared.GetGenres(),
		Decades:       shared.GetDecades(),
		OtherGenres:   shared.GetOtherGenres(),
	}
	hits := make([]moviev1.SearchMoviesResponse_Hit, len(films)) // in one piece
	for i, d := range films {
		from, h := shared.GetHits()[i], &hits[i]
		h.Movie, h.Match, h.TitlePieces, h.MatchedNamePieces = rendered(d).GetMovie(), from.GetMatch(), from.GetTitlePieces(), from.GetMatchedNamePieces()
		resp.Hits[i] = h
	}
	return resp, nil
}

// renderSearch makes the answer without the movies, which every request adds with their ratings.
func renderSearch(f *found) any {
	wire := &moviev1.SearchMoviesResponse{
		Hits:          make([]*moviev1.SearchMoviesResponse_Hit, len(f.hits)),
		NextPageToken: f.next,
		Total:         f.total,
		Genres:        genresWire(f.genres),
		Decades:       decadesWire(f.decades),
		OtherGenres:   f.others,
	}
	for i, h := range f.hits {
		wire.Hits[i] = &moviev1.SearchMoviesResponse_Hit{Match: string(h.match), TitlePieces: piecesWire(h.title), MatchedNamePieces: piecesWire(h.matchedName)}
	}
	return wire
}

func (s *server) SuggestMovies(ctx context.Context, req *moviev1.SuggestMoviesRequest) (*moviev1.SuggestMoviesResponse, error) {
	size, sizeErr := page.Size(req.GetPageSize(), suggestDefault, suggestMost)
	if err := fault.All(checkQuery(req.GetQ()), sizeErr); err != nil {
		return nil, err
	}
	list, err := s.service.suggest(ctx, req.GetQ(), int32(size))
	if err != nil {
		return nil, err
	}
	resp := &moviev1.SuggestMoviesResponse{Suggestions: make([]*moviev1.SuggestMoviesResponse_Suggestion, len(list))}
	for i, f := range list {
		resp.Suggestions[i] = &moviev1.SuggestMoviesResponse_Suggestion{
			Id: f.id, Title: f.title, Year: f.year, Director: f.director,
			TitlePieces: piecesWire(f.pieces), MatchedNamePieces: piecesWire(f.matchedName),
		}
	}
	return resp, nil
}

func (s *server) ListSimilarMovies(ctx context.Context, req *moviev1.ListSimilarMoviesRequest) (*moviev1.ListSimilarMoviesResponse, error) {
	size, sizeErr := page.Size(req.GetPageSize(), similarDefault, similarMaximum)
	if err := fault.All(fault.ID("id", req.GetId()), sizeErr); err != nil {
		return nil, err
	}
	list, err := s.service.similar(ctx, req.GetId(), size)
	if err != nil {
		return nil, err
	}
	resp := &moviev1.ListSimilarMoviesResponse{Movies: make([]*moviev1.ListSimilarMoviesResponse_SimilarMovie, len(list))}
	for i, f := range list {
		resp.Movies[i] = &moviev1.ListSimilarMoviesResponse_SimilarMovie{
			Movie: rendered(f.details).GetMovie(), Similarity: f.similarity, Score: f.score,
		}
	}
	return resp, nil
}

func (s *server) GetStats(ctx context.Context, _ *moviev1.GetStatsRequest) (*moviev1.GetStatsResponse, error) {
	all, err := s.service.statistics(ctx)
	if err != nil {
		return nil, err
	}
	return &moviev1.GetStatsResponse{
		Movies:      all.catalogue.films,
		Ratings:     clamp(all.ratings.ratings),
		Users:       clamp(all.ratings.users),
		RatedMovies: clamp(all.ratings.films),
		GlobalMean:  all.ratings.mean,
		MinVotes:    all.ratings.minVotes,
		PriorMean:   all.ratings.mean, // C is the mean of all ratings
		AsOfTime:    timestamppb.New(all.asOf),
		Genres:      genresWire(all.catalogue.genres),
		Decades:     decadesWire(all.catalogue.decades),
		OtherGenres: all.catalogue.others,
	}, nil
}

// clamp keeps a count that is too great for the wire from looking like another one.
func clamp(n int64) int32 { return int32(min(n, math.MaxInt32)) }

// checkQuery checks the text of a search. Surrounding white space does not count.
func checkQuery(q string) error { return fault.Text("q", strings.TrimSpace(q), queryMost, true) }

func piecesWire(pieces []piece) []*moviev1.TextPiece {
	wire := make([]*moviev1.TextPiece, len(pieces))
	for i, p := range pieces {
		wire[i] = &moviev1.TextPiece{Text: p.text, Matched: p.matched}
	}
	return wire
}

func genresWire(counts []genreCount) []*moviev1.GenreCount {
	wire := make([]*moviev1.GenreCount, len(counts))
	for i, c := range counts {
		wire[i] = &moviev1.GenreCount{Genre: c.genre, Count: c.count}
	}
	return wire
}

func decadesWire(counts []decadeCount) []*moviev1.DecadeCount {
	wire := make([]*moviev1.DecadeCount, len(counts))
	for i, c := range counts {
		wire[i] = &moviev1.DecadeCount{Decade: c.decade, Count: c.count}
	}
	return wire
}
