package loadtest

import (
	"runtime"
	"time"

	"movieexample.com/internal/telemetry"
)

// Report is the result of a run. Its JSON form is what `movieexample bench -o json` prints.
type Report struct {
	// Offered is the planned rate, in requests per second.
	Offered float64 `json:"offeredRate"`
	// Seconds is how long requests were counted, WarmupSeconds how long the warm-up before it was.
	Seconds       float64  `json:"seconds"`
	WarmupSeconds float64  `json:"warmupSeconds"`
	Arrivals      Arrivals `json:"arrivals"`
	Seed          uint64   `json:"seed"`
	// All sums up all kinds; its latencies are those of all requests together.
	All   Kind   `json:"all"`
	Kinds []Kind `json:"kinds"`
	// SentLate is how long after its due time a request was sent, in milliseconds. It is part of the latencies. If Outstanding
	// was never reached, it is the generator's own lateness.
	SentLate Latency `json:"sentLateMs"`
	// Interrupted reports that the run was stopped early. Abandoned requests were in flight then and are counted nowhere else.
	Interrupted bool  `json:"interrupted"`
	Abandoned   int64 `json:"abandoned,omitempty"`

	Environment Environment `json:"environment"`
}

// Kind is the result of the requests of one kind. Due is the sum of Answered, Failed and NotSent.
type Kind struct {
	Kind string `json:"kind"`
	// Due is how many should have been sent.
	Due int64 `json:"due"`
	// Answered is how many had the right answer, and Rate that per second.
	Answered int64   `json:"answered"`
	Rate     float64 `json:"rate"`
	// Failed is how many were answered with an error, or not in time.
	Failed int64 `json:"failed"`
	// NotSent is how many got no place in time.
	NotSent int64 `json:"notSent"`
	// Errors counts what is in Failed and NotSent by code.
	Errors map[string]int64 `json:"errors,omitempty"`
	// Latency covers the requests with the right answer and those without any answer.
	Latency Latency `json:"latencyMs"`
}

// FailedShare is the part of the requests due that had no right answer, 0 to 1.
func (k Kind) FailedShare() float64 {
	if k.Due == 0 {
		return 0
	}
	return float64(k.Failed+k.NotSent) / float64(k.Due)
}

// Latency is a distribution, in milliseconds since the request was due. Values have three significant digits, and are
// upper ends: a p99 of 12.3 says that 99 of 100 requests took no longer than that.
type Latency struct {
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p99.9"`
	Max  float64 `json:"max"`
}

// Second is what happened in a second, whenever the requests were due.
type Second struct {
	// N counts from 1.
	N int
	// Warmup reports that the second ended in the warm-up.
	Warmup bool
	// Sent, Answered (rightly), Failed and NotSent are numbers of requests.
	Sent, Answered, Failed, NotSent int64
	// UnderWay is how many are without an answer at its end.
	UnderWay int
	// Latency is that of the requests answered in it.
	Latency Latency
}

// Environment is where the generator ran.
type Environment struct {
	Version   string    `json:"version"` // of this program
	Revision  string    `json:"revision"`
	GoVersion string    `json:"goVersion"`
	Platform  string    `json:"platform"`
	Cores     int       `json:"cores"` // of this machine, as far as this process may use them
	Time      time.Time `json:"time"`  // of the end, UTC
	// GeneratorCPUSeconds is the processor time of the process that made the requests, 0 where it is not known. On the
	// machine of the system it is taken from the system.
	GeneratorCPUSeconds float64 `json:"generatorCpuSeconds"`
}

func environment() Environment {
	b := telemetry.BuildInfo()
	return Environment{
		Version: b.Version, Revision: b.Revision, GoVersion: b.GoVersion, Platform: b.Platform,
		Cores: runtime.GOMAXPROCS(0), Time: time.Now().UTC().Truncate(time.Second),
	}
}
