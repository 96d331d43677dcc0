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

// meter reports what read returns, periodically and at the end, from one goroutine at a time. End it with stop.
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

// movieType is the record type of films.
const movieType = "movie"

// RatingCounts counts the outcomes of ratings.
type RatingCounts struct {
	// Read is the number of well-formed rows read.
	Read int64 `json:"read"`
	// Published is the number of events that Kafka has acknowledged.
	Published int64 `json:"published"`
	// Rejected is the number of rows that did not become events.
	Rejected int64 `json:"rejected"`
}

// Seconds is how long the parts of a load took.
type Seconds struct {
	Films   float64 `json:"films"`
	Ratings float64 `json:"ratings"`
	Ingest  float64 `json:"ingest"`
	Total   float64 `json:"total"`
}

// timed runs f and puts into d how many seconds it took.
func timed(d *float64, f func() error) error {
	began := time.Now()
	defer func() { *d = since(began) }()
	return f()
}

// since is the number of seconds since t, to the millisecond.
func since(t time.Time) float64 { return time.Since(t).Round(time.Millisecond).Seconds() }
