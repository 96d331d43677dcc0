package movie

import (
	"context"

	"movieexample.com/internal/fault"
)

// batchBytes bounds the films of a batch, which is whole or not at all; with their ratings they are less than gRPC takes.
const batchBytes = 3 << 20

// details answers for one film. Both halves come from their caches or from calls that run side by side.
func (s *Service) details(ctx context.Context, id string) (Details, error) {
	now := s.moment(ctx)
	film, haveFilm := s.films.fresh(now, id)
	if !haveFilm {
		if last, ok := known(s, s.films, id); ok {
			film, haveFilm = last.lastKnown(), true
		}
	}
	standing, haveStanding := s.standings.look(now, id)
	if haveFilm && haveStanding {
		return s.answer(Details{Movie: film, Standing: standing}), nil
	}

	// Start what is missing before waiting for any of it.
	var filmCall *flight[*Movie]
	if !haveFilm {
		filmCall = s.films.joinGathered(ctx, now, id)
	}
	var standingCall *flight[*Standing]
	if !haveStanding {
		standingCall = s.standings.join(ctx, now, id)
	}
	var err error
	if !haveFilm {
		film, err = await(ctx, filmCall, s.cfg.MetadataTimeout, lateMetadata)
		if err != nil {
			last, ok := instead(ctx, s.films, id, err)
			if !ok {
				return Details{}, err
			}
			film = last.lastKnown()
		}
	}
	if !haveStanding {
		if standing, err = s.standings.settle(ctx, id, standingCall); err != nil {
			return Details{}, err
		}
	}
	return s.answer(Details{Movie: film, Standing: standing}), nil
}

// put writes a film's metadata and answers with its ratings.
func (s *Service) put(ctx context.Context, m *Movie) (Details, error) {
	bounded, cancel := hop(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	stored, err := s.catalogue.put(bounded, m)
	// Also after an error: a write whose answer was lost may have happened.
	s.films.drop(m.ID)
	if err != nil {
		return Details{}, err
	}
	standing, err := s.standings.one(ctx, moment{at: s.now(), after: readAfter(ctx)}, stored.ID)
	if err != nil {
		return Details{}, err
	}
	return s.answer(Details{Movie: stored, Standing: standing}), nil
}

// remove deletes a film's metadata.
func (s *Service) remove(ctx context.Context, id, etag string) error {
	bounded, cancel := hop(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	err := s.catalogue.remove(bounded, id, etag)
	s.films.drop(id)
	return err
}

// lookup finds a film by one of its external ids.
func (s *Service) lookup(ctx context.Context, by externalID) (Details, error) {
	bounded, cancel := hop(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	film, err := s.catalogue.lookup(bounded, by)
	if err != nil {
		return Details{}, err
	}
	page, err := s.compose(ctx, moment{at: s.now()}, []*Movie{film})
	if err != nil {
		return Details{}, err
	}
	return page[0], nil
}

// listPage is a page of the catalogue.
type listPage struct {
	films []*Movie
	next  string // empty on the last page
}

// list returns a page of the catalogue and the token of the next one.
func (s *Service) list(ctx context.Context, q listQuery) ([]Details, string, error) {
	now, key := s.moment(ctx), listKey{filter: q.filter.key(), order: q.order, size: q.size, token: q.token}
	page, stale, err := obtain(ctx, s, s.pages.lists, now, key, func(ctx context.Context, _ listKey) (*listPage, error) {
		films, next, err := s.catalogue.list(ctx, q)
		if err != nil {
			return nil, err
		}
		s.admit(now, films)
		return &listPage{films: films, next: next}, nil
	})
	if err != nil {
		return nil, "", err
	}
	films, err := s.compose(ctx, now, lastKnown(page.films, stale))
	return films, page.next, err
}

// batch returns those of the films that exist, in the order of ids, and the ids no film has.
func (s *Service) batch(ctx context.Context, ids []string) ([]Details, []string, error) {
	now := s.moment(ctx)
	films, missing, err := s.movies(ctx, now, ids)
	if err != nil {
		return nil, nil, err
	}
	size := 0
	for i, m := range films {
		if size += m.bytes(); size > batchBytes {
			return nil, nil, fault.Invalid("ids", "must name movies of at most %d MiB together: ask for no more than the first %d of these %d", batchBytes>>20, i, len(films))
		}
	}
	page, err := s.compose(ctx, now, films)
	return page, missing, err
}

// answer counts d on its way out.
func (s *Service) answer(d Details) Details {
	s.served[d.Standing.Status].Inc()
	if d.Movie.Stale {
		s.stale.Inc()
	}
	return d
}
