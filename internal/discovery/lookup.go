package discovery

import (
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc/resolver"
)

// lookup holds the known instances of one service, and the connections that follow
// them. There is one for each service that was ever dialled, and it lives as long as
// the registry: a connection that leaves idle mode while the registry is down finds
// the last known instances here.
type lookup struct {
	registry *Registry
	service  string
	// settle is how long instances that the registry lost in an outage are kept before
	// they are dropped.
	settle time.Duration
	// asked has an element when a connection wants a lookup at once.
	asked chan struct{}

	mu        sync.Mutex
	conns     map[*conn]struct{}
	told      bool          // whether instances says anything yet
	first     chan struct{} // closed when told is set
	instances []string      // sorted, without duplicates; a new slice on every change
	failing   bool          // whether the registry did not answer when it was last asked
	keep      time.Time     // until then nothing that was known is dropped
}

func newLookup(r *Registry, service string) *lookup {
	r.metrics.instances.WithLabelValues(service).Set(0)
	r.metrics.stale.WithLabelValues(service).Set(0)
	return &lookup{registry: r, service: service, asked: make(chan struct{}, 1), conns: make(map[*conn]struct{}), first: make(chan struct{})}
}

// found takes an answer of the registry: all instances of the service. It returns the
// time after which the caller must repeat the answer because it may then have another
// effect, or 0.
func (l *lookup) found(instances []string) (again time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := time.Now()
	if l.failing {
		l.failing = false
		l.keep = now.Add(l.settle)
		l.registry.metrics.stale.WithLabelValues(l.service).Set(0)
		l.registry.log.Info("registry is reachable again", "service", l.service)
	}
	next := slices.Clone(instances)
	slices.Sort(next)
	next = slices.Compact(next)
	if now.Before(l.keep) {
		answer := len(next)
		next = append(next, l.instances...)
		slices.Sort(next)
		if next = slices.Compact(next); len(next) > answer {
			again = l.keep.Sub(now)
		}
	}
	l.set(next)
	return again
}

// doubt records a change of the registry that looks like a loss of data: the answers
// that follow are handled as after an outage.
func (l *lookup) doubt() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.keep = time.Now().Add(l.settle)
}

// failed records that the registry did not answer, and reports whether it answered the
// last time.
func (l *lookup) failed() (first bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	first = !l.failing
	l.failing = true
	if first {
		l.registry.metrics.stale.WithLabelValues(l.service).Set(1)
	}
	if !l.told {
		l.set(nil) // calls do not wait for what may never come
	}
	return first
}

// unanswered is failed with a log line for the first failure.
func (l *lookup) unanswered(err error) {
	if l.failed() {
		l.registry.log.Warn("registry is unreachable; using the last known instances", "service", l.service, "instances", l.known(), "error", err)
	}
}

// known returns the instances.
func (l *lookup) known() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.instances
}

// set changes the instances and updates the connections. It does so with l.mu held,
// so that no connection gets two changes in the wrong order; gRPC does not call back
// into a resolver from UpdateState.
func (l *lookup) set(next []string) {
	if l.told && slices.Equal(l.instances, next) {
		return
	}
	gone := slices.DeleteFunc(slices.Clone(l.instances), func(addr string) bool { return slices.Contains(next, addr) })
	added := slices.DeleteFunc(slices.Clone(next), func(addr string) bool { return slices.Contains(l.instances, addr) })
	if !l.told {
		close(l.first)
	}
	l.told, l.instances = true, next
	l.registry.metrics.instances.WithLabelValues(l.service).Set(float64(len(next)))
	if len(gone)+len(added) > 0 {
		l.registry.log.Info("service instances changed", "service", l.service, "instances", next, "added", added, "gone", gone)
	}
	for c := range l.conns {
		c.tell(next)
	}
}

// add passes the instances to a connection, now and whenever they change.
func (l *lookup) add(cc resolver.ClientConn) *conn {
	c := &conn{lookup: l, cc: cc}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.conns[c] = struct{}{}
	if l.told {
		c.tell(l.instances)
	}
	return c
}

// conn is the resolver of one gRPC connection.
type conn struct {
	lookup *lookup
	cc     resolver.ClientConn
}

// tell passes the instances on. An empty list is a valid state: calls fail with
// UNAVAILABLE, with a message of package rpc, until the next state. An error of
// UpdateState requests another lookup; it would not change what the registry said.
func (c *conn) tell(instances []string) {
	endpoints := make([]resolver.Endpoint, len(instances))
	for i, addr := range instances {
		endpoints[i] = resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr}}}
	}
	_ = c.cc.UpdateState(resolver.State{Endpoints: endpoints})
}

// ResolveNow implements resolver.Resolver. gRPC calls it when it has lost a
// connection; a registry that polls may poll sooner.
func (c *conn) ResolveNow(resolver.ResolveNowOptions) {
	select {
	case c.lookup.asked <- struct{}{}:
	default:
	}
}

// Close implements resolver.Resolver.
func (c *conn) Close() {
	c.lookup.mu.Lock()
	defer c.lookup.mu.Unlock()
	delete(c.lookup.conns, c)
}
