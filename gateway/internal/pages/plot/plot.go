// Package plot draws the small charts of the pages as inline SVG.
//
// A chart is a picture of numbers that the page also gives in a table; it carries
// a title and a description for those who hear it, has no id, no style and no
// script, and takes its colour from the text around it, so that it is right on a
// light page and on a dark one. The style sheet may set the classes plot-line,
// plot-votes, plot-axis and plot-text apart.
package plot

import (
	"html/template"
	"slices"
	"strconv"
)

// Year is what was voted in one calendar year.
type Year struct {
	Year  int
	Votes int     // 0: no votes; Mean says nothing
	Mean  float64 // 1 to 10
}

// The chart's measures, in units of its viewBox. At 400 wide, text of 14 can be
// read on the narrowest phone; the style sheet makes it smaller where the chart is large.
const (
	width, height = 400.0, 190.0
	left, right   = 26.0, 378.0
	top, bottom   = 24.0, 126.0 // of the mean's scale
	foot          = 166.0       // of the bars
	tallest       = 30.0        // the bar of the year with the most votes
)

// History returns a chart of the mean per year as a line, over bars for the
// votes: a mean of few votes should look like one. The years may come in any
// order; those without votes are gaps, over which the line is dashed. Without any
// vote there is nothing to draw, and the result is empty.
func History(years []Year) template.HTML {
	years = slices.DeleteFunc(slices.Clone(years), func(y Year) bool { return y.Votes <= 0 || !(y.Mean >= 1 && y.Mean <= 10) })
	if len(years) == 0 {
		return ""
	}
	slices.SortFunc(years, func(a, b Year) int { return a.Year - b.Year })
	s := scaleOf(years)
	first, last := years[0], years[len(years)-1]

	d := drawing{}
	d.s(`<svg class="plot" viewBox="0 0 400 190" role="img" font-size="14" fill="currentColor"><title>Mean rating per year, `)
	d.years(first.Year, last.Year).s(`</title><desc>`)
	d.describe(years).s(`</desc>`)

	d.s(`<g class="plot-axis" stroke="currentColor" stroke-opacity=".22">`)
	for v := s.lo; v <= s.hi; v += s.step {
		d.s(`<path d="M`).n(left).s(" ").n(s.y(float64(v))).s("H").n(right).s(`"/>`)
	}
	d.s(`</g><path class="plot-votes" stroke="currentColor" stroke-opacity=".32" stroke-width="`).n(s.bar).s(`" d="`)
	for _, y := range years {
		d.s("M").n(s.x(y.Year)).s(" ").n(foot).s("v").n(-max(1, tallest*float64(y.Votes)/float64(s.most)))
	}
	d.s(`"/>`)

	d.line(years, s)

	d.s(`<g class="plot-text">`)
	for v := s.lo; v <= s.hi; v += s.step {
		d.label(left-7, s.y(float64(v))+4, "end").i(v).s("</text>")
	}
	for _, year := range s.marks() {
		d.label(s.x(year), height-8, "middle").i(year).s("</text>")
	}
	d.label(left-7-4, 12, "start").s("Mean of the year; bars: votes, at most ").i(s.most).s("</text></g></svg>")
	return template.HTML(d.b)
}

// scale maps years and means to the viewBox.
type scale struct {
	from, to     int // years
	lo, hi, step int // means with a line and a label
	most         int // votes in a year
	bar          float64
}

func scaleOf(years []Year) scale {
	s := scale{from: years[0].Year, to: years[len(years)-1].Year, lo: 10, hi: 1}
	for _, y := range years {
		s.lo, s.hi, s.most = min(s.lo, int(y.Mean)), max(s.hi, int(y.Mean)+1), max(s.most, y.Votes)
	}
	// At least three points of room, or the noise of a good film looks like a fall;
	// the whole scale, in three steps, where the means are all over it.
	for s.hi = min(s.hi, 10); s.hi-s.lo < 3; {
		if s.hi < 10 {
			s.hi++
		} else {
			s.lo--
		}
	}
	s.step = 1
	if s.hi-s.lo > 5 {
		s.step = 3
		s.lo, s.hi = 1, 10
	}
	s.bar = max(1, min(14, (right-left)/float64(s.to-s.from+1)*0.5))
	return s
}

func (s scale) x(year int) float64 {
	if s.from == s.to {
		return (left + right) / 2
	}
	const inset = 14
	return left + inset + (right-left-2*inset)*float64(year-s.from)/float64(s.to-s.from)
}

func (s scale) y(mean float64) float64 {
	return bottom - (bottom-top)*(mean-float64(s.lo))/float64(s.hi-s.lo)
}

// marks returns the years with a label: at most seven, at round distances.
func (s scale) marks() []int {
	span := s.to - s.from
	step := 1
	for _, step = range []int{1, 2, 5, 10, 20, 50, 100, 500} {
		if span/step < 7 {
			break
		}
	}
	var marks []int
	for year := (s.from + step - 1) / step * step; year <= s.to && len(marks) < 12; year += step {
		marks = append(marks, year)
	}
	if len(marks) == 0 {
		marks = append(marks, s.from)
	}
	return marks
}

// line draws the means: dots, joined where the years follow each other, and by
// dashes where years are missing.
func (d *drawing) line(years []Year, s scale) {
	d.s(`<g class="plot-line" fill="none" stroke="currentColor" stroke-width="2" stroke-linejoin="round"><path d="`)
	gaps := false
	for i, y := range years {
		joined := i > 0 && years[i-1].Year+1 == y.Year
		gaps = gaps || i > 0 && !joined
		if joined {
			d.s("L")
		} else {
			d.s("M")
		}
		d.n(s.x(y.Year)).s(" ").n(s.y(y.Mean))
	}
	d.s(`"/>`)
	if gaps {
		d.s(`<path stroke-opacity=".55" stroke-dasharray="3 4" d="`)
		for i := 1; i < len(years); i++ {
			if a, b := years[i-1], years[i]; a.Year+1 < b.Year {
				d.s("M").n(s.x(a.Year)).s(" ").n(s.y(a.Mean)).s("L").n(s.x(b.Year)).s(" ").n(s.y(b.Mean))
			}
		}
		d.s(`"/>`)
	}
	size := 6.0
	if len(years) > 24 {
		size = 4
	}
	d.s(`<path stroke-linecap="round" stroke-width="`).n(size).s(`" d="`)
	for _, y := range years {
		d.s("M").n(s.x(y.Year)).s(" ").n(s.y(y.Mean)).s("h0")
	}
	d.s(`"/></g>`)
}

// describe says in a sentence what the line shows.
func (d *drawing) describe(years []Year) *drawing {
	first, last := years[0], years[len(years)-1]
	best, worst, votes := first, first, 0
	for _, y := range years {
		votes += y.Votes
		if y.Mean > best.Mean {
			best = y
		}
		if y.Mean < worst.Mean {
			worst = y
		}
	}
	if len(years) == 1 {
		return d.s("A mean of ").n(first.Mean).s(" in ").i(first.Year).s(", of ").i(votes).s(" votes, and no vote in any other year.")
	}
	d.s("From ").n(first.Mean).s(" in ").i(first.Year).s(" to ").n(last.Mean).s(" in ").i(last.Year)
	d.s("; highest ").n(best.Mean).s(" in ").i(best.Year).s(", lowest ").n(worst.Mean).s(" in ").i(worst.Year)
	return d.s("; ").i(votes).s(" votes. The table below has the numbers.")
}

// drawing is markup that grows.
type drawing struct{ b []byte }

func (d *drawing) s(markup string) *drawing {
	d.b = append(d.b, markup...)
	return d
}

func (d *drawing) i(v int) *drawing {
	d.b = strconv.AppendInt(d.b, int64(v), 10)
	return d
}

func (d *drawing) n(v float64) *drawing {
	d.b = strconv.AppendFloat(d.b, v, 'f', 1, 64)
	return d
}

func (d *drawing) label(x, y float64, anchor string) *drawing {
	return d.s(`<text x="`).n(x).s(`" y="`).n(y).s(`" text-anchor="`).s(anchor).s(`">`)
}

func (d *drawing) years(from, to int) *drawing {
	d.i(from)
	if to != from {
		d.s(" to ").i(to)
	}
	return d
}
