package poster

import "strings"

// lean is what a genre prefers: a mood, the motifs that tell it, and how loudly
// it asks beside a film's other genres. Nearly every film is a drama as well, so
// drama speaks last.
type lean struct {
	weight int
	mood   *mood
	motifs []motif
}

// fold is the key of a genre in leanOf.
func fold(genre string) string { return strings.ToLower(genre) }

func leanOf(genre string) (lean, bool) {
	switch fold(genre) {
	case "action":
		return lean{2, &dust, []motif{chevrons, target, diagonal, star}}, true
	case "adventure":
		return lean{3, &dust, []motif{peaks, waves, sun, road}}, true
	case "animation":
		return lean{4, &bright, []motif{tiles, dots, arches, ribbons}}, true
	case "children":
		return lean{4, &bright, []motif{arches, dots, star, sun}}, true
	case "comedy":
		return lean{3, &bright, []motif{dots, tiles, duet, arches, ribbons}}, true
	case "crime":
		return lean{3, &noir, []motif{stairs, city, blinds, keyhole, target}}, true
	case "documentary":
		return lean{5, &plain, []motif{blocks, letter, tiles, blinds}}, true
	case "drama":
		return lean{1, &heart, []motif{duet, tiles, stairs, letter, blocks, road, window, arches}}, true
	case "fantasy":
		return lean{4, &cosmos, []motif{moon, peaks, orbit, spiral, star}}, true
	case "film-noir":
		return lean{6, &noir, []motif{blinds, window, stairs, city}}, true
	case "horror":
		return lean{6, &blood, []motif{drips, eye, moon, spiral}}, true
	case "musical":
		return lean{4, &bright, []motif{city, rays, waves, dots}}, true
	case "mystery":
		return lean{3, &noir, []motif{window, eye, spiral, keyhole}}, true
	case "romance":
		return lean{3, &heart, []motif{duet, waves, sun, moon}}, true
	case "sci-fi":
		return lean{5, &cosmos, []motif{orbit, horizon, rings, eye}}, true
	case "thriller":
		return lean{3, &noir, []motif{spiral, diagonal, eye, rings, window}}, true
	case "war":
		return lean{4, &dust, []motif{rays, chevrons, target, peaks}}, true
	case "western":
		return lean{6, &dust, []motif{sun, peaks, rays, road}}, true
	}
	return lean{}, false
}

// eraMotifs are what posters of a time liked to be made of, whatever the film.
func eraMotifs(year int) []motif {
	switch {
	case year == 0:
		return nil
	case year < 1950:
		return []motif{rays, arches, stairs, fan}
	case year < 1958:
		return []motif{blocks, diagonal, tiles}
	case year < 1970:
		return []motif{rings, op, spiral}
	case year < 1980:
		return []motif{ribbons, rings, arches}
	case year < 1990:
		return []motif{horizon, blinds, diagonal}
	}
	return nil
}

// plan is what was chosen for a film.
type plan struct {
	palette palette
	scheme  scheme
	motif   motif
}

// choose draws the mood from one of the film's genres and the motif from another,
// perhaps the same, so that a romantic comedy about a crime may be told three ways.
func choose(d *dice, genres []string, year int) plan {
	first := draw(d, genres)
	second := draw(d, genres)
	motifs := second.motifs
	if era := eraMotifs(year); era != nil && d.odds(1, 3) {
		motifs = era
	}
	return plan{
		palette: first.mood.palettes[d.n(len(first.mood.palettes))],
		scheme:  first.mood.schemes[d.n(len(first.mood.schemes))],
		motif:   motifs[d.n(len(motifs))],
	}
}

// draw picks one of the genres by weight.
func draw(d *dice, genres []string) lean {
	total := 0
	for _, g := range genres {
		l, _ := leanOf(g)
		total += l.weight
	}
	if total > 0 {
		at := d.n(total)
		for _, g := range genres {
			l, _ := leanOf(g)
			if at -= l.weight; at < 0 {
				return l
			}
		}
	}
	return lean{1, &plain, []motif{letter, blocks, tiles, rings, duet}}
}
