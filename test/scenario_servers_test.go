//go:build servers

package test

import (
	"os"
	"testing"

	"movieexample.com/client/verify"
)

// TestScenariosOfTarget asks everything of the system whose addresses file MOVIEEXAMPLE_TEST_TARGET names: a cluster on real
// servers, or any other. Bounds of time are those promised.
func TestScenariosOfTarget(t *testing.T) {
	file := os.Getenv("MOVIEEXAMPLE_TEST_TARGET")
	if file == "" {
		t.Fatal("MOVIEEXAMPLE_TEST_TARGET is not set: it must name the addresses file of a running system")
	}
	targets, err := verify.ReadTargets(file)
	if err != nil {
		t.Fatal(err)
	}
	checkAll(t, targets, verify.Options{})
}
