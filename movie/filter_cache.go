package movie

import (
	"context"
	"sync"
)

const (
	// filterFilms and filterCount bound a filter cache in films and in filters. A full one is replaced by an empty one.
	filterFilms = 200_000
	filterCount = 500
)

// filterCache holds what the metadata service answered about the films of charts: which exist and match a filter, and their sort
// keys. All charts and pages share it, so that each filter asks for a film once, however often the order changes.
//
// It is fresh as long as a page of the catalogue that was read when it began.
type filterCache struct {
	catalogue catalogue
	read      readView // before the first call

	mu      sync.Mutex
	numbers map[string]int32 // by id
	sort    []string         // by number; only those of films that matched something are known
	sets    map[filterKey]*matchSet
}

// matchSet is what is known of films under one filter, by number.
type matchSet struct{ asked, matches bits }

// bits are a set of numbers.
type bits []uint64

func (b bits) has(n int32) bool { return int(n/64) < len(b) && b[n/64]&(1<<(n%64)) != 0 }

func (b *bits) add(n int32) {
	if need := int(n/64) + 1 - len(*b); need > 0 {
		*b = append(*b, make([]uint64, need)...)
	}
	(*b)[n/64] |= 1 << (n % 64)
}

func newFilterCache(c catalogue, read readView) *filterCache {
	return &filterCache{catalogue: c, read: read, numbers: map[string]int32{}, sets: map[filterKey]*matchSet{}}
}

func (c *filterCache) full() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.numbers) > filterFilms || len(c.sets) > filterCount
}

// match returns, by entry, whether its film exists and matches, and its sort key if so. It asks the metadata service for films that
// are not known under this filter.
func (c *filterCache) match(ctx context.Context, entries []chartEntry, f filter) (sort []string, matches []bool, err error) {
	numbers, set, unknown := c.lookUp(entries, f.key())
	var keys map[string]string
	if len(unknown) > 0 {
		if keys, err = c.catalogue.sortKeys(ctx, unknown, f); err != nil {
			return nil, nil, err
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, id := range unknown {
		n := c.numbers[id]
		set.asked.add(n)
		if key, ok := keys[id]; ok {
			set.matches.add(n)
			c.sort[n] = key
		}
	}
	sort, matches = make([]string, len(numbers)), make([]bool, len(numbers))
	for i, n := range numbers {
		if set.matches.has(n) {
			sort[i], matches[i] = c.sort[n], true
		}
	}
	return sort, matches, nil
}

// lookUp returns the entries' numbers, the filter's match set, and the ids of which it does not know.
func (c *filterCache) lookUp(entries []chartEntry, key filterKey) (numbers []int32, set *matchSet, unknown []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if set = c.sets[key]; set == nil {
		set = &matchSet{}
		c.sets[key] = set
	}
	numbers = make([]int32, len(entries))
	for i := range entries {
		n, ok := c.numbers[entries[i].id]
		if !ok {
			n = int32(len(c.numbers))
			c.numbers[entries[i].id] = n
			c.sort = append(c.sort, "")
		}
		if numbers[i] = n; !set.asked.has(n) {
			unknown = append(unknown, entries[i].id)
		}
	}
	return numbers, set, unknown
}
