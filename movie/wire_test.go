package movie_test

import (
	"cmp"
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/rpc"
	"movieexample.com/movie"
)

// The two services behind the movie service are faked on the wire: real servers, real connections, tiny answers.

// hook runs inside a fake's method, before it answers; an error is the answer.
type hook struct {
	mu sync.Mutex
	f  func(ctx context.Context, method string) error
}

func (h *hook) set(f func(context.Context, string) error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.f = f
}

func (h *hook) run(ctx context.Context, method string) error {
	h.mu.Lock()
	f := h.f
	h.mu.Unlock()
	if f == nil {
		return nil
	}
	return f(ctx, method)
}

type fakeMetadata struct {
	metadatav1.UnimplementedMetadataServiceServer
	before, after hook // before and after the films are read

	mu      sync.Mutex
	films   map[string]*metadatav1.Movie
	similar []*metadatav1.ListSimilarMoviesResponse_SimilarMovie
	votes   map[string]int32
	asOf    *timestamppb.Timestamp // of the catalogue's statistics
	version fakeVersion
}

func (f *fakeMetadata) get(id string) (*metadatav1.Movie, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	m, ok := f.films[id]
	if !ok {
		return nil, false
	}
	return proto.Clone(m).(*metadatav1.Movie), true
}

func (f *fakeMetadata) set(m *metadatav1.Movie) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.films[m.GetId()] = m
	f.version.movies++
}

// remove deletes a film as another process would.
func (f *fakeMetadata) remove(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.films, id)
	f.version.movies++
}

func (f *fakeMetadata) GetMovie(ctx context.Context, r *metadatav1.GetMovieRequest) (*metadatav1.GetMovieResponse, error) {
	if err := f.before.run(ctx, "GetMovie"); err != nil {
		return nil, err
	}
	m, ok := f.get(r.GetId())
	if err := f.after.run(ctx, "GetMovie"); err != nil {
		return nil, err
	}
	if !ok {
		return nil, status.Errorf(codes.NotFound, "no movie has the id %q", r.GetId())
	}
	return &metadatav1.GetMovieResponse{Movie: m}, nil
}

func (f *fakeMetadata) PutMovie(ctx context.Context, r *metadatav1.PutMovieRequest) (*metadatav1.PutMovieResponse, error) {
	if err := f.before.run(ctx, "PutMovie"); err != nil {
		return nil, err
	}
	m := proto.Clone(r.GetMovie()).(*metadatav1.Movie)
	if old, ok := f.get(m.GetId()); ok && r.GetExpectedEtag() != "" && r.GetExpectedEtag() != old.GetEtag() {
		return nil, status.Error(codes.Aborted, "the movie changed meanwhile")
	}
	m.Etag = "etag of " + m.GetTitle()
	f.set(m)
	return &metadatav1.PutMovieResponse{Movie: m}, nil
}

func (f *fakeMetadata) DeleteMovie(ctx context.Context, r *metadatav1.DeleteMovieRequest) (*metadatav1.DeleteMovieResponse, error) {
	f.remove(r.GetId())
	return &metadatav1.DeleteMovieResponse{}, f.before.run(ctx, "DeleteMovie")
}

func (f *fakeMetadata) LookupMovie(_ context.Context, r *metadatav1.LookupMovieRequest) (*metadatav1.LookupMovieResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.films {
		if x := m.GetExternalIds(); r.GetImdbId() != "" && x.GetImdb() == r.GetImdbId() || r.GetMovielensId() != "" && x.GetMovielens() == r.GetMovielensId() {
			return &metadatav1.LookupMovieResponse{Movie: m}, nil
		}
	}
	return nil, status.Error(codes.NotFound, "no movie has that id elsewhere")
}

func (f *fakeMetadata) matches(m *metadatav1.Movie, by *metadatav1.MovieFilter) bool {
	return (by.GetGenre() == "" || slices.ContainsFunc(m.GetGenres(), func(g string) bool { return strings.EqualFold(g, by.GetGenre()) })) &&
		(by == nil || by.MinYear == nil || m.GetYear() >= by.GetMinYear()) && (by == nil || by.MaxYear == nil || m.GetYear() <= by.GetMaxYear())
}

func (f *fakeMetadata) ListMovies(ctx context.Context, r *metadatav1.ListMoviesRequest) (*metadatav1.ListMoviesResponse, error) {
	if err := f.before.run(ctx, "ListMovies"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &metadatav1.ListMoviesResponse{NextPageToken: "after:" + r.GetPageToken()}
	for _, m := range f.films {
		if f.matches(m, r.GetFilter()) && len(resp.Movies) < int(r.GetPageSize()) {
			resp.Movies = append(resp.Movies, m)
		}
	}
	slices.SortFunc(resp.Movies, func(a, b *metadatav1.Movie) int { return strings.Compare(a.GetId(), b.GetId()) })
	f.mu.Unlock()
	err := f.after.run(ctx, "ListMovies")
	f.mu.Lock()
	if err != nil {
		return nil, err
	}
	if r.GetOrder() == metadatav1.MovieOrder_MOVIE_ORDER_YEAR_DESC {
		slices.Reverse(resp.Movies)
	}
	return resp, nil
}

func (f *fakeMetadata) BatchGetMovies(ctx context.Context, r *metadatav1.BatchGetMoviesRequest) (*metadatav1.BatchGetMoviesResponse, error) {
	if err := f.before.run(ctx, "BatchGetMovies"); err != nil {
		return nil, err
	}
	resp := &metadatav1.BatchGetMoviesResponse{}
	for _, id := range r.GetIds() {
		if m, ok := f.get(id); ok {
			resp.Movies = append(resp.Movies, m)
		} else {
			resp.MissingIds = append(resp.MissingIds, id)
		}
	}
	return resp, nil
}

func (f *fakeMetadata) SelectMovies(ctx context.Context, r *metadatav1.SelectMoviesRequest) (*metadatav1.SelectMoviesResponse, error) {
	if err := f.before.run(ctx, "SelectMovies"); err != nil {
		return nil, err
	}
	if n := len(r.GetIds()); n < 1 || n > 5000 {
		return nil, status.Errorf(codes.InvalidArgument, "ids: must be 1 to 5,000, got %d", n)
	}
	resp := &metadatav1.SelectMoviesResponse{}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, id := range r.GetIds() {
		if m, ok := f.films[id]; ok && f.matches(m, r.GetFilter()) {
			resp.Matches = append(resp.Matches, &metadatav1.SelectMoviesResponse_Match{Id: id, Title: m.GetTitle(), SortKey: sortKey(m.GetTitle())})
		}
	}
	return resp, nil
}

// sortKey is the fake's: as the metadata service does, it knows more of titles than their letters.
func sortKey(title string) string { return strings.TrimPrefix(strings.ToLower(title), "the ") }

type fakeRating struct {
	ratingv1.UnimplementedRatingServiceServer
	before hook

	mu        sync.Mutex
	summaries map[string]*ratingv1.RatingSummary
	ranked    []*ratingv1.RatingSummary // nil: not ranked since the last change

	asOf, usersAsOf *timestamppb.Timestamp // of the totals
	noDigest        bool                   // the totals have none, as in earlier releases
}

func (f *fakeRating) set(id string, votes int32, mean float64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ranked = nil
	f.summaries[id] = &ratingv1.RatingSummary{
		RecordType: "movie", RecordId: id, Votes: votes, Mean: mean, Weighted: mean - 0.5,
		Histogram: make([]int32, 10), AsOfTime: timestamppb.New(time.Unix(1_700_000_000, 0)),
	}
}

func (f *fakeRating) GetRatingSummary(ctx context.Context, r *ratingv1.GetRatingSummaryRequest) (*ratingv1.GetRatingSummaryResponse, error) {
	if err := f.before.run(ctx, "GetRatingSummary"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	s, ok := f.summaries[r.GetRecordId()]
	if !ok || r.GetRecordType() != "movie" {
		return nil, status.Error(codes.NotFound, "no ratings")
	}
	return &ratingv1.GetRatingSummaryResponse{Summary: s}, nil
}

func (f *fakeRating) BatchGetRatingSummaries(ctx context.Context, r *ratingv1.BatchGetRatingSummariesRequest) (*ratingv1.BatchGetRatingSummariesResponse, error) {
	if err := f.before.run(ctx, "BatchGetRatingSummaries"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	resp := &ratingv1.BatchGetRatingSummariesResponse{}
	for _, id := range r.GetRecordIds() {
		if s, ok := f.summaries[id]; ok {
			resp.Summaries = append(resp.Summaries, s)
		}
	}
	return resp, nil
}

// ListChart ranks by votes whatever the chart, in the way rating.proto says. It completes a group by at most 100 entries,
// so that a test needs few films to see a group in pieces.
func (f *fakeRating) ListChart(ctx context.Context, r *ratingv1.ListChartRequest) (*ratingv1.ListChartResponse, error) {
	if err := f.before.run(ctx, "ListChart"); err != nil {
		return nil, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.ranked == nil {
		for _, s := range f.summaries {
			f.ranked = append(f.ranked, s)
		}
		slices.SortFunc(f.ranked, func(a, b *ratingv1.RatingSummary) int {
			return cmp.Or(cmp.Compare(b.GetVotes(), a.GetVotes()), strings.Compare(a.GetRecordId(), b.GetRecordId()))
		})
	}
	all := f.ranked
	if p := r.GetStart(); p != nil {
		from := slices.IndexFunc(all, func(s *ratingv1.RatingSummary) bool {
			return s.GetVotes() < p.GetVotes() || s.GetVotes() == p.GetVotes() && s.GetRecordId() > p.GetAfterRecordId()
		})
		if from < 0 {
			from = len(all)
		}
		all = all[from:]
	}
	const most, more = 5000, 100
	end := min(int(r.GetPageSize()), most, len(all))
	for limit := end + more; end > 0 && end < min(limit, len(all)) && all[end].GetVotes() == all[end-1].GetVotes(); {
		end++
	}
	resp := &ratingv1.ListChartResponse{MinVotes: 25, GlobalMean: 7, AsOfTime: timestamppb.New(time.Unix(1_700_000_000, 0))}
	for _, s := range all[:end] {
		resp.Entries = append(resp.Entries, &ratingv1.ListChartResponse_Entry{Score: float64(s.GetVotes()), SortKey: float64(s.GetVotes()), Summary: s})
	}
	if end < len(all) {
		v := all[end].GetVotes()
		resp.Next = &ratingv1.ChartPosition{SortKey: float64(v), Votes: v}
		if end > 0 && all[end-1].GetVotes() == v {
			resp.Next.AfterRecordId = all[end-1].GetRecordId()
		}
	}
	return resp, nil
}

// counted is a connection that counts the calls made over it.
type counted struct {
	grpc.ClientConnInterface
	mu       sync.Mutex
	calls    map[string]int
	versions int
}

func (c *counted) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	c.mu.Lock()
	if name := method[strings.LastIndexByte(method, '/')+1:]; name == "GetCatalogueVersion" {
		c.versions++ // by time and not by request: counted apart
	} else {
		c.calls[name]++
	}
	c.mu.Unlock()
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

func (c *counted) count(method string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.calls[method]
}

// take returns the counts and resets them.
func (c *counted) take() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	calls := c.calls
	c.calls = map[string]int{}
	return calls
}

// world is a movie service between its callers and the fakes.
type world struct {
	metadata     *fakeMetadata
	rating       *fakeRating
	metadataConn *counted
	ratingConn   *counted
	service      *movie.Service
	client       moviev1.MovieServiceClient
	book         book.MovieServiceClient

	log      lines
	occupied int // times

	mu  sync.Mutex
	now time.Time
}

// lines is a log that can be read while it is written.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

// with counts the lines that contain the text.
func (l *lines) with(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	n := 0
	for line := range strings.Lines(l.text.String()) {
		if strings.Contains(line, text) {
			n++
		}
	}
	return n
}

func (w *world) advance(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func newWorld(t testing.TB, cfg movie.Config) *world {
	t.Helper()
	return newWorldWith(t, cfg, nil)
}

// newWorldWith is newWorld with metrics, which may be nil.
func newWorldWith(t testing.TB, cfg movie.Config, metrics prometheus.Registerer) *world {
	t.Helper()
	w := &world{
		metadata: &fakeMetadata{films: map[string]*metadatav1.Movie{}, votes: map[string]int32{}},
		rating:   &fakeRating{summaries: map[string]*ratingv1.RatingSummary{}},
		now:      time.Unix(1_700_000_000, 0),
	}
	serve := func(register func(grpc.ServiceRegistrar)) grpc.ClientConnInterface {
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
	w.metadataConn = &counted{calls: map[string]int{}, ClientConnInterface: serve(func(r grpc.ServiceRegistrar) {
		metadatav1.RegisterMetadataServiceServer(r, w.metadata)
	})}
	w.ratingConn = &counted{calls: map[string]int{}, ClientConnInterface: serve(func(r grpc.ServiceRegistrar) {
		ratingv1.RegisterRatingServiceServer(r, w.rating)
	})}
	var err error
	w.service, err = movie.New(t.Context(), cfg, movie.Deps{
		Logger: slog.New(slog.NewTextHandler(&w.log, nil)), Metadata: w.metadataConn, Rating: w.ratingConn, Now: w.clock, Metrics: metrics,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := w.service.Close(); err != nil {
			t.Error(err)
		}
	})
	conn := serve(w.service.Register)
	w.client, w.book = moviev1.NewMovieServiceClient(conn), book.NewMovieServiceClient(conn)
	return w
}

// film puts a film into the fake catalogue.
func (w *world) film(id, title string, year int32, genres ...string) {
	w.metadata.set(&metadatav1.Movie{Id: id, Title: title, Year: &year, Genres: genres, Etag: "etag of " + title, Director: "D", Description: "About " + title})
}

func (w *world) get(t testing.TB, id string) *moviev1.Movie {
	t.Helper()
	r, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: id})
	if err != nil {
		t.Fatalf("get %q: %v", id, err)
	}
	return r.GetMovie()
}
