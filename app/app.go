package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"movieexample.com/internal/connlimit"
	"movieexample.com/internal/discovery"
	"movieexample.com/internal/guard"
	"movieexample.com/internal/kafka"
	"movieexample.com/internal/lockfile"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/telemetry"
	"movieexample.com/movie"
	"movieexample.com/rating"
)

// Options says what this process is.
type Options struct {
	// Services names the services to run; none means all.
	Services []string
	// Logger gets everything the system has to say; nil discards it.
	Logger *slog.Logger
	// Reread returns what reads the secret at a path of the configuration again, or nil where it was not read from a file: a
	// password that is refused may have been replaced. Nil: no secret can be read again.
	Reread func(path string) func() (string, error)
}

// App is one process of the system.
type App struct {
	log       *slog.Logger
	began     time.Time
	timeout   time.Duration
	delay     time.Duration // between the end of readiness and the end of serving
	addresses Addresses
	readiness *telemetry.Readiness
	servers   []*rpc.Server
	serving   []job               // serve until shut down
	jobs      []job               // run until their context ends
	guard     *guard.Guard        // of the jobs
	callees   []callee            // of other processes, connected before this one is ready
	first     []job               // are done before the process is ready
	registry  *discovery.Registry // knows where the services are that other processes run
	instances []instance          // of this process, registered when it is ready
	compared  []string            // services whose instances must work on one database
	registers bool                // the registry is told of instances by themselves
	// identities are those of the databases of this process, by service.
	identities map[string]string
	leaves     []stop // done before the draining: what tells others that this process goes
	drains     []stop // ended first, last one first
	closes     []stop // ended then, last one first
	ready      chan struct{}
}

type job struct {
	name string
	run  func(context.Context) error
}

type stop struct {
	name string
	stop func(context.Context) error
}

// New builds the services, opens their data and listens on every address; it serves nothing yet. An error has closed
// everything again. It says which address is taken and by which flag it changes, or which process owns the data.
func New(ctx context.Context, cfg Config, opt Options) (_ *App, err error) {
	began := time.Now()
	if err := cfg.ValidateFor(opt.Services); err != nil {
		return nil, err
	}
	services, err := selectServices(opt.Services)
	if err != nil {
		return nil, err
	}
	dir := ""
	if slices.ContainsFunc(services, cfg.usesDataDirectory) {
		if dir, err = cfg.DataDirectory(); err != nil {
			return nil, err
		}
	}
	if opt.Logger == nil {
		opt.Logger = slog.New(slog.DiscardHandler)
	}
	var names []string
	for _, s := range services {
		names = append(names, s.name)
	}
	build := telemetry.BuildInfo()
	opt.Logger.LogAttrs(ctx, slog.LevelInfo, "starting",
		slog.String("version", build.Version), slog.String("revision", build.Revision), slog.String("services", strings.Join(names, ",")))
	registry := telemetry.NewRegistry()
	b := &builder{
		App: &App{
			log: opt.Logger, began: began, timeout: cfg.ShutdownTimeout, delay: cfg.DrainDelay, readiness: &telemetry.Readiness{}, ready: make(chan struct{}),
			identities: make(map[string]string),
			addresses:  Addresses{Data: dir, PID: os.Getpid()},
		},
		cfg: cfg, services: services, dataDir: dir, metrics: registry, local: make(map[string]*rpc.Server), conns: make(map[string]grpc.ClientConnInterface),
		version: build.Version, reread: opt.Reread,
	}
	if b.reread == nil {
		b.reread = func(string) func() (string, error) { return nil }
	}
	b.ready = b.App.readiness
	if b.guard, err = guard.New(guard.Config{Logger: opt.Logger, Metrics: registry}); err != nil {
		return nil, err
	}
	b.ready.AddOptional("background-work", b.guard.Check)
	if b.limiter, err = connlimit.New(connlimit.Config{Logger: opt.Logger.With("component", "connections"), Metrics: registry}); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, b.close(context.WithoutCancel(ctx)))
		}
	}()
	// Before any address: two processes on the same data shall hear about the data.
	for _, s := range services {
		if !s.keepsData() {
			continue
		}
		if own := cfg.ownDirectory(s.name, dir); own != "" {
			if err := b.lock(own); err != nil {
				return nil, err
			}
		}
	}
	if err := b.admin(ctx, registry); err != nil {
		return nil, err
	}
	if err := b.openRegistry(ctx); err != nil {
		return nil, err
	}
	for _, s := range services {
		if err := b.connectAll(ctx, s); err != nil {
			return nil, err
		}
		if err := s.build(ctx, b); err != nil {
			return nil, fmt.Errorf("start %s: %w", s.name, err)
		}
	}
	b.compareDatabases(services)
	return b.App, nil
}

// builder is an App while it is being built.
type builder struct {
	*App
	cfg      Config
	services []service // that this process runs
	dataDir  string
	version  string
	metrics  *prometheus.Registry
	limiter  *connlimit.Limiter
	ready    *telemetry.Readiness
	local    map[string]*rpc.Server // the services of this process
	conns    map[string]grpc.ClientConnInterface
	// movie is the movie service of this process, once it is built, if it has one: it hears at once of writes to its neighbours.
	movie  atomic.Pointer[movie.Service]
	reread func(path string) func() (string, error)
}

// onClose registers what is closed at the end, in the reverse order of registration.
func (b *builder) onClose(name string, f func(context.Context) error) {
	b.closes = append(b.closes, stop{name, f})
}

// onLeave registers what tells callers, before the draining, that this process goes.
func (b *builder) onLeave(name string, f func(context.Context) error) {
	b.leaves = append(b.leaves, stop{name, f})
}

// onDrain registers what ends first: whatever lets calls in. Those who call come after those who are called, and end before them.
func (b *builder) onDrain(name string, f func(context.Context) error) {
	b.drains = append(b.drains, stop{name, f})
}

// serve registers what serves until it is drained. Its panic is a failure like any other, which ends the process in order: a
// listener that nobody serves is of no use.
func (b *builder) serve(name string, f func() error) {
	b.serving = append(b.serving, job{name, func(context.Context) error { return b.guard.Do(name, f) }})
}

// background registers what runs until its context ends, which is after the draining. What panics is started again.
func (b *builder) background(name string, f func(context.Context) error) {
	b.jobs = append(b.jobs, job{name, func(ctx context.Context) error { return b.guard.Run(ctx, name, f) }})
}

// beforeReady registers what is waited for, when everything runs, before the process is ready.
func (b *builder) beforeReady(name string, f func(context.Context) error) {
	b.first = append(b.first, job{name, f})
}

// lock makes this process the only owner of a data directory.
func (b *builder) lock(dir string) error {
	release, err := lockfile.Lock(dir)
	if errors.As(err, new(*fs.PathError)) {
		return fmt.Errorf("%w: choose a directory that this user may write with --data DIR", err)
	}
	if err != nil {
		return err
	}
	if err := b.tighten(dir); err != nil {
		return errors.Join(err, release())
	}
	b.onClose("lock of "+dir, func(context.Context) error { return release() })
	return nil
}

// maxConnections is the number of connections that a listener takes at a time, half of them from one address: a gateway may
// have a single proxy in front of it, a service has one connection from each process that calls it.
const maxConnections = 1024

// maxOperators is the same for the admin listener. They are beside what all others have.
const maxOperators = 32

// tighten takes the rights of others from a directory inside the data directory, which an earlier release gave them. Directories that
// the user chose otherwise, and those of another user, stay as they are.
func (b *builder) tighten(dir string) error {
	info, err := os.Stat(dir)
	if err != nil || filepath.Dir(dir) != b.dataDir || info.Mode()&0o077 == 0 {
		return nil
	}
	if !ours(info) {
		return nil
	}
	b.log.Info("others could read this directory: they cannot any more", "directory", dir)
	return os.Chmod(dir, info.Mode().Perm()&0o700)
}

// listen opens a listener; the address chosen is in Addresses.
func (b *builder) listen(ctx context.Context, name string) (net.Listener, error) {
	ln, err := b.cfg.Listen.of(name).listen(ctx)
	if err != nil {
		return nil, err
	}
	b.onClose(name+" listener", func(context.Context) error {
		if err := ln.Close(); !errors.Is(err, net.ErrClosed) {
			return err
		}
		return nil // whoever served it has closed it
	})
	addr := ln.Addr().String()
	switch name {
	case "gateway":
		b.addresses.Gateway = "http://" + addr
	case "admin":
		b.addresses.Admin = "http://" + addr
	case "metadata":
		b.addresses.Metadata = addr
	case "rating":
		b.addresses.Rating = addr
	case "movie":
		b.addresses.Movie = addr
	}
	limits := connlimit.Listener{Name: name, Max: maxConnections, MaxPerAddress: maxConnections / 2}
	if name == "admin" {
		limits = connlimit.Listener{Name: name, Max: maxOperators, MaxPerAddress: maxOperators, Reserved: true}
	}
	return b.limiter.Listen(ln, limits), nil
}

// listen opens the listener; an error says by which flag the address changes.
func (l listener) listen(ctx context.Context) (net.Listener, error) {
	ln, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return nil, fmt.Errorf("address %s for %s is taken by another program: stop that one, or choose another address with %s host:port (port 0 picks a free one)",
			l.addr, l.name, l.flag())
	}
	if err != nil {
		return nil, fmt.Errorf("listen for %s (another address: %s host:port): %w", l.name, l.flag(), err)
	}
	return ln, nil
}

// broker starts the embedded Kafka broker and returns its address.
func (b *builder) broker(ctx context.Context) (string, error) {
	l := b.cfg.Listen.of("kafka")
	dir := filepath.Join(b.dataDir, "broker")
	if err := b.tighten(dir); err != nil {
		return "", err
	}
	broker, err := kafka.StartBrokerProcess(ctx, kafka.BrokerProcessConfig{
		Broker: kafka.BrokerConfig{
			Addr: l.addr, Advertise: b.cfg.KafkaAdvertise, Dir: dir, Logger: b.log.With("component", "broker"),
		},
		Open:    l.listen, // an error then says by which flag the address changes
		Metrics: b.metrics,
	})
	if err != nil {
		return "", err
	}
	b.onClose("Kafka broker", func(context.Context) error { return broker.Close() })
	b.addresses.Kafka = broker.Addr()
	b.beforeReady("topic of rating events", func(ctx context.Context) error {
		return b.awaitTopic(ctx, broker.ListenAddr())
	})
	return broker.Addr(), nil
}

// awaitTopic waits until ingestion has created the topic of rating events: whoever publishes as soon as the process is
// ready shall not hear that there is none. Only for the embedded broker, which is there; another one may be down for
// hours, and the process serves without it.
func (b *builder) awaitTopic(ctx context.Context, broker string) error {
	cl, err := kafka.NewClient(kafka.Config{Brokers: []string{broker}})
	if err != nil {
		return err
	}
	defer cl.Close()
	const interval = 5 * time.Millisecond
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for {
		if _, err = kafka.DescribeTopic(ctx, cl, cmp.Or(b.cfg.Rating.Topic, rating.DefaultConfig().Topic)); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// serveGRPC puts a service on its port and on the connection for this process.
func (b *builder) serveGRPC(ctx context.Context, name string, svc registrar) error {
	srv, err := rpc.NewServer(rpc.ServerConfig{
		Name: name, Version: b.version, Database: b.identities[name], Logger: b.log.With("component", name), Metrics: b.metrics,
		MaxRequestBytes: maxRequest, LargeRequests: largeRequests(name),
	})
	if err != nil {
		return err
	}
	b.onDrain(name, srv.Shutdown)
	svc.Register(srv)
	ln, err := b.listen(ctx, name)
	if err != nil {
		return err
	}
	b.local[name] = srv
	b.servers = append(b.servers, srv)
	b.advertise(name, ln.Addr().String())
	b.serve(name, func() error { return srv.Serve(ln) })
	return nil
}

func (b *builder) admin(ctx context.Context, registry *prometheus.Registry) error {
	ln, err := b.listen(ctx, "admin")
	if err != nil {
		return err
	}
	admin := telemetry.NewAdmin(telemetry.AdminDeps{
		Logger: b.log.With("component", "admin"), Gatherer: registry, Ready: b.ready.Ready,
		Listen: b.cfg.Listen.Admin, AllowedHosts: b.cfg.AdminAllowedHosts,
	})
	// At once, not with the others: an operator can watch what the start waits for.
	served := make(chan error, 1)
	go func() { served <- admin.Serve(ln) }()
	b.ready.Add("start", b.started)
	b.serve("admin", func() error { return <-served })
	// Closed, not drained: an operator can watch the whole stop.
	b.onClose("admin", admin.Shutdown)
	return nil
}

// started is the readiness check that fails until everything serves.
func (a *App) started(context.Context) error {
	select {
	case <-a.ready:
		return nil
	default:
		return errors.New("the services of this process are still being started; the log says what is waited for")
	}
}

// Addresses tells where the process listens.
func (a *App) Addresses() Addresses { return a.addresses }

// Ready is closed when everything serves; never, if the context of Run ends before.
func (a *App) Ready() <-chan struct{} { return a.ready }

// maxRequest is the size of the greatest request in bytes, but for largeRequests: a film with every text as long as it may be,
// in characters of four bytes, has some 300,000.
const maxRequest = 512 << 10

// largeRequests are the methods of a service that take many films or ids at once.
func largeRequests(name string) []string {
	if name != "metadata" {
		return nil
	}
	const service = "/movieexample.metadata.v1.MetadataService/"
	return []string{service + "BatchPutMovies", service + "SelectMovies", service + "SyncVotes"}
}

// serviceName is the full name of a service in its proto.
func serviceName(callee string) string {
	return "movieexample." + callee + ".v1." + strings.ToUpper(callee[:1]) + callee[1:] + "Service"
}
