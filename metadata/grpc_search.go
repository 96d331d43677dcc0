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
	return &metadatav1.SearchMoviesResponse{
		Hits: converted(found.hits, func(h hit) *metadatav1.SearchMoviesResponse_Hit {
			return &metadatav1.SearchMoviesResponse_Hit{
				Movie: movieToWire(h.Movie), Kind: kindToWire(h.kind), Title: converted(h.titlePieces, pieceToWire), MatchedName: converted(h.otherName, pieceToWire),
			}
		}),
		NextPageToken: found.next,
		Total:         int32(found.Total),
		Genres:        converted(found.Genres, genreToWire),
		Decades:       converted(found.Decades, decadeToWire),
		OtherGenres:   int32(found.OtherGenres),
	}, nil
}

func (s *server) SuggestMovies(ctx context.Context, req *metadatav1.SuggestMoviesRequest) (*metadatav1.SuggestMoviesResponse, error) {
	list, err := s.svc.suggest(ctx, req.GetQuery(), req.GetPageSize())
	if err != nil {
		return nil, err
	}
	return &metadatav1.SuggestMoviesResponse{Suggestions: converted(list, func(v suggestion) *metadatav1.SuggestMoviesResponse_Suggestion {
		return &metadatav1.SuggestMoviesResponse_Suggestion{
			Id: v.id, Title: converted(v.titlePieces, pieceToWire), Year: known(v.year), MatchedName: converted(v.otherName, pieceToWire), Director: v.director,
		}
	})}, nil
}

func (s *server) ListSimilarMovies(ctx context.Context, req *metadatav1.ListSimilarMoviesRequest) (*metadatav1.ListSimilarMoviesResponse, error) {
	near, err := s.svc.similar(ctx, req.GetId(), req.GetPageSize())
	if err != nil {
		return nil, err
	}
	return &metadatav1.ListSimilarMoviesResponse{Movies: converted(near, func(n search.Neighbour) *metadatav1.ListSimilarMoviesResponse_SimilarMovie {
		return &metadatav1.ListSimilarMoviesResponse_SimilarMovie{Id: n.ID, Similarity: n.Similarity}
	})}, nil
}

func (s *server) GetCatalogueStats(context.Context, *metadatav1.GetCatalogueStatsRequest) (*metadatav1.GetCatalogueStatsResponse, error) {
	stats, asOf, err := s.svc.stats()
	if err != nil {
		return nil, err
	}
	return &metadatav1.GetCatalogueStatsResponse{
		Movies: int32(stats.Films), Genres: converted(stats.Genres, genreToWire), Decades: converted(stats.Decades, decadeToWire), AsOfTime: timestamppb.New(asOf),
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
	votes := converted(req.GetVotes(), func(v *metadatav1.SyncVotesRequest_MovieVotes) Votes {
		return Votes{MovieID: v.GetMovieId(), Votes: v.GetVotes()}
	})
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

func pieceToWire(p search.Piece) *metadatav1.TextPiece {
	return &metadatav1.TextPiece{Text: p.Text, Matched: p.Matched}
}

func genreToWire(c search.GenreCount) *metadatav1.GenreCount {
	return &metadatav1.GenreCount{Genre: c.Genre, Count: int32(c.Count)}
}

func decadeToWire(c search.DecadeCount) *metadatav1.DecadeCount {
	return &metadatav1.DecadeCount{Decade: int32(c.Decade), Count: int32(c.Count)}
}
