package movie

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"movieexample.com/internal/cache"
)

// Movie is a film as the metadata service knows it. A Movie that left the constructor's hands is never changed:
// many requests share it.
type Movie struct {
	ID                string
	Title             string
	OriginalTitle     string
	AlternativeTitles []string
	Year              *int32 // nil where not known
	Genres            []string
	Director          string
	Description       string
	RuntimeMinutes    *int32 // nil where not known
	External          ExternalIDs
	ETag              string
	// Stale: this is the last known, because the metadata service cannot be reached. It is a copy then.
	Stale bool
}

// lastKnown returns the movie as one that may have changed since it was read.
func (m *Movie) lastKnown() *Movie {
	stale := *m
	stale.Stale = true
	return &stale
}

// ExternalIDs are a film's ids in other catalogues; empty where not known.
type ExternalIDs struct{ IMDb, TMDb, MovieLens string }

// Summary is the aggregate of a film's ratings.
type Summary struct {
	Mean      float64 // 1–10
	Votes     int32
	Weighted  float64 // Bayesian estimate, 1–10
	Histogram []int32 // ten counters: ratings of value 1 … 10
	AsOf      time.Time
}

// freshFor is the age up to which we call a summary fresh. Whoever reads that shall find in it every rating that was acknowledged
// two seconds before; the rest of the two is for the way, and for half a second in the caches of those who ask us.
const freshFor = 1400 * time.Millisecond

// Status says how good a film's summary is.
type Status string

// The statuses.
const (
	Fresh       Status = "fresh"       // read within two seconds
	Stale       Status = "stale"       // the last known: the rating service cannot be reached, or its charts are older
	Unavailable Status = "unavailable" // no summary: the rating service cannot be reached and none is known
	Unrated     Status = "unrated"     // no summary: nobody rated the film
)

// Rating is a film's rating summary and how good it is. Like a Movie it is shared and never changed.
type Rating struct {
	Summary *Summary // nil where Status is Unavailable or Unrated
	Status  Status

	// The answer made of this rating and a movie, by service definition, so that a film that is read often is put into its wire form
	// once and not per request. It is a function of two immutable values and cannot be outdated.
	rendered [apis]atomic.Pointer[rendering]
}

// rendering is a movie and a rating in the form of one service definition.
type rendering struct {
	movie *Movie
	wire  any
}

// The service definitions that keep a rendering.
const (
	apiOwn = iota
	apiBook
	apis
)

// Details is the answer for one film.
type Details struct {
	Movie  *Movie
	Rating *Rating
}

// render returns the form that make gives d for one of the service definitions, made at most once while both halves stay the same.
func (d Details) render(api int, make func(Details) any) any {
	slot := &d.Rating.rendered[api]
	if r := slot.Load(); r != nil && r.movie == d.Movie {
		return r.wire
	}
	wire := make(d)
	slot.Store(&rendering{movie: d.Movie, wire: wire})
	return wire
}

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

// Service composes films and their ratings. It is safe for concurrent use.
type Service struct {
	cfg       Config
	catalogue catalogue
	away      *cache.Breaker // whether the metadata service cannot be reached
	caches
	charts *charts
	votes  *votesSync
	now    func() time.Time
	served map[Status]prometheus.Counter
	stale  prometheus.Counter
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
	s.charts = &charts{ratings: ratings, caches: &s.caches, timeout: cfg.ChartTimeout, now: s.now}
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

// Close cancels the calls in flight, whose callers are told so, and everything that runs in the background.
func (s *Service) Close() error {
	s.group.Close()
	return nil
}
