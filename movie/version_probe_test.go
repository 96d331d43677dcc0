package movie_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// aLook is more than the time for which a version is trusted: the next request waits for another.
const aLook = time.Second + time.Millisecond

// views are all that can be seen of films, each as the titles that it shows.
func (w *world) views(t testing.TB) map[string]func() string {
	chart := func(req *moviev1.ListChartRequest) func() string {
		return func() string {
			r, err := w.client.ListChart(context.Background(), req)
			if err != nil {
				t.Error(err)
			}
			var films []*moviev1.Movie
			for _, e := range r.GetEntries() {
				films = append(films, e.GetMovie())
			}
			return titlesOf(films)
		}
	}
	return map[string]func() string{
		"details": func() string {
			r, err := w.client.GetMovie(context.Background(), &moviev1.GetMovieRequest{Id: "a"})
			if err != nil {
				t.Error(err)
			}
			return r.GetMovie().GetTitle()
		},
		"list": func() string {
			r, err := w.client.ListMovies(context.Background(), &moviev1.ListMoviesRequest{Genre: "Drama"})
			if err != nil {
				t.Error(err)
			}
			return titlesOf(r.GetMovies())
		},
		"batch": func() string {
			r, err := w.client.BatchGetMovies(context.Background(), &moviev1.BatchGetMoviesRequest{Ids: []string{"a", "b"}})
			if err != nil {
				t.Error(err)
			}
			return titlesOf(r.GetMovies())
		},
		"chart":       chart(&moviev1.ListChartRequest{Chart: "popular"}),
		"genre chart": chart(&moviev1.ListChartRequest{Chart: "popular", Genre: "Drama"}),
		"search": func() string {
			r, err := w.client.SearchMovies(context.Background(), &moviev1.SearchMoviesRequest{Q: "1"})
			if err != nil {
				t.Error(err)
			}
			var films []*moviev1.Movie
			for _, h := range r.GetHits() {
				films = append(films, h.GetMovie())
			}
			return titlesOf(films)
		},
		"similar": func() string {
			r, err := w.client.ListSimilarMovies(context.Background(), &moviev1.ListSimilarMoviesRequest{Id: "a"})
			if err != nil {
				t.Error(err)
			}
			var films []*moviev1.Movie
			for _, m := range r.GetMovies() {
				films = append(films, m.GetMovie())
			}
			return titlesOf(films)
		},
	}
}

// populate has two films in the world, which every view but details and similar shows.
func (w *world) populate() {
	w.film("a", "A1", 1990, "Drama")
	w.film("b", "B1", 1990, "Drama")
	w.rating.set("a", 3, 6)
	w.rating.set("b", 2, 6)
	w.metadata.similar = []*metadatav1.ListSimilarMoviesResponse_SimilarMovie{{Id: "b", Similarity: 1}}
}

// Cached films and pages are served until the catalogue's version changes.
func TestKeptUntilTheVersionMoves(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	w.populate()
	views := w.views(t)
	want := map[string]string{"details": "A1", "similar": "B1"}
	check := func(when string, want map[string]string, others string) {
		t.Helper()
		for name, view := range views {
			expected, ok := want[name]
			if !ok {
				expected = others
			}
			if got := view(); got != expected {
				t.Errorf("%s: the %s shows %q, want %q", when, name, got, expected)
			}
		}
	}
	for range 4 { // an index is trusted only after two seconds without a change
		check("first", want, "A1 B1")
		w.advance(aLook)
	}
	check("first", want, "A1 B1")
	w.metadataConn.take()
	w.metadataConn.takeVersions()
	for range 5 {
		w.advance(time.Minute)
		check("later", want, "A1 B1")
	}
	if calls := w.metadataConn.take(); len(calls) != 0 {
		t.Errorf("nothing changed and the metadata service was called: %v", calls)
	}
	if n := w.metadataConn.takeVersions(); n != 5 {
		t.Errorf("%d version probes, want one at a time", n)
	}

	// Another process writes.
	w.film("a", "New1", 1990, "Drama")
	w.advance(aLook)
	check("another process wrote", map[string]string{"details": "New1", "similar": "B1"}, "New1 B1")
	// And this one.
	w.advance(time.Minute)
	check("a minute later", map[string]string{"details": "New1", "similar": "B1"}, "New1 B1")
	if _, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "b", Title: "Own1", Genres: []string{"Drama"}}}); err != nil {
		t.Fatal(err)
	}
	check("this process wrote", map[string]string{"details": "New1", "similar": "Own1"}, "New1 Own1")
}

// A response in flight while another process wrote, and while the new version was read, is not cached under that version.
func TestAnswerIsAsOldAsItsQuestion(t *testing.T) {
	for _, method := range []string{"ListMovies", "GetMovie"} {
		t.Run(method, func(t *testing.T) {
			w := newVersionedWorld(t, movie.Config{})
			w.populate()
			view := w.views(t)["list"]
			if method == "GetMovie" {
				view = w.views(t)["details"]
			}
			read := make(chan struct{})
			held, release := hold(t)
			w.metadata.after.set(func(_ context.Context, called string) error {
				if called == method {
					close(read)
					<-held
				}
				return nil
			})
			done := make(chan string, 1)
			go func() { done <- view() }()
			<-read
			w.metadata.after.set(nil)
			w.film("a", "New1", 1990, "Drama")
			w.advance(aLook)
			w.metadataConn.takeVersions()
			w.views(t)["search"]() // finds the new version
			if n := w.metadataConn.takeVersions(); n != 1 {
				t.Fatalf("%d version probes, want 1", n)
			}
			release()
			if got := <-done; !strings.HasPrefix(got, "A1") {
				t.Errorf("the old request got %q", got)
			}
			if got := view(); !strings.HasPrefix(got, "New1") {
				t.Errorf("after it, the view shows %q, want New1 first", got)
			}
		})
	}
}

// While the index is behind the catalogue, or was until recently, its answers are not cached: another process's index may still be behind.
func TestFindsAreKeptWhenTheIndexHasSettled(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	w.populate()
	search := w.views(t)["search"]
	asked := func() int {
		w.metadataConn.take()
		search()
		return w.metadataConn.count("SearchMovies")
	}
	w.metadata.setVersion(func(v *fakeVersion) { v.lag = 1 })
	for range 5 {
		if asked() != 1 {
			t.Error("the index is behind and its answer was cached")
		}
		w.advance(aLook)
	}
	w.metadata.setVersion(func(v *fakeVersion) { v.lag = 0 })
	for range 3 { // at 0, 1 and 2 seconds; the one of 2 is good
		if asked() != 1 {
			t.Error("the index has just reached the catalogue and its answer was cached")
		}
		w.advance(aLook)
	}
	for range 5 {
		if asked() != 0 {
			t.Error("the index has settled and is queried again")
		}
		w.advance(aLook)
	}
	if _, err := metadatav1.NewMetadataServiceClient(w.metadataConn).SyncVotes(t.Context(), &metadatav1.SyncVotesRequest{
		Votes: []*metadatav1.SyncVotesRequest_MovieVotes{{MovieId: "a", Votes: 9}},
	}); err != nil {
		t.Fatal(err)
	}
	if asked() != 1 {
		t.Error("votes changed, which may change the order, and the old answer was served")
	}
}

// Where the version is unavailable, entries are used for a second, as if there were no versions; requests wait for it once at most.
func TestWithoutVersions(t *testing.T) {
	for name, trouble := range map[string]func(context.Context, string) error{
		"unknown": func(context.Context, string) error { return status.Error(codes.Unimplemented, "unknown method") },
		"down":    down,
		"hangs":   hang,
		"panics":  func(context.Context, string) error { panic("oops") },
	} {
		t.Run(name, func(t *testing.T) {
			w := newVersionedWorld(t, movie.Config{MetadataTimeout: 200 * time.Millisecond})
			w.populate()
			w.metadata.version.before.set(trouble)
			for name, view := range w.views(t) {
				first := view()
				w.metadataConn.take()
				if got := view(); got != first {
					t.Errorf("%s: %q, then %q", name, first, got)
				}
				if calls := w.metadataConn.take(); len(calls) != 0 {
					t.Errorf("%s: right after, calls %v, want none", name, calls)
				}
			}
			if n := w.metadataConn.takeVersions(); n != 1 {
				t.Errorf("%d version probes at one time, want 1", n)
			}
			w.film("a", "New1", 1990, "Drama")
			w.advance(aLook)
			for name, view := range w.views(t) {
				if got := view(); name != "similar" && !strings.HasPrefix(got, "New1") {
					t.Errorf("%s: a second after another process wrote it shows %q", name, got)
				}
			}
		})
	}
}

// After the version was lost, or went back as in a restored database, it is not compared with earlier ones.
func TestVersionOfAnotherDatabase(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	w.populate()
	list := w.views(t)["list"]
	replace := func(title string) { // the version's numbers stay the same
		w.film("a", title, 1990, "Drama")
		w.metadata.setVersion(func(v *fakeVersion) { v.movies-- })
	}
	list()
	w.metadata.version.before.set(down)
	w.advance(aLook)
	list()
	replace("Restored1")
	w.metadata.version.before.set(nil)
	w.advance(2 * aLook)
	if got := list(); got != "Restored1 B1" {
		t.Errorf("after the version was lost the list shows %q", got)
	}
	until(t, "the version is known again", func() bool {
		w.advance(aLook)
		list()
		w.metadataConn.take()
		w.advance(aLook)
		list()
		return w.metadataConn.count("ListMovies") == 0
	})

	w.metadata.setVersion(func(v *fakeVersion) { v.movies-- })
	w.advance(aLook)
	w.get(t, "b")
	replace("Again1")
	w.metadata.setVersion(func(v *fakeVersion) { v.movies++ })
	w.advance(aLook)
	if got := list(); got != "Again1 B1" {
		t.Errorf("after the version went back and forth the list shows %q", got)
	}
}

// until waits for a condition that something in the background brings about.
func until(t testing.TB, what string, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for !done() {
		select {
		case <-ctx.Done():
			t.Fatalf("%s: not within 30 seconds", what)
		case <-time.After(time.Millisecond):
		}
	}
}

// While a version is trusted, one request starts the next probe and none waits for it.
func TestVersionIsAskedForInTheBackground(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	w.populate()
	views := w.views(t)
	for _, view := range views {
		view()
	}
	held, release := hold(t)
	w.metadata.version.before.set(func(context.Context, string) error {
		<-held
		return nil
	})
	w.film("a", "New1", 1990, "Drama")
	w.metadataConn.take()
	w.metadataConn.takeVersions()
	w.advance(300 * time.Millisecond)
	var readers sync.WaitGroup
	for range 10 {
		readers.Go(func() { views["list"]() })
	}
	readers.Wait()
	n := 0
	until(t, "the version is probed", func() bool { n += w.metadataConn.takeVersions(); return n > 0 })
	if calls := w.metadataConn.take(); n != 1 || len(calls) != 0 {
		t.Errorf("%d version probes and calls %v; want one probe, for which no request waited", n, calls)
	}
	w.advance(701 * time.Millisecond) // now the list is too old as well, and the old version is no longer trusted
	release()
	if got := views["list"](); got != "New1 B1" {
		t.Errorf("with the new version the list shows %q", got)
	}
}

// Summaries that are read are refreshed before a request has to wait for them, in one call.
func TestSummariesAreRefreshedAhead(t *testing.T) {
	w := newVersionedWorld(t, movie.Config{})
	for i := range 30 {
		id := fmt.Sprint("f", i)
		w.film(id, fmt.Sprint("T", i), 2000)
		w.rating.set(id, 1, 5)
	}
	votes := func() (all int32) {
		r, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range r.GetMovies() {
			if m.GetRatingStatus() != "fresh" {
				t.Errorf("%s is %q", m.GetId(), m.GetRatingStatus())
			}
			all += m.GetRatingSummary().GetVotes()
		}
		return all
	}
	votes()
	w.advance(500 * time.Millisecond)
	w.ratingConn.take()
	for i := range 30 {
		w.rating.set(fmt.Sprint("f", i), 2, 5)
	}
	if got := votes(); got != 30 || len(w.ratingConn.take()) != 0 {
		t.Errorf("at half of their time: %d votes, want the cached ones, without a call", got)
	}
	held, release := hold(t)
	w.rating.before.set(func(context.Context, string) error {
		<-held
		return nil
	})
	w.advance(time.Millisecond)
	for range 5 {
		if got := votes(); got != 30 {
			t.Errorf("during the refresh: %d votes, want the old 30", got)
		}
	}
	release()
	until(t, "the new votes are served", func() bool { return votes() == 60 })
	if got := fmt.Sprint(w.ratingConn.take()); got != "map[BatchGetRatingSummaries:1]" {
		t.Errorf("calls %v, want one for all", got)
	}
	// Requests wait for summaries that were not read in time.
	w.rating.set("f0", 10, 5)
	w.advance(aLook)
	if got := votes(); got != 68 {
		t.Errorf("after their time: %d votes, want 68", got)
	}
}
