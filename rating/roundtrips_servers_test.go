//go:build servers

package rating_test

import (
	"fmt"
	"net/url"
	"testing"

	"movieexample.com/internal/sqldb/sqltest"
	"movieexample.com/rating"
	"movieexample.com/test/servers"
)

// A write that nothing competes with takes three round trips to the database at most, also the first rating of a film: where
// the server is far away, that is what a write takes.
func TestRoundTripsOfAWrite(t *testing.T) {
	at, err := url.Parse(sqltest.MySQL(t).Database(t))
	if err != nil {
		t.Fatal(err)
	}
	proxy, err := servers.NewProxy(at.Host)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = proxy.Close() })
	at.Host = proxy.Address()
	f := start(t, at.String(), rating.Config{}, newClock().Now)
	f.put(t, "warm", "up", 1) // there is a connection now
	trips := &servers.RoundTrips{}
	proxy.Watch(trips.Watch)
	for _, write := range []struct {
		what string
		do   func(run int)
	}{
		{"the first rating of a film", func(run int) { f.put(t, fmt.Sprint("new", run), "a", 5) }},
		{"another one's", func(run int) { f.put(t, "1", fmt.Sprint("b", run), 6) }},
		{"a changed one", func(run int) { f.put(t, "1", "b0", 1+int32(run)) }},
		{"a deleted one", func(run int) { f.delete(t, "1", fmt.Sprint("b", run)) }},
		{"the deletion of none", func(int) { f.delete(t, "2", "a") }},
	} {
		// One run may meet the job that measures the dead letters.
		if n := trips.Counts(write.do); n[0] < 2 || n[3] > 3 {
			t.Errorf("%s took %d round trips, want 3 at most each time but once", write.what, n)
		}
	}
	if f.value(t, "new4", "a") != 5 || f.value(t, "1", "b4") != 0 || f.votes(t, "1") != 0 {
		t.Error("another result than was written")
	}
	f.checkAudit(t)
	// What goes in the text comes out as it was.
	for _, user := range []string{`a'b`, `a"b`, `a\`, `a\'; --`, `?`, "käse 🎬", `%_`} {
		if got := f.put(t, "quoted", user, 9); got.GetUserId() != user || f.value(t, "quoted", user) != 9 {
			t.Errorf("user %q: stored %v", user, got)
		}
	}
	if got, want := f.votes(t, "quoted"), int32(7); got != want {
		t.Error(fmt.Sprint(got, " votes, want ", want))
	}
}
