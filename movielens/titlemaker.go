package movielens

import (
	"math/rand/v2"
	"strconv"
	"strings"
)

// titleMaker makes up title and genre columns with the oddities of the original, about as often as the original has
// them, so that a program that survives the synthetic data set has met them all.
type titleMaker struct{ rng *rand.Rand }

func newTitleMaker(rng *rand.Rand) *titleMaker { return &titleMaker{rng} }

func (m *titleMaker) of(words string) string {
	n := m.rng.IntN(strings.Count(words, " ") + 1)
	for range n {
		_, words, _ = strings.Cut(words, " ")
	}
	word, _, _ := strings.Cut(words, " ")
	return word
}

const (
	adjectives = "Silent Crimson Hollow Distant Golden Broken Secret Electric Frozen Wandering Hidden Burning Gentle Savage " +
		"Midnight Paper Invisible Restless Velvet Ancient Lonely Quiet Perfect Second Northern Bitter Painted Infinite Borrowed Last"
	things = "River Garden Letter Station Orchard Lantern Harbor Machine Island Mirror Bridge Winter Island Detective Promise " +
		"Horizon Stranger Clock Waltz Carnival Compass Lighthouse Violin Cathedral Telegram Kingdom Tide Summer Witness Engine " +
		"Shadow Voyage Teacher Ghost Market Balloon Tailor Storm Song Door"
	places = "Lisbon Havana Oslo Kyoto Marseille Dublin Cairo Valparaíso Kraków Tallinn Québec Nairobi Montevideo Tbilisi Zürich Hanoi"
	names  = "Clara Otis Zoë Marta Edmund Inés Yusuf Greta Tomasz Agnès Ravi Lucía Björn Nadia Felix Ottilie"

	frenchNouns  = "Rivière Lettre Gare Lanterne Promesse Valse Tempête Chanson Porte Nuit"
	frenchWords  = "bleue perdue secrète brisée rouge infinie douce étrange"
	germanNouns  = "Garten Brief Bahnhof Spiegel Winter Fremde Sturm Lehrer"
	italianNouns = "Giardino Mercato Ponte Segreto Maestro Fantasma"

	genreNames = "Drama Drama Drama Drama Comedy Comedy Comedy Thriller Thriller Action Action Romance Romance Adventure Crime Sci-Fi " +
		"Horror Fantasy Children Animation Mystery Documentary War Musical Western IMAX Film-Noir"
)

// title is a title column, not yet quoted.
func (m *titleMaker) title() string {
	name := m.name()
	switch n := m.rng.IntN(1000); {
	case n < 60:
		name += " (" + m.foreign() + ")"
	case n < 72:
		name += " (a.k.a. " + m.name() + ")"
	case n < 76:
		name += " (a.k.a. The " + m.of(things) + ") (" + m.foreign() + ")"
	case n < 77:
		name += " (First Sequence)"
	case n < 78:
		name += " " // two spaces before the year
	}
	// More films from later years, none before 1902.
	year := 2018 - min(int(m.rng.ExpFloat64()*22), 116)
	switch n := m.rng.IntN(10_000); {
	case n < 13:
		return name // no year
	case n < 14:
		return name + " (" + strconv.Itoa(year) + "–" + strconv.Itoa(year+2) + ")"
	case n < 24:
		return name + " (" + strconv.Itoa(year) + ") "
	}
	return name + " (" + strconv.Itoa(year) + ")"
}

// name is a name with its article behind, as the original writes it.
func (m *titleMaker) name() string {
	switch m.rng.IntN(16) {
	case 0, 1, 2:
		return m.of(adjectives) + " " + m.of(things) + ", The"
	case 3:
		return m.of(things) + " of " + m.of(places) + ", The"
	case 4:
		return m.of(things) + " in " + m.of(places) + ", A"
	case 5:
		return m.of(things) + ", the " + m.of(things) + " and the " + m.of(things) + ", The"
	case 6:
		return m.of(names) + "'s " + m.of(things)
	case 7:
		return m.of(names) + ", " + m.of(names)
	case 8:
		return m.of(things) + " " + strconv.Itoa(2+m.rng.IntN(4)) + ": The " + m.of(adjectives) + " " + m.of(things)
	case 9:
		if m.rng.IntN(40) == 0 {
			return `"` + m.of(adjectives) + `" ` + m.of(things)
		}
		return m.of(adjectives) + " " + m.of(adjectives) + " " + m.of(things)
	case 10:
		return strconv.Itoa(2+m.rng.IntN(998)) + " Days in " + m.of(places)
	default:
		return m.of(adjectives) + " " + m.of(things)
	}
}

// foreign is an original title.
func (m *titleMaker) foreign() string {
	switch m.rng.IntN(5) {
	case 0:
		return m.of(frenchNouns) + " " + m.of(frenchWords) + ", La"
	case 1:
		return m.of(germanNouns) + " von " + m.of(places) + ", Der"
	case 2:
		return m.of(italianNouns) + " di " + m.of(places) + ", Il"
	case 3:
		return "Aube " + m.of(frenchWords) + ", L'"
	default:
		return "La " + strings.ToLower(m.of(frenchNouns)) + " à " + m.of(places)
	}
}

// genres is a genres column. No genre has a sign that CSV would want quoted.
func (m *titleMaker) genres() string {
	if m.rng.IntN(290) == 0 {
		return noGenres
	}
	column := m.of(genreNames)
	for m.rng.IntN(9) < 5 {
		genre := m.of(genreNames)
		if !strings.Contains(column, genre) {
			column += "|" + genre
		}
	}
	return column
}
