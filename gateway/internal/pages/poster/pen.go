package poster

import (
	"math"
	"strconv"
)

// pen writes SVG into a buffer. The methods return the pen, so that a shape reads
// as one line: numbers are rounded to a tenth, finer than any screen shows.
type pen struct{ b []byte }

// s writes markup as it stands; never text of a film.
func (p *pen) s(markup string) *pen {
	p.b = append(p.b, markup...)
	return p
}

// n writes numbers, each but the first separated as SVG needs: a minus sign
// is a separator too.
func (p *pen) n(values ...float64) *pen {
	for i, v := range values {
		tenths := int64(math.Round(v * 10))
		if i > 0 && tenths >= 0 {
			p.b = append(p.b, ' ')
		}
		if tenths < 0 {
			p.b = append(p.b, '-')
			tenths = -tenths
		}
		p.b = strconv.AppendInt(p.b, tenths/10, 10)
		if f := tenths % 10; f != 0 {
			p.b = append(p.b, '.', byte('0'+f))
		}
	}
	return p
}

// text writes text of a film, inert in element content and in attribute values
// alike. The caller has removed what XML cannot hold (see clean).
func (p *pen) text(s string) *pen {
	for i := range len(s) {
		switch c := s[i]; c {
		case '&':
			p.b = append(p.b, "&amp;"...)
		case '<':
			p.b = append(p.b, "&lt;"...)
		case '>':
			p.b = append(p.b, "&gt;"...)
		case '"':
			p.b = append(p.b, "&#34;"...)
		case '\'':
			p.b = append(p.b, "&#39;"...)
		default:
			p.b = append(p.b, c)
		}
	}
	return p
}

func (p *pen) rect(x, y, w, h float64, fill string) *pen {
	p.s(`<path fill="`).s(fill).s(`" d="M`).n(x, y).s("h").n(w).s("v").n(h).s("H").n(x)
	return p.s(`z"/>`)
}

func (p *pen) circle(x, y, r float64, fill string) *pen {
	return p.s(`<circle cx="`).n(x).s(`" cy="`).n(y).s(`" r="`).n(r).s(`" fill="`).s(fill).s(`"/>`)
}

// path opens a path of one fill; the caller writes the data and calls end.
func (p *pen) path(fill string) *pen { return p.s(`<path fill="`).s(fill).s(`" d="`) }

// line opens a path of one stroke; the caller writes the data and calls end.
func (p *pen) line(stroke string, width float64) *pen {
	return p.s(`<path fill="none" stroke="`).s(stroke).s(`" stroke-width="`).n(width).s(`" d="`)
}

func (p *pen) end() *pen { return p.s(`"/>`) }
