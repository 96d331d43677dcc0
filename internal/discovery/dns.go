package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"time"
)

const (
	dnsTimeout = 5 * time.Second // for all the questions of one lookup
	dnsFloor   = time.Second     // between two lookups, however often connections are lost
	dnsSettle  = 5 * time.Second
)

// dns is the registry of a DNS zone.
type dns struct {
	spec     dnsSpec
	registry *Registry
	resolver net.Resolver
	ports    map[string]int
}

func (s dnsSpec) build(r *Registry, opts Options) error {
	d := &dns{spec: s, registry: r, ports: opts.Ports}
	// Go's own resolver, because C's cannot tell "no such name" from "ask again". With
	// StrictErrors a partial answer (IPv4 but not IPv6) is an error, not a smaller answer.
	d.resolver = net.Resolver{PreferGo: true, StrictErrors: true}
	if s.server != "" {
		d.resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, network, s.server)
		}
	}
	// Not "dns": gRPC leaves targets of that scheme to a proxy if the environment names
	// one.
	r.scheme, r.backend = "dns-records", d
	return nil
}

func (d *dns) watch(l *lookup) error {
	name := strings.ReplaceAll(d.spec.name, serviceMark, l.service)
	if err := checkName(name); err != nil {
		return fmt.Errorf("name %q: %w", name, err)
	}
	port := d.spec.port
	if port == 0 {
		port = d.ports[l.service]
	}
	if port == 0 && !d.spec.srv {
		return fmt.Errorf("the port of %s is not known: give one in the spec (dns:///%s:8080) or use SRV records (dns:///_grpc._tcp.%s)", l.service, d.spec.name, d.spec.name)
	}
	l.settle = dnsSettle
	d.registry.task(d.registry.ctx, "lookup of "+l.service, func(ctx context.Context) { d.follow(ctx, l, name, port) })
	return nil
}

// follow looks the service up until ctx ends.
func (d *dns) follow(ctx context.Context, l *lookup, name string, port int) {
	for {
		begin := time.Now()
		instances, err := d.ask(ctx, name, port)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			l.unanswered(err)
		} else {
			l.found(instances) // what it wants to hear again it hears with the next answer
		}
		// A little at random, so that a thousand processes do not ask in step.
		wait := time.NewTimer(time.Until(begin.Add(d.spec.interval - rand.N(d.spec.interval/5))))
		select {
		case <-ctx.Done():
		case <-wait.C:
		case <-l.asked:
			wait.Reset(time.Until(begin.Add(dnsFloor)))
			select {
			case <-ctx.Done():
			case <-wait.C:
			}
		}
		wait.Stop()
		if ctx.Err() != nil {
			return
		}
	}
}

// ask returns the current instances in DNS. An empty list is a valid answer; an error is none.
func (d *dns) ask(ctx context.Context, name string, port int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	if !d.spec.srv {
		return d.addresses(ctx, name, port)
	}
	_, records, err := d.resolver.LookupSRV(ctx, "", "", name)
	if notThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var instances []string
	for _, r := range records {
		if r.Target == "." || r.Port == 0 { // RFC 2782: decidedly not available
			continue
		}
		found, err := d.addresses(ctx, r.Target, int(r.Port))
		if err != nil {
			return nil, err
		}
		instances = append(instances, found...)
	}
	return instances, nil
}

func (d *dns) addresses(ctx context.Context, host string, port int) ([]string, error) {
	ips, err := d.resolver.LookupNetIP(ctx, "ip", host)
	if notThere(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// An instance with addresses of both families would be called twice as often.
	only4 := false
	for _, ip := range ips {
		only4 = only4 || ip.Unmap().Is4()
	}
	var instances []string
	for _, ip := range ips {
		if ip = ip.Unmap(); ip.Is4() || !only4 {
			instances = append(instances, joinPort(ip, port))
		}
	}
	return instances, nil
}

func joinPort(ip netip.Addr, port int) string {
	return net.JoinHostPort(ip.String(), strconv.Itoa(port))
}

// notThere reports whether a name server answered that the name or the record does not
// exist.
func notThere(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// register does nothing: the operator maintains the zone.
func (*dns) register(context.Context, string, string) (func(context.Context) error, error) {
	return func(context.Context) error { return nil }, nil
}

func (*dns) close() {}
