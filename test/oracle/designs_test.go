package oracle_test

import (
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"movieexample.com/test/oracle"
)

// design is a small ingester that is correct, or has one bug that real systems have. It exists to prove that the oracle finds
// such bugs.
type design struct {
	// offsetApart commits the offset in a separate transaction, before the data.
	offsetApart bool
	// offsetAfter commits the offset in a separate transaction, after the data.
	offsetAfter bool
	// countersBlind adds every event to the counters, whatever the stored version is.
	countersBlind bool
	// noTombstones removes the row of a deleted rating.
	noTombstones bool
	// lastWins stores the last event, whatever its version.
	lastWins bool
	// skipsPoison drops invalid events instead of storing dead letters.
	skipsPoison bool
}

// keep is a copy of what a design has stored; a crash returns to the last commit.
func keep(o oracle.Outcome) oracle.Outcome {
	o.Next, o.Rows, o.Aggregates, o.Dead = maps.Clone(o.Next), maps.Clone(o.Rows), maps.Clone(o.Aggregates), slices.Clone(o.Dead)
	return o
}

// run ingests the log in batches and crashes at random points between commits until it is drained.
func (d design) run(o oracle.Outcome, seed uint64) (_ oracle.Outcome, crashes int) {
	rng := rand.New(rand.NewPCG(seed, 2))
	byPartition := map[int32][]oracle.Entry{}
	for _, e := range o.Log {
		byPartition[e.Partition] = append(byPartition[e.Partition], e)
	}
	o.Next, o.Rows, o.Aggregates = map[int32]int64{}, map[oracle.Key]oracle.Row{}, map[oracle.Record]oracle.Aggregate{}
	for partition := range int32(len(byPartition)) {
		entries := byPartition[partition]
		for o.Next[partition] < int64(len(entries)) {
			start := o.Next[partition]
			end := min(int64(len(entries)), start+1+rng.Int64N(50))
			work := keep(o)
			for _, e := range entries[start:end] {
				d.apply(&work, e)
			}
			crash := rng.IntN(5) == 0
			if d.offsetApart {
				o.Next[partition] = end
			}
			if d.offsetAfter {
				o = work
			}
			if crash {
				crashes++
				continue
			}
			work.Next[partition] = end
			o = work
		}
	}
	return o, crashes
}

func (d design) apply(o *oracle.Outcome, e oracle.Entry) {
	if strings.HasPrefix(string(e.Value), "poison") {
		if !d.skipsPoison {
			o.Dead = append(o.Dead, e.Place)
		}
		return
	}
	k, r, err := oracle.Meaning(e.Value, e.Sent)
	if err != nil {
		panic(err)
	}
	old, known := o.Rows[k]
	a := o.Aggregates[k.Record()]
	if d.countersBlind {
		a.Add(r.Value, 1)
		o.Aggregates[k.Record()] = a
	}
	if known && r.At <= old.At && !d.lastWins {
		return
	}
	if !d.countersBlind {
		a.Add(old.Value, -1)
		a.Add(r.Value, 1)
		o.Aggregates[k.Record()] = a
	}
	o.Rows[k] = r
	if d.noTombstones && r.Value == 0 {
		delete(o.Rows, k)
	}
}

// TestDesigns runs a log with every disorder through a right design and through wrong ones.
func TestDesigns(t *testing.T) {
	for name, tc := range map[string]struct {
		design
		wants string // part of at least one violation; empty wants none
	}{
		"right":                            {design{}, ""},
		"offset committed before the data": {design{offsetApart: true}, "no row"},
		"offset committed after the data":  {design{offsetAfter: true}, "is there twice"},
		"counters without versions":        {design{countersBlind: true}, "aggregate is"},
		"deletes without tombstones":       {design{noTombstones: true}, "row"},
		"the last event wins":              {design{lastWins: true}, "row is"},
		"poison is dropped":                {design{skipsPoison: true}, "has no dead letter"},
	} {
		t.Run(name, func(t *testing.T) {
			l, o := said(7, 5000)
			o, crashes := tc.run(o, 11)
			if crashes < 10 {
				t.Fatalf("only %d crashes: this run proves nothing", crashes)
			}
			found := l.Check(o)
			if named := strings.Contains(strings.Join(found, "\n"), tc.wants); !named || (len(found) == 0) != (tc.wants == "") {
				t.Errorf("want %q, the oracle says:\n%s", tc.wants, found)
			}
		})
	}
}
