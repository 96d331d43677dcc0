package chaos_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"movieexample.com/test/oracle"
)

// kind is a kind of traffic: what has its own recovery time, and what a fault may or may not harm.
type kind string

// The kinds.
const (
	details    kind = "details"     // GET of a film, through the gateways
	lists      kind = "lists"       // GET of a list
	search     kind = "search"      // GET of search results
	chart      kind = "chart"       // GET of a chart
	rate       kind = "rate"        // PUT and DELETE of a rating, through the gateways
	rateDirect kind = "rate direct" // the same by gRPC, at the rating service
	edit       kind = "edit"        // PUT and DELETE of a film, through the gateways
	editDirect kind = "edit direct" // the same by gRPC, at the metadata service
	publish    kind = "publish"     // an event, until the broker acknowledges it
)

func reads() []kind  { return []kind{details, lists, search, chart} }
func writes() []kind { return []kind{rate, rateDirect, edit, editDirect} }
func kinds() []kind  { return append(append(reads(), writes()...), publish) }

// request is one that has ended.
type request struct {
	begin, end time.Time
	err        error
}

// window is the time of a fault: what of the kinds named is in flight meanwhile may fail.
type window struct {
	from, to time.Time // to is zero while it is open
	allow    []kind
}

func (w window) excuses(k kind, r request) bool {
	return slices.Contains(w.allow, k) && r.end.After(w.from) && (w.to.IsZero() || r.begin.Before(w.to))
}

// traffic counts requests and knows when each kind of them works.
type traffic struct {
	mu      sync.Mutex
	began   time.Time
	seconds map[kind]map[int]int // successes, by the second they ended in
	ok      map[kind]int
	failed  map[kind][]request
	// since the latest window was opened:
	recent  map[kind][]request
	windows []window
}

func newTraffic(now time.Time) *traffic {
	return &traffic{
		began: now, seconds: map[kind]map[int]int{}, ok: map[kind]int{}, failed: map[kind][]request{}, recent: map[kind][]request{},
	}
}

// note counts a request that has ended.
func (tr *traffic) note(k kind, begin, end time.Time, err error) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	r := request{begin, end, err}
	tr.recent[k] = append(tr.recent[k], r)
	if err != nil {
		tr.failed[k] = append(tr.failed[k], r)
		return
	}
	tr.ok[k]++
	if tr.seconds[k] == nil {
		tr.seconds[k] = map[int]int{}
	}
	tr.seconds[k][int(end.Sub(tr.began)/time.Second)]++
}

// open begins the time in which requests of these kinds may fail.
func (tr *traffic) open(now time.Time, allow []kind) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.windows = append(tr.windows, window{from: now, allow: allow})
	tr.recent = map[kind][]request{}
}

// excuse lets further kinds fail in it.
func (tr *traffic) excuse(kinds []kind) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	w := &tr.windows[len(tr.windows)-1]
	w.allow = slices.Concat(w.allow, kinds)
}

// close ends it.
func (tr *traffic) close(now time.Time) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.windows[len(tr.windows)-1].to = now
}

// steady is how many successes in a row make one believe that something works again.
const steady = 3

// works says when a kind of traffic worked for good after a fault: the end of the first request that succeeded and was begun
// after since and after every one that failed. again is false as long as fewer than steady were begun after healed.
func (tr *traffic) works(k kind, since, healed time.Time) (at time.Time, again bool) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	last := since
	for _, r := range tr.recent[k] {
		if r.err != nil && r.end.After(since) && r.begin.After(last) {
			last = r.begin
		}
	}
	n := 0
	for _, r := range tr.recent[k] {
		if r.err != nil || r.begin.Before(last) {
			continue
		}
		if at.IsZero() || r.end.Before(at) {
			at = r.end
		}
		if r.begin.After(healed) {
			n++
		}
	}
	return at, n >= steady
}

// lastError is that of the latest request of a kind that failed; nil where none did.
func (tr *traffic) lastError(k kind) error {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	if n := len(tr.failed[k]); n > 0 {
		return tr.failed[k][n-1].err
	}
	return nil
}

// total is how many requests there were, without events, and how many of them failed.
func (tr *traffic) total() (n, failed int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	for _, k := range kinds() {
		if k == publish {
			continue
		}
		n += tr.ok[k] + len(tr.failed[k])
		failed += len(tr.failed[k])
	}
	return n, failed
}

// check returns failures that no window excuses, and whole seconds of a fault in which nothing continued.
func (tr *traffic) check() oracle.Violations {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var v oracle.Violations
	for _, k := range kinds() {
		for _, r := range tr.failed[k] {
			if !slices.ContainsFunc(tr.windows, func(w window) bool { return w.excuses(k, r) }) {
				v.Add("%s failed %s after the start, having taken %s, when it had no right to: %v",
					k, r.begin.Sub(tr.began).Round(time.Millisecond), r.end.Sub(r.begin).Round(time.Millisecond), r.err)
			}
		}
	}
	for _, w := range tr.windows {
		for second := int(w.from.Sub(tr.began)/time.Second) + 1; second < int(w.to.Sub(tr.began)/time.Second); second++ {
			tr.flowed(w, second, &v)
		}
	}
	slices.Sort(v)
	return v
}

// flowed wants traffic in one whole second of a window: something that the fault may not harm has to have succeeded. Without a
// database that is events, which Kafka takes.
func (tr *traffic) flowed(w window, second int, v *oracle.Violations) {
	n, may := 0, false
	for _, k := range kinds() {
		if !slices.Contains(w.allow, k) {
			may = true
			n += tr.seconds[k][second]
		}
	}
	if may && n == 0 {
		v.Add("nothing succeeded in second %d, when a fault was on that harms only %v", second, w.allow)
	}
}

// tally is a line of counts for the report.
func (tr *traffic) tally() string {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	var parts []string
	for _, k := range kinds() {
		part := fmt.Sprintf("%s %d", k, tr.ok[k])
		if n := len(tr.failed[k]); n > 0 {
			part += fmt.Sprintf(" (%d failed)", n)
		}
		parts = append(parts, part)
	}
	return strings.Join(parts, ", ")
}

// perSecond is how many requests and events succeeded in each second of the latest window, for the report.
func (tr *traffic) perSecond() (requests, events []int) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	w := tr.windows[len(tr.windows)-1]
	to := w.to
	if to.IsZero() {
		to = time.Now()
	}
	for second := int(w.from.Sub(tr.began) / time.Second); second <= int(to.Sub(tr.began)/time.Second); second++ {
		n := 0
		for _, k := range kinds() {
			if k != publish {
				n += tr.seconds[k][second]
			}
		}
		requests, events = append(requests, n), append(events, tr.seconds[publish][second])
	}
	return requests, events
}
