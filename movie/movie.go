package movie

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"movieexample.com/internal/cache"
)

// Deps is what the service needs from outside.
type Deps struct {
	// Logger; nil discards.
	Logger *slog.Logger
	// Metrics; nil registers none.
	Metrics prometheus.Registerer
	// Metadata reaches the metadata service. Required.
	Metadata grpc.ClientConnInterface
	// Rating reaches the rating service. Required.
	Rating grpc.ClientConnInterface
	// Now is the clock of the caches; nil means time.Now.
	Now func() time.Time
}

// New returns a service. It makes no call yet, so the services it depends on may start later.
func New(_ context.Context, cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure the movie service: %w", err)
	}
	if deps.Metadata == nil || deps.Rating == nil {
		return nil, errors.New("the movie service needs a connection to the metadata and to the rating service")
	}
	logger := deps.Logger
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	group := cache.NewGroup(deps.Metrics, deps.Now)
	s := &Service{cfg: cfg, now: group.Now, served: map[Status]prometheus.Counter{}}
	s.away = cache.NewBreaker(probeRetry, s.now)
	s.catalogue = newCatalogue(observed{ClientConnInterface: deps.Metadata, away: s.away, patience: cfg.MetadataTimeout / 2, logger: logger})
	aside := newCatalogue(deps.Metadata) // for calls that no answer depends on
	ratings := newRatings(deps.Rating)
	var err error
	if s.caches, err = newCaches(group, cfg, s.catalogue, aside, ratings, s.away, logger); err != nil {
		return nil, fmt.Errorf("build the caches of the movie service: %w", err)
	}
	s.charts = &charts{ratings: ratings, windows: s.windows, timeout: cfg.ChartTimeout, now: s.now}
	s.votes = newVotesSync(aside, ratings, logger)
	answers := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_movie_responses_total",
		Help: "Films answered, by how good their rating summary was.",
	}, []string{"rating_status"})
	for _, status := range []Status{Fresh, Stale, Unavailable, Unrated} {
		s.served[status] = answers.WithLabelValues(string(status))
	}
	s.stale = prometheus.NewCounter(prometheus.CounterOpts{
		Name: "movieexample_movie_stale_films_total",
		Help: "Films answered as they were last known, because the metadata service could not be reached.",
	})
	if deps.Metrics != nil {
		for _, c := range append(s.votes.collectors(), answers, s.stale) {
			if err := deps.Metrics.Register(c); err != nil {
				return nil, fmt.Errorf("register the movie service's metrics: %w", err)
			}
		}
	}
	return s, nil
}

// Caches returns the declarations of the service's caches.
func (s *Service) Caches() []cache.Spec { return s.group.Specs() }

// Close cancels the calls in flight, whose callers get an error, and all background work.
func (s *Service) Close() error {
	s.group.Close()
	return nil
}
