package events_test

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"testing/iotest"

	"movieexample.com/api/events"
)

func item(user string) string {
	return `{"userId":"` + user + `","recordId":"r","recordType":"movie","value":7}`
}

// told reads a file and describes the result, one line per item.
func told(r io.Reader) []string {
	var out []string
	for it, err := range events.ReadFile(r) {
		var refused *events.RefusedError
		switch {
		case errors.As(err, &refused):
			out = append(out, "refused "+refused.Error())
		case err != nil:
			out = append(out, "error "+err.Error())
		default:
			out = append(out, fmt.Sprintf("%s: %s", it.Position, it.Event.UserID))
		}
	}
	return out
}

func TestReadFile(t *testing.T) {
	const notObject = "event: must be a JSON object, got "
	big := `{"x":"` + strings.Repeat("]", events.MaxSize) + `"}`
	for _, tt := range []struct {
		name, file string
		want       []string
	}{
		{"nothing", "", nil},
		{"white space", " \r\n\t\n", nil},
		{"a byte order mark alone", "\ufeff", nil},
		{"lines", item("a") + "\n" + item("b") + "\n", []string{"line 1: a", "line 2: b"}},
		{"CRLF, empty lines, no last line break", "\ufeff\r\n" + item("a") + "\r\n  \r\n\t" + item("b"), []string{"line 2: a", "line 4: b"}},
		{"a bad line between", item("a") + "\noops\n" + item("c"), []string{"line 1: a", "refused line 2: " + notObject + `"oops"`, "line 3: c"}},
		{"a large line between", item("a") + "\n" + big + "\n" + item("c"), []string{"line 1: a", "refused line 2: event: must be at most 16384 bytes, got more", "line 3: c"}},
		{"an array", "[" + item("a") + "," + item("b") + "]", []string{"item 1 (line 1): a", "item 2 (line 1): b"}},
		{"an array over lines", " [\n" + item("a") + "\n ,\n" + item("b") + "\n]\n", []string{"item 1 (line 2): a", "item 2 (line 4): b"}},
		{"an empty array", "[ \n ]", nil},
		{"brackets and quotes in text", `[` + item(`],\"[{`) + `]`, []string{`item 1 (line 1): ],"[{`}},
		{"a bad item between", "[" + item("a") + `,{"userId":},` + item("c") + "]", []string{
			"item 1 (line 1): a",
			`refused item 2 (line 1): event: must be valid JSON: a value should be at byte 11, got "}"`,
			"item 3 (line 1): c",
		}},
		{"a brace too many", "[" + item("a") + "}," + item("b") + "]", []string{
			`refused item 1 (line 1): event: must be one JSON object and nothing behind it, got "}" at byte 61`, "item 2 (line 1): b",
		}},
		{"a large item between", "[" + big + "," + item("b") + "]", []string{
			"refused item 1 (line 1): event: must be at most 16384 bytes, got more", "item 2 (line 1): b",
		}},
		{"a trailing comma", "[" + item("a") + ",]", []string{
			"item 1 (line 1): a",
			`refused item 2 (line 1): event: is empty: an event is a JSON object or a Protobuf message; to take a rating back, send one with eventType "delete"`,
		}},
		{"an array cut off", "[\n" + item("a") + ",\n" + item("b"), []string{
			"item 1 (line 2): a",
			"error the file ends inside the JSON array, in item 2 (line 3): the closing bracket is missing; is it complete?",
		}},
		{"something behind the array", "[" + item("a") + "]\n" + item("b"), []string{
			"item 1 (line 1): a",
			`error the JSON array ends, but "{" follows on line 2: a file is one array, or one object per line`,
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := told(strings.NewReader(tt.file)); !slices.Equal(got, tt.want) {
				t.Errorf("read:\n got %q\nwant %q", got, tt.want)
			}
			if got := told(iotest.OneByteReader(strings.NewReader(tt.file))); !slices.Equal(got, tt.want) {
				t.Errorf("read byte by byte:\n got %q\nwant %q", got, tt.want)
			}
		})
	}
}

func TestReadFileReportsReadErrors(t *testing.T) {
	for _, start := range []string{"", item("a") + "\n" + item("b"), "[" + item("a"), "[" + item("a") + "]"} {
		got := told(io.MultiReader(strings.NewReader(start), iotest.ErrReader(errors.New("disk on fire"))))
		if len(got) == 0 || !strings.HasPrefix(got[len(got)-1], "error read line ") || !strings.HasSuffix(got[len(got)-1], ": disk on fire") {
			t.Errorf("after %q: %q, want the read error last", start, got)
		}
	}
}

func TestReadFileKeepsWhatWasRefused(t *testing.T) {
	for _, err := range events.ReadFile(strings.NewReader("  oops \r\n")) {
		var refused *events.RefusedError
		if !errors.As(err, &refused) || string(refused.Raw) != "oops" || events.Class(err) != "not-json" {
			t.Errorf("error %#v of class %q, want a RefusedError of class not-json with the raw text", err, events.Class(err))
		}
	}
}

func TestReadFileStops(t *testing.T) {
	for _, file := range []string{item("a") + "\n" + item("b"), "[" + item("a") + "," + item("b") + "]"} {
		n := 0
		for range events.ReadFile(strings.NewReader(file)) {
			n++
			break
		}
		if n != 1 {
			t.Errorf("%d items after a break, want 1", n)
		}
	}
}
