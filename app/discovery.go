package app

import (
	"context"
	"fmt"
	"net"
	"strconv"

	"movieexample.com/internal/config"
	"movieexample.com/internal/discovery"
)

// instance is a service of this process as others reach it.
type instance struct{ service, addr string }

// openRegistry opens what --discovery says.
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

// advertise remembers a service that listens on addr, so that it is registered when everything serves. Nobody but this
// process looks into a registry in memory.
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

// register makes the services of this process known. A registry that is away is the background's to wait for.
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

// checkDiscovery reports what is wrong with the settings about finding and being found.
func (c Config) checkDiscovery() []error {
	var errs []error
	if err := discovery.Validate(c.Discovery); err != nil {
		errs = append(errs, &config.Problem{Path: "discovery", Reason: err.Error()})
	}
	if c.Advertise != "" && (wildcard(c.Advertise) || len(c.Advertise) > 253 || !hostname(c.Advertise)) {
		errs = append(errs, &config.Problem{Path: "advertise", Reason: fmt.Sprintf("must be a host name or an IP address that others can connect to, without a port; got %q", c.Advertise)})
	}
	return errs
}

// checkAdvertised reports a listener that a registry could not name to others.
func (c Config) checkAdvertised(services []service) error {
	scheme := c.Discovery
	if len(scheme) < len(consulScheme) || scheme[:len(consulScheme)] != consulScheme || c.Advertise != "" {
		return nil // only there does a process register itself
	}
	for _, s := range services {
		l := c.Listen.of(s.name)
		if host, _, err := net.SplitHostPort(l.addr); err == nil && s.name != "gateway" && wildcard(host) {
			return &config.Problem{Path: "advertise", Reason: fmt.Sprintf("must say at which host name or address other processes reach this one, since %s is %q, every address of this machine",
				l.path(), l.addr)}
		}
	}
	return nil
}

const consulScheme = "consul:"

// hostname reports whether text could be a host: letters, digits, dots, dashes, and colons for IPv6.
func hostname(text string) bool {
	if net.ParseIP(text) != nil {
		return true
	}
	for _, c := range text {
		ok := c == '.' || c == '-' || c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !ok {
			return false
		}
	}
	return true
}
