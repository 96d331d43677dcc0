package poster

import "math"

// The motifs made of lines and angles.

func drawDiagonal(p *pen, d *dice, c colours, h float64) {
	w := d.in(9, 18)
	p.s(`<path fill="none" stroke="`).s(c.a).s(`" stroke-width="420" stroke-dasharray="`).n(w, w*d.one(0.8, 1, 1.4)).s(`" transform="rotate(`)
	p.n(d.one(-60, -45, -30, 30, 45)).s(" 100 ").n(h / 2).s(`)" d="M-150 `).n(h / 2).s(`h500"/>`)
	p.circle(d.one(60, 100, 140), h*d.one(0.4, 0.55), d.in(38, 54), c.b)
}

// drawTiles: a grid of quarter circles, each turned by the dice.
func drawTiles(p *pen, d *dice, c colours, h float64) {
	s := d.one(50, 50, 200.0/3)
	rows := int(math.Ceil(h / s))
	y0 := h - float64(rows)*s
	cols := int(200/s + 0.5)
	for k, fill := range [3]string{c.a, c.b, c.c} {
		p.path(fill)
		for i := range rows * cols {
			if i%3 != k && d.odds(9, 10) || i%3 == k && d.odds(1, 8) {
				continue
			}
			x, y := float64(i%cols)*s, y0+float64(i/cols)*s
			switch d.n(4) {
			case 0:
				p.s("M").n(x, y).s("h").n(s).s("a").n(s, s).s(" 0 0 1").n(-s, s).s("z")
			case 1:
				p.s("M").n(x+s, y).s("v").n(s).s("a").n(s, s).s(" 0 0 1").n(-s, -s).s("z")
			case 2:
				p.s("M").n(x+s, y+s).s("h").n(-s).s("a").n(s, s).s(" 0 0 1 ").n(s, -s).s("z")
			default:
				p.s("M").n(x, y+s).s("v").n(-s).s("a").n(s, s).s(" 0 0 1 ").n(s, s).s("z")
			}
		}
		p.end()
	}
}

// drawDots: a halftone, growing along the picture.
func drawDots(p *pen, d *dice, c colours, h float64) {
	step := d.one(20, 25)
	rows := int(h/step) + 1
	up := d.odds(1, 2)
	p.s(`<g stroke="`).s(c.a).s(`" stroke-linecap="round" stroke-dasharray="0 `).n(step).s(`">`)
	for k := range rows {
		f := float64(k) / float64(rows-1)
		if up {
			f = 1 - f
		}
		p.s(`<path stroke-width="`).n(step*(0.12+0.85*f)).s(`" d="M`).n(float64(k%2)*step/2, (float64(k)+0.5)*step).s(`h220"/>`)
	}
	p.s("</g>").circle(d.one(50, 100, 150), h*d.one(0.35, 0.5, 0.65), d.in(26, 44), c.b)
}

func drawWaves(p *pen, d *dice, c colours, h float64) {
	n := 5.0
	fills := [5]string{c.c, c.b, c.a, c.field, c.b}
	p.circle(d.in(50, 150), h*0.24, d.in(18, 30), c.a)
	length, lift := d.one(50, 80, 100), d.in(10, 20)
	for k := 0.0; k < n; k++ {
		y := h * (0.36 + 0.15*k)
		p.path(fills[int(k)]).s("M").n(-d.in(0, int(length)*2), y).s("q").n(length/2, -lift*2, length, 0)
		for x := length; x < 200+2*length; x += length {
			p.s("t").n(length, 0)
		}
		p.s("V").n(h + 1).s("H-200z").end()
	}
}

func drawStairs(p *pen, d *dice, c colours, h float64) {
	n := d.in(4, 7)
	w, t := 200/n, h*0.86/n
	left := d.odds(1, 2)
	if left {
		p.s(`<g transform="matrix(-1 0 0 1 200 0)">`)
	}
	p.circle(d.one(46, 60), h*0.26, d.in(22, 32), c.b)
	p.path(c.a).s("M0 ").n(h + 1).s("V").n(h - t*0.6)
	for range int(n) {
		p.s("h").n(w).s("v").n(-t)
	}
	p.s("V").n(h + 1).s("z").end()
	p.path(c.c).s("M").n(w, h+1).s("V").n(h - t*0.3)
	for range int(n) - 1 {
		p.s("h").n(w).s("v").n(-t * 0.45)
	}
	p.s("V").n(h + 1).s("z").end()
	if left {
		p.s("</g>")
	}
}

func drawCity(p *pen, d *dice, c colours, h float64) {
	n := d.in(7, 11)
	w := 200 / n
	for k, fill := range [2]string{c.c, c.a} {
		p.path(fill)
		for i := 0.0; i < n; i++ {
			if k == 1 && d.odds(1, 4) {
				continue
			}
			top := h * d.one(0.15, 0.25, 0.35, 0.5, 0.6)
			if k == 1 {
				top = h * d.one(0.4, 0.5, 0.6, 0.75)
			}
			p.s("M").n(i*w, h+1).s("V").n(top).s("h").n(w * 0.84).s("V").n(h + 1).s("z")
		}
		p.end()
	}
	p.circle(d.one(40, 100, 160), h*0.2, d.in(12, 20), c.b)
}

func drawPeaks(p *pen, d *dice, c colours, h float64) {
	p.circle(d.one(50, 100, 150), h*d.one(0.3, 0.4), d.in(26, 40), c.a)
	x := d.in(30, 90)
	top := h * d.one(0.22, 0.3)
	p.path(c.c).s("M").n(x-120, h+1).s("L").n(x, top).s("L").n(x+120, h+1).s("z").end()
	x2 := x + d.in(60, 90)
	p.path(c.b).s("M").n(x2-110, h+1).s("L").n(x2, h*d.one(0.4, 0.5)).s("L").n(x2+110, h+1).s("z").end()
	if d.odds(1, 2) {
		p.rect(0, h*0.88, 200, h*0.2, c.a)
	}
}

// drawBlinds: a disc seen between slats.
func drawBlinds(p *pen, d *dice, c colours, h float64) {
	p.circle(d.one(70, 100, 130), h*0.5, min(d.in(62, 80), h*0.44), c.a)
	if d.odds(1, 2) {
		p.circle(d.one(90, 120), h*0.55, d.in(24, 34), c.b)
	}
	w := d.in(10, 16)
	p.s(`<path stroke="`).s(c.field).s(`" stroke-width="300" stroke-dasharray="`).n(w*d.one(0.4, 0.6), w).s(`" transform="rotate(`)
	p.n(d.one(0, 0, -12, 12, -24)).s(" 100 ").n(h / 2).s(`)" d="M100-80v`).n(h + 160).s(`"/>`)
}

func drawHorizon(p *pen, d *dice, c colours, h float64) {
	y := h * d.one(0.52, 0.6)
	r := d.in(40, 56)
	cx := d.one(70, 100, 130)
	p.circle(cx, y-r*0.3, r, c.a)
	p.path(c.field)
	for k := 0.0; k < 4; k++ {
		p.s("M0 ").n(y - r*0.1 - k*r*0.22).s("h200v").n(5 - k*1.2).s("H0z")
	}
	p.end().rect(0, y, 200, h-y+1, c.field)
	p.line(c.b, 1.6)
	for k := -7.0; k <= 7; k++ {
		p.s("M").n(100+k*16, y).s("L").n(100+k*58, h)
	}
	for k, at := 0, 0.0; k < 6; k++ {
		p.s("M0 ").n(y + at*(h-y)).s("h200")
		at = at*1.5 + 0.06
	}
	p.end()
}

// drawOp: rows of bars whose height swells, every other row shifted.
func drawOp(p *pen, d *dice, c colours, h float64) {
	n, s := 9, d.one(20, 25, 100.0/3)
	p.s(`<g stroke="`).s(c.a).s(`" stroke-dasharray="`).n(s).s(`">`)
	var weight [9]float64
	sum, peak := 0.0, d.one(2, 4, 6)
	for k := range n {
		weight[k] = 0.25 + math.Exp(-(float64(k)-peak)*(float64(k)-peak)/5)
		sum += weight[k]
	}
	y := 0.0
	for k := range n {
		t := h * weight[k] / sum
		p.s(`<path stroke-width="`).n(t+0.3).s(`" d="M`).n(-float64(k%2)*s, y+t/2).s(`h300"/>`)
		y += t
	}
	p.s("</g>")
	p.circle(d.one(50, 100, 150), h*0.5, d.in(20, 34), c.c)
}

func drawRoad(p *pen, d *dice, c colours, h float64) {
	x, y := d.in(60, 140), h*d.one(0.4, 0.5)
	p.circle(x, y, d.in(24, 40), c.b)
	p.rect(0, y, 200, h-y+1, c.c)
	p.path(c.a).s("M").n(x, y).s("L").n(-20, h+1).s("H220z").end()
	p.path(c.b)
	for k, at := 0, 0.1; k < 5 && at < 1; k++ {
		next := at*1.35 + 0.04
		wide := 7.0
		p.s("M").n(x+(100-x)*at-wide*at, y+(h-y)*at).s("H").n(x + (100-x)*at + wide*at)
		p.s("L").n(x+(100-x)*next+wide*next, y+(h-y)*next).s("H").n(x + (100-x)*next - wide*next).s("z")
		at = next + next*0.3
	}
	p.end()
}

func drawStar(p *pen, d *dice, c colours, h float64) {
	n := d.one(5, 8, 12, 16, 20)
	cx, cy, r := d.one(80, 100, 120), h*0.5, min(d.in(78, 96), h*0.6)
	inner := r * d.one(0.5, 0.6, 0.7)
	if n == 5 {
		inner = r * 0.42
	}
	p.path(c.a)
	for k := 0.0; k < 2*n; k++ {
		radius := r
		if int(k)%2 == 1 {
			radius = inner
		}
		op := "L"
		if k == 0 {
			op = "M"
		}
		a := k*math.Pi/n - math.Pi/2
		p.s(op).n(cx+radius*math.Cos(a), cy+radius*math.Sin(a))
	}
	p.s("z").end().circle(cx, cy, inner*d.one(0.5, 0.7), c.b)
}

// drawBlocks: a picture divided as the Swiss divide a page.
func drawBlocks(p *pen, d *dice, c colours, h float64) {
	x, y := d.one(50, 75, 125, 150), h*d.one(0.3, 0.45, 0.6)
	p.rect(0, 0, x, y, c.a)
	p.rect(x, y, 200-x, h-y+1, c.b)
	if d.odds(1, 2) {
		p.rect(x, 0, (200-x)/2, y, c.c)
	} else {
		p.rect(0, y, x, (h-y)/2, c.c)
	}
	r := min(x, 200-x, y, h-y) * 0.5
	if d.odds(1, 2) {
		p.circle(x, y, r, c.field)
	} else {
		p.circle(x/2, y+(h-y)/2, min(x, h-y)/2, c.a)
	}
}

func drawDrips(p *pen, d *dice, c colours, h float64) {
	n := d.in(6, 9)
	w := 200 / n
	p.circle(d.one(60, 100, 140), h*0.66, d.in(20, 32), c.b)
	p.s(`<path stroke="`).s(c.a).s(`" stroke-linecap="round" stroke-width="`).n(w * 0.8).s(`" d="`)
	for k := range int(n) {
		p.s("M").n((float64(k)+0.5)*w, -10).s("V").n(h * (0.14 + 0.07*d.in(0, 9)))
	}
	p.end().rect(0, 0, 200, h*0.12, c.a)
}

func drawChevrons(p *pen, d *dice, c colours, h float64) {
	w := d.in(16, 26)
	lift := d.one(50, 80, 100)
	turn := d.one(0, 0, 180, 90, -90)
	p.s(`<g fill="none" stroke-width="`).n(w).s(`" transform="rotate(`).n(turn).s(" 100 ").n(h / 2).s(`)">`)
	strokes := [6]string{c.b, c.a, c.a, c.c, c.a, c.a}
	for k := range 6 {
		y := h*0.5 - 90 + lift*0.5 + float64(k)*w*1.7
		p.s(`<path stroke="`).s(strokes[k]).s(`" d="M-40 `).n(y + lift*0.4).s("L100 ").n(y - lift).s("L240 ").n(y + lift*0.4).end()
	}
	p.s("</g>")
}

// drawWindow: a front of windows at night, one of them lit.
func drawWindow(p *pen, d *dice, c colours, h float64) {
	cols := d.in(5, 7)
	s := 200 / cols
	rows := math.Floor(h / (s * 1.25))
	w := s * d.one(0.5, 0.6)
	y0 := (h - rows*s*1.25) / 2
	t := s * 0.9
	p.s(`<path stroke="`).s(c.c).s(`" stroke-width="`).n(t).s(`" stroke-dasharray="`).n(w, s-w).s(`" d="`)
	for k := 0.0; k < rows; k++ {
		p.s("M").n((s-w)/2, y0+(k+0.5)*s*1.25).s("H200")
	}
	p.end()
	at := func(fill string) {
		x, y := float64(d.n(int(cols)-2)+1), float64(d.n(int(rows)))
		p.rect((s-w)/2+x*s, y0+(y+0.5)*s*1.25-t/2, w, t, fill)
	}
	at(c.b)
	at(c.a)
}

// drawRibbons: three parallel bands that turn a corner.
func drawRibbons(p *pen, d *dice, c colours, h float64) {
	w := d.in(15, 22)
	x, r := d.in(20, 60), d.in(20, 40)
	y := h * d.one(0.3, 0.4)
	p.s(`<g fill="none" stroke-width="`).n(w).s(`" transform="`)
	if d.odds(1, 2) {
		p.s("matrix(-1 0 0 1 200 0)")
	} else {
		p.s("matrix(1 0 0 1 0 0)")
	}
	p.s(`">`)
	for k, stroke := range [4]string{c.a, c.c, c.b, c.a} {
		q := r + float64(3-k)*w
		yk := y + float64(k)*w - w
		p.s(`<path stroke="`).s(stroke).s(`" d="M-9 `).n(yk).s("H").n(x).s("a").n(q, q).s(" 0 0 1 ").n(q, q).s("V").n(h + 9).end()
	}
	p.s("</g>")
}

func drawKeyhole(p *pen, d *dice, c colours, h float64) {
	r, cy := d.in(24, 32), h*0.4
	x := d.one(80, 100, 120)
	p.circle(x, h*0.5, h*d.one(0.42, 0.6), c.a)
	p.circle(x, cy, r, c.field)
	p.path(c.field).s("M").n(x-r*0.4, cy).s("h").n(r*0.8).s("L").n(x+r, h*0.82).s("H").n(x - r).s("z").end()
	if d.odds(1, 2) {
		p.circle(x, cy, r*0.4, c.b)
	}
}

// drawLetter: the title's first letter, larger than the poster.
func drawLetter(p *pen, d *dice, c colours, h float64, glyph string) {
	if glyph == "" {
		drawBlocks(p, d, c, h)
		return
	}
	em := width(glyph, regular)
	size := max(h*d.one(1.4, 1.8), d.in(130, 170)/em)
	w := em * size
	x, y := d.one(-12, (200-w)/2, 212-w), h*0.5+size*capHeight/2+d.one(-0.12, 0, 0.14)*h
	if d.odds(1, 2) {
		p.circle(d.one(40, 160), h*d.one(0.25, 0.75), d.in(30, 56), c.c)
	}
	p.s(`<text x="`).n(x).s(`" y="`).n(y).s(`" font-size="`).n(size).s(`" fill="`).s(c.a).s(`">`).text(glyph).s("</text>")
	if d.odds(1, 2) {
		p.circle(d.one(40, 160), h*d.one(0.3, 0.7), d.in(10, 18), c.b)
	}
}
