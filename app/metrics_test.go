package app_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"net/http"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
)

var (
	metricName = regexp.MustCompile(`^movieexample(_[a-z]+)+$`)
	// unitInside finds a unit that is not last. A final _total does not count.
	unitInside = regexp.MustCompile(`_(seconds|bytes)_`)
)

// checkMetricName reports what is wrong with the name of one of our metrics; "" for a good one.
func checkMetricName(name string) string {
	switch {
	case !metricName.MatchString(name):
		return "does not begin with movieexample_"
	case unitInside.MatchString(strings.TrimSuffix(name, "_total")):
		return "has its unit before its end"
	}
	return ""
}

// TestMetricNames: every metric of a running process has the prefix movieexample_, the suffix _total exactly if it is a counter,
// and its unit last; promlint, which promtool check metrics runs, has no objection. The metrics of the runtime keep their names.
func TestMetricNames(t *testing.T) {
	p := run(t, testConfig(t.TempDir()))
	text := ask(t, http.MethodGet, p.Admin+"/metrics", "").body
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range problems {
		t.Errorf("%s: %s", problem.Metric, problem.Text)
	}
	families := regexp.MustCompile(`(?m)^# TYPE (\S+) `).FindAllStringSubmatch(text, -1)
	ours := 0
	for _, f := range families {
		name := f[1]
		if strings.HasPrefix(name, "go_") || strings.HasPrefix(name, "process_") {
			continue
		}
		ours++
		if wrong := checkMetricName(name); wrong != "" {
			t.Errorf("the metric %s %s", name, wrong)
		}
	}
	if ours < 30 {
		t.Errorf("the process has only %d metrics of ours of %d", ours, len(families))
	}
}

// TestMetricNamesInSource: the same prefix and order for metrics that no process shows before something happens.
func TestMetricNamesInSource(t *testing.T) {
	found := 0
	check := func(file *token.FileSet, value ast.Expr) {
		lit, ok := value.(*ast.BasicLit)
		if !ok {
			return // a parameter of a function whose callers' metrics are shown at once
		}
		name, err := strconv.Unquote(lit.Value)
		if err != nil {
			t.Fatal(err)
		}
		found++
		if wrong := checkMetricName(name); wrong != "" {
			t.Errorf("%s: the metric %q %s", file.Position(lit.Pos()), name, wrong)
		}
	}
	err := filepath.WalkDir("..", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != ".." && (strings.HasPrefix(d.Name(), ".") || slices.Contains([]string{"gen", "testdata", "node_modules", "tmp"}, d.Name())) {
			return fs.SkipDir
		}
		if !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return nil
		}
		files := token.NewFileSet()
		file, err := parser.ParseFile(files, path, nil, 0)
		if err != nil {
			return err
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.CompositeLit:
				if kind := ofPrometheus(n.Type); strings.HasSuffix(kind, "Opts") {
					for _, e := range n.Elts {
						if kv, ok := e.(*ast.KeyValueExpr); ok && kv.Key.(*ast.Ident).Name == "Name" {
							check(files, kv.Value)
						}
					}
				}
			case *ast.CallExpr:
				if ofPrometheus(n.Fun) == "NewDesc" {
					check(files, n.Args[0])
				}
			}
			return true
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found < 30 {
		t.Errorf("found only %d metrics: the walk is wrong", found)
	}
}

// ofPrometheus is X of the expression prometheus.X; "" for any other.
func ofPrometheus(e ast.Expr) string {
	if s, ok := e.(*ast.SelectorExpr); ok {
		if x, ok := s.X.(*ast.Ident); ok && x.Name == "prometheus" {
			return s.Sel.Name
		}
	}
	return ""
}

// TestCheckMetricName: the check refuses what it is there for.
func TestCheckMetricName(t *testing.T) {
	for name, good := range map[string]bool{
		"movieexample_kafka_up":               true,
		"movieexample_http_requests_total":    true,
		"movieexample_wait_seconds":           true,
		"movieexample_sent_bytes_total":       true,
		"kafka_up":                            false,
		"http_server_requests_total":          false,
		"movieexample_wait_seconds_max":       false,
		"movieexample_sent_bytes_by_peer":     false,
		"movieexample_wait_seconds_threshold": false,
		"movieexample_Wait":                   false,
	} {
		if got := checkMetricName(name); (got == "") != good {
			t.Errorf("%s: %q", name, got)
		}
	}
}
