package main

import (
	"embed"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

//go:embed words.txt allowed.txt
var lists embed.FS

// markdownWidth is the most characters in a line of Markdown.
const markdownWidth = 120

func main() {
	files, err := listFiles()
	if err != nil {
		fmt.Fprintln(os.Stderr, "words:", err)
		os.Exit(2)
	}
	os.Exit(run(os.DirFS("."), files, lists, os.Stdout, os.Stderr))
}

// listFiles lists what git tracks below the current directory, and what it would add.
func listFiles() ([]string, error) {
	out, err := exec.Command("git", "ls-files", "-co", "--exclude-standard", "-z").Output()
	if err != nil {
		return nil, fmt.Errorf("list the files: %w", err)
	}
	return strings.FieldsFunc(string(out), func(r rune) bool { return r == 0 }), nil
}

// run prints the findings and returns the exit code: 0 without findings, 1 with some, 2 if it cannot check.
func run(tree fs.FS, files []string, lists fs.FS, stdout, stderr io.Writer) int {
	findings, err := check(tree, files, lists)
	if err != nil {
		fmt.Fprintln(stderr, "words:", err)
		return 2
	}
	for _, f := range findings {
		fmt.Fprintln(stdout, f)
	}
	if len(findings) > 0 {
		fmt.Fprintf(stderr, "words: %d findings; test/words/words.txt has the words, allowed.txt the exceptions\n", len(findings))
		return 1
	}
	return 0
}

// word is a row of words.txt.
type word struct {
	text    string
	instead string
	pattern *regexp.Regexp
}

// readWords reads words.txt: a word or phrase in the first 18 columns, then what to write instead.
func readWords(lists fs.FS) ([]word, error) {
	text, err := fs.ReadFile(lists, "words.txt")
	if err != nil {
		return nil, err
	}
	var words []word
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		const column = 18
		if len(line) <= column || line[column-1] != ' ' {
			return nil, fmt.Errorf("words.txt: no replacement at column %d: %s", column, line)
		}
		w := word{text: strings.TrimSpace(line[:column]), instead: line[column:]}
		w.pattern = regexp.MustCompile(`(?i)\b` + strings.ReplaceAll(regexp.QuoteMeta(w.text), " ", `\s+`) + `\b`)
		words = append(words, w)
	}
	// A phrase comes before the shorter ones in it.
	slices.SortStableFunc(words, func(a, b word) int { return len(b.text) - len(a.text) })
	return words, nil
}

// allowance is a row of allowed.txt.
type allowance struct {
	path, text string
	used       bool
}

func readAllowances(lists fs.FS) ([]allowance, error) {
	text, err := fs.ReadFile(lists, "allowed.txt")
	if err != nil {
		return nil, err
	}
	var list []allowance
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		file, text, ok := strings.Cut(line, ": ")
		if !ok || strings.TrimSpace(text) == "" {
			return nil, fmt.Errorf("allowed.txt: must be PATH: TEXT, got %s", line)
		}
		list = append(list, allowance{path: file, text: text})
	}
	return list, nil
}

// check returns the findings in the files of the tree.
func check(tree fs.FS, files []string, lists fs.FS) (findings []string, err error) {
	words, err := readWords(lists)
	if err != nil {
		return nil, err
	}
	allowed, err := readAllowances(lists)
	if err != nil {
		return nil, err
	}
	for _, name := range files {
		if !isRead(name) {
			continue
		}
		text, err := fs.ReadFile(tree, name)
		if os.IsNotExist(err) {
			continue // deleted, and not committed yet
		}
		if err != nil {
			return nil, err
		}
		if !utf8.Valid(text) {
			continue
		}
		fenced := false
		n := 0
		for line := range strings.Lines(string(text)) {
			n++
			line = strings.TrimRight(line, "\r\n")
			if path.Ext(name) == ".md" {
				if strings.HasPrefix(line, "```") {
					fenced = !fenced
				}
				if width := utf8.RuneCountInString(line); width > markdownWidth && !fenced && !strings.HasPrefix(line, "|") {
					findings = append(findings, fmt.Sprintf("%s:%d: %d characters; the maximum is %d", name, n, width, markdownWidth))
				}
			}
			for _, found := range find(line, words) {
				if !allow(allowed, name, line) {
					findings = append(findings, fmt.Sprintf("%s:%d: %q: write %s", name, n, found.text, found.instead))
				}
			}
		}
	}
	for _, a := range allowed {
		if !a.used {
			findings = append(findings, fmt.Sprintf("test/words/allowed.txt: %s: %s: allows nothing", a.path, a.text))
		}
	}
	return findings, nil
}

// find returns the words in the line, each place under the longest phrase only.
func find(line string, words []word) (found []word) {
	for _, w := range words {
		rest := w.pattern.ReplaceAllStringFunc(line, func(string) string {
			found = append(found, w)
			return "\x00"
		})
		line = rest
	}
	return found
}

// allow reports whether an allowance covers the line, and marks it.
func allow(list []allowance, name, line string) bool {
	for i := range list {
		if list[i].path == name && strings.Contains(line, list[i].text) {
			list[i].used = true
			return true
		}
	}
	return false
}

// isRead reports whether a file holds words of ours.
func isRead(name string) bool {
	for _, dir := range []string{"gen/", "third_party/", "test/words/", "test/clients/goclient/", "api/baseline/"} {
		if strings.HasPrefix(name, dir) {
			return false
		}
	}
	switch path.Base(name) {
	case "LICENSE", "NOTICE", "VENDOR.md", "package-lock.json", "films.jsonl", "supplement.json", "openapi.json":
		return false
	}
	if strings.HasSuffix(name, ".gen.go") || strings.Contains(name, "/testdata/") && path.Ext(name) != ".md" || strings.Contains(name, "/assets/") {
		return false
	}
	switch path.Ext(name) {
	case ".go", ".md", ".proto", ".sql", ".yaml", ".yml", ".sh", ".html", ".css", ".js", ".mjs", ".ts", ".json", ".cnf", ".toml", "":
		return true
	}
	return false
}
