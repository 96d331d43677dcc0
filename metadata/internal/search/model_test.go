package search

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"movieexample.com/metadata/internal/text"
)

// model is what an Index promises, done the slow way: every query looks at every film by itself. It
// shares the reading of texts with the index (chunks, keysOf, parse) and nothing behind that.
type model map[string]Film

func (m model) apply(changes []Change) {
	for _, c := range changes {
		if c.Deleted {
			delete(m, c.Film.ID)
		} else {
			m[c.Film.ID] = normal(c.Film)
		}
	}
}

func (m model) setVotes(votes map[string]int32) {
	for id, n := range votes {
		if f, ok := m[id]; ok {
			f.Votes = n
			m[id] = f
		}
	}
}

// osa is the restricted distance of Damerau and Levenshtein between a and each beginning of b, the empty one
// first, by the textbook's table.
func osa(a, b []rune) []int {
	d := make([][]int, len(a)+1)
	for i := range d {
		d[i] = make([]int, len(b)+1)
		d[i][0] = i
	}
	for j := range d[0] {
		d[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			d[i][j] = min(d[i-1][j]+1, d[i][j-1]+1, d[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d[i][j] = min(d[i][j], d[i-2][j-2]+1)
			}
		}
	}
	return d[len(a)]
}

func osaWhole(a, b string) int {
	row := osa([]rune(a), []rune(b))
	return row[len(row)-1]
}

const never = 1000

// typosTo is how many typos the word is away from the nearest of some words; never if more than it may have.
func typosTo(w word, words []string) int {
	best := never
	for _, other := range words {
		b := []rune(other)
		row := osa([]rune(w.text), b)
		best = min(best, row[len(b)])
		if w.prefix {
			best = min(best, slices.Min(row))
		}
	}
	if best > w.typos {
		return never
	}
	return best
}

func typosOfGroup(g group, words []string) int {
	best := never
	for _, reading := range g.readings {
		sum := 0
		for _, w := range reading {
			sum += typosTo(w, words)
		}
		best = min(best, sum)
	}
	return best
}

func wordsOf(names ...string) []string {
	var words []string
	for _, name := range names {
		eachWord(name, func(w string, _, _ int) { words = append(words, w) })
	}
	return words
}

// tier is the tier of a film, or -1 if the query does not find it.
func (m model) tier(q query, f Film) int {
	titles := append([]string{f.Title}, f.Alternatives...)
	any := func(is func(name string) bool) bool { return slices.ContainsFunc(titles, is) }
	variants := slices.Clone(q.keys.all)
	for _, y := range q.years {
		if y.year == f.Year {
			variants = append(variants, y.keys.all...)
		}
	}
	pairs := func(same func(mine, key string) bool) bool {
		return any(func(name string) bool {
			return slices.ContainsFunc(keysOf(name).all, func(key string) bool {
				return slices.ContainsFunc(variants, func(mine string) bool { return same(mine, key) })
			})
		})
	}
	// hasAll reports whether each group matches within so many typos in all.
	hasAll := func(typos int, withYear bool, names ...string) bool {
		words := wordsOf(names...)
		sum := 0
		for _, g := range q.groups {
			if n := typosOfGroup(g, words); n > 0 && withYear && g.year != 0 && g.year == f.Year {
				continue
			} else {
				sum += n
			}
		}
		return sum <= typos
	}
	everything := append(slices.Clone(titles), f.Director)
	switch {
	case any(func(name string) bool { return text.Fold(name) == q.keys.full }):
		return tierAsTyped
	case pairs(func(mine, key string) bool { return mine == key }):
		return tierExact
	case q.article != "" && any(func(name string) bool { return strings.HasPrefix(text.Fold(name), q.article) }):
		return tierBegins
	case any(func(name string) bool { return hasAll(0, false, name) }):
		return tierTitle
	case any(func(name string) bool { return hasAll(0, true, name) }):
		return tierYear
	case hasAll(0, true, everything...):
		return tierAll
	case pairs(func(mine, key string) bool {
		return typosOfName(mine) > 0 && osaWhole(mine, key) <= typosOfName(mine) && numbers(mine) == numbers(key)
	}):
		return tierName
	case hasAll(1, true, everything...):
		return tierTypo
	case hasAll(never-1, true, everything...):
		return tierTypos
	}
	return -1
}

func compare(a, b Position) int {
	return cmp.Or(a.Tier-b.Tier, cmp.Compare(b.Votes, a.Votes), strings.Compare(a.Key, b.Key), strings.Compare(a.ID, b.ID))
}

// answer is what a query must find: positions stand for hits.
type answer struct {
	Hits    []Position
	More    bool
	Total   int
	Genres  []GenreCount
	Decades []DecadeCount
}

func (m model) search(q Query) answer {
	var a answer
	parsed := parse(q.Text)
	if len(parsed.groups) == 0 {
		return a
	}
	genres, decades := map[string]int{}, map[int]int{}
	for _, f := range m {
		tier := m.tier(parsed, f)
		if tier < 0 {
			continue
		}
		inGenre := text.GenreKey(q.Genre) == "" || slices.ContainsFunc(f.Genres, func(g string) bool { return text.GenreKey(g) == text.GenreKey(q.Genre) })
		inDecade := !q.HasDecade || f.Year != 0 && f.Year/10*10 == q.Decade
		if inDecade {
			for _, g := range f.Genres {
				genres[text.GenreKey(g)]++
			}
		}
		if inGenre && f.Year != 0 {
			decades[f.Year/10*10]++
		}
		if !inGenre || !inDecade {
			continue
		}
		a.Total++
		p := Position{Tier: tier, Votes: f.Votes, Key: text.SortKey(f.Title), ID: f.ID}
		if q.After == nil || compare(p, *q.After) > 0 {
			a.Hits = append(a.Hits, p)
		}
	}
	slices.SortFunc(a.Hits, compare)
	if len(a.Hits) > q.Limit {
		a.Hits, a.More = a.Hits[:q.Limit], q.Limit > 0
	}
	a.Genres, a.Decades = m.genreCounts(genres), decadeCounts(decades)
	return a
}

func (m model) genreCounts(byKey map[string]int) []GenreCount {
	spellings := map[string]map[string]int{}
	for _, f := range m {
		for _, g := range f.Genres {
			key := text.GenreKey(g)
			if spellings[key] == nil {
				spellings[key] = map[string]int{}
			}
			spellings[key][g]++
		}
	}
	var out []GenreCount
	for key, n := range byKey {
		names := slices.Sorted(maps.Keys(spellings[key]))
		best := slices.MaxFunc(names, func(a, b string) int { return spellings[key][a] - spellings[key][b] })
		out = append(out, GenreCount{Genre: best, Count: n})
	}
	slices.SortFunc(out, func(a, b GenreCount) int { return cmp.Or(b.Count-a.Count, strings.Compare(a.Genre, b.Genre)) })
	return out
}

func decadeCounts(byDecade map[int]int) []DecadeCount {
	var out []DecadeCount
	for _, d := range slices.Sorted(maps.Keys(byDecade)) {
		out = append(out, DecadeCount{Decade: d, Count: byDecade[d]})
	}
	return out
}

func (m model) stats() Stats {
	genres, decades := map[string]int{}, map[int]int{}
	for _, f := range m {
		for _, g := range f.Genres {
			genres[text.GenreKey(g)]++
		}
		if f.Year != 0 {
			decades[f.Year/10*10]++
		}
	}
	return Stats{Films: len(m), Genres: m.genreCounts(genres), Decades: decadeCounts(decades)}
}
