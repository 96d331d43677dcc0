package movielens

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
)

// Title is what a MovieLens title column says, taken apart.
type Title struct {
	// Title is the name to show, its article in front: "The City of Lost
	// Children". It is empty only if the column was blank.
	Title string
	// Original is the name in the film's own country, its article in front: "La Cité des enfants perdus". Empty where
	// the column gives none, or gives one that is the same as Title.
	Original string
	// Alternatives are other names, in the column's order, without Title, Original and repetitions.
	Alternatives []string
	// Year is the year of release, or of the first season of a series; 0 if the column gives none.
	Year int
}

// ParseTitle takes a title column apart:
//
//	City of Lost Children, The (Cité des enfants perdus, La) (1995)
//	Léon: The Professional (a.k.a. The Professional) (Léon) (1994)
//	Evangelion: 1.0 You Are (Not) Alone (Evangerion shin gekijôban: Jo) (2007)
//
// The format leaves open what a group in parentheses means, so these are rules,
// chosen by reading every such title of ml-latest-small:
//
//  1. Runs of white space count as one space; at the ends they do not count.
//  2. A last group "(1995)" is the year; of a range "(2006–2007)" or "(2006– )"
//     the first one is.
//  3. Groups are then taken off the end, as long as each follows a space and
//     is not part of the name. "Frontière(s)" and "(500) Days of Summer" keep
//     theirs by this. A group is part of the name, as is all before it, if it
//     continues the name (the name breaks off in front of it, as in "Birdman: Or
//     (The Unexpected Virtue of Ignorance)", or the group starts with a
//     conjunction, "(et salut à Sabine Mamou)"), if it names a part ("(First
//     Sequence)", "(Part 1 of …)"), if it is a label in capital letters
//     ("(EPIX)") or if it is one more year.
//  4. A group that starts with "a.k.a." or "aka" is an alternative title, and so
//     is one that reads as English: it ends in a moved English article, has a
//     word such as "the" or "of", or a possessive. English groups are mostly
//     titles of a re-release, and calling one of them original would be a guess.
//     So is a plain ASCII group behind a name that is visibly foreign itself:
//     "Joyeux Noël (Merry Christmas)".
//  5. Of the other groups the last is the original title, those before it are
//     alternatives: "Supercop (Police Story 3: Supercop) (Jing cha gu shi …)".
//  6. An article behind the last comma goes to the front, in the languages whose
//     articles GroupLens moves: "Misérables, Les", "Enfer, L'", "Boot, Das".
//
// Rules cannot know languages: "3 dev adam (Three Giant Men)" gets an English
// "original". A wrong guess mislabels a part, but no text is lost.
func ParseTitle(column string) Title {
	name := strings.Join(strings.Fields(column), " ")
	name, year := cutYear(name)
	name, groups := cutGroups(name)

	t := Title{Title: articleFirst(name), Year: year}
	foreign := looksForeign(name)
	original := -1
	for i, g := range groups {
		if g.alias || readsEnglish(g.text) || foreign && isASCII(g.text) && !movesForeignArticle(g.text) {
			continue
		}
		original = i
	}
	if original >= 0 {
		t.Original = articleFirst(groups[original].text)
		if t.Original == t.Title {
			t.Original = ""
		}
	}
	for i, g := range groups {
		other := articleFirst(g.text)
		if i == original || other == t.Title || other == t.Original || slices.Contains(t.Alternatives, other) {
			continue
		}
		t.Alternatives = append(t.Alternatives, other)
	}
	return t
}

// yearGroup matches a year or a range of years at the end. Plausible years only:
// cinema starts in the 1870s, and "(9999)" is more likely part of a name.
var yearGroup = regexp.MustCompile(`\s*\((1[89]\d\d|20\d\d)(\s?[-–—]\s?(\d{4})?)?\)$`)

func cutYear(name string) (rest string, year int) {
	at := yearGroup.FindStringSubmatchIndex(name)
	if at == nil || at[0] == 0 {
		return name, 0 // at[0] == 0: the year is all there is, so it is the name
	}
	year, _ = strconv.Atoi(name[at[2]:at[3]])
	return name[:at[0]], year
}

type titleGroup struct {
	text  string
	alias bool // marked "a.k.a."
}

// aliasMark matches what marks an alternative title. The undotted form counts
// only in lower case, because "Aka" is a word in other languages.
var aliasMark = regexp.MustCompile(`^(?:[aA]\.\s?[kK]\.\s?[aA]\.?|aka)[:\s]\s*`)

// cutGroups takes groups off the end of name, by rule 3 of ParseTitle, and
// returns them in the order of the text.
func cutGroups(name string) (rest string, groups []titleGroup) {
	for strings.HasSuffix(name, ")") {
		open := openingParenthesis(name)
		if open < 1 || name[open-1] != ' ' {
			break
		}
		head, text := name[:open-1], strings.TrimSpace(name[open+1:len(name)-1])
		if text == "" || continues(head, text) || namesPart(text) || isLabel(text) {
			break
		}
		g := titleGroup{text: text}
		if mark := aliasMark.FindString(text); mark != "" && mark != text {
			g.text, g.alias = text[len(mark):], true
		}
		groups = append(groups, g)
		name = head
	}
	slices.Reverse(groups)
	return name, groups
}

// openingParenthesis returns the index of the parenthesis that the last byte of s closes, or -1.
func openingParenthesis(s string) int {
	depth := 0
	for i := len(s) - 1; i >= 0; i-- {
		switch s[i] {
		case ')':
			depth++
		case '(':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

func continues(head, group string) bool {
	last := strings.ToLower(head[strings.LastIndexByte(head, ' ')+1:])
	switch last {
	case "or", "and", "&", "-", "–", "/", "+":
		return true
	}
	if strings.HasSuffix(last, ":") || strings.HasSuffix(last, ",") {
		return true
	}
	first, rest, _ := strings.Cut(group, " ")
	switch first {
	case "and", "or", "et", "ou", "und", "oder", "y", "og", "och", "&":
		return rest != ""
	}
	return false
}

func namesPart(group string) bool {
	words := strings.Fields(group)
	switch words[0] {
	case "Part", "Episode", "Chapter", "Volume", "Vol.", "Season", "Series":
		return true
	}
	switch words[len(words)-1] {
	case "Sequence", "Part", "Cut", "Edition", "Version":
		return true
	}
	return false
}

// isLabel reports whether the group is one word in ASCII capitals, as "(EPIX)" or "(TV)", or a year.
func isLabel(group string) bool {
	if year, err := strconv.Atoi(group); err == nil && len(group) == 4 && year >= 1800 && year < 2100 {
		return true
	}
	for i := range len(group) {
		if group[i] < 'A' || group[i] > 'Z' {
			return false
		}
	}
	return len(group) > 1
}

// readsEnglish looks for words that English has and the other languages of the data mostly have not. It is strict on
// purpose: "in", "for", "to", "on" and "you" are missing because German, Danish, Japanese and Chinese titles have
// them too.
func readsEnglish(s string) bool {
	if _, article, ok := cutArticle(s); ok && isEnglishArticle(article) {
		return true
	}
	return isASCII(s) && hasEnglishWord(s)
}

func hasEnglishWord(s string) bool {
	for word := range strings.FieldsFuncSeq(s, func(r rune) bool { return !unicode.IsLetter(r) && r != '\'' && r != '’' }) {
		switch word = strings.ToLower(strings.ReplaceAll(word, "’", "'")); word {
		case "the", "of", "and", "with", "from", "by", "my", "who":
			return true
		}
		if len(word) > 3 && strings.HasSuffix(word, "'s") {
			return true
		}
	}
	return false
}

// looksForeign reports whether a name is visibly not English, before its article is moved.
func looksForeign(name string) bool {
	if _, article, ok := cutArticle(name); ok {
		return !isEnglishArticle(article)
	}
	return !isASCII(name) && !hasEnglishWord(name)
}

func movesForeignArticle(s string) bool {
	_, article, ok := cutArticle(s)
	return ok && !isEnglishArticle(article)
}

// isASCII reports whether all letters of s are ASCII; other signs do not count.
func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII && unicode.IsLetter(r) })
}

func isEnglishArticle(article string) bool {
	return article == "The" || article == "A" || article == "An"
}

// cutArticle splits "Matrix, The" into "Matrix" and "The". The article must be written as GroupLens writes it, with a
// capital: "Lust, Caution (Se, jie)" and "Paris, je t'aime" have no article to move.
func cutArticle(s string) (rest, article string, ok bool) {
	comma := strings.LastIndex(s, ", ")
	if comma < 1 {
		return s, "", false
	}
	switch article = strings.ReplaceAll(s[comma+2:], "’", "'"); article {
	case "The", "A", "An", "Da", // English
		"Le", "La", "Les", "L'", "Un", "Une", // French
		"Il", "Lo", "I", "Gli", "Gl'", "Una", "Uno", "Un'", // Italian
		"El", "Los", "Las", // Spanish
		"O", "Os", "As", "Um", "Uma", // Portuguese
		"Der", "Die", "Das", "Ein", "Eine", // German
		"De", "Het", "'t", "Een", // Dutch
		"Den", "Det", "En", "Et", "Ett": // Danish, Norwegian, Swedish
		return strings.TrimRight(s[:comma], " "), s[comma+2:], true
	}
	return s, "", false
}

// articleFirst puts a moved article back. Elided articles take no space.
func articleFirst(s string) string {
	// A part that stays with the name follows the article.
	name, part := s, ""
	if strings.HasSuffix(s, ")") {
		if open := openingParenthesis(s); open > 0 && s[open-1] == ' ' {
			name, part = s[:open-1], s[open-1:]
		}
	}
	rest, article, ok := cutArticle(name)
	if !ok || rest == "" {
		return s
	}
	if strings.HasSuffix(article, "'") || strings.HasSuffix(article, "’") {
		return article + rest + part
	}
	return article + " " + rest + part
}
