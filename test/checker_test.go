package test

import (
	"fmt"
	"sort"
	"strings"
)

// place is where a record lies in the log.
type place struct {
	partition int32
	offset    int64
}

// logEntry is a record of the log as it was read back.
type logEntry struct {
	place
	key, value []byte
	poison     bool
}

// write is one attempt of a synchronous write; the writers of a key take turns, so attempts of a key are in order.
type write struct {
	rkey
	value int
	acked bool
	at    int64 // the version in the answer; only where acked
}

// aggregate is a record's stored summary.
type aggregate struct {
	votes, sum int64
	counts     [10]int64
}

// outcome is what a system made of a log and of synchronous writes.
type outcome struct {
	log        []logEntry
	writes     []write
	rows       map[rkey]state // tombstones included
	aggregates map[[2]string]aggregate
	dead       []place
}

// check compares the rows with the fold of everything that was said, the aggregates with the rows, and the dead letters
// with the poison in the log. It returns every violation.
func (o outcome) check() []string {
	var v violations
	want := make(map[rkey]state)
	poisoned := make(map[place]int)
	for _, e := range o.log {
		if e.poison {
			poisoned[e.place] = 0
			continue
		}
		k, s, err := meaning(e.value)
		if err != nil {
			v.add("the plan's own event at %v does not decode: %v", e.place, err)
			continue
		}
		if old, ok := want[k]; !ok || s.at > old.at {
			want[k] = s
		}
	}
	// Synchronous writes: the last acknowledged one, or one of the attempts after it whose answer was lost.
	type allowed struct {
		last  *write
		maybe []write
	}
	sync := make(map[rkey]*allowed)
	for i, w := range o.writes {
		a := sync[w.rkey]
		if a == nil {
			a = &allowed{}
			sync[w.rkey] = a
		}
		if w.acked {
			if a.last != nil && w.at <= a.last.at {
				v.add("%v: acknowledged versions went back from %d to %d", w.rkey, a.last.at, w.at)
			}
			a.last, a.maybe = &o.writes[i], nil
		} else {
			a.maybe = append(a.maybe, w)
		}
	}
	for k, a := range sync {
		got, ok := o.rows[k]
		if a.last != nil {
			if !ok {
				v.add("%v: acknowledged write of %d is not there", k, a.last.value)
				continue
			}
			if got.at == a.last.at && got.value == a.last.value {
				want[k] = got
				continue
			}
		}
		explained := false
		for _, m := range a.maybe {
			// Its version is not known, but it is after everything acknowledged and after every event.
			if ok && got.value == m.value && (a.last == nil || got.at > a.last.at) && got.at > want[k].at {
				explained = true
			}
		}
		switch {
		case explained:
			want[k] = got
		case a.last != nil:
			v.add("%v: acknowledged write of %d at %d is not there, found %+v", k, a.last.value, a.last.at, got)
			delete(want, k)
			delete(o.rows, k)
		}
		// Without any acknowledged write and without a trace of the attempts, the events alone must be right.
	}
	for k, w := range want {
		if got, ok := o.rows[k]; !ok {
			v.add("%v: no row, want %+v", k, w)
		} else if got != w {
			v.add("%v: row is %+v, want %+v", k, got, w)
		}
	}
	sums := make(map[[2]string]aggregate)
	for k, got := range o.rows {
		if _, ok := want[k]; !ok {
			v.add("%v: row %+v came from nowhere", k, got)
		}
	}
	for k, s := range want {
		if s.value == 0 {
			continue
		}
		r := [2]string{k.recordType, k.record}
		a := sums[r]
		a.votes++
		a.sum += int64(s.value)
		a.counts[s.value-1]++
		sums[r] = a
	}
	for r, a := range sums {
		if got := o.aggregates[r]; got != a {
			v.add("%v: aggregate is %+v, want %+v", r, got, a)
		}
	}
	for r, got := range o.aggregates {
		if _, ok := sums[r]; !ok && got != (aggregate{}) {
			v.add("%v: aggregate %+v of a record without ratings", r, got)
		}
	}
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
	return v.list()
}

// violations collects what is wrong.
type violations struct {
	all []string
}

func (v *violations) add(format string, args ...any) {
	v.all = append(v.all, fmt.Sprintf(format, args...))
}

func (v *violations) list() []string {
	sort.Strings(v.all)
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
