package loadtest

import "time"

// OnTimers makes a plan wait by timers alone, which a test's clock drives.
func (p Plan) OnTimers() Plan {
	p.pause = time.Sleep
	return p
}

// Due returns when the first n requests of a plan are due.
func (p Plan) Due(n int) []time.Duration {
	s := newSchedule(p.Arrivals, p.Rate, p.Seed)
	at := make([]time.Duration, n)
	for i := range at {
		at[i] = s.next()
	}
	return at
}

// Zipf is the choice among films.
var Zipf = zipf
