package text

import (
	"strings"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Word is a word of a text.
type Word struct {
	// Text is the word, folded. It is never empty.
	Text string
	// Start and End are its bytes in the text. They never split a character, or an accent from
	// its letter.
	Start, End int
}

// Words splits a text. The words, joined by spaces, are Fold of the text; a text without any
// letter or digit has none.
func Words(s string) []Word {
	words := make([]Word, 0, 8)
	word := make([]byte, 0, 32)
	start, end := 0, 0
	ascii := true // the word needs no composition
	flush := func() {
		if len(word) == 0 {
			return
		}
		folded := string(word)
		if !ascii {
			folded = norm.NFC.String(folded)
		}
		words = append(words, Word{Text: folded, Start: start, End: end})
		word, ascii = word[:0], true
	}
	for i, size := 0, 0; i < len(s); i += size {
		c := s[i]
		if c < utf8.RuneSelf && (i+1 == len(s) || s[i+1] < utf8.RuneSelf) {
			size = 1
			switch {
			case c >= 'A' && c <= 'Z':
				c += 'a' - 'A'
			case c >= 'a' && c <= 'z' || c >= '0' && c <= '9':
			case IsApostrophe(rune(c)):
				continue
			default:
				flush()
				continue
			}
			if len(word) == 0 {
				start = i
			}
			word, end = append(word, c), i+1
			continue
		}
		// A character with its accents and marks.
		size = max(1, norm.NFD.NextBoundaryInString(s[i:], true))
		char := strings.ToValidUTF8(s[i:i+size], "\uFFFD")
		// Fold does these steps over the whole text. None of them looks further than the marks of a
		// character, except composing at the end, which is done word by word.
		for _, d := range norm.NFD.String(foldCase(width.Fold.String(norm.NFD.String(char)))) {
			switch {
			case isAccent(d):
				if len(word) > 0 {
					end = i + size
				}
			case IsApostrophe(d):
			case IsWordRune(d):
				if len(word) == 0 {
					start = i
				}
				end, ascii = i+size, false
				if plain := plainLetters(d); plain != "" {
					word = append(word, plain...)
				} else {
					word = utf8.AppendRune(word, d)
				}
			default:
				flush()
			}
		}
	}
	flush()
	return words
}
