package telemetry

// LatencyBuckets returns the bounds of every histogram of request durations, in seconds. Half a millisecond, 5, 50 and 250 ms are
// the expected durations of reads and writes (docs/operations.md). There is a bound on either side of 5 s, the timeout of the
// gateway, and of 10 s, the default deadline of a call, so that timeouts are counted apart from slow requests.
func LatencyBuckets() []float64 {
	return []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 4.5, 5, 5.5, 9.5, 10, 10.5, 30, 60}
}
