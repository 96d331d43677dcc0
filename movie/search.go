package movie

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"movieexample.com/internal/cache"
)

// search returns a page of the films that match, and each hit's rating.
func (s *Service) search(ctx context.Context, q searchQuery) (*searchPage, []Details, error) {
	now, key := s.view(ctx), searchKey{q: q.q, genre: folded(q.genre), size: q.size, token: q.token}
	if q.decade != nil {
		key.decade, key.hasDecade = *q.decade, true
	}
	r := s.searches.GetWith(ctx, now, key, func(ctx context.Context, _ searchKey) (*searchPage, error) {
		f, err := s.catalogue.search(ctx, q)
		if err != nil {
			return nil, err
		}
		films := make([]*Movie, len(f.hits))
		for i, h := range f.hits {
			films[i] = h.film
		}
		s.admit(now, films)
		return &searchPage{found: f, films: films}, nil
	})
	if r.Err != nil {
		return nil, nil, r.Err
	}
	films, err := s.compose(ctx, now, lastKnown(r.Value.films, r.Stale))
	return r.Value, films, err
}

// suggest returns the few films that go best with what is typed so far. Nothing is cached: the metadata service answers from
// memory, and people type too differently.
func (s *Service) suggest(ctx context.Context, q string, size int32) ([]suggestion, error) {
	bounded, cancel := cache.Within(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	return s.catalogue.suggest(bounded, q, size)
}

// similarFilm is a film like another.
type similarFilm struct {
	similarity float64
	score      float64
	details    Details
}

// similar returns the best films that are like one. The metadata service says which and how like, the ratings how good: the
// order is by similarity times weighted score, then votes, then id. A film without a score counts with the mean of all
// ratings, as a film's weighted score is when it has few, so that the list does not need the rating service.
func (s *Service) similar(ctx context.Context, id string, size int) ([]similarFilm, error) {
	now := s.view(ctx)
	r := s.similars.Get(ctx, now, id)
	if r.Err != nil {
		return nil, r.Err
	}
	ids := make([]string, len(r.Value))
	for i, c := range r.Value {
		ids[i] = c.id
	}
	ratings, err := s.summaries.many(ctx, now, ids)
	if err != nil {
		return nil, err
	}
	list := s.score(ctx, r.Value, ratings)

	// The films of the best, and of the next best for those that were deleted a moment ago.
	best := make([]similarFilm, 0, min(size, len(list)))
	for bytes := 0; len(list) > 0 && len(best) < size; {
		next := list[:min(size-len(best), len(list))]
		list = list[len(next):]
		ids := make([]string, len(next))
		for i, c := range next {
			ids[i] = c.id
		}
		films, _, err := s.movies(ctx, now, ids)
		if err != nil {
			return nil, err
		}
		for _, c := range next {
			if len(films) > 0 && films[0].ID == c.id { // in the order of the request
				if bytes += films[0].bytes(); bytes > answerBytes && len(best) > 0 {
					return best, nil
				}
				best = append(best, similarFilm{
					similarity: c.similarity, score: c.score,
					details: s.answer(Details{Movie: films[0], Rating: c.rating}),
				})
				films = films[1:]
			}
		}
	}
	return best, nil
}

// scored is a candidate with all that the order needs.
type scored struct {
	candidate
	rating *Rating
	score  float64
}

func (c scored) numVotes() int32 {
	if c.rating.Summary == nil {
		return 0
	}
	return c.rating.Summary.Votes
}

// score puts candidates into their final order.
func (s *Service) score(ctx context.Context, candidates []candidate, ratings []*Rating) []scored {
	list := make([]scored, len(candidates))
	mean := 0.0 // not known yet
	for i, c := range candidates {
		list[i] = scored{candidate: c, rating: ratings[i]}
		if sum := ratings[i].Summary; sum != nil {
			list[i].score = c.similarity * sum.Weighted
			continue
		}
		if mean == 0 {
			mean = s.globalMean(ctx, ratings[i].Status == Unrated) // no second wait for a service that does not answer
		}
		list[i].score = c.similarity * mean
	}
	slices.SortFunc(list, func(a, b scored) int {
		return cmp.Or(cmp.Compare(b.score, a.score), cmp.Compare(b.numVotes(), a.numVotes()), strings.Compare(a.id, b.id))
	})
	return list
}
