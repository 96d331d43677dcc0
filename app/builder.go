package app

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"movieexample.com/internal/connlimit"
	"movieexample.com/internal/discovery"
	"movieexample.com/internal/guard"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/sqldb"
	"movieexample.com/internal/telemetry"
	"movieexample.com/movie"
)

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
	registers bool                // instances register themselves with the registry
	// identities are those of the databases of this process, by service.
	identities map[string]string
	leaves     []stop // run before draining: deregistration
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

// onClose registers a function that is called at the end, in the reverse order of registration.
func (b *builder) onClose(name string, f func(context.Context) error) {
	b.closes = append(b.closes, stop{name, f})
}

// onLeave registers a step of deregistration, which comes before draining.
func (b *builder) onLeave(name string, f func(context.Context) error) {
	b.leaves = append(b.leaves, stop{name, f})
}

// onDrain registers a step that ends first: a listener of calls. Callers are registered after their callees, and end before them.
func (b *builder) onDrain(name string, f func(context.Context) error) {
	b.drains = append(b.drains, stop{name, f})
}

// serve registers a server that runs until it is drained. If it panics, the process stops in order, as after any failure: a
// listener is useless without its server.
func (b *builder) serve(name string, f func() error) {
	b.serving = append(b.serving, job{name, func(context.Context) error { return b.guard.Do(name, f) }})
}

// background registers a job that runs until its context ends, which is after the draining. A job that panics is restarted.
func (b *builder) background(name string, f func(context.Context) error) {
	b.jobs = append(b.jobs, job{name, func(ctx context.Context) error { return b.guard.Run(ctx, name, f) }})
}

// beforeReady registers a job that the process runs, once everything serves, before it is ready.
func (b *builder) beforeReady(name string, f func(context.Context) error) {
	b.first = append(b.first, job{name, f})
}

// service is one row of the table that the program runs on.
type service struct {
	name string
	// calls names the services it calls; they are built before it.
	calls []string
	// awaits names those of calls without which it has nothing to answer with when it starts: it is not ready before them.
	// Later it continues with what it knows while they are unreachable.
	awaits []string
	// requires names those of calls without which it cannot answer at any time: while there is no instance of one to send
	// calls to, it is not ready. Only for what callers find by readiness and not by health checks, at the edge: behind it, a
	// failure must not spread from one service to the next.
	requires []string
	// schema has the migrations of its database; nil: it keeps no data.
	schema func() fs.FS
	// audit checks what its database holds against itself: it calls differ for each contradiction, and returns how many
	// things it has checked.
	audit func(ctx context.Context, db *sqldb.DB, differ func(text string)) (checked int64, err error)
	// build makes it. What it opens it registers for closing with b.onClose.
	build func(ctx context.Context, b *builder) error
}

// keepsData reports whether the service has a database.
func (s service) keepsData() bool { return s.schema != nil }

// registrar is what every gRPC service has.
type registrar interface {
	Register(grpc.ServiceRegistrar)
}

// instance is a service of this process as others reach it.
type instance struct{ service, addr string }

// callee is a service of other processes that this one calls.
type callee struct {
	name    string
	conn    *rpc.Connection
	awaited bool // before this process is ready
}

// started is the readiness check that fails until everything serves.
func (a *App) started(context.Context) error {
	select {
	case <-a.ready:
		return nil
	default:
		return errors.New("the services of this process are starting; the log says what they wait for")
	}
}
