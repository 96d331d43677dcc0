package movie

import (
	"context"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
)

// batchBytes bounds the films of a batch, which is whole or not at all; with their ratings they are less than gRPC takes.
const batchBytes = 3 << 20

// details answers for one film. Both halves come from their caches or from loads that run side by side.
func (s *Service) details(ctx context.Context, id string) (Details, error) {
	now := s.view(ctx)
	film, rating := s.films.Start(ctx, now, id, nil), s.summaries.Start(ctx, now, id, nil)
	f := film.Wait(ctx)
	if f.Err != nil {
		return Details{}, f.Err
	}
	if f.Stale {
		f.Value = f.Value.lastKnown()
	}
	r, err := s.summaries.rating(ctx, rating.Wait(ctx))
	if err != nil {
		return Details{}, err
	}
	return s.answer(Details{Movie: f.Value, Rating: r}), nil
}

// put writes a film's metadata and answers with its ratings.
func (s *Service) put(ctx context.Context, m *Movie) (Details, error) {
	bounded, cancel := cache.Within(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	stored, err := s.catalogue.put(bounded, m)
	// Also after an error: a write whose answer was lost may have happened.
	s.films.Drop(m.ID)
	if err != nil {
		return Details{}, err
	}
	now := readView{at: s.now()}
	now.ratingsAfter, _ = demands(ctx)
	rating, err := s.summaries.rating(ctx, s.summaries.Get(ctx, now, stored.ID))
	if err != nil {
		return Details{}, err
	}
	return s.answer(Details{Movie: stored, Rating: rating}), nil
}

// remove deletes a film's metadata.
func (s *Service) remove(ctx context.Context, id, etag string) error {
	bounded, cancel := cache.Within(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	err := s.catalogue.remove(bounded, id, etag)
	s.films.Drop(id)
	return err
}

// lookup finds a film by one of its external ids.
func (s *Service) lookup(ctx context.Context, by externalID) (Details, error) {
	bounded, cancel := cache.Within(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	film, err := s.catalogue.lookup(bounded, by)
	if err != nil {
		return Details{}, err
	}
	page, err := s.compose(ctx, readView{at: s.now()}, []*Movie{film})
	if err != nil {
		return Details{}, err
	}
	return page[0], nil
}

// list returns a page of the catalogue and the token of the next one.
func (s *Service) list(ctx context.Context, q listQuery) ([]Details, string, error) {
	now, key := s.view(ctx), listKey{filter: q.filter.key(), order: q.order, size: q.size, token: q.token}
	r := s.lists.GetWith(ctx, now, key, func(ctx context.Context, _ listKey) (*listPage, error) {
		films, next, err := s.catalogue.list(ctx, q)
		if err != nil {
			return nil, err
		}
		s.admit(now, films)
		return &listPage{films: films, next: next}, nil
	})
	if r.Err != nil {
		return nil, "", r.Err
	}
	films, err := s.compose(ctx, now, lastKnown(r.Value.films, r.Stale))
	return films, r.Value.next, err
}

// batch returns those of the films that exist, in the order of ids, and the ids no film has.
func (s *Service) batch(ctx context.Context, ids []string) ([]Details, []string, error) {
	now := s.view(ctx)
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
