package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/groupcommit"
)

// Deps is what the service needs from the process it runs in.
type Deps struct {
	// Logger gets what an operator should know; nil discards it.
	Logger *slog.Logger
	// Metrics registers the service's metrics; nil leaves them unregistered.
	Metrics prometheus.Registerer
	// DB is the catalogue's database. Required. Only this service may use its tables.
	DB *Database
	// Changed, if not nil, is called with the id of each movie in a put or a deletion, regardless of the outcome, before the request
	// is answered. It must return at once.
	Changed func(id string)
	// Now is the clock; nil means time.Now.
	Now func() time.Time
}

// Service is the catalogue. Use [New]. Its methods are safe for concurrent use; every error
// they return has a kind (package fault), or is internal.
type Service struct {
	store   *store
	writer  *writer
	indexer *indexer
	now     func() time.Time
	written *prometheus.CounterVec
}

// New returns the service on deps.DB, after migrating its schema. It starts to load the search index,
// for at most startBudget; [Service.Run] does the rest. The caller closes the database.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	if deps.DB == nil {
		return nil, errors.New("metadata: Deps.DB is nil: the catalogue needs a database")
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Changed == nil {
		deps.Changed = func(string) {}
	}
	st := &store{db: deps.DB}
	s := &Service{
		store: st, indexer: newIndexer(st, deps.Logger, deps.Now, cfg.SearchRefresh), now: deps.Now,
		written: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "movieexample_metadata_movies_written_total",
			Help: "Movies in put requests, by outcome: created, updated, unchanged or refused.",
		}, []string{"outcome"}),
	}
	var commits *groupcommit.Metrics
	if deps.Metrics != nil {
		var err error
		commits, err = groupcommit.NewMetrics(deps.Metrics, "metadata")
		for _, c := range append(s.indexer.collectors(), s.written) {
			err = errors.Join(err, deps.Metrics.Register(c))
		}
		if err != nil {
			return nil, fmt.Errorf("metadata: register metrics: %w", err)
		}
	}
	s.writer = newWriter(st, deps.Changed, commits)
	if err := deps.DB.Migrate(ctx, Schema()); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	s.indexer.start(ctx)
	return s, nil
}

// Run keeps the search index equal to the catalogue until ctx ends. Without it, search answers from
// what New loaded. It returns nil: if the database fails, Run logs it and retries.
func (s *Service) Run(ctx context.Context) error {
	s.indexer.run(ctx)
	return nil
}

// Check reports whether the catalogue can be read, for readiness.
func (s *Service) Check(ctx context.Context) error {
	return explain(ctx, "check the catalogue", s.store.db.Check(ctx))
}

// SearchReady reports whether search can answer, for readiness: KindUnavailable until the search
// index has been loaded for the first time.
func (s *Service) SearchReady(context.Context) error { return s.indexer.ready() }
