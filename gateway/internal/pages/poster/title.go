package poster

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The column that the title stands in, in units of the viewBox (200 × 300).
const (
	margin     = 12.0
	column     = 200 - 2*margin
	maxBlock   = 122.0 // the tallest title
	gap        = 0.14  // between a line's foot and the next line's caps, in em
	maxRunes   = 96    // a longer title ends in "…"
	maxWords   = 20
	maxLines   = 5
	subGap     = 8  // between the title and what follows its colon
	longestRun = 26 // a longer word is cut into pieces
)

// row is one line of the title as it is set.
type row struct {
	text   string
	size   float64 // font size
	length float64 // of the text at that size
	known  bool    // whether the font has all its letters
	foot   float64 // the baseline, from the block's top
	voice  voice
}

// block is a title that has been set: its rows, and how tall they are together.
type block struct {
	rows   []row
	height float64
}

// clean makes a film's text fit to stand in markup and in one line: what XML
// cannot hold and what would turn the direction of the text around it is taken
// out, white space is folded.
func clean(s string) string {
	plain := true
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' || c == ' ' && (i == 0 || i+1 == len(s) || s[i+1] == ' ') {
			plain = false
			break
		}
	}
	if plain {
		return s
	}
	s = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.IsControl(r), r >= 0x202A && r <= 0x202E, r >= 0x2066 && r <= 0x2069, r&0xFFFE == 0xFFFE:
			return -1
		}
		return r // an invalid byte has become U+FFFD here
	}, s)
	return strings.Join(strings.Fields(s), " ")
}

// article is true of the words that may stand small above the first line.
func article(word string) bool {
	switch word {
	case "THE", "A", "AN", "LA", "LE", "LES", "EL", "LOS", "LAS", "IL", "DER", "DIE", "DAS", "O", "OS", "DEN", "DET":
		return true
	}
	return false
}

// address is true of the words before a name, which stand small above it as articles do: alone on a line as large as the
// name they would shout.
func address(word string) bool {
	switch word {
	case "DR.", "MR.", "MRS.", "MS.", "ST.":
		return true
	}
	return false
}

// parts splits a title in capitals at its colon, or before the "or" of a second title, which belongs to what follows it:
// "Dr. Strangelove or: How I Learned…" is Dr. Strangelove, or something else.
func parts(title string) (head, sub string) {
	head = title
	if i := strings.Index(title, ": "); i > 0 && i+2 < len(title) {
		head, sub = title[:i], title[i+2:]
		if first, ok := strings.CutSuffix(head, " OR"); ok && first != "" {
			head, sub = first, "OR: "+sub
		}
	} else if i := strings.Index(title, " OR ("); i > 0 {
		head, sub = title[:i], title[i+1:]
	} else if i := strings.Index(title, ", OR "); i > 0 {
		head, sub = title[:i], title[i+2:]
	}
	if sub != "" {
		head = strings.TrimRight(head, ",")
	}
	return head, sub
}

// clings is true of the words that should not end a line: they belong to the
// next one.
func clings(word string) bool {
	switch word {
	case "OF", "AND", "&", "TO", "IN", "ON", "FOR", "AT", "BY", "WITH", "FROM", "DE", "DU", "DES", "OR", "VS.", "MY", "-", "–", "DR.", "MR.", "MRS.", "ST.", "NO":
		return true
	}
	return article(word)
}

// typeset sets a clean title. A leading article stands small above, what follows
// a colon stands small below, and the rest is set as large as the column lets it.
// justified sets each line to the column's full width, as wood type was.
func typeset(title string, justified bool) block {
	title = shorten(apostrophes(strings.ToUpper(title)))
	var b block
	head, sub := parts(title)
	room := maxBlock
	var below []row
	var belowHeight float64
	if sub != "" {
		below, belowHeight = fit(words(sub), 2, 42, 25)
		room -= belowHeight + subGap
	}
	list := words(head)
	kicker := ""
	if len(list) > 1 && len(list[0]) > 1 && (article(list[0]) || address(list[0])) {
		kicker, list = list[0], list[1:]
		room -= 20
	}
	rows, height := fit(list, maxLines, room, 168)
	if justified {
		rows, height = stretch(rows, height, room)
	}
	if kicker != "" {
		size := min(26, max(14, rows[0].size*0.42))
		b.height = size * capHeight
		b.rows = append(b.rows, row{text: kicker, size: size, length: width(kicker, regular) * size, foot: b.height, known: true})
		b.height += max(5, rows[0].size*gap)
	}
	b.add(rows, height)
	if sub != "" {
		b.height += subGap
		b.add(below, belowHeight)
	}
	return b
}

func (b *block) add(rows []row, height float64) {
	for _, r := range rows {
		r.foot += b.height
		b.rows = append(b.rows, r)
	}
	b.height += height
}

// shorten cuts a title that no poster could hold, at a word where it can.
func shorten(title string) string {
	if utf8.RuneCountInString(title) <= maxRunes && strings.Count(title, " ") < maxWords {
		return title
	}
	runes, spaces, end, word := 0, 0, len(title), 0
	for i, r := range title {
		if r == ' ' {
			word = i
			spaces++
		}
		if runes++; runes >= maxRunes || spaces >= maxWords {
			end = i
			break
		}
	}
	if word > end/2 {
		end = word
	}
	return strings.TrimRight(title[:end], " ,;:.-–") + "…"
}

// words splits at spaces, and inside what is too long to be a word or written
// without spaces.
func words(s string) []string {
	list := make([]string, 0, 8)
	for word := range strings.FieldsSeq(s) {
		limit := longestRun
		if r, _ := utf8.DecodeRuneInString(word); ideographic(r) {
			limit = 5
		}
		for utf8.RuneCountInString(word) > limit {
			i := 0
			for range limit {
				_, n := utf8.DecodeRuneInString(word[i:])
				i += n
			}
			list = append(list, word[:i])
			word = word[i:]
		}
		list = append(list, word)
	}
	if len(list) > maxWords {
		list = append(list[:maxWords-1], "…")
	}
	return list
}

// fit breaks the words into at most maxLines lines and sets them as large as room
// (the height) and limit (the font size) allow. It prefers the regular voice until
// the condensed one would be much larger.
func fit(list []string, lines int, room, limit float64) ([]row, float64) {
	if len(list) == 0 {
		return nil, 0
	}
	size, breaks := largest(list, lines, room, regular)
	v := regular
	if size < min(60, limit) {
		if s, b := largest(list, lines, room, condensed); min(s, limit) > size*1.28 {
			size, breaks, v = s, b, condensed
		}
	}
	size = min(size, limit)
	rows := make([]row, 0, len(breaks))
	from, y := 0, 0.0
	for _, to := range breaks {
		text := strings.Join(list[from:to], " ")
		y += size * (capHeight + accent(text))
		rows = append(rows, row{text: text, size: size, length: width(text, v) * size, foot: y, voice: v, known: known(text)})
		y += size * gap
		from = to
	}
	return rows, y - size*gap
}

// accent is the room that a line needs above its capitals, in em.
func accent(line string) float64 {
	for _, r := range line {
		if r >= 0xC0 && r < 0x250 && !strings.ContainsRune("ÆÇÐ×ØÞßĄĘŁŒĐ", r) {
			return 0.13
		}
	}
	return 0
}

// apostrophes sets a typewriter's apostrophe inside a word as a printer's.
func apostrophes(s string) string {
	if strings.IndexByte(s, '\'') < 0 {
		return s
	}
	var b strings.Builder
	letter := false
	for _, r := range s {
		if r == '\'' && letter {
			b.WriteRune('’')
			continue
		}
		letter = unicode.IsLetter(r)
		b.WriteRune(r)
	}
	return b.String()
}

// largest finds the line breaks that allow the largest type: for each number of
// lines those with the shortest longest line, and of these the best number.
func largest(list []string, lines int, room float64, v voice) (size float64, breaks []int) {
	n := len(list)
	var ends [maxWords + 1]float64 // ends[i]: width of the first i words, each with a space behind
	var cling [maxWords + 1]bool
	space, _ := advance(' ', v)
	for i, w := range list {
		ends[i+1] = ends[i] + width(w, v) + space
		cling[i+1] = i+1 < n && clings(w)
	}
	// best[k][i]: the longest of k lines that hold the first i words; cut[k][i]: where the last begins.
	var best [maxLines + 1][maxWords + 1]float64
	var cut [maxLines + 1][maxWords + 1]int
	chosen := 0
	for k := 1; k <= min(lines, n); k++ {
		for i := k; i <= n; i++ {
			best[k][i] = -1
			for j := k - 1; j < i; j++ {
				if k == 1 && j > 0 {
					break
				}
				longest := ends[i] - ends[j] - space
				if cling[i] {
					longest *= 1.15 // as if it were longer: another break wins unless it is much worse
				}
				if k > 1 {
					longest = max(longest, best[k-1][j])
				}
				if best[k][i] < 0 || longest < best[k][i] {
					best[k][i], cut[k][i] = longest, j
				}
			}
		}
		s := min(column/max(best[k][n], 0.01), room/(float64(k)*(capHeight+gap)-gap))
		if s > size*1.04 {
			size, chosen = s, k
		}
	}
	breaks = make([]int, chosen)
	for k, i := chosen, n; k > 0; k-- {
		breaks[k-1], i = i, cut[k][i]
	}
	return size, breaks
}

// stretch sets each row to the column's full width, if the rows then still differ
// within reason and fit; otherwise they stay as they are.
func stretch(rows []row, height, room float64) ([]row, float64) {
	y := 0.0
	for i, r := range rows {
		size := column / max(r.length/r.size, 0.01)
		if size > 2.4*r.size || size > 110 {
			return rows, height
		}
		if i > 0 {
			y += size * gap
		}
		y += size * (capHeight + accent(r.text))
	}
	if y > room*1.12 {
		return rows, height
	}
	y = 0
	for i := range rows {
		size := column / (rows[i].length / rows[i].size)
		if i > 0 {
			y += size * gap
		}
		y += size * (capHeight + accent(rows[i].text))
		rows[i].size, rows[i].length, rows[i].foot = size, column, y
	}
	return rows, y
}

// truncate cuts s so that it is at most length long at a font size.
func truncate(s string, size, length float64) string {
	if width(s, regular)*size <= length {
		return s
	}
	length -= size * width("…", regular)
	sum := 0.0
	for i, r := range s {
		em, _ := advance(r, regular)
		if sum += em * size; sum > length {
			return strings.TrimRight(s[:i], " ,&") + "…"
		}
	}
	return s
}

// initial returns the first letter or digit that the font has, in capitals, of
// what follows a leading article.
func initial(title string) string {
	if first, rest, ok := strings.Cut(title, " "); ok && article(strings.ToUpper(first)) {
		title = rest
	}
	for _, r := range title {
		if r >= 'a' && r <= 'z' {
			r -= 'a' - 'A'
		}
		if r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' {
			return string(r)
		}
		if r > 0x17F {
			return ""
		}
	}
	return ""
}
