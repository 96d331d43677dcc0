package telemetry

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"
)

const (
	// LinesPerSecond is how many log lines [Throttle.Take] allows in a second.
	LinesPerSecond = 10
	// RepeatAfter is the time in which [Throttle.TakeRepeated] allows one line, and in which [Throttle.Error] logs one text once.
	RepeatAfter = 30 * time.Second
	// ErrorsPerRepeat is how many different errors [Throttle.Error] logs in [RepeatAfter]. Errors name ports, and alternate.
	ErrorsPerRepeat = 4
	// nextErrorAfter is how soon Error logs another error than the last one.
	nextErrorAfter = 3 * time.Second
)

// Throttle rate-limits one kind of line in the log, and counts the lines it suppresses. Use one for each kind, so that a frequent
// event hides no rare one. The zero value is ready; a Throttle is safe for concurrent use.
type Throttle struct {
	mu      sync.Mutex
	since   time.Time
	lines   int
	skipped int

	failing bool                 // an error was logged since the last recovery
	logged  map[string]time.Time // the errors logged in the last RepeatAfter, at most ErrorsPerRepeat
}

// Take reports whether to log a line, and how many were suppressed since the last one. It allows the first [LinesPerSecond] of
// each second.
func (t *Throttle) Take(now time.Time) (skipped int, ok bool) {
	return t.take(now, time.Second, LinesPerSecond)
}

// TakeRepeated is Take for a failure that repeats with every attempt. It allows one line in [RepeatAfter].
func (t *Throttle) TakeRepeated(now time.Time) (skipped int, ok bool) {
	return t.take(now, RepeatAfter, 1)
}

func (t *Throttle) take(now time.Time, span time.Duration, most int) (skipped int, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if d := now.Sub(t.since); d >= span || d < 0 {
		t.since, t.lines = now, 0
	}
	if t.lines >= most {
		t.skipped++
		return 0, false
	}
	t.lines++
	skipped, t.skipped = t.skipped, 0
	return skipped, true
}

// Error rate-limits a repeating error in the log. It logs err under msg if the error has another text than those logged in the last
// [RepeatAfter], with the number of errors suppressed since the last line.
func (t *Throttle) Error(log *slog.Logger, level slog.Level, msg string, err error, attrs ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now, text := time.Now(), err.Error()
	maps.DeleteFunc(t.logged, func(_ string, at time.Time) bool { return now.Sub(at) > RepeatAfter })
	if _, known := t.logged[text]; known || len(t.logged) == ErrorsPerRepeat || now.Sub(t.since) <= nextErrorAfter {
		t.skipped++
		return
	}
	if t.logged == nil {
		t.logged = make(map[string]time.Time)
	}
	attrs = append(attrs, "error", err)
	if t.skipped > 0 {
		attrs = append(attrs, "suppressed", t.skipped)
	}
	t.failing, t.since, t.logged[text], t.skipped = true, now, now, 0
	log.Log(context.Background(), level, msg, attrs...)
}

// Recovered logs msg once if [Throttle.Error] logged an error since the last recovery.
func (t *Throttle) Recovered(log *slog.Logger, msg string, attrs ...any) {
	if t.Recover() {
		log.Info(msg, attrs...)
	}
}

// Recover ends a failure, and reports whether an error was logged since the last recovery. An error that returns is not logged
// sooner because of it: a failure that comes and goes would fill the log.
func (t *Throttle) Recover() (logged bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	logged, t.failing = t.failing, false
	return logged
}

// Throttles is a [Throttle] for each key. Keys come from a small fixed set, such as constant messages; they are never forgotten. The
// zero value is ready; it is safe for concurrent use.
type Throttles struct {
	mu sync.Mutex
	of map[string]*Throttle
}

// TakeRepeated is [Throttle.TakeRepeated] of the key's throttle.
func (t *Throttles) TakeRepeated(key string, now time.Time) (skipped int, ok bool) {
	t.mu.Lock()
	if t.of[key] == nil {
		if t.of == nil {
			t.of = make(map[string]*Throttle)
		}
		t.of[key] = &Throttle{}
	}
	throttle := t.of[key]
	t.mu.Unlock()
	return throttle.TakeRepeated(now)
}
