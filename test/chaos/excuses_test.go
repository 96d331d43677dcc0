package chaos_test

import (
	"errors"
	"testing"
	"time"
)

// TestExcuses: a failure is excused where a fault that may harm its kind was on while it was in flight, and nowhere else; and a
// fault under which nothing continued proves nothing.
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
	t.Run("nothing continued", func(t *testing.T) {
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
