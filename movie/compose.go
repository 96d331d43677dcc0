package movie

import (
	"context"
	"fmt"

	"movieexample.com/internal/fault"
)

// answerBytes bounds the films of one answer, so that it stays far under what gRPC takes: a film may have texts of 150 KB.
const answerBytes = 2 << 20

// admit puts films that came in a page, read by a call that began at read, among the cached ones, and takes the cached one
// where it is the same, so that a film is one value wherever it was read, and is rendered once.
func (s *Service) admit(read readView, films []*Movie) {
	for i, m := range films {
		films[i] = s.films.Offer(read, read.epoch, m.ID, m)
	}
}

// movies returns those of the films that exist, in the order of ids, each once, and the ids no film has; from the cache, and with
// one call for all that are not there.
func (s *Service) movies(ctx context.Context, now readView, ids []string) (found []*Movie, missing []string, err error) {
	seen := make(map[string]struct{}, len(ids))
	order := make([]string, 0, len(ids))
	for _, id := range ids {
		if _, again := seen[id]; !again {
			seen[id] = struct{}{}
			order = append(order, id)
		}
	}
	films, _, err := s.filmsAt(ctx, now, order)
	if err != nil {
		return nil, nil, err
	}
	found = films[:0]
	for i, film := range films {
		if film != nil {
			found = append(found, film)
		} else {
			missing = append(missing, order[i])
		}
	}
	return found, missing, nil
}

// filmsAt returns the film of each id, nil where there is none, and the stamp of them all. While the metadata service cannot be
// reached, films are the last known ones, and the stamp makes nothing fresh.
func (s *Service) filmsAt(ctx context.Context, now readView, ids []string) (films []*Movie, read readView, err error) {
	films, read = make([]*Movie, len(ids)), now
	stale := false
	for i, r := range s.films.GetAll(ctx, now, ids) {
		switch {
		case r.Err == nil && r.Stale:
			films[i], stale = r.Value.lastKnown(), true
		case r.Err == nil:
			films[i] = r.Value
		case fault.KindOf(r.Err) != fault.KindNotFound:
			return nil, readView{}, r.Err
		}
		// A write of another film does not end the epoch of this one.
		stamp := r.Read()
		stamp.epoch = now.epoch
		read = oldest(read, stamp)
	}
	if stale {
		read = readView{epoch: now.epoch}
	}
	return films, read, nil
}

// compose gives each film its rating, with one call for all that are not fresh.
func (s *Service) compose(ctx context.Context, now readView, films []*Movie) ([]Details, error) {
	ids := make([]string, len(films))
	for i, m := range films {
		ids[i] = m.ID
	}
	ratings, err := s.summaries.many(ctx, now, ids)
	if err != nil {
		return nil, fmt.Errorf("read the films' ratings: %w", err)
	}
	page := make([]Details, len(films))
	for i, m := range films {
		page[i] = s.answer(Details{Movie: m, Rating: ratings[i]})
	}
	return page, nil
}

// answer counts d on its way out.
func (s *Service) answer(d Details) Details {
	s.served[d.Rating.Status].Inc()
	if d.Movie.Stale {
		s.stale.Inc()
	}
	return d
}
