package search_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"movieexample.com/metadata/internal/search"
)

// shelf is a small catalogue for the rules; more votes from bottom to top.
func shelf(t *testing.T) *search.Index {
	t.Helper()
	films := []search.Film{
		{ID: "king3", Title: "The Lord of the Rings: The Return of the King", Year: 2003, Director: "Peter Jackson"},
		{ID: "matrix2", Title: "The Matrix Reloaded", Year: 2003, Director: "Lana Wachowski, Lilly Wachowski"},
		{ID: "matrix", Title: "The Matrix", Year: 1999, Director: "Lana Wachowski, Lilly Wachowski"},
		{ID: "diehard2", Title: "Die Hard 2", Year: 1990},
		{ID: "diehard", Title: "Die Hard", Year: 1988},
		{ID: "aliens", Title: "Aliens", Year: 1986, Director: "James Cameron"},
		{ID: "alien", Title: "Alien", Year: 1979, Director: "Ridley Scott"},
		{ID: "kingspeech", Title: "The King's Speech", Year: 2010},
		{ID: "leon", Title: "Léon: The Professional", Original: "Léon", Alternatives: []string{"The Professional"}, Year: 1994, Director: "Luc Besson"},
		{ID: "inception", Title: "Inception", Year: 2010, Director: "Christopher Nolan"},
		{ID: "nolan", Title: "Nolan and I", Year: 2015},
		{ID: "spiderman", Title: "Spider-Man", Year: 2002, Director: "Sam Raimi"},
		{ID: "walle", Title: "WALL·E", Year: 2008},
		{ID: "mash", Title: "M*A*S*H", Alternatives: []string{"MASH"}, Year: 1970},
		{ID: "batteries", Title: "*batteries not included", Year: 1987},
		{ID: "justice", Title: "...And Justice for All", Year: 1979},
		{ID: "haine", Title: "La Haine", Year: 1995},
		{ID: "avventura", Title: "L'Avventura", Year: 1960, Director: "Michelangelo Antonioni"},
		{ID: "untergang", Title: "Downfall", Original: "Der Untergang", Year: 2004},
		{ID: "mariachi", Title: "El Mariachi", Year: 1992},
		{ID: "postino", Title: "Il postino", Year: 1994},
		{ID: "verdes", Title: "Os Verdes Anos", Year: 1963},
		{ID: "aanslag", Title: "De aanslag", Year: 1986},
		{ID: "inseglet", Title: "Det sjunde inseglet", Year: 1957},
		{ID: "sjal", Title: "En själ", Year: 1990},
		{ID: "strasse", Title: "Die Straße", Year: 1923},
		{ID: "space", Title: "2001: A Space Odyssey", Year: 1968, Director: "Stanley Kubrick"},
		{ID: "of2001", Title: "Amélie", Original: "Le fabuleux destin d'Amélie Poulain", Year: 2001},
		{ID: "1984", Title: "1984", Year: 1984},
		{ID: "se7en", Title: "Seven", Alternatives: []string{"Se7en"}, Year: 1995},
		{ID: "eight", Title: "8½", Year: 1963},
		{ID: "smith", Title: "Mr. & Mrs. Smith", Year: 2005},
		{ID: "r2", Title: "R2", Year: 2000},
		{ID: "m", Title: "M", Year: 1931},
		{ID: "dollar", Title: "$", Year: 1971},
		{ID: "dots", Title: "...", Year: 1999},
		{ID: "sen", Title: "Spirited Away", Original: "千と千尋の神隠し", Year: 2001},
		{ID: "film", Title: "ﬁlm ﬂuﬀ", Year: 0},
		{ID: "toy3", Title: "Toy Story 3", Year: 2010},
		{ID: "rocky2", Title: "Rocky II", Year: 1979},
		{ID: "amigos", Title: "¡Three Amigos!", Year: 1986},
		{ID: "et", Title: "E.T. the Extra-Terrestrial", Year: 1982},
		{ID: "cplus", Title: "C++", Year: 2030},
		{ID: "csharp", Title: "C#", Year: 2031},
		{ID: "vendetta", Title: "V for Vendetta", Year: 2006},
		{ID: "toy2", Title: "Toy Story 2", Year: 1999},
	}
	var changes []search.Change
	for i, f := range films {
		f.Votes = int32(10 * (len(films) - i))
		changes = append(changes, search.Change{Film: f})
	}
	x := search.New()
	x.Apply(changes)
	t.Cleanup(x.Wait)
	return x
}

// find returns the ids of the hits of a text, with the kind of match.
func find(x *search.Index, text string) []string {
	kinds := map[search.Kind]string{search.Exact: "exact", search.Title: "title", search.Director: "director", search.Spelling: "spelling"}
	var out []string
	for _, h := range x.Search(search.Query{Text: text, Limit: 100}).Hits {
		out = append(out, h.ID+" "+kinds[h.Kind])
	}
	return out
}

func TestRules(t *testing.T) {
	x := shelf(t)
	for _, tc := range []struct {
		rule, query, want string // the first hits
	}{
		{"a whole title before one with more words or votes", "alien", "alien exact, aliens title"},
		{"case does not matter", "ALIEN", "alien exact, aliens title"},
		{"the last word may be a prefix", "alie", "aliens title, alien title"},
		{"words before the last are whole", "inc nolan", ""},
		{"words in any order", "hard die", "diehard2 title, diehard title"},
		{"without its article", "matrix", "matrix exact, matrix2 title"},
		{"with an article too much", "the alien", "alien exact, aliens title"},
		{"with another article", "a matrix", "matrix exact, matrix2 title"},
		{"an article after a comma", "Matrix, The", "matrix exact, matrix2 title"},
		{"an article that is a word", "die hard", "diehard exact, diehard2 title"},
		{"titles that start so come first", "the king", "kingspeech title, king3 title"},
		{"an article that must not match", "die matr", "matrix2 title, matrix title"},
		{"French", "haine", "haine exact"},
		{"Italian, elided", "avventura", "avventura exact"},
		{"Italian, apart", "l avventura", "avventura exact"},
		{"Italian, as written", "L’avventura", "avventura exact"},
		{"an elided article too much", "l'alien", "alien exact"},
		{"German", "untergang", "untergang exact"},
		{"Spanish", "mariachi", "mariachi exact"},
		{"Italian", "postino", "postino exact"},
		{"Portuguese", "verdes anos", "verdes exact"},
		{"Dutch", "aanslag", "aanslag exact"},
		{"Swedish", "sjunde inseglet", "inseglet exact"},
		{"Danish, Norwegian, Swedish", "sjal", "sjal exact"},
		{"an article alone is a word", "the", "king3 title, matrix2 title"},
		{"a year that narrows", "alien 1979", "alien exact"},
		{"a year in parentheses", "alien (1979)", "alien exact"},
		{"a year and no whole title", "matrix 2003", "matrix2 title"},
		{"a year of another film", "alien 1994", ""},
		{"a year alone, a title's word before the film's year", "2001", "space title, of2001 title, sen title"},
		{"a year that is a title", "1984", "1984 exact"},
		{"what is no year", "1994 films", ""},
		{"the original title", "leon", "leon exact"},
		{"an alternative title", "professional", "leon exact"},
		{"the director", "nolan", "nolan title, inception director"},
		{"title and director", "inception nolan", "inception director"},
		{"director and year", "nolan 2010", "inception director"},
		{"one of several directors", "lilly wach", "matrix2 director, matrix director"},
		{"one typo in five letters", "alein", "alien spelling"},
		{"none in four", "hiane", "haine spelling"},
		{"no typo in four letters", "hrad", ""},
		{"two in nine", "incpetoin", "inception spelling"},
		{"not two in eight", "avventru", "avventura spelling"},
		{"a missing letter", "matrx", "matrix spelling, matrix2 spelling"},
		{"typos spread over a whole title", "teh matrx", "matrix spelling"},
		{"a typo in the director's name", "wachowsky", "matrix2 spelling, matrix spelling"},
		{"a typo in a prefix", "incpeti", "inception spelling"},
		{"no typo in a number", "toy story 2", "toy2 exact"},
		{"right spelling before wrong", "aliens", "aliens exact, alien spelling"},
		{"joined", "spiderman", "spiderman exact"},
		{"apart", "spider man", "spiderman exact"},
		{"with a hyphen", "spider-man", "spiderman exact"},
		{"half of it", "spiderm", "spiderman title"},
		{"joined at a dot", "walle", "walle exact"},
		{"apart at a dot", "wall e", "walle exact"},
		{"with another sign", "wall-e", "walle exact"},
		{"joined at stars", "mash", "mash exact"},
		{"dots between", "M.A.S.H.", "mash exact"},
		{"without punctuation", "batteries not included", "batteries exact"},
		{"possessives", "king speech", "kingspeech title"},
		{"& in words", "mr and mrs smith", "smith exact"},
		{"& left out", "mr mrs smith", "smith exact"},
		{"half", "8 1/2", "eight exact"},
		{"half as one sign", "8½", "eight exact"},
		{"letters and digits", "se7en", "se7en exact"},
		{"sharp s", "strasse", "strasse exact"},
		{"ligatures", "film fluff", "film exact"},
		{"accents", "amelie", "of2001 exact"},
		{"Chinese characters, from the start", "千と千", "sen title"},
		{"one letter that is a title", "m", "m exact"},
		{"a letter and a digit", "r2", "r2 exact"},
		{"a sign that is a title", "$", "dollar exact"},
		{"dots that are a title", "...", "dots exact"},
		{"a sign that is none", "#", ""},
		{"operators are text", `"alien" AND NOT title:matrix*`, ""},
		{"quotes and stars do not count, a digit after them is a typo", `"matrix*"^2~`, "matrix2 spelling, matrix spelling"},
		{"quotes and stars are nothing", `"matrix*"~`, "matrix exact"},
		{"five letters in the title, one missing", "alin", "alien spelling"},
		{"five letters in the title, as a word before others", "alin 1979", "alien spelling"},
		{"four letters, one of four wrong", "hart", ""},
		{"nine letters in the title, two missing", "incptin", "inception spelling"},
		{"eight letters typed, two of nine wrong", "incptiom", "inception spelling"},
		{"ten, and two are too few", "avventua", "avventura spelling"},
		{"a whole title in one word", "diehard", "diehard exact, diehard2 spelling"},
		{"what is apart is no name in one word", "al ien", "alien spelling"},
		{"two words as one", "toystory", "toy3 spelling, toy2 spelling"},
		{"two words as one, and more", "toystory 2", "toy2 spelling"},
		{"two words as one, being typed", "toysto", "toy3 spelling, toy2 spelling"},
		{"what is before a colon as one", "lordoftherings", "king3 spelling"},
		{"a director as one", "christophernolan", "inception spelling"},
		{"a number after a word", "toystory2", "toy2 exact"},
		{"digits have no typos", "matrix2", ""},
		{"digits have no typos, in a prefix", "alien3", ""},
		{"digits are apart", "diehard2 1990", "diehard2 spelling"},
		{"initials at the start of a title", "et", "et title"},
		{"initials with dots", "e.t.", "et title"},
		{"initials with spaces", "e t", "et title"},
		{"initials as written", "E.T. the Extra", "et title"},
		{"initials being typed", "m.a.s", "mash title"},
		{"signs decide among equals", "C#", "csharp exact, cplus exact"},
		{"signs decide among equals, the other way", "c++", "cplus exact, csharp exact"},
		{"numerals of Rome typed", "toy story ii", "toy2 spelling"},
		{"numerals of Rome found", "rocky 2", "rocky2 spelling"},
		{"with digits at the word", "rocky2", "rocky2 spelling"},
		{"number words", "toy story three", "toy3 spelling"},
		{"numbers as words in the title", "3 amigos", "amigos spelling"},
		{"a numeral and a typo", "rokcy 2", "rocky2 spelling"},
		{"a V in front is a letter", "5", ""},
		{"nothing", " ", ""},
	} {
		got := strings.Join(find(x, tc.query), ", ")
		if tc.want == "" && got != "" || !strings.HasPrefix(got+",", strings.TrimSuffix(tc.want, ",")+",") && tc.want != "" {
			t.Errorf("%s: %q finds %s, want %s", tc.rule, tc.query, got, tc.want)
		}
	}
}

// TestOrder checks the order within a tier: votes, then the sort key of the title, then the id.
func TestOrder(t *testing.T) {
	x := search.New()
	t.Cleanup(x.Wait)
	x.Apply([]search.Change{
		{Film: search.Film{ID: "4", Title: "Star B"}},
		{Film: search.Film{ID: "3", Title: "The Star A"}},
		{Film: search.Film{ID: "2", Title: "Star A"}},
		{Film: search.Film{ID: "1", Title: "Star Z", Votes: 1}},
		{Film: search.Film{ID: "0", Title: "Star Y", Votes: -7}},
	})
	if got := fmt.Sprint(find(x, "star")); got != "[1 title 2 title 3 title 4 title 0 title]" {
		t.Error(got)
	}
	x.SetVotes(map[string]int32{"0": 5, "1": 0, "missing": 3})
	if got := fmt.Sprint(find(x, "star")); got != "[0 title 2 title 3 title 4 title 1 title]" {
		t.Error(got)
	}
}

// TestOneName: a match within one title ranks above one spread over titles, regardless of votes.
func TestOneName(t *testing.T) {
	x := search.New()
	t.Cleanup(x.Wait)
	x.Apply([]search.Change{
		{Film: search.Film{ID: "spread", Title: "Red Sun", Original: "Blue Moon", Votes: 9}},
		{Film: search.Film{ID: "one", Title: "Red and White Moon", Votes: 1}},
		{Film: search.Film{ID: "director", Title: "Red", Director: "A. Moon", Votes: 5}},
	})
	if got := fmt.Sprint(find(x, "red moon")); got != "[one title spread title director director]" {
		t.Error(got)
	}
}

func TestFilters(t *testing.T) {
	x := search.New()
	t.Cleanup(x.Wait)
	var changes []search.Change
	for i := range 30 {
		f := search.Film{ID: fmt.Sprint(i), Title: fmt.Sprint("Star ", i), Year: 1970 + i, Genres: []string{"Drama"}}
		switch {
		case i%3 == 0:
			f.Genres = []string{"Sci-Fi", "Drama", "drama"}
		case i%5 == 0:
			f.Genres = []string{"DRAMA"}
		case i == 29:
			f.Year, f.Genres = 0, nil
		}
		changes = append(changes, search.Change{Film: f})
	}
	x.Apply(changes)
	r := x.Search(search.Query{Text: "star", Genre: "sci-fi", HasDecade: true, Decade: 1980, Limit: 2})
	if got := fmt.Sprintf("%d hits, %d in all, %v %v", len(r.Hits), r.Total, r.Genres, r.Decades); got !=
		"2 hits, 3 in all, [{Drama 10} {Sci-Fi 3}] [{1970 4} {1980 3} {1990 3}]" {
		t.Error(got)
	}
	r = x.Search(search.Query{Text: "star", Genre: "Western", Limit: 2})
	if r.Total != 0 || r.Hits != nil || len(r.Genres) != 2 || r.Decades != nil {
		t.Errorf("%+v", r)
	}
	r = x.Search(search.Query{Text: "star", Limit: 2, NoCounts: true})
	if len(r.Hits) != 2 || r.Next == nil || r.Total != 0 || r.Genres != nil || r.Decades != nil {
		t.Errorf("%+v", r)
	}
	if got := fmt.Sprintf("%+v", x.Stats()); got != "{Films:30 Counts:{Genres:[{Genre:Drama Count:29} {Genre:Sci-Fi Count:10}] OtherGenres:0 Decades:[{Decade:1970 Count:10} {Decade:1980 Count:10} {Decade:1990 Count:9}]}}" {
		t.Error(got)
	}
}

func TestHighlight(t *testing.T) {
	x := shelf(t)
	for _, tc := range []struct{ query, id, title, name string }{
		{"the mat", "matrix", "[The] [Mat]rix", ""},
		{"matrix", "matrix", "The [Matrix]", ""},
		{"mtarix", "matrix2", "The [Matrix] Reloaded", ""},
		{"mtarix", "matrix", "[The Matrix]", ""},
		{"amel", "of2001", "[Amél]ie", ""},
		{"fabuleux poul", "of2001", "Amélie", "Le [fabuleux] destin d'Amélie [Poul]ain"},
		{"die stras", "strasse", "[Die] [Straß]e", ""},
		{"fi", "film", "[ﬁ]lm ﬂuﬀ", ""},
		{"film fl", "film", "[ﬁlm] [ﬂ]uﬀ", ""},
		{"nolan incep", "inception", "[Incep]tion", "Christopher [Nolan]"},
		{"spiderm", "spiderman", "[Spider-M]an", ""},
		{"walle", "walle", "[WALL·E]", ""},
		{"king sp", "kingspeech", "The [King]'s [Sp]eech", ""},
		{"professional", "leon", "Léon: The [Professional]", ""},
		{"千と", "sen", "Spirited Away", "[千と]千尋の神隠し"},
		{"alien 1979", "alien", "[Alien]", ""},
		{"$", "dollar", "[$]", ""},
		{"mash", "mash", "[M*A*S*H]", ""},
		{"toystory 2", "toy2", "[Toy Story] [2]", ""},
		{"toysto", "toy2", "[Toy Sto]ry 2", ""},
		{"toystory2", "toy2", "[Toy Story 2]", ""},
		{"rocky 2", "rocky2", "[Rocky] [II]", ""},
		{"rokcy2", "rocky2", "[Rocky] [II]", ""},
		{"e.t.", "et", "[E.T]. the Extra-Terrestrial", ""},
		{"alin", "alien", "[Alien]", ""},
		{"christophernolan", "inception", "Inception", "[Christopher Nolan]"},
		{"wachovsky", "matrix", "The Matrix", "Lana [Wachowski], Lilly [Wachowski]"},
	} {
		hits := x.Search(search.Query{Text: tc.query, Limit: 100}).Hits
		i := slices.IndexFunc(hits, func(h search.Hit) bool { return h.ID == tc.id })
		if i < 0 {
			t.Errorf("%q does not find %s: %+v", tc.query, tc.id, hits)
			continue
		}
		if title, name := marked(hits[i].Title), marked(hits[i].MatchedName); title != tc.title || name != tc.name {
			t.Errorf("%q finds %s %s, want %s %s", tc.query, title, name, tc.title, tc.name)
		}
	}
}

func marked(pieces []search.Piece) string {
	var b strings.Builder
	for _, p := range pieces {
		if p.Matched {
			b.WriteString("[" + p.Text + "]")
		} else {
			b.WriteString(p.Text)
		}
	}
	return b.String()
}
