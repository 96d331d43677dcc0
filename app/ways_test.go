package app_test

import (
	"os"
	"regexp"
	"strings"
	"testing"
)

// waysMost is how many files the way of a request may pass.
const waysMost = 9

// TestDocumentedWays checks the lists of files in docs/architecture.md: every file exists, and no way passes more than nine.
func TestDocumentedWays(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## The way of a request\n")
	if !found {
		t.Fatal("docs/architecture.md has no section \"## The way of a request\"")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	title, step, file := regexp.MustCompile(`^\*\*(.+?)\*\*`), regexp.MustCompile(`^(\d+)\. `), regexp.MustCompile("`([a-z_/]+\\.go)`")
	steps := map[string]int{}
	way := ""
	for line := range strings.Lines(section) {
		if m := title.FindStringSubmatch(line); m != nil {
			way = m[1]
			steps[way] = 0
		}
		for _, m := range file.FindAllStringSubmatch(line, -1) {
			if _, err := os.Stat("../" + m[1]); err != nil {
				t.Errorf("%s: %v", way, err)
			}
		}
		if step.MatchString(line) {
			steps[way]++
			if !file.MatchString(line) {
				t.Errorf("%s: a step names no file: %s", way, strings.TrimSpace(line))
			}
		}
	}
	for _, way := range []string{"REST GET", "REST PUT of a rating", "Event to row", "Search", "Start"} {
		if n := steps[way]; n == 0 || n > waysMost {
			t.Errorf("the way %q has %d steps, want 1 to %d", way, n, waysMost)
		}
	}
	if len(steps) != 5 {
		t.Errorf("the section has the ways %v, want 5", steps)
	}
}
