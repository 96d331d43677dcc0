package search

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"movieexample.com/metadata/internal/text"
)

// filter says which films of a view count.
type filter struct {
	// sets are the sets of genres that have the genre; nil without a filter.
	sets []bool
	// decade is the one looked for, divided by ten; -1 without a filter.
	decade int
}

func (v view) filter(q Query) filter {
	f := filter{decade: -1}
	if q.HasDecade {
		f.decade = noDecade // finds nothing
		if q.Decade >= 0 && q.Decade <= 9990 && q.Decade%10 == 0 {
			f.decade = q.Decade / 10
		}
	}
	if key := text.GenreKey(q.Genre); key != "" {
		f.sets = make([]bool, len(v.sets))
		for i, set := range v.sets {
			f.sets[i] = slices.ContainsFunc(set, func(g uint32) bool { return v.keys[g] == key })
		}
	}
	return f
}

// noDecade is a number that no film's decade has. Films without a year are in the decade 0.
const noDecade = 1000

func (v view) genreFits(f filter, film uint32) bool {
	return f.sets == nil || f.sets[v.genreSet[film]]
}

func (v view) decadeFits(f filter, film uint32) bool {
	// The years 1 to 9 are a decade too, and films of unknown year are in none.
	return f.decade < 0 || int(v.years[film])/10 == f.decade && v.years[film] != 0
}

// tally counts films by genre and by decade.
type tally struct {
	total   int
	genres  map[string]int // by key
	decades [noDecade]int
}

// count counts the films of a view.
func (t *tally) count(v view, f filter, films bitset) {
	bySet := make([]int32, len(v.sets))
	films.each(func(film uint32) {
		genre, decade := v.genreFits(f, film), v.decadeFits(f, film)
		if genre && decade {
			t.total++
		}
		if decade {
			bySet[v.genreSet[film]]++
		}
		if year := v.years[film]; genre && year != 0 {
			t.decades[year/10]++
		}
	})
	byGenre := make([]int, len(v.genres))
	for i, n := range bySet {
		if n > 0 {
			for _, g := range v.sets[i] {
				byGenre[g] += int(n)
			}
		}
	}
	for g, n := range byGenre {
		if n > 0 {
			t.genres[v.keys[g]] += n
		}
	}
}

func (t *tally) result(spelling map[string]string, r *Result) {
	r.Total = t.total
	r.Genres, r.OtherGenres = genreCounts(t.genres, spelling)
	for decade, n := range t.decades {
		if n > 0 {
			r.Decades = append(r.Decades, DecadeCount{Decade: decade * 10, Count: n})
		}
	}
}

// counts are kept up to date with each change, as counting a million films for each is too slow.
type counts struct {
	films   int
	genres  map[string]int // by spelling
	decades map[int]int
}

func newCounts() counts { return counts{genres: map[string]int{}, decades: map[int]int{}} }

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
		out = append(out, GenreCount{Genre: cmp.Or(spelling[key], key), Count: n})
	}
	slices.SortFunc(out, func(a, b GenreCount) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Genre, b.Genre)) })
	if others = len(out) - MaxGenreCounts; others <= 0 {
		return out, 0
	}
	return slices.Clone(out[:MaxGenreCounts]), others
}
