package main

import (
	"encoding/json"
	"strings"
	"testing"

	"movieexample.com/client/loadtest"
)

func TestBenchCommand(t *testing.T) {
	r := startSystem(t)
	if o := r.run(t, "import", "movielens", dataSet(t, 0)); o.code != 0 {
		t.Fatalf("import: exit code %d: %s", o.code, o.stderr)
	}
	short := []string{"--rate", "50", "--duration", "1200ms", "--warmup", "100ms", "--timeout", "30s", "--patience", "30s"}
	o := r.run(t, append([]string{"bench", "-o", "json", "--arrivals", "constant", "--mix", "page=3,grpc-rate,event"}, short...)...)
	var result struct {
		Mix     string
		Films   int
		Targets []string
		Report  loadtest.Report
	}
	if err := json.Unmarshal([]byte(o.stdout), &result); err != nil {
		t.Fatalf("%v in %s", err, o.stdout)
	}
	all := result.Report.All
	if o.code != exitOK || result.Mix != "page=3,grpc-rate=1,event=1" || result.Films == 0 || len(result.Targets) != 3 || all.Due < 58 || all.Due > 60 ||
		all.Answered != all.Due || len(result.Report.Kinds) != 3 || result.Report.Environment.Cores == 0 {
		t.Errorf("exit code %d and\n%s\nwant 60 requests of three kinds", o.code, o.stdout)
	}
	for _, part := range []string{"   1 s ", "answered/s", "(grpc-rate, event)", "bench-99999"} {
		if !strings.Contains(o.stderr, part) {
			t.Errorf("standard error lacks %q:\n%s", part, o.stderr)
		}
	}

	o = r.run(t, append([]string{"bench"}, short...)...)
	for _, part := range []string{"50 requests/s due (poisson arrivals, seed 1)", "p99.9", "rest-search", "all", "cores"} {
		if !strings.Contains(o.stdout, part) {
			t.Errorf("the table lacks %q:\n%s", part, o.stdout)
		}
	}
	if o.code != exitOK {
		t.Errorf("exit code %d: %s", o.code, o.stderr)
	}

	// Of the first rate one place bears less than half on any machine: that would be a call in ten microseconds. So the search goes
	// down; how far depends on the machine.
	o = r.run(t, "bench", "--find-peak", "--step", "100ms", "--duration", "200ms", "--warmup", "0s", "--limit-p99", "1m", "--limit-errors", "0.5",
		"--rate", "200000", "--patience", "1ms", "--outstanding", "1", "--mix", "grpc-details", "-o", "json")
	var peak struct{ Peak loadtest.Peak }
	if err := json.Unmarshal([]byte(o.stdout), &peak); err != nil || len(peak.Peak.Steps) < 2 || peak.Peak.Steps[0].Broke == "" || peak.Peak.Rate == 0 && o.code != exitFailed {
		t.Errorf("exit code %d, %v: %+v", o.code, err, peak.Peak)
	}

	o = r.run(t, append([]string{"bench", "--patience", "1ms", "--outstanding", "1", "--mix", "page"}, "--rate", "20000", "--duration", "200ms", "--warmup", "0s")...)
	if o.code != exitRefused || !strings.Contains(o.stdout, loadtest.CodeNotSent) {
		t.Errorf("more than it can send: exit code %d, want %d, and\n%s", o.code, exitRefused, o.stdout)
	}
}

func TestBenchMistakes(t *testing.T) {
	for _, tc := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--rate", "0"}, exitUsage, "rate: must be above 0"},
		{[]string{"--rate", "1e9"}, exitUsage, "at most 200000"},
		{[]string{"--duration", "2h"}, exitUsage, "at most 1h0m0s"},
		{[]string{"--mix", "dreams"}, exitUsage, `got "dreams"`},
		{[]string{"--zipf", "-1"}, exitUsage, "zipf: must be 0 to 5"},
		{[]string{"--connections", "0"}, exitUsage, "--connections must be above 0"},
		{[]string{"--step", "1s"}, exitUsage, "--step is for --find-peak"},
		{[]string{"--gateway-addr", "http://example.com"}, exitUsage, "add --allow-remote"},
		{[]string{"--gateway-addr", "http://127.0.0.1:1"}, exitUnreachable, "cannot reach the gateway service at http://127.0.0.1:1"},
		{[]string{"--addresses", "nowhere.json"}, exitUsage, "--addresses"},
		{[]string{"--addresses", write(t, t.TempDir()+"/b.json", "{}")}, exitUsage, "b.json names no part of a system"},
		{[]string{"--addresses", write(t, t.TempDir()+"/a.json", `{"pid":7}`)}, exitUnreachable, "does not run it; set --gateway-addr"},
	} {
		o := movieexample(t.Context(), "", append([]string{"bench"}, tc.args...)...)
		if o.code != tc.code || !strings.Contains(o.stderr, tc.want) || o.stdout != "" {
			t.Errorf("bench %v: exit code %d and %q, want %d and %q", tc.args, o.code, o.stderr, tc.code, tc.want)
		}
	}
}
