package app

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const module = "movieexample.com"

// source is one Go file and what it imports of ours and of the standard library.
type source struct {
	dir     string // slash-separated, relative to the module
	name    string
	imports []string
}

func (s source) test() bool { return strings.HasSuffix(s.name, "_test.go") }

// room is the top directory a file lives in: a service, "internal", "app" …
func (s source) room() string {
	room, _, _ := strings.Cut(s.dir, "/")
	return room
}

// sources reads the imports of every Go file of the module.
func sources(t *testing.T) []source {
	t.Helper()
	root := ".."
	var all []source
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			name := d.Name()
			if path != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "node_modules") {
				return fs.SkipDir
			}
			if _, err := os.Stat(filepath.Join(path, "go.mod")); err == nil && path != root {
				return fs.SkipDir // a separate module
			}
			return nil
		}
		if !strings.HasSuffix(path, ".go") {
			return nil
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		s := source{dir: filepath.ToSlash(filepath.Dir(rel)), name: d.Name()}
		for _, spec := range file.Imports {
			name, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				return err
			}
			s.imports = append(s.imports, name)
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(all) < 100 {
		t.Fatalf("found only %d Go files: the walk is wrong", len(all))
	}
	return all
}

// within reports whether the import path is the package or below it.
func within(imported, pkg string) bool {
	return imported == module+"/"+pkg || strings.HasPrefix(imported, module+"/"+pkg+"/")
}

// breaches returns the rules of DESIGN §3 that one file breaks.
func breaches(s source, table []service) []string {
	var out []string
	isService := func(name string) bool {
		return slices.ContainsFunc(table, func(row service) bool { return row.name == name })
	}
	anyService := func(imported string) bool {
		return slices.ContainsFunc(table, func(row service) bool { return within(imported, row.name) })
	}
	for _, imported := range s.imports {
		refuse := func(rule string) { out = append(out, s.dir+"/"+s.name+" imports "+imported+": "+rule) }
		switch room := s.room(); {
		case isService(room):
			row := table[slices.IndexFunc(table, func(row service) bool { return row.name == room })]
			if anyService(imported) && !within(imported, room) {
				refuse("a service never imports another service")
			}
			if within(imported, "app") || within(imported, "client") || within(imported, "cmd") {
				refuse("a service knows nothing of what is built from it")
			}
			if contract, ok := strings.CutPrefix(imported, module+"/gen/movieexample/"); ok {
				owner, _, _ := strings.Cut(contract, "/")
				if owner != row.name && !slices.Contains(row.calls, owner) {
					refuse("the row in services.go does not name " + owner)
				}
			}
			if s.test() {
				continue
			}
			if within(imported, "gen") && !strings.HasPrefix(s.name, "grpc") && !strings.HasPrefix(s.name, "from_") {
				refuse("only grpc*.go and from_*.go import gen")
			}
			if (imported == "database/sql" || strings.HasPrefix(imported, "database/sql/") || within(imported, "internal/sqldb")) && !strings.HasPrefix(s.name, "store") {
				refuse("only store*.go import database/sql or sqldb")
			}
			if imported == "net/http" && room != "gateway" {
				refuse("among services only gateway serves HTTP")
			}
		case room == "internal":
			if anyService(imported) || within(imported, "gen") || within(imported, "app") || within(imported, "client") || within(imported, "api") {
				refuse("plumbing knows no film, no rating, no user")
			}
		case room == "cmd":
			if anyService(imported) {
				refuse("commands import app and what a client may import, never a service")
			}
		case room == "client", room == "api", room == "movielens", room == "imdb", room == "data":
			if s.test() {
				continue
			}
			if anyService(imported) || within(imported, "app") {
				refuse("clients and contracts know no service from inside")
			}
		}
	}
	return out
}

func TestImportLaw(t *testing.T) {
	for _, s := range sources(t) {
		for _, b := range breaches(s, serviceTable()) {
			t.Error(b)
		}
	}
}

// TestImportLawCatches proves the checker on files that break each rule.
func TestImportLawCatches(t *testing.T) {
	for _, tc := range []struct {
		file   string
		breach string
	}{
		{"movie/movie.go", module + "/rating"},
		{"movie/movie_test.go", module + "/metadata"},
		{"rating/from_metadata.go", module + "/gen/movieexample/metadata/v1"},
		{"movie/movie.go", module + "/gen/movieexample/movie/v1"},
		{"rating/chart.go", "database/sql"},
		{"rating/chart.go", module + "/internal/sqldb"},
		{"rating/grpc.go", "net/http"},
		{"metadata/metadata.go", module + "/client"},
		{"internal/rpc/server.go", module + "/rating"},
		{"internal/rpc/server.go", module + "/gen/book"},
		{"cmd/movieexample/serve.go", module + "/gateway"},
		{"client/client.go", module + "/movie"},
	} {
		s := source{dir: filepath.Dir(tc.file), name: filepath.Base(tc.file), imports: []string{tc.breach}}
		if got := breaches(s, serviceTable()); len(got) != 1 {
			t.Errorf("%s importing %s: %d breaches reported, want 1: %v", tc.file, tc.breach, len(got), got)
		}
	}
	for _, tc := range []struct{ file, allowed string }{
		{"movie/from_rating.go", module + "/gen/movieexample/rating/v1"},
		{"rating/store_ingest.go", module + "/internal/sqldb"},
		{"gateway/gateway.go", "net/http"},
		{"rating/grpc.go", module + "/gen/book"},
	} {
		s := source{dir: filepath.Dir(tc.file), name: filepath.Base(tc.file), imports: []string{tc.allowed}}
		if got := breaches(s, serviceTable()); len(got) != 0 {
			t.Errorf("%s importing %s is allowed, but: %v", tc.file, tc.allowed, got)
		}
	}
}
