package movie_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/movie"
)

func TestBadInputNamesTheField(t *testing.T) {
	w := newWorld(t, movie.Config{})
	c := w.client
	for _, row := range []struct {
		name, field, says string
		call              func(context.Context) error
	}{
		{"no id", "id", "required", func(ctx context.Context) error {
			_, err := c.GetMovie(ctx, &moviev1.GetMovieRequest{})
			return err
		}},
		{"long id", "id", "128", func(ctx context.Context) error {
			_, err := c.DeleteMovie(ctx, &moviev1.DeleteMovieRequest{Id: strings.Repeat("x", 129)})
			return err
		}},
		{"no movie", "movie", "required", func(ctx context.Context) error {
			_, err := c.PutMovie(ctx, &moviev1.PutMovieRequest{})
			return err
		}},
		{"unknown order", "order_by", `"year desc"`, func(ctx context.Context) error {
			_, err := c.ListMovies(ctx, &moviev1.ListMoviesRequest{OrderBy: "rating"})
			return err
		}},
		{"negative page", "page_size", "-1", func(ctx context.Context) error {
			_, err := c.ListMovies(ctx, &moviev1.ListMoviesRequest{PageSize: -1})
			return err
		}},
		{"long genre", "genre", "50", func(ctx context.Context) error {
			_, err := c.ListMovies(ctx, &moviev1.ListMoviesRequest{Genre: strings.Repeat("x", 51)})
			return err
		}},
		{"no external id", "imdb_id", "one of imdb_id, tmdb_id and movielens_id", func(ctx context.Context) error {
			_, err := c.LookupMovie(ctx, &moviev1.LookupMovieRequest{})
			return err
		}},
		{"two external ids", "movielens_id", "only one", func(ctx context.Context) error {
			_, err := c.LookupMovie(ctx, &moviev1.LookupMovieRequest{ImdbId: "tt1", MovielensId: "1"})
			return err
		}},
		{"no ids", "ids", "1 to 200", func(ctx context.Context) error {
			_, err := c.BatchGetMovies(ctx, &moviev1.BatchGetMoviesRequest{})
			return err
		}},
		{"too many ids", "ids", "201", func(ctx context.Context) error {
			_, err := c.BatchGetMovies(ctx, &moviev1.BatchGetMoviesRequest{Ids: make([]string, 201)})
			return err
		}},
		{"one bad id", "ids[1]", "white space", func(ctx context.Context) error {
			_, err := c.BatchGetMovies(ctx, &moviev1.BatchGetMoviesRequest{Ids: []string{"a", " b"}})
			return err
		}},
		{"unknown chart", "chart", `"top", "popular" or "trending", got "best"`, func(ctx context.Context) error {
			_, err := c.ListChart(ctx, &moviev1.ListChartRequest{Chart: "best"})
			return err
		}},
		{"decade in between", "decade", "1995", func(ctx context.Context) error {
			_, err := c.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", Decade: ptr(int32(1995))})
			return err
		}},
		{"decade before film", "decade", "1870 to 2100", func(ctx context.Context) error {
			_, err := c.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", Decade: ptr(int32(1860))})
			return err
		}},
		{"not a token", "page_token", "", func(ctx context.Context) error {
			_, err := c.ListChart(ctx, &moviev1.ListChartRequest{Chart: "top", PageToken: "x"})
			return err
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			err := row.call(t.Context())
			st := status.Convert(err)
			if st.Code() != codes.InvalidArgument || !strings.Contains(st.Message(), row.says) {
				t.Fatalf("got %v, want INVALID_ARGUMENT with %q", err, row.says)
			}
			for _, d := range st.Details() {
				if bad, ok := d.(*errdetails.BadRequest); ok && bad.GetFieldViolations()[0].GetField() == row.field {
					return
				}
			}
			t.Errorf("details %v do not name the field %q", st.Details(), row.field)
		})
	}
}

func TestChartTokenBelongsToItsQuery(t *testing.T) {
	w := newWorld(t, movie.Config{})
	for _, id := range []string{"a", "b"} {
		w.film(id, id, 1995, "Drama")
		w.rating.set(id, 1, 5)
	}
	r, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top", Genre: "Drama", PageSize: 1})
	if err != nil || r.GetNextPageToken() == "" {
		t.Fatalf("got %v, %v; want a next page", r, err)
	}
	for name, req := range map[string]*moviev1.ListChartRequest{
		"other chart":  {Chart: "popular", Genre: "Drama"},
		"other genre":  {Chart: "top", Genre: "War"},
		"other decade": {Chart: "top", Genre: "Drama", Decade: ptr(int32(1990))},
	} {
		req.PageToken = r.GetNextPageToken()
		if _, err := w.client.ListChart(t.Context(), req); status.Code(err) != codes.InvalidArgument {
			t.Errorf("%s: got %v, want INVALID_ARGUMENT", name, err)
		}
	}
	same := &moviev1.ListChartRequest{Chart: "top", Genre: "dRAMA", PageSize: 200, PageToken: r.GetNextPageToken()}
	if r, err := w.client.ListChart(t.Context(), same); err != nil || len(r.GetEntries()) != 1 {
		t.Errorf("same query with another page size: got %v, %v", r, err)
	}
}

// The metadata service names its own fields; callers of this service must see this service's names.
func TestMetadataComplaintsAreRenamed(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.metadata.before.set(func(_ context.Context, method string) error {
		if method == "ListMovies" {
			return fault.Invalid("filter.min_year", "must not be after max_year, got 3")
		}
		return fault.InvalidFields([]fault.Field{{Name: "movie.title", Reason: "is required"}, {Name: "expected_etag", Reason: "is too long"}})
	})
	_, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{MinYear: ptr(int32(3))})
	if got := status.Convert(err).Message(); got != "min_year: must not be after max_year, got 3" {
		t.Errorf("list: %q", got)
	}
	_, err = w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "a"}})
	if got := status.Convert(err).Message(); got != "movie.title: is required; movie.etag: is too long" {
		t.Errorf("put: %q", got)
	}
}

// A conflict names its field as bad input does, in the spelling of this service and not in its text.
func TestConflictsNameTheField(t *testing.T) {
	w := newWorld(t, movie.Config{})
	put := func() error {
		_, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "a"}})
		return err
	}
	for name, row := range map[string]struct {
		kind        fault.Kind
		field, want string
		code        codes.Code
		call        func() error
	}{
		"put, other etag":  {fault.KindConflict, "expected_etag", "movie.etag", codes.Aborted, put},
		"put, id is taken": {fault.KindExists, "movie.external_ids.imdb", "movie.external_ids.imdb", codes.AlreadyExists, put},
		"delete, other etag": {fault.KindConflict, "expected_etag", "etag", codes.Aborted, func() error {
			_, err := w.client.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Id: "a", Etag: "e"})
			return err
		}},
	} {
		w.metadata.before.set(func(context.Context, string) error {
			return &fault.Error{Kind: row.kind, Fields: []fault.Field{{Name: row.field, Reason: "is another one"}}}
		})
		st := status.Convert(row.call())
		if st.Code() != row.code || st.Message() != row.want+": is another one" {
			t.Errorf("%s: got %v %q", name, st.Code(), st.Message())
		}
		if p := fault.ToProblem(st); len(p.Errors) != 1 || p.Errors[0].Name != row.want {
			t.Errorf("%s: details name %v, want %s", name, p.Errors, row.want)
		}
	}
}

func TestListAndLookup(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 1990, "Drama")
	w.film("b", "B", 1991, "Drama")
	w.film("c", "C", 1991, "War")
	w.metadata.set(&metadatav1.Movie{Id: "x", Title: "X", ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0000001", Movielens: "5"}})
	w.rating.set("a", 1, 5)
	w.rating.set("x", 2, 6)
	r, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{Genre: "drama", MinYear: ptr(int32(1990)), MaxYear: ptr(int32(1991)), OrderBy: "year desc", PageToken: "t"})
	if err != nil {
		t.Fatal(err)
	}
	if m := r.GetMovies(); len(m) != 2 || m[0].GetId() != "b" || m[0].GetRatingStatus() != "unrated" || m[1].GetRatingStatus() != "fresh" || r.GetNextPageToken() != "after:t" {
		t.Errorf("list: got %v", r)
	}
	for _, req := range []*moviev1.LookupMovieRequest{{ImdbId: "tt0000001"}, {MovielensId: "5"}} {
		l, err := w.client.LookupMovie(t.Context(), req)
		if err != nil || l.GetMovie().GetId() != "x" || l.GetMovie().GetRatingSummary().GetVotes() != 2 {
			t.Errorf("lookup %v: got %v, %v", req, l, err)
		}
	}
	if _, err := w.client.LookupMovie(t.Context(), &moviev1.LookupMovieRequest{TmdbId: "9"}); status.Code(err) != codes.NotFound {
		t.Errorf("lookup of an unknown id: got %v, want NOT_FOUND", err)
	}
}

func TestConfig(t *testing.T) {
	if err := movie.DefaultConfig().Validate(); err != nil {
		t.Errorf("defaults: %v", err)
	}
	for path, change := range map[string]func(*movie.Config){
		"metadata_ttl":       func(c *movie.Config) { c.MetadataTTL = -1 },
		"rating_ttl":         func(c *movie.Config) { c.RatingTTL = time.Second + 1 },
		"rating_stale_for":   func(c *movie.Config) { c.RatingStaleFor = -time.Hour },
		"cache_size":         func(c *movie.Config) { c.CacheSize = -1 },
		"stale_size":         func(c *movie.Config) { c.StaleSize = -1 },
		"metadata_timeout":   func(c *movie.Config) { c.MetadataTimeout = time.Hour },
		"rating_timeout":     func(c *movie.Config) { c.RatingTimeout = 2 * time.Second },
		"chart_timeout":      func(c *movie.Config) { c.ChartTimeout = -1 },
		"rating_retry_after": func(c *movie.Config) { c.RatingRetryAfter = time.Hour },
	} {
		cfg := movie.DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s out of range: got %v, want an error that begins with its name", path, err)
		}
	}
	// A 0 that a person wrote is out of range too; only New takes a field that is not set for its default (see newWorld).
	err := (movie.Config{}).Validate()
	for _, path := range []string{
		"metadata_ttl", "rating_ttl", "rating_stale_for", "cache_size", "stale_size",
		"metadata_timeout", "rating_timeout", "chart_timeout", "rating_retry_after",
	} {
		if err == nil || !strings.Contains("\n"+err.Error(), "\n"+path+": ") {
			t.Errorf("%s: 0 passes: %v", path, err)
		}
	}
	if _, err := movie.New(t.Context(), movie.Config{}, movie.Deps{}); err == nil {
		t.Error("a service without connections was built")
	}
}

// An error that the metadata service explains is passed on in its words: "cannot be reached" would send operators to the network.
func TestAFullDiskIsNotTheNetwork(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.metadata.before.set(func(context.Context, string) error {
		return fault.Unavailable(nil, "the catalogue's disk is full: nothing was written; the operator has to free space")
	})
	_, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "a", Title: "A"}})
	st := status.Convert(err)
	if st.Code() != codes.Unavailable || !strings.Contains(st.Message(), "disk is full") || !strings.Contains(st.Message(), "metadata service") || strings.Contains(st.Message(), "reached") {
		t.Errorf("got %v, want UNAVAILABLE about a full disk", err)
	}
}
