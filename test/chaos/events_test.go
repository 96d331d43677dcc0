package chaos_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/oracle"
)

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

// stream makes events with every disorder that a log can have, forever.
type stream struct {
	rng    *rand.Rand
	name   string // of the run; makes what has to be unique so across runs
	made   int
	poison int
	known  []oracle.Key
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
	e := oracle.Event{ProviderID: "chaos"}
	// Anywhere in ten years, whatever was before: order in the log is not order in time. The microseconds make each unique.
	at := firstRated.Add(time.Duration(s.rng.IntN(10*365*24*3600))*time.Second + time.Duration(n%1_000_000)*time.Microsecond)
	e.RatedAt = at.Format(time.RFC3339Nano)
	var k oracle.Key
	switch roll := s.rng.Float64(); {
	case roll < undatedShare:
		// From its own user, so that the time of sending competes with no other.
		k = oracle.Key{RecordType: "movie", RecordID: s.record(), UserID: fmt.Sprintf("undated-%s-%d", s.name, n)}
		e.RatedAt = ""
		e.Value = 1 + s.rng.IntN(10)
	case roll < undatedShare+deleteShare && len(s.known) > 0:
		k = s.known[s.rng.IntN(len(s.known))]
		e.EventType = "delete"
	case roll < undatedShare+deleteShare+rerateShare && len(s.known) > 0:
		k = s.known[s.rng.IntN(len(s.known))]
		e.Value = 1 + s.rng.IntN(10)
	default:
		k = oracle.Key{RecordType: "movie", RecordID: s.record(), UserID: fmt.Sprintf("u%d", s.rng.IntN(userCount))}
		if n%50 == 0 {
			k.RecordType = "series"
		}
		e.Value = 1 + s.rng.IntN(10)
		if len(s.known) < 20_000 {
			s.known = append(s.known, k)
		}
	}
	e.UserID, e.RecordID, e.RecordType = k.UserID, k.RecordID, k.RecordType
	it := item{key: []byte(k.RecordType + ":" + k.RecordID), value: e.JSON()}
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

// TestStream wants every disorder in the stream, and of each event that it means what the oracle reads in it.
func TestStream(t *testing.T) {
	s := newStream("test", rand.New(rand.NewPCG(1, 2)))
	times, poison, keyless, undated, deletes, early := map[string]int{}, 0, 0, 0, 0, 0
	latest := map[oracle.Key]int64{}
	sent := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for s.made < 2000 {
		for _, it := range s.next() {
			times[string(it.value)]++
			if it.poison {
				poison++
				if times[string(it.value)] > 1 {
					t.Errorf("the poison %q is there twice: the oracle knows it by its text", it.value)
				}
				continue
			}
			if it.key == nil {
				keyless++
			}
			k, r, err := oracle.Meaning(it.value, sent)
			if err != nil || k.RecordType == "" || k.RecordID == "" || k.UserID == "" {
				t.Errorf("%s means a rating of %v: %v", it.value, k, err)
			}
			if r.Value == 0 {
				deletes++
			}
			if r.At == sent.UnixMicro() {
				undated++
			}
			if r.At < latest[k] {
				early++
			}
			latest[k] = max(latest[k], r.At)
		}
	}
	again := 0
	for _, n := range times {
		again += n - 1
	}
	for what, n := range map[string]int{
		"poison": poison, "keyless": keyless, "undated": undated, "deletes": deletes, "published again": again, "out of order": early,
	} {
		if n < 5 {
			t.Errorf("%d %s of %d events: the load proves nothing of them", n, what, s.made)
		}
	}
}
