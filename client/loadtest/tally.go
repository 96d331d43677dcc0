package loadtest

import (
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Latencies are kept in microseconds with three significant digits, up to ten minutes: more than any request can wait.
const (
	leastLatency = 1
	mostLatency  = int64(10 * time.Minute / time.Microsecond)
	digits       = 3
)

func newHistogram() *hdrhistogram.Histogram {
	return hdrhistogram.New(leastLatency, mostLatency, digits)
}

// note takes a latency down.
func note(h *hdrhistogram.Histogram, d time.Duration) {
	// It fails only for what is out of the range, and this is not.
	_ = h.RecordValue(min(max(int64(d/time.Microsecond), leastLatency), mostLatency))
}

// tally counts what happens.
type tally struct {
	plan Plan

	mu        sync.Mutex
	began     time.Time
	kinds     map[string]*count
	lateness  *hdrhistogram.Histogram // of the sending, counted requests only
	abandons  int64
	now       Second // since the last tick
	nowDelays *hdrhistogram.Histogram
	ticks     int
}

// count is what is known of one kind of request.
type count struct {
	due      int64
	answered int64 // rightly
	failed   map[string]int64
	delays   *hdrhistogram.Histogram
}

func newTally(p Plan) *tally {
	return &tally{plan: p, kinds: make(map[string]*count), lateness: newHistogram(), nowDelays: newHistogram()}
}

func (t *tally) start(at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.began = at
}

// sending takes down how late a request is sent.
func (t *tally) sending(late time.Duration, counted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.now.Sent++
	if counted {
		note(t.lateness, late)
	}
}

// answered takes down the outcome of a request, or that it was not sent; code is "" for a right answer.
func (t *tally) answered(kind, code string, delay time.Duration, counted bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch code {
	case "":
		t.now.Answered++
	case CodeNotSent:
		t.now.NotSent++
	default:
		t.now.Failed++
	}
	if code == "" || waitedInVain(code) {
		note(t.nowDelays, delay)
	}
	if !counted {
		return
	}
	c := t.kinds[kind]
	if c == nil {
		c = &count{failed: make(map[string]int64), delays: newHistogram()}
		t.kinds[kind] = c
	}
	c.due++
	if code == "" {
		c.answered++
	} else {
		c.failed[code]++
	}
	if code == "" || waitedInVain(code) {
		note(c.delays, delay)
	}
}

// abandoned takes down a request that the user's interrupt ended.
func (t *tally) abandoned() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.abandons++
}

// second returns what happened since the last time.
func (t *tally) second(underWay int) Second {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ticks++
	s := t.now
	s.N, s.Warmup, s.UnderWay = t.ticks, time.Since(t.began) < t.plan.Warmup, underWay
	s.Latency = latencyOf(t.nowDelays)
	t.now = Second{}
	t.nowDelays.Reset()
	return s
}

// report sums up what was due within the time that was counted.
func (t *tally) report(counted time.Duration) Report {
	t.mu.Lock()
	defer t.mu.Unlock()
	r := Report{
		Offered: t.plan.Rate, Seconds: counted.Seconds(), WarmupSeconds: t.plan.Warmup.Seconds(), Arrivals: t.plan.Arrivals, Seed: t.plan.Seed,
		Abandoned: t.abandons, SentLate: latencyOf(t.lateness), Kinds: []Kind{}, Environment: environment(),
	}
	all := &count{failed: make(map[string]int64), delays: newHistogram()}
	for _, name := range slices.Sorted(maps.Keys(t.kinds)) {
		c := t.kinds[name]
		r.Kinds = append(r.Kinds, c.kind(name, r.Seconds))
		all.due += c.due
		all.answered += c.answered
		for code, n := range c.failed {
			all.failed[code] += n
		}
		all.delays.Merge(c.delays)
	}
	r.All = all.kind("all", r.Seconds)
	return r
}

func (c *count) kind(name string, seconds float64) Kind {
	k := Kind{Kind: name, Due: c.due, Answered: c.answered, NotSent: c.failed[CodeNotSent], Latency: latencyOf(c.delays)}
	k.Failed = c.due - c.answered - k.NotSent
	if seconds > 0 {
		k.Rate = float64(c.answered) / seconds
	}
	if len(c.failed) > 0 {
		k.Errors = maps.Clone(c.failed)
	}
	return k
}

func latencyOf(h *hdrhistogram.Histogram) Latency {
	if h.TotalCount() == 0 {
		return Latency{}
	}
	ms := func(us int64) float64 { return float64(us) / 1000 }
	return Latency{
		Mean: h.Mean() / 1000, P50: ms(h.ValueAtQuantile(50)), P90: ms(h.ValueAtQuantile(90)), P99: ms(h.ValueAtQuantile(99)),
		P999: ms(h.ValueAtQuantile(99.9)), Max: ms(h.Max()),
	}
}
