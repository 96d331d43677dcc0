package search

import (
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// written are the ways to write a number from 1 to 20 in one word.
type written struct{ digits, roman, word string }

// numerals returns the ways to write the numbers from 1 to 20, in their order.
func numerals() []written {
	roman := strings.Fields("i ii iii iv v vi vii viii ix x xi xii xiii xiv xv xvi xvii xviii xix xx")
	word := strings.Fields(`one two three four five six seven eight nine ten
		eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen nineteen twenty`)
	out := make([]written, len(roman))
	for i := range out {
		out[i] = written{digits: strconv.Itoa(i + 1), roman: roman[i], word: word[i]}
	}
	return out
}

// otherNumerals are the other ways to write the number that a word of a query is; nil if it is none. A
// numeral of Rome that is a single letter is only taken for one behind another word, as "V" and "X"
// are titles and begin some; and "I" never, though a "1" behind a word may stand for it.
func otherNumerals(all []written, w string, behind bool) []string {
	at := slices.IndexFunc(all, func(n written) bool {
		return w == n.digits || w == n.word || w == n.roman && w != "i" && (behind || len(w) > 1)
	})
	if at < 0 {
		return nil
	}
	var out []string
	for _, form := range []string{all[at].digits, all[at].roman, all[at].word} {
		if form != w && (behind || len(form) > 1 || isDigits(form)) {
			out = append(out, form)
		}
	}
	return out
}

// edgeDigits are the digits that the words of a text begin or end with. They have no typos: "terminator2"
// is not "terminator", while the "7" of "se7en" stands for a letter.
func edgeDigits(s string) string {
	if strings.IndexFunc(s, unicode.IsDigit) < 0 {
		return ""
	}
	var b strings.Builder
	for w := range strings.FieldsSeq(s) {
		front, back := digitsAround(w)
		for _, digits := range []string{front, back} {
			if digits != "" {
				b.WriteString(digits)
				b.WriteByte(' ')
			}
		}
	}
	return b.String()
}

// digitsAround are the digits in front of and behind the rest of a word; only in front if it is a
// number.
func digitsAround(w string) (front, back string) {
	rest := strings.TrimLeftFunc(w, unicode.IsDigit)
	front = w[:len(w)-len(rest)]
	return front, rest[len(strings.TrimRightFunc(rest, unicode.IsDigit)):]
}

// minBesideDigits is how many characters of a word are not taken for a name of their own with its digits, as
// "x2" and "8mm" are.
const minBesideDigits = 3

// atDigits takes a word apart that has digits in front or behind: "apollo13" is also "apollo", "13".
// It returns nil for other words.
func atDigits(w string) []string {
	front, back := digitsAround(w)
	rest := w[len(front) : len(w)-len(back)]
	switch {
	case (front == "") == (back == "") || utf8.RuneCountInString(rest) < minBesideDigits:
		return nil
	case front != "":
		return []string{front, rest}
	}
	return []string{rest, back}
}
