package search_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"movieexample.com/metadata/internal/search"
)

// FuzzSearch puts a film of any text and searches any text. Nothing may panic, names must come back in pieces as
// they are, and a film must be found by its own title.
func FuzzSearch(f *testing.F) {
	for _, seed := range [][2]string{
		{"The Matrix", "matr"},
		{"Schindler’s List", "schindlers lsit"},
		{"8½", "8 1/2"},
		{"WALL·E", "wall-e"},
		{"L'Été, The", "l'ete"},
		{"ﬁlm ﬂuﬀ", "fi"},
		{"Ame\u0301lie", "ame"},
		{"千と千尋", "千と"},
		{"기생충", "기"},
		{"ｶﾞﾒﾗ", "ガメ"},
		{"...", "..."},
		{"a\xffb", "a\xfe"},
		{"2001: A Space Odyssey", "2001 (1968)"},
		{"rock'n'roll & x", "& and"},
		{"ŉ㎯ⅷ①", "ŉ 8"},
		{"\u0301", "\u0301"},
		{"a.b.c.d.e.f.g.h.i.j.k.l.m.n", "abcdefghijklmn"},
		{"x", strings.Repeat("x-", 200)},
		{"Straße", "STRASS"},
		{"\U0001F3AC", "\U0001F3AC"},
		{"! !", "!"},
		{"ᾳ゙", "αι"},
	} {
		f.Add(seed[0], seed[1])
	}
	x := search.New()
	f.Fuzz(func(t *testing.T, name, query string) {
		film := search.Film{ID: "film", Title: name, Original: query, Director: name + ", " + query, Year: 1968, Genres: []string{name, query}}
		x.Apply([]search.Change{{Film: film}})
		for _, text := range []string{query, name, query + " " + name, name + query} {
			r := x.Search(search.Query{Text: text, Limit: 3})
			if len(r.Hits) != r.Total || r.Total > 1 || r.Next != nil {
				t.Fatalf("%+q finds %+v", text, r)
			}
			for _, h := range r.Hits {
				checkPieces(t, h.Title, name)
				if h.MatchedName != nil {
					checkPieces(t, h.MatchedName, query, film.Director)
				}
			}
			if (text == name || text == query) && isShort(text) && strings.TrimSpace(text) != "" && (r.Total != 1 || r.Hits[0].Kind != search.Exact) {
				t.Errorf("%+q is not found by its title: %+v", text, r)
			}
		}
		if s := x.Stats(); s.Films != 1 {
			t.Errorf("statistics of one film: %+v", s)
		}
		x.Apply([]search.Change{{Film: film, Deleted: true}})
		if r := x.Search(search.Query{Text: name, Limit: 3}); r.Total != 0 {
			t.Errorf("%+q finds a deleted film", name)
		}
	})
}

func isShort(s string) bool {
	return utf8.RuneCountInString(s) <= search.MaxQuery && utf8.ValidString(s)
}

// checkPieces checks that the pieces are one of the names, cut between characters.
func checkPieces(t *testing.T, pieces []search.Piece, names ...string) {
	t.Helper()
	var b strings.Builder
	for _, p := range pieces {
		if p.Text == "" {
			t.Errorf("an empty piece in %+v", pieces)
		}
		b.WriteString(p.Text)
	}
	at := 0
	for _, p := range pieces {
		if at > 0 && utf8.ValidString(b.String()) && (!utf8.RuneStart(p.Text[0]) || norm.NFD.PropertiesString(p.Text).CCC() != 0) {
			t.Errorf("a cut within a character, or before its accent: %+v", pieces)
		}
		at += len(p.Text)
	}
	if slices.Contains(names, b.String()) {
		return
	}
	t.Errorf("pieces %+v are none of %+q", pieces, names)
}
