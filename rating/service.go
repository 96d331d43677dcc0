package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"movieexample.com/internal/config"
	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/guard"
	"movieexample.com/internal/kafka"
)

// Config tunes the service. For [New] a zero field means its default, see [DefaultConfig]; only in Replication, MinInSyncReplicas
// and the two retentions zero has a meaning of its own.
type Config struct {
	// ChartMinVotes is m of the Bayesian estimate, in ratings: the weight of the global mean, and the least number
	// of ratings a record needs for the chart "top".
	ChartMinVotes int `yaml:"chart_min_votes" usage:"m of the Bayesian estimate: votes a record needs for the top chart (1 to 1000000)"`
	// ChartMaxAge is how old charts, the global mean and totals may be.
	ChartMaxAge time.Duration `yaml:"chart_max_age" usage:"how old charts and the global mean may be (10ms to 1m)"`
	// Brokers are Kafka bootstrap addresses; none: no events are ingested.
	Brokers []string `yaml:"brokers" usage:"Kafka brokers to ingest rating events from, host:port; embedded means the broker of this process, and so does empty in one that works with no others"`
	// Kafka is TLS and login for Brokers.
	Kafka kafka.Security `yaml:"kafka"`
	// Topic is the topic of rating events, created where it does not exist.
	Topic string `yaml:"topic" usage:"Kafka topic of rating events"`
	// Group is the Kafka consumer group.
	Group string `yaml:"group" usage:"Kafka consumer group"`
	// Partitions and Replication of the topic, where the service creates it.
	Partitions  int `yaml:"partitions" usage:"partitions of the topic, where it is created (1 to 1024)"`
	Replication int `yaml:"replication" usage:"replicas of the topic, where it is created; 0 means the broker's default"`
	// MinInSyncReplicas of the topic, where the service creates it: how many replicas have a record before it is acknowledged.
	MinInSyncReplicas int `yaml:"min_insync_replicas" usage:"replicas that must have an event before it is acknowledged, where the topic is created; 0 means the broker's default"`
	// Retention and RetentionBytes of the topic, where the service creates it. Retention counts from a record's own
	// timestamp, so it expires what a producer dates back, and it can empty a partition; RetentionBytes cannot (ADR 006).
	Retention      time.Duration `yaml:"retention" usage:"how long the topic keeps events, where it is created, counted from the record's timestamp; 0 means for ever"`
	RetentionBytes config.Bytes  `yaml:"retention_bytes" usage:"how much the topic keeps in each partition, where it is created; 0 means everything"`
	// DeadLetterBytes and DeadLetterAge bound what is kept of refused events: beyond either the oldest are dropped for good.
	DeadLetterBytes config.Bytes  `yaml:"dead_letter_bytes" usage:"how much of refused events is kept; beyond it the oldest are dropped (at least 1MiB)"`
	DeadLetterAge   time.Duration `yaml:"dead_letter_age" usage:"how long refused events are kept (at least 1m)"`
	// BatchRecords bounds the records of one poll, and so of one transaction.
	BatchRecords int `yaml:"batch_records" usage:"records ingested in one go (1 to 100000)"`
}

// DefaultConfig returns the defaults.
func DefaultConfig() Config {
	return Config{
		ChartMinVotes: 25,
		ChartMaxAge:   time.Second,
		Topic:         "ratings",
		Group:         "rating",
		Partitions:    4,
		BatchRecords:  10_000,

		RetentionBytes:  1 << 30,
		DeadLetterBytes: 256 << 20,
		DeadLetterAge:   90 * 24 * time.Hour,
	}
}

// withDefaults fills the zero fields for which zero has no meaning of its own.
func (c Config) withDefaults() Config {
	d := DefaultConfig()
	c.ChartMinVotes = cmp.Or(c.ChartMinVotes, d.ChartMinVotes)
	c.ChartMaxAge = cmp.Or(c.ChartMaxAge, d.ChartMaxAge)
	c.Topic = cmp.Or(c.Topic, d.Topic)
	c.Group = cmp.Or(c.Group, d.Group)
	c.Partitions = cmp.Or(c.Partitions, d.Partitions)
	c.BatchRecords = cmp.Or(c.BatchRecords, d.BatchRecords)
	c.DeadLetterBytes = cmp.Or(c.DeadLetterBytes, d.DeadLetterBytes)
	c.DeadLetterAge = cmp.Or(c.DeadLetterAge, d.DeadLetterAge)
	return c
}

// Validate reports every value out of its range as a *config.Problem that names the setting, joined. A zero is a value
// like any other here: who wrote it shall hear what is allowed.
func (c Config) Validate() error {
	var errs []error
	if c.Group == "" {
		errs = append(errs, &config.Problem{Path: "group", Reason: "must not be empty"})
	}
	if strings.Trim(c.Topic, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") != "" || len(c.Topic) < 1 || len(c.Topic) > 249 ||
		c.Topic == "." || c.Topic == ".." { // Kafka's own rule
		errs = append(errs, &config.Problem{Path: "topic", Reason: fmt.Sprintf("must be 1 to 249 of a-z, A-Z, 0-9, \".\", \"_\" and \"-\", got %q", c.Topic)})
	}
	within := func(path string, v, least, most int) {
		if v < least || v > most {
			errs = append(errs, &config.Problem{Path: path, Reason: fmt.Sprintf("must be from %d to %d, got %d", least, most, v)})
		}
	}
	within("chart_min_votes", c.ChartMinVotes, 1, 1_000_000)
	within("partitions", c.Partitions, 1, 1024)
	within("replication", c.Replication, 0, 100)
	within("min_insync_replicas", c.MinInSyncReplicas, 0, 100)
	if c.Replication > 0 && c.MinInSyncReplicas > c.Replication {
		errs = append(errs, &config.Problem{
			Path:   "min_insync_replicas",
			Reason: fmt.Sprintf("must not be more than replication, which is %d, or nothing could be published; got %d", c.Replication, c.MinInSyncReplicas),
		})
	}
	if err := config.Under("kafka", c.Kafka.Validate()); err != nil {
		errs = append(errs, err)
	}
	within("batch_records", c.BatchRecords, 1, 100_000)
	if c.ChartMaxAge < 10*time.Millisecond || c.ChartMaxAge > time.Minute {
		errs = append(errs, &config.Problem{Path: "chart_max_age", Reason: fmt.Sprintf("must be from 10ms to 1m, got %s", c.ChartMaxAge)})
	}
	// Less would delete events before they are ingested; to Kafka 0 ms is "at once", which is why it is never sent.
	if c.Retention != 0 && c.Retention < time.Minute {
		errs = append(errs, &config.Problem{Path: "retention", Reason: fmt.Sprintf("must be 0 (for ever) or at least 1m, got %s", c.Retention)})
	}
	if c.RetentionBytes != 0 && c.RetentionBytes < 1<<20 {
		errs = append(errs, &config.Problem{Path: "retention_bytes", Reason: fmt.Sprintf("must be 0 (everything) or at least 1MiB, got %s", c.RetentionBytes)})
	}
	if c.DeadLetterBytes < 1<<20 {
		errs = append(errs, &config.Problem{Path: "dead_letter_bytes", Reason: fmt.Sprintf("must be at least 1MiB, got %s", c.DeadLetterBytes)})
	}
	if c.DeadLetterAge < time.Minute {
		errs = append(errs, &config.Problem{Path: "dead_letter_age", Reason: fmt.Sprintf("must be at least 1m, got %s", c.DeadLetterAge)})
	}
	return errors.Join(errs...)
}

// Deps is what the service needs from outside.
type Deps struct {
	Logger  *slog.Logger
	Metrics prometheus.Registerer
	// DB is the service's own database. The service migrates it; the caller closes it, after the service.
	DB *Database
	// Changed is called after each synchronous write of a rating, whatever came of it, and before it is answered; nil is called by
	// nobody. It must return at once. Of a write whose caller has left it may be told later: when the transaction has ended.
	Changed func(Record)
	// Now is the clock; nil is the system's.
	Now func() time.Time
}

// Service is the rating service.
type Service struct {
	cfg      Config
	log      *slog.Logger
	now      func() time.Time
	store    *store
	ingester *ingester
	letters  *letterKeeper
	// consumer is the one at work; nil while there is none.
	consumer atomic.Pointer[consumer]

	boards    *shelf[string, *board] // boards, priors and users: by record type
	priors    *shelf[string, Prior]
	trends    *shelf[trendKey, *trend]
	users     *shelf[string, userCount]
	histories *shelf[Record, recordHistory]
	// longHistory admits one reader of a long history at a time, so that such requests cannot occupy every core and
	// every connection to the database.
	longHistory chan struct{}
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
	puts, err := groupcommit.NewMetrics(deps.Metrics, "rating")
	if err != nil {
		return nil, fmt.Errorf("register rating metrics: %w", err)
	}
	st, err := newStore(ctx, deps.DB, deps.Now, puts)
	if err != nil {
		return nil, err
	}
	metrics, err := newIngestMetrics(deps.Metrics, deps.Now)
	if err != nil {
		return nil, fmt.Errorf("register rating metrics: %w", err)
	}
	if deps.Changed != nil {
		st.changed = deps.Changed
	}
	in := newIngester(st, deps.Logger, metrics, deps.DB.WriteConns()/2)
	if in.guard, err = guard.New(guard.Config{Logger: deps.Logger, Metrics: deps.Metrics}); err != nil {
		return nil, err
	}
	s := newService(cfg, deps.Logger, deps.Now, st, in)
	s.letters = newLetterKeeper(cfg, st, deps.Logger, deps.Now, metrics.letters)
	s.ingester.buried = s.letters.buried
	return s, nil
}

func newService(cfg Config, log *slog.Logger, now func() time.Time, st *store, in *ingester) *Service {
	s := &Service{
		cfg: cfg, log: log, now: now, store: st, ingester: in,
		boards:      newShelf[string, *board](now, cfg.ChartMaxAge, maxTypes),
		priors:      newShelf[string, Prior](now, cfg.ChartMaxAge, maxTypes),
		trends:      newShelf[trendKey, *trend](now, 0, maxTypes),
		users:       newShelf[string, userCount](now, cfg.ChartMaxAge, maxTypes),
		histories:   newShelf[Record, recordHistory](now, 0, maxHistories),
		longHistory: make(chan struct{}, 1),
	}
	// The number belongs to totals that are as of now: a late one would be taken for theirs.
	s.users.wait = wait{slow: true}
	s.priors.wait = wait{most: priorPatience}
	return s
}

// Run ingests rating events until ctx ends; the batch in progress is then finished or rolled back. It keeps the dead letters within
// their bounds. Without brokers that is all it does.
func (s *Service) Run(ctx context.Context) error {
	// A part that panics ends the others: the job begins again as a whole, where the database stands.
	work, ctx := errgroup.WithContext(ctx)
	part := func(job string, run func() error) {
		work.Go(func() error { return s.ingester.guard.Do(job, run) })
	}
	part("dead letters' bounds", func() error { s.letters.run(ctx); return nil })
	if len(s.cfg.Brokers) > 0 {
		part("measuring of the lag", func() error { return s.watch(ctx) })
		part(ingestionJob, func() error { return s.consume(ctx) })
	}
	return work.Wait()
}

// maxTypes bounds the record types for which charts are kept, as the type comes from the caller.
const maxTypes = 64

// board returns what is computed from all aggregates of a type. It has no basis, so that its age alone decides when it is
// computed again: nothing that is cheaper to read than the aggregates tells of every change. Sums over them cancel out, an
// event that comes late is not the newest rating, offsets move with events only, and this process does not see what others
// write.
func (s *Service) board(ctx context.Context, recordType string) (*board, error) {
	return s.boards.get(ctx, recordType, nil, func(ctx context.Context) (*board, error) {
		return buildBoard(ctx, s.store, recordType, s.cfg.ChartMinVotes)
	})
}

// priorPatience is how long a row waits for a new prior where an older one is known.
const priorPatience = 20 * time.Millisecond

// prior returns what weighs a single record's ratings. It is a sum of its own, because a row must not wait for a board, which
// costs many times as much.
func (s *Service) prior(ctx context.Context, recordType string) (Prior, error) {
	return s.priors.get(ctx, recordType, nil, func(ctx context.Context) (Prior, error) {
		t, err := s.store.totals(ctx, recordType)
		return Prior{MinVotes: s.cfg.ChartMinVotes, Mean: t.mean()}, err
	})
}

// trendKey is a record type, and since when its ratings count; 0: as many as there have to be.
type trendKey struct {
	recordType string
	since      Micros
}

// oldBasis is how much older than that of the current chart the basis of a walk may be. A page token is good for three days.
const oldBasis = Micros(8 * 24 * time.Hour / time.Microsecond)

// trending returns the trending chart of a type; of the ratings since a time, if that is not 0 and not too old. Its basis is the board
// whose aggregates it shows, so that it gives way as soon as the board does: with a least age of its own, both ages would add up.
func (s *Service) trending(ctx context.Context, recordType string, since Micros) (*trend, error) {
	current, err := s.trendSince(ctx, trendKey{recordType: recordType})
	if err != nil || since == 0 || since == current.since || since < current.since-oldBasis {
		return current, err
	}
	return s.trendSince(ctx, trendKey{recordType, since})
}

func (s *Service) trendSince(ctx context.Context, key trendKey) (*trend, error) {
	b, err := s.board(ctx, key.recordType)
	if err != nil {
		return nil, err
	}
	return s.trends.get(ctx, key, b, func(ctx context.Context) (*trend, error) {
		b, err := s.board(ctx, key.recordType)
		if err != nil {
			return nil, err
		}
		return buildTrend(ctx, s.store, key, b, trendingEnough)
	})
}
