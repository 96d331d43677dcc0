package imdb

import (
	"strconv"
	"strings"
)

// vocabulary is what titles and names are made of.
type vocabulary struct {
	otherTypes, genres, adjectives, things, places, firstNames, lastNames, regions []string
}

func newVocabulary() *vocabulary {
	return &vocabulary{
		otherTypes: strings.Fields("tvEpisode tvEpisode tvEpisode tvEpisode tvEpisode tvEpisode tvEpisode tvEpisode short tvSeries video videoGame " +
			"tvMiniSeries"),
		genres: strings.Fields("Drama Comedy Documentary Action Romance Thriller Crime Horror Adventure Family Biography Music History Mystery " +
			"Sport Sci-Fi Fantasy War Western Musical Film-Noir News"),
		adjectives: strings.Fields("Silent Hollow Distant Golden Broken Secret Frozen Wandering Hidden Burning Gentle Savage Midnight Invisible " +
			"Restless Velvet Ancient Lonely Quiet Perfect Northern Bitter Painted Infinite Borrowed Last"),
		things: strings.Fields("River Garden Letter Station Orchard Lantern Harbour Machine Island Mirror Bridge Winter Detective Promise " +
			"Horizon Stranger Clock Waltz Carnival Compass Violin Telegram Kingdom Tide Summer Witness Engine Shadow Voyage " +
			"Teacher Ghost Market Balloon Tailor Storm Song Door"),
		places: strings.Fields("Lisbon Havana Oslo Kyoto Marseille Dublin Cairo Valparaíso Kraków Tallinn Québec Nairobi Montevideo Tbilisi " +
			"Zürich Hanoi Samarkand Riga Accra Lima"),
		firstNames: strings.Fields("Clara Otis Zoë Marta Edmund Inés Yusuf Greta Tomasz Agnès Ravi Lucía Björn Nadia Felix Ottilie Kenji Amara " +
			"Pavel Ingrid Hugo Leila"),
		lastNames: strings.Fields("Abara Bellweather Castellan Drummond Eriksen Fontaine Grigorev Halloran Ibsen Jansen Kowalczyk Lindqvist " +
			"Moreau Nakagawa Oduya Pereira Quill Rasmussen Sandoval Takahashi Ueda Varga Winterbourne Yilmaz Ziegler"),
		regions: strings.Fields("US GB DE FR ES IT JP BR PL SE RU IN XWW MX FI GR"),
	}
}

// pick takes one of the words by some bits of h, and leaves the rest of them.
func pick(words []string, h *uint64) string {
	word := words[*h%uint64(len(words))]
	*h /= uint64(len(words))
	return word
}

// title makes some ten million titles.
func (v *vocabulary) title(h uint64) string {
	var b strings.Builder
	form := h % 8
	h /= 8
	switch {
	case form < 2:
		b.WriteString("The " + pick(v.adjectives, &h) + " " + pick(v.things, &h) + " of " + pick(v.places, &h))
	case form < 4:
		b.WriteString(pick(v.adjectives, &h) + " " + pick(v.things, &h) + " in " + pick(v.places, &h))
	case form == 4:
		b.WriteString(pick(v.firstNames, &h) + " and the " + pick(v.adjectives, &h) + " " + pick(v.things, &h))
	case form == 5:
		b.WriteString(pick(v.places, &h) + ", " + strconv.Itoa(1800+int(h%220)) + ": " + pick(v.things, &h))
	case form == 6:
		b.WriteString(pick(v.things, &h) + " " + strconv.Itoa(2+int(h%5)) + ": The " + pick(v.adjectives, &h) + " " + pick(v.lastNames, &h))
	default:
		b.WriteString(`"` + pick(v.firstNames, &h) + " " + pick(v.lastNames, &h) + `" and ` + pick(v.things, &h))
	}
	return b.String()
}
