package movie_test

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	moviev1 "movieexample.com/gen/movieexample/movie/v1"
	"movieexample.com/movie"
)

// These tests run in a bubble: time moves when all goroutines wait, and one that is left at the end fails the test.

// reply is what a caller of GetMovie got.
type reply struct {
	movie *moviev1.Movie
	err   error
	after time.Duration
}

// ask asks for films at the same time and returns the answers by id, each as soon as it is there.
func (w *world) ask(ctx context.Context, ids ...string) map[string]chan reply {
	all, began := make(map[string]chan reply), time.Now()
	for _, id := range ids {
		c := make(chan reply, 1)
		all[id] = c
		go func() {
			r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
			c <- reply{movie: r.GetMovie(), err: err, after: time.Since(began)}
		}()
	}
	return all
}

// numbered puts n films with a rating each into the world and returns their ids.
func (w *world) numbered(n int) []string {
	ids := make([]string, n)
	for i := range ids {
		ids[i] = fmt.Sprint("f", i)
		w.film(ids[i], "T"+ids[i], 2000)
		w.rating.set(ids[i], int32(i+1), 5)
	}
	return ids
}

// occupy requests two films that neither service answers until release: no other call starts alone
// meanwhile. busy gets the answers.
func (w *world) occupy(t *testing.T) (busy map[string]chan reply, release func()) {
	held, release := hold(t)
	for _, h := range []*hook{&w.metadata.before, &w.rating.before} {
		var calls atomic.Int32
		h.set(func(context.Context, string) error {
			if calls.Add(1) <= 2 {
				<-held
			}
			return nil
		})
	}
	busy = map[string]chan reply{}
	w.occupied++
	for i := range 2 {
		id := fmt.Sprint("busy", w.occupied, i)
		w.film(id, id, 2000)
		maps.Copy(busy, w.ask(t.Context(), id))
		synctest.Wait()
	}
	return busy, release
}

func (w *world) wantCalls(t *testing.T, when, want string) {
	t.Helper()
	synctest.Wait()
	if got := fmt.Sprint(w.metadataConn.take(), w.ratingConn.take()); got != want {
		t.Errorf("%s: calls %s, want %s", when, got, want)
	}
}

const (
	single   = "map[GetMovie:1] map[GetRatingSummary:1]"
	two      = "map[GetMovie:2] map[GetRatingSummary:2]"
	together = "map[BatchGetMovies:1] map[BatchGetRatingSummaries:1]"
	none     = "map[] map[]"
)

// Keys that are requested while calls are in flight share the next call.
func TestFilmsGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		ids := w.numbered(10)
		_, release := w.occupy(t)
		w.wantCalls(t, "two requests, one after the other", two)
		others := w.ask(t.Context(), ids...)
		w.wantCalls(t, "other films are requested", none)
		release()
		for i, id := range ids {
			if r := <-others[id]; r.err != nil || r.movie.GetId() != id || r.movie.GetRatingSummary().GetVotes() != int32(i+1) || r.after != 0 {
				t.Errorf("film %s: got %v, %v after %v", id, r.movie, r.err, r.after)
			}
		}
		w.wantCalls(t, "both calls have returned", together)
		w.get(t, ids[3])
		w.wantCalls(t, "the shared films are requested again", none)
	})
}

// A call that hangs delays other requests by 10 ms at most.
func TestCallThatHangsHoldsUpNobodyElse(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		ids := w.numbered(10)
		busy, release := w.occupy(t)
		w.wantCalls(t, "two are requested", two)
		for id, c := range w.ask(t.Context(), ids...) {
			if r := <-c; r.err != nil || r.movie.GetId() != id || r.after > 10*time.Millisecond {
				t.Errorf("film %s: got %v, %v after %v, want it within 10ms", id, r.movie, r.err, r.after)
			}
		}
		w.wantCalls(t, "others were requested", together)
		// The next one is served at once: it does not wait for the hanging calls again.
		w.film("next", "N", 2000)
		if r := <-w.ask(t.Context(), "next")["next"]; r.err != nil || r.after != 0 {
			t.Errorf("next film: %v after %v", r.err, r.after)
		}
		w.wantCalls(t, "another was requested", single)
		release()
		for id, c := range busy {
			if r := <-c; r.err != nil {
				t.Errorf("film %s: %v", id, r.err)
			}
		}
	})
}

// A call takes 50 keys at most, and a full one does not wait.
func TestFullCallGoesAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		ids := w.numbered(50 + 3)
		_, release := w.occupy(t)
		w.wantCalls(t, "two are requested", two)
		w.ask(t.Context(), ids...)
		w.wantCalls(t, "53 others are requested", together)
		release()
		w.wantCalls(t, "both calls have returned", together)
	})
}

// A caller that gives up while it waits for the next call does not affect the others, whether or not it was the first.
func TestWhoGivesUpWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		ids := w.numbered(5)
		_, release := w.occupy(t)
		leaving, leave := context.WithCancel(t.Context())
		gone := w.ask(leaving, ids[1])
		synctest.Wait() // it is the first of those who wait
		short, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
		defer cancel()
		late := w.ask(short, ids[2])
		others := w.ask(t.Context(), ids[1], ids[3], ids[4])
		synctest.Wait()
		leave()
		if r := <-gone[ids[1]]; status.Code(r.err) != codes.Canceled {
			t.Errorf("the caller that left got %v, want CANCELLED", r.err)
		}
		if r := <-late[ids[2]]; status.Code(r.err) != codes.DeadlineExceeded {
			t.Errorf("the caller with 5ms got %v, want DEADLINE_EXCEEDED", r.err)
		}
		release()
		for id, c := range others {
			if r := <-c; r.err != nil || r.movie.GetId() != id {
				t.Errorf("film %s: %v, %v", id, r.movie, r.err)
			}
		}
	})
}

// In a shared call, a film that does not exist does not affect the others; a call that fails, fails for all, once.
func TestErrorsOfFilmsThatGoTogether(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		ids := w.numbered(5)
		_, release := w.occupy(t)
		replies := w.ask(t.Context(), ids[1], "missing", ids[2])
		synctest.Wait()
		release()
		if r := <-replies["missing"]; status.Code(r.err) != codes.NotFound || !strings.Contains(r.err.Error(), `"missing"`) {
			t.Errorf("a film that does not exist: %v, want NOT_FOUND that names it", r.err)
		}
		for _, id := range ids[1:3] {
			if r := <-replies[id]; r.err != nil || r.movie.GetRatingStatus() != "fresh" {
				t.Errorf("film %s: %v, %v", id, r.movie, r.err)
			}
		}

		w.advance(2 * time.Second)
		for _, c := range []struct {
			what    string
			trouble *hook
			ids     []string // one of which nothing is known of
			check   func(id string, r reply)
		}{
			{"rating", &w.rating.before, ids[1:4], func(id string, r reply) {
				if want := map[bool]string{true: "stale", false: "unavailable"}[id != ids[3]]; r.err != nil || r.movie.GetRatingStatus() != want {
					t.Errorf("the rating service is down: film %s is %q, %v; want %q", id, r.movie.GetRatingStatus(), r.err, want)
				}
			}},
			{"metadata", &w.metadata.before, ids[1:], func(id string, r reply) {
				if id == ids[4] && (status.Code(r.err) != codes.Unavailable || !strings.Contains(r.err.Error(), "metadata service")) {
					t.Errorf("the metadata service is down: film %s: %v, want UNAVAILABLE that names it", id, r.err)
				}
				if id != ids[4] && (r.err != nil || r.movie.GetMetadataStatus() != "stale") {
					t.Errorf("the metadata service is down: film %s, which is known: %v, %v; want a stale one", id, r.movie, r.err)
				}
			}},
		} {
			_, release := w.occupy(t)
			replies := w.ask(t.Context(), c.ids...)
			synctest.Wait()
			w.metadataConn.take()
			w.ratingConn.take()
			c.trouble.set(down)
			release()
			for id, r := range replies {
				c.check(id, <-r)
			}
			// What goes to the rating service while the metadata service is down depends on whether it is left alone still.
			synctest.Wait()
			asked := map[string]map[string]int{"metadata": w.metadataConn.take(), "rating": w.ratingConn.take()}[c.what]
			if len(asked) != 1 || asked["BatchGetMovies"]+asked["BatchGetRatingSummaries"] != 1 {
				t.Errorf("the %s service is down: calls %v to it, want one for all", c.what, asked)
			}
			c.trouble.set(nil)
			w.advance(2 * time.Second)
		}
		if n := w.log.with("rating service cannot be reached"); n != 1 {
			t.Errorf("one call failed and was reported %d times", n)
		}
	})
}

// A write of a film that waits for the next call is not hidden by that call, and the author of a rating is not served the
// numbers of an earlier call in flight.
func TestWriteWhileFilmsWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		ids := w.numbered(3)
		_, release := w.occupy(t)
		waiting := w.ask(t.Context(), ids[1], ids[2])
		synctest.Wait()
		if _, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: ids[1], Title: "New"}}); err != nil {
			t.Fatal(err)
		}
		w.rating.set(ids[1], 77, 5)
		w.advance(time.Millisecond)
		after := metadata.AppendToOutgoingContext(t.Context(), "x-read-after", fmt.Sprint(w.clock().UnixMicro()))
		again := w.ask(after, ids[1])
		synctest.Wait()
		w.metadataConn.take()
		w.ratingConn.take()
		release()
		for name, c := range map[string]chan reply{"before": waiting[ids[1]], "after": again[ids[1]]} {
			if r := <-c; r.movie.GetTitle() != "New" || name == "after" && r.movie.GetRatingSummary().GetVotes() != 77 {
				t.Errorf("asked for %s the write: %v, %v", name, r.movie, r.err)
			}
		}
		<-waiting[ids[2]]
		if m := w.get(t, ids[1]); m.GetTitle() != "New" || m.GetRatingSummary().GetVotes() != 77 {
			t.Errorf("at last: %v", m)
		}
	})
}

// While one request probes a rating service that is down, the others do not wait for it.
func TestProbeIsNotWaitedFor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, movie.Config{})
		ids := w.numbered(4)
		w.rating.before.set(down)
		w.get(t, ids[0])
		w.advance(time.Second)
		held, release := hold(t)
		w.rating.before.set(func(context.Context, string) error { <-held; return nil })
		probe := w.ask(t.Context(), ids[1])
		synctest.Wait()
		for id, c := range w.ask(t.Context(), ids[2:]...) {
			if r := <-c; r.err != nil || r.movie.GetRatingStatus() != "unavailable" || r.after != 0 {
				t.Errorf("film %s: %q, %v after %v; want it at once, without ratings", id, r.movie.GetRatingStatus(), r.err, r.after)
			}
		}
		release()
		if r := <-probe[ids[1]]; r.movie.GetRatingStatus() != "fresh" {
			t.Errorf("the probing caller got %q", r.movie.GetRatingStatus())
		}
	})
}

// busy lets a fake's calls take a while, fail at times, and counts them.
type busy struct {
	mu          sync.Mutex
	random      *rand.Rand
	under, most int // calls at the same time
	failing     bool
	failed      int
}

func (b *busy) run(ctx context.Context, method string) error {
	switch method {
	case "GetMovie", "BatchGetMovies", "GetRatingSummary", "BatchGetRatingSummaries":
	default:
		return nil
	}
	b.mu.Lock()
	takes, fails := time.Duration(b.random.Int64N(int64(5*time.Millisecond))), b.failing && b.random.IntN(4) == 0
	b.under++
	b.most = max(b.most, b.under)
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.under--
	}()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return ctx.Err()
	}
	if fails {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.failed++
		return status.Error(codes.Unavailable, "connection refused")
	}
	return nil
}

// With many concurrent callers, each gets its film, as fresh as it may expect, or its own error; and
// there are never more than two calls in flight to a service that answers.
func TestManyCallers(t *testing.T) {
	for _, failing := range []bool{false, true} {
		for seed := range uint64(3) {
			t.Run(fmt.Sprintf("failing %v, seed %d", failing, seed), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { manyCallers(t, seed, failing) })
			})
		}
	}
}

func manyCallers(t *testing.T, seed uint64, failing bool) {
	const callers, questions, films = 40, 60, 60
	w := newWorld(t, movie.Config{CacheSize: films / 2})
	sides := [2]*busy{}
	for i, h := range []*hook{&w.metadata.before, &w.rating.before} {
		sides[i] = &busy{random: rand.New(rand.NewPCG(seed, uint64(i))), failing: failing}
		h.set(sides[i].run)
	}
	// What each film must at least show: the number of its last acknowledged write.
	var model [films]struct {
		turn         chan struct{} // whose waiting lets time move, unlike that for a mutex
		title, votes int
		written      atomic.Int64
	}
	var asked, left, failed, missing atomic.Int64
	question := func(random *rand.Rand) {
		n := random.IntN(films + 3) // a few do not exist
		id := fmt.Sprint("f", n)
		ctx, cancel := t.Context(), func() {}
		hurried := random.IntN(5) == 0
		if hurried {
			ctx, cancel = context.WithTimeout(ctx, time.Duration(random.Int64N(int64(8*time.Millisecond))))
		}
		defer cancel()
		var title, votes int64
		if n < films {
			m := &model[n]
			m.turn <- struct{}{}
			switch random.IntN(20) {
			case 0:
				m.title++
				if _, err := w.client.PutMovie(t.Context(), &moviev1.PutMovieRequest{Movie: &moviev1.Movie{Id: id, Title: fmt.Sprint(id, " ", m.title)}}); err != nil {
					t.Errorf("put %s: %v", id, err)
				}
				m.written.Store(int64(m.title))
			case 1:
				m.votes++
				w.rating.set(id, int32(m.votes), 5)
				w.advance(time.Millisecond)
				ctx = metadata.AppendToOutgoingContext(ctx, "x-read-after", fmt.Sprint(w.clock().UnixMicro()))
				votes = int64(m.votes)
			}
			<-m.turn
			title = m.written.Load()
		}
		if random.IntN(50) == 0 {
			w.advance(700 * time.Millisecond)
		}
		asked.Add(1)
		r, err := w.client.GetMovie(ctx, &moviev1.GetMovieRequest{Id: id})
		switch code := status.Code(err); {
		case err == nil && n < films:
			got := strings.Fields(r.GetMovie().GetTitle())
			if len(got) != 2 || r.GetMovie().GetId() != id || got[0] != id || got[1] < fmt.Sprint(title) && len(got[1]) <= len(fmt.Sprint(title)) {
				t.Errorf("film %s, written %d times: got %v", id, title, r)
			}
			switch s := r.GetMovie().GetRatingStatus(); {
			case s == "fresh" && int64(r.GetMovie().GetRatingSummary().GetVotes()) < votes:
				t.Errorf("film %s has %d votes, want at least %d", id, r.GetMovie().GetRatingSummary().GetVotes(), votes)
			case s != "fresh" && !failing && !hurried:
				t.Errorf("film %s is %q", id, s)
			}
		case code == codes.NotFound && n >= films && strings.Contains(err.Error(), id):
			missing.Add(1)
		case hurried && (code == codes.DeadlineExceeded || code == codes.Canceled):
			left.Add(1)
		case failing && code == codes.Unavailable && strings.Contains(err.Error(), "metadata service"):
			failed.Add(1)
		default:
			t.Errorf("film %s: %v, %v", id, r, err)
		}
	}
	for i := range films {
		id := fmt.Sprint("f", i)
		model[i].turn = make(chan struct{}, 1)
		w.film(id, id+" 0", 2000)
		w.rating.set(id, 0, 5)
	}
	var all sync.WaitGroup
	for c := range callers {
		random := rand.New(rand.NewPCG(seed, uint64(100+c)))
		all.Go(func() {
			for range questions {
				question(random)
			}
		})
	}
	all.Wait()
	pass(time.Second) // background refreshes end
	metadataCalls, ratingCalls := w.metadataConn.take(), w.ratingConn.take()
	t.Logf("%d questions, %d left, %d failed, %d missing; calls %v, %v", asked.Load(), left.Load(), failed.Load(), missing.Load(), metadataCalls, ratingCalls)
	if left.Load() == 0 || missing.Load() == 0 || failing != (failed.Load() > 0) {
		t.Error("not every case of this test occurred")
	}
	if sides[0].most != 2 || !failing && sides[1].most > 3 { // one more refreshes in the background
		t.Errorf("%d calls to metadata and %d to rating at the same time", sides[0].most, sides[1].most)
	}
	if got := metadataCalls["GetMovie"] + metadataCalls["BatchGetMovies"]; got > callers*questions/4 {
		t.Errorf("%d calls for %d questions", got, callers*questions)
	}
}
