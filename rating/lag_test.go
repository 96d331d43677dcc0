package rating

import (
	"testing"
	"time"
)

// The age of what waits, through the life of one partition.
func TestLagInTime(t *testing.T) {
	now := t0
	g := newGaps(func() time.Time { return now })
	p := testPartition
	check := func(when string, records int64, age time.Duration) {
		t.Helper()
		gotRecords, gotAge, ok := g.lagOf(p)
		if !ok || gotRecords != records || gotAge != age {
			t.Errorf("%s: %d records, %s, %v; want %d, %s", when, gotRecords, gotAge, ok, records, age)
		}
	}
	later := func(d time.Duration) { now = now.Add(d) }
	g.ends(p, 10)
	if _, _, ok := g.lagOf(p); ok {
		t.Error("it tells the lag of a partition that is not ours")
	}
	g.moved(p, 5)
	if _, _, ok := g.lagOf(p); ok {
		t.Error("it tells a lag before it knows the end")
	}
	g.ends(p, 5)
	check("at the end", 0, 0)
	later(time.Minute)
	check("at the end, later", 0, 0)
	g.ends(p, 7)
	check("records came, nobody has seen them", 2, 0)
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
	check("it grows by itself", 2, time.Hour+time.Second)
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
	g.forget(p)
	if _, _, ok := g.lagOf(p); ok {
		t.Error("it tells the lag of a partition that was given up")
	}
}
