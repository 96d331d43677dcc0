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
	// maxWords is how many words of a query must match; those behind them only count where the
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

// query is a Query's text, understood.
type query struct {
	keys keys
	// article is what the query begins with as typed, if it begins with an article that
	// something follows: names that begin so go before others. Else empty.
	article string
	// leading is an article that the query begins with and that need not match.
	leading string
	// groups are what must match; each of them, whatever their order.
	groups []group
	// years are the years that stand in the query, with the keys of the rest of it.
	years []yearKeys
}

// group is a chunk of a query: one of its readings must match.
type group struct {
	readings [][]word
	// year is not 0 if the film's year can take the place of a match.
	year int
}

// word is one word to be matched.
type word struct {
	text string
	// prefix: words that begin with it match too.
	prefix bool
	// typos is how many are allowed, 0 to 2.
	typos int
}

type yearKeys struct {
	year int
	keys keys
}

// parse understands a text. It takes any text; of nothing comes a query without groups.
func parse(s string) query {
	s = strings.TrimSpace(strings.ToValidUTF8(s, "\uFFFD"))
	if utf8.RuneCountInString(s) > MaxQuery {
		s = string([]rune(s)[:MaxQuery])
	}
	q := query{keys: keysOf(s)}
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
	left := maxWords
	for i, c := range cs {
		if y := c.year(); y != 0 {
			q.addYear(y, s)
		}
		if i == 0 && leading {
			continue
		}
		if left > 0 {
			q.groups = append(q.groups, c.group(left, i == len(cs)-1))
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

// group is what a chunk of a query asks for; the first n words of it count.
func (c chunk) group(n int, last bool) group {
	g := group{year: c.year()}
	cut := len(c.parts) > n
	parts := make([]string, 0, len(c.parts))
	for _, w := range c.parts[:min(n, len(c.parts))] {
		parts = append(parts, w.Text)
	}
	g.add(parts, last && !cut)
	if c.joined != "" {
		g.add([]string{c.joined}, last)
	}
	if !cut {
		g.add(texts(c.pieces), last)
		g.add(c.spelled, last)
	}
	return g
}

func texts(words []text.Word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.Text)
	}
	return out
}

// add adds a reading, if it has words at all.
func (g *group) add(words []string, last bool) {
	if len(words) == 0 || len(words) > maxWords {
		return
	}
	reading := make([]word, len(words))
	for i, w := range words {
		reading[i] = word{text: w, prefix: last && i == len(words)-1, typos: typosOf(w)}
	}
	g.readings = append(g.readings, reading)
}

// typosOf is how many typos a word may have. A number has none: every other one is another number.
func typosOf(w string) int {
	n := utf8.RuneCountInString(w)
	if n > maxTypoWord || isDigits(w) {
		return 0
	}
	return typosIn(n)
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

// typosOfName is how many typos a key may have as a whole name.
func typosOfName(key string) int {
	n := utf8.RuneCountInString(key)
	if n > maxTypoName {
		return 0
	}
	return typosIn(n)
}

// numbers are the words of a key that are numbers. Whole names with other numbers are no typos.
func numbers(key string) string {
	var b strings.Builder
	for w := range strings.FieldsSeq(key) {
		if isDigits(w) {
			b.WriteString(w)
			b.WriteByte(' ')
		}
	}
	return b.String()
}
