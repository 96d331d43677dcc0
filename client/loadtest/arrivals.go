package loadtest

import (
	"fmt"
	"math/rand/v2"
	"time"
)

// Arrivals says how requests are spread over time.
type Arrivals string

const (
	// Poisson draws the pauses between requests from the exponential distribution: many independent callers. Two
	// requests are often close together, as they are in life.
	Poisson Arrivals = "poisson"
	// Constant has the same pause between any two.
	Constant Arrivals = "constant"
)

// String, Set and Type make it a flag.
func (a *Arrivals) String() string { return string(*a) }

// Set takes the name of one.
func (a *Arrivals) Set(s string) error {
	switch v := Arrivals(s); v {
	case Poisson, Constant:
		*a = v
		return nil
	}
	return fmt.Errorf("must be %s or %s, got %q", Poisson, Constant, s)
}

// Type names the values.
func (a *Arrivals) Type() string { return "ARRIVALS" }

// schedule yields when requests are due.
type schedule struct {
	rate     float64 // per second
	constant bool
	random   *rand.Rand
	n        int64
	at       float64 // seconds since the start
}

func newSchedule(a Arrivals, rate float64, seed uint64) *schedule {
	return &schedule{rate: rate, constant: a == Constant, random: rand.New(rand.NewPCG(seed, 0x5eed))}
}

// next is when the next request is due, since the start. Of constant arrivals the n-th comes at n divided by the rate, computed
// each time from n, so that no rounding adds up.
func (s *schedule) next() time.Duration {
	s.n++
	if s.constant {
		s.at = float64(s.n) / s.rate
	} else {
		s.at += s.random.ExpFloat64() / s.rate
	}
	return time.Duration(s.at * float64(time.Second))
}
