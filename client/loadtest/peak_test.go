package loadtest_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"movieexample.com/client/loadtest"
	"movieexample.com/internal/fault"
)

// oneByOne is a server that does one request after the other, each in the time given.
func oneByOne(took time.Duration) func(context.Context) error {
	turn := make(chan struct{}, 1)
	return func(ctx context.Context) error {
		select {
		case turn <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		defer func() { <-turn }()
		return sleep(ctx, took)
	}
}

// TestFindPeak looks for the capacity of a server that is known: 400 requests per second.
func TestFindPeak(t *testing.T) {
	for name, first := range map[string]float64{"from below": 50, "from above": 3000} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				told := 0
				search := loadtest.PeakSearch{
					Plan:     loadtest.Plan{Rate: first, Duration: 10*time.Second + time.Millisecond, Arrivals: loadtest.Constant}.OnTimers(),
					EachStep: func(loadtest.Step) { told++ },
				}
				got, err := loadtest.FindPeak(t.Context(), search, always("one by one", oneByOne(2500*time.Microsecond)))
				if err != nil {
					t.Fatal(err)
				}
				if got.Rate < 370 || got.Rate > 410 {
					t.Errorf("found a peak of %.0f/s, want 400: %+v", got.Rate, got.Steps)
				}
				if told != len(got.Steps) {
					t.Errorf("%d of %d steps were told", told, len(got.Steps))
				}
				broke := 0
				for _, s := range got.Steps {
					if s.Broke != "" {
						broke++
						if s.Rate < 390 {
							t.Errorf("%.0f/s was too much (%s) for a server of 400/s", s.Rate, s.Broke)
						}
					}
				}
				if broke == 0 {
					t.Error("no rate was too much: the peak was not found, the search ended")
				}
				if half := got.AtHalf; half.Offered != got.Rate/2 || half.Seconds < 10 || half.All.Answered != half.All.Due || half.All.Latency.P999 > 2.6 {
					t.Errorf("at half of the peak: %+v, want all answered within 2.5 ms", half)
				}
			})
		})
	}
}

// TestFindPeakOfWhatIsColdAtFirst: a rate that is too much once, because caches are empty or the machine has something else to do for a
// moment, is not the peak.
func TestFindPeakOfWhatIsColdAtFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, warm := time.Now(), oneByOne(2500*time.Microsecond)
		cold := oneByOne(50 * time.Millisecond)
		search := loadtest.PeakSearch{Plan: loadtest.Plan{Rate: 300, Duration: 10 * time.Second, Arrivals: loadtest.Constant}.OnTimers()}
		got, err := loadtest.FindPeak(t.Context(), search, always("cold at first", func(ctx context.Context) error {
			if time.Since(began) < 3*time.Second {
				return cold(ctx)
			}
			return warm(ctx)
		}))
		if err != nil || got.Steps[0].Broke == "" {
			t.Fatalf("error %v; the first step was to break: %+v", err, got.Steps)
		}
		if got.Rate < 370 || got.Rate > 410 {
			t.Errorf("found a peak of %.0f/s, want 400: %+v", got.Rate, got.Steps)
		}
	})
}

func TestFindPeakOfWhatBearsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		search := loadtest.PeakSearch{Plan: loadtest.Plan{Rate: 10, Duration: time.Second}.OnTimers(), Step: time.Second}
		got, err := loadtest.FindPeak(t.Context(), search, always("refused", func(context.Context) error { return loadtest.StatusError(500) }))
		if err != nil || got.Rate != 0 || len(got.Steps) < 2 || got.Steps[0].Broke == "" || got.AtHalf.All.Due != 0 {
			t.Errorf("peak %+v, error %v; want none, and nothing measured at its half", got, err)
		}
	})
}

func TestPeakSearchValidate(t *testing.T) {
	valid := loadtest.PeakSearch{Plan: loadtest.Plan{Rate: 10, Duration: time.Second}}
	if err := valid.Validate(); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*loadtest.PeakSearch){
		"plan":   func(s *loadtest.PeakSearch) { s.Plan.Rate = -1 },
		"step":   func(s *loadtest.PeakSearch) { s.Step = time.Millisecond },
		"p99":    func(s *loadtest.PeakSearch) { s.P99 = time.Hour },
		"failed": func(s *loadtest.PeakSearch) { s.FailedShare = 1 },
	} {
		s := valid
		change(&s)
		if _, err := loadtest.FindPeak(t.Context(), s, nil); fault.KindOf(err) != fault.KindInvalid {
			t.Errorf("%s: %v, want an error of kind Invalid", name, err)
		}
	}
}
