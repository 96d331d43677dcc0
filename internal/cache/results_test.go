package cache_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"movieexample.com/internal/cache"
)

// counted is a computation whose results count up.
type counted struct {
	mu    sync.Mutex
	calls int
	cost  time.Duration
	err   error
}

func (c *counted) compute(ctx context.Context) (int, error) {
	c.mu.Lock()
	c.calls++
	n, cost, err := c.calls, c.cost, c.err
	c.mu.Unlock()
	select {
	case <-time.After(cost):
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	return n, err
}

// results runs f with a result cache in a bubble; get reads it with a basis.
func results(t *testing.T, o cache.ResultOptions, f func(t *testing.T, c *counted, get func(ctx context.Context, basis any) (int, error))) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		g := cache.NewGroup(nil, nil)
		defer g.Close()
		r, err := cache.NewResults[string, int](g, spec("results"), o)
		if err != nil {
			t.Fatal(err)
		}
		c := &counted{}
		f(t, c, func(ctx context.Context, basis any) (int, error) { return r.Get(ctx, "a", basis, c.compute) })
	})
}

func TestResultsAge(t *testing.T) {
	for name, test := range map[string]struct {
		cost, sleep time.Duration
		basis       any
		want        int
	}{
		"young":                       {0, time.Second - 1, nil, 1},
		"old":                         {0, time.Second, nil, 2},
		"dear":                        {100 * time.Millisecond, 1899 * time.Millisecond, nil, 1},
		"dear and old":                {100 * time.Millisecond, 1900 * time.Millisecond, nil, 2},
		"same basis":                  {0, 10*time.Second - 1, 7, 1},
		"same basis, but too old":     {0, 10 * time.Second, 7, 2},
		"slow: the old one meanwhile": {time.Second, 30 * time.Second, nil, 1},
		"slow and very old":           {time.Second, 199 * time.Second, nil, 2},
	} {
		t.Run(name, func(t *testing.T) {
			results(t, cache.ResultOptions{MinAge: time.Second}, func(t *testing.T, c *counted, get func(context.Context, any) (int, error)) {
				c.cost = test.cost
				if n, err := get(t.Context(), test.basis); n != 1 || err != nil {
					t.Fatal(n, err)
				}
				time.Sleep(test.sleep)
				if n, err := get(t.Context(), test.basis); n != test.want || err != nil {
					t.Errorf("got %d, %v, want %d", n, err, test.want)
				}
				time.Sleep(2 * time.Second) // what was served meanwhile is replaced
				if n, _ := get(t.Context(), test.basis); test.sleep > 20*time.Second && n != 2 {
					t.Errorf("afterwards %d, want 2", n)
				}
			})
		})
	}
}

func TestResultsOnFailure(t *testing.T) {
	results(t, cache.ResultOptions{MinAge: time.Second}, func(t *testing.T, c *counted, get func(context.Context, any) (int, error)) {
		c.err = errors.New("no result")
		if _, err := get(t.Context(), nil); !errors.Is(err, c.err) {
			t.Errorf("without a result: %v", err)
		}
		c.err = nil
		if n, err := get(t.Context(), nil); n != 2 || err != nil {
			t.Errorf("errors are cached: %d, %v", n, err)
		}
		c.err = errors.New("no result")
		time.Sleep(time.Second)
		if n, err := get(t.Context(), nil); n != 2 || err != nil {
			t.Errorf("with an old result: %d, %v, want that", n, err)
		}
		c.mu.Lock()
		c.err, c.cost = nil, time.Minute/2
		c.mu.Unlock()
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began := time.Now()
		if n, err := get(brief, nil); n != 2 || err != nil || time.Since(began) != time.Second {
			t.Errorf("a reader with 1s: %d, %v after %v, want the old result then", n, err, time.Since(began))
		}
	})
}

func TestResultsWait(t *testing.T) {
	results(t, cache.ResultOptions{AlwaysWait: true}, func(t *testing.T, c *counted, get func(context.Context, any) (int, error)) {
		c.cost = time.Second
		_, _ = get(t.Context(), nil)
		time.Sleep(30 * time.Second)
		if n, err := get(t.Context(), nil); n != 2 || err != nil {
			t.Errorf("AlwaysWait: got %d, %v", n, err)
		}
	})
	results(t, cache.ResultOptions{MinAge: time.Second, Patience: 20 * time.Millisecond}, func(t *testing.T, c *counted, get func(context.Context, any) (int, error)) {
		c.cost = 50 * time.Millisecond
		began := time.Now()
		if n, err := get(t.Context(), nil); n != 1 || err != nil || time.Since(began) != c.cost {
			t.Errorf("without a result: %d, %v after %v", n, err, time.Since(began))
		}
		time.Sleep(time.Second)
		began = time.Now()
		if n, err := get(t.Context(), nil); n != 1 || err != nil || time.Since(began) != 20*time.Millisecond {
			t.Errorf("with an old result: %d, %v after %v, want it after 20ms", n, err, time.Since(began))
		}
		time.Sleep(time.Second)
		if n, _ := get(t.Context(), nil); n < 2 {
			t.Error("the computation did not continue")
		}
	})
}
