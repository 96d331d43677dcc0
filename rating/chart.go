package rating

import (
	"cmp"
	"context"
	"math"
	"slices"
	"sync"
	"time"
)

// Trending: a rating's weight halves every halfLife. Ratings more than trendingSpan older than the newest one weigh less than 2^-16 of
// it and are skipped once trendingEnough records are in the chart, which bounds the work on a busy catalogue; a quiet one, such as an
// import with one new rating, keeps all its records in the chart. Reading ends at the beginning of a day (UTC), so that its end, and
// with it the place of records without new ratings, does not move with every rating.
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

// sameTie reports whether a and b tie in the chart.
func sameTie(a, b chartEntry) bool { return a.sortKey == b.sortKey && a.agg.Votes == b.agg.Votes }

func compareEntries(a, b chartEntry) int {
	return cmp.Or(cmp.Compare(b.sortKey, a.sortKey), cmp.Compare(b.agg.Votes, a.agg.Votes), cmp.Compare(a.id, b.id))
}

// snapshot is everything that is computed from all aggregates of one record type at once.
type snapshot struct {
	asOf    time.Time
	totals  totals
	votes   votesDigest
	prior   Prior
	records map[string]*Aggregate

	popular func() []chartEntry

	mu   sync.Mutex
	tops []rankedTop // by the Bayesian estimate: first the ranking for prior, then those requested last
}

// topsKept is how many rankings by the Bayesian estimate a snapshot keeps: one for each prior with which a walk began.
const topsKept = 8

// rankedTop is the chart "top" by a prior's mean.
type rankedTop struct {
	mean    float64
	entries func() []chartEntry
}

// trendKey is a record type, and since when its ratings count; 0: buildTrend decides.
type trendKey struct {
	recordType string
	since      Micros
}

// trend is the trending chart of one record type.
type trend struct {
	asOf     time.Time // of the decayed numbers
	since    Micros    // ratings from before are not in it; 0: all are
	snapshot *snapshot // whose aggregates the entries show
	entries  []chartEntry
}

// buildSnapshot reads every aggregate of a type. It holds the records once; the charts sort pointers to them on first use.
func buildSnapshot(ctx context.Context, s *store, recordType string, minVotes int) (*snapshot, error) {
	sn := &snapshot{asOf: s.now(), records: make(map[string]*Aggregate)}
	err := s.scanAggregates(ctx, recordType, func(id string, a Aggregate) {
		sn.records[id] = &a
		sn.totals.Records++
		sn.totals.Ratings += a.Votes
		sn.totals.Sum += a.Sum
		sn.votes.add(id, a.Votes)
	})
	if err != nil {
		return nil, err
	}
	sn.prior = Prior{MinVotes: minVotes, Mean: sn.totals.mean()}
	sn.topBy(sn.prior) // is first
	sn.popular = sync.OnceValue(func() []chartEntry {
		return sn.rank(1, func(a Aggregate) float64 { return float64(a.Votes) })
	})
	return sn, nil
}

// top returns the chart "top" by the Bayesian estimate with a prior: the snapshot's own, or that of a walk's first page. With the same
// prior, records whose ratings stay the same have the same order in every snapshot, to the last bit.
func (sn *snapshot) top(prior Prior) []chartEntry { return sn.topBy(prior).entries() }

func (sn *snapshot) topBy(prior Prior) rankedTop {
	sn.mu.Lock()
	defer sn.mu.Unlock()
	for _, t := range sn.tops {
		if t.mean == prior.Mean {
			return t
		}
	}
	t := rankedTop{mean: prior.Mean, entries: sync.OnceValue(func() []chartEntry {
		return sn.rank(int64(prior.MinVotes), prior.Weighted)
	})}
	if len(sn.tops) == topsKept {
		sn.tops = slices.Delete(sn.tops, 1, 2) // the oldest that is not the snapshot's own
	}
	sn.tops = append(sn.tops, t)
	return t
}

func (sn *snapshot) rank(minVotes int64, score func(Aggregate) float64) []chartEntry {
	var out []chartEntry
	for id, a := range sn.records {
		if a.Votes >= minVotes {
			s := score(*a)
			out = append(out, chartEntry{id: id, score: s, sortKey: s, agg: a})
		}
	}
	slices.SortFunc(out, compareEntries)
	return out
}

// buildTrend sums, per record, 2^(-age/halfLife) over its ratings, as of the newest rating: a catalogue without new ratings keeps its
// last chart instead of fading to nothing. It reads the ratings since key.since, if that is not 0.
func buildTrend(ctx context.Context, s *store, key trendKey, sn *snapshot, enough int) (*trend, error) {
	t := &trend{asOf: s.now(), since: key.since, snapshot: sn}
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
		// A record whose first rating came between the two reads has no aggregate in the snapshot yet.
		if a, ok := sn.records[id]; ok {
			e := chartEntry{id: id, sortKey: math.Log2(w.sum) + w.from, agg: a}
			e.score = math.Exp2(w.from-halfLives(newest)) * w.sum
			t.entries = append(t.entries, e)
		}
	}
	slices.SortFunc(t.entries, compareEntries)
	return t, nil
}

// weight is sum · 2^from, where from is the time of the record's newest rating in half-lives since 1970. Kept apart, neither exceeds
// a float64 over any number of years. Ratings are added newest first, so a record's sort key stays the same to the last bit while its
// ratings do, and a page begins where the previous one ended.
type weight struct {
	from, sum float64
}

const day = Micros(24 * time.Hour / time.Microsecond)

func halfLives(m Micros) float64 { return float64(m) / float64(halfLife.Microseconds()) }

// window returns the entries from start on: at least size of them if there are as many, ending with a whole group of ties if that
// takes at most slack more. next is the first entry not returned, nil at the end.
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
		next.afterID = entries[n-1].id // the group is too large for one page
	}
	return entries[:n], next
}

// chartPlace is where a page begins: at the group of that sort key and votes or the next one below; with afterID, within the group
// after that id.
type chartPlace struct {
	sortKey float64
	votes   int64
	afterID string
}
