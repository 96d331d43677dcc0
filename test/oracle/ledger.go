package oracle

import (
	"fmt"
	"sync"
	"time"
)

// Place is where a record lies in the log.
type Place struct {
	Partition int32
	Offset    int64
}

// Ledger is everything that was said to a system in its life. Its methods may be called at the same time.
type Ledger struct {
	mu      sync.Mutex
	sent    int              // records handed to the producer
	acked   map[Place][]byte // records that the broker acknowledged
	unsure  int              // records without an answer
	poison  map[string]bool  // values, which are unique
	ratings map[Key]*saidRating
	films   map[string]*saidFilm
	back    []string // acknowledged versions that went back
}

// saidRating is what was said synchronously about one rating.
type saidRating struct {
	acked bool
	last  Row // the last that was acknowledged
	// known: last.At is the version in the answer. Otherwise (a delete, whose answer has none) it is a lower bound.
	known bool
	// maybe are the attempts since then whose answer was lost; At is when each was begun.
	maybe []Row
}

// saidFilm is the same of a film: the title, empty where it was removed.
type saidFilm struct {
	acked bool
	last  string
	maybe *string
}

// NewLedger returns a ledger in which nothing has been said.
func NewLedger() *Ledger {
	return &Ledger{acked: map[Place][]byte{}, poison: map[string]bool{}, ratings: map[Key]*saidRating{}, films: map[string]*saidFilm{}}
}

// Sending notes a record that is about to be handed to the producer, which is idempotent. A poison's value has to be unique.
func (l *Ledger) Sending(value []byte, poison bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if poison {
		l.poison[string(value)] = true
	}
}

// Sent notes that the broker acknowledged a record at p.
func (l *Ledger) Sent(p Place, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.acked[p] = value
}

// Unanswered notes that nobody knows what became of a record.
func (l *Ledger) Unanswered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsure++
}

// Acknowledged is how many records were.
func (l *Ledger) Acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.acked)
}

// Rated notes an attempt on a rating; value 0 takes it back. at is the version in the answer, 0 where it has none; begun is
// when the attempt began.
//
// The writers of a key take turns. An attempt without an answer may take effect until the system that it was sent to is
// dead: only then may its key be written again.
func (l *Ledger) Rated(k Key, value int, at int64, begun time.Time, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.ratings[k]
	if s == nil {
		s = &saidRating{}
		l.ratings[k] = s
	}
	if !answered {
		s.maybe = append(s.maybe, Row{value, begun.UnixMicro()})
		return
	}
	before := s.last.At
	if at == 0 {
		s.last, s.known = Row{value, max(before+1, begun.UnixMicro())}, false
	} else {
		if at <= before {
			l.back = append(l.back, fmt.Sprintf("%v: acknowledged versions went back from %d to %d", k, before, at))
		}
		s.last, s.known = Row{value, at}, true
	}
	s.acked, s.maybe = true, nil
}

// Edited notes an attempt on a film; an empty title removes it. An attempt without an answer has to be the last on a film.
func (l *Ledger) Edited(id, title string, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.films[id]
	if s == nil {
		s = &saidFilm{}
		l.films[id] = s
	}
	if answered {
		s.acked, s.last = true, title
		return
	}
	s.maybe = &title
}

// Counts are for a report: the keys of ratings with an acknowledged write, and with one that lost its answer, and the same of
// films.
func (l *Ledger) Counts() (ratings, unknownRatings, films, unknownFilms int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.ratings {
		if len(s.maybe) > 0 {
			unknownRatings++
		}
		if s.acked {
			ratings++
		}
	}
	for _, s := range l.films {
		if s.maybe != nil {
			unknownFilms++
		}
		if s.acked {
			films++
		}
	}
	return ratings, unknownRatings, films, unknownFilms
}
