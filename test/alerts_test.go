package test

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
)

// TestDocumentedAlerts: the table of docs/operations.md and the rules in deploy/prometheus are the same alerts. That each can fire
// is shown by TestAlerts in test/cluster.
func TestDocumentedAlerts(t *testing.T) {
	text, err := os.ReadFile("../deploy/prometheus/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	type alert struct{ Alert, Expr, For string }
	var file struct {
		Groups []struct{ Rules []alert }
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		t.Fatal(err)
	}
	var rules []alert
	for _, g := range file.Groups {
		for _, r := range g.Rules {
			if r.For == "" {
				r.For = "0s"
			}
			rules = append(rules, r)
		}
	}
	manual, err := os.ReadFile("../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), "\n## Alerts\n")
	section, _, _ = strings.Cut(section, "\n## ")
	var documented []alert
	for _, row := range regexp.MustCompile("(?m)^\\| ([A-Za-z]+) \\| `(.+)` \\| (\\d+[sm]) \\| .{20,} \\|$").FindAllStringSubmatch(section, -1) {
		documented = append(documented, alert{row[1], strings.ReplaceAll(row[2], `\|`, "|"), row[3]})
	}
	if len(rules) < 10 || !slices.Equal(rules, documented) {
		t.Errorf("deploy/prometheus/alerts.yaml has\n%+v\nand the table of docs/operations.md\n%+v", rules, documented)
	}
	if _, rest, _ := strings.Cut(string(manual), "\n## Alerts\n"); strings.Contains(strings.ReplaceAll(string(manual), rest, ""), "(alert ") {
		t.Error("docs/operations.md recommends an alert outside of its table")
	}
}
