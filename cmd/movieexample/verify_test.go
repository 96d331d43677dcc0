package main

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/spf13/cobra"

	"movieexample.com/client/verify"
)

// The matrix has a table for each area, a column for each instance, and under a line what is wrong with it.
func TestVerifyReport(t *testing.T) {
	const first, second = "A rating is read back.", "A film is shown within 2 s."
	report := &verify.Report{
		Run: "bcdfghjk", Took: 2510 * time.Millisecond, Left: []string{"film verify-1: gone away"},
		Unreached: []verify.Unreached{{Part: verify.Gateway, Address: "http://a", Reason: "refused"}},
		Results: []verify.Result{
			{Area: verify.AreaRating, Promise: first, Door: verify.Rating, Address: "a:1", Outcome: verify.Holds},
			{Area: verify.AreaRating, Promise: first, Door: verify.Rating, Address: "b:1", Outcome: verify.Fails, Failure: &verify.Failure{Asked: "Get", Got: "3", Promised: "4"}},
			{Area: verify.AreaRating, Promise: "It is charted.", Door: verify.Rating, Address: "a:1", Outcome: verify.Holds, Measured: &verify.Measured{Took: 300 * time.Millisecond, Bound: 2 * time.Second}},
			{Area: verify.AreaRating, Promise: "It is charted.", Door: verify.Rating, Address: "b:1", Outcome: verify.Holds, Measured: &verify.Measured{Took: 1200 * time.Millisecond, Bound: 2 * time.Second}},
			{Area: verify.AreaMovie, Promise: second, Door: verify.Rating, Outcome: verify.NotAsked, Missing: []verify.Part{verify.Movie}},
			{Area: verify.AreaREST, Promise: "A read is a read.", Door: verify.Gateway, Address: "http://a", Outcome: verify.Unreachable, Missing: []verify.Part{verify.Gateway}},
		},
	}
	var b strings.Builder
	if err := printReport(&b, report); err != nil {
		t.Fatal(err)
	}
	want := `rating 1    a:1
rating 2    b:1
gateway     http://a

rating over gRPC
  rating 1     rating 2
  holds        FAILS        A rating is read back.
                            rating 2 at b:1
                              asked:    Get
                              came:     3
                              promised: 4
  holds        holds        It is charted. [1.20 s of 2 s]

movie over gRPC
  rating 1
  not asked    A film is shown within 2 s. [give --movie-addr]

REST
  gateway
  unreachable  A read is a read. [no answer from gateway]

no answer from gateway at http://a: refused
left behind: film verify-1: gone away
3 hold, 1 fail, 1 not asked, 1 unreachable; run bcdfghjk took 2.51s
`
	if got := b.String(); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// The targets: the defaults without flags, only those given with flags, and flags win over the file.
func TestVerifyTargets(t *testing.T) {
	for name, tc := range map[string]struct {
		args []string
		want func(*verify.Targets)
		err  string
	}{
		"nothing":       {nil, func(w *verify.Targets) { *w = verify.DefaultTargets() }, ""},
		"one part":      {[]string{"--rating-addr", "a:1,b:1"}, func(w *verify.Targets) { w.Rating = []string{"a:1", "b:1"} }, ""},
		"several flags": {[]string{"--gateway-addr", "http://a", "--gateway-addr", "http://b"}, func(w *verify.Targets) { w.Gateways = []string{"http://a", "http://b"} }, ""},
		"a topic alone": {[]string{"--topic", "votes"}, func(w *verify.Targets) { *w = verify.DefaultTargets(); w.Topic = "votes" }, ""},
		"no topic":      {[]string{"--topic", ""}, nil, "--topic must not be empty"},
		"no file":       {[]string{"--addresses", "nowhere.json"}, nil, "--addresses: read addresses"},
		"a file":        {[]string{"--addresses", "testdata/verify-addresses.json"}, fileTargets, ""},
		"a target":      {[]string{"--target", "http://a"}, func(w *verify.Targets) { w.Gateways = []string{"http://a"} }, ""},
		"a target file": {[]string{"--target", "testdata/verify-addresses.json"}, fileTargets, ""},
		"a target and a file": {[]string{"--target", "https://c", "--addresses", "testdata/verify-addresses.json"}, func(w *verify.Targets) {
			fileTargets(w)
			w.Gateways = []string{"https://c"}
		}, ""},
		"a target and a gateway": {[]string{"--target", "http://a", "--gateway-addr", "http://b"}, nil, "--gateway-addr is given, too"},
		"two files":              {[]string{"--target", "x.json", "--addresses", "y.json"}, nil, "give one of them"},
		"a file and flags":       {[]string{"--addresses", "testdata/verify-addresses.json", "--movie-addr", "m:1"}, func(w *verify.Targets) { fileTargets(w); w.Movie = []string{"m:1"} }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := &cobra.Command{}
			f := newVerifyFlags(cmd)
			if err := cmd.ParseFlags(tc.args); err != nil {
				t.Fatal(err)
			}
			got, err := f.resolve(cmd)
			if tc.err != "" {
				if err == nil || !strings.Contains(err.Error(), tc.err) {
					t.Errorf("got %v, want %q", err, tc.err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			want := verify.Targets{Topic: "ratings"}
			tc.want(&want)
			if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func fileTargets(w *verify.Targets) {
	w.Gateways, w.Rating, w.Brokers, w.Topic = []string{"http://a", "http://b"}, []string{"r:1", "r:2"}, []string{"k:1"}, "stars"
}
