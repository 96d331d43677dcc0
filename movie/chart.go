package movie

import (
	"context"
	"fmt"
	"slices"
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
	return fmt.Sprintf("chart %s genre=%q decade=%d", q.chart, folded(q.filter.genre), q.decade)
}

// cursor is what a page token holds: the last entry of the page, or, where ID is empty, the place to read on from.
type cursor struct {
	Key   float64 `json:"k"`
	Votes int32   `json:"v"`
	// After is the start of the piece, where the entry is in a group of ties too great for one window.
	After string `json:"a,omitempty"`
	Until string `json:"u,omitempty"` // the last id of that piece
	Sort  string `json:"s,omitempty"` // the film's sort key
	ID    string `json:"i,omitempty"`
	// Passed is how many records of the entry's group come before the next entry at most: the next page reads so many more.
	Passed int   `json:"p,omitempty"`
	Rank   int64 `json:"r"`
	// Mean and Since are the basis of the walk's first page; missing in a token of an older version.
	Mean  *float64 `json:"m,omitempty"`
	Since int64    `json:"d,omitempty"`
}

func (c cursor) position() *position {
	p := &position{tie: tie{key: c.Key, votes: c.Votes}, after: c.After, until: c.Until, basis: basis{since: c.Since}}
	if c.Mean != nil {
		p.basis.mean, p.basis.hasMean = *c.Mean, true
	}
	return p
}

// chartPatience is how long the calls of one page may take together.
func chartPatience(cfg Config) time.Duration {
	return windowsMost*(2*cfg.ChartTimeout+cfg.MetadataTimeout) + cfg.MetadataTimeout
}

// listChart returns a page of films ranked by the rating service.
func (s *Service) listChart(ctx context.Context, q chartQuery) (*chartPage, error) {
	now, key := s.view(ctx), chartKey{chart: q.chart, filter: q.filter.key(), size: q.size, token: q.token}
	r := s.chartPages.GetWith(ctx, now, key, func(ctx context.Context, _ chartKey) (*chartPage, error) { return s.readChart(ctx, now, q) })
	switch {
	case r.Err != nil:
		return nil, r.Err
	case r.Stale:
		return r.Value.lastKnown(), nil
	}
	for _, w := range r.Value.windows {
		s.windows.Touch(ctx, now, w, s.charts.renew)
	}
	return r.Value, nil
}

// chartDetails returns the film of a row as of now.
func (s *Service) chartDetails(r *chartRow, now time.Time) Details {
	rating := &r.ratings.fresh
	if now.Sub(rating.Summary.AsOf) > freshFor {
		rating = &r.ratings.stale // the rating service computes charts of large catalogues less often
	}
	return s.answer(Details{Movie: r.film, Rating: rating})
}

// place is an entry of a window that a page shows.
type place struct {
	window *window
	pick   pick
}

// readChart makes a page. Where nothing is known it costs one call to the rating service and two to the metadata
// service, unless the filter matches so little that more of the chart has to be read; after windowsMost windows the
// page ends short, even empty, with a token that continues from there.
func (s *Service) readChart(ctx context.Context, now readView, q chartQuery) (*chartPage, error) {
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
	filters := s.filters.GetWith(ctx, now, struct{}{}, func(context.Context, struct{}) (*filterCache, error) {
		return newFilterCache(s.catalogue, now), nil
	})
	if filters.Err != nil {
		return nil, filters.Err
	}
	result := &chartPage{}
	var places []place
	for n := 1; ; n++ {
		w, err := s.charts.window(ctx, now, q.chart, start, size)
		if err != nil {
			return nil, err
		}
		picks, err := s.picked(ctx, w, filters.Value, q.filter)
		if err != nil {
			return nil, err
		}
		if n == 1 {
			result.prior, result.basis, result.age = w.prior, w.basis, w.age()
			if q.token != "" {
				picks = last.behind(w, picks)
			}
		}
		result.age = result.age.oldest(w.age())
		result.windows = append(result.windows, keyOf(q.chart, w.start))
		for _, p := range picks[:min(len(picks), q.size+1-len(places))] { // one more tells that there is more
			places = append(places, place{window: w, pick: p})
		}
		start = w.next
		if len(places) >= q.size || start == nil || n == windowsMost {
			break
		}
		size = windowMost
	}

	more := len(places) > q.size
	if more {
		places = places[:q.size]
	}
	shown, read, err := s.fill(ctx, now, result, places, last.Rank)
	if err != nil {
		return nil, err
	}
	if shown < len(places) {
		places, more = places[:shown], true
	}
	result.read = oldest(filters.Value.read, read)
	next := cursor{Rank: last.Rank + int64(len(result.rows))}
	if b := result.basis; b.hasMean {
		next.Mean, next.Since = &b.mean, b.since
	}
	switch {
	case more:
		next.moveTo(places[len(places)-1])
	case start != nil:
		next.Key, next.Votes, next.After, next.Until = start.key, start.votes, start.after, start.until
	default:
		return result, nil
	}
	result.next = page.Encode(q.fingerprint(), next)
	return result, nil
}

// moveTo sets the cursor behind the place.
func (c *cursor) moveTo(p place) {
	e := &p.window.entries[p.pick.at]
	c.Key, c.Votes, c.Sort, c.ID, c.Passed = e.tie.key, e.tie.votes, p.pick.sort, e.id, int(p.pick.passed)
	if w := p.window; w.start != nil && w.start.tie == e.tie {
		c.After, c.Until = w.start.after, w.until
	}
}

// behind returns the window's picks without those before a page that begins at the cursor: better groups, which were shown, and of the
// cursor's own group the picks up to its entry. A cursor without an entry begins with the group.
func (c *cursor) behind(w *window, picks []pick) []pick {
	from, _ := slices.BinarySearchFunc(picks, c, func(p pick, c *cursor) int {
		e, last := &w.entries[p.at], tie{key: c.Key, votes: c.Votes}
		switch {
		case last.below(e.tie):
			return -1
		case e.tie.below(last), c.ID == "":
			return 1
		case compareTies(p.sort, e.id, c.Sort, c.ID) <= 0:
			return -1
		}
		return 1
	})
	return picks[from:]
}

// picked returns the window's entries whose films exist and match, in their final order. The stamp is that of the filter cache.
func (s *Service) picked(ctx context.Context, w *window, c *filterCache, f filter) ([]pick, error) {
	r := s.picks.GetWith(ctx, c.read, picksKey{w.shape, f.key()}, func(ctx context.Context, _ picksKey) ([]pick, error) {
		sort, matches, err := c.match(ctx, w.entries, f)
		if err != nil {
			return nil, err
		}
		return w.arrange(sort, matches), nil
	})
	return r.Value, r.Err
}

// fill gives the page the films of its places and numbers them, and returns the stamp of the films. A film deleted a moment ago
// leaves no gap in the ranks. Where the films are too large for one page, only the first places are shown.
func (s *Service) fill(ctx context.Context, now readView, p *chartPage, places []place, rank int64) (shown int, read readView, err error) {
	ids := make([]string, len(places))
	for i, pl := range places {
		ids[i] = pl.window.entries[pl.pick.at].id
	}
	films, read, err := s.filmsAt(ctx, now, ids)
	if err != nil {
		return 0, readView{}, err
	}
	size := 0
	p.rows = make([]chartRow, 0, len(places))
	for i, pl := range places {
		if films[i] == nil {
			continue
		}
		if size += films[i].bytes(); size > answerBytes && len(p.rows) > 0 {
			return i, read, nil
		}
		rank++
		pair, first := pl.window.pair(int(pl.pick.at))
		if first {
			s.summaries.remember(ids[i], &pair.fresh)
		}
		p.rows = append(p.rows, chartRow{rank: rank, score: pl.window.entries[pl.pick.at].score, film: films[i], ratings: pair})
	}
	return len(places), read, nil
}
