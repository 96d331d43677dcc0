package sqltest

import (
	"go/ast"
	"go/parser"
	gotoken "go/token"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// CheckStatements fails the test for every SQL text in the directory's Go files, without tests, that is not [Portable], and
// if there are fewer than least texts, which means a wrong directory. It reads the source rather than the statements that a
// test happens to execute, so that it misses no text. Constants are concatenated as far as the source allows.
func CheckStatements(t testing.TB, dir string, least int) {
	t.Helper()
	found, err := statements(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range found {
		for _, wrong := range Portable(s.text) {
			t.Errorf("%s: %s\n\t%s", s.where, wrong, s.text)
		}
	}
	if len(found) < least {
		t.Errorf("only %d texts of SQL were found in %s, not %d", len(found), dir, least)
	}
}

type statement struct{ where, text string }

// statements returns the texts of SQL in the program's files of a directory.
func statements(dir string) ([]statement, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*.go"))
	if err != nil {
		return nil, err
	}
	var (
		set     = gotoken.NewFileSet()
		files   []*ast.File
		folding = folder{consts: map[string]ast.Expr{}}
	)
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		source, err := os.ReadFile(name)
		if err != nil {
			return nil, err
		}
		f, err := parser.ParseFile(set, filepath.Base(name), source, 0)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		ast.Inspect(f, func(n ast.Node) bool {
			if spec, ok := n.(*ast.ValueSpec); ok {
				for i, name := range spec.Names {
					if i < len(spec.Values) {
						folding.consts[name.Name] = spec.Values[i]
					}
				}
			}
			return true
		})
	}
	var found []statement
	for _, f := range files {
		ast.Inspect(f, func(n ast.Node) bool {
			e, ok := n.(ast.Expr)
			if !ok {
				return true
			}
			text, ok := folding.fold(e, 0)
			if !ok {
				return true
			}
			if looksLikeSQL(text) {
				found = append(found, statement{set.Position(e.Pos()).String(), text})
			}
			return false // its parts have been seen
		})
	}
	return found, nil
}

// looksLikeSQL distinguishes statements and parts of them from other texts: keywords are written in capitals here.
func looksLikeSQL(text string) bool {
	return regexp.MustCompile(`\b(SELECT|INSERT|UPDATE|DELETE|REPLACE|WHERE|FROM|JOIN|ORDER BY|GROUP BY|LIMIT|AND|ON CONFLICT|ON DUPLICATE|PRAGMA|CREATE|ALTER|DROP)\b`).MatchString(text)
}

type folder struct{ consts map[string]ast.Expr }

// fold puts a text together of literals and constants; what it does not know is a hole. ok is false where e is no text.
func (f folder) fold(e ast.Expr, depth int) (text string, ok bool) {
	switch e := e.(type) {
	case *ast.BasicLit:
		if e.Kind != gotoken.STRING {
			return "", false
		}
		text, err := strconv.Unquote(e.Value)
		return text, err == nil
	case *ast.ParenExpr:
		return f.fold(e.X, depth)
	case *ast.BinaryExpr:
		if e.Op != gotoken.ADD {
			return "", false
		}
		left, leftOK := f.fold(e.X, depth)
		right, rightOK := f.fold(e.Y, depth)
		if !leftOK && !rightOK {
			return "", false
		}
		if !leftOK {
			left = hole
		}
		if !rightOK {
			right = hole
		}
		return left + right, true
	case *ast.Ident:
		if constant, known := f.consts[e.Name]; known && depth < 8 {
			return f.fold(constant, depth+1)
		}
	}
	return "", false
}
