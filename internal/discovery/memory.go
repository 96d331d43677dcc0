package discovery

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync"

	"google.golang.org/grpc/resolver"
)

// Registry is told where services live.
type Registry interface {
	// Register says that an instance of service (e.g. "rating") accepts gRPC at
	// addr ("host:port"). The instance is found until deregister is called;
	// further calls of deregister do nothing. The same address may be registered
	// several times and is found until the last of them is deregistered. ctx
	// bounds the registration itself, not its life. An error says what is wrong
	// with service or addr, or that the registry cannot be reached.
	Register(ctx context.Context, service, addr string) (deregister func(), err error)
}

// MemoryScheme is the scheme of targets that [Memory] resolves: "memory:///rating".
const MemoryScheme = "memory"

// Memory is the registry of the services of one process. It is safe for
// concurrent use.
type Memory struct {
	mu       sync.Mutex
	services map[string]*service
}

// service is one name: its instances, and the clients that want to know them.
type service struct {
	instances []string // in the order of registration; an address once per registration
	clients   map[*client]struct{}
}

var _ Registry = (*Memory)(nil)

// NewMemory returns an empty registry.
func NewMemory() *Memory { return &Memory{services: make(map[string]*service)} }

// service returns the entry of name, made when missing. m.mu is held.
func (m *Memory) service(name string) *service {
	s := m.services[name]
	if s == nil {
		s = &service{clients: make(map[*client]struct{})}
		m.services[name] = s
	}
	return s
}

// Register implements [Registry]. Clients know of the instance when it returns.
func (m *Memory) Register(_ context.Context, name, addr string) (func(), error) {
	if err := checkService(name); err != nil {
		return nil, err
	}
	host, port, err := net.SplitHostPort(addr)
	if err != nil || host == "" || port == "" || port == "0" {
		return nil, fmt.Errorf("register %s: address %q: want host:port with the port that clients connect to, like 127.0.0.1:8081", name, addr)
	}
	m.update(name, func(s *service) { s.instances = append(s.instances, addr) })
	return sync.OnceFunc(func() {
		m.update(name, func(s *service) {
			i := slices.Index(s.instances, addr)
			s.instances = slices.Delete(s.instances, i, i+1)
		})
	}), nil
}

// update changes a service and tells its clients. They are told with m.mu held,
// so that none of them hears of two changes in the wrong order; gRPC does not
// call back into a resolver from UpdateState.
func (m *Memory) update(name string, change func(*service)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	s := m.service(name)
	change(s)
	for c := range s.clients {
		c.tell(s.instances)
	}
}

// Resolver returns the client's half, for targets of scheme [MemoryScheme]. Give
// it to rpc.Dial.
func (m *Memory) Resolver() resolver.Builder { return builder{m} }

type builder struct{ registry *Memory }

// Scheme implements resolver.Builder.
func (builder) Scheme() string { return MemoryScheme }

// Build implements resolver.Builder.
func (b builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	name := target.Endpoint()
	if err := checkService(name); err != nil {
		return nil, fmt.Errorf("target %q: %w", target.URL.String(), err)
	}
	if target.URL.Host != "" {
		return nil, fmt.Errorf("target %q: want three slashes: %s:///%s", target.URL.String(), MemoryScheme, name)
	}
	c := &client{registry: b.registry, service: name, cc: cc}
	b.registry.mu.Lock()
	defer b.registry.mu.Unlock()
	s := b.registry.service(name)
	s.clients[c] = struct{}{}
	c.tell(s.instances)
	return c, nil
}

// client is one connection's resolver.
type client struct {
	registry *Memory
	service  string
	cc       resolver.ClientConn
}

// tell passes the instances on. gRPC connects to each endpoint once, so an
// address that is registered twice counts once. No instances are a state like any
// other: calls fail with UNAVAILABLE, in rpc's words, until the next state. The
// error of UpdateState asks for another attempt, but what this registry knows does
// not change by asking.
func (c *client) tell(instances []string) {
	var endpoints []resolver.Endpoint
	for i, addr := range instances {
		if slices.Index(instances, addr) == i {
			endpoints = append(endpoints, resolver.Endpoint{Addresses: []resolver.Address{{Addr: addr}}})
		}
	}
	_ = c.cc.UpdateState(resolver.State{Endpoints: endpoints})
}

// ResolveNow implements resolver.Resolver. There is nothing to look up: changes are told.
func (c *client) ResolveNow(resolver.ResolveNowOptions) {}

// Close implements resolver.Resolver.
func (c *client) Close() {
	c.registry.mu.Lock()
	defer c.registry.mu.Unlock()
	delete(c.registry.services[c.service].clients, c)
}

func checkService(name string) error {
	if name == "" {
		return errors.New("the service's name is empty: want one like rating")
	}
	if strings.ContainsAny(name, "/ ") {
		return fmt.Errorf("service %q: a name contains neither slashes nor spaces", name)
	}
	return nil
}
