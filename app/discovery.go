package app

import (
	"context"
	"net"
	"strconv"

	"movieexample.com/internal/discovery"
)

// openRegistry opens the registry that --discovery names.
func (b *builder) openRegistry(ctx context.Context) error {
	ports := make(map[string]int)
	for _, s := range serviceTable() {
		if _, port, err := net.SplitHostPort(DefaultConfig().Listen.of(s.name).addr); err == nil {
			ports[s.name], _ = strconv.Atoi(port) // the defaults are in order, as a test of them says
		}
	}
	registry, err := discovery.Open(ctx, b.cfg.Discovery, discovery.Options{
		Logger: b.log.With("component", "discovery"), Metrics: b.metrics, Guard: b.guard, Version: b.version, Ports: ports,
	})
	if err != nil {
		return err
	}
	b.registry = registry
	b.onClose("discovery", func(context.Context) error { return registry.Close() })
	return nil
}

// advertise remembers a service that listens on addr, so that it is registered when everything serves. A registry in memory
// is visible to this process only, so nothing is advertised there.
func (b *builder) advertise(service, addr string) {
	host, port, err := net.SplitHostPort(addr)
	if err != nil || b.cfg.Discovery == discovery.MemoryScheme {
		return
	}
	if b.cfg.Advertise != "" {
		host = b.cfg.Advertise
	}
	b.instances = append(b.instances, instance{service, net.JoinHostPort(host, port)})
}

// register registers the services of this process. If the registry is down, a background task retries.
func (a *App) register(ctx context.Context) error {
	for _, i := range a.instances {
		deregister, err := a.registry.Register(ctx, i.service, i.addr)
		if err != nil {
			return err
		}
		a.leaves = append(a.leaves, stop{"registration of " + i.service, deregister})
	}
	return nil
}

const consulScheme = "consul:"
