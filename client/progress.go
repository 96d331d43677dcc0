package client

import (
	"sync"
	"time"
)

// Phase is a part of a load.
type Phase string

// The phases, in their order.
const (
	PhaseRead    Phase = "read"    // files are read, before anything can go in
	PhaseFilms   Phase = "films"   // films go to the metadata service
	PhaseRatings Phase = "ratings" // ratings go to Kafka
	PhaseIngest  Phase = "ingest"  // the rating service takes them in
	PhaseWrite   Phase = "write"   // a file is written
	PhaseCopy    Phase = "copy"    // rows go from one database to another
	PhaseVerify  Phase = "verify"  // rows of both databases are compared
)

// Progress is how far a load is.
type Progress struct {
	Phase Phase
	// Rows is the number of films or ratings dealt with in this phase.
	Rows int64
	// Done and Total are bytes where a file is read, else rows. They are for the share that is done; Done never exceeds
	// Total, and Total may be 0.
	Done, Total int64
}

// progressInterval is how often progress is reported: often enough for a bar that moves.
const progressInterval = 100 * time.Millisecond

// meter reports what read returns, now and then and once more at the end, from one goroutine at a time. End it with stop.
func meter(report func(Progress), read func() Progress) (stop func()) {
	if report == nil {
		return func() {}
	}
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(progressInterval)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				report(read())
			case <-quit:
				report(read())
				return
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
	}
}
