package gateway_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/fault"
)

// catalogue is both services, without any cache: a film's title is the number of times it was written, its votes those of
// ratings. It is the connection itself, so that a test decides when a call continues.
type catalogue struct {
	mu     sync.Mutex
	titles map[string]int
	votes  map[string]int32
	// read is called by each read when it has read and before it answers; nil for nothing.
	read func(ctx context.Context) error
}

func newCatalogue() *catalogue {
	return &catalogue{titles: map[string]int{}, votes: map[string]int32{}}
}

// NewStream implements grpc.ClientConnInterface.
func (c *catalogue) NewStream(context.Context, *grpc.StreamDesc, string, ...grpc.CallOption) (grpc.ClientStream, error) {
	return nil, fault.Internal(nil, "no streams here")
}

// Invoke implements grpc.ClientConnInterface.
func (c *catalogue) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	c.mu.Lock()
	var said proto.Message
	reads := true
	switch r := args.(type) {
	case *moviev1.GetMovieRequest:
		said = &moviev1.GetMovieResponse{Movie: c.film(r.GetId())}
	case *moviev1.ListMoviesRequest:
		list := &moviev1.ListMoviesResponse{}
		for _, id := range filmIDs {
			list.Movies = append(list.Movies, c.film(id))
		}
		said = list
	case *moviev1.PutMovieRequest:
		reads = false
		c.titles[r.GetMovie().GetId()]++
		said = &moviev1.PutMovieResponse{Movie: c.film(r.GetMovie().GetId())}
	case *ratingv1.PutRatingRequest:
		reads = false
		c.votes[r.GetRecordId()]++
		said = &ratingv1.PutRatingResponse{Rating: &ratingv1.Rating{}}
	}
	c.mu.Unlock()
	if reads && c.read != nil {
		if err := c.read(ctx); err != nil {
			return err
		}
	}
	proto.Merge(reply.(proto.Message), said)
	return nil
}

var filmIDs = [...]string{"a", "b", "c"}

func (c *catalogue) film(id string) *moviev1.Movie {
	return &moviev1.Movie{Id: id, Title: strconv.Itoa(c.titles[id]), RatingSummary: &moviev1.RatingSummary{Votes: c.votes[id]}}
}

func (c *catalogue) gateway(t testing.TB) http.Handler {
	t.Helper()
	g, err := gateway.New(t.Context(), gateway.DefaultConfig(), gateway.Deps{Movie: c, Rating: c})
	if err != nil {
		t.Fatal(err)
	}
	return g.Handler()
}

// send sends a request and returns the answer.
func send(ctx context.Context, h http.Handler, method, path, body string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequestWithContext(ctx, method, path, strings.NewReader(body)))
	return w
}

// Expired responses are removed even if there are no more requests.
func TestAnswersAreLetGo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, registry := newCatalogue(), prometheus.NewRegistry()
		g, err := gateway.New(t.Context(), gateway.DefaultConfig(), gateway.Deps{Movie: c, Rating: c, Metrics: registry})
		if err != nil {
			t.Fatal(err)
		}
		size := func() float64 { return gauge(t, registry, "movieexample_http_response_cache_bytes") }
		for round := range 2 {
			for i := range 100 {
				send(t.Context(), g.Handler(), "GET", "/v1/movies/"+strconv.Itoa(i), "")
				<-time.After(time.Second)
			}
			if size() < 768 {
				t.Fatalf("round %d: %v bytes are kept", round, size())
			}
			<-time.After(3 * time.Minute)
			synctest.Wait()
			if size() != 0 {
				t.Errorf("round %d: %v bytes of expired responses are kept", round, size())
			}
		}
	})
}

// Many concurrent requests for one response cost one call, and the first client may leave without failing the others.
func TestCrowd(t *testing.T) {
	for name, tc := range map[string]struct {
		gone  int // of the crowd, the first that came among them
		fails bool
		calls int64 // in all
	}{
		"all stay":        {gone: 0, calls: 1},
		"the leader goes": {gone: 1, calls: 1},
		"one stays":       {gone: 9, calls: 1},
		"none stays":      {gone: 10, calls: 1},
		"it fails":        {fails: true, calls: 10},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				c := newCatalogue()
				var calls atomic.Int64
				var calledOff atomic.Bool // the one that all wait for
				open := make(chan struct{})
				c.read = func(ctx context.Context) error {
					first := calls.Add(1) == 1
					select {
					case <-open:
					case <-ctx.Done():
						if first {
							calledOff.Store(true)
						}
						return ctx.Err()
					}
					if tc.fails {
						return fault.Unavailable(nil, "the metadata service cannot be reached")
					}
					return nil
				}
				h := c.gateway(t)
				const crowd = 10
				answers := make([]*httptest.ResponseRecorder, crowd)
				var wait sync.WaitGroup
				goes := make([]context.CancelFunc, crowd)
				for i := range crowd {
					var ctx context.Context
					ctx, goes[i] = context.WithCancel(t.Context())
					wait.Go(func() { answers[i] = send(ctx, h, "GET", "/v1/movies/a", "") })
					synctest.Wait()
				}
				for _, cancel := range goes[:tc.gone] {
					cancel()
					synctest.Wait()
				}
				if all := tc.gone == crowd; calledOff.Load() != all {
					t.Errorf("the call was called off: %v, when %d of %d had gone", calledOff.Load(), tc.gone, crowd)
				}
				close(open)
				wait.Wait()
				stayed := answers[tc.gone:]
				ids := map[string]bool{}
				for _, w := range stayed {
					want := 200
					if tc.fails {
						want = 503
					}
					if w.Code != want || w.Header().Get("X-Request-Id") == "" {
						t.Errorf("%d %s", w.Code, w.Body)
					}
					ids[w.Header().Get("X-Request-Id")] = true
				}
				if len(ids) != len(stayed) {
					t.Errorf("%d request ids for %d requests", len(ids), len(stayed))
				}
				// A client that leaves while another one leads makes a call that ends at once: it only finds out that it is gone.
				if got := calls.Load(); got < tc.calls || got > tc.calls+int64(max(tc.gone-1, 0)) {
					t.Errorf("%d calls, want %d", got, tc.calls)
				}
				for _, cancel := range goes {
					cancel()
				}
			})
		})
	}
}

// versionsIn reads a film, or the first of a list, and returns how often it was written and rated.
func versionsIn(t interface{ Fatalf(string, ...any) }, h http.Handler, path string) (title int, votes int) {
	w := send(context.Background(), h, "GET", path, "")
	if w.Code != 200 {
		t.Fatalf("GET %s: %d %s", path, w.Code, w.Body)
	}
	_, rest, _ := strings.Cut(w.Body.String(), `"title":"`)
	text, rest, _ := strings.Cut(rest, `"`)
	title, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("GET %s: %v: %s", path, err, w.Body)
	}
	_, rest, _ = strings.Cut(rest, `"votes":`)
	text, _, _ = strings.Cut(rest, ",")
	if votes, err = strconv.Atoi(text); err != nil {
		t.Fatalf("GET %s: %v: %s", path, err, w.Body)
	}
	return title, votes
}

// A writer reads what it wrote, with other readers at the same time: writers of different films among readers of all.
func TestReadYourWritesInACrowd(t *testing.T) {
	c := newCatalogue()
	h := c.gateway(t)
	stop := make(chan struct{})
	var readers, writers sync.WaitGroup
	for _, path := range []string{"/v1/movies/a", "/v1/movies/b", "/v1/movies/c", "/v1/movies"} {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					send(context.Background(), h, "GET", path, "")
				}
			}
		})
	}
	for i, id := range filmIDs {
		writers.Go(func() {
			for n := 1; n <= 100; n++ {
				if w := send(context.Background(), h, "PUT", "/v1/movies/"+id, `{"title":"x"}`); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				if w := send(context.Background(), h, "PUT", fmt.Sprintf("/v1/records/movie/%s/ratings/u%d", id, n), `{"value":5}`); w.Code != 200 {
					t.Errorf("%d %s", w.Code, w.Body)
				}
				if title, votes := versionsIn(failer{t}, h, "/v1/movies/"+id); title != n || votes != n {
					t.Errorf("after write %d of %s it has title %d and %d votes", n, id, title, votes)
				}
				if i == 0 { // the list begins with it
					if title, _ := versionsIn(failer{t}, h, "/v1/movies"); title != n {
						t.Errorf("after write %d of %s the list has title %d", n, id, title)
					}
				}
			}
		})
	}
	writers.Wait()
	close(stop)
	readers.Wait()
}

// failer makes an error of what is fatal: goroutines must not end the test.
type failer struct{ t *testing.T }

func (f failer) Fatalf(format string, args ...any) { f.t.Errorf(format, args...) }

// TestReadYourWrites does anything in any order, with reads that began before a write and end after it: none of them may become
// the answer of a later read.
func TestReadYourWrites(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := newCatalogue()
		h := c.gateway(t)
		type held struct {
			reached, open, done chan struct{}
			path                string
			puts                int // that had been made when it began
		}
		puts := 0
		slow := make(chan *held, 1)
		c.read = func(context.Context) error {
			select {
			case hold := <-slow:
				close(hold.reached)
				<-hold.open
			default:
			}
			return nil
		}
		var under []*held
		finish := func(i int) {
			close(under[i].open)
			<-under[i].done
			under = append(under[:i], under[i+1:]...)
		}
		film := rapid.SampledFrom(filmIDs[:])
		rt.Repeat(map[string]func(*rapid.T){
			"put": func(rt *rapid.T) {
				puts++
				if w := send(rt.Context(), h, "PUT", "/v1/movies/"+film.Draw(rt, "film"), `{"title":"x"}`); w.Code != 200 {
					rt.Fatalf("%d %s", w.Code, w.Body)
				}
			},
			"rate": func(rt *rapid.T) {
				if w := send(rt.Context(), h, "PUT", "/v1/records/movie/"+film.Draw(rt, "film")+"/ratings/u", `{"value":5}`); w.Code != 200 {
					rt.Fatalf("%d %s", w.Code, w.Body)
				}
			},
			"begin a slow read": func(rt *rapid.T) {
				path := rapid.SampledFrom([]string{"/v1/movies/a", "/v1/movies/b", "/v1/movies", "/v1/movies/a?fields=title,ratingSummary"}).Draw(rt, "path")
				for _, other := range under {
					if other.path == path && other.puts == puts {
						rt.Skip("it would wait for that one")
					}
				}
				hold := &held{make(chan struct{}), make(chan struct{}), make(chan struct{}), path, puts}
				slow <- hold
				go func() {
					defer close(hold.done)
					send(context.Background(), h, "GET", path, "")
				}()
				select {
				case <-hold.reached:
					under = append(under, hold)
				case <-hold.done: // it was kept
					<-slow
				}
			},
			"end a slow read": func(rt *rapid.T) {
				if len(under) == 0 {
					rt.Skip("none is in flight")
				}
				finish(rapid.IntRange(0, len(under)-1).Draw(rt, "which"))
			},
			"": func(rt *rapid.T) {
				for _, hold := range under {
					if hold.puts == puts {
						return // a read now may wait for that one, as it should
					}
				}
				for _, id := range filmIDs {
					title, votes := versionsIn(rt, h, "/v1/movies/"+id)
					if title != c.titles[id] || votes != int(c.votes[id]) {
						rt.Fatalf("%s has title %d and %d votes, written were %d and %d", id, title, votes, c.titles[id], c.votes[id])
					}
				}
				if title, _ := versionsIn(rt, h, "/v1/movies"); title != c.titles["a"] {
					rt.Fatalf("the list has title %d, written was %d", title, c.titles["a"])
				}
			},
		})
		for len(under) > 0 {
			finish(0)
		}
	})
}
