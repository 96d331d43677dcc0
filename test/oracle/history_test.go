package oracle_test

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"movieexample.com/test/oracle"
)

// said is a log of n events with every disorder that a log can have, duplicates and poison on top, and a ledger in which its
// records are written down.
func said(seed uint64, n int) (*oracle.Ledger, oracle.Outcome) {
	rng := rand.New(rand.NewPCG(seed, 1))
	type item struct {
		value  []byte
		poison bool
	}
	var items []item
	var known []oracle.Key
	for i := range n {
		e := oracle.Event{ProviderID: "test", Value: 1 + rng.IntN(10)}
		e.RatedAt = time.Date(2015, 1, 1, 0, 0, i, 0, time.UTC).Format(time.RFC3339)
		k := oracle.Key{RecordType: "movie", RecordID: fmt.Sprint("r", rng.IntN(30)), UserID: fmt.Sprint("u", rng.IntN(50))}
		switch roll := rng.Float64(); {
		case roll < 0.05: // the record's timestamp is its version
			k.UserID, e.RatedAt = fmt.Sprint("undated", i), ""
		case roll < 0.15 && len(known) > 0:
			k, e.EventType, e.Value = known[rng.IntN(len(known))], "delete", 0
		case roll < 0.35 && len(known) > 0:
			k = known[rng.IntN(len(known))]
		}
		known = append(known, k)
		e.RecordType, e.RecordID, e.UserID = k.RecordType, k.RecordID, k.UserID
		for range 1 + max(0, rng.IntN(10)-7) {
			items = append(items, item{value: e.JSON()})
		}
		if rng.IntN(50) == 0 {
			items = append(items, item{value: fmt.Appendf(nil, "poison %d", i), poison: true})
		}
	}
	const window = 400
	for from := 0; from < len(items); from += window {
		w := items[from:min(from+window, len(items))]
		rng.Shuffle(len(w), func(i, j int) { w[i], w[j] = w[j], w[i] })
	}
	l, o := oracle.NewLedger(), oracle.Outcome{Ends: map[int32]int64{}}
	for i, it := range items {
		p := oracle.Place{Partition: int32(i % 3), Offset: int64(i / 3)}
		l.Sending(it.value, it.poison)
		l.Sent(p, it.value)
		o.Log = append(o.Log, oracle.Entry{Place: p, Value: it.value, Sent: time.Date(2024, 1, 1, 0, 0, i, 0, time.UTC)})
		o.Ends[p.Partition] = p.Offset + 1
	}
	return l, o
}

// right is a small history, synchronous writes and films included, and what a system that is right makes of it.
func right(t *testing.T) (*oracle.Ledger, oracle.Outcome) {
	t.Helper()
	l, o := said(8, 600)
	o, _ = design{}.run(o, 1)
	begun := time.Now()
	at := begun.UnixMicro() + 5
	l.Rated(written, 7, at, begun, true)
	change(&o, written, oracle.Row{Value: 7, At: at})
	// Of two attempts after the acknowledged one nothing is to be seen.
	l.Rated(unsure, 3, at, begun, true)
	l.Rated(unsure, 9, 0, begun.Add(time.Millisecond), false)
	l.Rated(unsure, 8, 0, begun, false) // before the acknowledged version, by the clock of who asks
	change(&o, unsure, oracle.Row{Value: 3, At: at})
	l.Rated(takenBack, 3, at, begun, true)
	l.Rated(takenBack, 0, 0, begun.Add(time.Second), true)
	change(&o, takenBack, oracle.Row{Value: 0, At: at + 2_000_000})
	l.Rated(nobody, 4, 0, begun, false)
	// After an answer that was lost there is one, of another life: what was before it is over.
	l.Rated(again, 2, 0, begun, false)
	l.Rated(again, 6, at, begun.Add(time.Second), true)
	change(&o, again, oracle.Row{Value: 6, At: at})
	l.Edited("film", "Film 1", true)
	l.Edited("film", "Film 2", false)
	l.Edited("gone", "Gone", true)
	l.Edited("gone", "", true)
	o.Films = map[string]string{"film": "Film 2"}
	return l, o
}

var (
	written   = oracle.Key{RecordType: "movie", RecordID: "sync", UserID: "written"}
	unsure    = oracle.Key{RecordType: "movie", RecordID: "sync", UserID: "unsure"}
	takenBack = oracle.Key{RecordType: "movie", RecordID: "sync", UserID: "taken-back"}
	nobody    = oracle.Key{RecordType: "movie", RecordID: "sync", UserID: "nobody"}
	again     = oracle.Key{RecordType: "movie", RecordID: "sync", UserID: "again"}
)

// change makes one row another and keeps its aggregate in step, so that the row alone is wrong.
func change(o *oracle.Outcome, k oracle.Key, r oracle.Row) {
	a := o.Aggregates[k.Record()]
	a.Add(o.Rows[k].Value, -1)
	a.Add(r.Value, 1)
	o.Aggregates[k.Record()], o.Rows[k] = a, r
}

// remove takes a row away, and out of its aggregate.
func remove(o *oracle.Outcome, k oracle.Key) {
	change(o, k, oracle.Row{})
	delete(o.Rows, k)
}
