package search

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"movieexample.com/metadata/internal/text"
)

// model is a slow implementation of an Index: every query looks at every film. It
// shares the parsing of texts with the index (chunks, keysOf, parse) and nothing else.
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

// osa is the restricted Damerau-Levenshtein distance between a and each prefix of b, the empty one
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

func allowed(letters int) int {
	switch {
	case letters < 5:
		return 0
	case letters < 9:
		return 1
	}
	return 2
}

// names are the words of some names, and those that neighbours in them become when written together.
type names struct{ words, joins []string }

func namesOf(all ...string) names {
	n := names{words: wordsOf(all...)}
	for _, name := range all {
		eachJoin(name, func(w string, _, _ int) { n.joins = append(n.joins, w) })
	}
	return n
}

// typosTo is how many typos the word is from the nearest of some words; never if more than it may have. If literal is
// set, its other forms do not count.
func typosTo(w word, n names, literal bool) int {
	is := func(other string) bool { return other == w.text || w.prefix && strings.HasPrefix(other, w.text) }
	if slices.ContainsFunc(n.words, is) {
		return 0
	}
	if literal {
		return never
	}
	letters := len([]rune(w.text))
	isNumber := isDigits(w.text)
	if slices.ContainsFunc(n.words, func(other string) bool { return slices.Contains(w.forms, other) }) {
		return 0
	}
	if letters >= minJoin && letters <= maxTypoWord && !isNumber && slices.ContainsFunc(n.joins, is) {
		return 0
	}
	if isNumber || letters > maxTypoWord {
		return never
	}
	best := never
	for _, other := range n.words {
		b := []rune(other)
		row := osa([]rune(w.text), b)
		if d := row[len(b)]; d <= max(allowed(letters), allowed(len(b))) && (w.loose || edgeDigits(w.text) == edgeDigits(other)) {
			best = min(best, d)
		}
		if d := slices.Min(row); w.prefix && (w.loose || edgeDigits(w.text) == "") && d <= allowed(letters) {
			best = min(best, d)
		}
	}
	return best
}

func typosOfGroup(g group, n names, literal bool) int {
	best := never
	for _, r := range g.readings {
		if literal && r.guessed {
			continue
		}
		sum := 0
		for _, w := range r.words {
			sum += typosTo(w, n, literal)
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
	// hasAll reports whether each group matches within so many typos in all; as typed if typos is asIs.
	const asIs = -1
	hasAll := func(typos int, withYear bool, all ...string) bool {
		n := namesOf(all...)
		sum := 0
		for _, g := range q.groups {
			if n := typosOfGroup(g, n, typos == asIs); n > 0 && withYear && g.year != 0 && g.year == f.Year {
				continue
			} else {
				sum += n
			}
		}
		return sum <= max(typos, 0)
	}
	solid := func(key string) string { return strings.ReplaceAll(key, " ", "") }
	everything := append(slices.Clone(titles), f.Director)
	switch {
	case any(func(name string) bool { return text.GenreKey(name) == q.typed }):
		return tierSame
	case any(func(name string) bool { return text.Fold(name) == q.keys.full }):
		return tierAsTyped
	case pairs(func(mine, key string) bool { return mine == key }):
		return tierExact
	case any(func(name string) bool {
		return slices.ContainsFunc(keysOf(name).all, func(key string) bool {
			return len(q.solid) > 0 && slices.ContainsFunc(q.keys.all, func(mine string) bool { return solid(mine) == solid(key) })
		})
	}):
		return tierExact
	case q.article != "" && any(func(name string) bool { return strings.HasPrefix(text.Fold(name), q.article) }):
		return tierBegins
	case q.initials != "" && any(func(name string) bool { return initialsOf(name) == q.initials }):
		return tierBegins
	case any(func(name string) bool { return hasAll(asIs, false, name) }):
		return tierTitle
	case any(func(name string) bool { return hasAll(asIs, true, name) }):
		return tierYear
	case hasAll(asIs, true, everything...):
		return tierAll
	case hasAll(0, true, everything...):
		return tierForms
	case pairs(func(mine, key string) bool {
		letters := len([]rune(mine))
		return letters <= maxTypoName && osaWhole(mine, key) <= allowed(max(letters, len([]rune(key)))) && edgeDigits(mine) == edgeDigits(key)
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

// answer is what a query must find: positions represent hits.
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
	return Stats{Films: len(m), Counts: Counts{Genres: m.genreCounts(genres), Decades: decadeCounts(decades)}}
}
