package chaos_test

import (
	"sync"
	"time"
)

// place is where a record lies in the log.
type place struct {
	partition int32
	offset    int64
}

// saidRating is what was said synchronously about one rating. One writer at a time says it, in order, and says no more when an
// outcome is unknown: what was sent may still take effect, at any time, so nothing could be said of what comes after.
type saidRating struct {
	acked bool
	last  row // the last that was acknowledged; its version is only known of a put
	// known: last.at is the version in the answer. Otherwise (a delete, whose answer has none) it is a lower bound.
	known bool
	// maybe is the attempt whose answer was lost; at is when it was begun.
	maybe *row
}

// saidFilm is the same of a film: the title, empty where it was removed.
type saidFilm struct {
	acked bool
	last  string
	maybe *string
}

// ledger is everything that was said to a system in its life.
type ledger struct {
	mu        sync.Mutex
	sent      int // records handed to the producer
	published map[place][]byte
	poison    map[string]bool // values, which are unique
	unsure    int             // records without an answer
	ratings   map[rowKey]*saidRating
	films     map[string]*saidFilm
	regress   []string // acknowledged versions that went back
}

func newLedger() *ledger {
	return &ledger{
		published: map[place][]byte{}, poison: map[string]bool{}, ratings: map[rowKey]*saidRating{}, films: map[string]*saidFilm{},
	}
}

// publishing notes a record that is about to be sent.
func (l *ledger) publishing(it item) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent++
	if it.poison {
		l.poison[string(it.value)] = true
	}
}

// publishedAt notes that the broker acknowledged a record.
func (l *ledger) publishedAt(p place, value []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.published[p] = value
}

// unanswered notes that nobody knows what became of a record.
func (l *ledger) unanswered() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unsure++
}

// acknowledged is how many records were.
func (l *ledger) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.published)
}

// rated notes an attempt on a rating: value 0 takes it back. at is the version in the answer, 0 where it has none; begun is when
// the attempt began. Not answered makes it the last attempt on this key.
func (l *ledger) rated(k rowKey, value int, at int64, begun time.Time, answered bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	s := l.ratings[k]
	if s == nil {
		s = &saidRating{}
		l.ratings[k] = s
	}
	if !answered {
		s.maybe = &row{value, begun.UnixMicro()}
		return
	}
	before := s.last.at
	switch {
	case at == 0:
		s.last, s.known = row{value, max(before+1, begun.UnixMicro())}, false
	default:
		if at <= before {
			l.regress = append(l.regress, k.record+" of "+k.user)
		}
		s.last, s.known = row{value, at}, true
	}
	s.acked = true
}

// edited notes an attempt on a film; an empty title removes it.
func (l *ledger) edited(id, title string, answered bool) {
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

// counts are for the report: acknowledged and unknown ratings' keys, and the same of films.
func (l *ledger) counts() (ratings, unknownRatings, films, unknownFilms int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range l.ratings {
		if s.maybe != nil {
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
