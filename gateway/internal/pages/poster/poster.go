package poster

import (
	"bytes"
	"html/template"
)

// Film is what a poster shows and is made of.
type Film struct {
	// ID decides every choice that the genres and the year leave open.
	ID string

	// Title is shown, in capitals; it may hold anything.
	Title string

	// Year of release; 0, unknown, is not shown.
	Year int

	// Genres as the catalogue names them, in any case. Unknown ones count as none.
	Genres []string

	// Director is shown where there is room; empty is not.
	Director string
}

// Size says for which place a poster is drawn.
type Size int

const (
	// Full is the movie's own page: it names the director, and a screen reader
	// announces it as an image.
	Full Size = iota

	// Thumb is a wall or a list, about 150 px wide: fewer and larger words, and
	// hidden from screen readers, because the place names the film itself.
	Thumb
)

// SVG returns the poster of f: an svg element with class "poster" and a viewBox of
// 200 × 300, without width and height, which are the style sheet's to choose.
//
// The title is set in "League Gothic", which the page has to declare (see
// assets/fonts); until it is there, another font is squeezed to the same lengths.
func SVG(f Film, size Size) template.HTML {
	title, director := clean(f.Title), clean(f.Director)
	d := throw(f.ID)
	chosen := choose(&d, f.Genres, f.Year)
	c := chosen.palette.mix(chosen.scheme)
	layout := arrange(&d, f.Year, f.Genres)
	set := typeset(title, layout.justified)

	p := &pen{b: make([]byte, 0, 2048)}
	p.s(`<svg class="poster" viewBox="0 0 200 300" `)
	if size == Thumb {
		p.s(`aria-hidden="true"`)
	} else {
		p.s(`role="img" aria-label="Poster: `).text(title)
		if f.Year != 0 {
			p.s(" (").n(float64(f.Year)).s(")")
		}
		p.s(`"`)
	}
	p.s(" " + pageFonts + ">")

	small := 11.0
	if size == Thumb {
		small = 14
	}
	credit := f.Year != 0 || size == Full && director != ""
	panel := set.height + 2*margin
	if credit {
		panel += small*capHeight + creditGap
	}
	picture := 300 - panel

	// Grounds reach over the edges: a poster is rarely a whole number of pixels wide, and the picture, or the page, would
	// shine through the last one. The field is whole for the same reason, at the seam.
	const over = 2
	p.rect(-over, -over, 200+2*over, 300+2*over, c.field)
	if layout.head {
		p.s(`<g transform="translate(0 `).n(panel).s(`)">`)
	}
	chosen.motif.draw(p, &d, c, picture, initial(title))
	if layout.head {
		p.s("</g>")
	}

	top := picture
	if layout.head {
		top = 0
	}
	if layout.head {
		p.rect(-over, -over, 200+2*over, panel+over, c.panel)
	} else {
		p.rect(-over, top, 200+2*over, panel+over, c.panel)
	}
	p.s(`<g fill="`).s(c.ink).s(`"`)
	if layout.centred {
		p.s(` text-anchor="middle"`)
	}
	p.s(">")
	y := top + margin
	if layout.head && credit {
		y += small*capHeight + creditGap
	}
	for _, r := range set.rows {
		p.s(`<text x="`).n(layout.x()).s(`" y="`).n(y + r.foot).s(`" font-size="`).n(r.size).s(`" textLength="`).n(r.length)
		p.s(`" lengthAdjust="spacingAndGlyphs"`)
		if r.voice == condensed {
			p.s(` font-stretch="75%"`)
		}
		if !r.known {
			p.s(` font-weight="700"`) // the other font is lighter than League Gothic
		}
		p.s(">").text(r.text).s("</text>")
	}
	if credit {
		y = 300 - margin
		if layout.head {
			y = margin + small*capHeight
		}
		credits(p, f.Year, director, size, small, y, layout)
	}
	p.s("</g></svg>")
	return template.HTML(p.b)
}

// Document returns the poster of f as a separate document, at the size Full, for an address that ends in .svg. Nothing
// declares the font there, so where it is not installed another one stands in, squeezed to the same lengths.
func Document(f Film) []byte {
	const root = "<svg "
	svg := SVG(f, Full)
	doc := make([]byte, 0, len(svg)+128)
	doc = append(doc, `<svg xmlns="http://www.w3.org/2000/svg" width="600" height="900" `...)
	doc = append(doc, svg[len(root):]...)
	return bytes.Replace(doc, []byte(pageFonts), []byte(documentFonts), 1)
}

// The stacks of fonts: on a page, which declares the first; and elsewhere.
const (
	pageFonts     = `font-family="League Gothic,Impact,sans-serif"`
	documentFonts = `font-family="League Gothic,Impact,Haettenschweiler,Anton,Oswald,Arial Narrow,Liberation Sans Narrow,Arial,sans-serif"`
)

// creditGap is the room between the title and the small line.
const creditGap = 11

// credits writes the small line: the director at the left, the year at the right.
func credits(p *pen, year int, director string, size Size, small, y float64, l layout) {
	room, x := column, l.x()
	if year != 0 {
		at, anchor := 200-margin, `" text-anchor="end`
		if size == Thumb || director == "" {
			at, anchor = x, "" // alone, it stands where the title begins
		}
		p.s(`<text x="`).n(at).s(`" y="`).n(y).s(`" font-size="`).n(small).s(anchor).s(`">`).n(float64(year)).s("</text>")
		room -= 28
	}
	if size == Full && director != "" {
		p.s(`<text x="`).n(margin).s(`" y="`).n(y).s(`" font-size="`).n(small)
		if l.centred {
			p.s(`" text-anchor="start`)
		}
		p.s(`">`).text(truncate(director, small, room)).s("</text>")
	}
}

// layout is where things stand.
type layout struct {
	head      bool // the title above the picture
	centred   bool
	justified bool // lines of full width, as in wood type
}

func (l layout) x() float64 {
	if l.centred {
		return 100
	}
	return margin
}

// arrange chooses the layout: the years before 1950 centred and set their lines
// wide; since then titles stand at the left, mostly at the foot.
func arrange(d *dice, year int, genres []string) layout {
	old := year != 0 && year < 1950
	l := layout{head: d.odds(1, 5)}
	l.centred = old && d.odds(2, 3)
	l.justified = d.odds(1, 4) || old && d.odds(1, 2)
	for _, g := range genres {
		if fold(g) == "western" {
			l.justified = true
		}
	}
	return l
}
