package gateway_test

import (
	"context"
	"maps"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// votes is a rating service that counts, and a movie service before it that keeps what it read, as the real one does for
// half a second, unless the caller says that numbers read so early will not do.
type votes struct {
	now   func() time.Time
	fail  error // of writes, which are made nevertheless
	mu    sync.Mutex
	count map[string]int32
	kept  map[string]reading
	asked map[string][]string // the values of x-read-after, by method
	films map[string][]string // those of x-film-read-after
}

type reading struct {
	votes int32
	at    time.Time
}

func newVotes(now func() time.Time) *votes {
	return &votes{now: now, count: map[string]int32{}, kept: map[string]reading{}, asked: map[string][]string{}, films: map[string][]string{}}
}

func (v *votes) add(id string, n int32) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.count[id] += n
	return v.fail
}

// standing is how often a film was rated when it was last read.
func (v *votes) standing(ctx context.Context, method string, ids ...string) map[string]int32 {
	v.mu.Lock()
	defer v.mu.Unlock()
	var after time.Time
	md, _ := metadata.FromIncomingContext(ctx)
	if values := md["x-film-read-after"]; len(values) > 0 {
		v.films[method] = append(v.films[method], values...)
	}
	if len(md["x-read-after"]) > 0 {
		v.asked[method] = append(v.asked[method], md["x-read-after"]...)
		if µs, err := strconv.ParseInt(md["x-read-after"][0], 10, 64); err == nil {
			after = time.UnixMicro(µs)
		}
	}
	found := map[string]int32{}
	for _, id := range ids {
		r, ok := v.kept[id]
		if !ok || r.at.Before(after) {
			r = reading{v.count[id], v.now()}
			v.kept[id] = r
		}
		found[id] = r.votes
	}
	return found
}

// votesMovie and votesRating are the two services; both have methods of the same names.
type (
	votesMovie struct {
		fakeMovie
		*votes
	}
	votesRating struct {
		fakeRating
		*votes
	}
)

func (m *votesMovie) film(id string, votes int32) *moviev1.Movie {
	f := film(id)
	f.RatingSummary.Votes = votes
	return f
}

func (m *votesMovie) GetMovie(ctx context.Context, r *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	return &moviev1.GetMovieResponse{Movie: m.film(r.GetId(), m.standing(ctx, "GetMovie", r.GetId())[r.GetId()])}, nil
}

func (m *votesMovie) PutMovie(ctx context.Context, r *moviev1.PutMovieRequest) (*moviev1.PutMovieResponse, error) {
	id := r.GetMovie().GetId()
	return &moviev1.PutMovieResponse{Movie: m.film(id, m.standing(ctx, "PutMovie", id)[id])}, m.fail
}

func (m *votesMovie) DeleteMovie(ctx context.Context, r *moviev1.DeleteMovieRequest) (*moviev1.DeleteMovieResponse, error) {
	m.standing(ctx, "DeleteMovie", r.GetId())
	return m.fakeMovie.DeleteMovie(ctx, r)
}

func (m *votesMovie) BatchGetMovies(ctx context.Context, r *moviev1.BatchGetMoviesRequest) (*moviev1.BatchGetMoviesResponse, error) {
	answer := &moviev1.BatchGetMoviesResponse{}
	found := m.standing(ctx, "BatchGetMovies", r.GetIds()...)
	for _, id := range r.GetIds() {
		answer.Movies = append(answer.Movies, m.film(id, found[id]))
	}
	return answer, nil
}

func (m *votesMovie) ListSimilarMovies(ctx context.Context, r *moviev1.ListSimilarMoviesRequest) (*moviev1.ListSimilarMoviesResponse, error) {
	m.standing(ctx, "ListSimilarMovies", r.GetId())
	return m.fakeMovie.ListSimilarMovies(ctx, r)
}

func (m *votesMovie) ListMovies(ctx context.Context, r *moviev1.ListMoviesRequest) (*moviev1.ListMoviesResponse, error) {
	m.standing(ctx, "ListMovies")
	return m.fakeMovie.ListMovies(ctx, r)
}

func (m *votesMovie) LookupMovie(ctx context.Context, r *moviev1.LookupMovieRequest) (*moviev1.LookupMovieResponse, error) {
	m.standing(ctx, "LookupMovie")
	return m.fakeMovie.LookupMovie(ctx, r)
}

func (v votesRating) PutRating(ctx context.Context, r *ratingv1.PutRatingRequest) (*ratingv1.PutRatingResponse, error) {
	if err := v.add(r.GetRecordId(), 1); err != nil {
		return nil, err
	}
	return v.fakeRating.PutRating(ctx, r)
}

func (v votesRating) DeleteRating(ctx context.Context, r *ratingv1.DeleteRatingRequest) (*ratingv1.DeleteRatingResponse, error) {
	if err := v.add(r.GetRecordId(), -1); err != nil {
		return nil, err
	}
	return v.fakeRating.DeleteRating(ctx, r)
}

// rated returns a gateway before such services, and its clock.
func rated(t *testing.T, cfg gateway.Config) (b *browser, v *votes, pass func(time.Duration)) {
	t.Helper()
	var mu sync.Mutex
	now := time.Date(2026, 5, 6, 7, 8, 9, 123_456_000, time.UTC)
	clock := func() time.Time {
		mu.Lock()
		defer mu.Unlock()
		return now
	}
	v = newVotes(clock)
	b = &browser{t: t, h: newGatewayWith(t, &cfg, &votesMovie{votes: v}, func(d *gateway.Deps) {
		d.Rating = inProcess(t, "rating", func(r grpc.ServiceRegistrar) { ratingv1.RegisterRatingServiceServer(r, votesRating{votes: v}) })
		d.Now = clock
	}).Handler()}
	return b, v, func(d time.Duration) {
		mu.Lock()
		defer mu.Unlock()
		now = now.Add(d)
	}
}

// A client that rates a film sees it in the next read, despite all caches: in the API, with the old tag too, and on the film's page.
func TestOwnRatingsAreSeen(t *testing.T) {
	for name, cfg := range map[string]gateway.Config{"answers kept": gateway.DefaultConfig(), "none kept": {}} {
		t.Run(name, func(t *testing.T) {
			b, _, pass := rated(t, cfg)
			first := b.ask("GET", "/v1/movies/a", "")
			b.want(first, 200, `"votes":0`)
			b.want(b.ask("GET", "/movies/a", "", browserAccept), 200)
			pass(time.Millisecond)
			b.want(b.ask("PUT", "/v1/records/movie/a/ratings/u", `{"value":9}`), 200)
			b.want(b.ask("GET", "/v1/movies/a", "", "If-None-Match: "+first.Header().Get("ETag")), 200, `"votes":1`)
			b.want(b.ask("GET", "/movies/a", "", browserAccept), 200, "1 rating")
			b.want(b.ask("POST", "/v1/movies:batchGet", `{"ids":["b","a"]}`), 200, `"votes":1`)
			pass(time.Millisecond)
			b.want(b.ask("PUT", "/v1/records/movie/a/ratings/v", `{"value":9}`), 200)
			b.want(b.ask("PUT", "/v1/movies/a", `{"title":"T"}`), 200, `"votes":2`)
			pass(time.Millisecond)
			b.want(b.ask("DELETE", "/v1/records/movie/a/ratings/u", ""), 200)
			b.want(b.ask("GET", "/v1/movies/a", ""), 200, `"votes":1`)
		})
	}
}

// For two seconds after a write, calls that name the film carry the time after the write; other calls do not.
func TestReadAfter(t *testing.T) {
	b, v, pass := rated(t, gateway.Config{})
	reads := func() {
		t.Helper()
		b.want(b.ask("GET", "/v1/movies/a", ""), 200)
		b.want(b.ask("GET", "/v1/movies/a/similar", ""), 200)
		b.want(b.ask("POST", "/v1/movies:batchGet", `{"ids":["b","a","c"]}`), 200)
	}
	want := func(method string, values ...string) {
		t.Helper()
		v.mu.Lock()
		defer v.mu.Unlock()
		got := v.asked[method]
		delete(v.asked, method)
		if len(got) != len(values) {
			t.Fatalf("%s was sent x-read-after %q, want %q", method, got, values)
		}
		for i := range got {
			if got[i] != values[i] {
				t.Errorf("%s was sent x-read-after %q, want %q", method, got, values)
			}
		}
	}
	reads()
	for _, method := range []string{"GetMovie", "ListSimilarMovies", "BatchGetMovies"} {
		want(method)
	}
	b.want(b.ask("PUT", "/v1/records/movie/a/ratings/u", `{"value":9}`), 200)
	b.want(b.ask("PUT", "/v1/records/song/s/ratings/u", `{"value":9}`), 200)
	b.want(b.ask("GET", "/v1/movies/s", ""), 200)
	b.want(b.ask("GET", "/v1/movies/b", ""), 200)
	b.want(b.ask("GET", "/v1/movies", ""), 200)
	want("GetMovie")
	want("ListMovies")
	pass(2*time.Second - time.Microsecond)
	reads()
	for _, method := range []string{"GetMovie", "ListSimilarMovies", "BatchGetMovies"} {
		want(method, "1778051289123456")
	}
	pass(time.Microsecond)
	reads()
	for _, method := range []string{"GetMovie", "ListSimilarMovies", "BatchGetMovies"} {
		want(method)
	}
	// A write that failed may have been made.
	v.fail = context.DeadlineExceeded
	b.want(b.ask("DELETE", "/v1/records/movie/a/ratings/u", ""), http.StatusGatewayTimeout)
	b.want(b.ask("PUT", "/v1/records/movie/b/ratings/u", `{"value":11`), 400) // never got to a service
	b.want(b.ask("GET", "/v1/movies/b", ""), 200)
	want("GetMovie")
	reads()
	want("GetMovie", "1778051291123456")
}

// For two seconds after a write of a film, calls for the film itself carry the time after the write; other calls do not, nor do
// calls for its ratings.
func TestFilmReadAfter(t *testing.T) {
	b, v, pass := rated(t, gateway.Config{})
	told := func(want map[string]string) {
		t.Helper()
		v.mu.Lock()
		clear(v.films)
		clear(v.asked)
		v.mu.Unlock()
		b.want(b.ask("GET", "/v1/movies/a", ""), 200)
		b.want(b.ask("POST", "/v1/movies:batchGet", `{"ids":["b","a","c"]}`), 200)
		b.want(b.ask("GET", "/v1/movies/b", ""), 200)
		b.want(b.ask("GET", "/v1/movies/a/similar", ""), 200)
		b.want(b.ask("GET", "/v1/movies", ""), 200)
		b.want(b.ask("GET", "/v1/movies:lookup?imdb_id=tt0111161", ""), 200)
		v.mu.Lock()
		defer v.mu.Unlock()
		if len(v.asked) > 0 {
			t.Errorf("x-read-after was sent: %q", v.asked)
		}
		got := map[string]string{}
		for method, values := range v.films {
			got[method] = strings.Join(values, " ")
		}
		if !maps.Equal(got, want) {
			t.Errorf("x-film-read-after was sent with %v, want %v", got, want)
		}
	}
	at := func(µs string) map[string]string { return map[string]string{"GetMovie": µs, "BatchGetMovies": µs} }
	told(map[string]string{})
	b.want(b.ask("PUT", "/v1/movies/a", `{"title":"T"}`), 200)
	pass(2*time.Second - time.Microsecond)
	told(at("1778051289123456"))
	pass(time.Microsecond)
	told(map[string]string{})
	b.want(b.ask("DELETE", "/v1/movies/a", ""), 200)
	told(at("1778051291123456"))
	pass(time.Second)
	b.want(b.ask("PUT", "/v1/movies/a", `{"title":"T"}`, "If-None-Match: *"), 200)
	told(at("1778051292123456"))
	pass(2 * time.Second)
	// A write that failed may have been made; what was refused here was not.
	b.want(b.ask("PUT", "/v1/movies/a", `{"title":"T"`), 400)
	told(map[string]string{})
	v.fail = context.DeadlineExceeded
	b.want(b.ask("PUT", "/v1/movies/a", `{"title":"T"}`), http.StatusGatewayTimeout)
	told(at("1778051294123456"))
}
