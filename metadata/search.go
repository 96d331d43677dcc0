package metadata

import (
	"context"
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/unicode/norm"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/page"
	"movieexample.com/metadata/internal/search"
	"movieexample.com/metadata/internal/text"
)

// The limits of search.
const (
	MaxQuery           = 200 // characters of a query
	defaultSuggestions = 8
	maxSuggestions     = 20
)

// version returns the numbers of the last writes to the catalogue, and those that search answers as of.
func (s *Service) version(ctx context.Context) (stored, indexed numbers, err error) {
	// The index first: it must not seem to be ahead of what is stored.
	if at := s.indexer.own.reached.Load(); at != nil {
		indexed = at.numbers
	}
	stored, err = s.store.numbers(ctx, s.store.db.Read())
	return stored, indexed, explain(ctx, "read the catalogue's version", err)
}

// searchFilter is a search request without its page.
type searchFilter struct {
	text, genre string
	decade      *int32 // nil means all
}

// checked returns the query as the index takes it.
func (f searchFilter) checked() (search.Query, error) {
	typed, textErr := queryText(f.text)
	genre, genreErr := oneLine("genre", f.genre, MaxGenre, false)
	q := search.Query{Text: typed, Genre: text.GenreKey(genre)}
	var decadeErr error
	if f.decade != nil {
		q.Decade, q.HasDecade = int(*f.decade), true
		if q.Decade < MinYear || q.Decade > MaxYear || q.Decade%10 != 0 {
			decadeErr = fault.Invalid("decade", "must be the first year of a decade, a multiple of 10 from %d to %d; got %d", MinYear, MaxYear, q.Decade)
		}
	}
	return q, fault.All(textErr, genreErr, decadeErr)
}

// queryText checks what was typed, and normalises it so that the same text is the same query in
// every Unicode form.
func queryText(typed string) (string, error) {
	trimmed := strings.TrimSpace(typed)
	if err := fault.Text("query", trimmed, MaxQuery, true); err != nil {
		return "", err
	}
	return norm.NFC.String(trimmed), nil
}

// hit is a movie that was found.
type hit struct {
	Movie
	kind                   search.Kind
	titlePieces, otherName []search.Piece
}

// found is one page of a search.
type found struct {
	search.Result
	hits []hit  // those of Hits that are stored
	next string // the next page's token
}

// search returns one page of the movies that match. What matches, and in which order, is as of the
// index; the movies, and how the query matches them, are as of the database. A movie that was deleted, or
// changed so that the query no longer matches it, since the index was brought up to date is missing
// from its page, which may then be short. A page of very large movies may be short, too.
func (s *Service) search(ctx context.Context, f searchFilter, size int32, token string) (found, error) {
	q, queryErr := f.checked()
	n, sizeErr := page.Size(size, defaultPageSize, maxPageSize)
	if err := fault.All(queryErr, sizeErr); err != nil {
		return found{}, err
	}
	query := fmt.Sprintf("search/2 %q genre=%q decade=%d", q.Text, q.Genre, q.Decade)
	if token != "" {
		q.After = new(search.Position)
		if err := page.Decode(token, query, q.After); err != nil {
			return found{}, err
		}
	}
	if err := s.indexer.ready(); err != nil {
		return found{}, err
	}
	index := s.indexer.current(ctx)
	q.Limit = n
	for {
		p, fits, err := s.searchPage(ctx, index, q, query)
		if err != nil || fits == q.Limit {
			return p, err
		}
		q.Limit = fits
	}
}

// searchPage returns the page of q.Limit hits, and fits, which is less if their movies are too large for one page.
func (s *Service) searchPage(ctx context.Context, index *search.Index, q search.Query, query string) (p found, fits int, err error) {
	r := index.Search(q)
	ids := make([]string, len(r.Hits))
	for i, h := range r.Hits {
		ids[i] = h.ID
	}
	movies, err := s.store.movies(ctx, s.store.db.Read(), ids)
	if err != nil {
		return found{}, 0, err
	}
	if list := ordered(ids, movies); fitting(list) < len(list) {
		return found{}, fitting(list), nil
	}
	p = found{Result: r, hits: make([]hit, 0, len(ids))}
	for _, h := range r.Hits {
		if m, ok := movies[h.ID]; ok {
			if h, ok = index.Judge(q, h, m.film()); ok {
				p.hits = append(p.hits, hit{m, h.Kind, h.Title, h.MatchedName})
			}
		}
	}
	if r.Next != nil {
		p.next = page.Encode(query, r.Next)
	}
	return p, q.Limit, nil
}

// film is the movie as the search index knows it.
func (m Movie) film() search.Film {
	return search.Film{
		ID: m.ID, Title: m.Title, Original: m.OriginalTitle, Alternatives: m.AlternativeTitles, Director: m.Director,
		Year: m.Year, Genres: m.Genres,
	}
}

// suggestion is a movie that may be what is being typed.
type suggestion struct {
	id, director           string
	year                   int
	titlePieces, otherName []search.Piece
}

// suggest returns the few best movies for what was typed so far, best first.
func (s *Service) suggest(ctx context.Context, typed string, size int32) ([]suggestion, error) {
	text, textErr := queryText(typed)
	n, sizeErr := page.Size(size, defaultSuggestions, maxSuggestions)
	if err := fault.All(textErr, sizeErr); err != nil {
		return nil, err
	}
	if err := s.indexer.ready(); err != nil {
		return nil, err
	}
	q := search.Query{Text: text, Limit: n, NoCounts: true}
	index := s.indexer.current(ctx)
	hits := index.Search(q).Hits
	ids := make([]string, len(hits))
	for i, h := range hits {
		ids[i] = h.ID
	}
	films, err := s.store.films(ctx, ids)
	if err != nil {
		return nil, err
	}
	list := make([]suggestion, 0, len(hits))
	for _, h := range hits {
		if f, ok := films[h.ID]; ok {
			if h, ok = index.Judge(q, h, f); ok {
				list = append(list, suggestion{h.ID, f.Director, f.Year, h.Title, h.MatchedName})
			}
		}
	}
	return list, nil
}

// similar returns the movies most like one. KindNotFound: the movie does not exist.
func (s *Service) similar(ctx context.Context, id string, size int32) ([]search.Neighbour, error) {
	n, sizeErr := page.Size(size, defaultPageSize, maxPageSize)
	if err := fault.All(fault.ID("id", id), sizeErr); err != nil {
		return nil, err
	}
	if err := s.indexer.ready(); err != nil {
		return nil, err
	}
	stored, err := s.store.films(ctx, []string{id})
	if err != nil {
		return nil, err
	}
	if _, ok := stored[id]; !ok {
		return nil, noSuchMovie(id)
	}
	near, known := s.indexer.index.Load().Similar(id, n)
	if !known { // the movie is newer than the index
		if _, err := s.indexer.refresh(ctx); err != nil {
			return nil, explain(ctx, "bring the search index up to date", err)
		}
		near, _ = s.indexer.index.Load().Similar(id, n)
	}
	return near, nil
}

// stats counts the films of the index, which equals the catalogue as of the returned time.
func (s *Service) stats() (search.Stats, time.Time, error) {
	if err := s.indexer.ready(); err != nil {
		return search.Stats{}, time.Time{}, err
	}
	return s.indexer.index.Load().Stats(), s.indexer.asOf(), nil
}
