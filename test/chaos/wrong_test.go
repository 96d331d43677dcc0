package chaos_test

import (
	"errors"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// right is a small history and what a system that is right makes of it.
func right(t *testing.T) (*ledger, outcome) {
	t.Helper()
	said := newLedger()
	o := outcome{
		ends: map[int32]int64{}, next: map[int32]int64{}, rows: map[rowKey]row{}, aggregates: map[[2]string]aggregate{}, films: map[string]string{},
	}
	s := newStream("test", rand.New(rand.NewPCG(1, 2)))
	sent := time.Now()
	for s.made < 800 {
		for _, it := range s.next() {
			said.publishing(it)
			p := place{int32(len(o.log) % 3), int64(len(o.log) / 3)}
			said.publishedAt(p, it.value)
			o.log = append(o.log, logEntry{place: p, value: it.value, sent: sent})
			o.ends[p.partition], o.next[p.partition] = p.offset+1, p.offset+1
			if it.poison {
				o.dead = append(o.dead, p)
				continue
			}
			k, r, err := meaning(it.value, sent)
			if err != nil {
				t.Fatal(err)
			}
			if old, ok := o.rows[k]; !ok || r.at > old.at {
				o.rows[k] = r
			}
		}
	}
	begun := time.Now()
	at := begun.UnixMicro() + 5
	// One after the other: put; put whose answer was lost; taken back; nothing but an attempt that did nothing.
	said.rated(written, 7, at, begun, true)
	o.rows[written] = row{7, at}
	said.rated(unsure, 3, at, begun, true)
	said.rated(unsure, 9, 0, begun.Add(time.Millisecond), false)
	o.rows[unsure] = row{3, at}
	said.rated(takenBack, 3, at, begun, true)
	said.rated(takenBack, 0, 0, begun.Add(time.Second), true)
	o.rows[takenBack] = row{0, at + 2_000_000}
	said.rated(rowKey{"movie", "sync", "nobody"}, 4, 0, begun, false)
	said.edited("film", "Film 1", true)
	said.edited("film", "Film 2", false)
	o.films["film"] = "Film 2"
	said.edited("gone", "Gone", true)
	said.edited("gone", "", true)
	for k, r := range o.rows {
		if r.value == 0 {
			continue
		}
		name := [2]string{k.recordType, k.record}
		a := o.aggregates[name]
		a.votes++
		a.sum += int64(r.value)
		a.counts[r.value-1]++
		o.aggregates[name] = a
	}
	return said, o
}

var (
	written   = rowKey{"movie", "sync", "written"}
	unsure    = rowKey{"movie", "sync", "unsure"}
	takenBack = rowKey{"movie", "sync", "taken-back"}
)

// change makes one row another and keeps its aggregate in step, so that the row alone is wrong.
func change(o *outcome, k rowKey, r row) {
	name := [2]string{k.recordType, k.record}
	a := o.aggregates[name]
	for value, n := range map[int]int64{o.rows[k].value: -1, r.value: 1} {
		if value > 0 && o.rows[k].value != r.value {
			a.votes += n
			a.sum += n * int64(value)
			a.counts[value-1] += n
		}
	}
	o.aggregates[name], o.rows[k] = a, r
}

// TestJudge damages one thing in a right outcome: the judge has to say so, and to say nothing of what is right.
func TestJudge(t *testing.T) {
	if said, o := right(t); len(o.check(said)) > 0 {
		t.Fatalf("violations of a right outcome:\n%s", brief(o.check(said)))
	}
	for name, tc := range map[string]struct {
		damage func(said *ledger, o *outcome)
		wants  string // part of a violation; empty wants none
	}{
		"a lost answer that took effect":    {func(_ *ledger, o *outcome) { change(o, unsure, row{9, o.rows[unsure].at + 5000}) }, ""},
		"a lost answer with an old version": {func(_ *ledger, o *outcome) { change(o, unsure, row{9, o.rows[unsure].at - 10}) }, "acknowledged write of 3"},
		"another lost answer":               {func(_ *ledger, o *outcome) { o.films["film"] = "Film 1" }, ""},
		"acknowledged write lost":           {func(_ *ledger, o *outcome) { delete(o.rows, written) }, "acknowledged write of 7 is not there"},
		"acknowledged write overwritten":    {func(_ *ledger, o *outcome) { change(o, written, row{8, o.rows[written].at + 1}) }, "acknowledged write of 7"},
		"acknowledged write of no version":  {func(_ *ledger, o *outcome) { change(o, written, row{7, o.rows[written].at + 1}) }, "acknowledged write of 7"},
		"acknowledged delete lost":          {func(_ *ledger, o *outcome) { change(o, takenBack, row{3, o.rows[takenBack].at}) }, "acknowledged write of 0"},
		"versions that went back":           {func(said *ledger, _ *outcome) { said.rated(written, 7, 5, time.Now(), true) }, "went back"},
		"row of no event":                   {func(_ *ledger, o *outcome) { o.rows[rowKey{"movie", "x", "y"}] = row{0, 5} }, "came from nowhere"},
		"row of an older event": {func(_ *ledger, o *outcome) {
			k, r := ofEvent(*o)
			o.rows[k] = row{r.value, r.at - 1}
		}, "want {"},
		"row lost": {func(_ *ledger, o *outcome) {
			k, _ := ofEvent(*o)
			delete(o.rows, k)
		}, "no row"},
		"counted twice": {func(_ *ledger, o *outcome) {
			a := o.aggregates[[2]string{"movie", "film-1"}]
			a.votes++
			o.aggregates[[2]string{"movie", "film-1"}] = a
		}, "aggregate is"},
		"counted for nobody": {func(_ *ledger, o *outcome) { o.aggregates[[2]string{"movie", "x"}] = aggregate{votes: 1} }, "without ratings"},
		"dead letter lost":   {func(_ *ledger, o *outcome) { o.dead = o.dead[1:] }, "no dead letter"},
		"dead letter twice":  {func(_ *ledger, o *outcome) { o.dead = append(o.dead, o.dead[0]) }, "twice"},
		"good event buried":  {func(_ *ledger, o *outcome) { o.dead = append(o.dead, place{9, 9}) }, "good event"},
		"record lost":        {func(_ *ledger, o *outcome) { o.log = o.log[1:] }, "acknowledged"},
		"record twice": {func(_ *ledger, o *outcome) {
			e := o.log[0]
			e.offset = 100_000
			o.log = append(o.log, e)
		}, "were sent"},
		"offset short":         {func(_ *ledger, o *outcome) { o.next[1]-- }, "partition 1"},
		"film lost":            {func(_ *ledger, o *outcome) { delete(o.films, "film") }, "film film"},
		"removed film is back": {func(_ *ledger, o *outcome) { o.films["gone"] = "Gone" }, "film gone"},
		"film of nobody":       {func(_ *ledger, o *outcome) { o.films["x"] = "X" }, "came from nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			said, o := right(t)
			tc.damage(said, &o)
			found := strings.Join(o.check(said), "\n")
			if (found == "") != (tc.wants == "") || !strings.Contains(found, tc.wants) {
				t.Errorf("the judge says %q, want %q", found, tc.wants)
			}
		})
	}
}

// ofEvent is a row that events alone made.
func ofEvent(o outcome) (rowKey, row) {
	keys := slices.SortedFunc(maps.Keys(o.rows), func(a, b rowKey) int { return strings.Compare(a.user+a.record, b.user+b.record) })
	for _, k := range keys {
		if strings.HasPrefix(k.user, "u") && k.record != "sync" && o.rows[k].value > 0 {
			return k, o.rows[k]
		}
	}
	panic("no rating in the outcome")
}

// TestExcuses: a failure is excused where a fault that may harm its kind was on while it was under way, and nowhere else; and a
// fault under which nothing went on proves nothing.
func TestExcuses(t *testing.T) {
	at := func(seconds float64) time.Time {
		return time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(time.Duration(seconds * float64(time.Second)))
	}
	broken := errors.New("broken")
	for name, tc := range map[string]struct {
		kind       kind
		begin, end float64
		excused    bool
	}{
		"within":               {rate, 11, 12, true},
		"begun before":         {rate, 9, 10.5, true},
		"ended after":          {rate, 14, 20, true},
		"before":               {rate, 8, 9, false},
		"after":                {rate, 16, 17, false},
		"of a kind that works": {details, 11, 12, false},
	} {
		t.Run(name, func(t *testing.T) {
			tr := newTraffic(at(0))
			tr.open(at(10), []kind{rate})
			tr.close(at(15))
			for second := range 20 {
				tr.note(lists, at(float64(second)), at(float64(second)+0.5), nil)
			}
			tr.note(tc.kind, at(tc.begin), at(tc.end), broken)
			if found := tr.check(); (len(found) == 0) != tc.excused {
				t.Errorf("excused: %t, violations: %q", tc.excused, found)
			}
		})
	}
	t.Run("nothing went on", func(t *testing.T) {
		tr := newTraffic(at(0))
		tr.open(at(10), []kind{rate})
		tr.close(at(15))
		if found := tr.check(); len(found) == 0 {
			t.Error("no violation")
		}
	})
	t.Run("recovery", func(t *testing.T) {
		tr := newTraffic(at(0))
		tr.open(at(10), []kind{rate})
		tr.note(rate, at(10.5), at(10.6), nil) // between the fault and what it did
		tr.note(rate, at(11), at(14), broken)
		tr.note(rate, at(11.5), at(11.6), nil)
		if _, again := tr.works(rate, at(10), at(12)); again {
			t.Error("one success is enough")
		}
		for n := range steady {
			tr.note(rate, at(13+float64(n)), at(13.5+float64(n)), nil)
		}
		if got, again := tr.works(rate, at(10), at(12)); !again || !got.Equal(at(11.6)) {
			t.Errorf("it works since %s (%t), want %s: the first that was begun after the last that failed", got, again, at(11.6))
		}
	})
}
