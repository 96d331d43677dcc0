package fault

import "unicode"

// hidden reports whether a character is invisible, or looks like a space but is not one: two identifiers that differ only in it
// look the same. Hidden are the characters without a glyph (Unicode's Default_Ignorable_Code_Point, and format characters except
// for a few that have one), those whose glyph is blank, separators other than the space, and noncharacters. Characters that are
// not assigned yet are not hidden: later versions of Unicode make letters of some.
func hidden(r rune) bool {
	switch {
	case r < 0x7f:
		return false
	case r == 0x2800, r == 0x16fe4, r == 0x1d159: // braille blank, Khitan filler, null notehead
		return true
	case r&0xfffe == 0xfffe, r >= 0xfdd0 && r <= 0xfdef: // noncharacters
		return true
	}
	if unicode.Is(unicode.Prepended_Concatenation_Mark, r) { // format characters with a glyph, such as the end of an ayah
		return false
	}
	return unicode.In(r, unicode.Cf, unicode.Zs, unicode.Zl, unicode.Zp, unicode.Other_Default_Ignorable_Code_Point, unicode.Variation_Selector)
}

// Visible reports whether a text has a character that shows something. Joiners and other format characters are part of many
// texts (Persian, Indic scripts, emoji); alone they are none.
func Visible(text string) bool {
	for _, r := range text {
		if r > ' ' && r < 0x7f || unicode.In(r, unicode.L, unicode.M, unicode.N, unicode.P, unicode.S, unicode.Prepended_Concatenation_Mark) && !hidden(r) {
			return true
		}
	}
	return false
}
