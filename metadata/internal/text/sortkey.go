package text

import (
	"strings"
	"unicode/utf8"
)

// MaxSortKey bounds a sort key, in bytes. Titles that agree in so much of their keys are
// ordered by id; without a bound, a key could not be part of an index on every engine.
const MaxSortKey = 120

// SortKey is what titles are ordered by: the folded title without its leading article, at
// most MaxSortKey bytes, cut between characters.
func SortKey(title string) string {
	key := Fold(withoutArticle(title))
	if len(key) <= MaxSortKey {
		return key
	}
	end := MaxSortKey
	for !utf8.RuneStart(key[end]) {
		end--
	}
	return key[:end]
}

// withoutArticle leaves out the first word of a title if it is an article and a
// letter or digit follows, and any punctuation before that word.
//
// A title does not say which language it is in, and an article of one language is another word
// in the next: "Die Hard", "Den of Thieves", "O Brother, Where Art Thou?", "As Good as It Gets",
// "I, Robot", "De rouille et d'os", "En kongelig affære". The rule is therefore: the English
// articles always count; another language's articles count if they are not at the same time
// an English word or a frequent non-article in one of the other languages. So "Das Boot" is
// under B, and "Die Welle" under D. Only a word that ends in a space counts, which keeps
// "A.I. Artificial Intelligence" and "A-Team" whole, and "À bout de souffle" is not English.
func withoutArticle(title string) string {
	start := strings.IndexFunc(title, IsWordRune)
	if start < 0 {
		return title
	}
	text := title[start:]
	if rest, ok := cutElided(text); ok {
		return rest
	}
	word, rest, ok := strings.Cut(text, " ")
	if !ok || !isArticle(strings.ToLower(word)) || strings.IndexFunc(rest, IsWordRune) < 0 {
		return title
	}
	next, _, _ := strings.Cut(strings.TrimLeft(rest, " "), " ")
	if isName(strings.ToLower(word), strings.ToLower(next)) {
		return title
	}
	return rest
}

// cutElided cuts the elided article of French and Italian off: "L'Avventura".
func cutElided(text string) (rest string, ok bool) {
	if text[0] != 'L' && text[0] != 'l' {
		return "", false
	}
	r, size := utf8.DecodeRuneInString(text[1:])
	rest = text[1+size:]
	return rest, IsApostrophe(r) && strings.IndexFunc(rest, IsWordRune) >= 0
}

// isArticle reports whether a lower-case word counts as an article at the start of a title.
func isArticle(word string) bool {
	switch word {
	case
		"the", "a", "an", // English
		"le", "la", "les", "un", "une", // French; not "des", "de"
		"der", "das", "ein", "eine", // German; not "die", "den", "dem"
		"el", "los", "las", "una", // Spanish, with "la", "un"
		"il", "gli", "uno", // Italian, with "la", "le", "un", "una"; not "i", "lo"
		"os", "um", "uma", // Portuguese; not "o", "a", "as"
		"het", "een", // Dutch; not "de"
		"det", "ett": // Danish, Norwegian, Swedish; not "den", "en", "et"
		return true
	}
	return false
}

// isName reports whether an apparent article is the first word of a name.
func isName(article, next string) bool {
	switch article + " " + next {
	case "los angeles", "las vegas", "la la":
		return true
	}
	return false
}
