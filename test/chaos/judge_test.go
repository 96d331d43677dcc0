package chaos_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// logEntry is a record of the log as it was read back.
type logEntry struct {
	place
	value []byte
	sent  time.Time
}

// aggregate is a record's stored summary.
type aggregate struct {
	votes, sum int64
	counts     [10]int64
}

// outcome is what a system made of what was said to it.
type outcome struct {
	log        []logEntry
	ends       map[int32]int64 // of the log
	next       map[int32]int64 // where ingestion goes on
	rows       map[rowKey]row  // tombstones included
	aggregates map[[2]string]aggregate
	dead       []place
	films      map[string]string // titles
}

// check compares what is stored with what was said, and returns every violation.
func (o outcome) check(said *ledger) []string {
	said.mu.Lock()
	defer said.mu.Unlock()
	v := &violations{}
	for _, r := range said.regress {
		v.add("acknowledged versions of %s went back", r)
	}
	want, poisoned := o.fold(said, v)
	o.synchronous(said, want, v)
	for k, w := range want {
		if got, ok := o.rows[k]; !ok {
			v.add("%v: no row, want %+v", k, w)
		} else if got != w {
			v.add("%v: row is %+v, want %+v", k, got, w)
		}
	}
	for k, got := range o.rows {
		if _, ok := want[k]; !ok {
			v.add("%v: row %+v came from nowhere", k, got)
		}
	}
	o.sums(want, v)
	o.graves(poisoned, v)
	for p, end := range o.ends {
		if o.next[p] != end {
			v.add("partition %d is ingested up to %d, and the log ends at %d", p, o.next[p], end)
		}
	}
	o.catalogue(said, v)
	return v.list()
}

// fold reads the log: what every rating has to be after all good events, and where the poison lies. What the broker acknowledged
// has to be where it said.
func (o outcome) fold(said *ledger, v *violations) (want map[rowKey]row, poisoned map[place]int) {
	want, poisoned = make(map[rowKey]row), make(map[place]int)
	found := 0
	for _, e := range o.log {
		if value, ok := said.published[e.place]; ok {
			found++
			if !bytes.Equal(value, e.value) {
				v.add("the broker acknowledged a record at %v and has another one there", e.place)
			}
		}
		if said.poison[string(e.value)] {
			poisoned[e.place] = 0
			continue
		}
		k, r, err := meaning(e.value, e.sent)
		if err != nil {
			v.add("a good event at %v does not decode: %v", e.place, err)
			continue
		}
		if old, ok := want[k]; !ok || r.at > old.at {
			want[k] = r
		}
	}
	if found < len(said.published) {
		v.add("the log lacks %d of %d records that were acknowledged", len(said.published)-found, len(said.published))
	}
	// An idempotent producer whose records all have answers put each into the log once.
	if said.unsure == 0 && len(o.log) != said.sent {
		v.add("the log has %d records, and %d were sent", len(o.log), said.sent)
	}
	return want, poisoned
}

// synchronous puts into want what was written synchronously. Its versions are of today and those of events of long ago, so an
// acknowledged write is what the row is, and one without an answer what it may be.
func (o outcome) synchronous(said *ledger, want map[rowKey]row, v *violations) {
	for k, s := range said.ratings {
		got, there := o.rows[k]
		if m := s.maybe; m != nil && there && got.value == m.value && got.at >= m.at && (!s.acked || got.at > s.last.at) {
			want[k] = got
			continue
		}
		switch {
		case !s.acked: // and without a trace of an attempt: the events alone have to be right
		case there && got.value == s.last.value && (got.at == s.last.at || !s.known && got.at >= s.last.at):
			want[k] = got
		case !there:
			v.add("%v: acknowledged write of %d is not there", k, s.last.value)
			delete(want, k)
		default:
			v.add("%v: acknowledged write of %d at %d is not there, found %+v", k, s.last.value, s.last.at, got)
			want[k] = got // said once
		}
	}
}

// sums compares aggregates with the rows that there should be.
func (o outcome) sums(want map[rowKey]row, v *violations) {
	sums := make(map[[2]string]aggregate)
	for k, r := range want {
		if r.value == 0 {
			continue
		}
		name := [2]string{k.recordType, k.record}
		a := sums[name]
		a.votes++
		a.sum += int64(r.value)
		a.counts[r.value-1]++
		sums[name] = a
	}
	for name, a := range sums {
		if got := o.aggregates[name]; got != a {
			v.add("%v: aggregate is %+v, want %+v", name, got, a)
		}
	}
	for name, got := range o.aggregates {
		if _, ok := sums[name]; !ok && got != (aggregate{}) {
			v.add("%v: aggregate %+v of a record without ratings", name, got)
		}
	}
}

// graves compares dead letters with the poison in the log.
func (o outcome) graves(poisoned map[place]int, v *violations) {
	for _, d := range o.dead {
		n, ok := poisoned[d]
		if !ok {
			v.add("dead letter of %v, which is a good event", d)
		} else if n > 0 {
			v.add("dead letter of %v is there twice", d)
		}
		poisoned[d] = n + 1
	}
	for p, n := range poisoned {
		if n == 0 {
			v.add("poison at %v has no dead letter", p)
		}
	}
}

// catalogue compares films with their last edits.
func (o outcome) catalogue(said *ledger, v *violations) {
	for id, s := range said.films {
		got := o.films[id] // empty: not there
		if s.maybe != nil && got == *s.maybe {
			continue
		}
		if got != s.last {
			v.add("film %s has the title %q, acknowledged was %q", id, got, s.last)
		}
	}
	for id, title := range o.films {
		if _, ok := said.films[id]; !ok {
			v.add("film %s, %q, came from nowhere", id, title)
		}
	}
}

// violations collects what is wrong.
type violations struct{ all []string }

func (v *violations) add(format string, args ...any) {
	v.all = append(v.all, fmt.Sprintf(format, args...))
}

func (v *violations) list() []string {
	slices.Sort(v.all)
	return v.all
}

// brief is a list of violations for a person.
func brief(found []string) string {
	const most = 20
	if len(found) > most {
		found = append(found[:most:most], fmt.Sprintf("… and %d more", len(found)-most))
	}
	return strings.Join(found, "\n")
}
