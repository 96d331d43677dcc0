package rating

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"
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
	r.patient = true
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
