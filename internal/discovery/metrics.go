package discovery

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/telemetry"
)

// metrics are shared by all registries on one registerer.
type metrics struct {
	instances  *prometheus.GaugeVec
	stale      *prometheus.GaugeVec
	registered *prometheus.GaugeVec
	foreign    *prometheus.GaugeVec
}

// newMetrics registers the metrics, or finds those that another registry of the same
// process has registered already. nil means metrics that are not exported.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	var errs []error
	gauge := func(name, help string) *prometheus.GaugeVec {
		g, err := telemetry.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"service"}))
		errs = append(errs, err)
		return g
	}
	m := &metrics{
		instances:  gauge("movieexample_discovery_instances", "Instances of a service that this process knows, healthy or not."),
		stale:      gauge("movieexample_discovery_stale", "1 while the registry does not answer and the last known instances of a service are used."),
		registered: gauge("movieexample_discovery_registered", "1 while the registry knows the instances of a service that this process has registered, 0 while registration fails."),
		foreign:    gauge("movieexample_discovery_foreign_instances", "Instances of a service that work on another database than this process, or than most of them."),
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register discovery metrics: %w", err)
	}
	return m, nil
}
