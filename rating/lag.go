package rating

import (
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gaps knows, for each owned partition, what lies between the next record to ingest and the end of the log. It is a metric that
// is computed when it is asked for, so that the age of what waits grows also while nothing else moves: a database that is
// down, a partition that stands still.
type gaps struct {
	now                  func() time.Time
	next, lag, lagInTime *prometheus.Desc

	mu sync.Mutex
	of map[partition]*gap
}

// gap is what lies between the next record to ingest and the end of one partition.
type gap struct {
	next, end int64
	ended     bool // end is known
	// from is where the records that wait begin: next, unless the log was truncated before it. Then it is where the log ended
	// when that was found.
	from int64
	// since is the timestamp of the oldest record that waits; exact, or that of the record before it. Zero where it is not known.
	since time.Time
	exact bool
	// noticed is when the gap was first seen. It stands in for a timestamp that is missing.
	noticed time.Time
}

func newGaps(now func() time.Time) *gaps {
	labels := []string{"topic", "partition"}
	return &gaps{
		now: now, of: make(map[partition]*gap),
		next: prometheus.NewDesc("rating_ingest_next_offset", "Offset of the next record to ingest.", labels, nil),
		lag: prometheus.NewDesc("rating_ingest_lag_records",
			"Offsets between the next record to ingest and the end of the partition, as of the last answer of the brokers, which are asked every second.", labels, nil),
		lagInTime: prometheus.NewDesc("rating_ingest_lag_seconds",
			"Age of the oldest record that is not ingested, by its timestamp; without one, since it was first seen. 0 where everything is ingested.", labels, nil),
	}
}

// change changes what is known of a partition.
func (g *gaps) change(p partition, f func(*gap)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.of[p] == nil {
		g.of[p] = &gap{}
	}
	f(g.of[p])
	if gp := g.of[p]; !gp.ended || gp.from >= gp.end {
		gp.since, gp.exact, gp.noticed = time.Time{}, false, time.Time{}
	} else if gp.noticed.IsZero() {
		gp.noticed = g.now()
	}
}

// moved says that a partition is ours and goes on at next.
func (g *gaps) moved(p partition, next int64) {
	g.change(p, func(gp *gap) {
		if next == gp.next {
			return
		}
		if gp.exact = false; next < gp.next {
			gp.since = time.Time{} // back to older records
		}
		gp.next, gp.from, gp.noticed = next, next, time.Time{}
	})
}

// truncated says that the log ends before the record to go on with: what comes from now on waits.
func (g *gaps) truncated(p partition, end int64) {
	g.change(p, func(gp *gap) { gp.from, gp.end, gp.ended = min(gp.next, end), end, true })
}

// fetched says that records were read, the first of them to ingest with that timestamp, and where the log ended then.
func (g *gaps) fetched(p partition, first, last time.Time, end int64) (ingested func()) {
	g.change(p, func(gp *gap) { gp.end, gp.ended, gp.since, gp.exact = end, true, first, true })
	// The record that comes next is not known yet; it is hardly older than the one before.
	return func() { g.change(p, func(gp *gap) { gp.since, gp.exact = last, false }) }
}

// ends says where the log ends now.
func (g *gaps) ends(p partition, end int64) {
	g.mu.Lock()
	_, ours := g.of[p]
	g.mu.Unlock()
	if ours {
		g.change(p, func(gp *gap) { gp.end, gp.ended = end, true })
	}
}

// oldest says which timestamp the record has that a partition waits at; zero if it has none.
func (g *gaps) oldest(p partition, from int64, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gp := g.of[p]; gp != nil && gp.from == from && gp.from < gp.end {
		gp.since, gp.exact = at, true
	}
}

// unknown returns the partitions that wait at an offset for longer than a while, and nobody knows since when: one whose records
// are on their way is not among them.
func (g *gaps) unknown(while time.Duration) map[partition]int64 {
	g.mu.Lock()
	defer g.mu.Unlock()
	var out map[partition]int64
	for p, gp := range g.of {
		if gp.ended && gp.from < gp.end && !gp.exact && !gp.noticed.IsZero() && g.now().Sub(gp.noticed) >= while {
			if out == nil {
				out = make(map[partition]int64)
			}
			out[p] = gp.from
		}
	}
	return out
}

// forget drops a partition that another process shows from now on.
func (g *gaps) forget(p partition) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.of, p)
}

// lagOf returns how far a partition is behind, in offsets and in time; ok is false where it is not ours, or nothing is known.
func (g *gaps) lagOf(p partition) (records int64, age time.Duration, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gp := g.of[p]
	if gp == nil || !gp.ended {
		return 0, 0, false
	}
	records, age = gp.lag(g.now())
	return records, age, true
}

func (gp *gap) lag(now time.Time) (records int64, age time.Duration) {
	if gp.from >= gp.end {
		return 0, 0
	}
	since := gp.since
	if since.IsZero() {
		since = gp.noticed
	}
	return gp.end - gp.from, max(0, now.Sub(since))
}

// Describe makes it a metric.
func (g *gaps) Describe(ch chan<- *prometheus.Desc) {
	ch <- g.next
	ch <- g.lag
	ch <- g.lagInTime
}

// Collect computes it.
func (g *gaps) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	now := g.now()
	for p, gp := range g.of {
		number := strconv.Itoa(int(p.Number))
		ch <- prometheus.MustNewConstMetric(g.next, prometheus.GaugeValue, float64(gp.next), p.Topic, number)
		if gp.ended {
			records, age := gp.lag(now)
			ch <- prometheus.MustNewConstMetric(g.lag, prometheus.GaugeValue, float64(records), p.Topic, number)
			ch <- prometheus.MustNewConstMetric(g.lagInTime, prometheus.GaugeValue, age.Seconds(), p.Topic, number)
		}
	}
}
