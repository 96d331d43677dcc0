package rating

import (
	"testing"
	"time"
)

// logWith is a topic that has one partition with these bounds, and what the database has of it.
func logWith(p partition, first, end int64, rows ...ingestOffset) state {
	return state{log: topicLog{id: p.TopicID, numbers: []int32{p.Number}, partitions: map[int32]bounds{p.Number: {first, end}}}, rows: rows}
}

// The age of what waits, through the life of one partition.
func TestLagInTime(t *testing.T) {
	now := t0
	g := newLagTracker(func() time.Time { return now })
	p := testPartition
	check := func(when string, records int64, age time.Duration) {
		t.Helper()
		got, ok := g.lagOf(p)
		if !ok || got.records() != records || got.age != age {
			t.Errorf("%s: %d records, %s, %v; want %d, %s", when, got.records(), got.age, ok, records, age)
		}
	}
	later := func(d time.Duration) { now = now.Add(d) }
	g.ends(p, 10)
	if _, ok := g.lagOf(p); ok {
		t.Error("it tells a lag before it knows the position")
	}
	g.moved(p, 10)
	g.moved(p, 5)
	g.ends(p, 5)
	check("at the end", 0, 0)
	later(time.Minute)
	check("at the end, later", 0, 0)
	g.ends(p, 7)
	check("records came, not seen yet", 2, 0)
	later(time.Second)
	check("a second later", 2, time.Second)
	if u := g.unknown(time.Second); u[p] != 5 {
		t.Errorf("unknown: %v", u)
	}
	g.oldest(p, 4, now.Add(-time.Hour))
	check("an answer about another offset", 2, time.Second)
	g.oldest(p, 5, now.Add(-time.Hour))
	check("the oldest was read", 2, time.Hour)
	later(time.Second)
	check("it grows with time", 2, time.Hour+time.Second)
	if u := g.unknown(0); len(u) != 0 {
		t.Errorf("unknown: %v", u)
	}
	ingested := g.fetched(p, now.Add(-time.Minute), now.Add(-time.Second), 9)
	check("while a batch is written", 4, time.Minute)
	g.moved(p, 7)
	ingested()
	check("behind the batch: not older than its last record", 2, time.Second)
	g.fetched(p, now, now, 9)()
	g.moved(p, 9)
	check("at the end again", 0, 0)
	g.fetched(p, time.Time{}, time.Time{}, 12)
	later(3 * time.Second)
	check("without timestamps: since it was seen", 3, 3*time.Second)
	g.moved(p, 10)
	later(time.Second)
	check("the next without one", 2, time.Second)
	g.fetched(p, now.Add(time.Hour), now, 12)
	check("a timestamp in the future", 2, 0)
	g.moved(p, 20)
	g.truncated(p, 12)
	check("truncated", 0, 0)
	g.ends(p, 14)
	later(time.Second)
	check("what comes after the truncation waits", 2, time.Second)
	g.moved(p, 12)
	check("moved back", 2, 0)
}

// The lag of a released partition comes from the database, and no longer from what the process knew while it had it. An answer of
// the brokers that was in flight does not make it ours again.
func TestLagOfAPartitionThatWasGivenUp(t *testing.T) {
	now := t0
	g := newLagTracker(func() time.Time { return now })
	p := testPartition
	g.moved(p, 5)
	g.ends(p, 9)
	g.forget(p)
	g.ends(p, 9) // it was on its way
	row := ingestOffset{partition: p, next: 9}
	g.observe(p.Topic, logWith(p, 0, 9, row), owners{of: map[int32]string{p.Number: "another"}, known: true, settled: true}, true)
	if k, ok := g.lagOf(p); !ok || k.records() != 0 || k.age != 0 || k.ours || k.owner != "another" {
		t.Errorf("%+v, %v; want one without lag, of another", k, ok)
	}
	row.next = 3
	g.observe(p.Topic, logWith(p, 0, 9, row), owners{}, true)
	if k, _ := g.lagOf(p); k.records() != 6 || k.owner != "another" {
		t.Errorf("%+v; want 6 records, and the owner that was known", k)
	}
	g.observe(p.Topic, logWith(p, 0, 9, row), owners{known: true, settled: true}, true)
	if k, _ := g.lagOf(p); !k.ownerKnown || k.owner != "" {
		t.Errorf("%+v; want no owner", k)
	}
	g.moved(p, 4)
	row.next = 3 // read before
	g.observe(p.Topic, logWith(p, 0, 9, row), owners{}, true)
	if k, _ := g.lagOf(p); k.next != 4 {
		t.Errorf("%+v; what this process ingests it knows best", k)
	}
}

// While the brokers are silent nothing vanishes, and ages grow, also of what was caught up.
func TestLagWhileTheBrokersAreSilent(t *testing.T) {
	now := t0
	g := newLagTracker(func() time.Time { return now })
	p := testPartition
	row := ingestOffset{partition: p, next: 9}
	g.observe(p.Topic, logWith(p, 0, 9, row), owners{}, true)
	g.silent()
	now = now.Add(staleAfter - 1)
	if k, ok := g.lagOf(p); !ok || k.age != 0 {
		t.Errorf("%+v, %v after a moment", k, ok)
	}
	now = now.Add(time.Minute)
	g.silent()
	if k, ok := g.lagOf(p); !ok || k.age != staleAfter-1+time.Minute || k.end != 9 {
		t.Errorf("%+v, %v after a minute", k, ok)
	}
	g.observe(p.Topic, logWith(p, 0, 9, row), owners{}, true)
	if k, _ := g.lagOf(p); k.age != 0 {
		t.Errorf("%+v when they are back", k)
	}
}
