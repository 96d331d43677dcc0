package metadata

import (
	"context"

	"google.golang.org/protobuf/types/known/timestamppb"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/metadata/internal/search"
)

func (s *server) SearchMovies(ctx context.Context, req *metadatav1.SearchMoviesRequest) (*metadatav1.SearchMoviesResponse, error) {
	f := searchFilter{text: req.GetQuery(), genre: req.GetGenre(), decade: req.Decade}
	found, err := s.svc.search(ctx, f, req.GetPageSize(), req.GetPageToken())
	if err != nil {
		return nil, err
	}
	resp := &metadatav1.SearchMoviesResponse{
		Hits:          make([]*metadatav1.SearchMoviesResponse_Hit, len(found.hits)),
		NextPageToken: found.next,
		Total:         int32(found.total),
		Genres:        genresToWire(found.genres),
		Decades:       decadesToWire(found.decades),
		OtherGenres:   int32(found.others),
	}
	for i, h := range found.hits {
		resp.Hits[i] = &metadatav1.SearchMoviesResponse_Hit{
			Movie: movieToWire(h.Movie), Kind: kindToWire(h.kind), Title: piecesToWire(h.titlePieces), MatchedName: piecesToWire(h.otherName),
		}
	}
	return resp, nil
}

func (s *server) SuggestMovies(ctx context.Context, req *metadatav1.SuggestMoviesRequest) (*metadatav1.SuggestMoviesResponse, error) {
	list, err := s.svc.suggest(ctx, req.GetQuery(), req.GetPageSize())
	if err != nil {
		return nil, err
	}
	resp := &metadatav1.SuggestMoviesResponse{Suggestions: make([]*metadatav1.SuggestMoviesResponse_Suggestion, len(list))}
	for i, v := range list {
		resp.Suggestions[i] = &metadatav1.SuggestMoviesResponse_Suggestion{
			Id: v.id, Title: piecesToWire(v.titlePieces), Year: known(v.year), MatchedName: piecesToWire(v.otherName), Director: v.director,
		}
	}
	return resp, nil
}

func (s *server) ListSimilarMovies(ctx context.Context, req *metadatav1.ListSimilarMoviesRequest) (*metadatav1.ListSimilarMoviesResponse, error) {
	near, err := s.svc.similar(ctx, req.GetId(), req.GetPageSize())
	if err != nil {
		return nil, err
	}
	resp := &metadatav1.ListSimilarMoviesResponse{Movies: make([]*metadatav1.ListSimilarMoviesResponse_SimilarMovie, len(near))}
	for i, n := range near {
		resp.Movies[i] = &metadatav1.ListSimilarMoviesResponse_SimilarMovie{Id: n.ID, Similarity: n.Similarity}
	}
	return resp, nil
}

func (s *server) GetCatalogueStats(context.Context, *metadatav1.GetCatalogueStatsRequest) (*metadatav1.GetCatalogueStatsResponse, error) {
	stats, asOf, err := s.svc.stats()
	if err != nil {
		return nil, err
	}
	return &metadatav1.GetCatalogueStatsResponse{
		Movies: int32(stats.Films), Genres: genresToWire(stats.Genres), Decades: decadesToWire(stats.Decades), AsOfTime: timestamppb.New(asOf),
		OtherGenres: int32(stats.OtherGenres),
	}, nil
}

func (s *server) GetCatalogueVersion(ctx context.Context, _ *metadatav1.GetCatalogueVersionRequest) (*metadatav1.GetCatalogueVersionResponse, error) {
	stored, indexed, err := s.svc.version(ctx)
	if err != nil {
		return nil, err
	}
	return &metadatav1.GetCatalogueVersionResponse{
		Movies: stored.movies, Votes: stored.votes, IndexedMovies: indexed.movies, IndexedVotes: indexed.votes,
	}, nil
}

func (s *server) SyncVotes(ctx context.Context, req *metadatav1.SyncVotesRequest) (*metadatav1.SyncVotesResponse, error) {
	votes := make([]Votes, len(req.GetVotes()))
	for i, v := range req.GetVotes() {
		votes[i] = Votes{MovieID: v.GetMovieId(), Votes: v.GetVotes()}
	}
	changed, err := s.svc.SyncVotes(ctx, req.GetAfterId(), req.GetThroughId(), votes)
	if err != nil {
		return nil, err
	}
	return &metadatav1.SyncVotesResponse{Changed: int32(changed)}, nil
}

func kindToWire(k search.Kind) metadatav1.MatchKind {
	switch k {
	case search.Exact:
		return metadatav1.MatchKind_MATCH_KIND_EXACT
	case search.Title:
		return metadatav1.MatchKind_MATCH_KIND_TITLE
	case search.Director:
		return metadatav1.MatchKind_MATCH_KIND_DIRECTOR
	case search.Spelling:
		return metadatav1.MatchKind_MATCH_KIND_SPELLING
	}
	return metadatav1.MatchKind_MATCH_KIND_UNSPECIFIED
}

func piecesToWire(pieces []search.Piece) []*metadatav1.TextPiece {
	out := make([]*metadatav1.TextPiece, len(pieces))
	for i, p := range pieces {
		out[i] = &metadatav1.TextPiece{Text: p.Text, Matched: p.Matched}
	}
	return out
}

func genresToWire(counts []search.GenreCount) []*metadatav1.GenreCount {
	out := make([]*metadatav1.GenreCount, len(counts))
	for i, c := range counts {
		out[i] = &metadatav1.GenreCount{Genre: c.Genre, Count: int32(c.Count)}
	}
	return out
}

func decadesToWire(counts []search.DecadeCount) []*metadatav1.DecadeCount {
	out := make([]*metadatav1.DecadeCount, len(counts))
	for i, c := range counts {
		out[i] = &metadatav1.DecadeCount{Decade: int32(c.Decade), Count: int32(c.Count)}
	}
	return out
}
