package metadata

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// maxSortKey bounds a sort key, in bytes. Titles that agree in so much of their keys are
// ordered by id; without a bound, a key could not be part of an index on every engine.
const maxSortKey = 120

// keyEnd separates the sort key from the id in a title key. It is less than every character
// that a sort key can have, so that "Alien" comes before "Alien 3" whatever their ids are.
const keyEnd = "\x01"

// titleKey is a film's position in lists by title: comparing title keys byte by byte compares
// sort keys first and ids second.
func titleKey(title, id string) string { return sortKey(title) + keyEnd + id }

// idOfTitleKey is the id a title key was made with.
func idOfTitleKey(key string) string {
	_, id, _ := strings.Cut(key, keyEnd)
	return id
}

// sortKeyOf is the sort key a title key was made with.
func sortKeyOf(key string) string {
	sorted, _, _ := strings.Cut(key, keyEnd)
	return sorted
}

// sortKey is what titles are ordered by: the folded title without its leading article, at
// most maxSortKey bytes, cut between characters.
func sortKey(title string) string {
	key := fold(withoutArticle(title))
	if len(key) <= maxSortKey {
		return key
	}
	end := maxSortKey
	for !utf8.RuneStart(key[end]) {
		end--
	}
	return key[:end]
}

// fold makes texts equal that differ only in case, accents, character width, punctuation or
// spacing: "Amélie" and "AMELIE", "Schindler’s List" and "Schindlers List", "Alien: Covenant"
// and "Alien - Covenant". Letters that have no accent but are read as other letters ("ø", "æ",
// "ł", "ß") become those. A text without any letter or digit ("$", "...") folds to itself in
// lower case, because something must be left. Folding twice is folding once.
func fold(s string) string {
	if !utf8.ValidString(s) {
		s = strings.ToValidUTF8(s, "\uFFFD")
	}
	// Canonical caseless matching (Unicode 3.13, D145) decomposes before and after folding.
	decomposed := norm.NFD.String(foldCase(width.Fold.String(norm.NFD.String(s))))
	var b strings.Builder
	b.Grow(len(decomposed))
	space := false
	for _, r := range decomposed {
		switch {
		case isAccent(r) || isApostrophe(r):
			// "Schindler's" is one word.
		case isWordRune(r):
			if space && b.Len() > 0 {
				b.WriteByte(' ')
			}
			space = false
			if plain := plainLetters(r); plain != "" {
				b.WriteString(plain)
			} else {
				b.WriteRune(r)
			}
		default:
			space = true
		}
	}
	if b.Len() == 0 {
		return strings.TrimSpace(norm.NFC.String(strings.ToLower(s)))
	}
	// Decomposing took Hangul syllables apart; a search for one must find it whole.
	return norm.NFC.String(b.String())
}

// foldCase folds case. The second step is for Cherokee, whose two cases the first one exchanges.
func foldCase(s string) string { return strings.ToLower(cases.Fold().String(s)) }

// isWordRune tells what a word consists of. Marks are part of it: vowels of Indic scripts are
// marks, and leaving them out would change the word.
func isWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// isAccent reports whether r only modifies the letter before it: combining marks that belong
// to no script of their own, and Hebrew points. The two Japanese sound marks are excepted;
// without them another syllable is left.
func isAccent(r rune) bool {
	if r == '\u3099' || r == '\u309A' {
		return false
	}
	return unicode.Is(unicode.Mn, r) && unicode.In(r, unicode.Inherited, unicode.Hebrew)
}

func isApostrophe(r rune) bool {
	switch r {
	case '\'', '’', '‘', 'ʼ', 'ʻ', '`':
		return true
	}
	return false
}

// plainLetters spells a letter that no decomposition takes apart, and that people who do not
// have it on their keyboard write otherwise; "" for all others. r is case folded.
func plainLetters(r rune) string {
	switch r {
	case 'ø':
		return "o"
	case 'æ':
		return "ae"
	case 'œ':
		return "oe"
	case 'ł':
		return "l"
	case 'đ', 'ð':
		return "d"
	case 'þ':
		return "th"
	case 'ħ':
		return "h"
	case 'ŧ':
		return "t"
	case 'ŋ':
		return "ng"
	case 'ı':
		return "i"
	case 'ƒ':
		return "f"
	case '¹':
		return "1"
	case '²':
		return "2"
	case '³':
		return "3" // "Alien³"
	}
	return ""
}

// withoutArticle leaves out the first word of a title if it is an article and something with a
// letter or digit follows, and what punctuation stands before that word.
//
// A title does not say which language it is in, and an article of one language is another word
// in the next: "Die Hard", "Den of Thieves", "O Brother, Where Art Thou?", "As Good as It Gets",
// "I, Robot", "De rouille et d'os", "En kongelig affære". The rule is therefore: the English
// articles always count; another language's articles count if they are not at the same time
// an English word or a frequent non-article in one of the other languages. So "Das Boot" is
// under B, and "Die Welle" under D. Only a word that ends in a space counts, which keeps
// "A.I. Artificial Intelligence" and "A-Team" whole, and "À bout de souffle" is not English.
func withoutArticle(title string) string {
	start := strings.IndexFunc(title, isWordRune)
	if start < 0 {
		return title
	}
	text := title[start:]
	if rest, ok := cutElided(text); ok {
		return rest
	}
	word, rest, ok := strings.Cut(text, " ")
	if !ok || !isArticle(strings.ToLower(word)) || strings.IndexFunc(rest, isWordRune) < 0 {
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
	return rest, isApostrophe(r) && strings.IndexFunc(rest, isWordRune) >= 0
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

// isName reports whether what looks like an article is the first word of a name.
func isName(article, next string) bool {
	switch article + " " + next {
	case "los angeles", "las vegas", "la la":
		return true
	}
	return false
}

// genreKey is what genres are compared by. Only case is folded, and the Unicode form: an accent
// can make another word.
func genreKey(genre string) string {
	return norm.NFC.String(foldCase(norm.NFC.String(strings.TrimSpace(genre))))
}
