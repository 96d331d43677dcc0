package syntax_test

import (
	"encoding/json"
	"errors"
	"math/big"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"movieexample.com/internal/syntax"
	"movieexample.com/internal/syntax/syntaxtest"
)

func TestTime(t *testing.T) {
	for _, c := range syntaxtest.Load(t).Times {
		got, err := syntax.Time(c.Text)
		if (err == nil) != c.OK {
			t.Errorf("%q: %v, %v; want it taken %v", c.Text, got, err, c.OK)
			continue
		}
		if c.OK && got.Format(time.RFC3339Nano) != c.Value {
			t.Errorf("%q: %s, want %s", c.Text, got.Format(time.RFC3339Nano), c.Value)
		}
	}
}

// TestTimeAgreesWithTheLibrary: whatever time the library writes, it is read as that time.
func TestTimeAgreesWithTheLibrary(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := time.Unix(rapid.Int64Range(-62100000000, 253370000000).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "nanos")).
			In(time.FixedZone("", 60*rapid.IntRange(-1439, 1439).Draw(t, "offset")))
		got, err := syntax.Time(want.Format(time.RFC3339Nano))
		if err != nil || !got.Equal(want.Truncate(time.Microsecond)) || got.Location() != time.UTC {
			t.Fatalf("%s: %v, %v", want.Format(time.RFC3339Nano), got, err)
		}
	})
}

func TestInteger(t *testing.T) {
	for _, c := range syntaxtest.Load(t).Integers {
		if c.Syntax || !json.Valid([]byte(c.Text)) || strings.ContainsAny(c.Text[:1], `"t[`) {
			continue // no number
		}
		got, err := syntax.Integer(c.Text)
		inRange := err == nil && got >= 1 && got <= 10
		if inRange != c.OK || c.OK && got != c.Value {
			t.Errorf("%s: %d, %v; want %d, taken %v", c.Text, got, err, c.Value, c.OK)
		}
	}
	for literal, want := range map[string]error{
		"9223372036854775807": nil, "-9223372036854775808": nil, "9223372036854775808": syntax.ErrRange, "-9223372036854775809": syntax.ErrRange,
		"1e18": nil, "1e19": syntax.ErrRange, "0e999999999999999999999": nil, "1e999999999999999999999": syntax.ErrRange, "1e-999999999999999999999": syntax.ErrFraction,
		"-0": nil, "-0.0e5": nil, "0.1": syntax.ErrFraction,
	} {
		if got, err := syntax.Integer(literal); !errors.Is(err, want) || want == nil && err != nil {
			t.Errorf("%s: %d, %v; want %v", literal, got, err, want)
		}
	}
}

// TestIntegerIsExact: it agrees with rational numbers, which do not round.
func TestIntegerIsExact(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		literal := rapid.StringMatching(`-?(0|[1-9][0-9]{0,20})(\.[0-9]{1,20})?([eE][+-]?[0-9]{1,2})?`).Draw(t, "literal")
		exact, ok := new(big.Rat).SetString(literal)
		if !ok {
			t.Fatalf("%s is no number to math/big", literal)
		}
		got, err := syntax.Integer(literal)
		switch {
		case !exact.IsInt():
			if !errors.Is(err, syntax.ErrFraction) {
				t.Fatalf("%s: %d, %v; want a fraction", literal, got, err)
			}
		case !exact.Num().IsInt64():
			if !errors.Is(err, syntax.ErrRange) {
				t.Fatalf("%s: %d, %v; want it out of range", literal, got, err)
			}
		case err != nil || got != exact.Num().Int64():
			t.Fatalf("%s: %d, %v; want %s", literal, got, err, exact.Num())
		}
	})
}

func TestWhole(t *testing.T) {
	for cell, want := range map[string]int64{
		"0": 0, "7": 7, "077": 77, "862.0": 862, "862.000": 862, "9223372036854775807": 9223372036854775807,
		"": -1, ".0": -1, "862.": -1, "862.5": -1, "862.01": -1, "8.62E+02": -1, "1e5": -1, "-1": -1, "+1": -1, " 1": -1, "1,000": -1, "1_000": -1, "0x1": -1, "nan": -1,
		"9223372036854775808": -1, "８": -1, "1.0.0": -1,
	} {
		if got, ok := syntax.Whole(cell); ok != (want >= 0) || ok && got != want {
			t.Errorf("%q: %d, %v; want %d", cell, got, ok, want)
		}
	}
}

// FuzzScanner holds the scanner against encoding/json: what it takes is JSON, and of what it refuses encoding/json takes only what is refused on
// purpose.
func FuzzScanner(f *testing.F) {
	for _, c := range syntaxtest.Load(f).Texts {
		f.Add(c.For(`"id":8`, "name"))
	}
	f.Fuzz(func(t *testing.T, text string) {
		err := scan(text)
		var whole map[string]json.RawMessage
		valid := json.Unmarshal([]byte(text), &whole) == nil && whole != nil
		if err == nil {
			if !valid {
				t.Fatalf("%q is taken, and is no object to encoding/json", text)
			}
			return
		}
		var e *syntax.Error
		if !errors.As(err, &e) {
			t.Fatalf("%q: %v", text, err)
		}
		if valid && e.Problem != syntax.NotUTF8 && e.Problem != syntax.TooDeep {
			t.Fatalf("%q is JSON, but: %v", text, err)
		}
	})
}

func scan(text string) error {
	var s syntax.Scanner
	if err := s.Open(text); err != nil {
		return err
	}
	for {
		_, ok, err := s.Member()
		if err != nil {
			return err
		}
		if !ok {
			return s.End()
		}
		if _, err := s.Value(); err != nil {
			return err
		}
	}
}
