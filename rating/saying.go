package rating

import "time"

const (
	// warnInterval is how often the log repeats that something is waited for.
	warnInterval = 30 * time.Second
	// turnInterval is how soon the log says that it is waited for another reason than before.
	turnInterval = 3 * time.Second
)

// saying is the error that was logged last of those that come again with every attempt.
type saying struct {
	text string
	at   time.Time
}

// due reports whether err is to be logged now: at first, when it is another one than before, though not at every turn of errors
// that take turns, and every 30 seconds.
func (s *saying) due(err error) bool {
	now, text := time.Now(), err.Error()
	silence := warnInterval
	if text != s.text {
		silence = turnInterval
	}
	if !s.at.IsZero() && now.Sub(s.at) <= silence {
		return false
	}
	s.text, s.at = text, now
	return true
}
