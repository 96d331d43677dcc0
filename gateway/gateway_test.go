package gateway_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

var update = flag.Bool("update", false, "write the golden files")

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
		return &moviev1.GetMovieResponse{Movie: &moviev1.Movie{Id: "bare", Title: "Bare", RatingStatus: "unrated"}}, nil
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
	switch r.GetMovie().GetTitle() {
	case "":
		return nil, fault.InvalidFields([]fault.Field{
			{Name: "movie.title", Reason: "is required: 1 to 500 characters"},
			{Name: "movie.external_ids.imdb", Reason: `must be "tt" and at least seven digits, got "x"`},
			{Name: "movie.alternative_titles[0]", Reason: "must not be empty"},
		})
	case "Old":
		return nil, fault.Conflict("the movie %q changed meanwhile: its etag is not %q", r.GetMovie().GetId(), r.GetMovie().GetEtag())
	}
	return &moviev1.PutMovieResponse{Movie: r.GetMovie()}, nil
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

func newGateway(t testing.TB, cfg gateway.Config, movie moviev1.MovieServiceServer, change func(*gateway.Deps)) *gateway.Service {
	t.Helper()
	deps := gateway.Deps{
		Movie:     inProcess(t, func(r grpc.ServiceRegistrar) { moviev1.RegisterMovieServiceServer(r, movie) }),
		Rating:    inProcess(t, func(r grpc.ServiceRegistrar) { ratingv1.RegisterRatingServiceServer(r, fakeRating{}) }),
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

// request is one row of the contract: what is sent.
type request struct {
	method, path, body string
	header             map[string]string
}

// do sends a request as written: the path is not cleaned or encoded again.
func do(t testing.TB, base string, q request) *http.Response {
	t.Helper()
	var body io.Reader
	if q.body != "" {
		body = strings.NewReader(q.body)
	}
	r, err := http.NewRequestWithContext(t.Context(), q.method, base+q.path, body)
	if err != nil {
		t.Fatal(err)
	}
	for k, v := range q.header {
		r.Header.Set(k, v)
	}
	resp, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { resp.Body.Close() })
	return resp
}

// shown is an answer as the golden file has it.
func shown(t testing.TB, q request, resp *http.Response) string {
	t.Helper()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "## %s %s", q.method, q.path)
	for k, v := range q.header {
		if k != "X-Request-Id" {
			fmt.Fprintf(&b, " [%s: %s]", k, v)
		}
	}
	if q.body != "" {
		fmt.Fprintf(&b, " %.200s", strings.ReplaceAll(q.body, "\n", "\\n"))
	}
	fmt.Fprintf(&b, "\n%d", resp.StatusCode)
	for _, k := range []string{"Content-Type", "Cache-Control", "Allow", "Retry-After"} {
		if v := resp.Header.Get(k); v != "" {
			fmt.Fprintf(&b, " %s: %s;", k, v)
		}
	}
	b.WriteByte('\n')
	var pretty bytes.Buffer
	if len(body) > 0 && json.Indent(&pretty, body, "", "  ") == nil {
		body = bytes.TrimSpace(pretty.Bytes())
	}
	b.Write(body)
	b.WriteString("\n\n")
	return b.String()
}

// TestContract sends every kind of request, good and bad, and compares the answers byte by byte with the golden file.
// After a wanted change: go test ./gateway -run Contract -update, then review the file like code.
func TestContract(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{}, &fakeMovie{}, nil).Handler())
	t.Cleanup(server.Close)
	var all strings.Builder
	for _, section := range contract() {
		fmt.Fprintf(&all, "# %s\n\n", section.title)
		for _, q := range section.requests {
			if q.header == nil {
				q.header = map[string]string{}
			}
			q.header["X-Request-Id"] = "test"
			all.WriteString(shown(t, q, do(t, server.URL, q)))
		}
	}
	const file = "testdata/contract.golden"
	if *update {
		if err := os.WriteFile(file, []byte(all.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(all.String(), "\n")); diff != "" {
		t.Errorf("answers differ from %s (-golden +now):\n%s", file, diff)
	}
}

type section struct {
	title    string
	requests []request
}

func contract() []section {
	const films = "/v1/movies"
	put := func(body string) request { return request{method: "PUT", path: films + "/a", body: body} }
	get := func(path string) request { return request{method: "GET", path: path} }
	return []section{
		{"Good requests", []request{
			get(films + "/tt0111161"),
			get(films + "/bare"),
			put(`{"title":"T","year":1999,"genres":["Drama"],"externalIds":{"imdb":"tt0000001"},"etag":"v1","runtime_minutes":90}`),
			put(` {"id":"a","title":"null and text","year":null,"genres":null,"runtimeMinutes":"90","ratingStatus":"fresh","ratingSummary":{"mean":5,"histogram":[1,2],"asOfTime":"2026-01-02T03:04:05Z"}} `),
			{method: "DELETE", path: films + "/a"},
			{method: "DELETE", path: films + "/a?etag=v1"},
			get(films),
			get(films + "?genre=Science%20Fiction&minYear=1990&max_year=1999&orderBy=year+desc&page_size=5000"),
			get(films + ":lookup?imdb_id=tt0111161"),
			get(films + ":lookup?movielensId=318"),
			{method: "POST", path: films + ":batchGet", body: `{"ids":["a","b"]}`, header: map[string]string{"Content-Type": "application/json; charset=utf-8"}},
			get("/v1/charts/top?decade=1990&genre=Drama"),
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": "9", "userId": "u"}`},
			get("/v1/records/movie/a/ratings/u"),
			{method: "DELETE", path: "/v1/records/movie/a/ratings/u"},
			get("/v1/records/movie/a/ratingSummary"),
			get("/v1/users/u/ratings?recordType=movie"),
			{method: "HEAD", path: films + "/a"},
			{method: "OPTIONS", path: films + "/a"},
			get("/favicon.ico"),
		}},
		{"Ids", []request{
			get(films + "/a:b"),
			get(films + "/a%2Fb"),
			get(films + "/a%252Fb"),
			get(films + "/a%20b+c"),
			get(films + "/%C3%A9t%C3%A9"),
			get(films + "/.."),
			get(films + "/%ff"),
		}},
		{"What a service says", []request{
			get(films + "/missing"),
			get(films + "/down"),
			get(films + "/broken"),
			get(films + "/panic"),
			get(films + "?page_size=-1"),
			put(`{}`),
			put(`{"title":"Old","etag":"v0"}`),
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 11}`},
			get("/v1/records/movie/a/ratings"),
		}},
		{"Routes and methods", []request{
			get("/v1/films"),
			get(films + "/"),
			get(films + "/a/b"),
			get("/v2/movies/a"),
			get(films + ":frobnicate"),
			{method: "POST", path: films + "/a", body: "{}"},
			{method: "POST", path: films + "/a", body: "{}", header: map[string]string{"X-HTTP-Method-Override": "GET"}},
			{method: "PATCH", path: films},
			{method: "GET", path: films + ":batchGet"},
			{method: "POST", path: "/"},
			{method: "BREW", path: films},
		}},
		{"Query parameters", []request{
			get(films + "?colour=red"),
			get(films + "/a?verbose=1"),
			get(films + "?min_year=nineteen"),
			get(films + "?minYear="),
			get(films + "?page_size=99999999999"),
			get(films + "?genre=Drama&genre=War"),
			get(films + "?page_size=1&pageSize=2"),
			get(films + "?genre=%ff"),
			get(films + "?genre=%zz"),
			get(films + "?genre=a;b"),
			get(films + "/a?id=b"),
			get("/v1/charts/top?decade=1990.5"),
			{method: "PUT", path: films + "/a?etag=v1", body: `{"title":"T"}`},
		}},
		{"Bodies", []request{
			put(``),
			put(" \n "),
			put(`{"title":"T","colour":"red","externalIds":{"letterboxd":"x"}}`),
			put(`{"title":5,"year":"next","genres":"Drama","externalIds":[],"runtimeMinutes":1.5,"ratingSummary":{"asOfTime":"yesterday","mean":"high"}}`),
			put(`{"title":"T","genres":["Drama",7,null,["x"]]}`),
			put(`{"title":"T","title":"U","original_title":"a","originalTitle":"b"}`),
			put(`{"id":"b","title":"T"}`),
			put(`{"year":3000000000}`),
			put("{\n  \"title\": \"T\",\n  \"year\": 1999,\n}"),
			put(`{"title":"T"`),
			put(`{"title":"T"} {}`),
			put(`{"title":"T"}x`),
			put(`["a"]`),
			put(`null`),
			put(`"a"`),
			put("{\"title\":\"\xff\"}"),
			put(`{"title":"` + strings.Repeat("x", gateway.MaxBody) + `"}`),
			{method: "PUT", path: films + "/a", body: `title=T`, header: map[string]string{"Content-Type": "application/x-www-form-urlencoded"}},
			{method: "PUT", path: films + "/a", body: `{"title":"T"}`, header: map[string]string{"Content-Type": "application/json; charset=latin1"}},
			{method: "PUT", path: films + "/a", body: `{"title":"T"}`, header: map[string]string{"Content-Encoding": "gzip"}},
			{method: "GET", path: films + "/a", body: `{}`},
			{method: "DELETE", path: films + "/a", body: `{}`},
			{method: "POST", path: films + ":batchGet", body: `{"ids":"a"}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9, "userId": "v", "stars": 3}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": 9.5}`},
			{method: "PUT", path: "/v1/records/movie/a/ratings/u", body: `{"value": [[{}, null]]}`},
		}},
	}
}

func TestFrontPage(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{}, &fakeMovie{}, nil).Handler())
	t.Cleanup(server.Close)
	resp := do(t, server.URL, request{method: "GET", path: "/"})
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`<html lang="en">`, "<title>", `name="viewport"`, "/v1/charts/{chart}", `href="/v1/movies"`,
		"/v1/records/{recordType}/{recordId}/ratings/{userId}", "metadata (gRPC)", "127.0.0.1:8081", "127.0.0.1:9092", "docs/",
	} {
		if !bytes.Contains(body, []byte(want)) {
			t.Errorf("the front page does not have %q", want)
		}
	}
	for header, want := range map[string]string{
		"Content-Type":            "text/html; charset=utf-8",
		"Content-Security-Policy": "default-src 'none'; style-src 'sha256-",
		"X-Content-Type-Options":  "nosniff",
		"Referrer-Policy":         "no-referrer",
	} {
		if got := resp.Header.Get(header); !strings.HasPrefix(got, want) {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	// Every example on the page is a request that this gateway takes.
	for _, part := range strings.Split(string(body), `href="`)[1:] {
		path, _, _ := strings.Cut(part, `"`)
		path = strings.ReplaceAll(path, "&amp;", "&")
		if resp := do(t, server.URL, request{method: "GET", path: path}); resp.StatusCode != http.StatusOK {
			t.Errorf("example %s answers %d", path, resp.StatusCode)
		}
	}
}

func TestRequestID(t *testing.T) {
	movie := &fakeMovie{}
	server := httptest.NewServer(newGateway(t, gateway.Config{}, movie, nil).Handler())
	t.Cleanup(server.Close)
	for _, c := range []struct {
		sent  string
		taken bool
	}{
		{"", false},
		{"client.7_x-Y", true},
		{strings.Repeat("x", 64), true},
		{strings.Repeat("x", 65), false},
		{"with space", false},
		{"x;y", false},
	} {
		resp := do(t, server.URL, request{method: "GET", path: "/v1/movies/a", header: map[string]string{"X-Request-Id": c.sent}})
		got := resp.Header.Get("X-Request-Id")
		if got == "" || (got == c.sent) != c.taken {
			t.Errorf("sent %q: answered %q, want it taken over: %v", c.sent, got, c.taken)
		}
		if _, id := movie.last(); id != got {
			t.Errorf("the service saw the request id %q, the client %q", id, got)
		}
	}
	resp := do(t, server.URL, request{method: "GET", path: "/nothing"})
	var p fault.Problem
	if err := json.NewDecoder(resp.Body).Decode(&p); err != nil || p.RequestID == "" || p.RequestID != resp.Header.Get("X-Request-Id") {
		t.Errorf("problem has the request id %q, the header %q (%v)", p.RequestID, resp.Header.Get("X-Request-Id"), err)
	}
}

func TestRequestTimeout(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{RequestTimeout: 20 * time.Millisecond}, &fakeMovie{}, nil).Handler())
	t.Cleanup(server.Close)
	resp := do(t, server.URL, request{method: "GET", path: "/v1/movies/slow", header: map[string]string{"Grpc-Timeout": "1H"}})
	if resp.StatusCode != http.StatusGatewayTimeout || resp.Header.Get("Content-Type") != fault.ProblemType {
		t.Errorf("status %d, %s; want 504 and a problem", resp.StatusCode, resp.Header.Get("Content-Type"))
	}
}

// Strictness must not depend on the transfer: a body of unknown length is limited and refused like one of known length.
func TestChunkedBodies(t *testing.T) {
	server := httptest.NewServer(newGateway(t, gateway.Config{}, &fakeMovie{}, nil).Handler())
	t.Cleanup(server.Close)
	for _, c := range []struct {
		method, body string
		want         int
	}{
		{"PUT", `{"title":"T"}`, http.StatusOK},
		{"PUT", `{"title":"` + strings.Repeat("x", gateway.MaxBody) + `"}`, http.StatusRequestEntityTooLarge},
		{"GET", `{}`, http.StatusBadRequest},
	} {
		r, err := http.NewRequestWithContext(t.Context(), c.method, server.URL+"/v1/movies/a", io.MultiReader(strings.NewReader(c.body)))
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultTransport.RoundTrip(r)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != c.want {
			t.Errorf("%s with a chunked body of %d bytes: %d, want %d", c.method, len(c.body), resp.StatusCode, c.want)
		}
	}
}

// lines is a log that a test can read while it is written.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func TestServeLogsAndShutsDown(t *testing.T) {
	var log lines
	g := newGateway(t, gateway.Config{}, &fakeMovie{}, func(d *gateway.Deps) {
		d.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	})
	l := listen(t)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	base := "http://" + l.Addr().String()
	do(t, base, request{method: "GET", path: "/v1/movies/missing", header: map[string]string{"X-Request-Id": "find-me"}})
	do(t, base, request{method: "GET", path: "/v1/movies/a"})
	http.DefaultTransport.(*http.Transport).CloseIdleConnections()
	if err := g.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := <-served; err != nil {
		t.Fatal(err)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	text := log.buf.String()
	if n := strings.Count(text, "msg=request"); n != 2 {
		t.Errorf("%d lines for 2 requests:\n%s", n, text)
	}
	for _, want := range []string{"level=INFO", "route=/v1/movies/{id}", "status=404", "request_id=find-me", `problem="no movie has`} {
		if !strings.Contains(text, want) {
			t.Errorf("the log does not have %q:\n%s", want, text)
		}
	}
}

// panicking is a connection whose calls panic in the gateway's own goroutine.
type panicking struct{ grpc.ClientConnInterface }

func (panicking) Invoke(context.Context, string, any, any, ...grpc.CallOption) error {
	panic("a secret")
}

func TestPanicIsAProblem(t *testing.T) {
	var log lines
	g := newGateway(t, gateway.Config{}, &fakeMovie{}, func(d *gateway.Deps) {
		d.Movie = panicking{}
		d.Logger = slog.New(slog.NewTextHandler(&log, nil))
	})
	w := httptest.NewRecorder()
	g.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/movies/a", nil))
	if w.Code != http.StatusInternalServerError || strings.Contains(w.Body.String(), "secret") || w.Header().Get("Content-Type") != fault.ProblemType {
		t.Errorf("got %d %s, want a problem that keeps the secret", w.Code, w.Body)
	}
	if !strings.Contains(log.buf.String(), "a secret") || !strings.Contains(log.buf.String(), "status=500") {
		t.Errorf("the log does not have the panic and the request:\n%s", log.buf.String())
	}
}

// Series are per route and status, whatever paths and methods clients think of.
func TestMetrics(t *testing.T) {
	registry := prometheus.NewRegistry()
	h := newGateway(t, gateway.Config{}, &fakeMovie{}, func(d *gateway.Deps) { d.Metrics = registry }).Handler()
	for _, q := range []request{
		{method: "GET", path: "/v1/movies/a"},
		{method: "GET", path: "/v1/movies/b"},
		{method: "GET", path: "/v1/movies/missing"},
		{method: "GET", path: "/one"},
		{method: "BREW", path: "/two"},
	} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequestWithContext(t.Context(), q.method, q.path, nil))
	}
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP http_server_requests_total Requests answered, by route and HTTP status.
# TYPE http_server_requests_total counter
http_server_requests_total{method="",route="other",status="404"} 2
http_server_requests_total{method="GET",route="/v1/movies/{id}",status="200"} 2
http_server_requests_total{method="GET",route="/v1/movies/{id}",status="404"} 1
`), "http_server_requests_total")
	if err != nil {
		t.Error(err)
	}
}

func TestConfig(t *testing.T) {
	if err := (gateway.Config{}).Validate(); err != nil {
		t.Errorf("zero value: %v", err)
	}
	for path, change := range map[string]func(*gateway.Config){
		"request_timeout": func(c *gateway.Config) { c.RequestTimeout = -1 },
		"read_timeout":    func(c *gateway.Config) { c.ReadTimeout = time.Hour },
		"idle_timeout":    func(c *gateway.Config) { c.IdleTimeout = 2 * time.Hour },
	} {
		cfg := gateway.DefaultConfig()
		change(&cfg)
		if err := cfg.Validate(); err == nil || !strings.HasPrefix(err.Error(), path+": ") {
			t.Errorf("%s out of range: got %v, want an error that begins with its name", path, err)
		}
	}
	if _, err := gateway.New(t.Context(), gateway.Config{}, gateway.Deps{}); err == nil {
		t.Error("a gateway without connections was built")
	}
}
