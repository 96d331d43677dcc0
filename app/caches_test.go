package app_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"movieexample.com/internal/cache"
	"movieexample.com/movie"
)

// declaredCaches returns the declarations of all caches of the system, with the default settings. A cache is declared where it is
// built, so the services are built here.
func declaredCaches(t *testing.T) []cache.Spec {
	t.Helper()
	var unused struct{ grpc.ClientConnInterface }
	films, err := movie.New(t.Context(), movie.Config{}, movie.Deps{Metadata: unused, Rating: unused})
	if err != nil {
		t.Fatal(err)
	}
	defer films.Close()
	return films.Caches()
}

// The table of caches in docs/architecture.md has every cache, as it is declared, and no other.
func TestDocumentedCaches(t *testing.T) {
	text, err := os.ReadFile("../docs/architecture.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, found := strings.Cut(string(text), "\n## Caches\n")
	if !found {
		t.Fatal("docs/architecture.md has no section \"## Caches\"")
	}
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []string
	for line := range strings.Lines(section) {
		if line = strings.TrimSpace(line); strings.HasPrefix(line, "| `") {
			documented = append(documented, line)
		}
	}
	var declared []string
	for _, spec := range declaredCaches(t) {
		declared = append(declared, spec.Row())
		if !slices.Contains(documented, spec.Row()) {
			t.Errorf("cache %s is not documented as it is declared; the row is\n%s", spec.Name, spec.Row())
		}
	}
	for i, row := range documented {
		if !slices.Contains(declared, row) || slices.Contains(documented[:i], row) {
			t.Errorf("no cache is declared so, or twice: %s", row)
		}
	}
	if len(declared) < 10 {
		t.Errorf("only %d caches are declared", len(declared))
	}
}
