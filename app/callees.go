package app

import (
	"context"
	"fmt"
	"slices"
	"time"

	"google.golang.org/grpc/resolver"

	"movieexample.com/internal/discovery"
	"movieexample.com/internal/rpc"
)

// connectAll connects a service to those it calls: in process if this process runs them, else to the address of --connect-…, or
// to the instances in the registry.
func (b *builder) connectAll(ctx context.Context, s service) error {
	for _, name := range s.calls {
		if err := b.connect(ctx, name); err != nil {
			return err
		}
	}
	for i := range b.callees {
		c := &b.callees[i]
		c.awaited = c.awaited || slices.Contains(s.awaits, c.name) || slices.Contains(s.requires, c.name)
	}
	return nil
}

func (b *builder) connect(ctx context.Context, name string) error {
	if b.conns[name] != nil {
		return nil
	}
	if srv := b.local[name]; srv != nil {
		b.conns[name] = srv.Conn()
		return nil
	}
	registry := b.registry
	if addr := b.cfg.Connect.of(name); addr != "" {
		registry = discovery.NewMemory()
		if _, err := registry.Register(ctx, name, addr); err != nil {
			return err
		}
	}
	idempotent, err := rpc.IdempotentMethods(serviceName(name))
	if err != nil {
		return err
	}
	conn, err := rpc.Dial(registry.Target(name), rpc.DialConfig{
		Name: name, Version: b.version, Logger: b.log.With("component", "rpc"), Idempotent: idempotent, Metrics: b.metrics,
		Resolvers: []resolver.Builder{registry.Resolver()},
	})
	if err != nil {
		return err
	}
	b.onClose("connection to "+name, func(context.Context) error { return conn.Close() })
	conn.Connect() // now, not with the first call: readiness and metrics report the instances
	b.conns[name] = conn
	b.callees = append(b.callees, callee{name: name, conn: conn})
	if b.required(name) {
		b.ready.Add(name, conn.Usable)
	} else {
		b.ready.AddOptional(name, conn.Usable)
	}
	return nil
}

// required reports whether a service of this process cannot answer without the callee.
func (b *builder) required(name string) bool {
	return slices.ContainsFunc(b.services, func(s service) bool { return slices.Contains(s.requires, name) })
}

// awaitCallees waits for the services that those of this process require. The call graph has no cycle, so the services become
// ready one after the other, whatever order they are started in.
func (a *App) awaitCallees(ctx context.Context) {
	for _, c := range a.callees {
		if c.awaited {
			a.awaitCallee(ctx, c)
		}
	}
}

// unsaid is how long awaitCallee waits before it logs that it waits.
const unsaid = 200 * time.Millisecond

func (a *App) awaitCallee(ctx context.Context, c callee) {
	began, patience := time.Now(), unsaid
	for {
		waiting, cancel := context.WithTimeout(ctx, patience)
		err := c.conn.AwaitUsable(waiting)
		cancel()
		if err == nil {
			if patience != unsaid {
				a.log.Info(fmt.Sprintf("%s service is ready", c.name), "took", time.Since(began).Round(time.Millisecond))
			}
			return
		}
		if ctx.Err() != nil {
			return
		}
		a.log.Warn(fmt.Sprintf("waiting for the %s service", c.name), "since", time.Since(began).Round(time.Second), "error", err)
		patience = repeatLog
	}
}
