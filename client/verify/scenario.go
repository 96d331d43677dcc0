package verify

import (
	"slices"
	"time"
)

// Area is what a scenario is about.
type Area string

// The areas, in the order in which they are reported.
const (
	AreaMetadata   Area = "metadata over gRPC"
	AreaRating     Area = "rating over gRPC"
	AreaMovie      Area = "movie over gRPC"
	AreaBook       Area = "book API"
	AreaEvents     Area = "events through Kafka"
	AreaREST       Area = "REST"
	AreaPages      Area = "web pages"
	AreaOperations Area = "operations"
)

// Areas lists the areas in order.
func Areas() []Area {
	return []Area{AreaMetadata, AreaRating, AreaMovie, AreaBook, AreaEvents, AreaREST, AreaPages, AreaOperations}
}

// Scenario is one promise and how it is put to the test.
type Scenario struct {
	Area Area
	// Promise is what is promised to a user, in one sentence.
	Promise string
	// Door is the part it is about; it runs against every instance of it.
	Door Part
	// Needs are further parts without which it cannot run.
	Needs []Part

	ask func(*trial)
}

// Touches reports whether the scenario calls a part.
func (s Scenario) Touches(p Part) bool { return s.Door == p || slices.Contains(s.Needs, p) }

// Outcome is what became of a scenario at an instance.
type Outcome string

// The outcomes.
const (
	Holds       Outcome = "holds"
	Fails       Outcome = "fails"
	NotAsked    Outcome = "not asked"   // a part that it needs was not named
	Unreachable Outcome = "unreachable" // a part that it needs does not answer
)

// Failure is how a promise was not kept.
type Failure struct {
	Asked    string `json:"asked"`
	Got      string `json:"got"`
	Promised string `json:"promised"`
}

// Measured is how long something took that is promised within a time.
type Measured struct {
	Took  time.Duration `json:"took"` // in JSON: nanoseconds, as all durations
	Bound time.Duration `json:"bound"`
}

// Result is what became of one scenario at one instance.
type Result struct {
	Area    Area    `json:"area"`
	Promise string  `json:"promise"`
	Door    Part    `json:"door"`
	Address string  `json:"address,omitempty"` // empty where not asked
	Outcome Outcome `json:"outcome"`
	// Missing are the parts that have no address, or do not answer.
	Missing  []Part        `json:"missing,omitempty"`
	Failure  *Failure      `json:"failure,omitempty"`
	Measured *Measured     `json:"measured,omitempty"`
	Took     time.Duration `json:"took"`
}

// Report is what a run has found.
type Report struct {
	// Run is the random part of every id that the run has used.
	Run     string   `json:"run"`
	Results []Result `json:"results"`
	// Unreached are the instances that did not answer, and why.
	Unreached []Unreached `json:"unreached"`
	// Left is what the run wrote and could not remove.
	Left []string      `json:"left"`
	Took time.Duration `json:"took"`
}

// Unreached is an instance that did not answer.
type Unreached struct {
	Part    Part   `json:"part"`
	Address string `json:"address"`
	Reason  string `json:"reason"`
}

// Count returns how many results have an outcome.
func (r *Report) Count(o Outcome) int {
	n := 0
	for i := range r.Results {
		if r.Results[i].Outcome == o {
			n++
		}
	}
	return n
}
