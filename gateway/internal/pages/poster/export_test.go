package poster

// Choice is what was chosen for a film, for tests that count choices.
type Choice struct {
	Palette string // its dark colour: no two palettes share one
	Motif   int
}

// Chosen returns the choices behind a poster.
func Chosen(f Film) Choice {
	d := throw(f.ID)
	p := choose(&d, f.Genres, f.Year)
	return Choice{Palette: p.palette.dark, Motif: int(p.motif)}
}

// Motifs is the number of motifs.
const Motifs = int(motifCount)

// Mixes returns every combination of colours that a poster may have.
func Mixes() (all []Mix) {
	for _, m := range []mood{noir, heart, bright, cosmos, dust, blood, plain} {
		for _, p := range m.palettes {
			for s := day; s <= flood; s++ {
				c := p.mix(s)
				all = append(all, Mix{Field: c.field, Panel: c.panel, Ink: c.ink, A: c.a, B: c.b, C: c.c})
			}
		}
	}
	return all
}

// Mix is a combination of colours.
type Mix struct{ Field, Panel, Ink, A, B, C string }

// KnownGenre reports whether a genre affects the choices.
func KnownGenre(g string) bool {
	_, ok := leanOf(g)
	return ok
}
