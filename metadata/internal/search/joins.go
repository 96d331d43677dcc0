package search

import (
	"slices"
	"strings"
	"unicode/utf8"

	"movieexample.com/metadata/internal/text"
)

// The bounds of the joined words that are indexed of a name.
const (
	// minJoin is how many letters of such a word must be typed.
	minJoin = 5
	// maxJoins is how many pairs of words of a name can be written as one. People write the first words
	// so.
	maxJoins = 3
	// maxJoin is the greatest length of the start of a name that can be written as one word, in bytes.
	maxJoin = 48
)

// eachJoin calls f with words that several neighbours of a name become when they are written together, and their
// places: the first pairs ("starwars", "harrypotter"), and the part before a colon
// or a dash ("lordoftherings"). None starts with an article or another filler word, or
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

// headOf is the last chunk before the first colon or dash of a name; -1 if it has none.
func headOf(name string, cs []chunk) int {
	for i := range len(cs) - 1 {
		if between := name[cs[i].end:cs[i+1].start]; strings.ContainsAny(between, ":-–—") {
			return i
		}
	}
	return -1
}

// isFiller reports whether many titles have the word and it is not written together with
// the next. It differs from isArticle: "die" is an article in German.
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

// initials are the letters of a chunk of single letters, such as "E.T."; empty for any other chunk.
func (c chunk) initials() string {
	if slices.ContainsFunc(c.parts, func(w text.Word) bool { return utf8.RuneCountInString(w.Text) > 1 || isDigits(w.Text) }) {
		return ""
	}
	return c.joined
}

// initialsOf are the initials at the start of a name, or empty.
func initialsOf(name string) string {
	if cs := chunks(name); len(cs) > 1 {
		return cs[0].initials()
	}
	return ""
}

// solidOf are the keys of a name without their spaces, for queries that are one
// word or have the spaces elsewhere.
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
