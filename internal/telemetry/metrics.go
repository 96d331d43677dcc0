package telemetry

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a new registry with the metrics of the Go runtime, of the process, and
//
//	movieexample_build_info{version,revision,go_version} 1
//
// which lets a dashboard draw a line where a new version began.
func NewRegistry() *prometheus.Registry {
	build := BuildInfo()
	info := prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "movieexample_build_info",
		Help: "What is running; the value is always 1.",
		ConstLabels: prometheus.Labels{
			"version": build.Version, "revision": build.Revision, "go_version": build.GoVersion,
		},
	})
	info.Set(1)
	reg := prometheus.NewRegistry()
	// These collectors are fixed and have different names: registering them cannot clash.
	reg.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		info,
	)
	return reg
}

// Register registers c, or returns the collector that was registered with the same names before: several instances in one process
// share their metrics. A nil reg registers nothing, so that the metrics are not exported.
func Register[C prometheus.Collector](reg prometheus.Registerer, c C) (C, error) {
	if reg == nil {
		return c, nil
	}
	err := reg.Register(c)
	var there prometheus.AlreadyRegisteredError
	if errors.As(err, &there) {
		if old, ok := there.ExistingCollector.(C); ok {
			return old, nil
		}
	}
	if err != nil {
		return c, fmt.Errorf("register metrics: %w", err)
	}
	return c, nil
}
