package groupcommit

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what an operator watches of a [Group]. A nil *Metrics counts nothing.
type Metrics struct {
	writes            prometheus.Histogram
	wait, took        prometheus.Histogram
	waiting           prometheus.Gauge
	failed            prometheus.Counter
	refused, halvings prometheus.Counter
}

// NewMetrics registers the metrics with the label store, which tells the groups of one process apart.
func NewMetrics(reg prometheus.Registerer, store string) (*Metrics, error) {
	labels := prometheus.Labels{"store": store}
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels})
	}
	seconds := func(name, help string) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: name, Help: help, ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(0.0001, 2.5, 13),
		})
	}
	m := &Metrics{
		writes: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "movieexample_group_commit_batch_writes", Help: "Synchronous writes per transaction; the count is that of the transactions.",
			ConstLabels: labels, Buckets: prometheus.ExponentialBuckets(1, 2, 10),
		}),
		wait:     seconds("movieexample_group_commit_wait_seconds", "How long a synchronous write waited for a transaction to start."),
		took:     seconds("movieexample_group_commit_duration_seconds", "How long a transaction of synchronous writes took, its commit included."),
		failed:   counter("movieexample_group_commit_failures_total", "Transactions of synchronous writes that failed, those that were then halved included."),
		refused:  counter("movieexample_group_commit_refused_writes_total", "Synchronous writes refused because too many were waiting."),
		halvings: counter("movieexample_group_commit_splits_total", "Transactions that the database refused for what they held, and that were run again in halves."),
	}
	m.waiting = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "movieexample_group_commit_waiting_writes", Help: "Synchronous writes that wait for a transaction to start.", ConstLabels: labels,
	})
	for _, c := range []prometheus.Collector{m.waiting, m.writes, m.wait, m.took, m.failed, m.refused, m.halvings} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *Metrics) queued(change int) {
	if m != nil {
		m.waiting.Add(float64(change))
	}
}

func (m *Metrics) refuse() {
	if m != nil {
		m.refused.Inc()
	}
}

func (m *Metrics) halved() {
	if m != nil {
		m.halvings.Inc()
	}
}

func (m *Metrics) waited(d time.Duration) {
	if m != nil {
		m.wait.Observe(d.Seconds())
	}
}

func (m *Metrics) committed(writes int, took time.Duration, ok bool) {
	if m == nil {
		return
	}
	m.writes.Observe(float64(writes))
	m.took.Observe(took.Seconds())
	if !ok {
		m.failed.Inc()
	}
}
