package movie

import (
	"context"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"movieexample.com/internal/cache"
)

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

// view is what a request knows when it begins.
func (s *Service) view(ctx context.Context) readView {
	v := s.probe.view(ctx)
	v.epoch = s.films.Epoch()
	v.ratingsAfter, v.filmsAfter = demands(ctx)
	return v
}

// RatingChanged is called by a rating service in the same process after a rating of the film was written and before the write is
// answered: what is read of the film from now on has it.
func (s *Service) RatingChanged(id string) { s.summaries.Expire(id) }

// MovieChanged is RatingChanged for a film that was written or deleted.
func (s *Service) MovieChanged(id string) { s.films.Drop(id) }

// Run tells the metadata service how many ratings each film has, at once and whenever that may have changed, until ctx ends;
// it returns nil then. A service that cannot be reached is retried. It must be called once.
func (s *Service) Run(ctx context.Context) error { return s.votes.loop(ctx) }

// caches are all caches of the service.
//
// What is read from the catalogue and its index is used until the catalogue's version changes (readView); pages only in the epoch in
// which they were read, so that after a write through this service none from before it is served. Pages hold no ratings (but for
// charts, whose order they are): each answer reads the summaries, so that a rating shows in a list as soon as in details.
type caches struct {
	group          *cache.Group
	probe          *versionProbe
	films          *cache.Cache[string, *Movie, readView]
	summaries      *summaries
	lists          *cache.Cache[listKey, *listPage, readView]
	searches       *cache.Cache[searchKey, *searchPage, readView]
	similars       *cache.Cache[string, []candidate, readView]
	chartPages     *cache.Cache[chartKey, *chartPage, readView]
	windows        *cache.Cache[windowKey, *window, readView]
	filters        *cache.Cache[struct{}, *filterCache, readView]
	picks          *cache.Cache[picksKey, []pick, readView]
	catalogueStats *cache.Cache[struct{}, catalogueStats, time.Time]
	totals         *cache.Cache[struct{}, totals, time.Time]
}
