package search

// Search answers a query.
//
// It uses one state of the index, even if changes are applied at the same time; only votes may change.
func (x *Index) Search(q Query) Result {
	parsed := parse(q.Text)
	if len(parsed.groups) == 0 {
		return Result{}
	}
	now := x.now.Load()
	limit := max(q.Limit, 0)
	more := 0
	if limit > 0 {
		more = limit + 1 // one more shows whether there is a next page
	}
	counts := tally{genres: map[string]int{}}
	shared := newAutomata(x.typos)
	var best []ranked
	for _, v := range now.views {
		s := newScratch(&x.sets, v.n)
		m := matcher{view: v, scratch: s, automata: shared}
		f := m.find(&parsed)
		fits := v.filter(q)
		c := collector{view: v, q: &parsed, filter: fits, limit: more, after: q.After}
		if more > 0 && len(best) == more {
			c.bound = &best[more-1].candidate
		}
		c.collect(f)
		best = mergeBest(best, &c, more)
		if !q.NoCounts {
			counts.count(v, fits, f.all)
		}
		s.free()
	}

	var r Result
	if len(best) > limit {
		best = best[:limit]
		last := best[limit-1]
		r.Next = &Position{Tier: last.tier, Votes: last.votes, Key: last.key, ID: last.id}
	}
	for _, b := range best {
		r.Hits = append(r.Hits, parsed.hit(b))
	}
	if !q.NoCounts {
		counts.result(now.spelling, &r)
	}
	return r
}

// Judge returns a hit of the query for the film as it is now, which may differ from the film in the index. ok is
// false if the query does not find the film as it is now.
func (x *Index) Judge(q Query, h Hit, now Film) (judged Hit, ok bool) {
	if h.film.isAs(normal(now)) {
		return h, true
	}
	one := &Index{typos: x.typos, levels: x.levels, counts: newCounts()}
	one.now.Store(&snapshot{})
	one.Apply([]Change{{Film: now}})
	q.After, q.Limit, q.NoCounts = nil, 1, true
	r := one.Search(q)
	if len(r.Hits) == 0 {
		return Hit{}, false
	}
	return r.Hits[0], true
}
