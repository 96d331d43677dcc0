package telemetry_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"movieexample.com/internal/telemetry"
)

// TestThrottle: ten lines in a second, and the next line has the number of suppressed ones.
func TestThrottle(t *testing.T) {
	var s telemetry.Throttle
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

// TestThrottleOfARepeatedLine: one line in 30 seconds, and the next one says how many were suppressed.
func TestThrottleOfARepeatedLine(t *testing.T) {
	var s telemetry.Throttle
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

// TestThrottleOfErrors: an error is logged once, whatever number of attempts fail with it, and so is the recovery.
func TestThrottleOfErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(slog.NewTextHandler(&out, nil))
		var throttle telemetry.Throttle
		throttle.Recovered(log, "back") // nothing was logged before
		lines := func() int { return strings.Count(out.String(), "\n") }
		fail := func(text string) { throttle.Error(log, slog.LevelWarn, "waiting", errors.New(text)) }
		for range 100 {
			fail("refused")
			time.Sleep(100 * time.Millisecond)
		}
		if n := lines(); n != 1 {
			t.Fatalf("%d lines for one error, want 1:\n%s", n, out.String())
		}
		for i := range 10 { // other texts, of which the next ones are logged
			time.Sleep(1500 * time.Millisecond)
			fail(fmt.Sprint("port ", i))
		}
		if n := lines(); n != telemetry.ErrorsPerRepeat || !strings.Contains(out.String(), "suppressed=99") {
			t.Errorf("%d lines for many errors, want %d:\n%s", n, telemetry.ErrorsPerRepeat, out.String())
		}
		time.Sleep(telemetry.RepeatAfter + time.Second)
		fail("refused")
		if n := lines(); n != telemetry.ErrorsPerRepeat+1 {
			t.Errorf("%d lines after %v, want one more:\n%s", n, telemetry.RepeatAfter, out.String())
		}
		throttle.Recovered(log, "back")
		throttle.Recovered(log, "back")
		if n := strings.Count(out.String(), "msg=back"); n != 1 {
			t.Errorf("%d lines say that it recovered, want 1", n)
		}
	})
}

// TestThrottles: each key has its own throttle.
func TestThrottles(t *testing.T) {
	var throttles telemetry.Throttles
	now := time.Unix(1_700_000_000, 0)
	for _, key := range []string{"a", "b"} {
		if k, ok := throttles.TakeRepeated(key, now); k != 0 || !ok {
			t.Errorf("the first line of %s: %d, %v", key, k, ok)
		}
		if _, ok := throttles.TakeRepeated(key, now); ok {
			t.Errorf("the second line of %s at once is written", key)
		}
	}
}
