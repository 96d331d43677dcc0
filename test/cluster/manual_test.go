//go:build servers

package cluster_test

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/cluster"
)

// documented returns the block of docs/operations.md that begins with ```sh NAME: the commands that an operator copies. Each pair
// of change is a text of the block and what takes its place here, a path or an address; a text that is not there fails the test.
func documented(t *testing.T, name string, change ...string) string {
	t.Helper()
	text, err := os.ReadFile("../../docs/operations.md")
	if err != nil {
		t.Fatal(err)
	}
	blocks := regexp.MustCompile("(?ms)^```sh "+regexp.QuoteMeta(name)+"\n(.*?)^```$").FindAllStringSubmatch(string(text), -1)
	if len(blocks) != 1 {
		t.Fatalf("docs/operations.md has %d blocks \"sh %s\", want 1", len(blocks), name)
	}
	block := blocks[0][1]
	for i := 0; i < len(change); i += 2 {
		if !strings.Contains(block, change[i]) {
			t.Fatalf("the block \"sh %s\" of docs/operations.md has no %q:\n%s", name, change[i], block)
		}
		block = strings.ReplaceAll(block, change[i], change[i+1])
	}
	return block
}

// operator runs commands in a shell that ends at the first error, and returns what they print.
func operator(t *testing.T, script string) string {
	t.Helper()
	return operatorIn(t, "", cluster.Environment(), script)
}

// operatorIn is operator in a directory and with an environment.
func operatorIn(t *testing.T, dir string, env []string, script string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "bash", "-euo", "pipefail", "-c", script)
	cmd.Dir, cmd.Env = dir, env
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", script, err, out, errs.String())
	}
	if errs.Len() > 0 {
		t.Logf("%s: on standard error:\n%s", script, errs.String())
	}
	return string(out)
}
