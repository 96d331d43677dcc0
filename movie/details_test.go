package movie_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"

	"movieexample.com/gen/book"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

func ptr[T any](v T) *T { return &v }

// down makes every call to the service fail as if it could not be reached.
func down(context.Context, string) error {
	return status.Error(codes.Unavailable, "connection refused")
}

// hold returns a channel that a fake waits on until release, which a test that fails half way calls too.
func hold(t *testing.T) (held <-chan struct{}, release func()) {
	c := make(chan struct{})
	release = sync.OnceFunc(func() { close(c) })
	t.Cleanup(release)
	return c, release
}

// hang makes every call to the service last as long as its caller waits.
func hang(ctx context.Context, _ string) error {
	<-ctx.Done()
	return ctx.Err()
}

func TestMovieIsMetadataAndRating(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.metadata.set(&metadatav1.Movie{
		Id: "tt1", Title: "The Film", OriginalTitle: "Der Film", AlternativeTitles: []string{"Film"}, Year: ptr(int32(1999)),
		Genres: []string{"Drama", "War"}, Director: "A. Director", Description: "Something happens.", RuntimeMinutes: ptr(int32(101)),
		ExternalIds: &metadatav1.ExternalIds{Imdb: "tt0000001", Tmdb: "2", Movielens: "3"}, Etag: "v7",
	})
	w.rating.set("tt1", 12, 7.5)
	want := &moviev1.Movie{
		Id: "tt1", Title: "The Film", OriginalTitle: "Der Film", AlternativeTitles: []string{"Film"}, Year: ptr(int32(1999)),
		Genres: []string{"Drama", "War"}, Director: "A. Director", Description: "Something happens.", RuntimeMinutes: ptr(int32(101)),
		ExternalIds: &moviev1.ExternalIds{Imdb: "tt0000001", Tmdb: "2", Movielens: "3"}, Etag: "v7",
		RatingStatus: "fresh",
		RatingSummary: &moviev1.RatingSummary{
			Mean: 7.5, Votes: 12, Weighted: 7, Histogram: make([]int32, 10), AsOfTime: timestamppb.New(time.Unix(1_700_000_000, 0)),
		},
	}
	for range 2 { // cold, then warm
		if diff := cmp.Diff(want, w.get(t, "tt1"), protocmp.Transform()); diff != "" {
			t.Error(diff)
		}
	}
	if n, m := w.metadataConn.count("GetMovie"), w.ratingConn.count("GetRatingSummary"); n != 1 || m != 1 {
		t.Errorf("two requests within the TTL made %d metadata and %d rating calls, want 1 and 1", n, m)
	}
}

// Whoever reads an answer finds an object of external ids in it, even where none is known.
func TestExternalIDsAreAlwaysThere(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	w.rating.set("a", 40, 5)
	put, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "b", Title: "B"}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	batch, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"a"}})
	if err != nil {
		t.Fatal(err)
	}
	chart, err := w.client.ListChart(t.Context(), &moviev1.ListChartRequest{Chart: "top"})
	if err != nil {
		t.Fatal(err)
	}
	for name, m := range map[string]*moviev1.Movie{
		"get": w.get(t, "a"), "put": put.GetMovie(), "list": list.GetMovies()[0], "batch": batch.GetMovies()[0], "chart": chart.GetEntries()[0].GetMovie(),
	} {
		if m.GetId() == "" || m.ExternalIds == nil {
			t.Errorf("%s: %v has no external_ids", name, m)
		}
	}
}

func TestBothServicesAreAskedSideBySide(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	var both sync.WaitGroup
	both.Add(2)
	meet := func(ctx context.Context, _ string) error { // comes back only when both calls are under way
		both.Done()
		met := make(chan struct{})
		go func() { both.Wait(); close(met) }()
		select {
		case <-met:
			return nil
		case <-ctx.Done():
			return errors.New("the other service was not asked meanwhile")
		}
	}
	w.metadata.before.set(meet)
	w.rating.before.set(meet)
	if m := w.get(t, "a"); m.GetRatingStatus() != "unrated" || m.RatingSummary != nil {
		t.Errorf("got status %q, summary %v; want unrated without summary", m.GetRatingStatus(), m.RatingSummary)
	}
}

func TestOneCallUnderWayPerFilm(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	entered := make(chan struct{})
	held, release := hold(t)
	w.metadata.before.set(func(context.Context, string) error {
		close(entered) // a second call would panic here, and its caller would get INTERNAL
		<-held
		return nil
	})

	// The first caller starts the call and goes away.
	first, leave := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := w.client.GetMovie(first, &moviev1.GetMovieRequest{Id: "a"})
		gone <- err
	}()
	<-entered
	leave()
	if err := <-gone; status.Code(err) != codes.Canceled {
		t.Errorf("caller who left got %v, want CANCELLED", err)
	}

	// Others join it, each as long as its own patience lasts.
	for range 5 {
		impatient, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := w.client.GetMovie(impatient, &moviev1.GetMovieRequest{Id: "a"})
		if status.Code(err) != codes.DeadlineExceeded {
			t.Errorf("impatient caller got %v, want DEADLINE_EXCEEDED", err)
		}
		cancel()
	}
	var waiters sync.WaitGroup
	for range 10 {
		waiters.Go(func() {
			if _, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "a"}); err != nil {
				t.Error(err)
			}
		})
	}
	release()
	waiters.Wait()
	if n := w.metadataConn.count("GetMovie"); n != 1 {
		t.Errorf("%d metadata calls, want 1", n)
	}
}

func TestErrorsAreNotCached(t *testing.T) {
	w := newWorld(t, movie.Config{})
	_, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "a"})
	if status.Code(err) != codes.NotFound || !strings.Contains(err.Error(), `"a"`) {
		t.Fatalf("got %v, want NOT_FOUND that names the id", err)
	}
	w.film("a", "A", 2000)
	if got := w.get(t, "a").GetTitle(); got != "A" {
		t.Errorf("title %q, want A", got)
	}
}

func TestMetadataDownIsNamed(t *testing.T) {
	w := newWorld(t, movie.Config{MetadataTimeout: 50 * time.Millisecond})
	w.rating.set("a", 1, 5)
	for _, c := range []struct {
		name string
		hook func(context.Context, string) error
		code codes.Code
	}{
		{"down", down, codes.Unavailable},
		{"hangs", hang, codes.DeadlineExceeded},
	} {
		t.Run(c.name, func(t *testing.T) {
			w.metadata.before.set(c.hook)
			_, err := w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "a"})
			if status.Code(err) != c.code || !strings.Contains(err.Error(), "metadata service") {
				t.Errorf("got %v, want %v that names the metadata service", err, c.code)
			}
			_, err = w.client.ListMovies(t.Context(), &moviev1.ListMoviesRequest{})
			if status.Code(err) != c.code || !strings.Contains(err.Error(), "metadata service") {
				t.Errorf("list: got %v, want %v that names the metadata service", err, c.code)
			}
		})
	}
}

func TestTTL(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTTL: 500 * time.Millisecond})
	w.film("a", "A", 2000)
	w.rating.set("a", 1, 5)
	w.get(t, "a")
	w.film("a", "B", 2000) // behind our back
	w.rating.set("a", 2, 6)
	w.advance(499 * time.Millisecond)
	if m := w.get(t, "a"); m.GetTitle() != "A" || m.GetRatingSummary().GetVotes() != 1 {
		t.Errorf("within the TTL: got %q with %d votes, want the cached A with 1", m.GetTitle(), m.GetRatingSummary().GetVotes())
	}
	w.advance(2 * time.Millisecond)
	if m := w.get(t, "a"); m.GetTitle() != "B" || m.GetRatingSummary().GetVotes() != 2 {
		t.Errorf("after the TTL: got %q with %d votes, want B with 2", m.GetTitle(), m.GetRatingSummary().GetVotes())
	}
}

// Who knows that a film was rated may demand numbers that were read since: what is kept will not do, nor the answer of a call
// that began before.
func TestReadAfter(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTTL: 500 * time.Millisecond})
	w.film("a", "A", 2000)
	w.rating.set("a", 1, 5)
	w.get(t, "a")
	w.rating.set("a", 2, 6)
	w.advance(time.Millisecond)
	after := func(at time.Time) context.Context {
		return metadata.AppendToOutgoingContext(t.Context(), "x-read-after", strconv.FormatInt(at.UnixMicro(), 10))
	}
	votes := func(ctx context.Context) int32 {
		t.Helper()
		r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: "a"})
		if err != nil {
			t.Fatal(err)
		}
		return r.GetMovie().GetRatingSummary().GetVotes()
	}
	for name, ctx := range map[string]context.Context{
		"nothing demanded": t.Context(),
		"an earlier time":  after(w.clock().Add(-time.Millisecond)),
		"no time":          metadata.AppendToOutgoingContext(t.Context(), "x-read-after", "now"),
	} {
		if got := votes(ctx); got != 1 {
			t.Errorf("%s: %d votes, want the 1 that is kept", name, got)
		}
	}
	if got := votes(after(w.clock())); got != 2 {
		t.Errorf("%d votes, want the 2 of now", got)
	}
	if got := votes(t.Context()); got != 2 {
		t.Errorf("%d votes afterwards, want the 2 that were read", got)
	}
	batch, err := w.client.BatchGetMovies(after(w.clock().Add(time.Second)), &moviev1.BatchGetMoviesRequest{Ids: []string{"a"}})
	if err != nil || batch.GetMovies()[0].GetRatingSummary().GetVotes() != 2 {
		t.Errorf("with a clock that is behind the caller's: %v, %v", batch, err)
	}

	// A call under way that began too early is not waited for.
	w.advance(time.Second)
	entered, release := make(chan struct{}), make(chan struct{})
	var first atomic.Bool
	w.rating.before.set(func(_ context.Context, method string) error {
		if method == "GetRatingSummary" && first.CompareAndSwap(false, true) {
			close(entered)
			<-release
		}
		return nil
	})
	old := make(chan int32, 1)
	go func() { old <- votes(t.Context()) }()
	<-entered
	w.rating.set("a", 3, 6)
	w.advance(time.Millisecond)
	if got := votes(after(w.clock())); got != 3 {
		t.Errorf("%d votes while an early call is under way, want 3", got)
	}
	close(release)
	<-old
	if got := votes(t.Context()); got != 3 {
		t.Errorf("%d votes after the early call has come back, want 3", got)
	}
}

func TestWriteShowsAtOnce(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "Old", 2000)
	w.rating.set("a", 3, 5)
	w.get(t, "a")
	put, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{
		Id: "a", Title: "New", Etag: "etag of Old",
		RatingStatus: "unrated", RatingSummary: &moviev1.RatingSummary{Mean: 10, Votes: 1000}, // output only: ignored
	}})
	if err != nil {
		t.Fatal(err)
	}
	if m := put.GetMovie(); m.GetTitle() != "New" || m.GetEtag() != "etag of New" || m.GetRatingSummary().GetVotes() != 3 || m.GetRatingStatus() != "fresh" {
		t.Errorf("put answered %v", m)
	}
	if got := w.get(t, "a").GetTitle(); got != "New" {
		t.Errorf("after the put the title is %q, want New", got)
	}
	_, err = w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "a", Title: "X", Etag: "etag of Old"}})
	if status.Code(err) != codes.Aborted {
		t.Errorf("put with an old etag: got %v, want ABORTED", err)
	}
	if _, err = w.client.DeleteMovie(t.Context(), &moviev1.DeleteMovieRequest{Id: "a"}); err != nil {
		t.Fatal(err)
	}
	if _, err = w.client.GetMovie(t.Context(), &moviev1.GetMovieRequest{Id: "a"}); status.Code(err) != codes.NotFound {
		t.Errorf("after the delete: got %v, want NOT_FOUND", err)
	}
}

// A read that began before a write must not put what it read into the cache after the write.
func TestOldReadDoesNotHideWrite(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "Old", 2000)
	read := make(chan struct{})
	held, release := hold(t)
	w.metadata.after.set(func(context.Context, string) error {
		close(read)
		<-held
		return nil
	})
	done := make(chan string, 1)
	go func() {
		r, _ := w.client.GetMovie(context.Background(), &moviev1.GetMovieRequest{Id: "a"})
		done <- r.GetMovie().GetTitle()
	}()
	<-read
	w.metadata.after.set(nil)
	if _, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: "a", Title: "New"}}); err != nil {
		t.Fatal(err)
	}
	if got := w.get(t, "a").GetTitle(); got != "New" {
		t.Errorf("read after the put, while the old read is under way: %q, want New", got)
	}
	release()
	if got := <-done; got != "Old" {
		t.Errorf("the old read got %q, want Old", got)
	}
	if got := w.get(t, "a").GetTitle(); got != "New" {
		t.Errorf("after the old read ended: %q, want New", got)
	}
}

func TestRatingDown(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("known", "K", 2000)
	w.film("unknown", "U", 2000)
	w.film("unrated", "N", 2000)
	w.rating.set("known", 9, 8)
	w.get(t, "known")
	w.get(t, "unrated")
	w.advance(time.Minute)
	w.rating.before.set(down)
	w.ratingConn.take()

	m := w.get(t, "known")
	if m.GetRatingStatus() != "stale" || m.GetRatingSummary().GetVotes() != 9 || m.GetRatingSummary().GetAsOfTime().GetSeconds() != 1_700_000_000 {
		t.Errorf("known film: status %q, summary %v; want stale with the last known summary and its own time", m.GetRatingStatus(), m.GetRatingSummary())
	}
	for _, id := range []string{"unknown", "unrated"} {
		if m := w.get(t, id); m.GetRatingStatus() != "unavailable" || m.RatingSummary != nil {
			t.Errorf("%s film: status %q, summary %v; want unavailable without summary", id, m.GetRatingStatus(), m.GetRatingSummary())
		}
	}
	list, err := w.client.BatchGetMovies(t.Context(), &moviev1.BatchGetMoviesRequest{Ids: []string{"known", "unknown", "nobody"}})
	if err != nil {
		t.Fatal(err)
	}
	if a, b := list.GetMovies()[0].GetRatingStatus(), list.GetMovies()[1].GetRatingStatus(); a != "stale" || b != "unavailable" {
		t.Errorf("batch: statuses %q, %q; want stale, unavailable", a, b)
	}
	if calls := w.ratingConn.take(); calls["GetRatingSummary"]+calls["BatchGetRatingSummaries"] != 1 {
		t.Errorf("calls to a service that is down: %v, want one within the pause", calls)
	}

	// The book API cannot say how good a number is.
	b, err := w.book.GetMovieDetails(t.Context(), &book.GetMovieDetailsRequest{MovieId: "known"})
	if err != nil || b.GetMovieDetails().GetRating() != 8 {
		t.Errorf("book, known: got %v, %v; want the last known 8", b, err)
	}
	_, err = w.book.GetMovieDetails(t.Context(), &book.GetMovieDetailsRequest{MovieId: "unknown"})
	if status.Code(err) != codes.Unavailable || !strings.Contains(err.Error(), "rating service") {
		t.Errorf("book, unknown: got %v, want UNAVAILABLE that names the rating service", err)
	}

	// Nothing is known for ever.
	w.advance(2 * time.Hour)
	if got := w.get(t, "known").GetRatingStatus(); got != "unavailable" {
		t.Errorf("after RatingStaleFor: status %q, want unavailable", got)
	}

	// One probe after the pause finds the service back.
	w.rating.before.set(nil)
	w.advance(time.Second)
	w.ratingConn.take()
	if m := w.get(t, "known"); m.GetRatingStatus() != "fresh" {
		t.Errorf("service is back: status %q, want fresh", m.GetRatingStatus())
	}
	if m := w.get(t, "unrated"); m.GetRatingStatus() != "unrated" {
		t.Errorf("service is back: status %q, want unrated", m.GetRatingStatus())
	}
}

func TestRatingHangs(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTimeout: 30 * time.Millisecond})
	w.film("a", "A", 2000)
	w.film("b", "B", 2000)
	w.rating.before.set(hang)
	if m := w.get(t, "a"); m.GetRatingStatus() != "unavailable" {
		t.Errorf("status %q, want unavailable", m.GetRatingStatus())
	}
	w.ratingConn.take()
	for range 10 {
		if m := w.get(t, "b"); m.GetRatingStatus() != "unavailable" {
			t.Errorf("status %q, want unavailable", m.GetRatingStatus())
		}
	}
	if calls := w.ratingConn.take(); len(calls) != 0 {
		t.Errorf("calls within the pause after a timeout: %v, want none", calls)
	}
}

// After the pause one call finds out whether the service is back; meanwhile nobody else waits.
func TestOneProbe(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTimeout: time.Second})
	w.film("a", "A", 2000)
	w.film("b", "B", 2000)
	w.rating.before.set(down)
	w.get(t, "a")
	w.advance(time.Second)
	entered := make(chan struct{})
	held, release := hold(t)
	w.rating.before.set(func(context.Context, string) error {
		close(entered) // a second probe would panic here
		<-held
		return nil
	})
	probe := make(chan string, 1)
	go func() {
		r, _ := w.client.GetMovie(context.Background(), &moviev1.GetMovieRequest{Id: "a"})
		probe <- r.GetMovie().GetRatingStatus()
	}()
	<-entered
	w.ratingConn.take()
	if got := w.get(t, "b").GetRatingStatus(); got != "unavailable" {
		t.Errorf("during the probe: status %q, want unavailable", got)
	}
	if calls := w.ratingConn.take(); len(calls) != 0 {
		t.Errorf("during the probe: calls %v, want none", calls)
	}
	release()
	if got := <-probe; got != "unrated" {
		t.Errorf("the probe got %q, want unrated", got)
	}
}

// A caller with less patience than RatingTimeout gets the film too, in its own time.
func TestRatingHangsLongerThanTheCallerWaits(t *testing.T) {
	w := newWorld(t, movie.Config{RatingTimeout: time.Second})
	w.film("a", "A", 2000)
	w.rating.before.set(hang)
	for name, call := range map[string]func(ctx context.Context) (*moviev1.Movie, error){
		"get": func(ctx context.Context) (*moviev1.Movie, error) {
			r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: "a"})
			return r.GetMovie(), err
		},
		"batch": func(ctx context.Context) (*moviev1.Movie, error) {
			r, err := w.client.BatchGetMovies(ctx, &moviev1.BatchGetMoviesRequest{Ids: []string{"a"}})
			if err != nil {
				return nil, err
			}
			return r.GetMovies()[0], nil
		},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		m, err := call(ctx)
		cancel()
		if err != nil || m.GetRatingStatus() != "unavailable" {
			t.Errorf("%s: got %v, %v; want the film with status unavailable", name, m, err)
		}
	}
}

// An answer that is an error, not an absence, does not take the film away either.
func TestRatingBroken(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("a", "A", 2000)
	w.rating.before.set(func(context.Context, string) error { return errors.New("disk on fire") })
	if m := w.get(t, "a"); m.GetRatingStatus() != "unavailable" {
		t.Errorf("status %q, want unavailable", m.GetRatingStatus())
	}
	w.rating.before.set(nil)
	if m := w.get(t, "a"); m.GetRatingStatus() != "unrated" {
		t.Errorf("status %q right after, want unrated: a service that answers is asked again", m.GetRatingStatus())
	}
}

func TestBookDetails(t *testing.T) {
	w := newWorld(t, movie.Config{})
	w.film("rated", "R", 2000)
	w.film("unrated", "U", 2000)
	w.rating.set("rated", 2, 9.5)
	for id, want := range map[string]float64{"rated": 9.5, "unrated": 0} {
		r, err := w.book.GetMovieDetails(t.Context(), &book.GetMovieDetailsRequest{MovieId: id})
		if err != nil {
			t.Fatal(err)
		}
		d := r.GetMovieDetails()
		if d.GetRating() != want || d.GetMetadata().GetId() != id || d.GetMetadata().GetDirector() != "D" || !strings.HasPrefix(d.GetMetadata().GetDescription(), "About") {
			t.Errorf("%s: got %v, want rating %v", id, d, want)
		}
	}
	for id, want := range map[string]codes.Code{"": codes.InvalidArgument, "nobody": codes.NotFound} {
		if _, err := w.book.GetMovieDetails(t.Context(), &book.GetMovieDetailsRequest{MovieId: id}); status.Code(err) != want {
			t.Errorf("movie_id %q: got %v, want %v", id, err, want)
		}
	}
}
