package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/hashicorp/consul/api"
)

// This file keeps an instance registered with Consul.

const (
	consulRenew   = 3 * time.Second // between two looks whether the agent still knows the instance
	consulRequest = 5 * time.Second // for one of those
	consulCheck   = 2 * time.Second // between two health checks by the agent
	consulReap    = 5 * time.Minute // critical for that long, an instance is removed
)

// instance is one instance of this process, as Consul knows it.
type instance struct {
	consul  *consul
	service string
	id      string
	entry   *api.AgentServiceRegistration
}

func (c *consul) register(ctx context.Context, service, addr string) (func(context.Context) error, error) {
	host, port, err := splitAddress(addr)
	if err != nil {
		return nil, err
	}
	// The same after a restart at the same address, so that it replaces the registration that a crash left behind.
	id := fmt.Sprintf("%s-%s-%d", service, host, port)
	i := &instance{consul: c, service: service, id: id, entry: &api.AgentServiceRegistration{
		ID: id, Name: service, Address: host, Port: port,
		Check: &api.AgentServiceCheck{
			CheckID: id, Name: "grpc.health.v1 of " + service,
			GRPC:     net.JoinHostPort(host, strconv.Itoa(port)),
			Interval: consulCheck.String(), Timeout: consulCheck.String(),
			// It serves already; without this it would not be used before the first check.
			Status:                         api.HealthPassing,
			DeregisterCriticalServiceAfter: consulReap.String(),
		},
	}}
	if c.version != "" {
		i.entry.Tags = []string{"version=" + c.version}
		i.entry.Meta = map[string]string{"version": c.version}
	}
	held := i.hold(ctx, true)
	renewing, stop := context.WithCancel(c.registry.ctx)
	ended := make(chan struct{})
	c.registry.tasks.Go(func() {
		defer close(ended)
		c.registry.guarded(renewing, "registration of "+service, func(ctx context.Context) { i.renew(ctx, held) })
	})
	return func(ctx context.Context) error {
		stop()
		<-ended // it must not register again what is deregistered here
		c.registry.metrics.registered.WithLabelValues(service).Set(0)
		ctx, cancel := context.WithTimeout(ctx, consulRequest)
		defer cancel()
		if err := c.agent.Agent().ServiceDeregisterOpts(i.id, c.query(ctx)); err != nil && !notKnown(err) {
			return fmt.Errorf("deregister from Consul at %s: Consul removes the instance after its health check has failed for %v: %w", c.spec.addr, consulReap, err)
		}
		return nil
	}, nil
}

// renew holds the registration until ctx ends.
func (i *instance) renew(ctx context.Context, held bool) {
	for {
		pause(ctx, consulRenew-rand.N(consulRenew/4))
		if ctx.Err() != nil {
			return
		}
		held = i.hold(ctx, held)
	}
}

// hold registers the instance if the agent does not know it, and reports whether the
// agent knows it now. before is its last result.
func (i *instance) hold(ctx context.Context, before bool) bool {
	ctx, cancel := context.WithTimeout(ctx, consulRequest)
	defer cancel()
	c := i.consul
	log := c.registry.log.With("service", i.service, "id", i.id)
	// Only if it is unknown: registering again would mark an unhealthy instance as healthy.
	_, _, err := c.agent.Agent().Service(i.id, c.query(ctx))
	if notKnown(err) {
		opts := api.ServiceRegisterOpts{ReplaceExistingChecks: true, Token: c.aclToken()}
		if err = c.agent.Agent().ServiceRegisterOpts(i.entry, opts.WithContext(ctx)); err == nil {
			log.Info("registered with Consul", "address", i.entry.Check.GRPC)
			before = true
		}
	}
	if errors.Is(ctx.Err(), context.Canceled) {
		return before
	}
	gauge := c.registry.metrics.registered.WithLabelValues(i.service)
	if err != nil {
		gauge.Set(0)
		if before {
			log.Warn("registration with Consul failed; retrying", "consul", c.spec.addr, "error", err)
		}
		return false
	}
	gauge.Set(1)
	if !before {
		log.Info("registered with Consul again")
	}
	return true
}
