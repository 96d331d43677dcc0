package oracle

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Entry is a record of the log as it was read back.
type Entry struct {
	Place
	Value []byte
	Sent  time.Time // its timestamp
}

// Aggregate is a record's stored summary.
type Aggregate struct {
	Votes, Sum int64
	Counts     [10]int64 // of the values from 1 to 10
}

// Add counts n ratings of a value. It counts nothing for 0, a rating that was taken back, and for what is no rating.
func (a *Aggregate) Add(value int, n int64) {
	if value > 0 && value <= len(a.Counts) {
		a.Votes += n
		a.Sum += n * int64(value)
		a.Counts[value-1] += n
	}
}

// Outcome is everything that a system has stored, read when nothing was in flight.
type Outcome struct {
	Log        []Entry
	Ends       map[int32]int64 // where the log ends, by partition
	Next       map[int32]int64 // where ingestion continues, by partition
	Rows       map[Key]Row     // those of ratings that were taken back included
	Aggregates map[Record]Aggregate
	Dead       []Place           // of what the dead letters are
	Films      map[string]string // titles by id; of no interest where nothing was said of films
}

// Check compares the stored outcome with the ledger, and returns every violation, sorted by text. It changes neither.
func (l *Ledger) Check(o Outcome) Violations {
	l.mu.Lock()
	defer l.mu.Unlock()
	v := Violations(slices.Clone(l.back))
	l.log(o, &v)
	want, poisoned := l.fold(o, &v)
	l.synchronous(o, want, &v)
	for k, w := range want {
		if got, ok := o.Rows[k]; !ok {
			v.Add("%v: no row, want %+v", k, w)
		} else if got != w {
			v.Add("%v: row is %+v, want %+v", k, got, w)
		}
	}
	for k, got := range o.Rows {
		if _, ok := want[k]; !ok {
			v.Add("%v: row %+v came from nowhere", k, got)
		}
	}
	o.sums(want, &v)
	o.graves(poisoned, &v)
	for p, end := range o.Ends {
		if o.Next[p] != end {
			v.Add("partition %d is ingested up to %d, and the log ends at %d", p, o.Next[p], end)
		}
	}
	l.catalogue(o, &v)
	slices.Sort(v)
	return v
}

// log wants what the broker acknowledged to be where it said.
func (l *Ledger) log(o Outcome, v *Violations) {
	there := make(map[Place][]byte, len(o.Log))
	for _, e := range o.Log {
		there[e.Place] = e.Value
	}
	for p, value := range l.acked {
		if got, ok := there[p]; !ok {
			v.Add("the broker acknowledged a record at %v and has none there", p)
		} else if !bytes.Equal(got, value) {
			v.Add("the broker acknowledged a record at %v and has another one there", p)
		}
	}
	// An idempotent producer whose records all have answers put each into the log once.
	if l.unsure == 0 && len(o.Log) != l.sent {
		v.Add("the log has %d records, and %d were sent", len(o.Log), l.sent)
	}
}

// fold reads the log: what every rating has to be after all good events, and where the poison lies.
func (l *Ledger) fold(o Outcome, v *Violations) (want map[Key]Row, poisoned map[Place]int) {
	want, poisoned = make(map[Key]Row), make(map[Place]int)
	for _, e := range o.Log {
		if l.poison[string(e.Value)] {
			poisoned[e.Place] = 0
			continue
		}
		k, r, err := Meaning(e.Value, e.Sent)
		if err != nil {
			v.Add("a good event at %v does not decode: %v", e.Place, err)
			continue
		}
		if old, ok := want[k]; !ok || r.At > old.At {
			want[k] = r
		}
	}
	return want, poisoned
}

// synchronous puts into want what was written synchronously. Its versions are of today and those of events of long ago, so an
// acknowledged write is what the row is, and one without an answer what it may be.
func (l *Ledger) synchronous(o Outcome, want map[Key]Row, v *Violations) {
	for k, s := range l.ratings {
		got, there := o.Rows[k]
		if there && s.explains(got, want[k]) {
			want[k] = got
			continue
		}
		switch {
		case !s.acked: // and without a trace of an attempt: the events alone have to be right
		case !there:
			v.Add("%v: acknowledged write of %d is not there", k, s.last.Value)
			delete(want, k)
		default:
			v.Add("%v: acknowledged write of %d at %d is not there, found %+v", k, s.last.Value, s.last.At, got)
			want[k] = got // said once
		}
	}
}

// explains says whether a row is the last acknowledged write, or an attempt after it whose answer was lost. The version of
// such an attempt is not known, but it is after everything acknowledged, after every event, and not before it was begun.
func (s *saidRating) explains(got, ofEvents Row) bool {
	if s.acked && got.Value == s.last.Value && (got.At == s.last.At || !s.known && got.At >= s.last.At) {
		return true
	}
	return slices.ContainsFunc(s.maybe, func(m Row) bool {
		return got.Value == m.Value && got.At >= m.At && (!s.acked || got.At > s.last.At) && got.At > ofEvents.At
	})
}

// sums compares aggregates with the rows that there should be.
func (o Outcome) sums(want map[Key]Row, v *Violations) {
	sums := make(map[Record]Aggregate)
	for k, r := range want {
		if r.Value > 0 {
			a := sums[k.Record()]
			a.Add(r.Value, 1)
			sums[k.Record()] = a
		}
	}
	for record, a := range sums {
		if got := o.Aggregates[record]; got != a {
			v.Add("%v: aggregate is %+v, want %+v", record, got, a)
		}
	}
	for record, got := range o.Aggregates {
		if _, ok := sums[record]; !ok && got != (Aggregate{}) {
			v.Add("%v: aggregate %+v of a record without ratings", record, got)
		}
	}
}

// graves compares dead letters with the poison in the log.
func (o Outcome) graves(poisoned map[Place]int, v *Violations) {
	for _, d := range o.Dead {
		n, ok := poisoned[d]
		if !ok {
			v.Add("dead letter of %v, which is a good event", d)
		} else if n > 0 {
			v.Add("dead letter of %v is there twice", d)
		}
		poisoned[d] = n + 1
	}
	for p, n := range poisoned {
		if n == 0 {
			v.Add("poison at %v has no dead letter", p)
		}
	}
}

// catalogue compares films with their last edits.
func (l *Ledger) catalogue(o Outcome, v *Violations) {
	for id, s := range l.films {
		got := o.Films[id] // empty: not there
		if s.maybe != nil && got == *s.maybe {
			continue
		}
		if got != s.last {
			v.Add("film %s has the title %q, acknowledged was %q", id, got, s.last)
		}
	}
	for id, title := range o.Films {
		if _, ok := l.films[id]; !ok {
			v.Add("film %s, %q, came from nowhere", id, title)
		}
	}
}

// Violations lists violations, one entry each.
type Violations []string

// Add adds one.
func (v *Violations) Add(format string, args ...any) { *v = append(*v, fmt.Sprintf(format, args...)) }

// String lists the first violations, and says how many more there are.
func (v Violations) String() string {
	const most = 20
	if len(v) > most {
		v = append(v[:most:most], fmt.Sprintf("… and %d more", len(v)-most))
	}
	return strings.Join(v, "\n")
}
