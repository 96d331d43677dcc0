package search

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"movieexample.com/metadata/internal/text"
)

// Index finds films. It is safe for concurrent use; readers never wait for writers.
type Index struct {
	typos  typos
	levels levels
	// sets lends bitsets to queries.
	sets sync.Pool
	// now is what queries see. Who replaces it holds mu.
	now atomic.Pointer[snapshot]

	mu     sync.Mutex
	counts counts
	// merged is closed when no merge is running in the background; nil if none is.
	merged chan struct{}
	// broken is the panic of a merge, until the next change.
	broken error
}

// snapshot is a state of the index. It is not changed, but for votes in its segments.
type snapshot struct {
	views []view // by size, largest first
	stats Stats
	// spelling is how a genre is shown, by its key.
	spelling map[string]string
}

// view is a segment with the films of it that are still there.
type view struct {
	*segment
	live bitset
	// alive is the number of films in live.
	alive int
}

// counts are kept up to date with each change, as counting a million films for each is too slow.
type counts struct {
	films   int
	genres  map[string]int // by spelling
	decades map[int]int
}

func newCounts() counts { return counts{genres: map[string]int{}, decades: map[int]int{}} }

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
// A call costs some milliseconds and some ten microseconds for each film. Merging what is there
// already goes on in the background, see [Index.Wait]. Who has many films at hand should pass
// many at once: a million in calls of 50,000 take half the time of calls of 200.
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
	// Small segments become one with the new films, so there is at most one.
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

func newView(s *segment) view {
	v := view{segment: s, live: make(bitset, bitsetLen(s.n)), alive: s.n}
	v.live.fill(s.n)
	return v
}

// entries are the films that are still there.
func (v view) entries() []entry {
	out := make([]entry, 0, v.alive)
	v.live.each(func(film uint32) { out = append(out, entryOf(v.film(film))) })
	return out
}

// locate finds the film with the id.
func locate(views []view, id string) (at int, film uint32, ok bool) {
	for i, v := range views {
		if film, ok := v.find(id); ok && v.live.has(film) {
			return i, film, true
		}
	}
	return 0, 0, false
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

// add counts a film by times.
func (c *counts) add(f Film, times int) {
	c.films += times
	for _, g := range f.Genres {
		if c.genres[g] += times; c.genres[g] == 0 {
			delete(c.genres, g)
		}
	}
	if f.Year != 0 {
		decade := f.Year / 10 * 10
		if c.decades[decade] += times; c.decades[decade] == 0 {
			delete(c.decades, decade)
		}
	}
}

// stats are the counts, and how each genre is spelled.
func (c *counts) stats() (spelling map[string]string, s Stats) {
	spelling = make(map[string]string, len(c.genres))
	byKey := make(map[string]int, len(c.genres))
	for _, g := range slices.Sorted(maps.Keys(c.genres)) {
		key := text.GenreKey(g)
		byKey[key] += c.genres[g]
		if before, ok := spelling[key]; !ok || c.genres[g] > c.genres[before] {
			spelling[key] = g
		}
	}
	s.Films = c.films
	s.Genres, s.OtherGenres = genreCounts(byKey, spelling)
	for _, decade := range slices.Sorted(maps.Keys(c.decades)) {
		s.Decades = append(s.Decades, DecadeCount{Decade: decade, Count: c.decades[decade]})
	}
	return spelling, s
}

// genreCounts are the greatest counts by key in the order in which they are shown, and how many others there are.
func genreCounts(byKey map[string]int, spelling map[string]string) (out []GenreCount, others int) {
	for key, n := range byKey {
		name, ok := spelling[key]
		if !ok {
			name = key
		}
		out = append(out, GenreCount{Genre: name, Count: n})
	}
	slices.SortFunc(out, func(a, b GenreCount) int {
		if a.Count != b.Count {
			return b.Count - a.Count
		}
		return strings.Compare(a.Genre, b.Genre)
	})
	if others = len(out) - MaxGenreCounts; others <= 0 {
		return out, 0
	}
	return slices.Clone(out[:MaxGenreCounts]), others
}
