package movie

import (
	"context"
	"errors"
	"strings"
	"time"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/fault"
)

const (
	// similarMost is the most films like another that the metadata service names in one call.
	similarMost = 200
)

// searchQuery asks for a page of what matches a text.
type searchQuery struct {
	q      string
	genre  string
	decade *int32 // the first year; nil: all
	size   int32
	token  string // the metadata service's own
}

// match says how a film matches what was looked for.
type match string

// The matches, best first.
const (
	matchExact    match = "exact"
	matchTitle    match = "title"
	matchDirector match = "director"
	matchSpelling match = "spelling"
)

// piece is a part of a text that matched, or one that did not.
type piece struct {
	text    string
	matched bool
}

// hit is a film that matches.
type hit struct {
	film        *Movie
	match       match
	title       []piece
	matchedName []piece // the other name that matched; empty where the title did
}

// genreCount and decadeCount are numbers of films.
type genreCount struct {
	genre string
	count int32
}

type decadeCount struct{ decade, count int32 }

// found is a page of hits, and how many there are in all.
type found struct {
	hits    []hit
	next    string // empty on the last page
	total   int32
	genres  []genreCount
	decades []decadeCount
	others  int32 // genres that are not in genres
}

// suggestion is a film to choose while typing.
type suggestion struct {
	id, title, director string
	year                *int32
	pieces              []piece // of the title
	matchedName         []piece
}

// candidate is a film like another.
type candidate struct {
	id         string
	similarity float64 // above 0, at most 1
}

// catalogueStats counts the catalogue.
type catalogueStats struct {
	films   int32
	genres  []genreCount
	decades []decadeCount
	others  int32 // genres that are not in genres
	asOf    time.Time
}

func (c catalogue) search(ctx context.Context, q searchQuery) (*found, error) {
	r, err := c.client.SearchMovies(ctx, &metadatav1.SearchMoviesRequest{
		Query: q.q, Genre: q.genre, Decade: q.decade, PageSize: q.size, PageToken: q.token,
	})
	if err != nil {
		return nil, fromIndex(err)
	}
	f := &found{
		hits: make([]hit, len(r.GetHits())), next: r.GetNextPageToken(), total: r.GetTotal(),
		genres: genresOf(r.GetGenres()), decades: decadesOf(r.GetDecades()), others: r.GetOtherGenres(),
	}
	for i, h := range r.GetHits() {
		f.hits[i] = hit{film: movieOf(h.GetMovie()), match: matchOf(h.GetKind()), title: piecesOf(h.GetTitle()), matchedName: piecesOf(h.GetMatchedName())}
	}
	return f, nil
}

func (c catalogue) suggest(ctx context.Context, q string, size int32) ([]suggestion, error) {
	r, err := c.client.SuggestMovies(ctx, &metadatav1.SuggestMoviesRequest{Query: q, PageSize: size})
	if err != nil {
		return nil, fromIndex(err)
	}
	list := make([]suggestion, len(r.GetSuggestions()))
	for i, s := range r.GetSuggestions() {
		list[i] = suggestion{
			id: s.GetId(), director: s.GetDirector(), year: s.Year,
			pieces: piecesOf(s.GetTitle()), matchedName: piecesOf(s.GetMatchedName()),
		}
		for _, p := range list[i].pieces {
			list[i].title += p.text // as the contract says: joined they are the title
		}
	}
	return list, nil
}

// similar returns the films most like one, most similar first.
func (c catalogue) similar(ctx context.Context, id string) ([]candidate, error) {
	r, err := c.client.ListSimilarMovies(ctx, &metadatav1.ListSimilarMoviesRequest{Id: id, PageSize: similarMost})
	if err != nil {
		return nil, fromIndex(err)
	}
	list := make([]candidate, len(r.GetMovies()))
	for i, m := range r.GetMovies() {
		list[i] = candidate{id: m.GetId(), similarity: m.GetSimilarity()}
	}
	return list, nil
}

func (c catalogue) stats(ctx context.Context) (catalogueStats, error) {
	r, err := c.client.GetCatalogueStats(ctx, &metadatav1.GetCatalogueStatsRequest{})
	if err != nil {
		return catalogueStats{}, fromIndex(err)
	}
	return catalogueStats{
		films: r.GetMovies(), genres: genresOf(r.GetGenres()), decades: decadesOf(r.GetDecades()), asOf: r.GetAsOfTime().AsTime(),
		others: r.GetOtherGenres(),
	}, nil
}

// votesRange is a range of ids, and the number of ratings of each film in it that has any.
type votesRange struct {
	after   string // exclusive; empty: from the first
	through string // inclusive; empty: to the last
	votes   []filmVotes
}

// syncVotes tells how many ratings the films of a range have, and returns for how many that is news.
func (c catalogue) syncVotes(ctx context.Context, r votesRange) (changed int, err error) {
	req := &metadatav1.SyncVotesRequest{AfterId: r.after, ThroughId: r.through, Votes: make([]*metadatav1.SyncVotesRequest_MovieVotes, len(r.votes))}
	for i, v := range r.votes {
		req.Votes[i] = &metadatav1.SyncVotesRequest_MovieVotes{MovieId: v.id, Votes: v.votes}
	}
	answer, err := c.client.SyncVotes(ctx, req)
	if err != nil {
		return 0, fromMetadata(err)
	}
	return int(answer.GetChanged()), nil
}

// fromIndex is [fromMetadata] for calls that the search index answers. While the metadata service loads it, it is reached and says
// what it is doing; that is worth passing on.
func fromIndex(err error) error {
	if e := (*fault.Error)(nil); errors.As(fault.FromRPC(err), &e) && e.Kind == fault.KindUnavailable && strings.Contains(e.Message(), "search index") {
		return fault.Unavailable(err, "%s", e.Message())
	}
	return fromMetadata(err, "query", "q")
}

func matchOf(kind metadatav1.MatchKind) match {
	switch kind {
	case metadatav1.MatchKind_MATCH_KIND_EXACT:
		return matchExact
	case metadatav1.MatchKind_MATCH_KIND_DIRECTOR:
		return matchDirector
	case metadatav1.MatchKind_MATCH_KIND_SPELLING:
		return matchSpelling
	}
	return matchTitle
}

func piecesOf(wire []*metadatav1.TextPiece) []piece {
	pieces := make([]piece, len(wire))
	for i, p := range wire {
		pieces[i] = piece{text: p.GetText(), matched: p.GetMatched()}
	}
	return pieces
}

func genresOf(wire []*metadatav1.GenreCount) []genreCount {
	counts := make([]genreCount, len(wire))
	for i, c := range wire {
		counts[i] = genreCount{genre: c.GetGenre(), count: c.GetCount()}
	}
	return counts
}

func decadesOf(wire []*metadatav1.DecadeCount) []decadeCount {
	counts := make([]decadeCount, len(wire))
	for i, c := range wire {
		counts[i] = decadeCount{decade: c.GetDecade(), count: c.GetCount()}
	}
	return counts
}
