package movie

import (
	"context"
	"errors"
	"fmt"
	"time"

	"movieexample.com/internal/fault"
)

const (
	// pageTTL is how long a page is kept, so that a film which another process wrote is in lists within two seconds. A page
	// of a chart is kept only as long as a rating summary, because its numbers have an age already when they come.
	pageTTL = time.Second
	// pagesMost bounds each cache of pages. A page lives so short that only a crawler could fill it.
	pagesMost = 1000
)

// pages keeps the answers that are made of many films: which films, in which order, and where the next page begins.
// What people think of the films is not in it (but for charts, whose order it is): each answer asks the standings,
// so that a rating shows as soon in a list as it does in details.
//
// Every key holds the epoch of the films: after a write through this service no page from before is found, and one that
// was on its way is not found either.
type pages struct {
	lists    *flights[listKey, *listPage]
	charts   *flights[chartKey, *chartPage]
	searches *flights[searchKey, *searchPage]
	similar  *flights[similarKey, []candidate]
}

// listKey is a [listQuery] and the epoch.
type listKey struct {
	epoch  uint64
	filter filterKey
	order  order
	size   int32
	token  string
}

// chartKey is a [chartQuery] and the epoch.
type chartKey struct {
	epoch  uint64
	chart  chart
	filter filterKey
	size   int
	token  string
}

// searchKey is a [searchQuery] and the epoch.
type searchKey struct {
	epoch     uint64
	q, genre  string
	decade    int32
	hasDecade bool
	size      int32
	token     string
}

type similarKey struct {
	epoch uint64
	id    string
}

// filterKey is a filter that can be compared.
type filterKey struct {
	genre            string
	minYear, maxYear int32
	hasMin, hasMax   bool
}

func (f filter) key() filterKey {
	k := filterKey{genre: f.genre}
	if f.minYear != nil {
		k.minYear, k.hasMin = *f.minYear, true
	}
	if f.maxYear != nil {
		k.maxYear, k.hasMax = *f.maxYear, true
	}
	return k
}

func newPages(cfg Config, now func() time.Time) (*pages, error) {
	b := store{size: pagesMost, ttl: pageTTL, now: now}
	chart := store{size: pagesMost, ttl: cfg.RatingTTL, now: now}
	p := &pages{}
	var errs [4]error
	p.lists, errs[0] = newFlights[listKey, *listPage](b, cfg.MetadataTimeout)
	p.charts, errs[1] = newFlights[chartKey, *chartPage](chart, chartPatience(cfg))
	p.searches, errs[2] = newFlights[searchKey, *searchPage](b, cfg.MetadataTimeout)
	p.similar, errs[3] = newFlights[similarKey, []candidate](b, cfg.MetadataTimeout)
	return p, errors.Join(errs[:]...)
}

func (p *pages) close() {
	p.lists.close()
	p.charts.close()
	p.searches.close()
	p.similar.close()
}

// await waits for a call under a deadline of its own, so that the caller hears what was late: late makes the error of it.
func await[V any](ctx context.Context, call *flight[V], most time.Duration, late func(error) error) (V, error) {
	bounded, cancel := hop(ctx, most)
	defer cancel()
	v, err := call.wait(bounded)
	if err != nil && bounded.Err() != nil {
		err = late(err)
	}
	return v, err
}

// lateMetadata is for calls that only the metadata service can have held up.
func lateMetadata(err error) error { return fromMetadata(err) }

// lateChart is for charts, which need both services.
func lateChart(err error) error {
	if fault.KindOf(err) != fault.KindDeadline {
		return err
	}
	return fault.Deadline(err, "the chart was not ready in time: the rating service or the metadata service is slow, try again later")
}

// sameMovie reports whether a and b are the same version of a film. An etag says so whatever happened in between: a movie
// never has one with other content.
func sameMovie(a, b *Movie) bool { return a.ETag != "" && a.ETag == b.ETag }

// admit puts films that came in a page, read by a call that began in the epoch, among the cached ones, and takes the cached one
// where it is the same: then a film is one value however it was come by, and is rendered once.
func (s *Service) admit(epoch uint64, films []*Movie) {
	for i, m := range films {
		films[i] = s.films.offer(epoch, m.ID, m, sameMovie)
	}
}

// movies returns those of the films that exist, in the order of ids, each once, and the ids no film has; from the cache, and with
// one call for all that are not there.
func (s *Service) movies(ctx context.Context, ids []string) (found []*Movie, missing []string, err error) {
	var absent []string
	seen := make(map[string]*Movie, len(ids))
	order := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, again := seen[id]; again {
			continue
		}
		film, ok := s.films.fresh(id)
		if !ok {
			absent = append(absent, id)
		}
		seen[id] = film
		order = append(order, id)
	}
	if len(absent) > 0 {
		bounded, cancel := hop(ctx, s.cfg.MetadataTimeout)
		defer cancel()
		for i, call := range s.films.joinAll(ctx, absent, s.catalogue.batch) {
			film, err := call.wait(bounded)
			switch {
			case err == nil:
				seen[absent[i]] = film
			case bounded.Err() != nil:
				return nil, nil, lateMetadata(err)
			case fault.KindOf(err) != fault.KindNotFound:
				return nil, nil, err
			}
		}
	}
	found = make([]*Movie, 0, len(order))
	for _, id := range order {
		if film := seen[id]; film != nil {
			found = append(found, film)
		} else {
			missing = append(missing, id)
		}
	}
	return found, missing, nil
}

// compose gives each film its standing, with one call for all that are not known.
func (s *Service) compose(ctx context.Context, films []*Movie) ([]Details, error) {
	ids := make([]string, len(films))
	for i, m := range films {
		ids[i] = m.ID
	}
	standings, err := s.standings.many(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read the films' ratings: %w", err)
	}
	page := make([]Details, len(films))
	for i, m := range films {
		page[i] = s.answer(Details{Movie: m, Standing: standings[i]})
	}
	return page, nil
}
