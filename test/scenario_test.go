package test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"movieexample.com/app"
	"movieexample.com/client/addresses"
	"movieexample.com/client/verify"
	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// The scenarios that a system must keep are told in package verify. Here they are asked of one process on embedded defaults,
// and of the same process behind proxies that lie, which must be caught.

// testSlack stretches the bounds of promises about time: the machine that tests run on has other things to do. Against a system that it
// has for itself, `movieexample verify` asks for the bounds as they are.
const testSlack = 5

// startSystem runs everything in this process, on free ports and with its own data, until the test ends.
func startSystem(t *testing.T) verify.Targets {
	t.Helper()
	cfg := app.DefaultConfig()
	cfg.DataDir = t.TempDir()
	free := "127.0.0.1:0"
	cfg.Listen = app.Listen{Gateway: free, Metadata: free, Rating: free, Movie: free, Kafka: free, Admin: free}
	a, err := app.New(t.Context(), cfg, app.Options{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("stop: %v", err)
		}
	})
	<-a.Ready()
	at := a.Addresses()
	return verify.Targets{
		Gateways: []string{at.Gateway}, Metadata: []string{at.Metadata}, Rating: []string{at.Rating}, Movie: []string{at.Movie},
		Brokers: addresses.Split(at.Kafka), Admin: []string{at.Admin},
	}
}

// open connects to a system until the test ends.
func open(t *testing.T, targets verify.Targets) *verify.System {
	t.Helper()
	s, err := verify.Open(t.Context(), targets)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// checkAll asks every scenario and wants each to hold at every instance, and nothing to be left behind.
func checkAll(t *testing.T, targets verify.Targets, opt verify.Options) *verify.Report {
	t.Helper()
	report := open(t, targets).Run(t.Context(), opt)
	for _, u := range report.Unreached {
		t.Errorf("no answer from %s at %s: %s", u.Part, u.Address, u.Reason)
	}
	for _, l := range report.Left {
		t.Errorf("left behind: %s", l)
	}
	for _, r := range report.Results {
		if r.Outcome != verify.Holds {
			t.Errorf("%s, at %s %s: %s\n%s", r.Area, r.Door, r.Address, r.Outcome, describe(r))
		}
	}
	t.Logf("%d scenarios hold, in %s", report.Count(verify.Holds), report.Took)
	return report
}

func describe(r verify.Result) string {
	text := r.Promise
	if f := r.Failure; f != nil {
		text += fmt.Sprintf("\n  asked:    %s\n  came:     %s\n  promised: %s", f.Asked, f.Got, f.Promised)
	}
	return text
}

// TestScenarios asks everything of one process on embedded defaults.
func TestScenarios(t *testing.T) {
	targets := startSystem(t)
	report := checkAll(t, targets, verify.Options{Slack: testSlack})
	if n := len(report.Results); n < 60 {
		t.Errorf("only %d scenarios were asked", n)
	}
	t.Run("not asked", func(t *testing.T) { testNotAsked(t, targets) })
	t.Run("cleans up", func(t *testing.T) { testCleansUp(t, targets, report.Run) })
	t.Run("lies", func(t *testing.T) { testLies(t, targets) })
}

// testNotAsked gives too few addresses, or wrong ones: nothing that was not asked may be told as holding.
func testNotAsked(t *testing.T, targets verify.Targets) {
	for name, tc := range map[string]struct {
		targets verify.Targets
		want    func(s verify.Scenario) verify.Outcome
	}{
		"only ratings": {verify.Targets{Rating: targets.Rating}, func(s verify.Scenario) verify.Outcome {
			if s.Door == verify.Rating && len(s.Needs) == 0 {
				return verify.Holds
			}
			return verify.NotAsked
		}},
		"no movie service there": {verify.Targets{Movie: []string{"127.0.0.1:1"}, Admin: targets.Admin}, func(s verify.Scenario) verify.Outcome {
			switch {
			case s.Door == verify.Movie && len(s.Needs) == 0:
				return verify.Unreachable
			case s.Door == verify.Admin:
				return verify.Holds
			}
			return verify.NotAsked
		}},
	} {
		t.Run(name, func(t *testing.T) {
			report := open(t, tc.targets).Run(t.Context(), verify.Options{Slack: testSlack})
			scenarios := verify.Scenarios()
			if len(report.Results) != len(scenarios) {
				t.Fatalf("%d results for %d scenarios", len(report.Results), len(scenarios))
			}
			for i, r := range report.Results {
				if want := tc.want(scenarios[i]); r.Outcome != want {
					t.Errorf("%s, want %s\n%s", r.Outcome, want, describe(r))
				}
				if named := len(r.Missing) > 0; named != (r.Outcome == verify.NotAsked || r.Outcome == verify.Unreachable) {
					t.Errorf("%s, and missing are %v: %s", r.Outcome, r.Missing, r.Promise)
				}
			}
		})
	}
	if _, err := verify.Open(t.Context(), verify.Targets{Rating: []string{"127.0.0.1:1"}, Gateways: []string{"http://127.0.0.1:1"}}); err == nil || !strings.Contains(err.Error(), "nothing of the system answers") {
		t.Errorf("a system that is not there: %v", err)
	}
	if _, err := verify.Open(t.Context(), verify.Targets{Rating: []string{"rating"}}); err == nil || !strings.Contains(err.Error(), "host:port") {
		t.Errorf("an address that is none: %v", err)
	}
}

// TestPromises holds the texts to what a report needs: a sentence each, and none twice.
func TestPromises(t *testing.T) {
	var seen []string
	for _, s := range verify.Scenarios() {
		if !strings.HasSuffix(s.Promise, ".") || len(s.Promise) < 20 || len(s.Promise) > 160 || strings.Contains(s.Promise, "\n") {
			t.Errorf("%q is no sentence of one line", s.Promise)
		}
		if slices.Contains(seen, s.Promise) {
			t.Errorf("%q is promised twice", s.Promise)
		}
		seen = append(seen, s.Promise)
		if !slices.Contains(verify.Areas(), s.Area) {
			t.Errorf("%q is about %q, which is no area", s.Promise, s.Area)
		}
	}
}

// testCleansUp looks for what the run has left, in all that can be listed.
func testCleansUp(t *testing.T, targets verify.Targets, run string) {
	films := metadatav1.NewMetadataServiceClient(dial(t, targets.Metadata[0]))
	list, err := films.ListMovies(t.Context(), &metadatav1.ListMoviesRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range list.GetMovies() {
		t.Errorf("run %s has left the film %s", run, m.GetId())
	}
	admin := ratingv1.NewRatingAdminServiceClient(dial(t, targets.Rating[0]))
	ratings, err := admin.ListRatings(t.Context(), &ratingv1.ListRatingsRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range ratings.GetRatings() {
		t.Errorf("run %s has left the rating of %s %s by %s", run, r.GetRecordType(), r.GetRecordId(), r.GetUserId())
	}
	dead, err := admin.ListDeadLetters(t.Context(), &ratingv1.ListDeadLettersRequest{})
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dead.GetDeadLetters() {
		t.Errorf("run %s has left the dead letter %s: %s", run, d.GetId(), d.GetPayload())
	}
}
