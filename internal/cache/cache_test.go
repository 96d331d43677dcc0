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

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
)

// The tests run in a bubble: time moves when every goroutine waits, and a goroutine left behind fails the test.

var errAway = errors.New("the source is down")

// source counts loads and returns their number for every key.
type source struct {
	mu    sync.Mutex
	loads []string      // the keys of each load since took
	n     int           // loads in all
	takes time.Duration // of a load
	err   error
	has   func(key string) bool // nil: every key
}

func (s *source) set(change func(*source)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change(s)
}

func (s *source) loadAll(ctx context.Context, keys []string) (map[string]int, error) {
	s.mu.Lock()
	s.loads = append(s.loads, strings.Join(keys, " "))
	s.n++
	n, takes, err := s.n, s.takes, s.err
	s.mu.Unlock()
	select {
	case <-time.After(takes):
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if err != nil {
		return nil, err
	}
	found := map[string]int{}
	for _, key := range keys {
		if s.has == nil || s.has(key) {
			found[key] = n
		}
	}
	return found, nil
}

func (s *source) load(ctx context.Context, key string) (int, error) {
	found, err := s.loadAll(ctx, []string{key})
	if err != nil {
		return 0, err
	}
	if v, ok := found[key]; ok {
		return v, nil
	}
	return 0, fault.NotFound("no %s", key)
}

// took returns the loads since it was called last.
func (s *source) took() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	loads := s.loads
	s.loads = nil
	return loads
}

const ttl = time.Second

type (
	entry   = cache.Entry[int, time.Time]
	options = cache.Options[string, int, time.Time]
	numbers = cache.Cache[string, int, time.Time]
)

func within(d time.Duration) func(*entry, time.Time) bool {
	return func(e *entry, now time.Time) bool { return now.Sub(e.Read) < d }
}

func spec(name string) cache.Spec {
	return cache.Spec{Name: name, Holds: "numbers", Entries: 1000, MaxAge: "1s", Fresh: "a load", Away: "the last known"}
}

// bubble runs f with a source and a cache of it in a bubble.
func bubble(t *testing.T, o options, f func(t *testing.T, s *source, c *numbers, reg *prometheus.Registry)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s, reg := &source{}, prometheus.NewRegistry()
		g := cache.NewGroup(reg, nil)
		defer g.Close()
		if o.Fresh == nil {
			o.Fresh = within(ttl)
		}
		if o.Load == nil {
			o.Load = s.load
		}
		o.LoadAll = s.loadAll
		c, err := cache.New(g, spec("numbers"), o)
		if err != nil {
			t.Fatal(err)
		}
		f(t, s, c, reg)
	})
}

func get(t *testing.T, c *numbers, key string) int {
	t.Helper()
	r := c.Get(t.Context(), time.Now(), key)
	if r.Err != nil || r.Stale {
		t.Fatalf("%s: %v, stale %v, want a fresh value", key, r.Err, r.Stale)
	}
	return r.Value
}

func wantLoads(t *testing.T, s *source, when string, want ...string) {
	t.Helper()
	synctest.Wait()
	if got := s.took(); !slices.Equal(got, want) {
		t.Errorf("%s: loads %q, want %q", when, got, want)
	}
}

func wantMetrics(t *testing.T, reg *prometheus.Registry, want map[string]float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if m.GetLabel()[0].GetName() != "cache" || m.GetLabel()[0].GetValue() != "numbers" {
				t.Errorf("%s has the labels %v", f.GetName(), m.GetLabel())
			}
			got[strings.TrimPrefix(f.GetName(), "movieexample_cache_")] = m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	for name, v := range want {
		if g, ok := got[name]; !ok || g != v {
			t.Errorf("%s is %v (%v), want %v", name, g, ok, v)
		}
	}
}

func TestLoadsWhatIsNotFresh(t *testing.T) {
	bubble(t, options{}, func(t *testing.T, s *source, c *numbers, reg *prometheus.Registry) {
		wantMetrics(t, reg, map[string]float64{
			"hits_total": 0, "misses_total": 0, "loads_total": 0, "load_errors_total": 0, "stale_hits_total": 0, "evictions_total": 0, "entries": 0,
		})
		for i, step := range []struct {
			after time.Duration
			want  int
		}{{0, 1}, {ttl - 1, 1}, {1, 2}, {time.Hour, 3}} {
			time.Sleep(step.after)
			if got := get(t, c, "a"); got != step.want {
				t.Errorf("step %d: %d, want %d", i, got, step.want)
			}
		}
		wantMetrics(t, reg, map[string]float64{"hits_total": 1, "misses_total": 3, "loads_total": 3, "load_errors_total": 0, "entries": 1})
	})
}

// Readers share one load, and one who gives up does not take it from the others.
func TestReadersShareALoad(t *testing.T) {
	bubble(t, options{}, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		s.takes = time.Second
		var all sync.WaitGroup
		brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		all.Go(func() {
			if r := c.Get(brief, time.Now(), "a"); !errors.Is(r.Err, context.DeadlineExceeded) {
				t.Errorf("a reader with 100ms got %v", r.Err)
			}
		})
		synctest.Wait()
		for range 50 {
			all.Go(func() {
				if v := get(t, c, "a"); v != 1 {
					t.Errorf("got %d, want the shared 1", v)
				}
			})
		}
		all.Wait()
		wantLoads(t, s, "51 readers", "a")
	})
}

func TestJoinRefusesEarlierLoads(t *testing.T) {
	o := options{Join: func(read, now time.Time) bool { return !read.Before(now) }}
	bubble(t, o, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		s.takes = time.Second
		var all sync.WaitGroup
		all.Go(func() { get(t, c, "a") })
		time.Sleep(time.Millisecond)
		all.Go(func() {
			if v := get(t, c, "a"); v != 2 {
				t.Errorf("the later reader got %d, want its own 2", v)
			}
		})
		all.Wait()
		wantLoads(t, s, "two readers", "a", "a")
		if e, ok := c.Last("a"); !ok || e.Value != 2 {
			t.Errorf("cached is %v, want the later load", e)
		}
	})
}

// A due entry is served and loaded again in the background, by one load; a failed refresh is repeated.
func TestRefreshAhead(t *testing.T) {
	due := within(ttl / 2)
	o := options{RefreshDue: func(e *entry, now time.Time) bool { return !due(e, now) }, Stamp: time.Now}
	bubble(t, o, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		get(t, c, "a")
		time.Sleep(ttl/2 - 1)
		get(t, c, "a")
		wantLoads(t, s, "before it is due", "a")
		s.set(func(s *source) { s.takes = 100 * time.Millisecond })
		time.Sleep(time.Nanosecond)
		for range 3 {
			began := time.Now()
			if v := get(t, c, "a"); v != 1 || !time.Now().Equal(began) {
				t.Errorf("due: got %d after %v, want the old value at once", v, time.Since(began))
			}
		}
		wantLoads(t, s, "due", "a")
		time.Sleep(time.Second / 10)
		s.set(func(s *source) { s.err = errAway })
		time.Sleep(ttl / 2)
		get(t, c, "a")
		time.Sleep(ttl / 8)
		get(t, c, "a")
		wantLoads(t, s, "the refresh failed", "a", "a")
	})
}

func TestRefreshTogether(t *testing.T) {
	due := within(ttl / 2)
	o := options{RefreshDue: func(e *entry, now time.Time) bool { return !due(e, now) }, Stamp: time.Now, RefreshTogether: true}
	bubble(t, o, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		keys := make([]string, 450)
		for i := range keys {
			keys[i] = fmt.Sprint(i)
		}
		c.GetAll(t.Context(), time.Now(), keys)
		s.took()
		time.Sleep(ttl / 2)
		for _, r := range c.GetAll(t.Context(), time.Now(), keys) {
			if r.Err != nil || r.Value != 1 {
				t.Fatalf("due: got %v", r)
			}
		}
		time.Sleep(20 * time.Millisecond)
		synctest.Wait()
		var sizes []int
		for _, load := range s.took() {
			sizes = append(sizes, len(strings.Fields(load)))
		}
		if fmt.Sprint(sizes) != "[200 200 50]" {
			t.Errorf("450 keys were refreshed by loads of %v", sizes)
		}
		if v := get(t, c, "7"); v == 1 {
			t.Error("the refreshed value is not served")
		}
	})
}

// A key that does not exist is an entry where Missing makes one, and otherwise an error that removes the cached entry.
func TestMissing(t *testing.T) {
	bubble(t, options{Missing: func(string) (int, error) { return -1, nil }}, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		s.has = func(key string) bool { return key != "none" }
		for range 2 {
			if all := c.GetAll(t.Context(), time.Now(), []string{"a", "none"}); all[0].Value != 1 || all[1].Value != -1 || all[1].Err != nil {
				t.Errorf("got %v", all)
			}
		}
		wantLoads(t, s, "two reads", "a none")
	})
	bubble(t, options{}, func(t *testing.T, s *source, c *numbers, reg *prometheus.Registry) {
		get(t, c, "a")
		time.Sleep(ttl)
		s.has = func(string) bool { return false }
		for range 2 {
			if r := c.Get(t.Context(), time.Now(), "a"); fault.KindOf(r.Err) != fault.KindNotFound {
				t.Errorf("got %v, want NotFound", r.Err)
			}
			if all := c.GetAll(t.Context(), time.Now(), []string{"b"}); fault.KindOf(all[0].Err) != fault.KindNotFound {
				t.Errorf("got %v, want NotFound", all[0].Err)
			}
		}
		if _, ok := c.Last("a"); ok {
			t.Error("a key that no longer exists is still cached")
		}
		wantLoads(t, s, "errors are not cached", "a", "a", "b", "a", "b")
		wantMetrics(t, reg, map[string]float64{"load_errors_total": 0})
	})
}

func TestDropAndExpire(t *testing.T) {
	bubble(t, options{Source: cache.Source{Away: func(error) bool { return true }}}, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		epoch := c.Epoch()
		s.takes = ttl / 10
		var all sync.WaitGroup
		all.Go(func() {
			if v := get(t, c, "a"); v != 1 {
				t.Errorf("the reader of the dropped load got %d", v)
			}
		})
		synctest.Wait()
		c.Drop("a")
		if _, ok := c.Last("a"); ok || c.Epoch() == epoch {
			t.Error("nothing was dropped")
		}
		all.Go(func() {
			if v := get(t, c, "a"); v != 2 {
				t.Errorf("the reader after the drop got %d, want its own load", v)
			}
		})
		all.Wait()
		if v := get(t, c, "a"); v != 2 {
			t.Errorf("cached is %d, want the load that began after the drop", v)
		}
		c.Expire("a")
		if _, ok := c.Peek(time.Now(), "a"); ok {
			t.Error("an expired entry is fresh")
		}
		s.set(func(s *source) { s.err = errAway })
		if r := c.Get(t.Context(), time.Now(), "a"); !r.Stale || r.Value != 2 {
			t.Errorf("expired entry while the source is down: %v, want the last known", r)
		}
		c.Drop("a")
		if r := c.Get(t.Context(), time.Now(), "a"); !errors.Is(r.Err, errAway) {
			t.Errorf("dropped entry while the source is down: %v, want the source's error", r)
		}
	})
}

func TestOffer(t *testing.T) {
	o := options{Same: func(a, b int) bool { return a%10 == b%10 }, Newer: time.Time.After}
	bubble(t, o, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		t0, epoch := time.Now(), c.Epoch()
		if got := c.Offer(t0, epoch, "a", 11); got != 11 || get(t, c, "a") != 11 {
			t.Errorf("an offer into an empty place returned %d", got)
		}
		time.Sleep(ttl / 2)
		if got := c.Offer(time.Now(), epoch, "a", 5); got != 5 || get(t, c, "a") != 11 {
			t.Errorf("another value replaced a fresh one (%d)", got)
		}
		if got := c.Offer(time.Now(), epoch, "a", 21); got != 11 {
			t.Errorf("the same value is %d, want the cached 11", got)
		}
		time.Sleep(ttl - 1)
		if get(t, c, "a") != 11 {
			t.Error("the same value did not make the entry younger")
		}
		c.Drop("b")
		if c.Offer(time.Now(), epoch, "a", 7); get(t, c, "a") != 11 {
			t.Error("an offer from before a drop was cached")
		}
		wantLoads(t, s, "everything was offered")
	})
}

func TestSourceAway(t *testing.T) {
	breaker := cache.NewBreaker(time.Second, time.Now)
	o := options{Timeout: time.Minute, Source: cache.Source{
		Patience: 2 * time.Second, Breaker: breaker,
		Late: func(error) error { return errAway },
		Away: func(err error) bool { return errors.Is(err, errAway) },
	}}
	bubble(t, o, func(t *testing.T, s *source, c *numbers, reg *prometheus.Registry) {
		get(t, c, "a")
		time.Sleep(ttl)
		s.set(func(s *source) { s.err = errors.New("broken") })
		if r := c.Get(t.Context(), time.Now(), "a"); r.Err == nil || r.Stale {
			t.Errorf("a source that answers with an error: %v, want that error", r)
		}
		s.set(func(s *source) { s.err = errAway })
		if r := c.Get(t.Context(), time.Now(), "a"); !r.Stale || r.Value != 1 {
			t.Errorf("away: %v, want the last known", r)
		}
		s.set(func(s *source) { s.err, s.takes = nil, time.Minute })
		began := time.Now()
		if r := c.Get(t.Context(), time.Now(), "a"); !r.Stale || time.Since(began) != 2*time.Second {
			t.Errorf("hangs: %v after %v, want the last known after 2s", r, time.Since(began))
		}
		brief, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		began = time.Now()
		if r := c.Get(brief, time.Now(), "a"); !r.Stale || time.Since(began) != 800*time.Millisecond {
			t.Errorf("a reader with 1s: %v after %v, want the last known after 800ms", r, time.Since(began))
		}
		time.Sleep(time.Minute)
		s.took()
		breaker.Failed()
		began = time.Now()
		if all := c.GetAll(t.Context(), time.Now(), []string{"a", "a"}); !all[0].Stale || !all[1].Stale || !time.Now().Equal(began) {
			t.Errorf("open breaker: %v after %v, want the last known at once", all, time.Since(began))
		}
		wantLoads(t, s, "open breaker")
		wantMetrics(t, reg, map[string]float64{"stale_hits_total": 5})
		s.set(func(s *source) { s.takes = 0 })
		if r := c.Get(t.Context(), time.Now(), "new"); r.Err != nil {
			t.Errorf("load of an unknown key while the breaker is open: %v", r.Err)
		}
		time.Sleep(time.Second)
		if r := c.Get(t.Context(), time.Now(), "a"); r.Stale {
			t.Error("no reader probes after the pause")
		}
	})
}

// A reader who is gone gets its own error, not the last known value.
func TestReaderThatLeaves(t *testing.T) {
	o := options{Source: cache.Source{Away: func(error) bool { return true }}}
	bubble(t, o, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		get(t, c, "a")
		time.Sleep(ttl)
		s.set(func(s *source) { s.takes = time.Minute })
		ctx, cancel := context.WithCancel(t.Context())
		go func() { time.Sleep(time.Second); cancel() }()
		if r := c.Get(ctx, time.Now(), "a"); !errors.Is(r.Err, context.Canceled) {
			t.Errorf("got %v", r)
		}
	})
}

func TestGetAllLoadsWhatIsMissing(t *testing.T) {
	bubble(t, options{}, func(t *testing.T, s *source, c *numbers, _ *prometheus.Registry) {
		s.has = func(key string) bool { return key != "none" }
		get(t, c, "a")
		all := c.GetAll(t.Context(), time.Now(), []string{"b", "a", "none", "c"})
		if all[0].Value != 2 || all[1].Value != 1 || fault.KindOf(all[2].Err) != fault.KindNotFound || all[3].Value != 2 {
			t.Errorf("got %v", all)
		}
		wantLoads(t, s, "a page", "a", "b none c")
	})
}

func TestPanicIsAnError(t *testing.T) {
	o := options{Load: func(context.Context, string) (int, error) { panic("at the disco") }}
	bubble(t, o, func(t *testing.T, _ *source, c *numbers, reg *prometheus.Registry) {
		if r := c.Get(t.Context(), time.Now(), "a"); fault.KindOf(r.Err) != fault.KindInternal {
			t.Errorf("got %v", r.Err)
		}
		wantMetrics(t, reg, map[string]float64{"load_errors_total": 1})
	})
}

func TestBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for _, sp := range []cache.Spec{
			{Name: "numbers", Holds: "x", Entries: 10, MaxAge: "x", Fresh: "x", Away: "x"},
			{Name: "numbers", Holds: "x", Bytes: 100, MaxAge: "x", Fresh: "x", Away: "x"},
		} {
			s, reg := &source{}, prometheus.NewRegistry()
			g := cache.NewGroup(reg, nil)
			c, err := cache.New(g, sp, options{Fresh: within(ttl), Load: s.load, Weigh: func(string, int) uint32 { return 10 }, Keep: time.Minute})
			if err != nil {
				t.Fatal(err)
			}
			for i := range 1000 {
				c.Get(t.Context(), time.Now(), fmt.Sprint(i))
				synctest.Wait()
			}
			wantMetrics(t, reg, map[string]float64{"entries": 10, "evictions_total": 990})
			n := 0
			for range c.All {
				n++
			}
			time.Sleep(time.Minute)
			for key := range c.All {
				t.Errorf("%s is kept for longer than it should be", key)
			}
			if n != 10 {
				t.Errorf("%d entries in a cache of 10", n)
			}
			g.Close()
		}
	})
}

// A cache of one entry has the newest key.
func TestOneEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, reg, sp := &source{}, prometheus.NewRegistry(), spec("numbers")
		sp.Entries = 1
		g := cache.NewGroup(reg, nil)
		defer g.Close()
		c, err := cache.New(g, sp, options{Fresh: within(ttl), Load: s.load})
		if err != nil {
			t.Fatal(err)
		}
		wantMetrics(t, reg, map[string]float64{"entries": 0})
		var got []int
		for _, key := range []string{"a", "a", "b", "a"} {
			got = append(got, get(t, c, key))
		}
		if want := []int{1, 1, 2, 3}; !slices.Equal(got, want) {
			t.Errorf("got %v, want %v: each key is loaded once while it is the newest", got, want)
		}
		wantLoads(t, s, "three changes", "a", "b", "a")
		wantMetrics(t, reg, map[string]float64{"entries": 1, "evictions_total": 2})
		for key, e := range c.All {
			if key != "a" || e.Value != 3 {
				t.Errorf("cached is %s: %d", key, e.Value)
			}
		}
		c.Drop("b")
		if _, ok := c.Last("a"); !ok {
			t.Error("the drop of another key removed the entry")
		}
		c.Drop("a")
		if _, ok := c.Last("a"); ok {
			t.Error("the entry was not dropped")
		}
		wantMetrics(t, reg, map[string]float64{"entries": 0, "evictions_total": 2})
	})
}

func TestCloseCancelsLoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &source{takes: time.Hour}
		g := cache.NewGroup(nil, nil)
		c, err := cache.New(g, spec("numbers"), options{Fresh: within(ttl), Load: s.load})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error)
		go func() { done <- c.Get(t.Context(), time.Now(), "a").Err }()
		synctest.Wait()
		began := time.Now()
		g.Close()
		if err := <-done; !errors.Is(err, context.Canceled) || !time.Now().Equal(began) {
			t.Errorf("the waiting reader got %v after %v", err, time.Since(began))
		}
		if r := c.Get(t.Context(), time.Now(), "b"); r.Err == nil {
			t.Error("a closed cache loads")
		}
	})
}

func TestDeclarations(t *testing.T) {
	g := cache.NewGroup(nil, nil)
	defer g.Close()
	o := options{Fresh: within(ttl)}
	valid := cache.Spec{Name: "numbers", Holds: "numbers", Entries: 3, Setting: "x.size", MaxAge: "1s", Fresh: "a load", Away: "nothing"}
	if _, err := cache.New(g, valid, o); err != nil {
		t.Fatal(err)
	}
	if got := g.Specs(); len(got) != 1 || got[0] != valid {
		t.Errorf("declared are %v", got)
	}
	if got, want := valid.Row(), "| `numbers` | numbers | 3 (`x.size`) | 1s | a load | nothing |"; got != want {
		t.Errorf("row %q, want %q", got, want)
	}
	for name, change := range map[string]func(*cache.Spec){
		"twice":       func(*cache.Spec) {},
		"no name":     func(s *cache.Spec) { s.Name = "" },
		"no age":      func(s *cache.Spec) { s.Name, s.MaxAge = "b", "" },
		"no bound":    func(s *cache.Spec) { s.Name, s.Entries = "c", 0 },
		"two bounds":  func(s *cache.Spec) { s.Name, s.Bytes = "d", 1 },
		"below zero":  func(s *cache.Spec) { s.Name, s.Entries = "e", -1 },
		"no contents": func(s *cache.Spec) { s.Name, s.Holds = "f", "" },
		"no refresh":  func(s *cache.Spec) { s.Name, s.Fresh = "g", "" },
		"no fallback": func(s *cache.Spec) { s.Name, s.Away = "h", "" },
	} {
		bad := valid
		change(&bad)
		if _, err := cache.New(g, bad, o); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
