package rating

import (
	"log/slog"
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
