package poster

import "math"

// palette is four flat colours that were picked to stand together: a dark and a
// light one, between which every title's contrast lies, and two that carry the
// picture. No dark one is black and no light one white, so that a poster keeps its
// edge on a dark page and on a paper-white one.
type palette struct{ dark, light, hot, mid string }

// mood is what a genre sounds like in colour.
type mood struct {
	palettes []palette
	schemes  []scheme
}

// scheme says which colour of a palette goes where.
type scheme int

const (
	day     scheme = iota // light throughout
	night                 // dark throughout
	sunrise               // a hot field over a light foot
	sunset                // a hot field over a dark foot
	dusk                  // a middle field over a dark foot
	noon                  // a middle field over a light foot
	flood                 // hot throughout: the loudest, and rare
)

// colours is a palette put to use: the field is the picture's ground, a, b and c
// are its shapes in order of weight, the panel is the title's ground.
type colours struct{ field, panel, ink, a, b, c string }

func (p palette) mix(s scheme) colours {
	switch s {
	case night:
		return colours{field: p.dark, panel: p.dark, ink: p.light, a: p.hot, b: p.light, c: p.mid}
	case sunrise:
		return colours{field: p.hot, panel: p.light, ink: p.dark, a: p.dark, b: p.light, c: p.mid}
	case sunset:
		return colours{field: p.hot, panel: p.dark, ink: p.light, a: p.light, b: p.dark, c: p.mid}
	case dusk:
		return colours{field: p.mid, panel: p.dark, ink: p.light, a: p.dark, b: p.light, c: p.hot}
	case noon:
		return colours{field: p.mid, panel: p.light, ink: p.dark, a: p.light, b: p.dark, c: p.hot}
	case flood:
		ink, other := p.dark, p.light
		if Ratio(p.light, p.hot) > Ratio(p.dark, p.hot) {
			ink, other = p.light, p.dark
		}
		if Ratio(ink, p.hot) >= 4.5 {
			return colours{field: p.hot, panel: p.hot, ink: ink, a: ink, b: other, c: p.mid}
		}
	}
	return colours{field: p.light, panel: p.light, ink: p.dark, a: p.hot, b: p.dark, c: p.mid}
}

// The moods, and the genres that have them, in moodOf.
var (
	noir = mood{
		[]palette{
			{"#1a1b20", "#ebe2d0", "#d6331f", "#76808a"},
			{"#12233f", "#f1e5c6", "#f0b41c", "#4a78ad"},
			{"#10302e", "#ece4d1", "#ea6d2c", "#3d8a82"},
			{"#281a36", "#e8e1e6", "#cfd23a", "#83639c"},
		},
		[]scheme{night, night, night, sunset, dusk, day, flood},
	}
	heart = mood{
		[]palette{
			{"#40111d", "#f7e1d2", "#ef6049", "#cd9090"},
			{"#2f1d16", "#f0deba", "#c9532e", "#d9a044"},
			{"#10374a", "#f8dec7", "#e9745c", "#6aa3ad"},
			{"#38173f", "#f4dcd8", "#e2a92b", "#a95a82"},
			{"#213043", "#ede4d3", "#c64833", "#93a5b0"},
		},
		[]scheme{day, day, night, sunrise, sunset, dusk, noon, flood},
	}
	bright = mood{
		[]palette{
			{"#1d2658", "#fbecc9", "#ef4c33", "#f4b62f"},
			{"#134038", "#f8efc8", "#f2849d", "#47ab80"},
			{"#38235f", "#fdebcd", "#fd7d41", "#9577d2"},
			{"#183c90", "#e4eef1", "#fdc52c", "#e5462f"},
		},
		[]scheme{day, day, sunrise, sunrise, noon, sunset, flood, flood},
	}
	cosmos = mood{
		[]palette{
			{"#1a184c", "#e0eaf0", "#ef437c", "#3fb4c5"},
			{"#0a3741", "#e3efdd", "#fd8c40", "#3ba396"},
			{"#21133a", "#ebe3f4", "#bada4e", "#825cca"},
			{"#1e252b", "#e0e4e1", "#fd5a38", "#618cbb"},
		},
		[]scheme{night, night, night, day, sunset, dusk, noon, flood},
	}
	dust = mood{
		[]palette{
			{"#321e12", "#f1deb6", "#c9471e", "#de9d39"},
			{"#262a1d", "#e8e0c1", "#cf3d27", "#91964f"},
			{"#112b4b", "#f3e6cc", "#ef742e", "#4397aa"},
			{"#221e17", "#eddcb8", "#efb427", "#a96733"},
		},
		[]scheme{day, night, sunrise, sunset, sunset, dusk, noon, flood},
	}
	blood = mood{
		[]palette{
			{"#220e11", "#eddecd", "#c91c22", "#7c2329"},
			{"#162018", "#e5e5cd", "#a9c440", "#557341"},
			{"#1e172b", "#e9e0e1", "#e14733", "#71508e"},
		},
		[]scheme{night, night, night, sunset, dusk, flood, day},
	}
	plain = mood{
		[]palette{
			{"#1e2935", "#e9e6dc", "#e0572d", "#98a4ac"},
			{"#15344f", "#ece7da", "#efb02e", "#6f97b3"},
			{"#2a2a28", "#ebe7dd", "#2f9a8a", "#b0a894"},
		},
		[]scheme{day, day, night, sunrise, dusk, noon, flood},
	}
)

// Ratio returns the contrast of two colours "#rrggbb" as WCAG 2.2 defines it, from
// 1 (the same) to 21; text that small readers can read has at least 4.5.
func Ratio(x, y string) float64 {
	a, b := luminance(x), luminance(y)
	if a < b {
		a, b = b, a
	}
	return (a + 0.05) / (b + 0.05)
}

// luminance is the relative luminance of a colour "#rrggbb", 0 to 1 (WCAG 2.2).
func luminance(colour string) float64 {
	channel := func(i int) float64 {
		v := float64(hex(colour[i])<<4|hex(colour[i+1])) / 255
		if v <= 0.04045 {
			return v / 12.92
		}
		return math.Pow((v+0.055)/1.055, 2.4)
	}
	return 0.2126*channel(1) + 0.7152*channel(3) + 0.0722*channel(5)
}

func hex(c byte) int {
	if c >= 'a' {
		return int(c-'a') + 10
	}
	return int(c - '0')
}
