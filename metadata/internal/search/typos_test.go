package search

import (
	"testing"

	"pgregory.net/rapid"
)

// TestAutomataFit: the longest texts that may have typos have an automaton, regardless of their characters.
func TestAutomataFit(t *testing.T) {
	automata := newAutomata(newTypos())
	for _, first := range []rune{'a', 'à', '一', '\U00020000'} {
		var text []rune
		for i := range maxTypoName {
			text = append(text, first+rune(i)) // all different, which makes the largest one
		}
		if a := automata.of(string(text), 2, false); a == nil {
			t.Errorf("no automaton for %d characters from %q on", len(text), first)
		}
	}
}

// TestDistances compares the automata, and the distance that highlighting uses, with the textbook's table.
func TestDistances(t *testing.T) {
	typos := newTypos()
	word := rapid.StringOfN(rapid.SampledFrom([]rune("abcé漢")), 1, 9, -1)
	rapid.Check(t, func(t *rapid.T) {
		a, b := word.Draw(t, "a"), word.Draw(t, "b")
		row := osa([]rune(a), []rune(b))
		automata := newAutomata(typos)
		for most := 1; most <= 2; most++ {
			for _, prefix := range []bool{false, true} {
				want := row[len(row)-1]
				automaton := automata.of(a, most, prefix)
				if prefix {
					for _, n := range row {
						want = min(want, n)
					}
				}
				ok, got := automaton.MatchAndDistance(b)
				if ok != (want <= most) || ok && int(got) != want {
					t.Errorf("%q and %q (prefix %v): the automaton for %d says %v, %d; want %d", a, b, prefix, most, ok, got, want)
				}
				if got := distance([]rune(a), []rune(b), prefix); got != min(want, far) {
					t.Errorf("%q and %q (prefix %v): distance %d, want %d", a, b, prefix, got, min(want, far))
				}
			}
		}
	})
}
