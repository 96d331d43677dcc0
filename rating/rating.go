package rating

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"slices"
	"time"

	"movieexample.com/internal/fault"
)

// Lowest and Highest bound a rating's value: half stars × 2, so that both MovieLens and Letterboxd (0.5–5) and IMDb and Trakt (1–10) fit
// without loss.
const (
	Lowest  = 1
	Highest = 10
)

// Micros is a point in time in microseconds since 1970-01-01 UTC: the precision in which versions are compared, and
// one that every database keeps exactly.
type Micros int64

// ToMicros truncates t to a microsecond.
func ToMicros(t time.Time) Micros { return Micros(t.UnixMicro()) }

// Time returns the point in time in UTC.
func (m Micros) Time() time.Time { return time.UnixMicro(int64(m)).UTC() }

// Record names what is rated.
type Record struct {
	Type string
	ID   string
}

func (r Record) compare(o Record) int {
	return cmp.Or(cmp.Compare(r.Type, o.Type), cmp.Compare(r.ID, o.ID))
}

// Key names one user's rating of one record.
type Key struct {
	Record
	User string
}

func (k Key) compare(o Key) int {
	return cmp.Or(k.Record.compare(o.Record), cmp.Compare(k.User, o.User))
}

// validate checks the key's parts; the names are the wire's.
func (k Key) validate() error {
	if err := k.Record.validate(); err != nil {
		return err
	}
	return fault.ID("user_id", k.User)
}

func (r Record) validate() error {
	if err := fault.RecordType("record_type", r.Type); err != nil {
		return err
	}
	return fault.ID("record_id", r.ID)
}

// validValue checks a rating's value; field is the wire's name of it.
func validValue(field string, v int) error {
	if v < Lowest || v > Highest {
		return fault.Invalid(field, "must be an integer from %d to %d, got %d", Lowest, Highest, v)
	}
	return nil
}

// tombstone is the value of a deleted rating's row.
const tombstone = 0

// Rating is the state of one key: the user's last rating. It is also a change of that state, because a change carries the whole new
// state.
type Rating struct {
	Key
	// Value is Lowest…Highest, or tombstone.
	Value int
	// At is when the user rated.
	At Micros
	// EventID orders ratings of the same microsecond. It is derived from the content, so that a repeated event is the same event
	// anywhere in the log.
	EventID int64
}

// Deleted reports whether the rating was deleted.
func (r Rating) Deleted() bool { return r.Value == tombstone }

// newer reports whether r wins over o: the later (At, EventID). An equal version does not win, so a repetition changes nothing.
func (r Rating) newer(o Rating) bool {
	return cmp.Or(cmp.Compare(r.At, o.At), cmp.Compare(r.EventID, o.EventID)) > 0
}

// newRating is the change that provider reports; value is tombstone for a delete. Its event id is the first 63 bits
// of a SHA-256 over the content; it is stored, so its computation must never change.
func newRating(k Key, value int, at Micros, provider string) Rating {
	// On the stack there is room for every valid id: four lengths, four texts, the value.
	var room [4*8 + 32 + 3*128 + 1]byte
	text := room[:0]
	for _, part := range [...]string{k.Type, k.ID, k.User, provider} {
		// The length before each part keeps ("ab","c") and ("a","bc") apart.
		text = binary.BigEndian.AppendUint64(text, uint64(len(part)))
		text = append(text, part...)
	}
	sum := sha256.Sum256(append(text, byte(value)))
	return Rating{Key: k, Value: value, At: at, EventID: int64(binary.BigEndian.Uint64(sum[:8]) >> 1)}
}

// Aggregate is the exact summary of a record's ratings. The zero value is that of a record without ratings.
type Aggregate struct {
	Votes  int64
	Sum    int64
	Counts [Highest]int64 // Counts[i] ratings have the value i+1
}

// Mean returns the arithmetic mean, 1–10; 0 without votes.
func (a Aggregate) Mean() float64 {
	if a.Votes == 0 {
		return 0
	}
	return float64(a.Sum) / float64(a.Votes)
}

// add counts value n times; n is 1 or -1. A tombstone counts nothing.
func (a *Aggregate) add(value int, n int64) {
	if value == tombstone {
		return
	}
	a.Votes += n
	a.Sum += n * int64(value)
	a.Counts[value-Lowest] += n
}

// totals are sums over all records of a type.
type totals struct {
	Records, Ratings, Sum int64
}

func (t totals) mean() float64 {
	if t.Ratings == 0 {
		return 0
	}
	return float64(t.Sum) / float64(t.Ratings)
}

// yearVotes is what was rated within one year, in UTC.
type yearVotes struct {
	Year       int
	Votes, Sum int64
}

// mean is the arithmetic mean, 1–10.
func (y yearVotes) mean() float64 { return float64(y.Sum) / float64(y.Votes) }

// Prior is the belief about a record before it has ratings.
type Prior struct {
	// MinVotes is m: the weight of the belief, in ratings.
	MinVotes int
	// Mean is C: the mean of all ratings of the type.
	Mean float64
}

// Weighted returns the Bayesian estimate v/(v+m)·R + m/(v+m)·C of a record with v votes and the mean R, the formula
// of IMDb's Top 250. Without votes it is C; without votes and m it is 0.
func (p Prior) Weighted(a Aggregate) float64 {
	v, m := float64(a.Votes), float64(p.MinVotes)
	if v+m == 0 {
		return 0
	}
	// The conversion prevents fused operations on some architectures: all must compute the same bits.
	return (float64(a.Sum) + float64(m*p.Mean)) / (v + m)
}

// delta is the change of one record's aggregate.
type delta struct {
	Record
	Aggregate
}

// fold applies changes to the rows before and returns the rows to write and the aggregates' deltas, both in the order of their keys, so
// that concurrent transactions lock in the same order. It is a pure function of the set of changes: their order and repetition do not
// matter.
func fold(before map[Key]Rating, changes []Rating) (rows []Rating, deltas []delta) {
	winners := make(map[Key]Rating, len(changes))
	for _, c := range changes {
		if w, ok := winners[c.Key]; ok {
			if c.newer(w) {
				winners[c.Key] = c
			}
		} else if old, ok := before[c.Key]; !ok || c.newer(old) {
			winners[c.Key] = c
		}
	}
	rows = make([]Rating, 0, len(winners))
	for _, w := range winners {
		rows = append(rows, w)
	}
	slices.SortFunc(rows, func(a, b Rating) int { return a.Key.compare(b.Key) })
	for _, row := range rows {
		if n := len(deltas); n == 0 || deltas[n-1].Record != row.Record {
			deltas = append(deltas, delta{Record: row.Record})
		}
		d := &deltas[len(deltas)-1].Aggregate
		if old, ok := before[row.Key]; ok {
			d.add(old.Value, -1)
		}
		d.add(row.Value, 1)
	}
	// Deltas that cancel out need not be written.
	deltas = slices.DeleteFunc(deltas, func(d delta) bool { return d.Aggregate == Aggregate{} })
	return rows, deltas
}
