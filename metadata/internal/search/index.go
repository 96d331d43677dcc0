package search

import (
	"slices"
	"sync"
	"sync/atomic"

	"movieexample.com/internal/guard"
)

// Index finds films. It is safe for concurrent use; readers never wait for writers.
type Index struct {
	typos  typos
	levels levels
	// sets lends bitsets to queries.
	sets sync.Pool
	// now is what queries see. It is replaced under mu.
	now atomic.Pointer[snapshot]

	mu     sync.Mutex
	counts counts
	// merged is closed when no merge is running in the background; nil if none is.
	merged chan struct{}
	// broken is the panic of a merge, until the next change reports it.
	broken error
}

// snapshot is a state of the index. Only votes in its segments change.
type snapshot struct {
	views []view // by size, largest first
	stats Stats
	// spelling is how a genre is shown, by its key.
	spelling map[string]string
}

// New returns an index without films.
func New() *Index {
	return newIndex(levels{smallest: 256, fanout: 8})
}

func newIndex(l levels) *Index {
	x := &Index{typos: newTypos(), levels: l, counts: newCounts()}
	x.now.Store(&snapshot{})
	return x
}

// Apply puts and deletes films; the next query sees all of them. Of several changes of one film in
// one call the last one counts.
//
// A call costs some milliseconds and some ten microseconds for each film. Existing segments are
// merged in the background, see [Index.Wait]. Large calls are faster: a million films in calls of
// 50,000 take half the time of calls of 200.
func (x *Index) Apply(changes []Change) {
	last := make(map[string]int, len(changes))
	for i, c := range changes {
		last[c.Film.ID] = i
	}
	var fresh []entry
	for i, c := range changes {
		if last[c.Film.ID] == i && !c.Deleted && c.Film.ID != "" {
			fresh = append(fresh, entryOf(normal(c.Film)))
		}
	}

	x.mu.Lock()
	defer x.mu.Unlock()
	views := slices.Clone(x.now.Load().views)
	owned := map[*segment]bool{} // whose live is a copy already
	for id := range last {
		at, film, ok := locate(views, id)
		if !ok {
			continue
		}
		v := &views[at]
		if !owned[v.segment] {
			v.live, owned[v.segment] = slices.Clone(v.live), true
		}
		v.live.unset(film)
		v.alive--
		x.counts.add(v.film(film), -1)
	}
	weight := 0
	for _, e := range fresh {
		x.counts.add(e.film, 1)
		weight += weightOf(e.film)
	}
	// Small segments and the new films become one, so there is at most one.
	views = slices.DeleteFunc(views, func(v view) bool {
		if len(fresh) > 0 && v.weight()+weight <= x.levels.smallest {
			weight += v.weight()
			fresh = append(fresh, v.entries()...)
			return true
		}
		return v.alive == 0
	})
	if len(fresh) > 0 {
		views = append(views, newView(newSegment(fresh)))
	}
	x.publish(views)
	x.mergeInBackground()
}

// publish makes the views what queries see. x.mu is held.
func (x *Index) publish(views []view) {
	slices.SortStableFunc(views, func(a, b view) int { return b.n - a.n })
	s := &snapshot{views: views}
	s.spelling, s.stats = x.counts.stats()
	x.now.Store(s)
}

// SetVotes sets the number of ratings of films by their ids. Ids that no film has are ignored.
func (x *Index) SetVotes(votes map[string]int32) {
	x.mu.Lock()
	defer x.mu.Unlock()
	views := x.now.Load().views
	for id, n := range votes {
		if at, film, ok := locate(views, id); ok {
			atomic.StoreInt32(&views[at].votes[film], max(n, 0))
		}
	}
}

// Stats counts the catalogue.
func (x *Index) Stats() Stats {
	s := x.now.Load().stats
	s.Genres, s.Decades = slices.Clone(s.Genres), slices.Clone(s.Decades)
	return s
}

// levels say when segments are merged. The first level has segments of up to the weight smallest, each further
// one those of up to fanout times as much. When a level has fanout segments, they become one
// of the next. So a film is indexed again only a few times, however large the catalogue becomes, and
// a query looks into some twenty segments at most.
type levels struct{ smallest, fanout int }

// of is the level of a segment of a weight.
func (l levels) of(weight int) int {
	level := 0
	for size := l.smallest; weight > size; size *= l.fanout {
		level++
	}
	return level
}

// toMerge are the segments to merge next, nil if there are none: a full level, or a
// segment that has lost more than half of its films.
func (l levels) toMerge(views []view) []*segment {
	byLevel := map[int][]*segment{}
	for _, v := range views {
		level := l.of(v.weight())
		byLevel[level] = append(byLevel[level], v.segment)
		if len(byLevel[level]) == l.fanout {
			return byLevel[level]
		}
	}
	for _, v := range views {
		if v.n > l.smallest && v.alive < v.n/2 {
			return []*segment{v.segment}
		}
	}
	return nil
}

// mergeInBackground starts merging if there is something to merge and no merge runs yet. x.mu is held.
func (x *Index) mergeInBackground() {
	if x.merged != nil || x.levels.toMerge(x.now.Load().views) == nil {
		return
	}
	if err := x.broken; err != nil {
		x.broken = nil
		panic(err) // in the goroutine of a job, which is guarded and has a log
	}
	done := make(chan struct{})
	x.merged = done
	go func() {
		defer close(done)
		_, err := guard.Catch("merge segments", func() (struct{}, error) {
			for x.mergeOnce() {
			}
			return struct{}{}, nil
		})
		if err != nil { // nothing was published: answers stay right
			x.mu.Lock()
			defer x.mu.Unlock()
			x.merged, x.broken = nil, err
		}
	}()
}

// Wait returns when no merge is running. Answers do not depend on it; a process that ends, or a test
// that counts goroutines, calls it after the last Apply.
func (x *Index) Wait() {
	for {
		x.mu.Lock()
		done := x.merged
		x.mu.Unlock()
		if done == nil {
			return
		}
		<-done
	}
}

// mergeOnce merges some segments and reports whether it did. Building a large one takes seconds, in which
// other changes may apply; mergeOnce applies what they did to the merged films in the end.
func (x *Index) mergeOnce() bool {
	x.mu.Lock()
	var from []view
	merging := x.levels.toMerge(x.now.Load().views)
	if merging == nil {
		x.merged = nil
		x.mu.Unlock()
		return false
	}
	for _, v := range x.now.Load().views {
		if slices.Contains(merging, v.segment) {
			from = append(from, v)
		}
	}
	x.mu.Unlock()

	var entries []entry
	for _, v := range from {
		entries = append(entries, v.entries()...)
	}
	into := newView(newSegment(entries))

	x.mu.Lock()
	defer x.mu.Unlock()
	var views []view
	for _, v := range x.now.Load().views {
		at := slices.IndexFunc(from, func(f view) bool { return f.segment == v.segment })
		if at < 0 {
			views = append(views, v)
			continue
		}
		// Films only ever leave a segment: a changed one is in another.
		from[at].live.each(func(film uint32) {
			to, ok := into.find(v.id(film))
			switch {
			case !ok:
			case v.live.has(film):
				into.votes[to] = v.votesOf(film)
			default:
				into.live.unset(to)
				into.alive--
			}
		})
		from[at].segment = nil
	}
	// A segment that Apply has merged into a small one since then is gone, and so are its films.
	for _, f := range from {
		if f.segment == nil {
			continue
		}
		f.live.each(func(film uint32) {
			if to, ok := into.find(f.id(film)); ok && into.live.has(to) {
				into.live.unset(to)
				into.alive--
			}
		})
	}
	if into.alive > 0 {
		views = append(views, into)
	}
	x.publish(views)
	return true
}
