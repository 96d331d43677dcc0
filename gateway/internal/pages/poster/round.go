package poster

import "math"

// The motifs made of circles.

func drawRings(p *pen, d *dice, c colours, h float64) {
	cx, cy := d.one(0, 60, 100, 140, 200), d.one(0.35, 0.5, 0.65)*h
	step := d.in(13, 20)
	p.s(`<g fill="none" stroke="`).s(c.a).s(`" stroke-width="`).n(step * d.one(0.45, 0.55, 0.65)).s(`">`)
	for k := 2.0; k <= 9; k++ {
		p.s(`<circle cx="`).n(cx).s(`" cy="`).n(cy).s(`" r="`).n(k * step).s(`"/>`)
	}
	p.s("</g>").circle(cx, cy, step*1.1, c.b)
}

func drawSpiral(p *pen, d *dice, c colours, h float64) {
	g := d.in(6, 8)
	x, y := d.in(80, 120), h*d.one(0.45, 0.5, 0.55)
	p.line(c.a, g).s("M").n(x, y)
	side, sweep := 1.0, " 0 0 1 "
	if d.odds(1, 2) {
		side, sweep = -1, " 0 0 0 "
	}
	for k := 1.0; k <= 15; k++ {
		p.s("a").n(k*g, k*g).s(sweep).n(side*2*k*g, 0)
		side = -side
	}
	p.end().circle(x+g/2, y, g*1.2, c.b)
}

func drawSun(p *pen, d *dice, c colours, h float64) {
	r := min(d.in(52, 76), h*0.42)
	cx, cy := d.one(62, 100, 138), h*0.52
	p.circle(cx, cy, r, c.a)
	y, t := cy+r*0.1, 2.0
	p.path(c.field)
	for k := 0; k < 6 && y < cy+r; k++ {
		p.s("M0 ").n(y).s("h200v").n(t).s("H0z")
		y += t + r*0.15
		t += 1.6
	}
	p.end()
	if d.odds(1, 2) {
		p.rect(0, h*0.86, 200, h*0.2, c.b)
	} else {
		p.path(c.b).s("M0 ").n(h*d.one(0.8, 0.9)).s("Q").n(d.in(40, 160), h*d.one(0.7, 0.76)).s(" 200 ").n(h * 0.9).s("V").n(h).s("H0z").end()
	}
}

func drawEye(p *pen, d *dice, c colours, h float64) {
	cy, lift := h*0.5, min(d.in(76, 100), h*0.7)
	if d.odds(1, 2) { // lashes, or light
		p.s(`<circle cx="100" cy="`).n(cy).s(`" r="80" fill="none" stroke="`).s(c.c).s(`" stroke-width="`).n(d.in(40, 70)).s(`" pathLength="`)
		k := d.in(24, 40)
		p.n(2 * k).s(`" stroke-dasharray="1"/>`)
	}
	p.path(c.b).s("M8 ").n(cy).s("Q100 ").n(cy - lift).s(" 192 ").n(cy).s("Q100 ").n(cy + lift).s(" 8 ").n(cy).s("z").end()
	p.circle(100, cy, lift*0.44, c.a)
	p.circle(100, cy, lift*0.2, c.field)
	p.circle(100+lift*0.15, cy-lift*0.15, lift*0.08, c.b)
}

func drawRays(p *pen, d *dice, c colours, h float64) {
	cx, cy := d.one(30, 100, 100, 170), h*d.one(0.5, 0.75, 1)
	p.s(`<circle cx="`).n(cx).s(`" cy="`).n(cy).s(`" r="140" fill="none" stroke="`).s(c.a).s(`" stroke-width="280" pathLength="`).n(2 * d.in(10, 18)).s(`" stroke-dasharray="1"/>`)
	r := d.in(34, 50)
	p.circle(cx, cy, r, c.b)
	if d.odds(1, 2) {
		p.circle(cx, cy, r*0.62, c.c)
	}
}

func drawMoon(p *pen, d *dice, c colours, h float64) {
	r := min(d.in(46, 62), h*0.34)
	cx, cy := d.in(80, 120), h*0.43
	p.circle(cx, cy, r, c.b)
	p.circle(cx+r*d.one(-0.4, 0.4, 0.55), cy-r*d.one(0.1, 0.3), r*0.9, c.field)
	for range 4 {
		p.circle(d.in(10, 190), d.in(8, 40), d.one(1.2, 1.8, 2.4), c.b)
	}
	x := d.in(30, 70)
	p.s(`<ellipse cx="`).n(x).s(`" cy="`).n(h + 20).s(`" rx="130" ry="`).n(d.in(50, 70)).s(`" fill="`).s(c.c).s(`"/><ellipse cx="`).n(x + 110)
	p.s(`" cy="`).n(h + 20).s(`" rx="110" ry="`).n(d.in(36, 56)).s(`" fill="`).s(c.a).s(`"/>`)
}

func drawTarget(p *pen, d *dice, c colours, h float64) {
	r := min(d.in(58, 74), h*0.44)
	cx, cy := d.one(70, 100, 130), h*0.5
	p.circle(cx, cy, r, c.a).circle(cx, cy, r*0.7, c.field).circle(cx, cy, r*0.44, c.a).circle(cx, cy, r*0.16, c.field)
	w := d.in(3, 6)
	p.path(c.b).s("M0 ").n(cy-w/2).s("h200v").n(w).s("H0zM").n(cx-w/2, 0).s("v").n(h).s("h").n(w).s("V0z").end()
}

// drawDuet: two circles, and the lens that they share in another colour.
func drawDuet(p *pen, d *dice, c colours, h float64) {
	r := min(d.in(46, 58), h*0.3)
	apart := r * d.one(0.8, 1, 1.2, 1.5)
	turn := d.one(0, 90, 35, -35) * math.Pi / 180
	dx, dy := math.Cos(turn)*apart/2, math.Sin(turn)*apart/2
	x, y := 100.0, h*0.5
	p.circle(x-dx, y-dy, r, c.a).circle(x+dx, y+dy, r, c.b)
	half := math.Sqrt(r*r - apart*apart/4)
	hx, hy := -dy/(apart/2)*half, dx/(apart/2)*half
	p.path(c.c).s("M").n(x+hx, y+hy).s("A").n(r, r).s(" 0 0 1 ").n(x-hx, y-hy).s("A").n(r, r).s(" 0 0 1 ").n(x+hx, y+hy).end()
}

func drawArches(p *pen, d *dice, c colours, h float64) {
	cx, w := d.one(100, 100, 50, 150), d.in(17, 22)
	legs := h * d.one(0.02, 0.25, 0.4)
	fills := [4]string{c.a, c.c, c.b, c.field}
	for k := 5.0; k >= 1; k-- {
		r := k * w
		p.path(fills[int(5-k)%4]).s("M").n(cx-r, h+1).s("v").n(-legs).s("a").n(r, r).s(" 0 0 1 ").n(2*r, 0).s("v").n(legs).s("z").end()
	}
}

func drawOrbit(p *pen, d *dice, c colours, h float64) {
	cy, r := h*0.5, min(d.in(34, 50), h*0.3)
	tilt := d.one(-32, -20, 20, 32, 60)
	p.circle(100, cy, r, c.a)
	p.s(`<g fill="none" stroke="`).s(c.b).s(`" stroke-width="`).n(d.one(2, 3, 5)).s(`" transform="rotate(`).n(tilt).s(" 100 ").n(cy).s(`)">`)
	for k := range 3 {
		rx := 66 + 22*float64(k)
		p.s(`<path d="M`).n(100-rx, cy).s("a").n(rx, rx*0.3).s(" 0 0 0 ").n(2*rx, 0)
		if k > 0 {
			p.s("a").n(rx, rx*0.3).s(" 0 0 0 ").n(-2*rx, 0)
		}
		p.s(`"/>`)
	}
	p.s("</g>").circle(d.in(20, 60), d.in(16, 40), d.in(5, 9), c.c)
	p.circle(d.in(140, 180), h-d.in(16, 40), d.in(3, 12), c.c)
}

// drawFan: the scales of deco wallpaper.
func drawFan(p *pen, d *dice, c colours, h float64) {
	r := d.one(25, 100.0/3)
	rows := int(h/(r*0.98)) + 1
	for ring, fill := range [3]string{c.a, c.field, c.b} {
		s := r * (1 - 0.3*float64(ring))
		p.s(`<path fill="none" stroke="`).s(fill).s(`" stroke-width="`).n(2 * s).s(`" stroke-linecap="round" stroke-dasharray="0 `).n(2 * r).s(`" d="`)
		for k := range rows {
			shift := float64(k%2) * r
			p.s("M").n(shift, float64(k)*2*r).s("h230")
		}
		p.end()
	}
}
