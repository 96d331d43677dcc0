package search

import (
	"slices"

	"movieexample.com/internal/guard"
)

// levels say when segments are merged. The first level holds segments of up to the weight smallest, each further
// one those of up to fanout times as much. When a level has as many segments as fanout, they become one
// of the next. A film is so rebuilt a few times in all, however large the catalogue becomes, and
// a query looks into some twenty segments at most.
type levels struct{ smallest, fanout int }

// weightBytes is how much text of a film counts as much as a film does.
const weightBytes = 512

// weightOf is what building a film costs: 1 for almost all. One with fifty titles of 500 letters takes as long as a hundred others, and
// must not be built again with each change.
func weightOf(f Film) int {
	n := len(f.Title) + len(f.Director)
	for _, name := range f.Alternatives {
		n += len(name)
	}
	return 1 + n/weightBytes
}

// weight is what building the films that are still there costs.
func (v view) weight() int { return v.segment.weight * v.alive / v.n }

// of is the level of a segment of a weight.
func (l levels) of(weight int) int {
	level := 0
	for size := l.smallest; weight > size; size *= l.fanout {
		level++
	}
	return level
}

// toMerge are the segments to merge next, nil if there are none: a level that is full, or a
// segment more than half of whose films are gone.
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

// mergeInBackground starts merging if there is something to merge and nobody does yet. x.mu is held.
func (x *Index) mergeInBackground() {
	if x.merged != nil || x.levels.toMerge(x.now.Load().views) == nil {
		return
	}
	if err := x.broken; err != nil {
		x.broken = nil
		panic(err) // in the goroutine of a job, which is guarded, and where a log is
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
		if err != nil { // nothing was published: answers are right without
			x.mu.Lock()
			defer x.mu.Unlock()
			x.merged, x.broken = nil, err
		}
	}()
}

// Wait returns when no merge is running. Answers do not depend on it; a process that ends, or a test
// that counts goroutines, calls it behind the last Apply.
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

// mergeOnce merges some segments and reports whether it did. Building takes seconds for a large one, and
// goes on beside other changes; what they did meanwhile to the films that are merged is made up for
// in the end.
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
		// Films only ever go from a segment: a changed one is in another.
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
	// A segment that Apply took into a small one meanwhile is not there any more, nor are its films.
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
