package rating

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// Trending: a rating's weight halves every halfLife. Ratings more than trendingSpan older than the newest one weigh
// less than 2^-16 of it and are not looked at once trendingEnough records are in the chart, which bounds the work on a
// busy catalogue; a quiet one, such as an import that somebody adds a rating to, keeps all its records in the chart.
// The day (UTC) in which that is so is read to its beginning: so the end of what is read does not move with every rating, and
// with it the place of records that nobody rated.
const (
	halfLife       = 7 * 24 * time.Hour
	trendingSpan   = 16 * halfLife
	trendingEnough = 10_000
)

// chartEntry is one place of a ranking.
type chartEntry struct {
	id      string
	score   float64
	sortKey float64 // orders as score does, and stays when only the as-of time of trending moves
	agg     *Aggregate
}

// sameTie reports whether the chart itself does not tell a from b.
func sameTie(a, b chartEntry) bool { return a.sortKey == b.sortKey && a.agg.Votes == b.agg.Votes }

func compareEntries(a, b chartEntry) int {
	return cmp.Or(cmp.Compare(b.sortKey, a.sortKey), cmp.Compare(b.agg.Votes, a.agg.Votes), cmp.Compare(a.id, b.id))
}

// totals are sums over all records of a type.
type totals struct {
	Records, Ratings, Sum int64
}

func (t totals) mean() float64 {
	if t.Ratings == 0 {
		return 0
	}
	return float64(t.Sum) / float64(t.Ratings)
}

// board is everything that is computed from all aggregates of one record type at once.
type board struct {
	asOf    time.Time
	totals  totals
	votes   votesDigest
	prior   Prior
	records map[string]*Aggregate

	popular func() []chartEntry

	mu   sync.Mutex
	tops []rankedTop // by the Bayesian estimate; that of prior first, then the last few that were asked for
}

// topsKept is how many rankings by the Bayesian estimate a board keeps: each is one walk, or all that began at the same time.
const topsKept = 8

// rankedTop is the chart "top" by a prior's mean.
type rankedTop struct {
	mean    float64
	entries func() []chartEntry
}

// trend is the trending chart of one record type.
type trend struct {
	asOf    time.Time // of the decayed numbers
	since   Micros    // ratings from before are not in it; 0: all are
	board   *board    // whose aggregates the entries show
	entries []chartEntry
}

// buildBoard reads every aggregate of a type. It holds the records once; the charts sort pointers to them when they
// are first asked for.
func buildBoard(ctx context.Context, s *store, recordType string, minVotes int) (*board, error) {
	b := &board{asOf: s.now(), records: make(map[string]*Aggregate)}
	err := s.scanAggregates(ctx, recordType, func(id string, a Aggregate) {
		b.records[id] = &a
		b.totals.Records++
		b.totals.Ratings += a.Votes
		b.totals.Sum += a.Sum
		b.votes.add(id, a.Votes)
	})
	if err != nil {
		return nil, err
	}
	b.prior = Prior{MinVotes: minVotes, Mean: b.totals.mean()}
	b.topBy(b.prior) // is first
	b.popular = sync.OnceValue(func() []chartEntry {
		return b.rank(1, func(a Aggregate) float64 { return float64(a.Votes) })
	})
	return b, nil
}

// top returns the chart "top" by the Bayesian estimate with a prior: the board's own, or that of the page with which a walk began.
// A record's place among others whose ratings stay the same is the same on every board then, to the last bit.
func (b *board) top(prior Prior) []chartEntry { return b.topBy(prior).entries() }

func (b *board) topBy(prior Prior) rankedTop {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, t := range b.tops {
		if t.mean == prior.Mean {
			return t
		}
	}
	t := rankedTop{mean: prior.Mean, entries: sync.OnceValue(func() []chartEntry {
		return b.rank(int64(prior.MinVotes), prior.Weighted)
	})}
	if len(b.tops) == topsKept {
		b.tops = slices.Delete(b.tops, 1, 2) // the oldest that is not the board's own
	}
	b.tops = append(b.tops, t)
	return t
}

func (b *board) rank(minVotes int64, score func(Aggregate) float64) []chartEntry {
	var out []chartEntry
	for id, a := range b.records {
		if a.Votes >= minVotes {
			s := score(*a)
			out = append(out, chartEntry{id: id, score: s, sortKey: s, agg: a})
		}
	}
	slices.SortFunc(out, compareEntries)
	return out
}

// buildTrend sums, per record, 2^(-age/halfLife) over its ratings, as of the newest rating: a catalogue that nobody
// rates any more keeps its last chart instead of fading to nothing.
//
// It reads the ratings since key.since, where that is not 0.
func buildTrend(ctx context.Context, s *store, key trendKey, b *board, enough int) (*trend, error) {
	t := &trend{asOf: s.now(), since: key.since, board: b}
	var newest, last Micros
	weights := make(map[string]*weight)
	err := s.scanNewestFirst(ctx, key.recordType, func(id string, at Micros) (more bool) {
		newest = max(newest, at)
		if oldest := newest - Micros(trendingSpan.Microseconds()); t.since == 0 && at < oldest && len(weights) >= enough {
			end := min(oldest, last)
			t.since = end - end%day
		}
		if at < t.since {
			return false
		}
		last = at
		w, ok := weights[id]
		if !ok {
			w = &weight{from: halfLives(at)}
			weights[id] = w
		}
		w.sum += math.Exp2(halfLives(at) - w.from)
		return true
	})
	if err != nil {
		return nil, err
	}
	for id, w := range weights {
		// A record whose first rating came between the two reads has no aggregate on the board yet: next time.
		if a, ok := b.records[id]; ok {
			e := chartEntry{id: id, sortKey: math.Log2(w.sum) + w.from, agg: a}
			e.score = math.Exp2(w.from-halfLives(newest)) * w.sum
			t.entries = append(t.entries, e)
		}
	}
	slices.SortFunc(t.entries, compareEntries)
	return t, nil
}

// weight is sum · 2^from, where from is the time of the record's newest rating in half-lives since 1970. Kept apart, neither
// leaves what a float64 can hold over any number of years; and as ratings are added newest first, a record's sort key
// stays the same to the last bit while its ratings do, so that a page begins where the one before has ended.
type weight struct {
	from, sum float64
}

const day = Micros(24 * time.Hour / time.Microsecond)

func halfLives(m Micros) float64 { return float64(m) / float64(halfLife.Microseconds()) }

// window returns the entries from start on: at least size of them where there are as many, ending with a whole group
// of ties if that takes at most slack more. next is the first entry not returned, nil at the end.
func window(entries []chartEntry, start *chartPlace, size, slack int) (page []chartEntry, next *chartPlace) {
	if start != nil {
		i, _ := slices.BinarySearchFunc(entries, start, func(e chartEntry, p *chartPlace) int {
			c := cmp.Or(cmp.Compare(p.sortKey, e.sortKey), cmp.Compare(p.votes, e.agg.Votes), cmp.Compare(e.id, p.afterID))
			if c == 0 && p.afterID != "" {
				return -1 // after this one
			}
			return c
		})
		entries = entries[i:]
	}
	n := min(size, len(entries))
	for n > 0 && n < len(entries) && n < size+slack && sameTie(entries[n-1], entries[n]) {
		n++
	}
	if n == len(entries) {
		return entries, nil
	}
	next = &chartPlace{sortKey: entries[n].sortKey, votes: entries[n].agg.Votes}
	if n > 0 && sameTie(entries[n-1], entries[n]) {
		next.afterID = entries[n-1].id // the group is too large for one piece
	}
	return entries[:n], next
}

// chartPlace is where a page begins: at the group of that sort key and votes or the next one below; with afterID,
// within the group behind that id.
type chartPlace struct {
	sortKey float64
	votes   int64
	afterID string
}
