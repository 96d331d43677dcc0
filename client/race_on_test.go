//go:build race

package client_test

// raceDetector: SQLite in Go is some twenty times slower with it.
const raceDetector = true
