package metadata

import (
	"context"
	"fmt"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
)

// Movie returns the movie with the id. KindNotFound: there is none.
func (s *Service) Movie(ctx context.Context, id string) (Movie, error) {
	if err := fault.ID("id", id); err != nil {
		return Movie{}, err
	}
	m, found, err := s.store.movie(ctx, id)
	if err == nil && !found {
		err = noSuchMovie(id)
	}
	return m, err
}

// Movies returns those of 1 to MaxBatch movies that exist, and the ids of the others, both in
// the order of the request; a repeated id is answered once.
func (s *Service) Movies(ctx context.Context, ids []string) (movies []Movie, missing []string, err error) {
	if ids, err = checkIDs(ids, MaxBatch); err != nil {
		return nil, nil, err
	}
	found, err := s.store.movies(ctx, s.store.db.Read(), ids)
	if err != nil {
		return nil, nil, err
	}
	for _, id := range ids {
		if _, ok := found[id]; !ok {
			missing = append(missing, id)
		}
	}
	return ordered(ids, found), missing, nil
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
		if fault.ID("ids", id) != nil { // build the element's name only if it is needed
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

// ordered returns those of found that the ids name, in the order of the ids.
func ordered[T any](ids []string, found map[string]T) []T {
	out := make([]T, 0, len(found))
	for _, id := range ids {
		if v, ok := found[id]; ok {
			out = append(out, v)
		}
	}
	return out
}

// Lookup returns the movie that has an id of another catalogue; source is one of the Source
// constants. KindNotFound: no movie has it.
func (s *Service) Lookup(ctx context.Context, source, id string) (Movie, error) {
	k := externalKey{source, id}
	if err := checkExternalID(k.source+"_id", k); err != nil {
		return Movie{}, err
	}
	m, found, err := s.store.movieByExternalID(ctx, k)
	if err == nil && !found {
		err = fault.NotFound("no movie has the %s id %q", k.source, k.id)
	}
	return m, err
}

// Select returns those of 1 to MaxSelect movies that exist and match the filter, in the order of
// the ids; a repeated id is answered once.
func (s *Service) Select(ctx context.Context, ids []string, f Filter) ([]Match, error) {
	var countErr error
	if n := len(ids); n == 0 || n > MaxSelect {
		countErr = fault.Invalid("ids", "must be 1 to %d ids, got %d", MaxSelect, n)
	}
	f, filterErr := f.checked()
	if err := fault.All(countErr, filterErr); err != nil {
		return nil, err
	}
	// The ids come from a ranking of everything that has ratings. One that no movie can have is ignored, as is one that no
	// movie has.
	ids, _ = checkIDs(ids, MaxSelect)
	if len(ids) == 0 {
		return nil, nil
	}
	found, err := s.store.matches(ctx, ids, f)
	if err != nil {
		return nil, err
	}
	return ordered(ids, found), nil
}

// List returns one page of the films that match, and the token of the next page, empty after
// the last one. size is the number of films wanted, 0 for the default; token is empty for the
// first page. A page of very large movies has fewer. A film that is deleted during the walk may be missing;
// films that do not change are shown exactly once.
func (s *Service) List(ctx context.Context, f Filter, order Order, size int32, token string) ([]Movie, string, error) {
	f, filterErr := f.checked()
	n, sizeErr := page.Size(size, defaultPageSize, maxPageSize)
	if err := fault.All(filterErr, sizeErr); err != nil {
		return nil, "", err
	}
	// The token's query has the filter as it is used, so another spelling of the same genre can continue with the token.
	query := fmt.Sprintf("movies genre=%q years=%d-%d order=%d", f.Genre, f.MinYear, f.MaxYear, order)
	var after *position
	if token != "" {
		after = new(position)
		if err := page.Decode(token, query, after); err != nil {
			return nil, "", err
		}
	}
	movies, positions, more, err := s.store.list(ctx, f, order, after, n)
	if err != nil {
		return nil, "", err
	}
	if fit := fitting(movies); fit < len(movies) && len(movies) == len(positions) {
		movies, positions, more = movies[:fit], positions[:fit], true
	}
	if !more {
		return movies, "", nil
	}
	return movies, page.Encode(query, positions[len(positions)-1]), nil
}

// pageBytes bounds the movies of one page: an answer must stay far below gRPC's limit, and a movie may have 150 KB of text.
const pageBytes = 2 << 20

// fitting returns how many of the movies fit on a page: at least one, if there is one.
func fitting(movies []Movie) int {
	size := 0
	for i, m := range movies {
		if size += m.bytes(); size > pageBytes && i > 0 {
			return i
		}
	}
	return len(movies)
}

// bytes is about the size of the movie in a message.
func (m Movie) bytes() int {
	n := 200 + len(m.ID) + len(m.Title) + len(m.OriginalTitle) + len(m.Director) + len(m.Description)
	for _, list := range [][]string{m.AlternativeTitles, m.Genres} {
		for _, text := range list {
			n += 4 + len(text)
		}
	}
	return n
}
