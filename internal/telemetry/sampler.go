package telemetry

import (
	"sync"
	"time"
)

// LinesPerSecond is how many log lines about one thing a [Sampler] lets through.
const LinesPerSecond = 10

// Sampler keeps one kind of log line from filling the disk: of lines that come faster than [LinesPerSecond] it skips the rest
// of each second, and counts them. There is one for each kind, so that what happens often hides nothing that does not. The
// zero value is ready; it is safe for concurrent use.
type Sampler struct {
	mu      sync.Mutex
	since   time.Time
	lines   int
	skipped int
}

// Take reports whether to write the line, and how many were skipped since the last one that was written.
func (s *Sampler) Take(now time.Time) (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := now.Sub(s.since); d >= time.Second || d < 0 {
		s.since, s.lines = now, 0
	}
	if s.lines == LinesPerSecond {
		s.skipped++
		return 0, false
	}
	s.lines++
	skipped, s.skipped = s.skipped, 0
	return skipped, true
}
