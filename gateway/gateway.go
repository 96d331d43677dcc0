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
	"movieexample.com/gateway/internal/edge"
	"movieexample.com/gateway/internal/pages"
	"movieexample.com/gateway/internal/problem"
	"movieexample.com/gateway/internal/respcache"
	"movieexample.com/gateway/internal/transcode"
	"movieexample.com/gateway/internal/upstream"
	"movieexample.com/internal/cache"
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
	// Now is the clock of the response cache and of recent writes. nil means time.Now.
	Now func() time.Time
}

// Endpoint is an address for the pages: Name says what answers there, for example "metadata (gRPC)".
type Endpoint = pages.Endpoint

// Service is the gateway. It is safe for concurrent use.
type Service struct {
	edge    *edge.Handler
	caches  *cache.Group
	specs   []cache.Spec
	handler http.Handler
	server  *http.Server
	leaving atomic.Bool
}

// New returns a gateway. It makes no call yet.
func New(_ context.Context, cfg Config, deps Deps) (*Service, error) {
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
	recent := upstream.NewRecentWrites(deps.Now)
	movie, rating := upstream.Movie(deps.Movie, recent), upstream.Rating(deps.Rating)
	api, err := transcode.New(transcode.Service{Descriptor: upstream.MovieService(), Conn: movie}, transcode.Service{Descriptor: upstream.RatingService(), Conn: rating})
	if err != nil {
		return nil, fmt.Errorf("build the gateway's routes: %w", err)
	}
	s := &Service{caches: cache.NewGroup(deps.Metrics, deps.Now)}
	site, err := pages.New(pages.Config{}, pages.Deps{
		Logger:    deps.Logger,
		Movie:     movie,
		Rating:    rating,
		Problems:  problem.Explanations(),
		Endpoints: deps.Endpoints,
		PublicURL: cfg.PublicURL,
		Caches:    s.caches,
	})
	if err != nil {
		return nil, fmt.Errorf("build the pages: %w", err)
	}
	name, version := apidocs.Title()
	s.edge, err = edge.New(edge.Options{
		Transcoder:  api,
		FilmService: upstream.MovieService().FullName(),
		Name:        name, Version: version,
		Pages:  site,
		Docs:   apidocs.Handler(apidocs.Options{FontURL: site.FontURL()}),
		Recent: recent,
		Cache: respcache.Config{
			Bytes: cfg.AnswerCacheBytes, TTL: cfg.AnswerTTL, AnyHost: cfg.PublicURL != "", Now: deps.Now, Metrics: deps.Metrics,
		},
		PublicURL:    cfg.PublicURL,
		AllowedHosts: cfg.AllowedHosts,
		CORSOrigins:  cfg.CORSOrigins,
		Timeout:      cfg.RequestTimeout,
		Logger:       deps.Logger,
		Metrics:      deps.Metrics,
	})
	if err != nil {
		return nil, err
	}
	s.specs = append(s.caches.Specs(), respcache.Spec(cfg.AnswerCacheBytes))
	s.handler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.leaving.Load() {
			w.Header().Set("Connection", "close")
		}
		s.edge.ServeHTTP(w, r)
	})
	s.server = &http.Server{
		Handler:           s.handler,
		ReadHeaderTimeout: cfg.ReadTimeout,
		ReadTimeout:       cfg.ReadTimeout,
		// Responses are small: if one takes longer than this after the services answered, the client does not read it.
		WriteTimeout:   cfg.ReadTimeout + cfg.RequestTimeout + cfg.ReadTimeout,
		IdleTimeout:    cfg.IdleTimeout,
		MaxHeaderBytes: 32 << 10,
		ErrorLog:       slog.NewLogLogger(deps.Logger.Handler(), slog.LevelWarn),
	}
	return s, nil
}

// Handler returns the gateway's handler, for a server of the caller's.
func (s *Service) Handler() http.Handler { return s.handler }

// Caches returns the declarations of all caches.
func (s *Service) Caches() []cache.Spec { return s.specs }

// Serve answers requests on l until Shutdown, and then returns nil. It closes l. If l listens on a loopback address, writes are
// accepted only for hosts that no other site can be reached by.
func (s *Service) Serve(l net.Listener) error {
	s.edge.Listen(l.Addr())
	if err := s.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve HTTP on %s: %w", l.Addr(), err)
	}
	return nil
}

// Leave makes every response from now on the last of its connection, so that clients which keep connections open go to another
// instance: a connection that Shutdown closes may have a request on its way. Requests are still served.
func (s *Service) Leave() { s.leaving.Store(true) }

// Shutdown stops accepting requests and waits for those in progress. If ctx ends first they are cut off, and ctx's error is returned.
func (s *Service) Shutdown(ctx context.Context) error {
	defer s.caches.Close()
	if err := s.server.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("wait for requests in progress: %w", err), s.server.Close())
	}
	return nil
}
