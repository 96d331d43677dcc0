package app

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"movieexample.com/internal/cache"
	"movieexample.com/internal/sqldb"
	"movieexample.com/rating"
)

// TestDocumentedCaches compares the declarations of the caches with the table in docs/architecture.md, in both directions.
func TestDocumentedCaches(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Caches\n")
	if !found {
		t.Fatal("docs/architecture.md has no section Caches")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	db, err := sqldb.Open(t.Context(), "sqlite:"+filepath.Join(t.TempDir(), "rating.db"), sqldb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ratings, err := rating.New(t.Context(), rating.Config{}, rating.Deps{DB: db})
	if err != nil {
		t.Fatal(err)
	}
	defer ratings.Close()
	for service, specs := range map[string][]cache.Spec{"rating": ratings.Caches()} {
		if len(specs) == 0 {
			t.Errorf("%s declares no caches", service)
		}
		declared := make(map[string]bool)
		for _, s := range specs {
			declared[s.Row()] = true
			if !strings.Contains(section, s.Row()+"\n") {
				t.Errorf("docs/architecture.md lacks the row\n%s", s.Row())
			}
		}
		for line := range strings.Lines(section) {
			if row := strings.TrimSpace(line); strings.HasPrefix(row, "| `"+service+" ") && !declared[row] {
				t.Errorf("docs/architecture.md has a row that no cache declares:\n%s", row)
			}
		}
	}
}
