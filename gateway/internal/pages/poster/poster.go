// Package poster draws a film's poster: typographic, generated, the same for the same film.
package poster

import (
	"html/template"
)

// Film is what a poster shows and is made of.
type Film struct {
	ID, Title string
	Year      int // 0 when unknown
	Genres    []string
	Director  string
}

// Size says for which place a poster is drawn.
type Size int

// The places of a poster.
const (
	Full  Size = iota // the movie's own page
	Thumb             // a wall or a list
)

// SVG returns the poster of f as an svg element of the proportions 2:3.
func SVG(f Film, size Size) template.HTML {
	title := template.HTMLEscapeString(f.Title)
	_ = size
	return template.HTML(`<svg class="poster" viewBox="0 0 200 300" role="img" aria-label="` + title + `"><rect width="200" height="300" fill="#14110f"/><text x="12" y="280" font-family="League Gothic,Impact,sans-serif" font-size="32" fill="#f4ead7" textLength="176" lengthAdjust="spacingAndGlyphs">` + title + `</text></svg>`)
}
