package main

import (
	"bytes"
	"strings"
	"testing"
	"testing/fstest"
)

// listsOf are lists with a few words.
func listsOf(allowed string) fstest.MapFS {
	return fstest.MapFS{
		"words.txt":   {Data: []byte("# a comment\nwhoever           the caller\ngo on             continue\nof its own        its own\nof its own accord automatically\n")},
		"allowed.txt": {Data: []byte(allowed)},
	}
}

// checked runs the command on one file and returns what it prints and its exit code.
func checked(t *testing.T, name, content, allowed string) (string, int) {
	t.Helper()
	var out, errs bytes.Buffer
	code := run(fstest.MapFS{name: {Data: []byte(content)}}, []string{name, "not/there.go"}, listsOf(allowed), &out, &errs)
	if (code == 0) != (errs.Len() == 0) {
		t.Errorf("exit code %d with %q", code, &errs)
	}
	return out.String(), code
}

// TestFails: the check fails for what it is there to find, and only for that.
func TestFails(t *testing.T) {
	long := strings.Repeat("é", markdownWidth)
	for name, tc := range map[string]struct{ file, content, allowed, want string }{
		"nothing":                  {"a.go", "// The caller closes it.\n", "", ""},
		"a word":                   {"a.go", "package a\n\n// Whoever opens it closes it.\n", "", "a.go:3: \"whoever\": write the caller\n"},
		"in a message":             {"a/b.go", `errors.New("it does not go  on")`, "", "a/b.go:1: \"go on\": write continue\n"},
		"twice in a line":          {"a.sh", "# whoever, WHOEVER\n", "", "a.sh:1: \"whoever\": write the caller\na.sh:1: \"whoever\": write the caller\n"},
		"the longer phrase":        {"a.md", "It starts of its own accord.", "", "a.md:1: \"of its own accord\": write automatically\n"},
		"part of a word":           {"a.go", "// whoeverish; cargo on board; let's go onward\n", "", ""},
		"allowed":                  {"a.go", "// whoever is a keyword\n", "a.go: whoever is a keyword\n", ""},
		"allowed elsewhere":        {"a.go", "// whoever\n", "b.go: whoever\n", "a.go:1: \"whoever\": write the caller\ntest/words/allowed.txt: b.go: whoever: allows nothing\n"},
		"an allowance of nothing":  {"a.go", "// fine\n", "a.go: whoever\n", "test/words/allowed.txt: a.go: whoever: allows nothing\n"},
		"a long line":              {"a.md", long + "\n" + long + "é\n", "", "a.md:2: 121 characters; the maximum is 120\n"},
		"a long line of Go":        {"a.go", "// " + long + "\n", "", ""},
		"a long row of a table":    {"a.md", "| " + long + " |\n", "", ""},
		"a long command":           {"a.md", "```sh\n" + long + long + "\n```\n" + long + "é", "", "a.md:4: 121 characters; the maximum is 120\n"},
		"generated":                {"gen/a.go", "// whoever", "", ""},
		"test data":                {"x/testdata/a.json", "whoever", "", ""},
		"the description of those": {"x/testdata/README.md", "whoever", "", "x/testdata/README.md:1: \"whoever\": write the caller\n"},
	} {
		t.Run(name, func(t *testing.T) {
			got, code := checked(t, tc.file, tc.content, tc.allowed)
			if got != tc.want || (code == 1) != (tc.want != "") {
				t.Errorf("exit code %d and\n%swant\n%s", code, got, tc.want)
			}
		})
	}
	for _, allowed := range []string{"a.go\n", "a.go: \n"} {
		if _, code := checked(t, "a.go", "", allowed); code != 2 {
			t.Errorf("the allowance %q: exit code %d, want 2", allowed, code)
		}
	}
}

// TestEveryWord: each row of the real list is found in a text that has it, and what it recommends is not in the list itself.
func TestEveryWord(t *testing.T) {
	words, err := readWords(lists)
	if err != nil || len(words) < 20 {
		t.Fatalf("%d words, %v", len(words), err)
	}
	for _, w := range words {
		if found := find("It says "+strings.ToUpper(w.text)+".", words); len(found) != 1 || found[0].text != w.text {
			t.Errorf("%q is found as %v", w.text, found)
		}
		if found := find(w.instead, words); len(found) > 0 {
			t.Errorf("instead of %q the list recommends %q", w.text, w.instead)
		}
	}
}
