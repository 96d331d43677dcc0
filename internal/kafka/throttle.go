package kafka

import (
	"sync"
	"time"
)

// repeatAfter is how long a message that was logged is not logged again.
const repeatAfter = 30 * time.Second

// throttle lets a message through once in repeatAfter and counts the others.
type throttle struct {
	now func() time.Time

	mu sync.Mutex
	// said is by message. Messages are constants, what varies is in the attributes, so this does not grow.
	said map[string]*saying
}

// saying is a message that was logged.
type saying struct {
	last    time.Time
	skipped int // since then
}

func newThrottle(now func() time.Time) *throttle {
	return &throttle{now: now, said: make(map[string]*saying)}
}

// due reports whether msg may be logged now, and how often it was not since it last was.
func (t *throttle) due(msg string) (skipped int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	s := t.said[msg]
	if s == nil {
		t.said[msg] = &saying{last: now}
		return 0, true
	}
	if now.Sub(s.last) < repeatAfter {
		s.skipped++
		return 0, false
	}
	skipped, s.last, s.skipped = s.skipped, now, 0
	return skipped, true
}
