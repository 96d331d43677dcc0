package search

import (
	"cmp"
	"container/heap"
	"math/bits"
	"slices"
	"strings"

	"movieexample.com/metadata/internal/text"
)

// candidate is a film of a view that may become a hit.
type candidate struct {
	tier  int
	votes int32
	film  uint32
}

// before is the order of hits within a view.
func (c candidate) before(d candidate) bool {
	switch {
	case c.tier != d.tier:
		return c.tier < d.tier
	case c.votes != d.votes:
		return c.votes > d.votes
	}
	return c.film < d.film
}

// top is a heap of the best elements so far, with the worst of them first.
type top[T interface{ before(T) bool }] []T

func (h top[T]) Len() int           { return len(h) }
func (h top[T]) Less(i, j int) bool { return h[j].before(h[i]) }
func (h top[T]) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *top[T]) Push(v any)        { *h = append(*h, v.(T)) }
func (h *top[T]) Pop() any          { return nil } // completes the interface; nothing calls it

// offer adds v if it is one of the best limit elements.
func (h *top[T]) offer(v T, limit int) {
	if len(*h) < limit {
		heap.Push(h, v)
	} else if v.before((*h)[0]) {
		(*h)[0] = v
		heap.Fix(h, 0)
	}
}

// collector keeps the best films of one view.
type collector struct {
	view   view
	q      *query
	filter filter
	limit  int
	// after is where the page starts; among films of the same tier and votes, it starts with the film behind.
	after  *Position
	behind uint32
	// bound is the worst hit of the other views, if these have enough hits. Worse films are skipped, but not
	// those of equal tier and votes.
	bound *candidate

	best top[candidate]
}

// collect goes through all films that were found.
func (c *collector) collect(f found) {
	if c.limit <= 0 {
		return
	}
	if c.after != nil {
		c.behind = c.view.firstBehind(c.after.Key, c.after.ID)
	}
	for tier, films := range f.tiers {
		if films == nil || c.done(tier) {
			continue
		}
		if tier == tierTitle || tier == tierYear {
			c.offerUncertain(tier, films, f.uncertain)
			films.andNot(f.uncertain)
		}
		if c.after == nil || tier >= c.after.Tier {
			films.each(func(film uint32) { c.offer(tier, film) })
		}
	}
}

// done reports whether no film of the tier or a later one can be a hit.
func (c *collector) done(tier int) bool {
	if c.bound != nil && c.bound.tier < tier {
		return true
	}
	return len(c.best) == c.limit && c.best[0].tier < tier
}

// offerUncertain offers films that are of the tier or a later one, with the tier that their titles give.
func (c *collector) offerUncertain(tier int, films, uncertain bitset) {
	for i, w := range films {
		for w &= uncertain[i]; w != 0; w &= w - 1 {
			film := uint32(i<<6 + bits.TrailingZeros64(w))
			if c.wanted(candidate{tier: tier, votes: c.view.votesOf(film), film: film}) {
				c.offer(c.q.titleTier(c.view.texts(film).titles(), int(c.view.years[film])), film)
			}
		}
	}
}

// wanted reports whether a candidate is better than the worst hit so far.
func (c *collector) wanted(d candidate) bool {
	if c.bound != nil && (d.tier > c.bound.tier || d.tier == c.bound.tier && d.votes < c.bound.votes) {
		return false
	}
	return len(c.best) < c.limit || d.before(c.best[0])
}

func (c *collector) offer(tier int, film uint32) {
	d := candidate{tier: tier, votes: c.view.votesOf(film), film: film}
	if c.wanted(d) && c.isAfter(d) && c.view.genreFits(c.filter, film) && c.view.decadeFits(c.filter, film) {
		c.best.offer(d, c.limit)
	}
}

// isAfter reports whether a candidate comes after the position where the page starts.
func (c *collector) isAfter(d candidate) bool {
	switch {
	case c.after == nil:
		return true
	case d.tier != c.after.Tier:
		return d.tier > c.after.Tier
	case d.votes != c.after.Votes:
		return d.votes < c.after.Votes
	}
	return d.film >= c.behind
}

// ranked is a candidate with the fields that compare it to those of other views.
type ranked struct {
	candidate
	view    view
	key, id string
}

func (r ranked) compare(s ranked) int {
	return cmp.Or(cmp.Compare(r.tier, s.tier), cmp.Compare(s.votes, r.votes), strings.Compare(r.key, s.key), strings.Compare(r.id, s.id))
}

// mergeBest merges the best of a view into those of others.
func mergeBest(best []ranked, c *collector, limit int) []ranked {
	for _, d := range c.best {
		best = append(best, ranked{candidate: d, view: c.view, key: text.SortKey(c.view.title(d.film)), id: c.view.id(d.film)})
	}
	slices.SortFunc(best, ranked.compare)
	return best[:min(limit, len(best))]
}
