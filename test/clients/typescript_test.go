//go:build servers

package clients_test

import (
	"os"
	"os/exec"
	"testing"
)

// TestTypeScript runs the TypeScript client that test/clients/run has generated and compiled.
func TestTypeScript(t *testing.T) {
	script := os.Getenv("TYPESCRIPT_CLIENT")
	if script == "" {
		t.Fatal("TYPESCRIPT_CLIENT must name the compiled client: run test/clients/run")
	}
	p := start(t)
	out, err := exec.CommandContext(t.Context(), "node", script, p.Gateway).CombinedOutput()
	if err != nil {
		t.Fatalf("node %s %s: %v\n%s", script, p.Gateway, err, out)
	}
	t.Logf("%s", out)
}
