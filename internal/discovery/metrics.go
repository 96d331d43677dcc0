package discovery

import (
	"errors"
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// metrics are what the registries on one registerer share.
type metrics struct {
	instances  *prometheus.GaugeVec
	stale      *prometheus.GaugeVec
	registered *prometheus.GaugeVec
	foreign    *prometheus.GaugeVec
}

// newMetrics registers the metrics, or finds those that another registry of the same
// process has registered already. nil means metrics that nobody reads.
func newMetrics(reg prometheus.Registerer) (*metrics, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	var errs []error
	gauge := func(name, help string) *prometheus.GaugeVec {
		g := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{"service"})
		err := reg.Register(g)
		var there prometheus.AlreadyRegisteredError
		if errors.As(err, &there) {
			if old, ok := there.ExistingCollector.(*prometheus.GaugeVec); ok {
				return old
			}
		}
		errs = append(errs, err)
		return g
	}
	m := &metrics{
		instances:  gauge("movieexample_discovery_instances", "Instances of a service that this process knows, healthy or not."),
		stale:      gauge("movieexample_discovery_stale", "1 while the registry does not answer and the last known instances of a service are used."),
		registered: gauge("movieexample_discovery_registered", "1 while the registry knows the instances of a service that this process has registered, 0 while it could not be told."),
		foreign:    gauge("movieexample_discovery_foreign_instances", "Instances of a service that work on another database than this process, or than most of them."),
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("register discovery metrics: %w", err)
	}
	return m, nil
}
