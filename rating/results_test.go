package rating

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/sqldb"
)

// The types come from callers, so their cached results are bounded; every type is still answered.
func TestResultsAreBounded(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	s.rate(t, ratingAt("1", "u", 5, t0))
	reg := prometheus.NewRegistry()
	g := cache.NewGroup(reg, s.now)
	t.Cleanup(g.Close)
	res, err := newResults(g, DefaultConfig(), s)
	if err != nil {
		t.Fatal(err)
	}
	metric := func(name, cache string) float64 {
		families, err := reg.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			for _, m := range f.GetMetric() {
				if f.GetName() == name && m.GetLabel()[0].GetValue() == cache {
					return m.GetGauge().GetValue() + m.GetCounter().GetValue()
				}
			}
		}
		t.Fatalf("there is no metric %s of cache %s", name, cache)
		return 0
	}
	for i := range 3 * maxTypes {
		if _, err := res.trending(t.Context(), fmt.Sprint("type", i), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"rating_snapshots", "rating_trends"} {
		eventually(t, "evictions from "+name, func() bool { return metric("movieexample_cache_entries", name) <= maxTypes })
		if n := metric("movieexample_cache_entries", name); n < maxTypes/2 {
			t.Errorf("%s has %v entries, want about %d", name, n, maxTypes)
		}
	}
	if sn, err := res.snapshot(t.Context(), "movie"); err != nil || sn.totals.Ratings != 1 {
		t.Errorf("the snapshot of movies: %+v, %v", sn, err)
	}
	loads := metric("movieexample_cache_loads_total", "rating_snapshots")
	if _, err := res.snapshot(t.Context(), "movie"); err != nil || metric("movieexample_cache_loads_total", "rating_snapshots") != loads {
		t.Errorf("the snapshot of movies is computed again (%v), though it is cached", err)
	}
}

// A summary is answered while the snapshot of its type is being computed for the first time.
func TestSummariesDoNotWaitForSnapshots(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	s.rate(t, ratingAt("1", "u", 5, t0))
	res := resultsOf(t, s)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := res.snapshots.Get(ctx, "movie", nil, func(ctx context.Context) (*snapshot, error) {
		<-ctx.Done() // as the test ends
		return nil, ctx.Err()
	}); err == nil {
		t.Fatal("the snapshot was not being computed: this test tests nothing")
	}
	p, err := res.prior(t.Context(), "movie")
	if want := (Prior{MinVotes: 25, Mean: 5}); p != want || err != nil {
		t.Errorf("the prior is %+v, %v; want %+v", p, err, want)
	}
	for name, ask := range summaryCalls(serverOn(s, res)) {
		if err := ask(t.Context()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A summary uses the last prior if a new one is slow to compute.
func TestSummariesDoNotWaitForASlowPrior(t *testing.T) {
	s := openStore(t, sqldb.Options{})
	var now atomic.Int64
	now.Store(t0.UnixNano())
	s.now = func() time.Time { return time.Unix(0, now.Load()) }
	res := resultsOf(t, s)
	gate := make(chan struct{})
	close(gate)
	mean := 1.0
	get := func() float64 {
		wait, value := gate, mean
		p, err := res.priors.Get(t.Context(), "movie", nil, func(context.Context) (Prior, error) {
			<-wait
			return Prior{Mean: value}, nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return p.Mean
	}
	get()
	gate, mean = make(chan struct{}), 2
	for _, age := range []time.Duration{time.Second, time.Minute, time.Hour, 1000 * time.Hour} {
		now.Add(int64(age))
		if v := get(); v != 1 {
			t.Errorf("after %v: result %v, want the old one", age, v)
		}
	}
	close(gate)
	eventually(t, "the new result", func() bool { return get() == 2 })
}
