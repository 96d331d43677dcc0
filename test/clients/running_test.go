package clients_test

import (
	"testing"

	"movieexample.com/test/system"
)

// TestRunning runs everything that needs the running system, the demo, once built and started.
func TestRunning(t *testing.T) {
	p := start(t)
	t.Run("examples", func(t *testing.T) { testExamples(t, p.Gateway) })
	t.Run("problems", func(t *testing.T) { testProblems(t, p.Gateway) })
	t.Run("go", func(t *testing.T) { testGoClient(t, p.Gateway) })
}

// start starts the demo on free ports, in a directory of its own.
func start(t *testing.T) *system.Process {
	t.Helper()
	p, err := system.TryStart(t, system.Build(t), "demo", "--data", t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return p
}
