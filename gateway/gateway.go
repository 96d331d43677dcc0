package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"movieexample.com/gateway/internal/apidocs"
	"movieexample.com/gateway/internal/pages"
)

// Deps is what the gateway needs from outside.
type Deps struct {
	// Logger gets one line per request; nil discards.
	Logger *slog.Logger
	// Metrics; nil registers none.
	Metrics prometheus.Registerer
	// Movie reaches the movie service. Required.
	Movie grpc.ClientConnInterface
	// Rating reaches the rating service. Required.
	Rating grpc.ClientConnInterface
	// Endpoints are the other addresses that the pages name, in this order.
	Endpoints []Endpoint
	// Now is the clock of what is remembered: answers, and when films were rated and written. nil means time.Now.
	Now func() time.Time
}

// Endpoint is an address for the pages: Name says what answers there, for example "metadata (gRPC)".
type Endpoint struct{ Name, Addr string }

// Service is the HTTP edge. It is safe for concurrent use.
type Service struct {
	handler http.Handler
	hosts   *hosts
	server  *http.Server
	leaving atomic.Bool
}

// New returns a gateway. It makes no call yet.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure the gateway: %w", err)
	}
	if deps.Movie == nil || deps.Rating == nil {
		return nil, errors.New("the gateway needs a connection to the movie and to the rating service")
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	recent := newRecent(deps.Now)
	deps.Movie = seeing{named{deps.Movie, "movie"}, recent}
	deps.Rating = named{deps.Rating, "rating"}
	routes, err := routesOf(ctx, deps)
	if err != nil {
		return nil, fmt.Errorf("build the gateway's routes: %w", err)
	}
	site, err := pages.New(pages.Config{}, pages.Deps{
		Logger:    deps.Logger,
		Movie:     deps.Movie,
		Rating:    deps.Rating,
		Problems:  explanations(),
		Endpoints: endpoints(deps.Endpoints),
		PublicURL: cfg.PublicURL,
	})
	if err != nil {
		return nil, fmt.Errorf("build the pages: %w", err)
	}
	requests, err := newMetrics(deps.Metrics)
	if err != nil {
		return nil, err
	}
	for _, r := range routes {
		r.metrics = requests.of(r.method, r.pattern)
	}
	e := &edge{
		router:  router{routes: routes},
		pages:   pageMount(site, requests),
		docs:    docsMount(apidocs.Handler(apidocs.Options{FontURL: site.FontURL()}), requests),
		recent:  recent,
		hosts:   newHosts(cfg),
		cors:    newCORS(cfg.CORSOrigins),
		timeout: cfg.RequestTimeout,
		log:     deps.Logger,
		other:   requests.of("", "other"),
	}
	if e.answers, err = newAnswers(cfg, deps.Now, deps.Metrics); err != nil {
		return nil, err
	}
	if e.compressor, err = newCompressor(); err != nil {
		return nil, err
	}
	serve := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { e.serve(w, r, passageOf(r)) })
	if e.compressed, err = newCompressed(serve, minCompressed); err != nil {
		return nil, err
	}
	if e.coded, err = newCompressed(serve, 0); err != nil {
		return nil, err
	}
	s := &Service{hosts: e.hosts}
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		e.ServeHTTP(w, r)
	})
	s.server = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: cfg.ReadTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		// Answers are small: what takes longer than this after the services answered is a client that does not read.
		WriteTimeout:   cfg.ReadTimeout + cfg.RequestTimeout + cfg.ReadTimeout,
		IdleTimeout:    cfg.IdleTimeout,
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       slog.NewLogLogger(deps.Logger.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Handler returns what answers requests, for a server of the caller's own.
func (s *Service) Handler() http.Handler { return s.handler }

// Serve answers requests on l until Shutdown, and then returns nil. It closes l. Where l listens on a loopback address, writes are
// taken only for hosts that no other site can be called by.
func (s *Service) Serve(l net.Listener) error {
	s.hosts.listen(l.Addr())
	if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	}
	return nil
}

// Leave makes every answer from now on the last of its connection, so that clients which keep connections open go to another
// instance by themselves: a connection that Shutdown closes may have a request on its way. It serves on.
func (s *Service) Leave() { s.leaving.Store(true) }

// Shutdown stops taking requests and waits for those under way. When ctx ends first they are cut off, and ctx's error is returned.
func (s *Service) Shutdown(ctx context.Context) error {
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("wait for requests under way: %w", err), s.server.Close())
	}
	return nil
}

// explanations are the problem types for the pages that explain them.
func explanations() []pages.Problem {
	types := problemTypes()
	list := make([]pages.Problem, len(types))
	for i, t := range types {
		list[i] = pages.Problem(t)
	}
	return list
}

func endpoints(given []Endpoint) []pages.Endpoint {
	list := make([]pages.Endpoint, len(given))
	for i, e := range given {
		list[i] = pages.Endpoint(e)
	}
	return list
}
