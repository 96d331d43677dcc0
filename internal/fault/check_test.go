package fault_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"

	"movieexample.com/internal/fault"
)

// checked is one value and what the user is told: "" when it is accepted.
type checked struct{ value, want string }

func check(t *testing.T, f func(v string) error, rows []checked) {
	t.Helper()
	for _, row := range rows {
		err := f(row.value)
		if row.want == "" {
			if err != nil {
				t.Errorf("%q: got %v, want it accepted", row.value, err)
			}
			continue
		}
		if err == nil {
			t.Errorf("%q was accepted, want: %s", row.value, row.want)
			continue
		}
		var e *fault.Error
		if !errors.As(err, &e) || e.Kind != fault.KindInvalid || len(e.Fields) != 1 || e.Fields[0].Name != "f" {
			t.Errorf("%q: got %#v, want an invalid field f", row.value, err)
		}
		if err.Error() != "f: "+row.want {
			t.Errorf("%q:\n got %s\nwant f: %s", row.value, err, row.want)
		}
	}
}

func TestID(t *testing.T) {
	check(t, func(v string) error { return fault.ID("f", v) }, []checked{
		{"tt0111161", ""},
		{"x", ""},
		{"a b", ""},
		{"映画/é:1", ""},
		{strings.Repeat("x", 128), ""},
		{"", "is required: 1 to 128 bytes"},
		{strings.Repeat("x", 129), "must be 1 to 128 bytes, got 129"},
		{strings.Repeat("é", 65), "must be 1 to 128 bytes, got 130"},
		{"a\xff", `must be valid UTF-8, got "a\xff"`},
		{"a\x00b", `must not contain control characters, got "a\x00b"`},
		{"a\nb", `must not contain control characters, got "a\nb"`},
		{"a\u0085b", `must not contain control characters, got "a\u0085b"`},
		{" a", `must not start or end with white space, got " a"`},
		{"a\u00a0", `must not start or end with white space, got "a\u00a0"`},
		{" ", `must not start or end with white space, got " "`},
		{".", `must not be "." or "..", which URLs give another meaning, got "."`},
		{"..", `must not be "." or "..", which URLs give another meaning, got ".."`},
		{"...", ""},
		{"a.", ""},
		{"é\u0301", ""},     // a combining mark shows
		{"\U0001c000x", ""}, // not assigned, but who knows when
		{"v19\u200b", `must not contain characters that do not show, got U+200B at byte 3 of "v19\u200b"`},
		{"a\u00a0b", `must not contain characters that do not show, got U+00A0 at byte 1 of "a\u00a0b"`},
	})
	for _, r := range "\u00ad\u034f\u061c\u115f\u1160\u17b4\u180b\u180e\u200b\u200c\u200d\u200e\u202e\u2028\u2029\u2003\u2060\u2064\u2065\u206a" +
		"\u2800\u3000\u3164\ufe0f\ufeff\uffa0\ufff0\ufff9\ufdd0\uffff\U00016fe4\U0001d159\U0001d173\U0001fffe\U000e0001\U000e0020\U000e0100" {
		id := "v" + string(r) + "19"
		if err := fault.ID("f", id); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("got %U at byte 1", r)) {
			t.Errorf("%+q: %v, want it refused by its code point", id, err)
		}
	}
}

func TestRecordType(t *testing.T) {
	const allowed = `must be a lower-case letter followed by at most 31 of a-z, 0-9, "_" and "-", for example "movie"`
	check(t, func(v string) error { return fault.RecordType("f", v) }, []checked{
		{"movie", ""},
		{"m", ""},
		{"tv-show_2", ""},
		{"m" + strings.Repeat("x", 31), ""},
		{"", "is required: " + allowed},
		{"Movie", allowed + `; got "Movie"`},
		{"2movie", allowed + `; got "2movie"`},
		{"-movie", allowed + `; got "-movie"`},
		{"movie:1", allowed + `; got "movie:1"`},
		{"moviĕ", allowed + `; got "moviĕ"`},
		{"m" + strings.Repeat("x", 32), allowed + `; got "m` + strings.Repeat("x", 32) + `"`},
	})
}

func TestText(t *testing.T) {
	check(t, func(v string) error { return fault.Text("f", v, 10, true) }, []checked{
		{"The Matrix", ""},
		{"映画映画映画映画映画", ""},
		{"a\n\tb", ""},
		{"", "is required: 1 to 10 characters"},
		{" \n", "is required: 1 to 10 characters"},
		{"The Matrix!", "must be at most 10 characters, got 11"},
		{"a\xffb", `must be valid UTF-8, got "a\xffb"`},
		{"\u200b\u2060", `is required: 1 to 10 characters, got only characters that do not show: "\u200b\u2060"`},
		{"\u2800", `is required: 1 to 10 characters, got only characters that do not show: "\u2800"`},
		{"\u00a0", "is required: 1 to 10 characters"},
		{"می\u200cروم", ""},
		{"👨\u200d👩\u200d👧", ""},
		{"क्\u200dष", ""},
		{"é\rb", "must not contain control characters other than newline and tab, got U+000D at byte 2"},
	})
	for _, r := range "\u00ad\u115f\u200b\u200d\u2060\u2800\u3164\ufe0f\ufeff\uffa0\U000e0020\U0001d173\u0378\ue000\ufffe" {
		if err := fault.Text("f", strings.Repeat(string(r), 3)+" ", 10, true); err == nil || !strings.HasPrefix(err.Error(), "f: is required: ") {
			t.Errorf("a text of %U: %v, want that it is required", r, err)
		}
	}
	if err := fault.Text("f", "", 10, false); err != nil {
		t.Errorf("empty and optional: %v", err)
	}
}

// Whatever a check is given, it accepts or explains; an explanation can be sent.
func FuzzChecks(f *testing.F) {
	for _, seed := range []string{"", "movie", "a\xff", " x ", strings.Repeat("\x00", 200), strings.Repeat("é", 30)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, v string) {
		for name, err := range map[string]error{
			"ID":         fault.ID("f", v),
			"RecordType": fault.RecordType("f", v),
			"Text":       fault.Text("f", v, 20, true),
		} {
			switch {
			case err == nil && (v == "" || !utf8.ValidString(v)):
				t.Errorf("%s accepts %q", name, v)
			case err != nil && (!utf8.ValidString(err.Error()) || len(err.Error()) > 300):
				t.Errorf("%s(%q): message of %d bytes: %q", name, v, len(err.Error()), err)
			}
		}
	})
}
