package main

import (
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A command that is started together with the system, or before it, waits for the file with the addresses and says so.
func TestCommandWaitsForTheAddresses(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "addresses.json")
	c := start(t, nil, "audit", "--addresses", file, "--wait", "1m")
	c.await(t, "a word about the file", func() bool { return strings.Contains(c.stderr.String(), "waiting for the file "+file) })
	args := slices.Concat([]string{"serve", "--data", filepath.Join(dir, "data")}, freePorts(), []string{"--addresses", file})
	start(t, nil, args...)
	if o := c.wait(t); o.code != 0 || !strings.Contains(o.stdout, "0 differences") {
		t.Errorf("%+v", o)
	}

	// What cannot come is not waited for.
	for _, args := range [][]string{
		{"audit", "--addresses", filepath.Join(dir, "none.json"), "--wait", "0"},
		{"audit", "--addresses", filepath.Join(dir, "nowhere", "addresses.json"), "--wait", "10m"},
	} {
		if o := start(t, nil, args...).wait(t); o.code != exitUsage || !strings.Contains(o.stderr, "no such file or directory") || strings.Contains(o.stderr, "waiting") {
			t.Errorf("%q: %+v", args, o)
		}
	}
	if o := start(t, nil, "audit", "--addresses", filepath.Join(dir, "none.json"), "--wait", "200ms").wait(t); o.code != exitUsage ||
		!strings.Contains(o.stderr, "waiting for the file") || !strings.Contains(o.stderr, "no such file or directory") {
		t.Errorf("%+v", o)
	}
}
