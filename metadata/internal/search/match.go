package search

import (
	"slices"
	"unicode/utf8"

	"movieexample.com/metadata/internal/text"
)

// The part of a film that matches decides its tier, lower ones first. Within a tier films with more votes
// come first, then by title, then by id.
const (
	tierSame    = iota // one of its titles is the query, punctuation included
	tierAsTyped        // one is, apart from accents, punctuation and the like
	tierExact          // one is, apart from articles, the year, or spelling
	tierBegins         // the query starts with an article or is initials, and one of its titles starts with it
	tierTitle          // one of its titles has every word
	tierYear           // one has every word except the film's year
	tierAll            // every word is in its titles and its director's name, or is its year
	tierForms          // it is, counting other forms of numbers and several words in one
	tierName           // one of its titles is the query with typos
	tierTypo           // as tierForms, with one typo in all
	tierTypos          // with more
	tiers
)

// found are the films of a view that a query finds, by tier. No film is in two tiers, except that
// tierTitle and tierYear have films with every word in any of their titles; the films in uncertain may lack
// a title that has all words. Those belong to a later tier, tierAll at the most.
type found struct {
	tiers [tiers]bitset
	// all are the films of all tiers.
	all       bitset
	uncertain bitset
}

// wordSets are the films of a view that match something, by kind of match.
type wordSets struct {
	// title: in a title, as it was typed. anywhere: in any name.
	title, anywhere bitset
	// typos: in any name and any form, with at most that many typos.
	typos [3]bitset
}

// matcher finds the films of one view.
type matcher struct {
	view
	scratch *scratch
	// automata are those of the query's words and keys, shared by all views.
	automata *automata
}

// find finds the films of the view.
func (m *matcher) find(q *query) found {
	f := found{all: m.scratch.take(), uncertain: m.scratch.take()}
	m.exact(q, &f)
	m.byWords(q, &f)
	m.nearNames(q, &f)
	f.all.and(m.live)
	seen := m.scratch.take()
	for _, b := range f.tiers {
		if b == nil {
			continue
		}
		b.and(m.live)
		b.andNot(seen)
		seen.or(b)
	}
	if q.isSpreadable() {
		for _, tier := range []int{tierTitle, tierYear} {
			if b := f.tiers[tier]; b != nil {
				f.uncertain.or(b)
			}
		}
		f.uncertain.and(m.several)
	}
	return f
}

// isSpreadable reports whether words of the query can be in different titles.
func (q *query) isSpreadable() bool {
	return len(q.groups) > 1 || slices.ContainsFunc(q.groups[0].readings, func(r reading) bool { return len(r.words) > 1 })
}

// put makes b the films of a tier.
func (f *found) put(tier int, b bitset) {
	f.tiers[tier] = b
	f.all.or(b)
}

// exact finds the films with a title that is the query, or starts with it.
func (m *matcher) exact(q *query, f *found) {
	typed := m.scratch.take()
	m.names.whole(typed, q.keys.full)
	same := m.scratch.take()
	typed.each(func(film uint32) {
		if slices.ContainsFunc(m.texts(film).titles(), func(name string) bool { return text.GenreKey(name) == q.typed }) {
			same.set(film)
		}
	})
	f.put(tierSame, same)
	f.put(tierAsTyped, typed)

	exact := m.scratch.take()
	m.withYears(exact, q, m.named)
	m.named(exact, q.solid)
	for _, key := range q.solid {
		m.solids.whole(exact, key)
	}
	f.put(tierExact, exact)

	begins := m.scratch.take()
	if q.article != "" {
		m.names.prefixed(begins, q.article)
	}
	if q.initials != "" {
		m.initials.whole(begins, q.initials)
	}
	f.put(tierBegins, begins)
}

// withYears adds the films that find finds by the query's keys, and those of a year in the query that it finds by the
// keys of the rest of the query.
func (m *matcher) withYears(into bitset, q *query, find func(into bitset, all []string)) {
	find(into, q.keys.all)
	for _, y := range q.years {
		if of, ok := m.byYear[int16(y.year)]; ok {
			rest := m.scratch.take()
			find(rest, y.keys.all)
			rest.and(m.inYear(of))
			into.or(rest)
		}
	}
}

// named adds the films with a title that has one of the keys.
func (m *matcher) named(into bitset, all []string) {
	for _, key := range all {
		m.names.whole(into, key)
		m.spellings.whole(into, key)
	}
}

func (m *matcher) inYear(of posting) bitset {
	b := m.scratch.take()
	for _, film := range of {
		b.set(film)
	}
	return b
}

// byWords finds the films by their words.
func (m *matcher) byWords(q *query, f *found) {
	titles, years, anywhere := m.scratch.take(), m.scratch.take(), m.scratch.take()
	titles.fill(m.n)
	years.fill(m.n)
	anywhere.fill(m.n)
	var groups []wordSets
	for _, g := range q.groups {
		sets := m.byGroup(g)
		titles.and(sets.title)
		withYear := sets.title
		if g.year != 0 {
			in := m.inYear(m.byYear[int16(g.year)])
			sets.anywhere.or(in)
			for _, b := range sets.typos {
				if b != nil {
					b.or(in)
				}
			}
			in.or(sets.title)
			withYear = in
		}
		years.and(withYear)
		anywhere.and(sets.anywhere)
		groups = append(groups, sets)
	}
	f.put(tierTitle, titles)
	f.put(tierYear, years)
	sums := m.sums(groups)
	f.put(tierAll, anywhere)
	for typos, b := range sums {
		if b != nil {
			f.put([]int{tierForms, tierTypo, tierTypos}[typos], b)
		}
	}
}

// byGroup finds the films that match one of the group's readings.
func (m *matcher) byGroup(g group) wordSets {
	var out wordSets
	for _, r := range g.readings {
		var words []wordSets
		for _, w := range r.words {
			words = append(words, m.byWord(w))
		}
		one := words[0]
		if len(words) > 1 {
			title, anywhere := m.scratch.copyOf(words[0].title), m.scratch.copyOf(words[0].anywhere)
			for _, w := range words[1:] {
				title.and(w.title)
				anywhere.and(w.anywhere)
			}
			one = wordSets{title: title, anywhere: anywhere, typos: m.sums(words)}
		}
		if out.title == nil {
			out = one
			continue
		}
		if !r.guessed {
			out.title.or(one.title)
			out.anywhere.or(one.anywhere)
		}
		for i := range out.typos {
			// Without a set for i typos, the one for fewer applies.
			out.typos[i] = m.unite(out.typos, one.typos, i)
		}
	}
	return out
}

// unite are the films of either with at most n typos; nil if neither has a set for n.
func (m *matcher) unite(a, b [3]bitset, n int) bitset {
	if a[n] == nil && b[n] == nil {
		return nil
	}
	into := m.scratch.copyOf(atMost(a, n))
	into.or(atMost(b, n))
	return into
}

// atMost are the films with at most n typos.
func atMost(sets [3]bitset, n int) bitset {
	for sets[n] == nil {
		n--
	}
	return sets[n]
}

// byWord finds the films that have a word.
func (m *matcher) byWord(w word) wordSets {
	title, anywhere := m.scratch.take(), m.scratch.take()
	if w.prefix {
		m.titles.prefixed(title, w.text)
		m.directors.prefixed(anywhere, w.text)
	} else {
		m.titles.whole(title, w.text)
		m.directors.whole(anywhere, w.text)
	}
	anywhere.or(title)
	near := [3]bitset{m.scratch.copyOf(anywhere)}
	for _, form := range w.forms {
		m.titles.whole(near[0], form)
		m.directors.whole(near[0], form)
	}
	if w.joins {
		if w.prefix {
			m.joins.prefixed(near[0], w.text)
		} else {
			m.joins.whole(near[0], w.text)
		}
	}
	for i := 1; i <= w.most(); i++ {
		near[i] = m.scratch.take()
	}
	m.nearWord(near, w)
	for i := 1; i <= w.most(); i++ {
		near[i].or(near[i-1])
	}
	return wordSets{title: title, anywhere: anywhere, typos: near}
}

// nearWord adds the films that have the word with typos to the set of their number of typos.
func (m *matcher) nearWord(near [3]bitset, w word) {
	find := func(most int, prefix bool, keep func(term []byte, n int) bool) {
		if a := m.automata.of(w.text, most, prefix); a != nil {
			m.titles.near(near[:most+1], a, keep)
			m.directors.near(near[:most+1], a, keep)
		}
	}
	most := w.most()
	if w.nearBeginnings() {
		find(w.typos, true, nil)
		if most == w.typos {
			return
		}
	}
	if most > 0 {
		digits := w.fixedDigits()
		find(most, false, func(term []byte, n int) bool {
			return n <= w.allowed(utf8.RuneCount(term)) && (w.loose || edgeDigits(string(term)) == digits)
		})
	}
}

// sums finds the films that match all of some words (or groups), by the total number of typos: none, at most
// one, any number that the words allow. A set that would equal the one before is nil.
func (m *matcher) sums(words []wordSets) [3]bitset {
	none := m.scratch.copyOf(words[0].typos[0])
	one := m.scratch.copyOf(atMost(words[0].typos, 1))
	all := m.scratch.copyOf(atMost(words[0].typos, 2))
	withTypo, two := 0, false
	for i, w := range words {
		if w.typos[1] != nil || w.typos[2] != nil {
			withTypo++
			two = two || w.typos[2] != nil
		}
		if i == 0 {
			continue
		}
		// One typo is in one of the words, and none in those before and after it.
		one.and(w.typos[0])
		here := m.scratch.copyOf(none)
		here.and(atMost(w.typos, 1))
		one.or(here)
		none.and(w.typos[0])
		all.and(atMost(w.typos, 2))
	}
	switch {
	case withTypo == 0:
		return [3]bitset{none}
	case withTypo == 1 && !two:
		return [3]bitset{none, one}
	}
	return [3]bitset{none, one, all}
}

// nearNames finds the films with a title that is the query with typos.
func (m *matcher) nearNames(q *query, f *found) {
	near := m.scratch.take()
	m.withYears(near, q, m.near)
	f.put(tierName, near)
}

// near adds the films with a title whose key is one of these with few typos.
func (m *matcher) near(into bitset, all []string) {
	for _, key := range all {
		length := utf8.RuneCountInString(key)
		if length > maxTypoName || mostTypos(length) == 0 {
			continue
		}
		a := m.automata.of(key, mostTypos(length), false)
		if a == nil {
			continue
		}
		keep := func(term []byte, n int) bool { return isNear(key, string(term), n) }
		sets := []bitset{into, into, into}
		m.names.near(sets, a, keep)
		m.spellings.near(sets, a, keep)
	}
}

// titleTier is the tier that the titles of a film give it: the first title that has every word
// decides. It is tierAll if none has.
func (q *query) titleTier(titles []string, year int) int {
	best := tierAll
	for _, name := range titles {
		withYear, ok := q.matches(year, name)
		if !ok {
			continue
		}
		if !withYear {
			return tierTitle
		}
		best = tierYear
	}
	return best
}

// matches reports whether the names together have every word, and whether they need the film's year for that.
func (q *query) matches(year int, names ...string) (withYear, ok bool) {
	var words []string
	for _, name := range names {
		eachWord(name, func(w string, _, _ int) { words = append(words, w) })
	}
	for _, g := range q.groups {
		switch {
		case g.matches(words):
		case g.year != 0 && g.year == year:
			withYear = true
		default:
			return false, false
		}
	}
	return withYear, true
}

func (g group) matches(words []string) bool {
	return slices.ContainsFunc(g.readings, func(r reading) bool {
		return !r.guessed && !slices.ContainsFunc(r.words, func(w word) bool { return !w.in(words) })
	})
}

func (w word) in(words []string) bool {
	for _, other := range words {
		if len(other) >= len(w.text) && other[:len(w.text)] == w.text && (w.prefix || len(other) == len(w.text)) {
			return true
		}
	}
	return false
}
