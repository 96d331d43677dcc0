package rating

import (
	"context"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/guard"
)

// Deps is what the service needs from outside.
type Deps struct {
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	// DB is the service's own database. The service migrates it; the caller closes it after the service.
	DB *Database
	// Changed, if not nil, is called after each synchronous write of a rating, regardless of its result, and before the reply.
	// It must return at once. If the caller has canceled, it may be called later: when the transaction has ended.
	Changed func(Record)
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Service is the rating service.
type Service struct {
	*ratings
	*results
	*deadLetters
	caches   *cache.Group
	watch    *watcher
	ingester *ingester
	// consumer is the running one; nil if none is running.
	consumer atomic.Pointer[consumer]
}

// New migrates the database and returns the service. It ingests nothing before Run.
func New(ctx context.Context, cfg Config, deps Deps) (*Service, error) {
	cfg = cfg.withDefaults()
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("configure the rating service: %w", err)
	}
	if deps.Now == nil {
		deps.Now = time.Now
	}
	if deps.Logger == nil {
		deps.Logger = slog.New(slog.DiscardHandler)
	}
	if deps.Metrics == nil {
		deps.Metrics = prometheus.NewRegistry()
	}
	if deps.Changed == nil {
		deps.Changed = func(Record) {}
	}
	puts, err := groupcommit.NewMetrics(deps.Metrics, "rating")
	if err != nil {
		return nil, fmt.Errorf("register rating metrics: %w", err)
	}
	metrics, err := newIngestMetrics(deps.Metrics, deps.Now)
	if err != nil {
		return nil, fmt.Errorf("register rating metrics: %w", err)
	}
	guard, err := guard.New(guard.Config{Logger: deps.Logger, Metrics: deps.Metrics})
	if err != nil {
		return nil, err
	}
	st, err := newStore(ctx, deps.DB, deps.Now)
	if err != nil {
		return nil, err
	}
	caches := cache.NewGroup(deps.Metrics, deps.Now)
	res, err := newResults(caches, cfg, st)
	if err != nil {
		return nil, err
	}
	s := &Service{
		caches:      caches,
		ratings:     &ratings{store: st, writer: newWriter(st, deps.Changed, puts), results: res},
		results:     res,
		deadLetters: newDeadLetters(cfg, st, deps.Logger, metrics.letters),
	}
	s.ingester = newIngester(st, deps.Logger, metrics, deps.DB.WriteConns()/2)
	s.ingester.guard, s.ingester.refused = guard, s.deadLetters.added
	s.watch = &watcher{cfg: cfg, in: s.ingester}
	return s, nil
}

// Run ingests rating events until ctx ends; the batch in progress is then finished or rolled back. It keeps the dead letters within
// their bounds. Without brokers that is all it does.
func (s *Service) Run(ctx context.Context) error {
	// A part that panics ends the others: the job starts again as a whole, from the database's offsets.
	work, ctx := errgroup.WithContext(ctx)
	part := func(job string, run func(context.Context) error) {
		work.Go(func() error { return s.ingester.guard.Do(job, func() error { return run(ctx) }) })
	}
	part("bounds of the dead letters", s.deadLetters.run)
	if len(s.watch.cfg.Brokers) > 0 {
		part("lag tracking", s.watch.run)
		part(ingestionJob, s.consume)
	}
	return work.Wait()
}

// consume reads the topic until ctx ends. It retries while brokers are down or the topic cannot be created. It returns an error
// only if the client's configuration is invalid.
func (s *Service) consume(ctx context.Context) error {
	for round := 0; ; round++ {
		c := newConsumer(s.watch.cfg, s.ingester)
		s.consumer.Store(c)
		err := c.run(ctx)
		s.consumer.Store(nil)
		if err != nil || ctx.Err() != nil {
			return err
		}
		// The topic may be recreated again and again.
		if backoff(ctx, min(round, 5)) != nil {
			return nil
		}
	}
}

// Caches returns the declarations of the service's caches.
func (s *Service) Caches() []cache.Spec { return s.caches.Specs() }

// Close cancels the computations of the caches. Call it after Run has returned and the last call was answered.
func (s *Service) Close() error {
	s.caches.Close()
	return nil
}

// GroupReady is a readiness check: an error while the consumer group belongs to another database, so that this process ingests
// nothing until an operator decides.
func (s *Service) GroupReady(context.Context) error { return s.ingester.group.ready() }

// resumePartition moves and resumes a partition, see [watcher.resume].
func (s *Service) resumePartition(ctx context.Context, req resumeRequest) (resumePlan, error) {
	return s.watch.resume(ctx, req, func() {
		if c := s.consumer.Load(); c != nil {
			c.nudge() // the partition may be ours; other processes look every second
		}
	})
}
