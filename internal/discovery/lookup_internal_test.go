package discovery

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// A registry that comes back with less than it had is not believed at once: who is
// missing may be about to register again.
func TestInstancesSettleAfterAnOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, err := newRegistry(Options{})
		if err != nil {
			t.Fatal(err)
		}
		defer r.cancel()
		l := newLookup(r, "rating")
		l.settle = 10 * time.Second
		expect := func(what string, want ...string) {
			t.Helper()
			if got := l.known(); !slices.Equal(got, want) {
				t.Errorf("%s: %q, want %q", what, got, want)
			}
		}
		l.found([]string{"b", "a", "b"})
		expect("sorted, each once", "a", "b")
		if again := l.found([]string{"b"}); again != 0 {
			t.Errorf("asked again after %v without an outage", again)
		}
		expect("without an outage an answer counts at once", "b")

		if !l.failed() || l.failed() {
			t.Error("news are only the first of several failures")
		}
		expect("while it is down", "b")
		if again := l.found(nil); again != 10*time.Second {
			t.Errorf("asked again after %v, want 10 s", again)
		}
		expect("it is back and has forgotten", "b")
		time.Sleep(4 * time.Second) // the bubble's clock, which stalls otherwise
		if again := l.found([]string{"c"}); again != 6*time.Second {
			t.Errorf("asked again after %v, want 6 s", again)
		}
		expect("what is new counts at once", "b", "c")
		if again := l.found([]string{"b", "c"}); again != 0 {
			t.Errorf("asked again after %v with nothing missing", again)
		}
		time.Sleep(6 * time.Second)
		l.found([]string{"c"})
		expect("settled", "c")

		l.doubt()
		l.found(nil)
		expect("in doubt", "c")
		time.Sleep(10 * time.Second)
		l.found(nil)
		expect("beyond doubt")
	})
}
