package rpc

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"

	"movieexample.com/internal/telemetry"
)

// metrics are shared by all servers on one registerer.
type metrics struct {
	handled *prometheus.CounterVec
	seconds *prometheus.HistogramVec
	// Requests that were cut off while they arrived: because they were too slow, or
	// because all arriving requests together were too large.
	slow, large prometheus.Counter
}

// newMetrics registers the vectors, or finds those that another server of the
// same process has registered already. nil means that they are not exported.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	handled, err := telemetry.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_grpc_server_handled_total",
		Help: "Calls that this process answered, by the status code of the answer.",
	}, []string{"service", "method", "code"}))
	if err != nil {
		return nil, err
	}
	seconds, err := telemetry.Register(reg, prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name:    "movieexample_grpc_server_handling_seconds",
		Help:    "Time from the arrival of a call at its handler to its answer.",
		Buckets: telemetry.LatencyBuckets(),
	}, []string{"service", "method"}))
	if err != nil {
		return nil, err
	}
	cut, err := telemetry.Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_grpc_server_aborted_total",
		Help: "Calls whose message did not arrive in time (slow), and connections closed because unfinished requests held too much memory (memory).",
	}, []string{"reason"}))
	if err != nil {
		return nil, err
	}
	return &metrics{handled: handled, seconds: seconds, slow: cut.WithLabelValues("slow"), large: cut.WithLabelValues("memory")}, nil
}

// methodMetrics are one method's children of the vectors. They are looked up
// once, because a look-up by label values hashes and may allocate.
type methodMetrics struct {
	vec             *prometheus.CounterVec
	service, method string
	seconds         prometheus.Observer
	// handled is filled as codes occur: otherwise most series of a scrape would be 0
	// forever.
	handled [codes.Unauthenticated + 1]atomic.Pointer[prometheus.Counter]
	// lines limits log lines per code, and given those of slow calls that the caller gave up.
	lines [codes.Unauthenticated + 1]telemetry.Throttle
	given telemetry.Throttle
}

func (m *metrics) of(service, method string) *methodMetrics {
	return &methodMetrics{
		vec: m.handled, service: service, method: method,
		seconds: m.seconds.WithLabelValues(service, method),
	}
}

// line reports whether to log a call that ended with code, and how many lines were skipped. When a dependency is down, every call
// fails, or waits until its caller gives up: such lines are logged at long intervals.
func (m *methodMetrics) line(code codes.Code, slow bool, now time.Time) (skipped int, ok bool) {
	if int(code) >= len(m.lines) {
		code = codes.Unknown
	}
	switch {
	case code == codes.Unavailable || code == codes.DeadlineExceeded:
		return m.lines[code].TakeRepeated(now)
	case code == codes.Canceled && slow:
		return m.given.TakeRepeated(now)
	}
	return m.lines[code].Take(now)
}

func (m *methodMetrics) observe(code codes.Code, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	if int(code) >= len(m.handled) {
		code = codes.Unknown
	}
	if c := m.handled[code].Load(); c != nil {
		(*c).Inc()
		return
	}
	c := m.vec.WithLabelValues(m.service, m.method, code.String())
	m.handled[code].Store(&c)
	c.Inc()
}
