package pages

import (
	"context"

	"google.golang.org/grpc"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
)

// movieSource asks the movie service. Its errors are *fault.Error.
type movieSource struct{ client moviev1.MovieServiceClient }

func newMovieSource(conn grpc.ClientConnInterface) movieSource {
	return movieSource{moviev1.NewMovieServiceClient(conn)}
}

func (s movieSource) film(ctx context.Context, id string) (film, error) {
	answer, err := s.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
	if err != nil {
		return film{}, fault.FromRPC(err)
	}
	return filmOf(answer.GetMovie()), nil
}

func (s movieSource) films(ctx context.Context, ids []string) (map[string]film, error) {
	answer, err := s.client.BatchGetMovies(ctx, &moviev1.BatchGetMoviesRequest{Ids: ids})
	if err != nil {
		return nil, fault.FromRPC(err)
	}
	films := make(map[string]film, len(answer.GetMovies()))
	for _, m := range answer.GetMovies() {
		films[m.GetId()] = filmOf(m)
	}
	return films, nil
}

// ids returns the ids of up to 200 films in the order of titles, from token on.
func (s movieSource) ids(ctx context.Context, token string) (ids []string, next string, err error) {
	answer, err := s.client.ListMovies(ctx, &moviev1.ListMoviesRequest{PageSize: 200, PageToken: token})
	if err != nil {
		return nil, "", fault.FromRPC(err)
	}
	ids = make([]string, len(answer.GetMovies()))
	for i, m := range answer.GetMovies() {
		ids[i] = m.GetId()
	}
	return ids, answer.GetNextPageToken(), nil
}

func (s movieSource) chart(ctx context.Context, name string, f filter, size int, token string) (chart, error) {
	answer, err := s.client.ListChart(ctx, &moviev1.ListChartRequest{
		Chart: name, Genre: f.Genre, Decade: f.decade(), PageSize: int32(size), PageToken: token,
	})
	if err != nil {
		return chart{}, fault.FromRPC(err)
	}
	c := chart{
		Entries:  make([]entry, len(answer.GetEntries())),
		Next:     answer.GetNextPageToken(),
		MinVotes: int(answer.GetMinVotes()),
		Mean:     answer.GetGlobalMean(),
		AsOf:     answer.GetAsOfTime().AsTime(),
	}
	for i, e := range answer.GetEntries() {
		c.Entries[i] = entry{Rank: int(e.GetRank()), Score: e.GetScore(), Film: filmOf(e.GetMovie())}
	}
	return c, nil
}

func (s movieSource) search(ctx context.Context, text string, f filter, size int, token string) (found, error) {
	answer, err := s.client.SearchMovies(ctx, &moviev1.SearchMoviesRequest{
		Q: text, Genre: f.Genre, Decade: f.decade(), PageSize: int32(size), PageToken: token,
	})
	if err != nil {
		return found{}, fault.FromRPC(err)
	}
	result := found{
		Hits:    make([]hit, len(answer.GetHits())),
		Next:    answer.GetNextPageToken(),
		Total:   int(answer.GetTotal()),
		Genres:  genresOf(answer.GetGenres()),
		Decades: decadesOf(answer.GetDecades()),
	}
	for i, h := range answer.GetHits() {
		result.Hits[i] = hit{
			Film:     filmOf(h.GetMovie()),
			Spelling: h.GetMatch() == "spelling",
			Title:    piecesOf(h.GetTitlePieces()),
			Matched:  piecesOf(h.GetMatchedNamePieces()),
		}
	}
	return result, nil
}

func (s movieSource) suggest(ctx context.Context, text string) ([]suggestion, error) {
	answer, err := s.client.SuggestMovies(ctx, &moviev1.SuggestMoviesRequest{Q: text})
	if err != nil {
		return nil, fault.FromRPC(err)
	}
	list := make([]suggestion, len(answer.GetSuggestions()))
	for i, g := range answer.GetSuggestions() {
		list[i] = suggestion{
			ID: g.GetId(), Director: g.GetDirector(), Year: int(g.GetYear()),
			Title: piecesOf(g.GetTitlePieces()), Matched: piecesOf(g.GetMatchedNamePieces()),
		}
		if len(list[i].Title) == 0 { // a suggestion is its title, marked or not
			list[i].Title = []piece{{Text: g.GetTitle()}}
		}
	}
	return list, nil
}

func (s movieSource) similar(ctx context.Context, id string, size int) ([]film, error) {
	answer, err := s.client.ListSimilarMovies(ctx, &moviev1.ListSimilarMoviesRequest{Id: id, PageSize: int32(size)})
	if err != nil {
		return nil, fault.FromRPC(err)
	}
	films := make([]film, len(answer.GetMovies()))
	for i, m := range answer.GetMovies() {
		films[i] = filmOf(m.GetMovie())
	}
	return films, nil
}

func (s movieSource) stats(ctx context.Context) (stats, error) {
	answer, err := s.client.GetStats(ctx, &moviev1.GetStatsRequest{})
	if err != nil {
		return stats{}, fault.FromRPC(err)
	}
	return stats{
		Films: int(answer.GetMovies()), Ratings: int(answer.GetRatings()), Users: int(answer.GetUsers()), Rated: int(answer.GetRatedMovies()),
		GlobalMean: answer.GetGlobalMean(), MinVotes: int(answer.GetMinVotes()), PriorMean: answer.GetPriorMean(),
		AsOf:   answer.GetAsOfTime().AsTime(),
		Genres: genresOf(answer.GetGenres()), OtherGenres: int(answer.GetOtherGenres()), Decades: decadesOf(answer.GetDecades()),
	}, nil
}

func (f filter) decade() *int32 {
	if !f.HasDecade {
		return nil
	}
	d := int32(f.Decade)
	return &d
}

func filmOf(m *moviev1.Movie) film {
	f := film{
		ID: m.GetId(), Title: m.GetTitle(), Original: m.GetOriginalTitle(), Alternatives: m.GetAlternativeTitles(),
		Year: int(m.GetYear()), Runtime: int(m.GetRuntimeMinutes()), Genres: m.GetGenres(), Director: m.GetDirector(),
		Description: m.GetDescription(), IMDb: m.GetExternalIds().GetImdb(), TMDB: m.GetExternalIds().GetTmdb(),
		ETag: m.GetEtag(), Status: m.GetRatingStatus(), Outdated: m.GetMetadataStatus() == "stale",
	}
	if r := m.GetRatingSummary(); r != nil {
		f.Summary = summary{Mean: r.GetMean(), Weighted: r.GetWeighted(), Votes: int(r.GetVotes()), AsOf: r.GetAsOfTime().AsTime()}
		copy(f.Summary.Histogram[:], r.GetHistogram())
	}
	return f
}

func piecesOf(list []*moviev1.TextPiece) []piece {
	pieces := make([]piece, len(list))
	for i, p := range list {
		pieces[i] = piece{Text: p.GetText(), Matched: p.GetMatched()}
	}
	return pieces
}

func genresOf(list []*moviev1.GenreCount) []genreCount {
	counts := make([]genreCount, len(list))
	for i, c := range list {
		counts[i] = genreCount{Genre: c.GetGenre(), Count: int(c.GetCount())}
	}
	return counts
}

func decadesOf(list []*moviev1.DecadeCount) []decadeCount {
	counts := make([]decadeCount, len(list))
	for i, c := range list {
		counts[i] = decadeCount{Decade: int(c.GetDecade()), Count: int(c.GetCount())}
	}
	return counts
}
