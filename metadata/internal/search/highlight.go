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
	film := r.view.film(r.film)
	name, kind := q.matchedName(film, r.tier)
	h := Hit{ID: film.ID, Kind: kind, Title: q.highlight(film.Title, r.tier, film.Year), film: film}
	if name != film.Title {
		h.MatchedName = q.highlight(name, r.tier, film.Year)
	}
	return h
}

// matchedName is the name of the film that matches, the title before others, and the kind of the
// match. A title with every word is that name even if the film has its tier because another name is the
// query itself.
func (q *query) matchedName(film Film, tier int) (name string, kind Kind) {
	year := film.Year
	earns := func(string) bool { return false }
	switch tier {
	case tierSame:
		kind, earns = Exact, func(name string) bool { return text.GenreKey(name) == q.typed }
	case tierAsTyped:
		kind, earns = Exact, func(name string) bool { return text.Fold(name) == q.keys.full }
	case tierExact:
		kind, earns = Exact, func(name string) bool { return q.isName(name, year, sameKey) || q.isSolid(name) }
	case tierBegins:
		kind, earns = Title, q.begins
	case tierTitle, tierYear:
		kind, earns = Title, func(name string) bool { _, ok := q.matches(year, name); return ok }
	case tierName:
		kind, earns = Spelling, func(name string) bool { return q.isName(name, year, nearKey) }
	case tierAll:
		kind = Director
		if _, ok := q.matches(year, film.titles()...); ok {
			kind = Title
		}
	default:
		kind = Spelling
	}
	if q.isWholly(film.Title, tier, year) {
		return film.Title, kind
	}
	for _, name := range film.titles() {
		if earns(name) {
			return name, kind
		}
	}
	if kind == Director {
		return film.Director, kind
	}
	// The name with most of the words.
	read := readingOf(tier)
	name, most := film.Title, q.wordsIn(film.Title, read)
	for _, other := range append(film.Alternatives, film.Director) {
		if n := q.wordsIn(other, read); n > most {
			name, most = other, n
		}
	}
	return name, kind
}

// isWholly reports whether all of the query is in a name, or is the film's year.
func (q *query) isWholly(name string, tier, year int) bool {
	if tier < tierForms {
		_, ok := q.matches(year, name)
		return ok || tier <= tierExact && (q.isName(name, year, sameKey) || q.isSolid(name))
	}
	read := readingOf(tier)
	return !slices.ContainsFunc(q.groups, func(g group) bool {
		return !g.isMarked(name, read) && (g.year == 0 || g.year != year)
	})
}

// begins reports whether a name starts with the query's article and what follows it, or with its initials.
func (q *query) begins(name string) bool {
	return q.article != "" && strings.HasPrefix(text.Fold(name), q.article) || q.initials != "" && initialsOf(name) == q.initials
}

// isSolid reports whether the query is the name without its spaces.
func (q *query) isSolid(name string) bool {
	k := keysOf(name)
	return slices.ContainsFunc(append(solidOf(k), k.all...), func(key string) bool { return slices.Contains(q.solid, key) })
}

// isName reports whether the query, or its rest without the film's year, is the same as a key.
func (q *query) isName(name string, year int, same func(mine, key string) bool) bool {
	all := keysOf(name).all
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
	return isNear(mine, key, distance([]rune(mine), []rune(key), false))
}

// Readings of words; each finds all that the ones before it find.
const (
	asTyped   = iota
	inAnyForm // other forms of numbers, words written together
	withTypos // and typos
)

// readingOf is how words were read to find the films of a tier.
func readingOf(tier int) int {
	switch {
	case tier < tierForms:
		return asTyped
	case tier == tierForms:
		return inAnyForm
	}
	return withTypos
}

// wordsIn is the number of groups that have a word in the name.
func (q *query) wordsIn(name string, read int) int {
	n := 0
	for _, g := range q.groups {
		if len(g.marks(name, read)) > 0 {
			n++
		}
	}
	return n
}

// isMarked reports whether a name has every word of one of the group's readings.
func (g group) isMarked(name string, read int) bool {
	return slices.ContainsFunc(g.readings, func(r reading) bool {
		return !slices.ContainsFunc(r.words, func(w word) bool { return len(w.marks(name, read)) == 0 })
	})
}

// mark is a part of a name.
type mark struct{ start, end int }

// highlight splits a name of a film of the tier and year into the parts that the query found and the rest.
func (q *query) highlight(name string, tier, year int) []Piece {
	var marks []mark
	_, inWords := q.matches(year, name)
	if tier == tierName && q.isName(name, year, nearKey) || tier == tierExact && !inWords && q.isSolid(name) {
		// The query found the name as a whole.
		if cs := chunks(name); len(cs) > 0 {
			marks = append(marks, mark{cs[0].start, cs[len(cs)-1].end})
		}
	} else {
		for _, g := range q.groups {
			marks = append(marks, g.marks(name, readingOf(tier))...)
		}
		// The leading article, if the name starts with it.
		if cs := chunks(name); q.leading != "" && len(cs) > 0 && len(cs[0].parts) == 1 && cs[0].parts[0].Text == q.leading {
			marks = append(marks, mark{cs[0].start, cs[0].end})
		}
	}
	return cutAt(name, marks)
}

// marks are the parts of a name that the words of the group find.
func (g group) marks(name string, read int) []mark {
	var out []mark
	for _, r := range g.readings {
		if r.guessed && read == asTyped {
			continue
		}
		for _, w := range r.words {
			out = append(out, w.marks(name, read)...)
		}
	}
	return out
}

// marks are the parts of a name that the word finds; those with the fewest typos, if typos count.
func (w word) marks(name string, read int) []mark {
	var out []mark
	least := 0
	if read == withTypos {
		least = w.most()
	}
	add := func(n, start, end int) {
		if n > least {
			return
		}
		if n < least {
			least, out = n, nil
		}
		out = append(out, mark{start, end})
	}
	whole := func(other string, start, end int) bool {
		switch {
		case other == w.text:
			add(0, start, end)
		case w.prefix && strings.HasPrefix(other, w.text):
			add(0, start, start+prefixEnd(name[start:end], w.text))
		default:
			return false
		}
		return true
	}
	eachWord(name, func(other string, start, end int) {
		if read >= inAnyForm && slices.Contains(w.forms, other) {
			add(0, start, end)
		} else if !whole(other, start, end) && read == withTypos {
			add(w.typosTo(other), start, end)
		}
	})
	if w.joins && read >= inAnyForm {
		eachJoin(name, func(other string, start, end int) { whole(other, start, end) })
	}
	return out
}

// typosTo is how many typos separate the word from a name's; far if more than it may have.
func (w word) typosTo(other string) int {
	if w.most() == 0 {
		return far
	}
	mine, its := []rune(w.text), []rune(other)
	n := far
	if d := distance(mine, its, false); d <= w.allowed(len(its)) && (w.loose || w.fixedDigits() == edgeDigits(other)) {
		n = d
	}
	if w.nearBeginnings() {
		if d := distance(mine, its, true); d <= w.typos {
			n = min(n, d)
		}
	}
	return n
}

// prefixEnd is the length of the shortest start of s that folds to a text with the prefix; all of
// s if none does. It never separates a letter from its accent.
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
