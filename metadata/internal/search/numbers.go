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

// otherNumerals are the other forms of a word of a query that is a number; nil for other words. A
// Roman numeral of a single letter counts only after another word, as "V" and "X"
// are titles and start some; "I" never counts, though a "1" after a word may mean it.
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

// edgeDigits are the digits at the starts and ends of the words of a text. They have no typos: "terminator2"
// is not "terminator", while the "7" of "se7en" replaces a letter.
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

// digitsAround are the digits before and after the rest of a word; if it is a number, all are
// before.
func digitsAround(w string) (front, back string) {
	rest := strings.TrimLeftFunc(w, unicode.IsDigit)
	front = w[:len(w)-len(rest)]
	return front, rest[len(strings.TrimRightFunc(rest, unicode.IsDigit)):]
}

// minBesideDigits is how many characters a word has besides its digits to be split from them; "x2" and "8mm"
// are names.
const minBesideDigits = 3

// atDigits splits a word with digits at its start or end: "apollo13" is also "apollo", "13".
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
