package search

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"movieexample.com/metadata/internal/text"
)

// chunk is a part of a name or a query between white space: "Spider-Man:", "l'été", "8½".
// Its parts are its words. People differ in what they write as one word, apart or with punctuation,
// so a chunk has other readings.
type chunk struct {
	// start and end are the bytes of the text from the first word to the last.
	start, end int
	// parts are the words. There is at least one.
	parts []text.Word
	// joined are the parts as one word, "spiderman"; empty if there is only one part.
	joined string
	// pieces are the texts between the apostrophes, without single letters: "été"; "schindler"
	// of "Schindler's". Empty if there is no apostrophe.
	pieces []text.Word
	// spelled are the parts with their number signs written out: "8", "1", "2" for "8½". Empty if
	// there are none.
	spelled []string
}

// chunks splits a name or a query. A text without letters and digits is one word, as
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

// hasSpace reports whether s has white space between two bytes; it has none where from ≥ to.
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

// spelled writes number signs out: fractions ("½" as "1", "2"), circled digits, Roman numerals and
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

// eachWord calls f with every word that finds a name, and its place.
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

// keys compare whole names.
type keys struct {
	// full is the name as it is, folded.
	full string
	// all are the ways to write it, without repetitions: full; parts joined ("xmen"); "&" and
	// number signs written out; with an article moved from the end to the start; and each of these without its
	// leading article. Empty for an empty name.
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
	if slices.ContainsFunc(cs, func(c chunk) bool { return c.joined != "" }) {
		var words []string
		for _, c := range cs {
			words = append(words, c.whole())
		}
		k.addOne(strings.Join(words, " "), name, cs)
	}
	if slices.ContainsFunc(cs, func(c chunk) bool { return c.spelled != nil }) {
		var words []string
		for _, c := range cs {
			if c.spelled != nil {
				words = append(words, c.spelled...)
			} else {
				words = append(words, texts(c.parts)...)
			}
		}
		k.addOne(strings.Join(words, " "), name, cs)
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

// isElided reports whether a chunk starts with the elided article of French and Italian, as in
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

// articleInFront moves an article from after the last comma to the front: "Matrix, The".
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
// longer than that for the order of titles (package text): there a wrong guess sorts a film under
// another letter, here it only makes a word optional: both words still find "Die Hard".
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

// whole is the chunk as one word.
func (c chunk) whole() string {
	if c.joined != "" {
		return c.joined
	}
	return c.parts[0].Text
}

func texts(words []text.Word) []string {
	var out []string
	for _, w := range words {
		out = append(out, w.Text)
	}
	return out
}
