//go:build race

package gateway_test

// raceEnabled says that the race detector is built in.
const raceEnabled = true
