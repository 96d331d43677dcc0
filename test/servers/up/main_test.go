//go:build linux

package main

import (
	"io"
	"strings"
	"testing"
)

func TestArguments(t *testing.T) {
	for _, tc := range []struct {
		args, message string
	}{
		{"", "no server was named: give mariadb"},
		{"--dir d", "no server was named"},
		{"mysql", `there is no server "mysql": give mariadb, kafka, kafka=3 or consul`},
		{"kafka=2", `there is no server "kafka=2"`},
		{"mariadb --directory d", "unknown flag: --directory"},
	} {
		err := run(t.Context(), strings.Fields(tc.args), io.Discard, io.Discard)
		if err == nil || !strings.Contains(err.Error(), tc.message) {
			t.Errorf("up %s: %v; want %q", tc.args, err, tc.message)
		}
	}
	got, err := parse(strings.Fields("mariadb --dir d kafka=3 --stop-with-parent"), io.Discard)
	want := options{mariadb: true, brokers: 3, dir: "d", withParent: true}
	if err != nil || got != want {
		t.Errorf("got %+v, %v; want %+v", got, err, want)
	}
}
