package rpc

import (
	"context"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/balancer"
	"google.golang.org/grpc/balancer/endpointsharding"
	"google.golang.org/grpc/balancer/roundrobin"
	"google.golang.org/grpc/connectivity"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"movieexample.com/internal/fault"
)

// Connection is a connection to the instances of a service. Make it with [Dial].
type Connection struct {
	*grpc.ClientConn
	usable *usable
}

// Usable returns nil while calls have an instance to go to: one that is connected and
// says that it is healthy. Otherwise it returns an error of kind Unavailable that names
// the service, with the reason as it was last seen.
func (c *Connection) Usable(context.Context) error { return c.usable.check() }

// AwaitUsable connects, and returns nil as soon as an instance is usable. When ctx ends
// before, it returns what Usable does.
func (c *Connection) AwaitUsable(ctx context.Context) error {
	for {
		state := c.GetState()
		switch state {
		case connectivity.Ready:
			return nil
		case connectivity.Idle:
			c.Connect()
		case connectivity.Shutdown:
			return c.usable.check()
		}
		if !c.WaitForStateChange(ctx, state) {
			return c.usable.check()
		}
	}
}

// usable is what is known of the instances of one connection's service.
type usable struct {
	name, target string
	gauge        prometheus.Gauge

	mu         sync.Mutex
	use, known int
	why        string // there is none to use, as last seen
}

func newUsable(reg prometheus.Registerer, name, target string) (*usable, error) {
	gauge, err := usableGauge(reg, name)
	if err != nil {
		return nil, err
	}
	gauge.Set(0)
	return &usable{name: name, target: target, gauge: gauge}, nil
}

// usableGauge is the metric of a callee.
func usableGauge(reg prometheus.Registerer, callee string) (prometheus.Gauge, error) {
	if reg == nil {
		reg = prometheus.NewRegistry()
	}
	vec, err := register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "movieexample_grpc_client_usable_instances",
		Help: "Instances of a service that this process can send calls to: connected, and healthy by their own word. A service in the same process is one while it serves.",
	}, []string{"callee"}))
	if err != nil {
		return nil, err
	}
	return vec.WithLabelValues(callee), nil
}

// see takes the state of all instances. Without any, why says what the registry said.
func (u *usable) see(children []endpointsharding.ChildState, why error) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.use, u.known = 0, len(children)
	for _, c := range children {
		switch c.State.ConnectivityState {
		case connectivity.Ready:
			u.use++
		case connectivity.TransientFailure:
			if _, err := c.State.Picker.Pick(balancer.PickInfo{}); err != nil {
				why = err
			}
		}
	}
	u.gauge.Set(float64(u.use))
	if why != nil {
		u.why = located(u.target, why.Error())
	}
}

func (u *usable) check() error {
	u.mu.Lock()
	defer u.mu.Unlock()
	switch {
	case u.use > 0:
		return nil
	case u.known == 0 && u.why == "":
		return fault.Unavailable(&cause{text: located(u.target, "no connection yet")}, "no instance of the %s service is known", u.name)
	case u.why == "":
		return fault.Unavailable(&cause{text: located(u.target, "no connection yet")}, "no usable instance of the %s service (%d known)", u.name, u.known)
	}
	return fault.Unavailable(&cause{text: u.why}, "no usable instance of the %s service (%d known)", u.name, u.known)
}

// usableBalancer is the name, in a service config, of gRPC's round_robin with an eye on
// the instances that it uses. gRPC finds balancers in a registry of the whole process,
// which must be written before the first connection; what is registered has no state.
var usableBalancer = registerBalancer()

func registerBalancer() string {
	b := countingBuilder{balancer.Get(roundrobin.Name)}
	balancer.Register(b)
	return b.Name()
}

// countingBuilder makes balancers that tell a connection's usable what they see.
type countingBuilder struct{ balancer.Builder }

// Name implements balancer.Builder.
func (countingBuilder) Name() string { return "movieexample_round_robin" }

// Build implements balancer.Builder.
func (b countingBuilder) Build(cc balancer.ClientConn, opts balancer.BuildOptions) balancer.Balancer {
	creds, ok := opts.DialCreds.(observed)
	if !ok {
		return b.Builder.Build(cc, opts)
	}
	return &countingBalancer{Balancer: b.Builder.Build(countingConn{cc, creds.usable}, opts), usable: creds.usable}
}

type countingBalancer struct {
	balancer.Balancer
	usable *usable
}

// Close implements balancer.Balancer.
func (b *countingBalancer) Close() {
	b.Balancer.Close()
	b.usable.see(nil, nil)
}

// countingConn looks at what the balancer tells the connection.
type countingConn struct {
	balancer.ClientConn
	usable *usable
}

// UpdateState implements balancer.ClientConn.
func (c countingConn) UpdateState(s balancer.State) {
	var why error
	children := endpointsharding.ChildStatesFromPicker(s.Picker)
	if len(children) == 0 {
		_, why = s.Picker.Pick(balancer.PickInfo{})
	}
	c.usable.see(children, why)
	c.ClientConn.UpdateState(s)
}

// observed are credentials that carry a connection's usable to its balancer: of what a
// connection is configured with, its balancer gets to see the credentials only.
type observed struct {
	credentials.TransportCredentials
	usable *usable
}

func observe(u *usable) credentials.TransportCredentials {
	return observed{insecure.NewCredentials(), u}
}

// Clone implements credentials.TransportCredentials.
func (o observed) Clone() credentials.TransportCredentials {
	return observed{o.TransportCredentials.Clone(), o.usable}
}
