package search

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"movieexample.com/metadata/internal/text"
)

// chunk is what stands between white space in a name or a query: "Spider-Man:", "l'été", "8½".
// Its parts are its words. What people write together, apart or with punctuation between differs
// from one to the next, so a chunk can also be read otherwise.
type chunk struct {
	// start and end are the bytes of the text from the first word to the last.
	start, end int
	// parts are the words. There is at least one.
	parts []text.Word
	// joined are the parts as one word, "spiderman"; empty if there is only one part.
	joined string
	// pieces are what stands between the apostrophes, without single letters: "été"; "schindler"
	// of "Schindler's". Empty if there is no apostrophe.
	pieces []text.Word
	// spelled are the parts with their number signs written out: "8", "1", "2" for "8½". Empty if
	// there are none.
	spelled []string
}

// chunks takes a name or a query apart. A text without any letter or digit is one word, itself, as
// "$" and "…" are names of films.
func chunks(s string) []chunk {
	words := text.Words(s)
	if len(words) == 0 {
		whole := text.Fold(s)
		if whole == "" {
			return nil
		}
		words = []text.Word{{Text: whole, Start: 0, End: len(s)}}
	}
	out := make([]chunk, 0, len(words))
	for from := 0; from < len(words); {
		to := from + 1
		for to < len(words) && !hasSpace(s, words[to-1].End, words[to].Start) {
			to++
		}
		c := chunk{start: words[from].Start, end: words[to-1].End, parts: words[from:to:to]}
		if to-from > 1 {
			var b strings.Builder
			for _, w := range c.parts {
				b.WriteString(w.Text)
			}
			c.joined = b.String()
		}
		c.pieces = pieces(s, c.parts)
		c.spelled = spelled(c.parts)
		out = append(out, c)
		from = to
	}
	return out
}

// hasSpace reports whether white space stands between two bytes of s; none does where from ≥ to.
func hasSpace(s string, from, to int) bool {
	return from < to && strings.IndexFunc(s[from:to], unicode.IsSpace) >= 0
}

// pieces splits words at their apostrophes and leaves single letters out, which are elided
// articles and pronouns ("l'", "d'") or endings ("'s", "'t").
func pieces(s string, words []text.Word) []text.Word {
	if !slices.ContainsFunc(words, func(w text.Word) bool { return strings.ContainsFunc(s[w.Start:w.End], text.IsApostrophe) }) {
		return nil
	}
	var out []text.Word
	for _, w := range words {
		start := w.Start
		for i, r := range s[w.Start:w.End] {
			if text.IsApostrophe(r) {
				out = appendPiece(out, s, start, w.Start+i)
				start = w.Start + i + utf8.RuneLen(r)
			}
		}
		out = appendPiece(out, s, start, w.End)
	}
	return out
}

func appendPiece(dst []text.Word, s string, start, end int) []text.Word {
	for _, w := range text.Words(s[start:end]) {
		if utf8.RuneCountInString(w.Text) > 1 || isDigits(w.Text) {
			dst = append(dst, text.Word{Text: w.Text, Start: start + w.Start, End: start + w.End})
		}
	}
	return dst
}

// spelled writes number signs out: fractions ("½" as "1", "2") and digits in circles, of Rome and
// the like.
func spelled(words []text.Word) []string {
	found := false
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		plain := spellNumbers(w.Text)
		found = found || plain != w.Text
		b.WriteString(plain)
	}
	if !found {
		return nil
	}
	return strings.Fields(text.Fold(b.String()))
}

func spellNumbers(s string) string {
	if isASCII(s) || !strings.ContainsFunc(s, isNumberSign) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if !isNumberSign(r) {
			b.WriteRune(r)
			continue
		}
		plain := norm.NFKC.String(string(r))
		if strings.ContainsRune(plain, '\u2044') { // the bar of a fraction
			plain = " " + plain
		}
		b.WriteString(plain)
	}
	return b.String()
}

func isNumberSign(r rune) bool { return r >= utf8.RuneSelf && unicode.In(r, unicode.No, unicode.Nl) }

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func isDigits(s string) bool {
	return s != "" && strings.IndexFunc(s, func(r rune) bool { return !unicode.IsDigit(r) }) < 0
}

// eachWord calls f with every word that a name can be found by, and where it stands.
func eachWord(name string, f func(word string, start, end int)) {
	for _, c := range chunks(name) {
		for _, w := range c.parts {
			f(w.Text, w.Start, w.End)
		}
		if c.joined != "" {
			f(c.joined, c.start, c.end)
		}
		for _, w := range c.pieces {
			f(w.Text, w.Start, w.End)
		}
		for _, w := range c.spelled {
			f(w, c.start, c.end)
		}
	}
	for from := 0; ; {
		i := strings.IndexByte(name[from:], '&')
		if i < 0 {
			return
		}
		f("and", from+i, from+i+1)
		from += i + 1
	}
}

// keys are what whole names are compared by.
type keys struct {
	// full is the name as it is, folded.
	full string
	// all are the ways to write it, without repetitions: full; parts joined ("xmen"); "&" and
	// number signs written out; with an article from the end in front; and each of these without its
	// leading article. Empty if nothing is left of the name.
	all []string
}

// keysOf returns the keys of a name or query.
func keysOf(name string) keys {
	k := keys{full: text.Fold(name)}
	k.add(name)
	if front, ok := articleInFront(name); ok {
		k.add(front)
	}
	return k
}

func (k *keys) add(name string) {
	cs := chunks(name)
	k.addOne(text.Fold(name), name, cs)
	var joined, plain strings.Builder
	isJoined, isPlain := false, false
	for i, c := range cs {
		if i > 0 {
			joined.WriteByte(' ')
			plain.WriteByte(' ')
		}
		word := c.joined
		if word == "" {
			word = c.parts[0].Text
		} else {
			isJoined = true
		}
		joined.WriteString(word)
		if c.spelled != nil {
			isPlain = true
			plain.WriteString(strings.Join(c.spelled, " "))
		} else {
			for j, w := range c.parts {
				if j > 0 {
					plain.WriteByte(' ')
				}
				plain.WriteString(w.Text)
			}
		}
	}
	if isJoined {
		k.addOne(joined.String(), name, cs)
	}
	if isPlain {
		k.addOne(plain.String(), name, cs)
	}
	if strings.Contains(name, "&") && len(cs) > 1 {
		k.addOne(text.Fold(strings.ReplaceAll(name, "&", " and ")), name, cs)
	}
}

// addOne adds one way to write a name, and that way without its article.
func (k *keys) addOne(key, name string, cs []chunk) {
	if key == "" {
		return
	}
	if !slices.Contains(k.all, key) {
		k.all = append(k.all, key)
	}
	if n := articleLen(name, cs); n > 0 && len(key) > n {
		if rest := strings.TrimPrefix(key[n:], " "); rest != "" && !slices.Contains(k.all, rest) {
			k.all = append(k.all, rest)
		}
	}
}

// articleLen is the length of the leading article in the folded name: 0 if there is none or if
// nothing follows it.
func articleLen(name string, cs []chunk) int {
	if len(cs) == 0 {
		return 0
	}
	if isElided(name, cs[0]) {
		return 1
	}
	if len(cs) > 1 && len(cs[0].parts) == 1 && isArticle(cs[0].parts[0].Text) {
		return len(cs[0].parts[0].Text)
	}
	return 0
}

// isElided reports whether a chunk begins with the elided article of French and Italian, as in
// "L'Avventura".
func isElided(name string, c chunk) bool {
	w := c.parts[0]
	s := name[w.Start:w.End]
	if len(s) < 3 || s[0] != 'l' && s[0] != 'L' {
		return false
	}
	r, _ := utf8.DecodeRuneInString(s[1:])
	return text.IsApostrophe(r)
}

// articleInFront moves an article from behind the last comma to the front: "Matrix, The".
func articleInFront(name string) (string, bool) {
	i := strings.LastIndexByte(name, ',')
	if i < 0 {
		return "", false
	}
	last := strings.TrimSpace(name[i+1:])
	cs := chunks(last)
	if len(cs) != 1 || len(cs[0].parts) != 1 || !isArticle(cs[0].parts[0].Text) || strings.TrimSpace(name[:i]) == "" {
		return "", false
	}
	return last + " " + strings.TrimSpace(name[:i]), true
}

// isArticle reports whether a folded word is an article in one of eight languages. The list is
// longer than that for the order of titles (package text): there a wrong guess puts a film under
// another letter, here it only makes a word optional, and "Die Hard" is found by both its words.
func isArticle(word string) bool {
	switch word {
	case
		"the", "a", "an", // English
		"le", "la", "les", "l", "un", "une", "des", "du", // French
		"der", "die", "das", "den", "dem", "ein", "eine", "einen", "einem", "einer", // German
		"el", "los", "las", "lo", "una", "unos", "unas", // Spanish
		"il", "i", "gli", "uno", // Italian
		"o", "os", "as", "um", "uma", // Portuguese
		"de", "het", "een", // Dutch
		"det", "en", "et", "ett": // Danish, Norwegian, Swedish
		return true
	}
	return false
}
