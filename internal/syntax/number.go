package syntax

import (
	"errors"
	"strconv"
	"strings"
)

// The errors of [Integer].
var (
	ErrFraction = errors.New("the number has a fraction")
	ErrRange    = errors.New("the number is beyond 64 bits")
)

// mostExponent is beyond what a text has digits for.
const mostExponent = 1 << 28

// Integer returns the whole number that a number of JSON stands for. It goes by the value and not by the spelling, as JSON
// Schema does: 8, 8.0, 8e0 and 80e-1 are one number. It counts with digits, so that no rounding makes a whole number of
// 8.0000000000000000001. literal must be a number in JSON's grammar, as [Scanner.Value] returns it.
func Integer(literal string) (int64, error) {
	digits, negative := strings.CutPrefix(literal, "-")
	if len(digits) < 19 && plainDigits(digits) { // nearly always
		n, err := strconv.ParseInt(literal, 10, 64)
		return n, err
	}
	exponent := 0
	if at := strings.IndexAny(digits, "eE"); at >= 0 {
		var err error
		if exponent, err = strconv.Atoi(digits[at+1:]); err != nil || exponent > mostExponent || exponent < -mostExponent {
			exponent = mostExponent
			if strings.HasPrefix(digits[at+1:], "-") {
				exponent = -mostExponent
			}
		}
		digits = digits[:at]
	}
	whole, fraction, _ := strings.Cut(digits, ".")
	all := strings.TrimLeft(whole+fraction, "0")
	behind := len(fraction) - exponent // digits behind the point
	significant := strings.TrimRight(all, "0")
	if significant == "" {
		return 0, nil
	}
	zeros := len(all) - len(significant) - behind // that follow the significant digits of the whole number
	switch {
	case zeros < 0:
		return 0, ErrFraction
	case len(significant)+zeros > 19:
		return 0, ErrRange
	}
	text := significant + strings.Repeat("0", zeros)
	if negative {
		text = "-" + text
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return 0, ErrRange
	}
	return n, nil
}

// Whole returns the number in a cell of a table: digits, behind which programs that know only fractions write ".0". pandas
// does where a column has an empty cell. An exponent is refused: spreadsheets write one where they have rounded, and the number
// would be another one. So are signs.
func Whole(cell string) (n int64, ok bool) {
	digits, fraction, point := strings.Cut(cell, ".")
	if point && (fraction == "" || strings.Trim(fraction, "0") != "") {
		return 0, false
	}
	if !plainDigits(digits) {
		return 0, false
	}
	n, err := strconv.ParseInt(digits, 10, 64)
	return n, err == nil
}

func plainDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return s != ""
}
