package gateway_test

import (
	"os"
	"strings"
	"testing"

	"movieexample.com/gateway"
)

// TestDocumentedCaches compares the declarations of the caches with the table in docs/architecture.md, in both directions.
func TestDocumentedCaches(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(text), "\n## Caches\n")
	section, _, _ = strings.Cut(section, "\n## ")
	declared := map[string]bool{}
	for _, s := range newGateway(t, gateway.DefaultConfig(), &fakeMovie{}, nil).Caches() {
		declared[s.Row()] = true
		if !strings.Contains(section, s.Row()+"\n") {
			t.Errorf("docs/architecture.md lacks the row\n%s", s.Row())
		}
	}
	if len(declared) != 2 {
		t.Errorf("%d caches are declared, want 2", len(declared))
	}
	for line := range strings.Lines(section) {
		if row := strings.TrimSpace(line); strings.HasPrefix(row, "| `gateway ") && !declared[row] {
			t.Errorf("docs/architecture.md has a row that no cache declares:\n%s", row)
		}
	}
}
