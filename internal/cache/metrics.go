package cache

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are the metrics of one cache.
type metrics struct {
	hits, misses, loads, loadErrors, stale, evictions prometheus.Counter
}

func newMetrics(reg prometheus.Registerer, name string, entries func() float64) (*metrics, error) {
	m := &metrics{}
	label := prometheus.Labels{"cache": name}
	collectors := []prometheus.Collector{prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "movieexample_cache_entries", Help: "Entries in a cache.", ConstLabels: label,
	}, entries)}
	for _, c := range []struct {
		counter    *prometheus.Counter
		name, help string
	}{
		{&m.hits, "hits", "Reads that a cache served from a fresh entry."},
		{&m.misses, "misses", "Reads that waited for a load, their own or another reader's."},
		{&m.loads, "loads", "Calls that loaded entries of a cache, one or several at a time."},
		{&m.loadErrors, "load_errors", "Loads that failed; an entry that does not exist is no failure."},
		{&m.stale, "stale_hits", "Reads served with the last known value, because the source was away."},
		{&m.evictions, "evictions", "Entries evicted because the cache was full, or removed because they had expired."},
	} {
		*c.counter = prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_cache_" + c.name + "_total", Help: c.help, ConstLabels: label,
		})
		collectors = append(collectors, *c.counter)
	}
	for _, c := range collectors {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the metrics of cache %s: %w", name, err)
		}
	}
	return m, nil
}
