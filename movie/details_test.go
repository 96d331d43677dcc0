package movie_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
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
		RatingStatus: "fresh", MetadataStatus: "fresh",
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

// Every response has an object of external ids, even where none is known.
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
	meet := func(ctx context.Context, _ string) error { // returns only when both calls are in flight
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
		t.Errorf("read after the put, while the old read is in flight: %q, want New", got)
	}
	release()
	if got := <-done; got != "Old" {
		t.Errorf("the old read got %q, want Old", got)
	}
	if got := w.get(t, "a").GetTitle(); got != "New" {
		t.Errorf("after the old read ended: %q, want New", got)
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
	for id, want := range map[string]codes.Code{"": codes.InvalidArgument, "missing": codes.NotFound} {
		if _, err := w.book.GetMovieDetails(t.Context(), &book.GetMovieDetailsRequest{MovieId: id}); status.Code(err) != want {
			t.Errorf("movie_id %q: got %v, want %v", id, err, want)
		}
	}
}
