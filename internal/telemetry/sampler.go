package telemetry

import (
	"sync"
	"time"
)

// LinesPerSecond is how many log lines about one thing [Sampler.Take] lets through.
const LinesPerSecond = 10

// RepeatAfter is the time in which [Sampler.TakeRepeated] lets one line through.
const RepeatAfter = 30 * time.Second

// Sampler keeps one kind of log line from filling the disk: it skips the lines that are too many, and counts them. There is one
// for each kind, so that frequent events do not hide rare ones. The zero value is ready; it is safe for concurrent use.
type Sampler struct {
	mu      sync.Mutex
	since   time.Time
	lines   int
	skipped int
}

// Take reports whether to write the line, and how many were skipped since the last one that was written. It lets the first
// [LinesPerSecond] of each second through.
func (s *Sampler) Take(now time.Time) (skipped int, ok bool) {
	return s.take(now, time.Second, LinesPerSecond)
}

// TakeRepeated is Take for what fails again with every attempt as long as something is away, a database or a service: the first
// line says it all. It lets one line through in [RepeatAfter].
func (s *Sampler) TakeRepeated(now time.Time) (skipped int, ok bool) {
	return s.take(now, RepeatAfter, 1)
}

func (s *Sampler) take(now time.Time, span time.Duration, most int) (skipped int, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if d := now.Sub(s.since); d >= span || d < 0 {
		s.since, s.lines = now, 0
	}
	if s.lines >= most {
		s.skipped++
		return 0, false
	}
	s.lines++
	skipped, s.skipped = s.skipped, 0
	return skipped, true
}
