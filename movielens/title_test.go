package movielens_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"movieexample.com/movielens"
)

func TestParseTitle(t *testing.T) {
	type title = movielens.Title
	alt := func(titles ...string) []string { return titles }
	for _, test := range []struct {
		column string
		want   title
	}{
		// Year and space.
		{"Plain Film (1995)", title{Title: "Plain Film", Year: 1995}},
		{"Trailing Space (1999) ", title{Title: "Trailing Space", Year: 1999}},
		{"  Many   Spaces,  The   (1999)", title{Title: "The Many Spaces", Year: 1999}},
		{"Two Spaces  (1983)", title{Title: "Two Spaces", Year: 1983}},
		{"No-Break\u00a0Space (1983)", title{Title: "No-Break Space", Year: 1983}},
		{"Broken\r\nLine (1983)", title{Title: "Broken Line", Year: 1983}},
		{"Glued(1983)", title{Title: "Glued", Year: 1983}},
		{"No Year", title{Title: "No Year"}},
		{"No Year, The", title{Title: "The No Year"}},
		{"No Year 7", title{Title: "No Year 7"}},
		{"A Series (2006–2007)", title{Title: "A Series", Year: 2006}},
		{"A Series (2006-2007)", title{Title: "A Series", Year: 2006}},
		{"A Series (2009– )", title{Title: "A Series", Year: 2009}},
		{"A Series (2009-)", title{Title: "A Series", Year: 2009}},
		{"2012 (2009)", title{Title: "2012", Year: 2009}},
		{"1984 (Nineteen Eighty-Four) (1984)", title{Title: "1984", Original: "Nineteen Eighty-Four", Year: 1984}},
		{"1900 (Novecento) (1976)", title{Title: "1900", Original: "Novecento", Year: 1976}},
		{"Said Twice (1983) (1984)", title{Title: "Said Twice (1983)", Year: 1984}},
		{"Not a Year (9999)", title{Title: "Not a Year", Original: "9999"}},
		{"Not a Year (12345)", title{Title: "Not a Year", Original: "12345"}},
		{"(1995)", title{Title: "(1995)"}},
		{"", title{}},
		{" \t ", title{}},

		// Articles.
		{"Matrix, The (1999)", title{Title: "The Matrix", Year: 1999}},
		{"Prophet, A (2009)", title{Title: "A Prophet", Year: 2009}},
		{"Unforgettable Summer, An (1994)", title{Title: "An Unforgettable Summer", Year: 1994}},
		{"Misérables, Les (1995)", title{Title: "Les Misérables", Year: 1995}},
		{"Enfer, L' (1994)", title{Title: "L'Enfer", Year: 1994}},
		{"Enfer, L’ (1994)", title{Title: "L’Enfer", Year: 1994}},
		{"Boot, Das (1981)", title{Title: "Das Boot", Year: 1981}},
		{"Mariachi, El (1992)", title{Title: "El Mariachi", Year: 1992}},
		{"Vitelloni, I (1953)", title{Title: "I Vitelloni", Year: 1953}},
		{"Good, the Bad and the Ugly, The (1966)", title{Title: "The Good, the Bad and the Ugly", Year: 1966}},
		{"10,000 BC (2008)", title{Title: "10,000 BC", Year: 2008}},
		{"Lion, the Witch, and the Door, The (2005)", title{Title: "The Lion, the Witch, and the Door", Year: 2005}},
		{"Detective Ann: Part Two, The (2005)", title{Title: "The Detective Ann: Part Two", Year: 2005}},
		{"The Front Already (2005)", title{Title: "The Front Already", Year: 2005}},
		{"Paris, Texas (1984)", title{Title: "Paris, Texas", Year: 1984}},
		{"Tetsu, the Builder (1984)", title{Title: "Tetsu, the Builder", Year: 1984}},
		{"Lowercase, the (1984)", title{Title: "Lowercase, the", Year: 1984}},
		{", The (1984)", title{Title: ", The", Year: 1984}},

		// Original titles.
		{
			"City of Lost Children, The (Cité des enfants perdus, La) (1995)",
			title{Title: "The City of Lost Children", Original: "La Cité des enfants perdus", Year: 1995},
		},
		{"Spanish Apartment, The (Auberge espagnole, L') (2002)", title{Title: "The Spanish Apartment", Original: "L'Auberge espagnole", Year: 2002}},
		{"Quiet Sea, The (stille Meer, Das) (1970)", title{Title: "The Quiet Sea", Original: "Das stille Meer", Year: 1970}},
		{"No Year at All (Sans année)", title{Title: "No Year at All", Original: "Sans année"}},
		{"Me and you (io e te) (2012)", title{Title: "Me and you", Original: "io e te", Year: 2012}},
		{"Same, The (The Same) (2012)", title{Title: "The Same", Year: 2012}},
		{"Lust, Caution (Se, jie) (2007)", title{Title: "Lust, Caution", Original: "Se, jie", Year: 2007}},
		{"Outer (Un (deux) trois) (2007)", title{Title: "Outer", Original: "Un (deux) trois", Year: 2007}},

		// Alternative titles.
		{"Twelve Monkeys (a.k.a. 12 Monkeys) (1995)", title{Title: "Twelve Monkeys", Alternatives: alt("12 Monkeys"), Year: 1995}},
		{"Twelve (a.k.a 12) (1995)", title{Title: "Twelve", Alternatives: alt("12"), Year: 1995}},
		{"Twelve (A.K.A. 12) (1995)", title{Title: "Twelve", Alternatives: alt("12"), Year: 1995}},
		{"Twelve (aka Douze) (1995)", title{Title: "Twelve", Alternatives: alt("Douze"), Year: 1995}},
		{"Red Shoes (Aka kutsu) (1995)", title{Title: "Red Shoes", Original: "Aka kutsu", Year: 1995}},
		{"Macbeth (a.k.a. Tragedy of Macbeth, The) (1971)", title{Title: "Macbeth", Alternatives: alt("The Tragedy of Macbeth"), Year: 1971}},
		{"Twice (a.k.a. 2) (a.k.a. Two) (a.k.a. 2)", title{Title: "Twice", Alternatives: alt("2", "Two")}},
		{
			"Léon: The Professional (a.k.a. The Professional) (Léon) (1994)",
			title{Title: "Léon: The Professional", Original: "Léon", Alternatives: alt("The Professional"), Year: 1994},
		},
		{
			"Bicycle Thieves (a.k.a. The Bicycle Thief) (a.k.a. The Bicycle Thieves) (Ladri di biciclette) (1948)",
			title{Title: "Bicycle Thieves", Original: "Ladri di biciclette", Alternatives: alt("The Bicycle Thief", "The Bicycle Thieves"), Year: 1948},
		},
		{"Blue Harbor (Harbor Tales 3) (Lan se gang) (1990)", title{Title: "Blue Harbor", Original: "Lan se gang", Alternatives: alt("Harbor Tales 3"), Year: 1990}},
		{"Le Sigh (a.k.a.) (1990)", title{Title: "Le Sigh", Original: "a.k.a.", Year: 1990}},

		// English in parentheses is another title, not the original one.
		{"Fast Lane (Return to the Lane) (2009)", title{Title: "Fast Lane", Alternatives: alt("Return to the Lane"), Year: 2009}},
		{"Seller, The (Salesman, The) (2009)", title{Title: "The Seller", Alternatives: alt("The Salesman"), Year: 2009}},
		{"Vampires (Ada Byrne's Vampires) (2009)", title{Title: "Vampires", Alternatives: alt("Ada Byrne's Vampires"), Year: 2009}},
		{"Trou, Le (Hole, The) (Night Watch, The) (1960)", title{Title: "Le Trou", Alternatives: alt("The Hole", "The Night Watch"), Year: 1960}},
		{"Joyeux Noël (Merry Christmas) (2005)", title{Title: "Joyeux Noël", Alternatives: alt("Merry Christmas"), Year: 2005}},
		{"Vie en Rose, La (Môme, La) (2007)", title{Title: "La Vie en Rose", Original: "La Môme", Year: 2007}},
		{"Robots: The Movie (Robotto gekijô: The Movie) (1989)", title{Title: "Robots: The Movie", Original: "Robotto gekijô: The Movie", Year: 1989}},

		// Parentheses that belong to the name.
		{"(500) Days of Summer (2009)", title{Title: "(500) Days of Summer", Year: 2009}},
		{"Frontière(s) (2007)", title{Title: "Frontière(s)", Year: 2007}},
		{"You Can (Not) Turn Back (2007)", title{Title: "You Can (Not) Turn Back", Year: 2007}},
		{"You Can (Not) Turn Back (Modorenai) (2007)", title{Title: "You Can (Not) Turn Back", Original: "Modorenai", Year: 2007}},
		{"Birdman: Or (The Unexpected Virtue of Ignorance) (2014)", title{Title: "Birdman: Or (The Unexpected Virtue of Ignorance)", Year: 2014}},
		{"Salut à tous (et bonne nuit) (2002)", title{Title: "Salut à tous (et bonne nuit)", Year: 2002}},
		{"Human Centipede, The (First Sequence) (2009)", title{Title: "The Human Centipede (First Sequence)", Year: 2009}},
		{"Long Walk (Part 1 of 'The Walks') (2007)", title{Title: "Long Walk (Part 1 of 'The Walks')", Year: 2007}},
		{"Ann Bee: Live (EPIX) (2012)", title{Title: "Ann Bee: Live (EPIX)", Year: 2012}},
		{"Empty () (2012)", title{Title: "Empty ()", Year: 2012}},
		{"Unbalanced) (2012)", title{Title: "Unbalanced)", Year: 2012}},
		{"Unbalanced ( (2012)", title{Title: "Unbalanced (", Year: 2012}},
		{"(Only This)", title{Title: "(Only This)"}},
	} {
		if diff := cmp.Diff(test.want, movielens.ParseTitle(test.column)); diff != "" {
			t.Errorf("ParseTitle(%q), - want + got:\n%s", test.column, diff)
		}
	}
}
