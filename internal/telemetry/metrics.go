package telemetry

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
)

// NewRegistry returns a registry of its own with the metrics of the Go runtime, of the process, and
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
