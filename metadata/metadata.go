package metadata

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/groupcommit"
	"movieexample.com/internal/page"
)

// The limits of requests.
const (
	MaxBatch        = 200   // movies or ids in one batch
	MaxSelect       = 5_000 // ids in one select
	defaultPageSize = 50
	maxPageSize     = 200
)

// Service is the catalogue. Use [New]. Its methods are safe for concurrent use; every error
// they return has a kind (package fault), or is internal.
type Service struct {
	store    *store
	now      func() time.Time
	written  *prometheus.CounterVec
	follower *follower // of the catalogue, with the search index
}

// New returns the service on deps.DB, after bringing its schema up to date. It loads the search index
// as far as that takes no time; [Service.Run] does the rest. The database stays the caller's to close.
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
	var writes *groupcommit.Metrics
	if deps.Metrics != nil {
		var err error
		if writes, err = groupcommit.NewMetrics(deps.Metrics, "metadata"); err != nil {
			return nil, fmt.Errorf("metadata: register metrics: %w", err)
		}
	}
	s := &Service{store: newStore(deps.DB, writes), now: deps.Now}
	if deps.Changed != nil {
		s.store.changed = deps.Changed
	}
	s.follower = newFollower(s.store, deps.Logger, deps.Now, cfg.SearchRefresh)
	s.written = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_metadata_movies_written_total",
		Help: "Movies in put requests, by what became of them: created, updated, unchanged or refused.",
	}, []string{"outcome"})
	if deps.Metrics != nil {
		for _, c := range append(s.follower.collectors(), s.written) {
			if err := deps.Metrics.Register(c); err != nil {
				return nil, fmt.Errorf("metadata: register metrics: %w", err)
			}
		}
	}
	if err := s.store.migrate(ctx); err != nil {
		return nil, fmt.Errorf("metadata: %w", err)
	}
	s.follower.start(ctx)
	return s, nil
}

// Check reports whether the catalogue can be read, for readiness.
func (s *Service) Check(ctx context.Context) error { return s.store.check(ctx) }

// Movie returns the movie with the id. KindNotFound: there is none.
func (s *Service) Movie(ctx context.Context, id string) (Movie, error) {
	if err := fault.ID("id", id); err != nil {
		return Movie{}, err
	}
	m, found, err := s.store.movie(ctx, id)
	if err != nil {
		return Movie{}, err
	}
	if !found {
		return Movie{}, noSuchMovie(id)
	}
	return m, nil
}

func noSuchMovie(id string) error { return fault.NotFound("no movie has the id %s", quote(id)) }

// Movies returns those of 1 to MaxBatch movies that exist, and the ids of the others, both in
// the order asked for; an id that is given twice is answered once.
func (s *Service) Movies(ctx context.Context, ids []string) (movies []Movie, missing []string, err error) {
	ids, err = checkIDs(ids, MaxBatch)
	if err != nil {
		return nil, nil, err
	}
	found, err := s.store.movies(ctx, s.store.db.Read(), ids)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		if m, ok := found[id]; ok {
			movies = append(movies, m)
		} else {
			missing = append(missing, id)
		}
	}
	return movies, missing, nil
}

// checkIDs checks a request's list of ids and returns it without repetitions.
func checkIDs(ids []string, limit int) ([]string, error) {
	if n := len(ids); n == 0 || n > limit {
		return nil, fault.Invalid("ids", "must be 1 to %d ids, got %d", limit, n)
	}
	unique := make([]string, 0, len(ids))
	seen := make(map[string]struct{}, len(ids))
	var errs []error
	for i, id := range ids {
		if fault.ID("ids", id) != nil { // the name of the element is made only if it is needed
			errs = append(errs, fault.ID(fmt.Sprintf("ids[%d]", i), id))
			continue
		}
		if _, ok := seen[id]; !ok {
			seen[id] = struct{}{}
			unique = append(unique, id)
		}
	}
	return unique, fault.All(errs...)
}

// Lookup returns the movie that carries an id of another catalogue; source is one of the Source
// constants. KindNotFound: no movie carries it.
func (s *Service) Lookup(ctx context.Context, source, id string) (Movie, error) {
	k := externalKey{source, id}
	if err := checkExternalID(k.source+"_id", k); err != nil {
		return Movie{}, err
	}
	m, found, err := s.store.movieByExternalID(ctx, k)
	if err != nil {
		return Movie{}, err
	}
	if !found {
		return Movie{}, fault.NotFound("no movie has the %s id %q", k.source, k.id)
	}
	return m, nil
}

// Filter narrows to films that match all that is set.
type Filter struct {
	// Genre is a genre's name in any case; empty means all films.
	Genre string
	// MinYear and MaxYear are the first and the last year, both inclusive; 0 means no bound.
	// Films of unknown year match neither.
	MinYear, MaxYear int
}

// checked returns the filter with the genre turned into its key.
func (f Filter) checked() (Filter, error) {
	genre, err := oneLine("filter.genre", f.Genre, MaxGenre, false)
	errs := []error{err}
	if f.MinYear != 0 {
		errs = append(errs, checkBound("filter.min_year", f.MinYear))
	}
	if f.MaxYear != 0 {
		errs = append(errs, checkBound("filter.max_year", f.MaxYear))
	}
	if err := fault.All(errs...); err != nil {
		return Filter{}, err
	}
	if f.MinYear != 0 && f.MaxYear != 0 && f.MinYear > f.MaxYear {
		return Filter{}, fault.Invalid("filter.min_year", "must not be after max_year, got %d and %d", f.MinYear, f.MaxYear)
	}
	f.Genre = genreKey(genre)
	return f, nil
}

// checkBound checks a bound that is given. Unlike a film's year it is always known, so the text offers nothing else.
func checkBound(field string, year int) error {
	if year < MinYear || year > MaxYear {
		return fault.Invalid(field, "must be %d to %d; got %d", MinYear, MaxYear, year)
	}
	return nil
}

// Match is one film of a selection.
type Match struct {
	ID, Title string
	// SortKey orders by title as lists do, compared byte by byte; ties are ordered by id.
	SortKey string
}

// Select returns those of 1 to MaxSelect movies that exist and match the filter, in the order of
// the ids; an id that is given twice is answered once.
func (s *Service) Select(ctx context.Context, ids []string, f Filter) ([]Match, error) {
	var countErr error
	if n := len(ids); n == 0 || n > MaxSelect {
		countErr = fault.Invalid("ids", "must be 1 to %d ids, got %d", MaxSelect, n)
	}
	f, filterErr := f.checked()
	if err := fault.All(countErr, filterErr); err != nil {
		return nil, err
	}
	// The ids come from a ranking of things that somebody rated, whatever they are: one that no movie can have is one
	// that no movie has, and must not spoil the others.
	ids, _ = checkIDs(ids, MaxSelect)
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := s.store.matches(ctx, ids, f)
	if err != nil {
		return nil, err
	}
	matches := make([]Match, 0, len(found))
	for _, id := range ids {
		if m, ok := found[id]; ok {
			matches = append(matches, m)
		}
	}
	return matches, nil
}

// Order is the order of a list.
type Order uint8

const (
	// ByTitle orders by sort key (see sortKey), then by id.
	ByTitle Order = iota
	// ByYear is oldest first, then by title; films of unknown year come first.
	ByYear
	// ByYearDesc is newest first, then by title; films of unknown year come last.
	ByYearDesc
)

// position is where a film stands in lists, and what a page token holds.
type position struct {
	TitleKey string `json:"t"`
	Year     int    `json:"y"` // 0 for an unknown one: before all others, as the orders want it
}

// List returns one page of the films that match, and the token of the next page, empty after
// the last one. size is the number of films wanted, 0 for the default; token is empty for the
// first page. Movies that are very large are fewer. A film that is deleted while the list is walked may be missing from its page;
// films that nobody changes are shown exactly once.
func (s *Service) List(ctx context.Context, f Filter, order Order, size int32, token string) ([]Movie, string, error) {
	f, filterErr := f.checked()
	n, sizeErr := page.Size(size, defaultPageSize, maxPageSize)
	if err := fault.All(filterErr, sizeErr); err != nil {
		return nil, "", err
	}
	// A filter is put into the token's query in the form in which it is used, so that another
	// spelling of the same genre goes on with the same token.
	query := fmt.Sprintf("movies genre=%q years=%d-%d order=%d", f.Genre, f.MinYear, f.MaxYear, order)
	var after *position
	if token != "" {
		after = new(position)
		if err := page.Decode(token, query, after); err != nil {
			return nil, "", err
		}
	}
	movies, more, err := s.store.list(ctx, f, order, after, n)
	if err != nil {
		return nil, "", err
	}
	if more == nil {
		return movies, "", nil
	}
	return movies, page.Encode(query, more), nil
}

// count adds to the metric of written movies.
func (s *Service) count(outcome Outcome) {
	s.written.WithLabelValues(outcome.String()).Inc()
}
