package search

import (
	"slices"
	"strings"
	"unicode/utf8"

	"movieexample.com/metadata/internal/text"
)

// The bounds of what is indexed of a name as words written together.
const (
	// minJoin is how many letters of such a word must have been typed.
	minJoin = 5
	// maxJoins is how many pairs of words of a name can be written as one. What people write so stands at the
	// beginning.
	maxJoins = 3
	// maxJoin is how long the beginning of a name may be that is written as one, in bytes.
	maxJoin = 48
)

// eachJoin calls f with words that several neighbours of a name become when they are written together, and where
// these stand: pairs from the beginning ("starwars", "harrypotter"), and what is in front of a colon
// or a dash ("lordoftherings"). None begins with an article or another word that says nothing, or each
// "there" would find all films with "The Re…".
func eachJoin(name string, f func(word string, start, end int)) {
	cs := chunks(name)
	pairs, head := 0, false
	for i := range len(cs) - 1 {
		first := cs[i].whole()
		if isFiller(first) {
			continue
		}
		if pairs < maxJoins {
			pairs++
			f(first+cs[i+1].whole(), cs[i].start, cs[i+1].end)
		}
		if !head {
			head = true
			if end := headOf(name, cs); end-i > 1 {
				var b strings.Builder
				for _, c := range cs[i : end+1] {
					b.WriteString(c.whole())
				}
				if b.Len() <= maxJoin {
					f(b.String(), cs[i].start, cs[end].end)
				}
			}
		}
	}
}

// headOf is the last chunk in front of the first colon or dash of a name; -1 if it has none.
func headOf(name string, cs []chunk) int {
	for i := range len(cs) - 1 {
		if between := name[cs[i].end:cs[i+1].start]; strings.ContainsAny(between, ":-–—") {
			return i
		}
	}
	return -1
}

// isFiller reports whether a word is one of those that many titles have and nobody writes together with
// the next. It is not isArticle: "die" is one in German.
func isFiller(word string) bool {
	switch word {
	case
		"the", "a", "an", "and", "of", "in", "to", "for", "on", "at", "is", "my",
		"le", "la", "les", "un", "une", "de", "des", "du", "et",
		"der", "das", "ein", "eine", "und", "el", "los", "las", "y", "il", "i", "e", "o", "os":
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

// initials are the letters of a chunk that is nothing but single ones, such as "E.T."; empty for any other.
func (c chunk) initials() string {
	if slices.ContainsFunc(c.parts, func(w text.Word) bool { return utf8.RuneCountInString(w.Text) > 1 || isDigits(w.Text) }) {
		return ""
	}
	return c.joined
}

// initialsOf are the initials that a name begins with, or empty.
func initialsOf(name string) string {
	if cs := chunks(name); len(cs) > 1 {
		return cs[0].initials()
	}
	return ""
}

// solidOf are keys of a name of several words without their spaces, for whoever writes it as one
// word or puts the spaces elsewhere.
func solidOf(k keys) []string {
	var out []string
	for _, key := range k.all {
		solid := strings.ReplaceAll(key, " ", "")
		if !slices.Contains(out, solid) {
			out = append(out, solid)
		}
	}
	return out
}
