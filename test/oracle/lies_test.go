package oracle_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/oracle"
)

// TestLies damages one thing in a right outcome: the oracle has to name it, and to say nothing of what is right.
func TestLies(t *testing.T) {
	if l, o := right(t); len(l.Check(o)) > 0 {
		t.Fatalf("violations of a right outcome:\n%s", l.Check(o))
	}
	type lie func(l *oracle.Ledger, o *oracle.Outcome)
	stored := func(change func(o *oracle.Outcome)) lie {
		return func(_ *oracle.Ledger, o *oracle.Outcome) { change(o) }
	}
	// row is the lie that a row is another: by so much later than what is there.
	row := func(k oracle.Key, value int, later int64) lie {
		return stored(func(o *oracle.Outcome) { change(o, k, oracle.Row{Value: value, At: o.Rows[k].At + later}) })
	}
	film := func(id, title string) lie { return stored(func(o *oracle.Outcome) { o.Films[id] = title }) }
	for name, tc := range map[string]struct {
		lie
		wants string // part of a violation; empty wants none
	}{
		// What is no lie.
		"a lost answer that took effect":   {row(unsure, 9, 5000), ""},
		"the answer lost after it":         {row(unsure, 8, 5000), ""},
		"a first write whose answer is":    {stored(func(o *oracle.Outcome) { change(o, nobody, oracle.Row{Value: 4, At: time.Now().UnixMicro()}) }), ""},
		"an edit without answer or effect": {film("film", "Film 1"), ""},

		"a lost answer with an old version":   {row(unsure, 9, -10), "acknowledged write of 3"},
		"a lost answer before it was begun":   {row(unsure, 9, 10), "acknowledged write of 3"},
		"a lost answer before the last one":   {row(unsure, 8, -2), "acknowledged write of 3"},
		"a lost answer before an event":       {beforeEvent, "row is"},
		"a lost answer of a life before":      {row(again, 2, 5000), "acknowledged write of 6"},
		"a value never written":               {row(unsure, 5, 5000), "acknowledged write of 3"},
		"acknowledged write lost":             {stored(func(o *oracle.Outcome) { remove(o, written) }), "acknowledged write of 7 is not there"},
		"acknowledged write reverted":         {row(written, 3, -1_000_000), "acknowledged write of 7"},
		"acknowledged write overwritten":      {row(written, 8, 1), "acknowledged write of 7"},
		"acknowledged write at a new version": {row(written, 7, 1), "acknowledged write of 7"},
		"acknowledged write of no rating":     {row(written, 11, 1), "acknowledged write of 7"},
		"acknowledged delete lost":            {row(takenBack, 3, -2_000_000), "acknowledged write of 0"},
		"versions that went back":             {func(l *oracle.Ledger, _ *oracle.Outcome) { l.Rated(written, 7, 5, time.Now(), true) }, "went back"},

		"row of no event":       {stored(func(o *oracle.Outcome) { o.Rows[oracle.Key{RecordType: "movie"}] = oracle.Row{At: 5} }), "came from nowhere"},
		"row of an older event": {stored(func(o *oracle.Outcome) { k, r := ofEvent(*o); change(o, k, oracle.Row{Value: r.Value, At: r.At - 1}) }), "row is"},
		"row of another value": {stored(func(o *oracle.Outcome) {
			k, r := ofEvent(*o)
			change(o, k, oracle.Row{Value: r.Value%10 + 1, At: r.At})
		}), "row is"},
		"row lost":       {stored(func(o *oracle.Outcome) { k, _ := ofEvent(*o); remove(o, k) }), "no row"},
		"counted twice":  {stored(func(o *oracle.Outcome) { count(o, 1) }), "aggregate is"},
		"not counted":    {stored(func(o *oracle.Outcome) { count(o, -1) }), "aggregate is"},
		"sum off":        {stored(func(o *oracle.Outcome) { a := o.Aggregates[record]; a.Sum++; o.Aggregates[record] = a }), "aggregate is"},
		"histogram off":  {stored(func(o *oracle.Outcome) { a := o.Aggregates[record]; a.Counts[2]++; o.Aggregates[record] = a }), "aggregate is"},
		"aggregate lost": {stored(func(o *oracle.Outcome) { delete(o.Aggregates, record) }), "aggregate is"},
		"counted without rows": {stored(func(o *oracle.Outcome) {
			o.Aggregates[oracle.Record{Type: "movie", ID: "x"}] = oracle.Aggregate{Votes: 1}
		}), "without ratings"},
		"dead letter lost":             {stored(func(o *oracle.Outcome) { o.Dead = o.Dead[1:] }), "no dead letter"},
		"dead letter twice":            {stored(func(o *oracle.Outcome) { o.Dead = append(o.Dead, o.Dead[0]) }), "twice"},
		"good event buried":            {stored(func(o *oracle.Outcome) { o.Dead = append(o.Dead, good(*o)) }), "good event"},
		"dead letter of no record":     {stored(func(o *oracle.Outcome) { o.Dead = append(o.Dead, oracle.Place{Partition: 9, Offset: 9}) }), "good event"},
		"record lost":                  {stored(func(o *oracle.Outcome) { o.Log = o.Log[1:] }), "has none there"},
		"another record in its place":  {stored(func(o *oracle.Outcome) { o.Log[0].Value = o.Log[3].Value }), "has another one there"},
		"record that cannot be read":   {stored(func(o *oracle.Outcome) { o.Log[0].Value = []byte("{") }), "does not decode"},
		"record twice":                 {stored(func(o *oracle.Outcome) { e := o.Log[0]; e.Offset = 100_000; o.Log = append(o.Log, e) }), "were sent"},
		"ingestion before the end":     {stored(func(o *oracle.Outcome) { o.Next[1]-- }), "partition 1 is ingested up to"},
		"ingestion of one not begun":   {stored(func(o *oracle.Outcome) { delete(o.Next, 2) }), "partition 2 is ingested up to 0"},
		"film lost":                    {stored(func(o *oracle.Outcome) { delete(o.Films, "film") }), "film film"},
		"film with an unknown title":   {film("film", "Film 3"), "film film"},
		"removed film is back":         {film("gone", "Gone"), "film gone"},
		"film that was never put":      {film("x", "X"), "came from nowhere"},
		"acknowledged edit overridden": {func(l *oracle.Ledger, o *oracle.Outcome) { l.Edited("other", "B", true); o.Films["other"] = "A" }, `acknowledged was "B"`},
	} {
		t.Run(name, func(t *testing.T) {
			l, o := right(t)
			tc.lie(l, &o)
			found := l.Check(o)
			if named := strings.Contains(strings.Join(found, "\n"), tc.wants); !named || (len(found) == 0) != (tc.wants == "") {
				t.Errorf("want %q, the oracle says:\n%s", tc.wants, found)
			}
		})
	}
}

// A record of which an answer is missing may be in the log or not, and twice; one with an answer has to be there anyway.
func TestRecordsWithoutAnAnswer(t *testing.T) {
	l, o := right(t)
	value := oracle.Event{UserID: "late", RecordID: "r1", RecordType: "movie", Value: 4, RatedAt: "2010-01-01T00:00:00Z"}.JSON()
	for range 2 {
		l.Sending(value, false)
		l.Unanswered()
	}
	if found := l.Check(o); len(found) > 0 {
		t.Errorf("not in the log:\n%s", found)
	}
	late, r, err := oracle.Meaning(value, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	change(&o, late, r)
	for range 2 {
		o.Log = append(o.Log, oracle.Entry{Place: oracle.Place{Partition: 0, Offset: o.Ends[0]}, Value: value})
		o.Ends[0]++
		o.Next[0]++
	}
	if found := l.Check(o); len(found) > 0 {
		t.Errorf("twice in the log:\n%s", found)
	}
	o.Log = o.Log[1:]
	if found := l.Check(o); len(found) == 0 {
		t.Error("the loss of another one is not noticed")
	}
}

// A list for a person is short, and says how long it would be.
func TestViolationsForAPerson(t *testing.T) {
	var v oracle.Violations
	for i := range 30 {
		v.Add("violation %d", i)
	}
	text := v.String()
	if lines := strings.Count(text, "\n") + 1; lines != 21 || !strings.HasSuffix(text, "and 10 more") || len(v) != 30 || v[20] != "violation 20" {
		t.Errorf("%d lines:\n%s", lines, text)
	}
	if got := fmt.Sprint(v[:1]); got != "violation 0" {
		t.Errorf("one is printed as %q", got)
	}
}

// An aggregate counts what is a rating, and takes back what it counted.
func TestAggregate(t *testing.T) {
	var a oracle.Aggregate
	for _, value := range []int{7, 7, 10, 1, 0, -1, 11} {
		a.Add(value, 1)
	}
	a.Add(7, -1)
	if want := (oracle.Aggregate{Votes: 3, Sum: 18, Counts: [10]int64{0: 1, 6: 1, 9: 1}}); a != want {
		t.Errorf("got %+v, want %+v", a, want)
	}
}

// beforeEvent is the lie that an attempt without an answer, of the time of an event, took the event's place at an older version.
func beforeEvent(l *oracle.Ledger, o *oracle.Outcome) {
	k, r := ofEvent(*o)
	value := r.Value%10 + 1
	l.Rated(k, value, 0, time.UnixMicro(r.At-10), false)
	change(o, k, oracle.Row{Value: value, At: r.At - 1})
}

// record is one with many ratings.
var record = oracle.Record{Type: "movie", ID: "r1"}

// count changes how often a rating of 5 of record is counted.
func count(o *oracle.Outcome, n int64) {
	a := o.Aggregates[record]
	a.Add(5, n)
	o.Aggregates[record] = a
}

// ofEvent is a row that events alone made.
func ofEvent(o oracle.Outcome) (oracle.Key, oracle.Row) {
	keys := slices.SortedFunc(maps.Keys(o.Rows), func(a, b oracle.Key) int { return strings.Compare(a.UserID+a.RecordID, b.UserID+b.RecordID) })
	for _, k := range keys {
		if strings.HasPrefix(k.UserID, "u") && k.RecordID != "sync" && o.Rows[k].Value > 0 {
			return k, o.Rows[k]
		}
	}
	panic("no rating in the outcome")
}

// good is where a good event lies.
func good(o oracle.Outcome) oracle.Place {
	for _, e := range o.Log {
		if !slices.Contains(o.Dead, e.Place) {
			return e.Place
		}
	}
	panic("no good event in the outcome")
}
