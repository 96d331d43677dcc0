package app_test

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"

	"movieexample.com/gateway"
	"movieexample.com/internal/cache"
	"movieexample.com/internal/sqldb"
	"movieexample.com/movie"
	"movieexample.com/rating"
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
	front, err := gateway.New(t.Context(), gateway.DefaultConfig(), gateway.Deps{Movie: unused, Rating: unused})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Concat(films.Caches(), ratings.Caches(), front.Caches())
}

// TestDocumentedCaches compares the declarations of the caches with the table in docs/architecture.md, in both directions.
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
	services := map[string]bool{}
	for _, spec := range declaredCaches(t) {
		service, _, _ := strings.Cut(spec.Name, "_")
		services[service] = true
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
	for _, service := range []string{"movie", "rating", "gateway"} {
		if !services[service] {
			t.Errorf("%s declares no cache", service)
		}
	}
}
