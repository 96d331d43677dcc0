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

// Standing is what people think of a film and how sure we are of it. Like a Movie it is shared and never changed.
type Standing struct {
	Summary *Summary // nil where Status is Unavailable or Unrated
	Status  Status

	// What a door made of this standing and a movie, so that a film asked for often is put into the wire's form
	// once and not once per request. It is a cache of a pure function of two immutable values and cannot be out of date.
	rendered [doors]atomic.Pointer[rendering]
}

// rendering is a movie and a standing in the form of one door.
type rendering struct {
	movie *Movie
	wire  any
}

// The doors that keep a rendering.
const (
	doorOwn = iota
	doorBook
	doors
)

// Details is the answer for one film.
type Details struct {
	Movie    *Movie
	Standing *Standing
}

// render returns the form that make gives d for one of the doors, made at most once as long as both halves stay the same.
func (d Details) render(door int, make func(Details) any) any {
	slot := &d.Standing.rendered[door]
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
	cfg        Config
	background *background
	catalogue  catalogue
	// away knows whether the metadata service cannot be reached.
	away      *circuit
	watch     *watch
	films     *flights[string, *Movie]
	standings *standings
	pages     *pages
	charts    *charts
	stats     *stats
	votes     *votesSync
	now       func() time.Time
	served    map[Status]prometheus.Counter
	stale     prometheus.Counter
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
	s := &Service{
		cfg:        cfg,
		background: newBackground(),
		now:        orReal(deps.Now),
		served:     map[Status]prometheus.Counter{},
	}
	s.away = &circuit{pause: confirmRetry, now: s.now}
	s.catalogue = newCatalogue(observed{ClientConnInterface: deps.Metadata, away: s.away, patience: cfg.MetadataTimeout / 2, logger: logger})
	aside := newCatalogue(deps.Metadata) // for calls that no answer depends on
	s.watch = newWatch(cfg, aside.version, s.background, s.now)
	var err error
	s.films, err = newFlights[string](store{size: cfg.CacheSize, ttl: cfg.MetadataStaleFor, now: deps.Now, background: s.background},
		cfg.MetadataTimeout, ofFilms(cfg.MetadataTTL))
	if err != nil {
		return nil, fmt.Errorf("build the cache of films: %w", err)
	}
	s.films.gatherWith(s.catalogue.movie, s.catalogue.batch)
	s.standings, err = newStandings(cfg, newRatings(deps.Rating), logger, s.background, deps.Now)
	if err != nil {
		return nil, fmt.Errorf("build the cache of rating summaries: %w", err)
	}
	if s.pages, err = newPages(cfg, s.background, deps.Now); err != nil {
		return nil, fmt.Errorf("build the caches of pages: %w", err)
	}
	if s.charts, err = newCharts(cfg, s.catalogue, s.standings.ratings, s.background, deps.Now); err != nil {
		return nil, fmt.Errorf("build the cache of charts: %w", err)
	}
	if s.stats, err = newStats(cfg, s.catalogue, s.standings.ratings, s.background, deps.Now); err != nil {
		return nil, fmt.Errorf("build the cache of statistics: %w", err)
	}
	s.votes = newVotesSync(aside, s.standings.ratings, logger)
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

// Close ends the calls under way, whose callers are told that they were cancelled, and everything that runs in the background.
func (s *Service) Close() error {
	s.background.close()
	s.films.close()
	s.standings.close()
	s.pages.close()
	s.charts.close()
	s.stats.close()
	return nil
}
