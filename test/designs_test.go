package test

import (
	"maps"
	"math/rand/v2"
	"strings"
	"testing"
)

// design is an ingester of a few lines, right or wrong in one way that real systems are wrong in. It exists to prove that
// the checker of the crash test catches what it is there to catch.
type design struct {
	name string
	// offsetApart commits the offset in a transaction of its own, before the data.
	offsetApart bool
	// offsetAfter commits the offset in a transaction of its own, after the data.
	offsetAfter bool
	// countersBlind adds every event to the counters, whatever version is stored.
	countersBlind bool
	// noTombstones removes the row of a deleted rating.
	noTombstones bool
}

// memory is what a design keeps; a crash returns to the last commit.
type memory struct {
	next       map[int32]int64
	rows       map[rkey]state
	aggregates map[[2]string]aggregate
	dead       []place
}

func (m memory) clone() memory {
	return memory{
		next: maps.Clone(m.next), rows: maps.Clone(m.rows), aggregates: maps.Clone(m.aggregates),
		dead: append([]place(nil), m.dead...),
	}
}

// run ingests the log in batches and crashes at random points between commits until it is drained.
func (d design) run(log []logEntry, seed uint64) (o outcome, crashes int) {
	rng := rand.New(rand.NewPCG(seed, 2))
	byPartition := map[int32][]logEntry{}
	for _, e := range log {
		byPartition[e.partition] = append(byPartition[e.partition], e)
	}
	committed := memory{next: map[int32]int64{}, rows: map[rkey]state{}, aggregates: map[[2]string]aggregate{}}
	for partition := int32(0); int(partition) < len(byPartition); partition++ {
		entries := byPartition[partition]
		for committed.next[partition] < int64(len(entries)) {
			start := committed.next[partition]
			end := min(int64(len(entries)), start+1+rng.Int64N(50))
			crash := rng.IntN(5) == 0
			work := committed.clone()
			for _, e := range entries[start:end] {
				d.apply(&work, e)
			}
			switch {
			case d.offsetApart:
				committed.next[partition] = end
				if crash {
					crashes++
					continue
				}
				work.next[partition] = end
			case d.offsetAfter:
				committed = work
				if crash {
					crashes++
					continue
				}
				committed.next[partition] = end
				continue
			default:
				if crash {
					crashes++
					continue
				}
				work.next[partition] = end
			}
			committed = work
		}
	}
	return outcome{log: log, rows: committed.rows, aggregates: committed.aggregates, dead: committed.dead}, crashes
}

func (d design) apply(m *memory, e logEntry) {
	if e.poison {
		m.dead = append(m.dead, e.place)
		return
	}
	k, s, err := meaning(e.value)
	if err != nil {
		panic(err)
	}
	old, known := m.rows[k]
	r := [2]string{k.recordType, k.record}
	a := m.aggregates[r]
	count := func(value int, n int64) {
		if value > 0 {
			a.votes += n
			a.sum += n * int64(value)
			a.counts[value-1] += n
		}
	}
	if d.countersBlind && s.value > 0 {
		count(s.value, 1)
		m.aggregates[r] = a
	}
	if known && s.at <= old.at {
		return
	}
	if !d.countersBlind {
		count(old.value, -1)
		count(s.value, 1)
		m.aggregates[r] = a
	}
	m.rows[k] = s
	if d.noTombstones && s.value == 0 {
		delete(m.rows, k)
	}
}

// TestCheckerCatchesWrongDesigns runs the plan of the crash test through a right design and through wrong ones.
func TestCheckerCatchesWrongDesigns(t *testing.T) {
	p := newPlan(7, 5000)
	var log []logEntry
	next := map[int32]int64{}
	for i, it := range p.items {
		partition := int32(i % 3) // as from a keyless producer
		log = append(log, logEntry{place: place{partition, next[partition]}, key: it.key, value: it.value, poison: it.poison != ""})
		next[partition]++
	}
	for _, tc := range []struct {
		design
		wants string // part of at least one violation
	}{
		{design{name: "right"}, ""},
		{design{name: "offset committed before the data", offsetApart: true}, "no row"},
		{design{name: "offset committed after the data", offsetAfter: true}, "is there twice"},
		{design{name: "counters without versions", countersBlind: true}, "aggregate is"},
		{design{name: "deletes without tombstones", noTombstones: true}, "row"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			o, crashes := tc.run(log, 11)
			if crashes < 10 {
				t.Fatalf("only %d crashes: this run proves nothing", crashes)
			}
			found := o.check()
			if tc.wants == "" {
				if len(found) > 0 {
					t.Fatalf("violations of a right design:\n%s", brief(found))
				}
				return
			}
			if !strings.Contains(strings.Join(found, "\n"), tc.wants) {
				t.Fatalf("the checker did not catch it; it found:\n%s", brief(found))
			}
		})
	}
}

// TestCheckerCatchesDamage changes one thing in a right outcome.
func TestCheckerCatchesDamage(t *testing.T) {
	p := newPlan(8, 600)
	var log []logEntry
	for i, it := range p.items {
		log = append(log, logEntry{place: place{0, int64(i)}, key: it.key, value: it.value, poison: it.poison != ""})
	}
	k := rkey{"movie", "sync", "alice"}
	fresh := func(t *testing.T) outcome {
		o, _ := design{}.run(log, 1)
		o.writes = []write{{rkey: k, value: 7, acked: true, at: 5e15}, {rkey: k, value: 9}}
		o.rows[k] = state{value: 7, at: 5e15}
		o.aggregates[[2]string{"movie", "sync"}] = aggregate{votes: 1, sum: 7, counts: [10]int64{6: 1}}
		if found := o.check(); len(found) > 0 {
			t.Fatalf("violations before any damage:\n%s", brief(found))
		}
		return o
	}
	live := func(o outcome) rkey {
		for k, s := range o.rows {
			if s.value > 0 {
				return k
			}
		}
		panic("no rating in the outcome")
	}
	for name, damage := range map[string]func(o *outcome){
		"acknowledged write lost":     func(o *outcome) { delete(o.rows, k) },
		"acknowledged write reverted": func(o *outcome) { o.rows[k] = state{value: 3, at: 4e15} },
		"unacknowledged write with an old version": func(o *outcome) {
			o.rows[k] = state{value: 9, at: 4e15}
		},
		"row lost":         func(o *outcome) { delete(o.rows, live(*o)) },
		"row changed":      func(o *outcome) { r := live(*o); s := o.rows[r]; s.at++; o.rows[r] = s },
		"row from nowhere": func(o *outcome) { o.rows[rkey{"movie", "x", "y"}] = state{value: 1, at: 1} },
		"aggregate off": func(o *outcome) {
			a := o.aggregates[[2]string{"movie", "sync"}]
			a.sum++
			o.aggregates[[2]string{"movie", "sync"}] = a
		},
		"aggregate of none": func(o *outcome) { o.aggregates[[2]string{"movie", "none"}] = aggregate{votes: 1} },
		"dead letter lost":  func(o *outcome) { o.dead = o.dead[1:] },
		"dead letter twice": func(o *outcome) { o.dead = append(o.dead, o.dead[0]) },
		"good event buried": func(o *outcome) { o.dead = append(o.dead, place{9, 9}) },
		"log entry forgotten": func(o *outcome) {
			o.rows[rkey{"movie", "r1", "late"}] = state{value: 0, at: 1}
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := fresh(t)
			damage(&o)
			if found := o.check(); len(found) == 0 {
				t.Fatal("the checker did not notice")
			}
		})
	}
}
