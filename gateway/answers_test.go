package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
)

// counted is a connection that counts its calls.
type counted struct {
	grpc.ClientConnInterface
	calls *atomic.Int64
}

func (c counted) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	c.calls.Add(1)
	return c.ClientConnInterface.Invoke(ctx, method, args, reply, opts...)
}

// keeping returns a gateway that keeps answers, and how many calls it made.
func keeping(t *testing.T, movie moviev1.MovieServiceServer, change func(*gateway.Config, *gateway.Deps)) (*browser, *atomic.Int64) {
	t.Helper()
	calls := new(atomic.Int64)
	cfg := gateway.DefaultConfig()
	b := &browser{t: t}
	b.h = newGatewayWith(t, &cfg, movie, func(d *gateway.Deps) {
		d.Movie, d.Rating = counted{d.Movie, calls}, counted{d.Rating, calls}
		stopped := time.Now()
		d.Now = func() time.Time { return stopped } // an answer lives as long as the test says
		if change != nil {
			change(&cfg, d)
		}
	}).Handler()
	return b, calls
}

// TestWhatIsKept asks for everything twice: the second time calls are made or not.
func TestWhatIsKept(t *testing.T) {
	const film = "/v1/movies/tt0111161"
	for _, tc := range []struct {
		method, path string
		header       string
		kept         bool
	}{
		{"GET", film, "", true},
		{"HEAD", film, "", true},
		{"GET", film, "If-None-Match: *", true},
		{"GET", film, "If-Match: *", true},
		{"GET", film, "Accept-Encoding: gzip", true},
		{"GET", film, "Range: bytes=0-9", true},
		{"GET", film, "X-Request-Id: one", true},
		{"GET", film + "?fields=title", "", true},
		{"GET", "/v1/movies/a%2Fb", "", true},
		{"GET", "/v1/movies", "", true},
		{"GET", "/v1/movies?page_size=3&genre=Drama", "", true},
		{"GET", "/v1/movies:lookup?imdb_id=tt0111161", "", true},
		{"GET", "/v1/movies:search?q=Heat", "", true},
		{"GET", "/v1/movies:suggest?q=Heat", "", true},
		{"GET", film + "/similar", "", true},
		{"GET", "/v1/charts/top", "", true},
		{"GET", "/v1/stats", "", true},
		{"GET", "/", "", true},
		{"GET", "/movies/tt0111161", "", true},
		{"GET", "/charts/top", "", true},
		{"GET", "/search?q=Heat", "", true},

		{"GET", film, "Cookie: a=b", false},
		{"GET", film, "Authorization: Bearer x", false},
		{"GET", "/movies/tt0111161", "Cookie: a=b", false},
		{"GET", film, "Cache-Control: no-cache", false},
		{"GET", film, "Cache-Control: max-age=0", false},
		{"GET", film, "Pragma: no-cache", false},
		{"GET", "/v1/movies/missing", "", false},
		{"GET", "/v1/movies/down", "", false},
		{"GET", "/v1/movies/broken", "", false},
		{"GET", "/v1/movies?page_size=-1", "", false},
		{"GET", "/movies/missing", "", false},
		{"GET", "/v1/records/movie/a/ratings/u", "", false},
		{"GET", "/v1/records/movie/a/ratingSummary", "", false},
		{"GET", "/v1/records/movie/a/ratingHistory", "", false},
		{"GET", "/v1/users/u/ratings", "", false},
		{"GET", "/users/u", "", false},
		{"POST", "/v1/movies:batchGet", "", false},
	} {
		t.Run(tc.method+tc.path+tc.header, func(t *testing.T) {
			b, calls := keeping(t, &fakeMovie{}, nil)
			body := ""
			if tc.method == "POST" {
				body = `{"ids":["a"]}`
			}
			ask := func() (int64, *httptest.ResponseRecorder) {
				before := calls.Load()
				w := b.ask(tc.method, tc.path, body, tc.header)
				return calls.Load() - before, w
			}
			first, one := ask()
			again, two := ask()
			if first == 0 || (again == 0) != tc.kept {
				t.Errorf("%d calls, then %d; want it kept: %v", first, again, tc.kept)
			}
			if one.Code != two.Code || !tc.kept {
				return
			}
			if !bytes.Equal(one.Body.Bytes(), two.Body.Bytes()) || one.Header().Get("ETag") != two.Header().Get("ETag") {
				t.Errorf("first %v %s\nthen %v %s", one.Header(), one.Body, two.Header(), two.Body)
			}
			if a, b := one.Header().Get("X-Request-Id"), two.Header().Get("X-Request-Id"); (a == b) != (tc.header == "X-Request-Id: one") {
				t.Errorf("request ids %q, %q", a, b)
			}
		})
	}
}

// A gateway without the memory for it keeps nothing.
func TestNothingIsKept(t *testing.T) {
	b, calls := keeping(t, &fakeMovie{}, func(c *gateway.Config, _ *gateway.Deps) { c.AnswerCacheBytes = 0 })
	for range 3 {
		b.want(b.ask("GET", "/v1/movies/a", ""), 200)
	}
	if calls.Load() != 3 {
		t.Errorf("%d calls for 3 requests", calls.Load())
	}
}

// TestKeptAnswersAreTheSame sends the whole contract to a gateway that keeps answers, all twice: nobody can tell.
func TestKeptAnswersAreTheSame(t *testing.T) {
	plain := httptest.NewServer(newGateway(t, gateway.Config{}, &fakeMovie{}, nil).Handler())
	t.Cleanup(plain.Close)
	b, _ := keeping(t, &fakeMovie{}, nil)
	kept := httptest.NewServer(b.h)
	t.Cleanup(kept.Close)
	for _, section := range contract() {
		for _, q := range section.requests {
			if q.header == nil {
				q.header = map[string]string{}
			}
			q.header["X-Request-Id"] = "test"
			want := shown(t, q, do(t, plain.URL, q))
			for _, time := range []string{"first", "second"} {
				if got := shown(t, q, do(t, kept.URL, q)); got != want {
					t.Errorf("the %s time:\n%swant:\n%s", time, got, want)
				}
			}
		}
	}
}

// Pages name themselves by the host that they were asked at, unless there is an address for the world.
func TestPagesAreKeptByHost(t *testing.T) {
	for public, want := range map[string][2]string{
		"":                      {"http://one.example/movies/a", "http://two.example/movies/a"},
		"https://films.example": {"https://films.example/movies/a", "https://films.example/movies/a"},
	} {
		b, calls := keeping(t, &fakeMovie{}, func(c *gateway.Config, _ *gateway.Deps) { c.PublicURL = public })
		for i, host := range []string{"one.example", "two.example"} {
			before := calls.Load()
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/movies/a", nil)
			r.Host = host
			w := httptest.NewRecorder()
			b.h.ServeHTTP(w, r)
			if !strings.Contains(w.Body.String(), `rel="canonical" href="`+want[i]+`"`) {
				t.Errorf("public URL %q, %s: the page does not name itself %s", public, host, want[i])
			}
			if i == 1 && (calls.Load() == before) != (public != "") {
				t.Errorf("public URL %q: the page of one host was kept for the other, or not: %d calls", public, calls.Load()-before)
			}
		}
	}
}

// datedMovie answers with films whose numbers are from asOf.
type datedMovie struct {
	fakeMovie
	asOf atomic.Pointer[time.Time]
}

func (d *datedMovie) GetMovie(_ context.Context, r *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	m := film(r.GetId())
	if t := d.asOf.Load(); t != nil {
		m.RatingSummary.AsOfTime = timestamppb.New(*t)
	} else {
		m.RatingSummary = nil
	}
	return &moviev1.GetMovieResponse{Movie: m}, nil
}

// An answer is given again for AnswerTTL at most, and for no longer than what it calls fresh is.
func TestHowLongAnswersAreKept(t *testing.T) {
	for name, tc := range map[string]struct {
		path string
		age  time.Duration // of the numbers when they come; negative: none
		want time.Duration // that the answer lives
	}{
		"no numbers":       {"/v1/movies/a", -1, 500 * time.Millisecond},
		"new numbers":      {"/v1/movies/a", 0, 500 * time.Millisecond},
		"just not bound":   {"/v1/movies/a", 1500 * time.Millisecond, 500 * time.Millisecond},
		"bound":            {"/v1/movies/a", 1900 * time.Millisecond, 100 * time.Millisecond},
		"bound, not shown": {"/v1/movies/a?fields=ratingStatus", 1900 * time.Millisecond, 100 * time.Millisecond},
		"stale numbers":    {"/v1/movies/a", time.Minute, 500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			now := time.Date(2026, 5, 6, 7, 8, 9, 0, time.UTC)
			movie := &datedMovie{}
			if tc.age >= 0 {
				at := now.Add(-tc.age)
				movie.asOf.Store(&at)
			}
			b, calls := keeping(t, movie, func(_ *gateway.Config, d *gateway.Deps) { d.Now = func() time.Time { return now } })
			b.want(b.ask("GET", tc.path, ""), 200)
			now = now.Add(tc.want - time.Microsecond)
			b.want(b.ask("GET", tc.path, ""), 200)
			if calls.Load() != 1 {
				t.Errorf("%d calls before the answer was %v old", calls.Load(), tc.want)
			}
			now = now.Add(time.Microsecond)
			b.want(b.ask("GET", tc.path, ""), 200)
			if calls.Load() != 2 {
				t.Errorf("an answer of %v was given again", tc.want)
			}
		})
	}
}

// Whoever asks for an answer made anew gets it, and so does who asks next.
func TestReload(t *testing.T) {
	var title atomic.Pointer[string]
	movie := &titledMovie{title: &title}
	b, _ := keeping(t, movie, nil)
	set := func(s string) { title.Store(&s) }
	set("One")
	b.want(b.ask("GET", "/v1/movies/a", ""), 200, `"title":"One"`)
	set("Two")
	b.want(b.ask("GET", "/v1/movies/a", ""), 200, `"title":"One"`)
	b.want(b.ask("GET", "/v1/movies/a", "", "Cache-Control: no-cache"), 200, `"title":"Two"`)
	b.want(b.ask("GET", "/v1/movies/a", ""), 200, `"title":"Two"`)
}

type titledMovie struct {
	fakeMovie
	title *atomic.Pointer[string]
}

func (m *titledMovie) GetMovie(_ context.Context, r *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	return &moviev1.GetMovieResponse{Movie: &moviev1.Movie{Id: r.GetId(), Title: *m.title.Load()}}, nil
}

// What is kept never takes more memory than it may, compressed forms included, and what is asked for most stays.
func TestKeptAnswersAreBounded(t *testing.T) {
	const most = 1 << 20
	registry := prometheus.NewRegistry()
	b, calls := keeping(t, &longList{}, func(c *gateway.Config, d *gateway.Deps) {
		c.AnswerCacheBytes, d.Metrics = most, registry
	})
	for i := range 1000 { // of 10 kB
		for _, coding := range []string{"gzip", "zstd"} {
			b.want(b.ask("GET", fmt.Sprintf("/v1/movies?page_token=%d", i), "", "Accept-Encoding: "+coding), 200)
			b.want(b.ask("GET", "/v1/movies?page_token=popular", "", "Accept-Encoding: "+coding), 200)
		}
	}
	before := calls.Load()
	b.want(b.ask("GET", "/v1/movies?page_token=popular", ""), 200)
	if calls.Load() != before {
		t.Error("what was asked for all the time was not kept")
	}
	size := func() float64 { return gauge(t, registry, "movieexample_http_response_cache_bytes") }
	for size() > most { // it is made smaller in the background
		if t.Context().Err() != nil {
			t.Fatalf("%v bytes are kept", size())
		}
	}
	if size() < most/2 {
		t.Errorf("only %v bytes are kept", size())
	}
}

func gauge(t testing.TB, registry *prometheus.Registry, name string) float64 {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.GetMetric()[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("there is no metric %s", name)
	return 0
}

// A film that is rated or changed through this gateway is read anew, and by pages too; other films' ratings leave it alone.
func TestWritesEndAnswers(t *testing.T) {
	for _, tc := range []struct {
		method, path, body string
		film, list         bool // what is read anew
	}{
		{"PUT", "/v1/movies/a", `{"title":"T"}`, true, true},
		{"PUT", "/v1/movies/other", `{"title":"T"}`, true, true}, // films are in each other's answers
		{"PUT", "/v1/movies/a", `{"title":"Old","etag":"v0"}`, true, true},
		{"DELETE", "/v1/movies/a", "", true, true},
		{"PUT", "/v1/records/movie/a/ratings/u", `{"value":5}`, true, false},
		{"PUT", "/v1/records/movie/a/ratings/u", `{"value":11}`, true, false},
		{"DELETE", "/v1/records/movie/a/ratings/u", "", true, false},
		{"PUT", "/v1/records/movie/other/ratings/u", `{"value":5}`, false, false},
		{"POST", "/v1/movies:batchGet", `{"ids":["a"]}`, false, false},
		{"PUT", "/v1/movies/a", `{"titel":"T"}`, false, false}, // never got to a service
	} {
		t.Run(tc.method+tc.path+tc.body, func(t *testing.T) {
			b, calls := keeping(t, &fakeMovie{}, nil)
			anew := func(path string) bool {
				before := calls.Load()
				b.want(b.ask("GET", path, ""), 200)
				return calls.Load() != before
			}
			want := map[string]bool{"/v1/movies/a": tc.film, "/v1/movies/a/similar": tc.film, "/movies/a": tc.film, "/v1/movies": tc.list, "/v1/charts/top": tc.list, "/": tc.list}
			for path := range want {
				if !anew(path) || anew(path) {
					t.Fatalf("%s was not made once", path)
				}
			}
			b.ask(tc.method, tc.path, tc.body)
			for path, want := range want {
				if got := anew(path); got != want {
					t.Errorf("%s was read anew: %v, want %v", path, got, want)
				}
			}
		})
	}
}

// newGatewayWith is newGateway, but that change may also change cfg.
func newGatewayWith(t testing.TB, cfg *gateway.Config, movie moviev1.MovieServiceServer, change func(*gateway.Deps)) *gateway.Service {
	t.Helper()
	var deps gateway.Deps
	newGateway(t, gateway.Config{}, movie, func(d *gateway.Deps) { deps = *d })
	change(&deps)
	g, err := gateway.New(t.Context(), *cfg, deps)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// What is given again is logged and counted like every answer, and counted as what it is.
func TestKeptAnswersAreSeen(t *testing.T) {
	var log lines
	registry := prometheus.NewRegistry()
	b, _ := keeping(t, &fakeMovie{}, func(_ *gateway.Config, d *gateway.Deps) {
		logInto(&log)(d)
		d.Metrics = registry
	})
	b.want(b.ask("GET", "/v1/movies/a", ""), 200)
	b.want(b.ask("GET", "/v1/movies/a", "", "X-Request-Id: find-me"), 200)
	b.want(b.ask("HEAD", "/v1/movies/a", ""), 200)
	b.want(b.ask("GET", "/v1/movies/a", "", "Cache-Control: no-cache"), 200)
	b.want(b.ask("GET", "/v1/users/u/ratings", ""), 200)
	err := testutil.GatherAndCompare(registry, strings.NewReader(`
# HELP movieexample_http_requests_total Requests answered, by route and HTTP status.
# TYPE movieexample_http_requests_total counter
movieexample_http_requests_total{method="GET",route="/v1/movies/{id}",status="200"} 4
movieexample_http_requests_total{method="GET",route="/v1/users/{userId}/ratings",status="200"} 1
# HELP movieexample_http_response_cache_requests_total Reads whose answers may be kept: sent as kept (hit), with what was being made for another (joined), made (miss), made because the client wanted it (anew).
# TYPE movieexample_http_response_cache_requests_total counter
movieexample_http_response_cache_requests_total{result="anew"} 1
movieexample_http_response_cache_requests_total{result="hit"} 2
movieexample_http_response_cache_requests_total{result="joined"} 0
movieexample_http_response_cache_requests_total{result="miss"} 1
`), "movieexample_http_requests_total", "movieexample_http_response_cache_requests_total")
	if err != nil {
		t.Error(err)
	}
	log.mu.Lock()
	defer log.mu.Unlock()
	text := log.buf.String()
	if strings.Count(text, "msg=request") != 5 || !strings.Contains(text, "path=/v1/movies/a route=/v1/movies/{id} status=200 bytes=") || !strings.Contains(text, "request_id=find-me") {
		t.Errorf("the log:\n%s", text)
	}
}
