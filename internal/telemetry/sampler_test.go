package telemetry_test

import (
	"slices"
	"testing"
	"time"

	"movieexample.com/internal/telemetry"
)

// TestSampler: so many lines in a second, and the next one that is written says how many were not.
func TestSampler(t *testing.T) {
	var s telemetry.Sampler
	now := time.Unix(1_700_000_000, 0)
	take := func(n int) (written, skipped int) {
		for range n {
			if k, ok := s.Take(now); ok {
				written++
				skipped += k
			}
		}
		return written, skipped
	}
	if w, k := take(1000); w != telemetry.LinesPerSecond || k != 0 {
		t.Errorf("of 1000 lines in a moment %d were written, %d named as skipped", w, k)
	}
	now = now.Add(time.Second)
	if w, k := take(3); w != 3 || k != 1000-telemetry.LinesPerSecond {
		t.Errorf("a second later %d of 3 were written, %d named as skipped, want all and %d", w, k, 1000-telemetry.LinesPerSecond)
	}
	now = now.Add(-time.Hour) // a clock that is set back does not silence the log
	if w, _ := take(1); w != 1 {
		t.Error("nothing is written after the clock was set back")
	}
}

// TestSamplerOfWhatRepeats: one line in half a minute, and the next one says how many were not written.
func TestSamplerOfWhatRepeats(t *testing.T) {
	var s telemetry.Sampler
	now := time.Unix(1_700_000_000, 0)
	var skipped []int
	for range 61 { // 20 attempts a second for a minute and a moment
		for range 20 {
			if k, ok := s.TakeRepeated(now); ok {
				skipped = append(skipped, k)
			}
		}
		now = now.Add(time.Second)
	}
	if want := []int{0, 599, 599}; !slices.Equal(skipped, want) {
		t.Errorf("lines with %d skipped before them, want %d", skipped, want)
	}
}

// TestLatencyBuckets: what timed out after the gateway's 5 s, or the 10 s of a call without a deadline, is in a bucket of its
// own, and the bounds that operators write objectives with are there.
func TestLatencyBuckets(t *testing.T) {
	bounds := telemetry.LatencyBuckets()
	if !slices.IsSorted(bounds) || len(slices.Compact(slices.Clone(bounds))) != len(bounds) {
		t.Fatalf("%v must grow", bounds)
	}
	for _, want := range []float64{.005, .05, .25, 1, 5, 10} {
		if !slices.Contains(bounds, want) {
			t.Errorf("%v lacks %v", bounds, want)
		}
	}
	for _, timeout := range []float64{5, 10} {
		i := slices.Index(bounds, timeout)
		if bounds[i-1] < .9*timeout || bounds[i+1] > 1.1*timeout {
			t.Errorf("around %v s the bounds are %v: a timeout is not told from a slow answer", timeout, bounds[i-1:i+2])
		}
	}
}
