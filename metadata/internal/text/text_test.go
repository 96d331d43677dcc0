package text_test

import (
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"
	"pgregory.net/rapid"

	"movieexample.com/metadata/internal/text"
)

func TestSortKey(t *testing.T) {
	for title, want := range map[string]string{
		// Case, accents, special letters.
		"Amélie":                "amelie",
		"AMÉLIE":                "amelie",
		"Ame\u0301lie":          "amelie",
		"Øyeblikk":              "oyeblikk",
		"Æon Flux":              "aeon flux",
		"Œdipe":                 "oedipe",
		"Łódź":                  "lodz",
		"Straße":                "strasse",
		"STRASSE":               "strasse",
		"İstanbul":              "istanbul",
		"Kırmızı":               "kirmizi",
		"Þór":                   "thor",
		"Đavo":                  "davo",
		"Ёлки":                  "елки",
		"Άλφα":                  "αλφα",
		"ﬁlm":                   "film",
		"ＡＫＩＲＡ":                 "akira",
		"Alien³":                "alien3",
		"8½":                    "8½",
		"千と千尋の神隠し":              "千と千尋の神隠し",
		"がんばっていきまっしょい":          "がんばっていきまっしょい",
		"기생충":                   "기생충",
		"दंगल":                  "दंगल",
		"שָׁלוֹם":               "שלום",
		"2001: A Space Odyssey": "2001 a space odyssey",

		// Punctuation and spacing.
		"Schindler's List":             "schindlers list",
		"Schindler’s List":             "schindlers list",
		"Face/Off":                     "face off",
		"Alien: Covenant":              "alien covenant",
		"  Alien  -  Covenant ":        "alien covenant",
		"*batteries not included":      "batteries not included",
		"...And Justice for All":       "and justice for all",
		"¡Three Amigos!":               "three amigos",
		"(500) Days of Summer":         "500 days of summer",
		"$9.99":                        "9 99",
		"M*A*S*H":                      "m a s h",
		"$":                            "$",
		"???":                          "???",
		"A.I. Artificial Intelligence": "a i artificial intelligence",
		"L.A. Confidential":            "l a confidential",

		// Articles that are left out.
		"The Matrix":              "matrix",
		"THE MATRIX":              "matrix",
		"'The Room'":              "room",
		"The \"Room\"":            "room",
		"A Beautiful Mind":        "beautiful mind",
		"An Education":            "education",
		"Le Samouraï":             "samourai",
		"La Haine":                "haine",
		"Les Misérables":          "miserables",
		"L'Avventura":             "avventura",
		"L’Atalante":              "atalante",
		"Un prophète":             "prophete",
		"Une femme est une femme": "femme est une femme",
		"Der Untergang":           "untergang",
		"Das Boot":                "boot",
		"Ein Lied von Liebe":      "lied von liebe",
		"El laberinto del fauno":  "laberinto del fauno",
		"Los olvidados":           "olvidados",
		"Las hurdes":              "hurdes",
		"Il postino":              "postino",
		"Gli intoccabili":         "intoccabili",
		"Os Verdes Anos":          "verdes anos",
		"Uma Aventura":            "aventura",
		"Het diner":               "diner",
		"Een vlucht":              "vlucht",
		"Det sjunde inseglet":     "sjunde inseglet",
		"Ett hål i mitt hjärta":   "hal i mitt hjarta",
		"The The Band":            "the band", // one article, not two

		// Apparent articles that are none, or may be none.
		"The":                        "the",
		"A":                          "a",
		"The ...":                    "the",
		"L'":                         "l",
		"Them!":                      "them",
		"Antz":                       "antz",
		"A-Team":                     "a team",
		"The-Matrix":                 "the matrix",
		"À bout de souffle":          "a bout de souffle",
		"Die Hard":                   "die hard",
		"Die Welle":                  "die welle",
		"Den of Thieves":             "den of thieves",
		"I, Robot":                   "i robot",
		"I Am Legend":                "i am legend",
		"O Brother, Where Art Thou?": "o brother where art thou",
		"As Good as It Gets":         "as good as it gets",
		"Lo and Behold":              "lo and behold",
		"De rouille et d'os":         "de rouille et dos",
		"En liberté!":                "en liberte",
		"Et Dieu... créa la femme":   "et dieu crea la femme",
		"La La Land":                 "la la land",
		"Los Angeles Plays Itself":   "los angeles plays itself",
	} {
		if got := text.SortKey(title); got != want {
			t.Errorf("text.SortKey(%q) = %q, want %q", title, got, want)
		}
	}
}

func TestSortKeyIsBounded(t *testing.T) {
	for _, title := range []string{strings.Repeat("a", 500), strings.Repeat("漢", 500), strings.Repeat("Straße ", 70), "a" + strings.Repeat("ф", 499)} {
		key := text.SortKey(title)
		if len(key) > text.MaxSortKey || len(key) < text.MaxSortKey-utf8.UTFMax || !utf8.ValidString(key) || !strings.HasPrefix(text.Fold(title), key) {
			t.Errorf("text.SortKey(%.20q…) is %d bytes: %q", title, len(key), key)
		}
	}
}

func TestFoldProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.String().Draw(t, "text")
		f := text.Fold(s)
		if again := text.Fold(f); again != f {
			t.Errorf("fold is not stable: %+q, then %+q", f, again)
		}
		if f == "" && strings.TrimSpace(s) != "" {
			t.Errorf("nothing is left of %+q", s)
		}
		for _, same := range []string{norm.NFD.String(s), norm.NFC.String(s), " " + s + " "} {
			if got := text.Fold(same); got != f {
				t.Errorf("text.Fold(%+q) = %+q, want %+q", same, got, f)
			}
		}
		if key := text.SortKey(s); !utf8.ValidString(key) || len(key) > text.MaxSortKey {
			t.Errorf("sort key %+q", key)
		}
	})
}

func TestGenreKey(t *testing.T) {
	for _, same := range [][]string{{"Sci-Fi", "SCI-FI", " sci-fi "}, {"Comédie", "COME\u0301DIE"}, {"Straßenfilm", "STRASSENFILM"}} {
		for _, g := range same {
			if text.GenreKey(g) != text.GenreKey(same[0]) {
				t.Errorf("text.GenreKey(%q) = %q, text.GenreKey(%q) = %q", g, text.GenreKey(g), same[0], text.GenreKey(same[0]))
			}
		}
	}
	for _, pair := range [][2]string{{"Comedie", "Comédie"}, {"Sci-Fi", "Sci Fi"}} {
		if text.GenreKey(pair[0]) == text.GenreKey(pair[1]) {
			t.Errorf("%q and %q are one genre", pair[0], pair[1])
		}
	}
}

// TestFoldASCII compares the fast path for ASCII texts with the slow one, which a letter after the
// text forces.
func TestFoldASCII(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.StringOf(rapid.RuneFrom([]rune("abzAZ019 '`-.!$\t\x00\x7f"))).Draw(t, "text")
		want := "e"
		if strings.ContainsAny(s, "abzAZ019") {
			want = text.Fold(s) + " e"
		}
		if got := text.Fold(s + " É"); got != want {
			t.Errorf("fold(%q) is %q, but %q with É after it", s, text.Fold(s), got)
		}
	})
}

func TestWords(t *testing.T) {
	for title, want := range map[string][]string{
		"Schindler’s List":    {"schindlers=Schindler’s", "list=List"},
		"The 'Burbs'":         {"the=The", "burbs=Burbs"},
		"AMÉLIE":              {"amelie=AMÉLIE"},
		"Ame\u0301 lie":       {"ame=Ame\u0301", "lie=lie"},
		"Straße nach ﬁlm":     {"strasse=Straße", "nach=nach", "film=ﬁlm"},
		"WALL·E":              {"wall=WALL", "e=E"},
		"기생충 千と":              {"기생충=기생충", "千と=千と"},
		"ｶﾞﾒﾗ":                {"ガメラ=ｶﾞﾒﾗ"},
		"a\xff\xfeb":          {"a=a", "b=b"},
		"...":                 nil,
		"$9.99":               {"9=9", "99=99"},
		"Alien³ (Director's)": {"alien3=Alien³", "directors=Director's"},
	} {
		var got []string
		for _, w := range text.Words(title) {
			got = append(got, w.Text+"="+title[w.Start:w.End])
		}
		if !slices.Equal(got, want) {
			t.Errorf("words of %q: %q, want %q", title, got, want)
		}
	}
}

func TestWordsAreFold(t *testing.T) {
	odd := rapid.StringOf(rapid.SampledFrom([]rune("aAé\u0301\u0308ßﬁæ한ᄒ\u1161\u11ab가ｶﾞ゙か\u3099'’ -.½³Åאָ\u05b8द\u093c\u0940ŉİıς\ufffd\u200d\u00a0ΐᾳ")))
	rapid.Check(t, func(t *rapid.T) {
		s := rapid.OneOf(rapid.String(), odd, rapid.Map(rapid.SliceOf(rapid.Byte()), func(b []byte) string { return string(b) })).Draw(t, "text")
		words := text.Words(s)
		var folded []string
		last := 0
		for _, w := range words {
			folded = append(folded, w.Text)
			// Two words may come of one character, as of "㎯", but never in the wrong order.
			if w.Text == "" || w.Start >= w.End || w.Start < last && w.End < last || w.End > len(s) {
				t.Errorf("word %+v of %+q", w, s)
			}
			last = w.Start
		}
		if len(words) > 0 && strings.Join(folded, " ") != text.Fold(s) {
			t.Errorf("words of %+q are %+q, folded it is %+q", s, folded, text.Fold(s))
		}
		if len(words) == 0 && text.Fold(s+" x") != "x" {
			t.Errorf("no words in %+q", s)
		}
	})
}
