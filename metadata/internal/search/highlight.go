package search

import (
	"cmp"
	"slices"
	"sort"
	"strings"

	"golang.org/x/text/unicode/norm"

	"movieexample.com/metadata/internal/text"
)

// hit is a ranked film as the query's hit.
func (q *query) hit(r ranked) Hit {
	film := r.view.record(r.film)
	year := int(r.view.years[r.film])
	name, kind := q.matchedName(film, r.tier, year)
	h := Hit{ID: film.id, Kind: kind, Title: q.pieces(film.title, r.tier, name == film.title)}
	if name != film.title {
		h.MatchedName = q.pieces(name, r.tier, true)
	}
	return h
}

// matchedName is the name of the film that earns it the tier, the title before others, and the kind of
// match it is.
func (q *query) matchedName(film record, tier, year int) (name string, kind Kind) {
	earns := func(string) bool { return false }
	switch tier {
	case tierAsTyped:
		kind, earns = Exact, func(name string) bool { return text.Fold(name) == q.keys.full }
	case tierExact:
		kind, earns = Exact, func(name string) bool { return q.isName(keysOf(name).all, year, sameKey) }
	case tierBegins:
		kind, earns = Title, func(name string) bool { return strings.HasPrefix(text.Fold(name), q.article) }
	case tierTitle, tierYear:
		kind, earns = Title, func(name string) bool { _, ok := q.matches(name, year); return ok }
	case tierName:
		kind, earns = Spelling, func(name string) bool { return q.isName(keysOf(name).all, year, nearKey) }
	case tierAll:
		kind = Director
		if q.inTitles(film, year) {
			kind = Title
		}
	default:
		kind = Spelling
	}
	for _, name := range film.titles() {
		if earns(name) {
			return name, kind
		}
	}
	if kind == Director {
		return film.director, kind
	}
	// The name in which most words are.
	name, most := film.title, q.wordsIn(film.title, kind == Spelling)
	for _, other := range append(film.others, film.director) {
		if n := q.wordsIn(other, kind == Spelling); n > most {
			name, most = other, n
		}
	}
	return name, kind
}

// isName reports whether the query, or what is left without the film's year, is the same as a key.
func (q *query) isName(all []string, year int, same func(mine, key string) bool) bool {
	match := func(mine []string) bool {
		return slices.ContainsFunc(mine, func(m string) bool {
			return slices.ContainsFunc(all, func(key string) bool { return same(m, key) })
		})
	}
	if match(q.keys.all) {
		return true
	}
	return slices.ContainsFunc(q.years, func(y yearKeys) bool { return y.year == year && match(y.keys.all) })
}

func sameKey(mine, key string) bool { return mine == key }

func nearKey(mine, key string) bool {
	n := typosOfName(mine)
	return n > 0 && distance([]rune(mine), []rune(key), false) <= n && numbers(mine) == numbers(key)
}

// inTitles reports whether each word is in one of the titles, or is the year.
func (q *query) inTitles(film record, year int) bool {
	var words []string
	for _, name := range film.titles() {
		eachWord(name, func(w string, _, _ int) { words = append(words, w) })
	}
	for _, g := range q.groups {
		if !g.matches(words) && (g.year == 0 || g.year != year) {
			return false
		}
	}
	return true
}

// wordsIn is the number of groups of which a name has a word.
func (q *query) wordsIn(name string, typos bool) int {
	n := 0
	for _, g := range q.groups {
		if len(g.marks(name, typos)) > 0 {
			n++
		}
	}
	return n
}

// mark is a part of a name.
type mark struct{ start, end int }

// pieces takes a name apart into what the query found and the rest. earned says whether the name earned the
// film its tier.
func (q *query) pieces(name string, tier int, earned bool) []Piece {
	var marks []mark
	if tier == tierName && earned {
		// The name as a whole is what was found.
		if cs := chunks(name); len(cs) > 0 {
			marks = append(marks, mark{cs[0].start, cs[len(cs)-1].end})
		}
	} else {
		for _, g := range q.groups {
			marks = append(marks, g.marks(name, tier >= tierName)...)
		}
		if q.leading != "" {
			marks = append(marks, leadingMarks(name, q.leading)...)
		}
	}
	return cutAt(name, marks)
}

// leadingMarks marks the article that a query begins with at the beginning of a name.
func leadingMarks(name, article string) []mark {
	cs := chunks(name)
	if len(cs) == 0 || len(cs[0].parts) != 1 || cs[0].parts[0].Text != article {
		return nil
	}
	return []mark{{cs[0].start, cs[0].end}}
}

// marks are the parts of a name that words of the group find.
func (g group) marks(name string, typos bool) []mark {
	var out []mark
	for _, reading := range g.readings {
		for _, w := range reading {
			out = append(out, w.marks(name, typos)...)
		}
	}
	return out
}

// marks are the parts of a name that the word finds; those with the fewest typos, if typos count.
func (w word) marks(name string, typos bool) []mark {
	var out []mark
	least := 0
	if typos {
		least = w.typos
	}
	runes := []rune(w.text)
	eachWord(name, func(other string, start, end int) {
		n := far
		switch {
		case other == w.text:
			n = 0
		case w.prefix && strings.HasPrefix(other, w.text):
			n = 0
			end = start + prefixEnd(name[start:end], w.text)
		case typos && w.typos > 0:
			n = distance(runes, []rune(other), w.prefix)
		}
		if n > least {
			return
		}
		if n < least {
			least, out = n, nil
		}
		out = append(out, mark{start, end})
	})
	return out
}

// prefixEnd is where the shortest beginning of s ends that folds to something with the prefix; all of
// s if none does. It is never between a letter and its accent.
func prefixEnd(s, prefix string) int {
	ends := make([]int, 0, len(s))
	for at := 0; at < len(s); {
		at += max(1, norm.NFD.NextBoundaryInString(s[at:], true))
		ends = append(ends, at)
	}
	i := sort.Search(len(ends)-1, func(i int) bool {
		var folded strings.Builder
		for _, w := range text.Words(s[:ends[i]]) {
			folded.WriteString(w.Text)
		}
		return strings.HasPrefix(folded.String(), prefix)
	})
	return ends[i]
}

// cutAt cuts a name at marks, which may overlap.
func cutAt(name string, marks []mark) []Piece {
	slices.SortFunc(marks, func(a, b mark) int { return cmp.Or(a.start-b.start, a.end-b.end) })
	var out []Piece
	at := 0
	for i := 0; i < len(marks); {
		m := marks[i]
		for i++; i < len(marks) && marks[i].start <= m.end; i++ {
			m.end = max(m.end, marks[i].end)
		}
		if m.start > at {
			out = append(out, Piece{Text: name[at:m.start]})
		}
		if m.end > m.start {
			out = append(out, Piece{Text: name[m.start:m.end], Matched: true})
		}
		at = m.end
	}
	if at < len(name) {
		out = append(out, Piece{Text: name[at:]})
	}
	return out
}
