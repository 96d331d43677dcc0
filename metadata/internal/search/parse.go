package search

import (
	"strconv"
	"strings"
	"unicode/utf8"

	"movieexample.com/metadata/internal/text"
)

const (
	// MaxQuery is how many characters of a query's text are read.
	MaxQuery = 200
	// maxWords is how many words of a query must match; further ones count only where the
	// query is compared with whole names.
	maxWords = 12
	// maxTypoWord is the longest word that typos are looked for in, in characters, and
	// maxTypoName the longest query that is compared with whole names for typos. An automaton
	// has some 20 kB for each character.
	maxTypoWord = 40
	maxTypoName = 64
)

// The years that are taken for one in a query.
const (
	firstYear = 1870
	lastYear  = 2100
)

// query is a parsed Query.Text.
type query struct {
	keys keys
	// article is the key of the query as typed, if it starts with an article and continues:
	// names that start so come before others. Otherwise it is empty.
	article string
	// leading is an article at the start of the query that need not match.
	leading string
	// groups must all match, in any order.
	groups []group
	// years are the years in the query, with the keys of the rest of it.
	years []yearKeys
	// typed is the query with only its case folded.
	typed string
	// initials are the query in one word, if it can be the initials at the start of a title ("E.T."). Otherwise
	// it is empty.
	initials string
	// solid are the keys of a query of one word: titles match them without their spaces. A query with spaces has
	// none, as "toy s" is on its way to "Toy Story", not "Toys".
	solid []string
}

// group is a chunk of a query: one of its readings must match.
type group struct {
	readings []reading
	// year is not 0 if the film's year can take the place of a match.
	year int
}

// reading is a way to read a chunk: all its words must match.
type reading struct {
	words []word
	// guessed: it is not what was typed, so the films that it finds come after others.
	guessed bool
}

// word is one word to be matched.
type word struct {
	text string
	// prefix: words that start with it match too.
	prefix bool
	// typos is how many are allowed by its own length, 0 to 2; see allowed.
	typos int
	// forms are other words for it, as "ii" for "2".
	forms []string
	// joins: it can be several words of a name written together.
	joins bool
	// loose: digits at its ends may be typos, as signs separated them ("matrix~2").
	loose bool
}

// allowed is how many typos the word and a name's word of n characters may be apart: the longer of the two
// decides, since a word of five letters has four after one was lost.
func (w word) allowed(n int) int {
	if w.isExact() {
		return 0
	}
	return max(w.typos, typosIn(n))
}

// isExact reports whether no typos are looked for in the word. A number has none: every other one is
// another number.
func (w word) isExact() bool { return isDigits(w.text) || utf8.RuneCountInString(w.text) > maxTypoWord }

// most is the most typos the word may have, in words however long.
func (w word) most() int {
	if w.isExact() {
		return 0
	}
	return mostTypos(utf8.RuneCountInString(w.text))
}

// nearBeginnings reports whether the word may be a prefix with typos. Digits at the
// end of what was typed must be those at the end of the film's word, so such a word is whole.
func (w word) nearBeginnings() bool { return w.prefix && w.typos > 0 && w.fixedDigits() == "" }

// fixedDigits are those that must be the same in a word that is this one with typos.
func (w word) fixedDigits() string {
	if w.loose {
		return ""
	}
	return edgeDigits(w.text)
}

type yearKeys struct {
	year int
	keys keys
}

// parse parses any text; an empty one is a query without groups.
func parse(s string) query {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if utf8.RuneCountInString(s) > MaxQuery {
		s = string([]rune(s)[:MaxQuery])
	}
	q := query{keys: keysOf(s), typed: text.GenreKey(s)}
	front, moved := articleInFront(s)
	if !moved {
		front = s
	}
	cs := chunks(front)
	if len(cs) == 0 {
		return query{}
	}
	leading := len(cs) > 1 && articleLen(front, cs) > 0 && !isElided(front, cs[0])
	if leading {
		q.leading = cs[0].parts[0].Text
		if !moved {
			q.article = q.keys.full
		}
	}
	if len(cs) == 1 {
		q.solid = solidOf(q.keys)
		q.initials = cs[0].initials()
		if c := cs[0]; len(c.parts) == 1 && c.pieces == nil && !isDigits(c.parts[0].Text) {
			q.initials = c.parts[0].Text
		}
	}
	all := numerals()
	left := maxWords
	for i, c := range cs {
		if y := c.year(); y != 0 {
			q.addYear(y, s)
		}
		if i == 0 && leading {
			continue
		}
		if left > 0 {
			q.groups = append(q.groups, c.group(left, i == len(cs)-1, all, i > 0))
			left -= min(left, len(c.parts))
		}
	}
	return q
}

// addYear adds the keys of the query without a year.
func (q *query) addYear(year int, s string) {
	for _, y := range q.years {
		if y.year == year {
			return
		}
	}
	cs := chunks(s)
	var rest strings.Builder
	for i, c := range cs {
		end := len(s)
		if i+1 < len(cs) {
			end = cs[i+1].start
		}
		if c.year() == year {
			continue
		}
		rest.WriteString(s[c.start:end])
	}
	if k := keysOf(strings.TrimRight(rest.String(), " (")); len(k.all) > 0 {
		q.years = append(q.years, yearKeys{year: year, keys: k})
	}
}

// year is the year that a chunk is, or 0.
func (c chunk) year() int {
	if len(c.parts) != 1 || len(c.parts[0].Text) != 4 {
		return 0
	}
	y, err := strconv.Atoi(c.parts[0].Text)
	if err != nil || y < firstYear || y > lastYear {
		return 0
	}
	return y
}

// group is the group of a chunk of a query; the first n words of it count. behind: it is not the first chunk.
func (c chunk) group(n int, last bool, numerals []written, behind bool) group {
	g := group{year: c.year()}
	cut := len(c.parts) > n
	parts := make([]string, 0, len(c.parts))
	for _, w := range c.parts[:min(n, len(c.parts))] {
		parts = append(parts, w.Text)
	}
	// Initials are one word. Single letters are in any title.
	if c.initials() == "" {
		g.add(parts, last && !cut, false)
	}
	if c.joined != "" {
		g.add([]string{c.joined}, last, false)
		g.readings[len(g.readings)-1].words[0].loose = true
	}
	if !cut {
		g.add(texts(c.pieces), last, false)
		g.add(c.spelled, last, false)
	}
	if len(c.parts) == 1 && n > 1 {
		g.add(atDigits(c.parts[0].Text), last, true)
	}
	for _, r := range g.readings {
		for i, w := range r.words {
			r.words[i].forms = otherNumerals(numerals, w.text, behind || i > 0)
		}
	}
	return g
}

// add adds a reading, if it has words at all.
func (g *group) add(words []string, last, guessed bool) {
	if len(words) == 0 || len(words) > maxWords {
		return
	}
	r := reading{words: make([]word, len(words)), guessed: guessed}
	for i, text := range words {
		w := word{text: text, prefix: last && i == len(words)-1}
		if n := utf8.RuneCountInString(text); !w.isExact() {
			w.typos, w.joins = typosIn(n), n >= minJoin
		}
		r.words[i] = w
	}
	g.readings = append(g.readings, r)
}

// typosIn is how many typos a text of n characters may have.
func typosIn(n int) int {
	switch {
	case n >= 9:
		return 2
	case n >= 5:
		return 1
	}
	return 0
}

// mostTypos is how many typos a text of n characters may be away from a text of any length, as the longer of
// the two decides: a longer one may have lost this many characters.
func mostTypos(n int) int {
	for typos := 2; typos > typosIn(n); typos-- {
		if typosIn(n+typos) >= typos {
			return typos
		}
	}
	return typosIn(n)
}

// isNear reports whether a key of a query may be the key of a whole name with that many typos. Names with other
// numbers are other names.
func isNear(mine string, key string, typos int) bool {
	n := utf8.RuneCountInString(mine)
	return n <= maxTypoName && typos <= typosIn(max(n, utf8.RuneCountInString(key))) && edgeDigits(mine) == edgeDigits(key)
}
