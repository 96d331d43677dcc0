package telemetry

// LatencyBuckets are the bounds of every histogram of the time that a request takes, in seconds. Half a millisecond, 5, 50 and
// 250 ms are what reads and writes are expected to take (docs/operations.md); around 5 s, which is when the gateway gives a
// request up, and 10 s, the deadline of a call without one, there is a bound on either side, so that what timed out is apart
// from what was slow.
func LatencyBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 4.5, 5, 5.5, 9.5, 10, 10.5, 30, 60}
}
