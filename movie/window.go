package movie

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/fault"
)

const (
	// boardEvery is how often the rating service computes charts, if it does not take it longer: a window is read again when
	// there may be another.
	boardEvery = time.Second
	// windowLook is how often the rating service is asked whether there is.
	windowLook = 250 * time.Millisecond
)

// window is a piece of a chart that was read at the time read.
type window struct {
	chartWindow
	start *position // nil: the top
	until string    // the last id of the piece, where the window is one of a group that is too great for one
	read  time.Time
	shape *shape
	rows  []atomic.Pointer[ratingPair] // by entry, made when a page has it
}

// shape identifies what windows have in common that differ in their numbers only: the records and their groups of ties. They share
// their picks.
type shape struct{ _ byte }

// sameShape reports whether two windows from the same start have the same records in the same groups.
func sameShape(a, b []chartEntry) bool {
	return slices.EqualFunc(a, b, func(a, b chartEntry) bool { return a.id == b.id && a.tie == b.tie })
}

// ratingPair are both forms of an entry's numbers; which of them is true depends on when it is shown.
type ratingPair struct{ fresh, stale Rating }

func newWindow(w chartWindow, start *position, read time.Time) *window {
	return &window{chartWindow: w, start: start, read: read, shape: new(shape), rows: make([]atomic.Pointer[ratingPair], len(w.entries))}
}

// pair returns both forms of the entry's numbers, and whether this is the first time.
func (w *window) pair(i int) (pair *ratingPair, first bool) {
	if pair = w.rows[i].Load(); pair != nil {
		return pair, false
	}
	pair = &ratingPair{
		fresh: Rating{Summary: w.entries[i].summary, Status: Fresh},
		stale: Rating{Summary: w.entries[i].summary, Status: Stale},
	}
	if !w.rows[i].CompareAndSwap(nil, pair) {
		return w.rows[i].Load(), false
	}
	return pair, true
}

// boardAge is how old the numbers of a chart are.
type boardAge struct {
	read time.Time // when they were requested
	asOf time.Time // when the rating service read them
}

func (w *window) age() boardAge { return boardAge{read: w.read, asOf: w.prior.asOf} }

func (a boardAge) oldest(b boardAge) boardAge {
	if b.read.Before(a.read) {
		a.read = b.read
	}
	if b.asOf.Before(a.asOf) {
		a.asOf = b.asOf
	}
	return a
}

// fresh reports whether the numbers may be served now: while they are fresh, and where they never are, because the rating service
// computes the charts of a large catalogue less often, for a part of ttl.
func (a boardAge) fresh(now time.Time, ttl time.Duration) bool {
	return a.servable(now, ttl) && (now.Sub(a.asOf) <= freshFor || now.Sub(a.read) <= ttl/2)
}

// servable reports whether the numbers are better than a wait for others.
func (a boardAge) servable(now time.Time, ttl time.Duration) bool { return now.Sub(a.read) <= ttl }

// refreshDue reports whether there may be newer ones.
func (a boardAge) refreshDue(now time.Time, ttl time.Duration) bool {
	return now.Sub(a.asOf) >= boardEvery && now.Sub(a.read) >= min(windowLook, ttl/4)
}

// pick is a chart entry whose film is in the catalogue and matches.
type pick struct {
	at     int32 // its place among the window's entries
	passed int32 // how many records a page that continues after it reads before new ones
	sort   string
}

// compareTies orders entries of one group: by title, as lists of films do, then by id.
func compareTies(sortA, idA, sortB, idB string) int {
	return cmp.Or(strings.Compare(sortA, sortB), strings.Compare(idA, idB))
}

// arrange puts the entries that match into their final order. sort are their keys among titles.
func (w *window) arrange(sort []string, matches []bool) []pick {
	n := 0
	for _, m := range matches {
		if m {
			n++
		}
	}
	picks := make([]pick, 0, n)
	// The groups of ties are in their order already.
	for from := 0; from < len(w.entries); {
		to := from + 1
		for to < len(w.entries) && w.entries[to].tie == w.entries[from].tie {
			to++
		}
		group := len(picks)
		for i := from; i < to; i++ {
			if matches[i] {
				picks = append(picks, pick{at: int32(i), sort: sort[i]})
			}
		}
		slices.SortFunc(picks[group:], func(a, b pick) int {
			return compareTies(a.sort, w.entries[a.at].id, b.sort, w.entries[b.at].id)
		})
		// A page that continues after a pick reads the group's records before it, and those that have no
		// matching film.
		for i := len(picks) - 1; i >= group; i-- {
			picks[i].passed = int32(to - from - (len(picks) - 1 - i))
		}
		from = to
	}
	return picks
}

// below reports whether the group of ties a comes after b in a chart.
func (a tie) below(b tie) bool {
	return a.key < b.key || a.key == b.key && a.votes < b.votes
}

// holds reports whether the window has all that comes at and behind the position, up to its own end.
func (w *window) holds(p *position) bool {
	switch {
	case p == nil:
		return w.start == nil
	case p.basis != w.basis || p.after != "" || p.until != "":
		return false
	case w.start != nil && (w.start.tie.below(p.tie) || w.start.tie == p.tie && w.start.after != ""):
		return false
	}
	return w.next == nil || w.next.below(p.tie)
}

// windowKey is a chart and where a window of the greatest size begins.
type windowKey struct {
	chart chart
	start position
	below bool // the top is not below anything, and has no start
}

func keyOf(c chart, start *position) windowKey {
	if start == nil {
		return windowKey{chart: c}
	}
	return windowKey{chart: c, start: *start, below: true}
}

// from is where the window begins; nil is the top.
func (k windowKey) from() *position {
	if !k.below {
		return nil
	}
	return &k.start
}

// charts reads the windows that pages of charts are made of.
type charts struct {
	windows *cache.Cache[windowKey, *window, readView]
	ratings ratings
	timeout time.Duration
	now     func() time.Time
}

// window returns a piece of the chart that has what comes at start and behind it: at least size entries, where there are as many.
// Those of the greatest size are cached, for every filter that looks through the chart; smaller ones are read for pages that
// need no more, and only the page is cached.
func (s *charts) window(ctx context.Context, now readView, c chart, start *position, size int) (*window, error) {
	// There are few. A walk that began with an older basis finds its own windows among them.
	for key, e := range s.windows.All {
		if key.chart != c || !e.Value.holds(start) && key != keyOf(c, start) {
			continue
		}
		if r, ok := s.windows.Touch(ctx, now, key, s.renew); ok {
			return r, nil
		}
	}
	if size == windowMost {
		r := s.windows.GetWith(ctx, now, keyOf(c, start), s.renew)
		return r.Value, r.Err
	}
	return s.piece(ctx, c, start, size)
}

// renew reads a window of the greatest size, or finds that it is as it was.
func (s *charts) renew(ctx context.Context, key windowKey) (*window, error) {
	old, have := s.windows.Last(key)
	read := s.now()
	if have {
		// Where charts are not computed every second, most looks find the one that is known: that costs one entry.
		peek, err := s.read(ctx, key.chart, nil, 1)
		if err != nil {
			return nil, err
		}
		if peek.prior.asOf.Equal(old.Value.prior.asOf) {
			same := *old.Value
			same.read = read
			return &same, nil
		}
	}
	w, err := s.piece(ctx, key.chart, key.from(), windowMost)
	if err == nil && have && sameShape(old.Value.entries, w.entries) {
		w.shape = old.Value.shape
	}
	return w, err
}

// piece reads a window in which every group of ties is whole, so that it can be put into the order of titles.
//
// A group of more than windowMost ties comes in pieces. To be the same for every reader, whatever its page size, pieces
// always start where the group does and are read with the greatest size; their order is by title within each piece. A page that
// continues within a piece reads it up to the id where it ended before, though the group may have other records by now.
func (s *charts) piece(ctx context.Context, c chart, start *position, size int) (*window, error) {
	read := s.now()
	if start != nil && start.after != "" {
		size = windowMost
	}
	w, err := s.read(ctx, c, start, size)
	if err != nil {
		return nil, err
	}
	until := ""
	if w.next != nil && w.next.after != "" || start != nil && start.until != "" {
		if until, err = s.split(ctx, c, start, size, &w); err != nil {
			return nil, err
		}
	}
	made := newWindow(w, start, read)
	made.until = until
	return made, nil
}

// split makes w end with a whole group of ties, or with a whole piece of one, of which it returns the last id.
func (s *charts) split(ctx context.Context, c chart, start *position, size int, w *chartWindow) (until string, err error) {
	if start == nil || start.until == "" {
		in := w.next.tie
		switch whole := slices.IndexFunc(w.entries, func(e chartEntry) bool { return e.tie == in }); {
		case whole > 0:
			w.entries = w.entries[:whole]
			w.next = &position{tie: in, basis: w.basis}
			return "", nil
		case size < windowMost:
			if *w, err = s.read(ctx, c, start, windowMost); err != nil || w.next == nil || w.next.after == "" {
				return "", err
			}
		}
		return w.next.after, nil
	}
	// The piece has other records by now, and is read up to where it ended.
	for w.next != nil && w.next.tie == start.tie && w.next.after < start.until {
		more, err := s.read(ctx, c, w.next, windowMost)
		if err != nil {
			return "", err
		}
		w.entries, w.next = append(w.entries, more.entries...), more.next
	}
	end := slices.IndexFunc(w.entries, func(e chartEntry) bool { return e.tie != start.tie || e.id > start.until })
	if end >= 0 {
		w.entries = w.entries[:end]
	}
	if end >= 0 || w.next != nil {
		w.next = &position{tie: start.tie, after: start.until, basis: w.basis}
	}
	return start.until, nil
}

func (s *charts) read(ctx context.Context, c chart, start *position, size int) (chartWindow, error) {
	ctx, cancel := cache.Within(ctx, s.timeout)
	defer cancel()
	return s.ratings.readWindow(ctx, c, start, size)
}

// lateChart is for charts, which need both services.
func lateChart(err error) error {
	if fault.KindOf(err) != fault.KindDeadline {
		return err
	}
	return fault.Deadline(err, "the chart was not ready in time: the rating service or the metadata service is slow, try again later")
}
