package app

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"movieexample.com/internal/discovery"
	"movieexample.com/internal/rpc"
)

// This file ensures that all instances of a service work on one database (ADR 019). A process with another database does
// not start to serve; serving processes report the others by log and metric.

const (
	// compareInterval is the time between two comparisons.
	compareInterval = 5 * time.Second
	// compareTimeout bounds one; who does not answer in it is not compared.
	compareTimeout = 2 * time.Second
)

// compareDatabases has the instances of those services compared that keep data and that this process runs or calls by a registry
// which others see.
func (b *builder) compareDatabases(services []service) {
	if b.cfg.Discovery == discovery.MemoryScheme {
		return
	}
	var names []string
	for _, s := range services {
		names = append(append(names, s.name), s.calls...)
	}
	for _, s := range serviceTable() {
		runs := b.identities[s.name] != ""
		if s.keepsData() && slices.Contains(names, s.name) && (runs || b.cfg.Connect.of(s.name) == "") {
			b.compared = append(b.compared, s.name)
		}
	}
	b.registers = strings.HasPrefix(b.cfg.Discovery, consulScheme)
	if len(b.compared) > 0 {
		b.background("comparison of databases", b.watchStrangers)
	}
}

// databases asks the instances of a service which database they work on: addresses by identity. Those that do not say are missing.
func (a *App) databases(ctx context.Context, service string) (map[string][]string, error) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	instances, err := a.registry.Instances(ctx, service)
	if err != nil {
		return nil, err
	}
	var (
		mu    sync.Mutex
		wg    sync.WaitGroup
		found = make(map[string][]string)
	)
	for _, addr := range instances {
		wg.Go(func() {
			identity, err := rpc.DatabaseOf(ctx, addr)
			if err != nil || identity == "" {
				return // it cannot be reached, or is of a release that does not know identities
			}
			mu.Lock()
			defer mu.Unlock()
			found[identity] = append(found[identity], addr)
		})
	}
	wg.Wait()
	return found, nil
}

// refuseStrangers returns an error if instances of a service of this process work on another database.
func (a *App) refuseStrangers(ctx context.Context) error {
	for service, own := range a.identities {
		if !slices.Contains(a.compared, service) {
			continue
		}
		found, err := a.databases(ctx, service)
		if err != nil {
			a.log.Warn("starting without comparing databases: the other instances are unknown", "service", service, "error", err)
			continue
		}
		for _, other := range slices.Sorted(maps.Keys(found)) {
			if other != own {
				return fmt.Errorf("%s of this process works on database %s, but the instances at %s work on another one, %s: all must share one. "+
					"Give this process their database (--database, or its file), or stop them", service, own, strings.Join(slices.Sorted(slices.Values(found[other])), ", "), other)
			}
		}
	}
	return nil
}

// awaitInstances waits until the registry knows the instances of this process that are compared, and so all that were registered
// before; at most as long as a comparison may take.
func (a *App) awaitInstances(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, compareTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for _, i := range a.instances {
		for slices.Contains(a.compared, i.service) {
			if known, err := a.registry.Instances(ctx, i.service); err != nil || slices.Contains(known, i.addr) {
				break
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}
}

// watchStrangers compares now and then until ctx ends.
func (a *App) watchStrangers(ctx context.Context) error {
	tick := time.NewTicker(compareInterval)
	defer tick.Stop()
	said := make(map[string]string)
	for {
		for _, service := range a.compared {
			found, err := a.databases(ctx, service)
			if err != nil {
				continue // the metric stays
			}
			n, text := strangers(a.identities[service], found)
			a.registry.Foreign(service, n)
			if text != said[service] {
				if said[service] = text; text != "" {
					a.log.Error("instances of a service work on different databases: stop those on the wrong one", "service", service, "databases", text)
				} else {
					a.log.Info("all instances of a service work on one database again", "service", service)
				}
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// strangers counts the instances that work on another database than own, or, where this process has none, than most of them; text
// says which work on which.
func strangers(own string, found map[string][]string) (n int, text string) {
	total, most := 0, 0
	var parts []string
	for _, identity := range slices.Sorted(maps.Keys(found)) {
		addrs := slices.Sorted(slices.Values(found[identity]))
		total, most = total+len(addrs), max(most, len(addrs))
		parts = append(parts, identity+": "+strings.Join(addrs, " "))
	}
	if own != "" {
		most = len(found[own])
	}
	if n = total - most; n == 0 {
		return 0, ""
	}
	if own != "" {
		parts = append(parts, "this process: "+own)
	}
	return n, strings.Join(parts, "; ")
}
