package gateway_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gateway"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/internal/fault"
)

// films is a catalogue that compares versions as the metadata service does, and counts the ratings and the reads.
type films struct {
	moviev1.UnimplementedMovieServiceServer
	mu     sync.Mutex
	stored map[string]*moviev1.Movie
	writes int
	votes  int32
	reads  int
}

func newFilms() *films { return &films{stored: map[string]*moviev1.Movie{}} }

func (f *films) GetMovie(_ context.Context, r *moviev1.GetMovieRequest) (*moviev1.GetMovieResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.reads++
	m := f.stored[r.GetId()]
	if m == nil {
		return nil, fault.NotFound("no movie has the id %q", r.GetId())
	}
	return &moviev1.GetMovieResponse{Movie: &moviev1.Movie{
		Id: m.GetId(), Title: m.GetTitle(), Etag: m.GetEtag(),
		RatingSummary: &moviev1.RatingSummary{Votes: f.votes, AsOfTime: timestamppb.New(time.Unix(int64(f.reads), 0))},
	}}, nil
}

func (f *films) PutMovie(_ context.Context, r *moviev1.PutMovieRequest) (*moviev1.PutMovieResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.check("movie.etag", r.GetMovie().GetId(), r.GetMovie().GetEtag()); err != nil {
		return nil, err
	}
	f.writes++
	stored := &moviev1.Movie{Id: r.GetMovie().GetId(), Title: r.GetMovie().GetTitle(), Etag: fmt.Sprintf("e%d", f.writes)}
	f.stored[stored.GetId()] = stored
	return &moviev1.PutMovieResponse{Movie: stored}, nil
}

func (f *films) DeleteMovie(_ context.Context, r *moviev1.DeleteMovieRequest) (*moviev1.DeleteMovieResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.stored[r.GetId()] == nil {
		return nil, fault.NotFound("no movie has the id %q", r.GetId())
	}
	if err := f.check("etag", r.GetId(), r.GetEtag()); err != nil {
		return nil, err
	}
	delete(f.stored, r.GetId())
	return &moviev1.DeleteMovieResponse{}, nil
}

func (f *films) check(field, id, etag string) error {
	stored := f.stored[id]
	reason := ""
	switch {
	case etag == "", etag == "none" && stored == nil, stored != nil && (etag == "*" || etag == stored.GetEtag()):
		return nil
	case stored == nil:
		reason = fmt.Sprintf("the movie %q does not exist", id)
	case etag == "none":
		reason = fmt.Sprintf("the movie %q exists", id)
	default:
		reason = fmt.Sprintf("the movie %q has the etag %q now, not %q", id, stored.GetEtag(), etag)
	}
	return &fault.Error{Kind: fault.KindConflict, Fields: []fault.Field{{Name: field, Reason: reason}}}
}

// browser asks a gateway and remembers nothing.
type browser struct {
	t    *testing.T
	h    http.Handler
	film *films
}

func newBrowser(t *testing.T) *browser {
	t.Helper()
	f := newFilms()
	return &browser{t: t, h: newGateway(t, gateway.Config{}, f, nil).Handler(), film: f}
}

// ask sends a request with headers given as "Name: value".
func (b *browser) ask(method, path, body string, headers ...string) *httptest.ResponseRecorder {
	b.t.Helper()
	var in io.Reader
	if body != "" {
		in = strings.NewReader(body)
	}
	r := httptest.NewRequestWithContext(b.t.Context(), method, path, in)
	for _, h := range headers {
		name, v, _ := strings.Cut(h, ": ")
		r.Header.Add(name, v)
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r)
	return w
}

func (b *browser) want(w *httptest.ResponseRecorder, status int, texts ...string) {
	b.t.Helper()
	if w.Code != status {
		b.t.Errorf("got %d, want %d: %s", w.Code, status, w.Body)
	}
	for _, text := range texts {
		if !strings.Contains(w.Body.String(), text) {
			b.t.Errorf("the answer does not have %q: %s", text, w.Body)
		}
	}
}

// The tag of a film stays while only the time of reading moves, changes with a rating and with an edit, and each tag that was ever
// sent for the stored version works in If-Match, that of a masked answer and of a PUT too.
func TestTagsOfAFilm(t *testing.T) {
	b := newBrowser(t)
	put := b.ask("PUT", "/v1/movies/a", `{"title":"One"}`)
	b.want(put, 200)
	first := b.ask("GET", "/v1/movies/a", "").Header().Get("ETag")
	if !strings.HasPrefix(first, `W/"e1.`) {
		t.Fatalf("ETag %s, want W/\"e1.…\"", first)
	}
	if again := b.ask("GET", "/v1/movies/a", "").Header().Get("ETag"); again != first {
		t.Errorf("read again: %s, want %s", again, first)
	}
	not := b.ask("GET", "/v1/movies/a", "", `If-None-Match: "zzz"`, "If-None-Match: "+first)
	if not.Code != http.StatusNotModified || not.Body.Len() > 0 || not.Header().Get("ETag") != first || not.Header().Get("Cache-Control") != "no-cache" || not.Header().Get("Content-Type") != "" {
		t.Errorf("got %d %v %s", not.Code, not.Header(), not.Body)
	}
	b.film.votes++
	rated := b.ask("GET", "/v1/movies/a", "", "If-None-Match: "+first)
	b.want(rated, 200)
	masked := b.ask("GET", "/v1/movies/a?fields=title", "")
	tags := []string{put.Header().Get("ETag"), first, rated.Header().Get("ETag"), masked.Header().Get("ETag"), `"e1"`}
	for i, tag := range tags[:4] {
		for _, other := range tags[:i] {
			if tag == other {
				t.Errorf("tag %s stands for two representations", tag)
			}
		}
	}
	// No rating stops a writer, an edit does.
	for i, tag := range tags {
		b.film.stored["a"].Etag = "e1"
		b.want(b.ask("PUT", "/v1/movies/a", `{"title":"Two"}`, "If-Match: "+tag), 200)
		stale := b.ask("PUT", "/v1/movies/a", `{"title":"Three"}`, "If-Match: "+tag)
		b.want(stale, 412, "/problems/precondition-failed", fmt.Sprintf(`has the etag \"e%d\" now`, i+2))
		if stale.Header().Get("ETag") != "" || stale.Header().Get("Cache-Control") != "no-store" {
			t.Errorf("a refused write has %v", stale.Header())
		}
	}
	b.want(b.ask("GET", "/v1/movies/a", "", "If-None-Match: "+first), 200, `"title":"Two"`)
}

func TestIfMatch(t *testing.T) {
	for name, tc := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		text               string
	}{
		"one of several":            {"PUT", "a", `{"title":"T"}`, []string{`If-Match: "x", W/"e1.00", "y"`}, 200, ""},
		"in several lines":          {"PUT", "a", `{"title":"T"}`, []string{`If-Match: "x"`, `If-Match: ,"e1"`}, 200, ""},
		"none of several":           {"PUT", "a", `{"title":"T"}`, []string{`If-Match: "x", "y"`}, 412, ""},
		"too many":                  {"PUT", "a", `{"title":"T"}`, []string{`If-Match: "1","2","3","4","5","6","7","8","9"`}, 400, "at most 8"},
		"any":                       {"PUT", "a", `{"title":"T"}`, []string{"If-Match: *"}, 200, ""},
		"any, none there":           {"PUT", "b", `{"title":"T"}`, []string{"If-Match: *"}, 412, "If-Match: the movie \\\"b\\\" does not exist"},
		"any, with the body's":      {"PUT", "a", `{"title":"T","etag":"e1"}`, []string{"If-Match: *"}, 200, ""},
		"any, with the body's any":  {"PUT", "a", `{"title":"T","etag":"*"}`, []string{"If-Match: *"}, 200, ""},
		"any, with the body's none": {"PUT", "b", `{"title":"T","etag":"none"}`, []string{"If-Match: *"}, 400, "must not be \\\"none\\\" with If-Match"},
		"any, with another body's":  {"PUT", "a", `{"title":"T","etag":"e0"}`, []string{"If-Match: *"}, 412, ""},
		"version, none there":       {"PUT", "b", `{"title":"T"}`, []string{`If-Match: "e1"`}, 412, ""},
		"with the body's":           {"PUT", "a", `{"title":"T","etag":"e1"}`, []string{`If-Match: "e0", "e1"`}, 200, ""},
		"against the body's":        {"PUT", "a", `{"title":"T","etag":"e0"}`, []string{`If-Match: "e1"`}, 400, "etag: must be one of those in If-Match"},
		"empty body's":              {"PUT", "a", `{"title":"T","etag":""}`, []string{`If-Match: "e1"`}, 200, ""},
		"the body's none alone":     {"PUT", "b", `{"title":"T","etag":"none"}`, nil, 200, ""},
		"the body's none, exists":   {"PUT", "a", `{"title":"T","etag":"none"}`, nil, 409, "exists"},
		"the body's any alone":      {"PUT", "b", `{"title":"T","etag":"*"}`, nil, 409, "does not exist"},
		"no tag of ours: none":      {"PUT", "b", `{"title":"T"}`, []string{`If-Match: "none", W/"none.00"`}, 412, ""},
		"no tag of ours: *":         {"PUT", "a", `{"title":"T"}`, []string{`If-Match: "*", "*.00"`}, 412, ""},
		"the body's alone":          {"PUT", "a", `{"title":"T","etag":"e0"}`, nil, 409, "/problems/conflict"},
		"empty":                     {"PUT", "a", `{"title":"T"}`, []string{"If-Match: "}, 400, "entity tags"},
		"star among tags":           {"PUT", "a", `{"title":"T"}`, []string{`If-Match: *, "e1"`}, 400, "entity tags"},
		"no quotes":                 {"PUT", "a", `{"title":"T"}`, []string{"If-Match: e1"}, 400, "double quotes"},
		"no second quote":           {"PUT", "a", `{"title":"T"}`, []string{`If-Match: "e1`}, 400, "double quotes"},
		"no comma":                  {"PUT", "a", `{"title":"T"}`, []string{`If-Match: "e1" "e2"`}, 400, "double quotes"},
		"only a hash":               {"PUT", "a", `{"title":"T"}`, []string{`If-Match: W/".00"`}, 412, ""},
		"create":                    {"PUT", "b", `{"title":"T"}`, []string{"If-None-Match: *"}, 200, ""},
		"create, with the body's":   {"PUT", "b", `{"title":"T","etag":"none"}`, []string{"If-None-Match: *"}, 200, ""},
		"create what exists":        {"PUT", "a", `{"title":"T"}`, []string{"If-None-Match: *"}, 412, "exists"},
		"create a version":          {"PUT", "b", `{"title":"T","etag":"e1"}`, []string{"If-None-Match: *"}, 400, "has no version"},
		"both":                      {"PUT", "a", `{"title":"T"}`, []string{"If-None-Match: *", "If-Match: *"}, 400, "must not be combined with If-Match"},
		"dates are ignored":         {"PUT", "a", `{"title":"T"}`, []string{"If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT", "If-Modified-Since: x"}, 200, ""},
		"dates beside If-Match":     {"PUT", "a", `{"title":"T"}`, []string{"If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT", `If-Match: "e0"`}, 412, ""},
		"delete":                    {"DELETE", "a", "", []string{`If-Match: W/"e1.00"`}, 200, ""},
		"delete another":            {"DELETE", "a", "", []string{`If-Match: "e0"`}, 412, ""},
		"delete any":                {"DELETE", "a", "", []string{"If-Match: *"}, 200, ""},
		"delete what is not there":  {"DELETE", "b", "", []string{`If-Match: "e1"`}, 404, ""},
		"delete any, none there":    {"DELETE", "b", "", []string{"If-Match: *"}, 404, ""},
		"delete, against query":     {"DELETE", "a?etag=e0", "", []string{`If-Match: "e1"`}, 400, "etag: must be one of"},
		"delete, with query":        {"DELETE", "a?etag=e1", "", []string{`If-Match: "e1"`}, 200, ""},
		"read the version":          {"GET", "a", "", []string{"If-Match: *"}, 200, ""},
		"read another":              {"GET", "a", "", []string{`If-Match: "e0"`}, 412, "If-Match"},
		"read, dates are ignored":   {"GET", "a", "", []string{"If-Unmodified-Since: Sat, 29 Oct 1994 19:43:31 GMT", "Range: bytes=0-1"}, 200, `"title":"One"`},
		"read, no tags":             {"GET", "a", "", []string{"If-None-Match: e1"}, 200, ""},
		"read, any":                 {"GET", "a", "", []string{"If-None-Match: *"}, 304, ""},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBrowser(t)
			b.want(b.ask("PUT", "/v1/movies/a", `{"title":"One"}`), 200)
			b.want(b.ask(tc.method, "/v1/movies/"+tc.path, tc.body, tc.headers...), tc.status, tc.text)
			_, other := b.film.stored["b"]
			if changed := b.film.writes > 1 || len(b.film.stored) == 0 || other; tc.method != "GET" && changed != (tc.status == 200) {
				t.Errorf("answered %d, and something was written: %v", tc.status, changed)
			}
			if tc.method != "GET" && b.film.reads > 0 {
				t.Error("the film was read to decide the condition: it may be otherwise when the write comes")
			}
		})
	}
}

// If many clients create the same film at once, one succeeds and the others get an error that says so.
func TestOneOfManyCreates(t *testing.T) {
	b := newBrowser(t)
	const rounds, writers = 50, 8
	for round := range rounds {
		path := fmt.Sprintf("/v1/movies/f%d", round)
		answers := make([]*httptest.ResponseRecorder, writers)
		var ready, done sync.WaitGroup
		ready.Add(writers)
		for w := range writers {
			done.Go(func() {
				ready.Done()
				ready.Wait()
				answers[w] = b.ask("PUT", path, fmt.Sprintf(`{"title":"by %d"}`, w), "If-None-Match: *")
			})
		}
		done.Wait()
		var winners []int
		for w, a := range answers {
			if a.Code == http.StatusOK {
				winners = append(winners, w)
				continue
			}
			b.want(a, 412, "/problems/precondition-failed", "If-None-Match", "exists")
		}
		if len(winners) != 1 {
			t.Fatalf("round %d: %d of %d created the film", round, len(winners), writers)
		}
		b.want(b.ask("GET", path, ""), 200, fmt.Sprintf(`"title":"by %d"`, winners[0]))
	}
}
