package rating

import (
	"context"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

const (
	// warnInterval is how often the log repeats that something is waited for.
	warnInterval = 30 * time.Second
	// turnInterval is how soon the log says that it is waited for another reason than before.
	turnInterval = 3 * time.Second
)

// saying logs an error that comes again with every attempt: at once, when it is another one than before, and every 30 seconds.
// The zero value is ready; it is safe for concurrent use.
type saying struct {
	mu      sync.Mutex
	open    bool                 // there was a line since all was well
	at      time.Time            // of the last line
	said    map[string]time.Time // the texts that were logged in the last 30 seconds, sayings of them at most
	skipped int                  // errors since the last line
}

// sayings is how many different texts are logged in 30 seconds: errors name ports, and take turns.
const sayings = 4

// say logs err under msg, with the number of errors that were not logged since the last line.
func (s *saying) say(log *slog.Logger, level slog.Level, msg string, err error, attrs ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, text := time.Now(), err.Error()
	maps.DeleteFunc(s.said, func(_ string, at time.Time) bool { return now.Sub(at) > warnInterval })
	if _, known := s.said[text]; known || len(s.said) == sayings || now.Sub(s.at) <= turnInterval {
		s.skipped++
		return
	}
	if s.said == nil {
		s.said = make(map[string]time.Time)
	}
	attrs = append(attrs, "error", err)
	if s.skipped > 0 {
		attrs = append(attrs, "suppressed", s.skipped)
	}
	s.open, s.at, s.said[text], s.skipped = true, now, now, 0
	log.Log(context.Background(), level, msg, attrs...)
}

// over logs msg, once, if an error was logged since all was well.
func (s *saying) over(log *slog.Logger, msg string, attrs ...any) {
	if s.end() {
		log.Info(msg, attrs...)
	}
}

// end notes that all is well, and reports whether an error was logged before. What was logged is not logged again any sooner:
// trouble that comes and goes would fill the log.
func (s *saying) end() (said bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	said, s.open = s.open, false
	return said
}

// doubts tells of events whose time is accepted and yet hardly right, one of each kind now and then: a producer that is wrong is
// wrong many times.
type doubts struct {
	log *slog.Logger

	mu   sync.Mutex
	said map[string]*doubt // by kind, of which there are few
}

type doubt struct {
	at   time.Time
	more int // since then
}

// note says what is doubtful about a record that was written at a time.
func (d *doubts) note(p partition, r *kgo.Record, kind string, written time.Time, providerID string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.said == nil {
		d.said = make(map[string]*doubt)
	}
	last := d.said[kind]
	if last == nil {
		last = &doubt{}
		d.said[kind] = last
	}
	if now := time.Now(); last.at.IsZero() || now.Sub(last.at) > warnInterval {
		hint := "it is before 1990"
		if kind != "before-1990" {
			hint = "the record's timestamp is likely in " + kind + ", and Kafka's are in milliseconds"
		}
		d.log.Warn("an event's time is hardly right; it is applied, and loses against every newer one of the same user and record",
			"partition", p.String(), "offset", r.Offset, "time", written, "likely", hint, "kafka_producer_id", r.ProducerID, "provider_id", providerID, "more_before", last.more)
		*last = doubt{at: now}
		return
	}
	last.more++
}
