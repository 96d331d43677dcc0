package chaos_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"
)

// rowKey names one user's rating of one record.
type rowKey struct{ recordType, record, user string }

// row is the state of a rating: a value, 0 where it was taken back, and its version in microseconds since 1970.
type row struct {
	value int
	at    int64
}

// event is the JSON form of a rating event, by hand: the test does not trust the code that it tests.
type event struct {
	UserID     string `json:"userId"`
	RecordID   string `json:"recordId"`
	RecordType string `json:"recordType"`
	Value      int    `json:"value,omitempty"`
	ProviderID string `json:"providerId"`
	EventType  string `json:"eventType,omitempty"`
	RatedAt    string `json:"ratedAt,omitempty"`
}

// item is one record to publish.
type item struct {
	key, value []byte
	poison     bool
}

// Shares of the stream.
const (
	rerateShare    = 0.20
	deleteShare    = 0.05
	undatedShare   = 0.05 // the record's timestamp is the version
	keylessShare   = 0.10
	poisonShare    = 0.005
	duplicateShare = 0.10 // published once more, up to duplicateWithin items later
)

const duplicateWithin = 300

// Sizes of what events are about. Records are few, so that rows are hot; films are those that reads ask for.
const (
	filmCount   = 30
	recordCount = 300
	userCount   = 5000
)

func filmID(n int) string { return fmt.Sprintf("film-%d", n) }

// stream makes events with every disorder that a log can have, for ever.
type stream struct {
	rng    *rand.Rand
	name   string // of the run; makes what has to be unique so across runs
	made   int
	poison int
	known  []rowKey
	later  [duplicateWithin][]item // duplicates, by when they are due
}

func newStream(name string, rng *rand.Rand) *stream { return &stream{rng: rng, name: name} }

// next returns the next items: one event, and duplicates and poison that are due.
func (s *stream) next() []item {
	n := s.made
	s.made++
	slot := n % duplicateWithin
	items := s.later[slot]
	s.later[slot] = nil
	it := s.event(n)
	items = append(items, it)
	if s.rng.Float64() < duplicateShare {
		due := (n + 1 + s.rng.IntN(duplicateWithin-1)) % duplicateWithin
		s.later[due] = append(s.later[due], it)
	}
	if s.rng.Float64() < poisonShare {
		items = append(items, s.bad())
	}
	return items
}

var firstRated = time.Date(2012, 1, 1, 0, 0, 0, 0, time.UTC)

func (s *stream) event(n int) item {
	e := event{ProviderID: "chaos"}
	// Anywhere in ten years, whatever was before: order in the log is not order in time. The microseconds make each unique.
	at := firstRated.Add(time.Duration(s.rng.IntN(10*365*24*3600))*time.Second + time.Duration(n%1_000_000)*time.Microsecond)
	e.RatedAt = at.Format(time.RFC3339Nano)
	var k rowKey
	switch roll := s.rng.Float64(); {
	case roll < undatedShare:
		// Of a user of its own, so that the time of sending competes with no other.
		k = rowKey{"movie", s.record(), fmt.Sprintf("undated-%s-%d", s.name, n)}
		e.RatedAt = ""
		e.Value = 1 + s.rng.IntN(10)
	case roll < undatedShare+deleteShare && len(s.known) > 0:
		k = s.known[s.rng.IntN(len(s.known))]
		e.EventType = "delete"
	case roll < undatedShare+deleteShare+rerateShare && len(s.known) > 0:
		k = s.known[s.rng.IntN(len(s.known))]
		e.Value = 1 + s.rng.IntN(10)
	default:
		k = rowKey{"movie", s.record(), fmt.Sprintf("u%d", s.rng.IntN(userCount))}
		if n%50 == 0 {
			k.recordType = "series"
		}
		e.Value = 1 + s.rng.IntN(10)
		if len(s.known) < 20_000 {
			s.known = append(s.known, k)
		}
	}
	e.UserID, e.RecordID, e.RecordType = k.user, k.record, k.recordType
	value, err := json.Marshal(e)
	if err != nil {
		panic(err) // strings and numbers always encode
	}
	it := item{key: []byte(k.recordType + ":" + k.record), value: value}
	if s.rng.Float64() < keylessShare {
		it.key = nil
	}
	return it
}

// record is a film or another record; the first ones are the most popular.
func (s *stream) record() string {
	n := int(recordCount * s.rng.Float64() * s.rng.Float64())
	if n < filmCount {
		return filmID(n)
	}
	return fmt.Sprintf("r%d", n)
}

// bad makes a record that has to become a dead letter; its text is unique.
func (s *stream) bad() item {
	n := s.poison
	s.poison++
	user := fmt.Sprintf("poison-%s-%d", s.name, n)
	good := fmt.Sprintf(`{"userId":%q,"recordId":"r1","recordType":"movie","value":5,"providerId":"chaos","ratedAt":"2016-01-01T00:00:00Z"}`, user)
	values := []string{
		"no JSON: " + user,
		good[:len(good)-20],
		strings.Replace(good, `"userId"`, `"comment"`, 1),
		strings.Replace(good, `"value":5`, `"value":11`, 1),
		strings.Replace(good, `"value":5`, `"value":"5"`, 1),
		strings.Replace(good, `"value":5`, `"value":5,"eventType":"upsert"`, 1),
		strings.Replace(good, `2016-01-01T00:00:00Z`, `yesterday`, 1),
		strings.Replace(good, `2016`, `2999`, 1),
		strings.Replace(good, `"value":5`, `"value":5,"event_type":"delete"`, 1),
		good + good,
	}
	return item{key: []byte("movie:r1"), value: []byte(values[n%len(values)]), poison: true}
}

// meaning decodes a good event. sent is the record's timestamp, the version of an event that says no time.
func meaning(value []byte, sent time.Time) (rowKey, row, error) {
	var e event
	if err := json.Unmarshal(value, &e); err != nil {
		return rowKey{}, row{}, err
	}
	at := sent
	if e.RatedAt != "" {
		var err error
		if at, err = time.Parse(time.RFC3339Nano, e.RatedAt); err != nil {
			return rowKey{}, row{}, err
		}
	}
	r := row{value: e.Value, at: at.UnixMicro()}
	if e.EventType == "delete" {
		r.value = 0
	}
	return rowKey{e.RecordType, e.RecordID, e.UserID}, r, nil
}
