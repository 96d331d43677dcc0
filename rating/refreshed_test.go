package rating

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"movieexample.com/internal/sqldb"
)

// counted is a computation whose results count up, that can be held up and made to fail.
type counted struct {
	calls atomic.Int64
	gate  chan struct{} // nil: does not wait
	fail  atomic.Bool
}

func (c *counted) compute(context.Context) (int64, error) {
	n := c.calls.Add(1)
	if c.gate != nil {
		<-c.gate
	}
	if c.fail.Load() {
		return 0, errors.New("no result")
	}
	return n, nil
}

// fixture is a refreshed with a clock that the test moves.
func fixture(c *counted) (r *refreshed[int64], advance func(time.Duration)) {
	var now atomic.Int64
	now.Store(t0.UnixNano())
	r = &refreshed[int64]{compute: c.compute, now: func() time.Time { return time.Unix(0, now.Load()) }, minAge: time.Second}
	return r, func(d time.Duration) { now.Add(int64(d)) }
}

func (r *refreshed[T]) must(t *testing.T) T {
	t.Helper()
	v, err := r.get(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestRefreshedComputesAgainWhenTooOld(t *testing.T) {
	c := &counted{}
	r, advance := fixture(c)
	for i, step := range []struct {
		after time.Duration
		want  int64
	}{{0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {time.Hour, 3}, {-2 * time.Hour, 4}, {time.Millisecond, 4}} {
		advance(step.after)
		if got := r.must(t); got != step.want {
			t.Errorf("step %d: result %d, want %d", i, got, step.want)
		}
	}
}

func TestRefreshedComputesOnceForAll(t *testing.T) {
	c := &counted{gate: make(chan struct{})}
	r, _ := fixture(c)
	var wg sync.WaitGroup
	var wrong atomic.Int64
	for range 50 {
		wg.Go(func() {
			if v, err := r.get(context.Background(), nil); v != 1 || err != nil {
				wrong.Add(1)
			}
		})
	}
	eventually(t, "the computation", func() bool { return c.calls.Load() == 1 })
	close(c.gate)
	wg.Wait()
	if c.calls.Load() != 1 || wrong.Load() != 0 {
		t.Errorf("%d computations, %d wrong answers; want 1, 0", c.calls.Load(), wrong.Load())
	}
}

// Whoever gives up waiting does not take the computation away from the others.
func TestRefreshedOutlivesItsCaller(t *testing.T) {
	c := &counted{gate: make(chan struct{})}
	r, _ := fixture(c)
	ctx, cancel := context.WithCancel(t.Context())
	gone := make(chan error, 1)
	go func() {
		_, err := r.get(ctx, nil)
		gone <- err
	}()
	eventually(t, "the computation", func() bool { return c.calls.Load() == 1 })
	cancel()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Errorf("a caller that gave up got %v", err)
	}
	close(c.gate)
	if v := r.must(t); v != 1 || c.calls.Load() != 1 {
		t.Errorf("result %d after %d computations, want 1 after 1", v, c.calls.Load())
	}
}

func TestRefreshedKeepsTheOldResultOnErrors(t *testing.T) {
	c := &counted{}
	c.fail.Store(true)
	r, advance := fixture(c)
	if _, err := r.get(t.Context(), nil); err == nil || err.Error() != "no result" {
		t.Errorf("without any result: %v, want the computation's error", err)
	}
	c.fail.Store(false)
	if v := r.must(t); v != 2 {
		t.Errorf("result %d, want 2", v)
	}
	c.fail.Store(true)
	advance(time.Minute)
	if v := r.must(t); v != 2 {
		t.Errorf("with an error: %d, want the old result 2", v)
	}
	c.fail.Store(false)
	if v := r.must(t); v != 4 {
		t.Errorf("after the error: %d, want 4 at once", v)
	}
}

// What is slow to compute is used for twenty times its cost, and then serves the old result while one computes.
func TestRefreshedServesTheOldResultWhereComputingIsSlow(t *testing.T) {
	c := &counted{}
	r, advance := fixture(c)
	r.must(t)
	r.mu.Lock()
	r.cost = 200 * time.Millisecond
	r.mu.Unlock()
	c.gate = make(chan struct{})
	advance(3999 * time.Millisecond)
	if v := r.must(t); v != 1 || c.calls.Load() != 1 {
		t.Errorf("within 20 times the cost: result %d after %d computations", v, c.calls.Load())
	}
	advance(time.Millisecond)
	for range 3 {
		if v := r.must(t); v != 1 {
			t.Errorf("while it computes: result %d, want the old one", v)
		}
	}
	close(c.gate)
	eventually(t, "the new result", func() bool { return r.must(t) == 2 })
	if n := c.calls.Load(); n != 2 {
		t.Errorf("%d computations, want 2", n)
	}
	// Much too old is too old, however slow.
	r.mu.Lock()
	r.cost = 200 * time.Millisecond
	r.mu.Unlock()
	advance(time.Hour)
	if v := r.must(t); v != 3 {
		t.Errorf("after an hour: result %d, want a new one", v)
	}
}

// The patient wait for a slow computation, and take the old result when their context ends.
func TestRefreshedWaitsWherePatient(t *testing.T) {
	c := &counted{}
	r, advance := fixture(c)
	r.wait.slow = true
	r.must(t)
	r.mu.Lock()
	r.cost = 200 * time.Millisecond
	r.mu.Unlock()
	c.gate = make(chan struct{})
	advance(4 * time.Second)
	ctx, cancel := context.WithCancel(t.Context())
	got := make(chan int64, 1)
	go func() {
		v, err := r.get(ctx, nil)
		if err != nil {
			t.Errorf("whoever gave up got %v, want the old result", err)
		}
		got <- v
	}()
	eventually(t, "the computation", func() bool { return c.calls.Load() == 2 })
	cancel()
	if v := <-got; v != 1 {
		t.Errorf("whoever gave up got %d, want the old result 1", v)
	}
	close(c.gate)
	if v := r.must(t); v != 2 {
		t.Errorf("whoever waits got %d, want the new result 2", v)
	}
}

// A result whose basis is the same is used ten times longer, and then computed again all the same.
func TestRefreshedIsUsedLongerWhileItsBasisIsTheSame(t *testing.T) {
	c := &counted{}
	r, advance := fixture(c)
	for i, step := range []struct {
		after time.Duration
		basis any
		want  int64
	}{
		{0, "a", 1},
		{9999 * time.Millisecond, "a", 1},
		{0, "b", 2},
		{999 * time.Millisecond, "c", 2},
		{time.Millisecond, "b", 2},
		{9 * time.Second, "b", 3},
		{time.Second, nil, 4},
		{time.Second, nil, 5},
	} {
		advance(step.after)
		if v, err := r.get(t.Context(), step.basis); v != step.want || err != nil {
			t.Errorf("step %d: result %d, %v; want %d", i, v, err, step.want)
		}
	}
}

// A shelf forgets what was not asked for the longest: what is asked for all the time is computed once, whatever else is asked for.
func TestShelfEvictsTheLeastRecentlyUsed(t *testing.T) {
	s := newShelf[string, int64](func() time.Time { return t0 }, time.Hour, 64)
	hot, cold := &counted{}, &counted{}
	for i := range 1000 {
		for key, c := range map[string]*counted{"hot": hot, fmt.Sprint("cold", i): cold} {
			if _, err := s.get(t.Context(), key, nil, c.compute); err != nil {
				t.Fatal(err)
			}
		}
	}
	if n := hot.calls.Load(); n != 1 {
		t.Errorf("what was asked for all the time was computed %d times, want once", n)
	}
	if n := len(s.results); n != 64 || s.order.Len() != n {
		t.Errorf("%d results are kept, %d in order; want 64", n, s.order.Len())
	}
}

// What is being computed is not forgotten, so that no key is computed twice at a time, whatever else is asked for.
func TestShelfComputesAKeyOnceAtATime(t *testing.T) {
	s := newShelf[string, int64](func() time.Time { return t0 }, time.Hour, 4)
	slow, quick := &counted{gate: make(chan struct{})}, &counted{}
	got := make(chan int64, 2)
	ask := func() {
		v, err := s.get(context.Background(), "slow", nil, slow.compute)
		if err != nil {
			t.Error(err)
		}
		got <- v
	}
	go ask()
	eventually(t, "the computation", func() bool { return slow.calls.Load() == 1 })
	// Its only caller gives up: the computation goes on.
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.get(gone, "slow", nil, slow.compute); !errors.Is(err, context.Canceled) {
		t.Errorf("whoever gave up got %v", err)
	}
	for i := range 100 {
		if _, err := s.get(t.Context(), fmt.Sprint(i), nil, quick.compute); err != nil {
			t.Fatal(err)
		}
	}
	go ask()
	close(slow.gate)
	if a, b := <-got, <-got; a != 1 || b != 1 || slow.calls.Load() != 1 {
		t.Errorf("results %d and %d after %d computations, want 1 and 1 after one", a, b, slow.calls.Load())
	}
	if n := len(s.results); n > 5 {
		t.Errorf("%d results are kept, want 4 and one that was computed", n)
	}
}

// A computation that panics fails, and no more than that.
func TestRefreshedSurvivesAPanic(t *testing.T) {
	r := &refreshed[int]{now: time.Now, compute: func(context.Context) (int, error) { panic("ouch") }}
	if _, err := r.get(t.Context(), nil); err == nil {
		t.Error("a computation that panics gave a result")
	}
}

// A row is answered while the board of its type is being computed, and before it ever was.
func TestRowsWaitForNoBoard(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	s.rate(t, ratingAt("1", "u", 5, t0))
	svc := newService(DefaultConfig(), slog.New(slog.DiscardHandler), s.now, s, nil)
	blocked := &refreshed[*board]{now: s.now, compute: func(context.Context) (*board, error) {
		<-t.Context().Done() // as the test ends
		return nil, t.Context().Err()
	}}
	svc.boards.mu.Lock()
	svc.boards.results["movie"] = svc.boards.order.PushFront(&place[string, *board]{key: "movie", refreshed: blocked})
	svc.boards.mu.Unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := svc.board(ctx, "movie"); err == nil {
		t.Fatal("the board was there: this test tests nothing")
	}
	p, err := svc.prior(t.Context(), "movie")
	if want := (Prior{MinVotes: 25, Mean: 5}); p != want || err != nil {
		t.Errorf("the prior is %+v, %v; want %+v", p, err, want)
	}
	g := &server{s: svc}
	for name, ask := range summaries(g) {
		if err := ask(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Where the prior is slow to compute, a row takes the last one.
func TestRowsDoNotWaitForASlowPrior(t *testing.T) {
	c := &counted{}
	r, advance := fixture(c)
	r.wait = wait{most: priorPatience}
	r.must(t)
	c.gate = make(chan struct{})
	for _, age := range []time.Duration{time.Second, time.Minute, time.Hour, 1000 * time.Hour} {
		advance(age)
		if v := r.must(t); v != 1 {
			t.Errorf("after %v: result %d, want the old one", age, v)
		}
	}
	close(c.gate)
	eventually(t, "the new result", func() bool { return r.must(t) == 2 })
}
