package poster

// motif is one kind of picture. Its name is the word for it in tests.
type motif int

const (
	rings motif = iota
	spiral
	sun
	diagonal
	tiles
	dots
	waves
	stairs
	eye
	rays
	city
	peaks
	moon
	blinds
	horizon
	op
	road
	target
	duet
	arches
	star
	blocks
	orbit
	drips
	chevrons
	window
	ribbons
	keyhole
	letter
	fan
	motifCount
)

// draw fills the picture, 200 wide and h high, whose ground is painted already.
// Shapes may leave it: the title's panel is painted over them, and the svg clips
// the rest. glyph is the title's first letter, or empty.
func (m motif) draw(p *pen, d *dice, c colours, h float64, glyph string) {
	switch m {
	case rings:
		drawRings(p, d, c, h)
	case spiral:
		drawSpiral(p, d, c, h)
	case sun:
		drawSun(p, d, c, h)
	case diagonal:
		drawDiagonal(p, d, c, h)
	case tiles:
		drawTiles(p, d, c, h)
	case dots:
		drawDots(p, d, c, h)
	case waves:
		drawWaves(p, d, c, h)
	case stairs:
		drawStairs(p, d, c, h)
	case eye:
		drawEye(p, d, c, h)
	case rays:
		drawRays(p, d, c, h)
	case city:
		drawCity(p, d, c, h)
	case peaks:
		drawPeaks(p, d, c, h)
	case moon:
		drawMoon(p, d, c, h)
	case blinds:
		drawBlinds(p, d, c, h)
	case horizon:
		drawHorizon(p, d, c, h)
	case op:
		drawOp(p, d, c, h)
	case road:
		drawRoad(p, d, c, h)
	case target:
		drawTarget(p, d, c, h)
	case duet:
		drawDuet(p, d, c, h)
	case arches:
		drawArches(p, d, c, h)
	case star:
		drawStar(p, d, c, h)
	case blocks:
		drawBlocks(p, d, c, h)
	case orbit:
		drawOrbit(p, d, c, h)
	case drips:
		drawDrips(p, d, c, h)
	case chevrons:
		drawChevrons(p, d, c, h)
	case window:
		drawWindow(p, d, c, h)
	case ribbons:
		drawRibbons(p, d, c, h)
	case keyhole:
		drawKeyhole(p, d, c, h)
	case fan:
		drawFan(p, d, c, h)
	default:
		drawLetter(p, d, c, h, glyph)
	}
}
