package app_test

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	_ "movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// bounds are the most elements that each list of an answer has, and why. A caller that adds a list says here how many elements it has at most.
var bounds = map[protoreflect.FullName]struct {
	most int
	why  string
}{
	"movieexample.metadata.v1.Movie.alternative_titles":                          {50, "a write with more is refused"},
	"movieexample.metadata.v1.Movie.genres":                                      {20, "a write with more is refused"},
	"movieexample.metadata.v1.BatchPutMoviesResponse.results":                    {200, "one per movie of the request"},
	"movieexample.metadata.v1.BatchGetMoviesResponse.movies":                     {200, "one per id of the request"},
	"movieexample.metadata.v1.BatchGetMoviesResponse.missing_ids":                {200, "one per id of the request"},
	"movieexample.metadata.v1.SelectMoviesResponse.matches":                      {5000, "one per id of the request"},
	"movieexample.metadata.v1.ListMoviesResponse.movies":                         {200, "a page; ends at 2 MiB"},
	"movieexample.metadata.v1.SearchMoviesResponse.hits":                         {200, "a page; ends at 2 MiB"},
	"movieexample.metadata.v1.SearchMoviesResponse.genres":                       {100, "the greatest; other_genres counts the rest"},
	"movieexample.metadata.v1.SearchMoviesResponse.decades":                      {24, "years are 1870–2100"},
	"movieexample.metadata.v1.SearchMoviesResponse.Hit.title":                    {1001, "a title has 500 characters"},
	"movieexample.metadata.v1.SearchMoviesResponse.Hit.matched_name":             {1001, "a name has 500 characters"},
	"movieexample.metadata.v1.SuggestMoviesResponse.suggestions":                 {20, "a page"},
	"movieexample.metadata.v1.SuggestMoviesResponse.Suggestion.title":            {1001, "a title has 500 characters"},
	"movieexample.metadata.v1.SuggestMoviesResponse.Suggestion.matched_name":     {1001, "a name has 500 characters"},
	"movieexample.metadata.v1.ListSimilarMoviesResponse.movies":                  {200, "a page"},
	"movieexample.metadata.v1.GetCatalogueStatsResponse.genres":                  {100, "the greatest; other_genres counts the rest"},
	"movieexample.metadata.v1.GetCatalogueStatsResponse.decades":                 {24, "years are 1870–2100"},
	"movieexample.movie.v1.Movie.alternative_titles":                             {50, "a write with more is refused"},
	"movieexample.movie.v1.Movie.genres":                                         {20, "a write with more is refused"},
	"movieexample.movie.v1.RatingSummary.histogram":                              {10, "the values of a rating"},
	"movieexample.movie.v1.ListMoviesResponse.movies":                            {200, "a page; ends at 2 MiB"},
	"movieexample.movie.v1.BatchGetMoviesResponse.movies":                        {200, "one per id of the request; more than 3 MiB are refused"},
	"movieexample.movie.v1.BatchGetMoviesResponse.missing_ids":                   {200, "one per id of the request"},
	"movieexample.movie.v1.ListChartResponse.entries":                            {200, "a page; ends at 2 MiB"},
	"movieexample.movie.v1.SearchMoviesResponse.hits":                            {200, "a page; ends at 2 MiB"},
	"movieexample.movie.v1.SearchMoviesResponse.genres":                          {100, "the greatest; other_genres counts the rest"},
	"movieexample.movie.v1.SearchMoviesResponse.decades":                         {24, "years are 1870–2100"},
	"movieexample.movie.v1.SearchMoviesResponse.Hit.title_pieces":                {1001, "a title has 500 characters"},
	"movieexample.movie.v1.SearchMoviesResponse.Hit.matched_name_pieces":         {1001, "a name has 500 characters"},
	"movieexample.movie.v1.SuggestMoviesResponse.suggestions":                    {20, "a page"},
	"movieexample.movie.v1.SuggestMoviesResponse.Suggestion.title_pieces":        {1001, "a title has 500 characters"},
	"movieexample.movie.v1.SuggestMoviesResponse.Suggestion.matched_name_pieces": {1001, "a name has 500 characters"},
	"movieexample.movie.v1.ListSimilarMoviesResponse.movies":                     {50, "the best; ends at 2 MiB"},
	"movieexample.movie.v1.GetStatsResponse.genres":                              {100, "the greatest; other_genres counts the rest"},
	"movieexample.movie.v1.GetStatsResponse.decades":                             {24, "years are 1870–2100"},
	"movieexample.rating.v1.ListRecordRatingsResponse.ratings":                   {200, "a page"},
	"movieexample.rating.v1.ListUserRatingsResponse.ratings":                     {200, "a page"},
	"movieexample.rating.v1.RatingSummary.histogram":                             {10, "the values of a rating"},
	"movieexample.rating.v1.BatchGetRatingSummariesResponse.summaries":           {200, "one per id of the request"},
	"movieexample.rating.v1.ListChartResponse.entries":                           {10_000, "5,000 of a page and 5,000 to end a group of ties"},
	"movieexample.rating.v1.ListRatingHistoryResponse.years":                     {1000, "one per year from 1970 to now"},
	"movieexample.rating.v1.ListRatingSummariesResponse.summaries":               {5000, "a page"},
	"movieexample.rating.v1.ListIngestPartitionsResponse.partitions":             {10_000, "the first; other_partitions counts the rest"},
	"movieexample.rating.v1.ResumeIngestPartitionResponse.given_up":              {10, "one per reason"},
	"movieexample.rating.v1.ListRatingsResponse.ratings":                         {10_000, "a page"},
	"movieexample.rating.v1.AuditAggregatesResponse.differences":                 {5011, "a page ends with the record that brings it to 5,000"},
	"movieexample.rating.v1.ListDeadLettersResponse.dead_letters":                {200, "a page; ends at 1 MiB"},
	"movieexample.rating.v1.ReplayDeadLettersResponse.refused":                   {200, "one per id of the request"},
}

// TestEveryListHasABound: every list in an answer, however deep, has a bound in the table, and the table has no other.
func TestEveryListHasABound(t *testing.T) {
	left := map[protoreflect.FullName]bool{}
	for name := range bounds {
		left[name] = true
	}
	seen := map[protoreflect.FullName]bool{}
	var look func(m protoreflect.MessageDescriptor)
	look = func(m protoreflect.MessageDescriptor) {
		if seen[m.FullName()] {
			return
		}
		seen[m.FullName()] = true
		for i := range m.Fields().Len() {
			f := m.Fields().Get(i)
			if f.Cardinality() == protoreflect.Repeated {
				if b, ok := bounds[f.FullName()]; !ok || b.most < 1 || b.why == "" {
					t.Errorf("%s is a list in an answer and has no bound here", f.FullName())
				}
				delete(left, f.FullName())
			}
			if f.Message() != nil && !strings.HasPrefix(string(f.Message().FullName()), "google.") {
				look(f.Message())
			}
		}
	}
	services := 0
	protoregistry.GlobalFiles.RangeFiles(func(file protoreflect.FileDescriptor) bool {
		if !strings.HasPrefix(file.Path(), "movieexample/") && !strings.HasPrefix(file.Path(), "book/") {
			return true
		}
		for i := range file.Services().Len() {
			services++
			for j := range file.Services().Get(i).Methods().Len() {
				look(file.Services().Get(i).Methods().Get(j).Output())
			}
		}
		return true
	})
	if services < 7 {
		t.Errorf("%d services were looked at, want those of all contracts", services)
	}
	for name := range left {
		t.Errorf("%s has a bound here and is no list in an answer", name)
	}
}

// checkBounds compares the lists of an answer with their bounds.
func checkBounds(t *testing.T, answer proto.Message) {
	t.Helper()
	var look func(m protoreflect.Message)
	look = func(m protoreflect.Message) {
		m.Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
			switch {
			case f.IsList():
				if b, ok := bounds[f.FullName()]; ok && v.List().Len() > b.most {
					t.Errorf("%s has %d elements, more than %d", f.FullName(), v.List().Len(), b.most)
				}
				for i := 0; f.Message() != nil && i < v.List().Len(); i++ {
					look(v.List().Get(i).Message())
				}
			case f.Message() != nil:
				look(v.Message())
			}
			return true
		})
	}
	look(answer.ProtoReflect())
}

// TestLargestMovies: movies of the greatest size that is allowed are shown in every answer that shows movies, on as many pages as they
// need, each once.
func TestLargestMovies(t *testing.T) {
	cfg := testConfig(t.TempDir())
	cfg.Rating.ChartMinVotes = 1
	p := run(t, cfg)
	metadata, movies := metadatav1.NewMetadataServiceClient(dial(t, p.Metadata)), moviev1.NewMovieServiceClient(dial(t, p.Movie))
	const n = 130                                // 5 MB
	long := strings.Repeat("\U00020000", 10_000) // four bytes each
	year := int32(1999)
	for i := range n {
		m := &metadatav1.Movie{
			Id: fmt.Sprint("m", i), Title: fmt.Sprint("Film ", i), Year: &year, Genres: []string{"Drama"}, Description: long,
		}
		if _, err := metadata.PutMovie(t.Context(), &metadatav1.PutMovieRequest{Movie: m}); err != nil {
			t.Fatal(err)
		}
		mustAsk(t, "PUT", fmt.Sprintf("%s/v1/records/movie/m%d/ratings/u", p.Gateway, i), `{"value": 7}`)
	}
	walk := func(name string, page func(token string) (films []*moviev1.Movie, next string, answer proto.Message, err error)) {
		t.Helper()
		seen, pages := map[string]int{}, 0
		for token := ""; ; {
			films, next, answer, err := page(token)
			if err != nil {
				t.Errorf("%s: %v", name, err)
				return
			}
			checkBounds(t, answer)
			pages++
			for _, m := range films {
				seen[m.GetId()]++
			}
			if token = next; next == "" {
				break
			}
		}
		for i := range n {
			if k := seen[fmt.Sprint("m", i)]; k != 1 {
				t.Errorf("%s: film %d was shown %d times on %d pages, want once", name, i, k, pages)
			}
		}
	}
	ctx := t.Context()
	walk("list", func(token string) ([]*moviev1.Movie, string, proto.Message, error) {
		r, err := movies.ListMovies(ctx, &moviev1.ListMoviesRequest{PageSize: 200, PageToken: token})
		return r.GetMovies(), r.GetNextPageToken(), r, err
	})
	await(t, "the index", func() bool {
		r, err := movies.GetStats(ctx, &moviev1.GetStatsRequest{})
		return err == nil && r.GetMovies() == n
	})
	// Votes that come in the middle of a walk move films to other places.
	await(t, "the votes in the index", func() bool {
		return metricOf(t, p.Admin, "movieexample_movie_votes_sync_changed_films_total") == strconv.Itoa(n)
	})
	walk("search", func(token string) (films []*moviev1.Movie, next string, answer proto.Message, err error) {
		r, err := movies.SearchMovies(ctx, &moviev1.SearchMoviesRequest{Q: "film", PageSize: 200, PageToken: token})
		for _, h := range r.GetHits() {
			films = append(films, h.GetMovie())
		}
		return films, r.GetNextPageToken(), r, err
	})
	for _, genre := range []string{"", "Drama"} {
		await(t, "the chart", func() bool {
			r, err := movies.GetStats(ctx, &moviev1.GetStatsRequest{})
			return err == nil && r.GetRatings() == n
		})
		walk("chart "+genre, func(token string) (films []*moviev1.Movie, next string, answer proto.Message, err error) {
			r, err := movies.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", Genre: genre, PageSize: 200, PageToken: token})
			for _, e := range r.GetEntries() {
				films = append(films, e.GetMovie())
			}
			return films, r.GetNextPageToken(), r, err
		})
	}
	similar, err := movies.ListSimilarMovies(ctx, &moviev1.ListSimilarMoviesRequest{Id: "m0", PageSize: 50})
	if err != nil || len(similar.GetMovies()) == 0 {
		t.Errorf("similar: %d films, %v", len(similar.GetMovies()), err)
	}
	req := &moviev1.BatchGetMoviesRequest{}
	for i := range n {
		req.Ids = append(req.Ids, fmt.Sprint("m", i))
	}
	if _, err := movies.BatchGetMovies(ctx, req); err == nil || !strings.Contains(err.Error(), "ask for no more than the first") {
		t.Errorf("a batch of all: %v, want an error that says how many there can be", err)
	}
	req.Ids = req.Ids[:50]
	if r, err := movies.BatchGetMovies(ctx, req); err != nil || len(r.GetMovies()) != 50 {
		t.Errorf("a batch of 50: %d films, %v", len(r.GetMovies()), err)
	}
}
