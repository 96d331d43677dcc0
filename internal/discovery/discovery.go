package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/resolver"

	"movieexample.com/internal/guard"
)

// Options is what a registry needs besides its spec. The zero value works.
type Options struct {
	// Logger gets changes of the instances and of the registry's reachability; nil
	// discards them.
	Logger *slog.Logger
	// Metrics gets the metrics. Several registries may share one; nil discards them.
	Metrics prometheus.Registerer
	// Version is the program's version, which instances are registered with; empty
	// means without.
	Version string
	// Guard restarts a background task of the registry that panicked; nil restarts it without a log line or metric.
	Guard *guard.Guard
	// Ports are the ports of services, for dns specs without a port.
	Ports map[string]int
}

// Registry knows the instances of services. It is safe for concurrent use. Make it with
// [Open] or [NewMemory].
type Registry struct {
	scheme  string
	backend backend
	log     *slog.Logger
	metrics *metrics
	guard   *guard.Guard

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	tasks  sync.WaitGroup

	mu            sync.Mutex
	closed        bool
	lookups       map[string]*lookup // by service
	registrations map[string]*registration
}

// backend is implemented by each kind of registry.
type backend interface {
	// watch keeps the instances of l's service up to date until the registry is
	// closed. It is called once for a service and returns at once. An error says why
	// the service cannot be looked up at all.
	watch(l *lookup) error
	// register registers an instance and returns a function that deregisters it. It is
	// called only for an instance that is not registered.
	register(ctx context.Context, service, addr string) (leave func(context.Context) error, err error)
	// close releases the remaining resources when all tasks have ended.
	close()
}

// registration counts how often this process has registered an instance.
type registration struct {
	mu    sync.Mutex // held during registration
	count int
	leave func(context.Context) error
}

// Open returns the registry that spec describes; see the package comment for the
// format. It does not connect, so it does not fail if a registry is unreachable. It
// fails when spec is wrong, and when a file that spec names cannot be read or used.
// ctx bounds Open, not the life of the registry, which ends with Close.
func Open(_ context.Context, spec string, opts Options) (*Registry, error) {
	p, err := parse(spec)
	if err != nil {
		return nil, err
	}
	r, err := newRegistry(opts)
	if err != nil {
		return nil, fmt.Errorf("discovery %s: %w", spec, err)
	}
	if err := p.build(r, opts); err != nil {
		_ = r.Close()
		return nil, fmt.Errorf("discovery %s: %w", spec, err)
	}
	return r, nil
}

// Validate says what is wrong with spec, without opening files or connections.
func Validate(spec string) error {
	_, err := parse(spec)
	return err
}

func newRegistry(opts Options) (*Registry, error) {
	m, err := newMetrics(opts.Metrics)
	if err != nil {
		return nil, err
	}
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Registry{
		log: opts.Logger, metrics: m, guard: opts.Guard,
		lookups: make(map[string]*lookup), registrations: make(map[string]*registration),
	}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r, nil
}

// Register says that an instance of service (e.g. "rating") accepts gRPC at addr
// ("host:port", as clients connect to it), and that it serves already. The instance
// is found until deregister is called or the registry is closed; a registration that
// a closed registry leaves behind expires with the instance. Further calls of
// deregister do nothing. The same address may be registered several times and is found
// until the last of them is deregistered.
//
// An error says what is wrong with service or addr. An unreachable registry is not an
// error: Register tries once, until ctx ends and for a few seconds at most; then it logs
// that and retries in the background. deregister needs the registry, and returns an
// error if it fails.
func (r *Registry) Register(ctx context.Context, service, addr string) (deregister func(context.Context) error, err error) {
	if err := checkService(service); err != nil {
		return nil, err
	}
	if _, _, err := splitAddress(addr); err != nil {
		return nil, fmt.Errorf("register %s: %w", service, err)
	}
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, fmt.Errorf("register %s: the registry is closed", service)
	}
	key := service + " " + addr
	reg := r.registrations[key]
	if reg == nil {
		reg = &registration{}
		r.registrations[key] = reg
	}
	r.mu.Unlock()

	reg.mu.Lock()
	defer reg.mu.Unlock()
	if reg.count == 0 {
		if reg.leave, err = r.backend.register(ctx, service, addr); err != nil {
			return nil, fmt.Errorf("register %s at %s: %w", service, addr, err)
		}
	}
	reg.count++
	var once sync.Once
	return func(ctx context.Context) error {
		var err error
		once.Do(func() {
			reg.mu.Lock()
			defer reg.mu.Unlock()
			if reg.count--; reg.count == 0 {
				err = reg.leave(ctx)
			}
		})
		if err != nil {
			return fmt.Errorf("deregister %s at %s: %w", service, addr, err)
		}
		return nil
	}, nil
}

// Target returns what to give to rpc.Dial to reach the instances of service.
func (r *Registry) Target(service string) string { return r.scheme + ":///" + service }

// Resolver returns the client's half, for what Target returns. Give it to rpc.Dial.
func (r *Registry) Resolver() resolver.Builder { return builder{r} }

// Instances returns the addresses of the service's instances, as last known. It waits for the registry's first answer, or for
// its first failure to answer, until ctx ends. The slice must not be changed.
func (r *Registry) Instances(ctx context.Context, service string) ([]string, error) {
	if err := checkService(service); err != nil {
		return nil, err
	}
	l, err := r.lookup(service)
	if err != nil {
		return nil, fmt.Errorf("look %s up: %w", service, err)
	}
	select {
	case <-l.first:
		return l.known(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("look %s up: %w", service, ctx.Err())
	}
}

// Foreign sets how many instances of a service work on another database, for the metric.
func (r *Registry) Foreign(service string, n int) {
	r.metrics.foreign.WithLabelValues(service).Set(float64(n))
}

// Close stops the lookups and the renewal of registrations, and waits for them to end. It
// does not deregister. Connections keep the instances they know.
func (r *Registry) Close() error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed {
		return nil
	}
	r.cancel()
	r.tasks.Wait()
	if r.backend != nil {
		r.backend.close()
	}
	return nil
}

// task runs in the background until it returns; ctx is the registry's, or ends before.
func (r *Registry) task(ctx context.Context, name string, run func(context.Context)) {
	r.tasks.Go(func() { r.guarded(ctx, name, run) })
}

func (r *Registry) guarded(ctx context.Context, name string, run func(context.Context)) {
	_ = r.guard.Run(ctx, "discovery: "+name, func(ctx context.Context) error { // run returns no error
		run(ctx)
		return nil
	})
}

// lookup returns the lookup of service, and starts it if there is none.
func (r *Registry) lookup(service string) (*lookup, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	l := r.lookups[service]
	if l != nil {
		return l, nil
	}
	if r.closed {
		return nil, errors.New("the registry is closed")
	}
	l = newLookup(r, service)
	if err := r.backend.watch(l); err != nil {
		return nil, err
	}
	r.lookups[service] = l
	return l, nil
}

// builder makes resolvers, one for each connection.
type builder struct{ registry *Registry }

// Scheme implements resolver.Builder.
func (b builder) Scheme() string { return b.registry.scheme }

// Build implements resolver.Builder.
func (b builder) Build(target resolver.Target, cc resolver.ClientConn, _ resolver.BuildOptions) (resolver.Resolver, error) {
	name := target.Endpoint()
	err := checkService(name)
	if err == nil && target.URL.Host != "" {
		err = fmt.Errorf("want three slashes: %s", b.registry.Target(name))
	}
	var l *lookup
	if err == nil {
		l, err = b.registry.lookup(name)
	}
	if err != nil {
		return nil, fmt.Errorf("target %q: %w", target.URL.String(), err)
	}
	return l.add(cc), nil
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

// splitAddress returns the parts of an address that clients can connect to.
func splitAddress(addr string) (host string, port int, err error) {
	host, text, err := net.SplitHostPort(addr)
	if err == nil {
		port, err = strconv.Atoi(text)
	}
	if err != nil || host == "" || port < 1 || port > 65535 || strings.ContainsAny(host, "/ ") {
		return "", 0, fmt.Errorf("address %q: want host:port with the port that clients connect to, like 127.0.0.1:8081", addr)
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsUnspecified() {
		return "", 0, fmt.Errorf("address %q: no client can connect to %s, which stands for all addresses of a machine: give one of them", addr, host)
	}
	return host, port, nil
}
