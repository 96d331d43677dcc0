package test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"movieexample.com/test/oracle"
)

// item is one record to publish.
type item struct {
	key, value []byte
	poison     string // class; empty for a good event
}

// plan is a deterministic stream of events with every disorder that a log can have.
type plan struct {
	items  []item
	counts map[string]int // of what was put in, for the test's report and its own checks
}

// Shares of the stream.
const (
	rerateShare    = 0.20
	deleteShare    = 0.05
	poisonShare    = 0.01
	duplicateShare = 0.15 // published a second time, a third of those a third time
	shuffleWindow  = 400
)

// newPlan makes n events and, on top, duplicates and poison. Event times are unique per rating, so that the order of
// versions needs no tie-break that the test would have to know.
func newPlan(seed uint64, n int) plan {
	rng := rand.New(rand.NewPCG(seed, 1))
	p := plan{counts: map[string]int{}}
	base := time.Date(2015, 1, 1, 0, 0, 0, 0, time.UTC)
	users, records := max(20, n/100), max(20, n/200)
	var known []oracle.Key
	for i := range n {
		var k oracle.Key
		e := oracle.Event{ProviderID: "crash-test", RatedAt: base.Add(time.Duration(i) * time.Second).Format(time.RFC3339)}
		switch roll := rng.Float64(); {
		case roll < deleteShare && len(known) > 0:
			k = known[rng.IntN(len(known))]
			e.EventType = "delete"
			p.counts["delete"]++
		case roll < deleteShare+rerateShare && len(known) > 0:
			k = known[rng.IntN(len(known))]
			e.Value = 1 + rng.IntN(10)
			p.counts["rerate"]++
		default:
			// Popular records get most of the ratings: hot rows are where races are.
			record := int(float64(records) * rng.Float64() * rng.Float64())
			k = oracle.Key{RecordType: "movie", RecordID: fmt.Sprintf("r%d", record), UserID: fmt.Sprintf("u%d", rng.IntN(users))}
			if i%50 == 0 {
				k.RecordType = "series"
			}
			known = append(known, k)
			e.Value = 1 + rng.IntN(10)
			if rng.IntN(2) == 0 {
				e.EventType = "put"
			}
			p.counts["put"]++
		}
		e.UserID, e.RecordID, e.RecordType = k.UserID, k.RecordID, k.RecordType
		it := item{key: []byte(k.RecordType + ":" + k.RecordID), value: e.JSON()}
		if rng.IntN(10) == 0 {
			it.key = nil // a keyless producer: the record's events come from several partitions
			p.counts["keyless"]++
		}
		p.items = append(p.items, it)
		if rng.Float64() < duplicateShare {
			p.items = append(p.items, it)
			p.counts["duplicate"]++
			if rng.IntN(3) == 0 {
				p.items = append(p.items, it)
				p.counts["duplicate"]++
			}
		}
		if rng.Float64() < poisonShare {
			p.items = append(p.items, poison(rng, len(p.items), p.counts["poison"]))
			p.counts["poison"]++
		}
	}
	for from := 0; from < len(p.items); from += shuffleWindow {
		w := p.items[from:min(from+shuffleWindow, len(p.items))]
		rng.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
	}
	return p
}

// poison makes a record that must become a dead letter; n goes through the classes in turn, and serial makes each unique.
func poison(rng *rand.Rand, serial, n int) item {
	good := fmt.Sprintf(`{"userId":"p%d","recordId":"r%d","recordType":"movie","value":5,"providerId":"crash-test","ratedAt":"2016-01-01T00:00:00Z"}`, serial, rng.IntN(50))
	swap := func(old, new string) string { return strings.Replace(good, old, new, 1) }
	classes := []struct{ name, value string }{
		{"not JSON", fmt.Sprintf("rating %d", serial)},
		{"cut off", good[:len(good)-20]},
		{"not an object", fmt.Sprintf(`["p%d"]`, serial)},
		{"no user", swap(fmt.Sprintf(`"userId":"p%d"`, serial), fmt.Sprintf(`"comment":"p%d"`, serial))},
		{"empty record", strings.Replace(good, `"recordId":"r`, `"recordId":"","note":"r`, 1)},
		{"value too low", swap(`"value":5`, `"value":0`)},
		{"value too high", swap(`"value":5`, `"value":11`)},
		{"fraction", swap(`"value":5`, `"value":4.5`)},
		{"value as text", swap(`"value":5`, `"value":"5"`)},
		{"unknown event type", swap(`"value":5`, `"value":5,"eventType":"upsert"`)},
		{"bad time", swap(`2016-01-01T00:00:00Z`, `yesterday`)},
		{"far future", swap(`2016`, `2999`)},
		{"misspelled name", swap(`"value":5`, `"value":5,"event_type":"delete"`)},
		{"bad UTF-8", swap(`"p`, "\"\xff")},
		{"control character in id", swap(`"p`, `"\u0001`)},
		{"trailing data", good + good},
	}
	c := classes[n%len(classes)]
	return item{key: []byte("movie:r1"), value: []byte(c.value), poison: c.name}
}

// meaning is what a good event of a plan says; each of them says its time.
func (it item) meaning() (oracle.Key, oracle.Row, error) { return oracle.Meaning(it.value, time.Time{}) }
