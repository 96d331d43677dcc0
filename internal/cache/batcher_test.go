package cache_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
)

// calls is the other end of a batcher: each call waits until it is released.
type calls struct {
	mu   sync.Mutex
	made []string
	held map[string]chan struct{} // by the first key
	err  error
}

func (c *calls) many(ctx context.Context, keys []string) (map[string]int, error) {
	c.mu.Lock()
	c.made = append(c.made, strings.Join(keys, " "))
	held, err := c.held[keys[0]], c.err
	c.mu.Unlock()
	if held != nil {
		select {
		case <-held:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if keys[0] == "panic" {
		panic(keys)
	}
	found := map[string]int{}
	for _, key := range keys {
		if key != "none" {
			found[key] = len(key)
		}
	}
	return found, err
}

func (c *calls) one(ctx context.Context, key string) (int, error) {
	found, err := c.many(ctx, []string{key})
	return found[key], err
}

func (c *calls) batcher() *cache.Batcher[string, int] {
	return &cache.Batcher[string, int]{One: c.one, Many: c.many, Missing: func(key string) (int, error) { return 0, fault.NotFound("no %s", key) }}
}

func (c *calls) want(t *testing.T, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	if !slices.Equal(c.made, want) {
		t.Errorf("%s: calls %q, want %q", when, c.made, want)
	}
	c.made = nil
}

func TestBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &calls{held: map[string]chan struct{}{"x": make(chan struct{}), "y": make(chan struct{})}}
		b := c.batcher()
		var all sync.WaitGroup
		load := func(key string, want int, kind fault.Kind) {
			all.Go(func() {
				if v, err := b.Load(t.Context(), key); v != want || fault.KindOf(err) != kind {
					t.Errorf("%s: %d, %v", key, v, err)
				}
			})
			synctest.Wait()
		}
		var ok fault.Kind
		load("a", 1, ok)
		c.want(t, "a lone key", "a")
		load("x", 1, ok)
		load("y", 1, ok)
		c.want(t, "two calls", "x", "y")
		load("aa", 2, ok)
		load("none", 0, fault.KindNotFound)
		c.want(t, "two calls are running")
		close(c.held["x"])
		c.want(t, "one returned", "aa none")
		load("bb", 2, ok)
		c.want(t, "one place is free", "bb")
		close(c.held["y"])
		all.Wait()
	})
}

// A call that hangs delays others by 10 ms, and by that only once.
func TestHangingCallLosesItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &calls{held: map[string]chan struct{}{"x": make(chan struct{}), "y": make(chan struct{})}}
		b := c.batcher()
		var all sync.WaitGroup
		for _, key := range []string{"x", "y"} {
			all.Go(func() { _, _ = b.Load(t.Context(), key) })
			synctest.Wait()
		}
		for i, want := range []time.Duration{10 * time.Millisecond, 0, 0} {
			began := time.Now()
			if _, err := b.Load(t.Context(), "a"); err != nil || time.Since(began) != want {
				t.Errorf("load %d: %v after %v, want %v", i, err, time.Since(began), want)
			}
		}
		for _, held := range c.held {
			close(held)
		}
		all.Wait()
	})
}

func TestBatchIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &calls{held: map[string]chan struct{}{"x": make(chan struct{}), "y": make(chan struct{})}}
		b := c.batcher()
		var all sync.WaitGroup
		load := func(key string) {
			all.Go(func() {
				if _, err := b.Load(t.Context(), key); err != nil {
					t.Error(err)
				}
			})
			synctest.Wait()
		}
		load("x")
		load("y")
		began := time.Now()
		for i := range 120 {
			load(fmt.Sprint(i))
		}
		c.mu.Lock()
		var sizes []int
		for _, call := range c.made[2:] {
			sizes = append(sizes, len(strings.Fields(call)))
		}
		c.mu.Unlock()
		if fmt.Sprint(sizes) != "[50 50]" || !time.Now().Equal(began) {
			t.Errorf("calls of %v keys after %v, want two full ones at once", sizes, time.Since(began))
		}
		for _, held := range c.held {
			close(held)
		}
		all.Wait()
	})
}

func TestBatchFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for name, first := range map[string]string{"error": "a", "panic": "panic"} {
			c := &calls{held: map[string]chan struct{}{"x": make(chan struct{}), "y": make(chan struct{})}, err: errors.New("broken")}
			b := c.batcher()
			var all sync.WaitGroup
			for _, key := range []string{"x", "y", first, "b"} {
				all.Go(func() {
					if _, err := b.Load(t.Context(), key); err == nil || fault.KindOf(err) == fault.KindNotFound {
						t.Errorf("%s: %s got %v", name, key, err)
					}
				})
				synctest.Wait()
			}
			gone, cancel := context.WithCancel(t.Context())
			all.Go(func() {
				if _, err := b.Load(gone, "c"); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: the caller that left got %v", name, err)
				}
			})
			synctest.Wait()
			cancel()
			synctest.Wait()
			for _, held := range c.held {
				close(held)
			}
			all.Wait()
		}
	})
}

func TestBreaker(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := cache.NewBreaker(time.Second, time.Now)
		if !b.Allow() || b.IsOpen() || b.Succeeded() {
			t.Error("a new breaker is not closed")
		}
		if !b.Failed() || b.Failed() || !b.IsOpen() || b.Allow() {
			t.Error("a failure does not open it, once")
		}
		time.Sleep(time.Second)
		if !b.Allow() || b.Allow() {
			t.Error("after the pause, other than one caller may try")
		}
		time.Sleep(time.Second)
		if !b.Allow() {
			t.Error("no caller may try after a probe that reported nothing")
		}
		if !b.Succeeded() || b.Succeeded() || b.IsOpen() || !b.Allow() || !b.Allow() {
			t.Error("a success does not close it, once")
		}
	})
}
