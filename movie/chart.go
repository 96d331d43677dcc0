package movie

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"movieexample.com/internal/page"
)

const (
	// windowsMost bounds how far one page looks for films that match: 4 windows of 5,000 records.
	windowsMost = 4
	// slack is how many records beyond the page an unfiltered page reads, for those whose film is not in the catalogue.
	slack = 50
)

// chartQuery asks for a page of a chart.
type chartQuery struct {
	chart  chart
	filter filter
	decade int32 // 0: all; what the filter's years were made of
	size   int
	token  string
}

// fingerprint is equal for two queries exactly when they walk the same list.
func (q chartQuery) fingerprint() string {
	return fmt.Sprintf("chart %s genre=%q decade=%d", q.chart, strings.ToLower(q.filter.genre), q.decade)
}

// chartPage is a page of a chart.
type chartPage struct {
	rows  []chartRow
	next  string // empty on the last page
	prior prior
}

// chartRow is a place in a chart. Its numbers are those that the chart was made of, so that they explain the order.
type chartRow struct {
	rank         int64
	score        float64
	film         *Movie
	fresh, stale *Standing // the same summary; which of them is true depends on when it is shown
}

// cursor is what a page token holds: the last entry of the page, or, where ID is empty, the place to read on from.
type cursor struct {
	Key   float64 `json:"k"`
	Votes int32   `json:"v"`
	// After is the start of the piece, where the entry is in a group of ties too great for one window.
	After string `json:"a,omitempty"`
	Sort  string `json:"s,omitempty"` // the film's sort key
	ID    string `json:"i,omitempty"`
	// Passed is how many records of the entry's group come before the next entry at most: the next page reads so many more.
	Passed int   `json:"p,omitempty"`
	Rank   int64 `json:"r"`
}

func (c cursor) position() *position {
	return &position{tie: tie{key: c.Key, votes: c.Votes}, after: c.After}
}

// pick is a chart entry whose film is in the catalogue and matches.
type pick struct {
	chartEntry
	sort   string // the metadata service's key for the order of titles
	after  string // where its piece of a great group of ties starts
	passed int
}

// compareTies orders entries of one group: by title, as lists of films do, then by id.
func compareTies(sortA, idA, sortB, idB string) int {
	return cmp.Or(strings.Compare(sortA, sortB), strings.Compare(idA, idB))
}

// chartPatience is how long the calls of one page may take together.
func chartPatience(cfg Config) time.Duration {
	return windowsMost*(2*cfg.ChartTimeout+cfg.MetadataTimeout) + cfg.MetadataTimeout
}

// chart returns a page of films ranked by the rating service.
func (s *Service) chart(ctx context.Context, q chartQuery) (*chartPage, error) {
	key := chartKey{epoch: s.films.epoch(), chart: q.chart, filter: q.filter.key(), size: q.size, token: q.token}
	if p, ok := s.pages.charts.fresh(key); ok {
		return p, nil
	}
	call := s.pages.charts.join(ctx, key, func(ctx context.Context, _ chartKey) (*chartPage, error) { return s.readChart(ctx, q) })
	return await(ctx, call, chartPatience(s.cfg), lateChart)
}

// chartDetails returns the film of a row as of now.
func (s *Service) chartDetails(r *chartRow) Details {
	standing := r.fresh
	if s.now().Sub(standing.Summary.AsOf) > freshFor {
		standing = r.stale // the rating service computes charts of large catalogues less often
	}
	return s.answer(Details{Movie: r.film, Standing: standing})
}

// readChart makes a page. It costs one call to the rating service and two to the metadata
// service, unless the filter matches so little that more of the chart has to be read; after windowsMost windows the
// page ends short, even empty, with a token that goes on from there.
func (s *Service) readChart(ctx context.Context, q chartQuery) (*chartPage, error) {
	var last cursor
	var start *position
	if q.token != "" {
		if err := page.Decode(q.token, q.fingerprint(), &last); err != nil {
			return nil, err
		}
		start = last.position()
	}
	size := min(windowMost, q.size+last.Passed+slack)
	if q.filter.isSet() {
		size = windowMost
	}
	result := &chartPage{}
	var picks []pick
	for n := 1; ; n++ {
		w, err := s.window(ctx, q.chart, start, size)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			result.prior = w.prior
		}
		matches, err := s.match(ctx, w, start, q.filter)
		if err != nil {
			return nil, err
		}
		picks = append(picks, matches...)
		if n == 1 && last.ID != "" {
			picks = slices.DeleteFunc(picks, last.covers)
		}
		start = w.next
		if len(picks) >= q.size || start == nil || n == windowsMost {
			break
		}
		size = windowMost
	}

	more := len(picks) > q.size
	if more {
		picks = picks[:q.size]
	}
	var err error
	if result.rows, err = s.rows(ctx, picks, last.Rank); err != nil {
		return nil, err
	}
	next := cursor{Rank: last.Rank + int64(len(result.rows))}
	switch {
	case more:
		p := picks[len(picks)-1]
		next.Key, next.Votes, next.After = p.tie.key, p.tie.votes, p.after
		next.Sort, next.ID, next.Passed = p.sort, p.id, p.passed
	case start != nil:
		next.Key, next.Votes, next.After = start.key, start.votes, start.after
	default:
		return result, nil
	}
	result.next = page.Encode(q.fingerprint(), next)
	return result, nil
}

// covers reports whether p, of the first window, was on a page before: it is in the last entry's group (or piece of it, where
// the window starts) and not behind it. Better groups are not read again, and of worse ones nothing was shown yet.
func (c cursor) covers(p pick) bool {
	return p.tie == c.position().tie && compareTies(p.sort, p.id, c.Sort, c.ID) <= 0
}

// window reads a piece of the chart in which every group of ties is whole, so that it can be put into the order of titles.
//
// A group of more than windowMost ties comes in pieces. To be the same for every reader, whatever its page size, pieces
// always start where the group does and are read with the greatest size; their order is by title within each piece.
func (s *Service) window(ctx context.Context, c chart, start *position, size int) (chartWindow, error) {
	ctx, cancel := hop(ctx, s.cfg.ChartTimeout)
	defer cancel()
	w, err := s.standings.ratings.window(ctx, c, start, size)
	if err != nil || w.next == nil || w.next.after == "" {
		return w, err
	}
	split := w.next.tie
	whole := slices.IndexFunc(w.entries, func(e chartEntry) bool { return e.tie == split })
	switch {
	case whole > 0:
		w.entries = w.entries[:whole]
		w.next = &position{tie: split}
	case size < windowMost:
		return s.standings.ratings.window(ctx, c, start, windowMost)
	}
	return w, nil
}

// match puts the window's entries whose films exist and match into their final order.
func (s *Service) match(ctx context.Context, w chartWindow, start *position, f filter) ([]pick, error) {
	ids := make([]string, len(w.entries))
	for i, e := range w.entries {
		ids[i] = e.id
	}
	bounded, cancel := hop(ctx, s.cfg.MetadataTimeout)
	defer cancel()
	keys, err := s.catalogue.sortKeys(bounded, ids, f)
	if err != nil {
		return nil, err
	}
	picks := make([]pick, 0, len(keys))
	for _, e := range w.entries {
		key, ok := keys[e.id]
		if !ok {
			continue
		}
		p := pick{chartEntry: e, sort: key}
		if start != nil && e.tie == start.tie {
			p.after = start.after
		}
		picks = append(picks, p)
	}
	slices.SortFunc(picks, func(a, b pick) int {
		return cmp.Or(
			cmp.Compare(b.tie.key, a.tie.key),
			cmp.Compare(b.tie.votes, a.tie.votes),
			compareTies(a.sort, a.id, b.sort, b.id))
	})
	countPassed(w.entries, picks)
	return picks, nil
}

// countPassed sets how many records a page that goes on behind each pick has to read before it comes to new ones: those
// of its group that come before it, and those of the group that have no matching film.
func countPassed(entries []chartEntry, picks []pick) {
	inGroup := map[tie]int{}
	for _, e := range entries {
		inGroup[e.tie]++
	}
	for i := len(picks) - 1; i >= 0; i-- {
		picks[i].passed = inGroup[picks[i].tie]
		inGroup[picks[i].tie]--
	}
}

// rows gets the films of a page's entries and numbers them. A film deleted a moment ago leaves no gap in the ranks.
func (s *Service) rows(ctx context.Context, picks []pick, rank int64) ([]chartRow, error) {
	if len(picks) == 0 {
		return nil, nil
	}
	ids := make([]string, len(picks))
	for i, p := range picks {
		ids[i] = p.id
	}
	films, _, err := s.movies(ctx, ids)
	if err != nil {
		return nil, err
	}
	byID := make(map[string]*Movie, len(films))
	for _, m := range films {
		byID[m.ID] = m
	}
	rows := make([]chartRow, 0, len(picks))
	for _, p := range picks {
		film, ok := byID[p.id]
		if !ok {
			continue
		}
		rank++
		row := chartRow{
			rank: rank, score: p.score, film: film,
			fresh: &Standing{Summary: p.summary, Status: Fresh},
			stale: &Standing{Summary: p.summary, Status: Stale},
		}
		s.standings.remember(p.id, row.fresh)
		rows = append(rows, row)
	}
	return rows, nil
}
