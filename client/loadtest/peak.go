package loadtest

import (
	"context"
	"fmt"
	"math"
	"time"

	"movieexample.com/internal/fault"
)

// PeakSearch configures the search for the highest rate that the system sustains.
type PeakSearch struct {
	// Plan is the plan of the last run, at half the peak, for Duration; its Rate is the first rate of the search. Its other
	// fields apply to every step.
	Plan Plan
	// Step is how long each rate is tried, after a warm-up of a quarter of it; 0 means five seconds.
	Step time.Duration
	// P99 is the highest acceptable 99th percentile of all requests; 0 means 100 ms.
	P99 time.Duration
	// FailedShare is the greatest share of requests without a right answer that still is; 0 means 0.001.
	FailedShare float64
	// EachStep is told of each rate tried; may be nil.
	EachStep func(Step)
}

// Step is one rate that was tried.
type Step struct {
	Rate    float64 `json:"offeredRate"`
	Reached float64 `json:"rate"` // right answers per second
	P99     float64 `json:"p99Ms"`
	// Broke says why the rate was too high, in a few words; empty where the system bore it.
	Broke string `json:"broke,omitempty"`
}

// Peak is what a search has found.
type Peak struct {
	// Rate is the highest rate that was borne, in requests per second; 0 where none was, and then nothing was measured at
	// half of it.
	Rate  float64 `json:"peakRate"`
	Steps []Step  `json:"steps"`
	// AtHalf is the run at half the rate.
	AtHalf Report `json:"atHalfOfPeak"`
}

const (
	// growth is from one step up to the next, until one breaks.
	growth = 1.5
	// refinements halve the span between the last rate that was borne and the first that was not: to a sixteenth of it, 3 % of
	// the peak.
	refinements = 4
	// maxRates bounds the way up or down: from one request per second to MaxRate.
	maxRates = 32
	// leastRate is where the way down ends.
	leastRate = 1
)

func (s PeakSearch) withDefaults() PeakSearch {
	if s.Step == 0 {
		s.Step = 5 * time.Second
	}
	if s.P99 == 0 {
		s.P99 = 100 * time.Millisecond
	}
	if s.FailedShare == 0 {
		s.FailedShare = 0.001
	}
	return s
}

// Validate reports every field out of its range, as faults of kind Invalid.
func (s PeakSearch) Validate() error {
	s = s.withDefaults()
	errs := []error{s.Plan.Validate()}
	if s.Step < 100*time.Millisecond || s.Step > 10*time.Minute {
		errs = append(errs, fault.Invalid("step", "must be 100ms to 10m, got %s", s.Step))
	}
	if s.P99 < time.Millisecond || s.P99 > time.Minute {
		errs = append(errs, fault.Invalid("limit-p99", "must be 1ms to 1m, got %s", s.P99))
	}
	if !(s.FailedShare > 0 && s.FailedShare < 1) {
		errs = append(errs, fault.Invalid("limit-errors", "must be above 0 and below 1, got %v", s.FailedShare))
	}
	return fault.All(errs...)
}

// FindPeak raises the rate until the system does not bear it, twice in a row, narrows down where that begins, and measures at half of
// that. The error is as that of Run.
func FindPeak(ctx context.Context, s PeakSearch, next Source) (Peak, error) {
	if err := s.Validate(); err != nil {
		return Peak{}, err
	}
	s = s.withDefaults()
	found := Peak{Steps: []Step{}}
	try := func(rate float64) (bool, error) {
		p := s.Plan
		p.Rate, p.Duration, p.Warmup = rate, s.Step, s.Step/4
		p.Seed += uint64(len(found.Steps))
		report, err := Run(ctx, p, next)
		if err != nil {
			return false, err
		}
		step := Step{Rate: rate, Reached: report.All.Rate, P99: report.All.Latency.P99, Broke: s.broke(report)}
		found.Steps = append(found.Steps, step)
		if s.EachStep != nil {
			s.EachStep(step)
		}
		return step.Broke == "", nil
	}
	// A rate counts as too much when it was so twice in a row: once it may be because caches were empty, or the machine had something
	// else to do for a moment.
	tryTwice := func(rate float64) (bool, error) {
		bore, err := try(rate)
		if bore || err != nil {
			return bore, err
		}
		return try(rate)
	}
	// Up from the first rate until one is too much; where the first is, down until one is not.
	good, bad := 0.0, 0.0
	rates := 0
	for rate := s.Plan.Rate; rates < maxRates && (good == 0 || bad == 0); rates++ {
		bore, err := tryTwice(rate)
		switch {
		case err != nil:
			return found, err
		case bore:
			good, found.Rate = rate, rate
			rate *= growth
		default:
			bad = rate
			rate /= growth * growth
		}
		if rate > MaxRate || rate < leastRate {
			break
		}
	}
	for i := 0; i < refinements && good > 0 && bad > 0; i++ {
		middle := (good + bad) / 2
		bore, err := tryTwice(middle)
		switch {
		case err != nil:
			return found, err
		case bore:
			good, found.Rate = middle, middle
		default:
			bad = middle
		}
	}
	if found.Rate == 0 {
		return found, nil
	}
	p := s.Plan
	p.Rate = found.Rate / 2
	var err error
	found.AtHalf, err = Run(ctx, p, next)
	return found, err
}

// broke says why the system did not bear the rate; empty where it did.
func (s PeakSearch) broke(r Report) string {
	limit := float64(s.P99) / float64(time.Millisecond)
	switch {
	case r.All.Answered == 0: // perhaps none was due, which proves nothing
		return "no right answer"
	case r.All.FailedShare() > s.FailedShare:
		return fmt.Sprintf("%.2f %% without a right answer", 100*r.All.FailedShare())
	case r.All.Latency.P99 > limit:
		return fmt.Sprintf("p99 %s ms", significant(r.All.Latency.P99))
	}
	return ""
}

// significant writes a number with three significant digits.
func significant(x float64) string {
	if x == 0 || math.IsNaN(x) {
		return "0"
	}
	decimals := max(0, 2-int(math.Floor(math.Log10(math.Abs(x)))))
	return fmt.Sprintf("%.*f", decimals, x)
}
