package bench_test

import (
	"cmp"
	"fmt"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// row is one line of the table in docs/performance.md.
type row struct {
	name       string
	ours, bare string  // what was measured, with its unit
	ratio      float64 // NaN where there is nothing to compare with
	target     string
	holds      bool
}

// print writes the line at once and on its own line, so that a run that is cut short has said what it found.
func (r row) print(b *testing.B) {
	b.Helper()
	ratio, holds := "–", "no"
	if !math.IsNaN(r.ratio) {
		ratio = fmt.Sprintf("%.2f", r.ratio)
	}
	if r.holds {
		holds = "yes"
	}
	if r.target == "–" {
		holds = "–"
	}
	_, err := fmt.Fprintf(os.Stdout, "| %s | %s | %s | %s | %s | %s |\n",
		r.name, r.ours, cmp.Or(r.bare, "–"), ratio, r.target, holds)
	if err != nil {
		b.Fatal(err)
	}
}

// against prints and reports ours against bare, both rates in unit per second; key begins the names of the metrics, and
// least is the ratio aimed at, 0 where there is no aim. The ratio is the median of the rounds' ratios: when the machine gets
// busy, both sides of a round meet it.
func against(b *testing.B, key, name, unit string, ours, bare []float64, least float64) {
	b.Helper()
	o, p := median(ours), median(bare)
	ratios := make([]float64, len(ours))
	for i := range ours {
		ratios[i] = ours[i] / bare[i]
	}
	ratio := median(ratios)
	target, holds := "–", true
	if least > 0 {
		target, holds = fmt.Sprintf("≥ %g", least), ratio >= least
	}
	row{
		name: name, ours: rate(o, unit), bare: rate(p, unit), ratio: ratio, target: target, holds: holds,
	}.print(b)
	metric := unit + "/s"
	b.ReportMetric(ratio, key+"-ratio")
	b.ReportMetric(o, key+"-"+metric)
	b.ReportMetric(p, key+"-bare-"+metric)
	b.ReportMetric(0, "ns/op") // one iteration is a whole comparison: its time says nothing
}

// rate formats a number per second with its thousands apart.
func rate(perSecond float64, unit string) string { return thousands(perSecond) + " " + unit + "/s" }

func thousands(n float64) string {
	digits := fmt.Sprintf("%.0f", n)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func median(xs []float64) float64 {
	if len(xs) == 0 {
		return math.NaN()
	}
	sorted := slices.Sorted(slices.Values(xs))
	if n := len(sorted); n%2 == 0 {
		return (sorted[n/2-1] + sorted[n/2]) / 2
	}
	return sorted[len(sorted)/2]
}

// inTurns calls each of the sides once per round, in an order that turns round by round, so that no side always comes
// after the other. It returns what each measured, round by round.
func inTurns(rounds int, sides ...func() float64) [][]float64 {
	measured := make([][]float64, len(sides))
	for round := range rounds {
		for i := range sides {
			side := (i + round) % len(sides)
			measured[side] = append(measured[side], sides[side]())
		}
	}
	return measured
}

// loaded calls call from several goroutines, each after its last answer, for about the given time, and returns calls per
// second. The first error ends it.
func loaded(b *testing.B, clients int, during time.Duration, call func(client int) error) float64 {
	b.Helper()
	type result struct {
		calls int
		err   error
	}
	results := make(chan result, clients)
	began := time.Now()
	for c := range clients {
		go func() {
			var r result
			for r.err == nil && time.Since(began) < during {
				r.err = call(c)
				r.calls++
			}
			results <- r
		}()
	}
	calls := 0
	for range clients {
		r := <-results
		if r.err != nil {
			b.Fatal(r.err)
		}
		calls += r.calls
	}
	return float64(calls) / time.Since(began).Seconds()
}
