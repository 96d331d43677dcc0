package text

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Fold makes texts equal that differ only in case, accents, character width, punctuation or
// spacing: "Amélie" and "AMELIE", "Schindler’s List" and "Schindlers List", "Alien: Covenant"
// and "Alien - Covenant". Letters that have no accent but are read as other letters ("ø", "æ",
// "ł", "ß") become those. A text without any letter or digit ("$", "...") folds to itself in
// lower case, because something must be left. Folding twice is folding once.
func Fold(s string) string {
	if folded, ok := foldASCII(s); ok {
		return folded
	}
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
		case isAccent(r) || IsApostrophe(r):
			// "Schindler's" is one word.
		case IsWordRune(r):
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
	// Decomposing split Hangul syllables; a search for one must find it whole.
	return norm.NFC.String(b.String())
}

// foldASCII is Fold for ASCII texts, which most titles are: with it, an index of a million films is built in a
// third of the time. ok is false for other texts.
func foldASCII(s string) (folded string, ok bool) {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return "", false
		}
	}
	out := make([]byte, 0, len(s))
	space := false
	for i := range len(s) {
		c := s[i]
		switch {
		case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
		case c >= 'A' && c <= 'Z':
			c += 'a' - 'A'
		case IsApostrophe(rune(c)):
			continue
		default:
			space = true
			continue
		}
		if space && len(out) > 0 {
			out = append(out, ' ')
		}
		space = false
		out = append(out, c)
	}
	if len(out) == 0 {
		return strings.TrimSpace(strings.ToLower(s)), true
	}
	return string(out), true
}

// foldCase folds case. The second step is for Cherokee, whose two cases the first one exchanges.
func foldCase(s string) string { return strings.ToLower(cases.Fold().String(s)) }

// IsWordRune reports whether r is part of a word. Marks are: vowels of Indic scripts are
// marks, and leaving them out would change the word.
func IsWordRune(r rune) bool {
	return unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r)
}

// isAccent reports whether r only modifies the letter before it: combining marks that belong
// to no particular script, and Hebrew points. The two Japanese sound marks are excepted;
// without them another syllable is left.
func isAccent(r rune) bool {
	if r == '\u3099' || r == '\u309A' {
		return false
	}
	return unicode.Is(unicode.Mn, r) && unicode.In(r, unicode.Inherited, unicode.Hebrew)
}

// IsApostrophe reports whether r is inside a word and is left out when the word is folded.
func IsApostrophe(r rune) bool {
	switch r {
	case '\'', '’', '‘', 'ʼ', 'ʻ', '`':
		return true
	}
	return false
}

// plainLetters spells a letter that Unicode does not decompose, and that people without it on
// their keyboard write differently; "" for all others. r is case folded.
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

// GenreKey is what genres are compared by. Only case is folded, and the Unicode form: an accent
// can make another word.
func GenreKey(genre string) string {
	return norm.NFC.String(foldCase(norm.NFC.String(strings.TrimSpace(genre))))
}
