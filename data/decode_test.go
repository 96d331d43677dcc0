package data

import (
	"strings"
	"testing"
)

// The file is built in, so its mistakes can only be shown to decode directly.
func TestDecodeNamesTheLineThatIsWrong(t *testing.T) {
	const good = `{"id": "tt0000417", "title": "A Trip to the Moon"}` + "\n"
	for _, tc := range []struct{ name, line, want string }{
		{"unknown field", `{"id": "tt0000001", "yaer": 1902}`, `line 2: json: unknown field "yaer"`},
		{"two films on one line", `{"id": "tt0000001"} {"id": "tt0000002"}`, "line 2: more than one value"},
		{"cut short", `{"id": "tt0000001"`, "line 2: unexpected EOF"},
		{"empty line", "", "line 2: EOF"},
		{"wrong type", `{"year": "1902"}`, "line 2: json: cannot unmarshal string"},
		{"line too long", `{"title": "` + strings.Repeat("x", 1<<17) + `"}`, "after line 1:"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			films, err := decode(good + tc.line + "\n")
			if err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("decode = %d films, error %v; want an error with %q", len(films), err, tc.want)
			}
		})
	}
	if films, err := decode(good + good); err != nil || len(films) != 2 {
		t.Errorf("decode of two good lines = %d films, error %v", len(films), err)
	}
}
