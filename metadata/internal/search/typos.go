package search

import (
	"fmt"

	"github.com/blevesearch/vellum"
	"github.com/blevesearch/vellum/levenshtein"
)

// typos makes automata that accept texts a few typos away from a word. A typo is an additional
// character, a missing one, a wrong one, or two neighbours swapped (the restricted Damerau-Levenshtein
// distance: no part of a text is changed twice).
type typos struct {
	one, two *levenshtein.LevenshteinAutomatonBuilder
}

func newTypos() typos {
	var t typos
	var err error
	if t.one, err = levenshtein.NewLevenshteinAutomatonBuilder(1, true); err == nil {
		t.two, err = levenshtein.NewLevenshteinAutomatonBuilder(2, true)
	}
	if err != nil {
		panic(fmt.Sprintf("prepare automata for typos: %v", err)) // depends on the two constants only
	}
	return t
}

// automata builds each automaton once for a query.
type automata struct {
	typos typos
	made  map[automatonKey]vellum.FuzzyAutomaton
}

func newAutomata(t typos) *automata {
	return &automata{typos: t, made: map[automatonKey]vellum.FuzzyAutomaton{}}
}

type automatonKey struct {
	text   string
	typos  int
	prefix bool
}

// of returns an automaton for texts up to n typos away from the text, 1 or 2, or from a prefix of them; nil if the text is
// too long for one, which texts within maxTypoName and maxTypoWord are not.
func (a *automata) of(text string, n int, prefix bool) vellum.FuzzyAutomaton {
	key := automatonKey{text: text, typos: n, prefix: prefix}
	made, ok := a.made[key]
	if ok {
		return made
	}
	builder := a.typos.one
	if n == 2 {
		builder = a.typos.two
	}
	if dfa, err := builder.BuildDfa(text, uint8(n)); err == nil {
		made = dfa
		if prefix {
			made = prefixAutomaton{dfa: dfa, max: n}
		}
	}
	a.made[key] = made
	return made
}

// prefixAutomaton accepts texts with a prefix that another automaton accepts. The distance
// of a text is the least one of its prefixes.
//
// A state is the other's state and the least distance so far; far means none.
type prefixAutomaton struct {
	dfa *levenshtein.DFA
	max int
}

const far = 3 // more than every distance that is accepted

var _ vellum.FuzzyAutomaton = prefixAutomaton{}

func (a prefixAutomaton) Start() int { return a.state(a.dfa.Start(), far) }

func (a prefixAutomaton) state(inner, best int) int {
	if a.dfa.IsMatch(inner) {
		best = min(best, int(a.dfa.EditDistance(inner)))
	}
	if best == 0 {
		inner = 0 // it cannot get less
	}
	return inner<<2 | best
}

func (a prefixAutomaton) IsMatch(state int) bool { return state&3 <= a.max }

func (a prefixAutomaton) CanMatch(state int) bool {
	return a.IsMatch(state) || a.dfa.CanMatch(state>>2)
}

func (a prefixAutomaton) WillAlwaysMatch(state int) bool { return a.IsMatch(state) }

func (a prefixAutomaton) Accept(state int, b byte) int {
	inner := state >> 2
	if inner == 0 {
		return state
	}
	return a.state(a.dfa.Accept(inner, b), state&3)
}

func (a prefixAutomaton) EditDistance(state int) uint8 { return uint8(state & 3) }

// MatchAndDistance completes the interface; nothing calls it.
func (a prefixAutomaton) MatchAndDistance(input string) (bool, uint8) {
	state := a.Start()
	for i := range len(input) {
		state = a.Accept(state, input[i])
	}
	return a.IsMatch(state), a.EditDistance(state)
}

// distance is the number of typos between two words: between a and all of b, or the nearest prefix of b if prefix is
// set. It is at most far, which means far or more.
func distance(a, b []rune, prefix bool) int {
	if !prefix && (len(a)-len(b) >= far || len(b)-len(a) >= far) {
		return far
	}
	// Columns of the table for b's characters: before, last and this one.
	width := len(a) + 1
	cells := make([]int, 3*width)
	before, last, this := cells[:width], cells[width:2*width], cells[2*width:]
	for i := range last {
		last[i] = i
	}
	best := min(far, len(a)) // without any of b
	for j, c := range b {
		this[0] = j + 1
		least := this[0]
		for i, d := range a {
			cost := 1
			if c == d {
				cost = 0
			}
			n := min(last[i]+cost, last[i+1]+1, this[i]+1)
			if i > 0 && j > 0 && d == b[j-1] && a[i-1] == c {
				n = min(n, before[i-1]+1)
			}
			this[i+1] = n
			least = min(least, n)
		}
		before, last, this = last, this, before
		if d := min(far, last[len(a)]); !prefix || d < best {
			best = d
		}
		if least >= far {
			break // no later column is less, except for a transposition, which is far as well
		}
	}
	return best
}
