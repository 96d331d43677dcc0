package edge

import (
	"fmt"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/telemetry"
)

// metrics are the HTTP edge's vectors.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "movieexample_http_requests_total",
			Help: "Requests answered, by route and HTTP status.",
		}, []string{"method", "route", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "movieexample_http_request_duration_seconds",
			Help:    "Time from the end of a request's header to the end of its answer.",
			Buckets: telemetry.LatencyBuckets(),
		}, []string{"method", "route"}),
	}
	if reg == nil {
		return m, nil
	}
	for _, c := range []prometheus.Collector{m.requests, m.seconds} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register the gateway's metrics: %w", err)
		}
	}
	return m, nil
}

// routeMetrics are one route's children of the vectors, looked up once. Routes are labelled by pattern, never by path: a
// series per film would fill the memory of the monitoring system.
type routeMetrics struct {
	vec           *prometheus.CounterVec
	method, route string
	seconds       prometheus.Observer
	statuses      [600]atomic.Pointer[prometheus.Counter] // filled as statuses occur
	lines         [6]telemetry.Throttle                   // of the log, by the status's first digit
	away          [2]telemetry.Throttle                   // of the log, for 503 and for 504
}

func (m *metrics) of(method, route string) *routeMetrics {
	return &routeMetrics{vec: m.requests, method: method, route: route, seconds: m.seconds.WithLabelValues(method, route)}
}

// line reports whether to log a request that was answered with the status, and how many lines were skipped. A service that is down
// makes every request fail; that is logged once in a while.
func (r *routeMetrics) line(status int, now time.Time) (skipped int, ok bool) {
	switch status {
	case http.StatusServiceUnavailable:
		return r.away[0].TakeRepeated(now)
	case http.StatusGatewayTimeout:
		return r.away[1].TakeRepeated(now)
	}
	return r.lines[min(status/100, 5)].Take(now)
}

func (r *routeMetrics) observe(status int, took time.Duration) {
	r.seconds.Observe(took.Seconds())
	if status < 100 || status >= len(r.statuses) {
		status = http.StatusInternalServerError
	}
	if c := r.statuses[status].Load(); c != nil {
		(*c).Inc()
		return
	}
	c := r.vec.WithLabelValues(r.method, r.route, strconv.Itoa(status))
	r.statuses[status].Store(&c)
	c.Inc()
}
