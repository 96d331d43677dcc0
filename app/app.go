package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"google.golang.org/grpc"

	"movieexample.com/internal/connlimit"
	"movieexample.com/internal/guard"
	"movieexample.com/internal/rpc"
	"movieexample.com/internal/telemetry"
)

// Options configures a process.
type Options struct {
	// Services names the services to run; none means all.
	Services []string
	// Logger gets all log lines; nil discards them.
	Logger *slog.Logger
	// Reread returns a function that reads the secret at a path of the configuration again, or nil if it did not come from a
	// file: a refused password may have been replaced. If Reread is nil, no secret can be read again.
	Reread func(path string) func() (string, error)
}

// New builds the services, opens their data and listens on every address; it serves nothing yet. After an error everything
// is closed again. The error says which address is taken and which flag changes it, or which process owns the data.
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
	// Lock the data before opening any port, so that a second process on the same data reports the data, not the port.
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

// Addresses returns the addresses on which the process listens.
func (a *App) Addresses() Addresses { return a.addresses }

// Ready is closed when everything serves; never, if the context of Run ends before.
func (a *App) Ready() <-chan struct{} { return a.ready }

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
