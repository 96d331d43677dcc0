package rating

import (
	"cmp"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// gaps knows, for each partition of the topic, whichever process has it, what lies between the next record to ingest and the end
// of the log. ListIngestPartitions and the metrics both read it. A partition of this process is told of by the ingester, every
// other by what the monitor finds in the database. What was known stays while the brokers do not answer, and its age grows: ages
// are computed when they are asked for.
type gaps struct {
	now   func() time.Time
	descs gapDescs

	mu sync.Mutex
	of map[partition]*gap
	// watched: the brokers are asked, so that what they say is a metric.
	watched bool
	// up: they answered when they were asked last.
	up bool
	// answered is when they did, and before the first answer when they were first asked.
	answered time.Time
	// answersSeen counts their answers.
	answersSeen int
	// topicID is the topic's id as the brokers told last; empty before, or where there is none.
	topicID string
}

// staleAfter is how long the brokers may be silent before the age of what waits is the time of their silence: what has been
// published since, nobody knows.
const staleAfter = 5 * time.Second

// gap is what lies between the next record to ingest and the end of one partition.
type gap struct {
	// ours: this process ingests the partition.
	ours   bool
	next   int64
	placed bool // next is known
	end    int64
	ended  bool // end is known
	// from is where the records that wait begin: next, unless the log was truncated before it. Then it is where the log ended
	// when that was found.
	from int64
	// first is where the log begins.
	first int64
	// since is the timestamp of the oldest record that waits; exact, or that of the record before it. Zero where it is not known.
	since time.Time
	exact bool
	// noticed is when the gap was first seen. It stands in for a timestamp that is missing.
	noticed time.Time
	// owner is the member of the group that has the partition; empty: none has. ownerKnown: the brokers told.
	owner      string
	ownerKnown bool
	// halted is why the partition stands still, of one that is not ours.
	halted string
}

type gapDescs struct{ up, next, lag, lagInTime, owner, unowned, halted *prometheus.Desc }

func newGaps(now func() time.Time) *gaps {
	labels := []string{"topic", "partition"}
	return &gaps{
		now: now, of: make(map[partition]*gap),
		descs: gapDescs{
			up: prometheus.NewDesc("movieexample_kafka_up",
				"1 if the brokers answered when they were last asked about the topic of rating events, which is every second; 0 if they did not.", nil, nil),
			next: prometheus.NewDesc("movieexample_rating_ingest_next_offset", "Offset of the next record to ingest, of every partition.", labels, nil),
			lag: prometheus.NewDesc("movieexample_rating_ingest_lag_records",
				"Offsets between the next record to ingest and the end of the partition, as of the last answer of the brokers, which are asked every second. Every process tells it of every partition.", labels, nil),
			lagInTime: prometheus.NewDesc("movieexample_rating_ingest_lag_seconds",
				"Age of the oldest record that is not ingested, by its timestamp; without one, since it was first seen. 0 where everything is ingested. While the brokers do not answer, at least the time since they last did.", labels, nil),
			owner: prometheus.NewDesc("movieexample_rating_ingest_partition_owner",
				"1, with the group's member that has the partition as owner; empty where none has.", append(labels, "owner"), nil),
			unowned: prometheus.NewDesc("movieexample_rating_ingest_unowned_partitions", "Partitions of the topic that no process ingests: the number without an owner.", nil, nil),
			halted:  prometheus.NewDesc("movieexample_rating_ingest_halted_partitions", "Partitions of the topic that stand still until an operator looks at them; ListIngestPartitions says why.", nil, nil),
		},
	}
}

// change changes what is known of a partition.
func (g *gaps) change(p partition, f func(*gap)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.changeLocked(p, f)
}

func (g *gaps) changeLocked(p partition, f func(*gap)) {
	if g.of[p] == nil {
		g.of[p] = &gap{}
	}
	f(g.of[p])
	if gp := g.of[p]; !gp.placed || !gp.ended || gp.from >= gp.end {
		gp.since, gp.exact, gp.noticed = time.Time{}, false, time.Time{}
	} else if gp.noticed.IsZero() {
		gp.noticed = g.now()
	}
}

func (gp *gap) moveTo(next int64) {
	if gp.placed && next == gp.next {
		return
	}
	if gp.exact = false; next < gp.next {
		gp.since = time.Time{} // back to older records
	}
	gp.next, gp.from, gp.placed, gp.noticed = next, next, true, time.Time{}
}

// moved says that a partition is ours and goes on at next.
func (g *gaps) moved(p partition, next int64) {
	g.change(p, func(gp *gap) {
		gp.ours, gp.halted = true, ""
		gp.moveTo(next)
	})
}

// halted says that one of our partitions stands still, until it is moved.
func (g *gaps) halted(p partition, reason string) {
	g.change(p, func(gp *gap) { gp.halted = reason })
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

// ends says where the log of one of our partitions ends now.
func (g *gaps) ends(p partition, end int64) {
	g.change(p, func(gp *gap) { gp.end, gp.ended = end, true })
}

// forget says that a partition is not ours any more: from now on the database tells how far it is.
func (g *gaps) forget(p partition) {
	g.change(p, func(gp *gap) { gp.ours, gp.halted = false, "" })
}

// silent says that the brokers were asked, and did not answer.
func (g *gaps) silent() {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.answered.IsZero() {
		g.answered = g.now()
	}
	g.watched, g.up = true, false
}

// answers is how often the brokers have answered.
func (g *gaps) answers() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.answersSeen
}

// observe takes over what brokers and database tell of a topic, and who has its partitions. placed: the database did tell.
func (g *gaps) observe(topic string, s state, who owners, placed bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.watched, g.up, g.answered, g.topicID = true, true, g.now(), s.log.id
	g.answersSeen++
	if s.log.id == "" {
		return // deleted: what was known stays, and its reason is told by the ingester
	}
	for _, number := range s.log.numbers {
		p := partition{Topic: topic, TopicID: s.log.id, Number: number}
		b, led := s.log.partitions[number]
		j := s.judge(p)
		g.changeLocked(p, func(gp *gap) {
			if led {
				gp.first, gp.end, gp.ended = b.first, b.end, true
			}
			if !gp.ours && placed {
				gp.halted = j.reason
				if led || j.known {
					gp.moveTo(j.next)
				}
				if gp.ended && gp.from == gp.next {
					gp.from = min(gp.from, gp.end) // a truncated log
				}
			}
			if who.known {
				gp.ownerKnown = true
			}
			if who.settled {
				gp.owner = who.of[number]
			}
		})
	}
	// Those of a topic that had the name before.
	maps.DeleteFunc(g.of, func(p partition, gp *gap) bool { return p.TopicID != s.log.id && !gp.ours })
}

// recorded takes over how far the partitions are by the database, for a process that has not heard from the brokers yet.
func (g *gaps) recorded(topic string, rows []ingestOffset) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, o := range rows {
		if o.Topic != topic || g.topicID != "" && o.TopicID != g.topicID {
			continue
		}
		g.changeLocked(o.partition, func(gp *gap) {
			if !gp.ours {
				gp.halted = o.halted
				gp.moveTo(o.next)
			}
		})
	}
}

// oldest says which timestamp the record has that a partition waits at since from; zero if it has none.
func (g *gaps) oldest(p partition, from int64, at time.Time) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if gp := g.of[p]; gp != nil && max(gp.from, gp.first) == from && gp.from < gp.end {
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
			out[p] = max(gp.from, gp.first)
		}
	}
	return out
}

// known is what is known of a partition at one moment.
type known struct {
	gap
	age time.Duration
}

// lagOf returns what is known of a partition; ok is false where it is not known how far it is, or where its log ends.
func (g *gaps) lagOf(p partition) (k known, ok bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	gp := g.of[p]
	if gp == nil {
		return known{}, false
	}
	return known{gap: *gp, age: g.age(gp)}, gp.placed && gp.ended
}

// topic is the id that the brokers told last; empty before they did, and where there is none.
func (g *gaps) topic() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.topicID
}

// partitions returns those that are known, by number.
func (g *gaps) partitions() []partition {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.sorted()
}

// sorted returns one partition of each number: that of the topic that is there, if it is known.
func (g *gaps) sorted() []partition {
	all := slices.SortedFunc(maps.Keys(g.of), func(a, b partition) int {
		rank := func(p partition) int {
			switch {
			case p.TopicID == g.topicID:
				return 0
			case g.of[p].ours:
				return 1
			}
			return 2
		}
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.TopicID, b.TopicID))
	})
	return slices.CompactFunc(all, func(a, b partition) bool { return a.Number == b.Number })
}

// silence is how long the brokers have not answered, as far as that is worth telling.
func (g *gaps) silence() time.Duration {
	if since := g.now().Sub(g.answered); g.watched && !g.up && since >= staleAfter {
		return since
	}
	return 0
}

// silentFor is how long the brokers have not answered; 0 while they do.
func (g *gaps) silentFor() time.Duration {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.up || !g.watched {
		return 0
	}
	return g.now().Sub(g.answered)
}

func (gp *gap) records() int64 { return max(0, gp.end-gp.from) }

func (g *gaps) age(gp *gap) time.Duration {
	age := time.Duration(0)
	if gp.placed && gp.ended && gp.from < gp.end {
		since := gp.since
		if since.IsZero() {
			since = gp.noticed
		}
		age = g.now().Sub(since)
	}
	return max(0, age, g.silence())
}

// Describe makes it a metric.
func (g *gaps) Describe(ch chan<- *prometheus.Desc) {
	d := g.descs
	for _, desc := range []*prometheus.Desc{d.up, d.next, d.lag, d.lagInTime, d.owner, d.unowned, d.halted} {
		ch <- desc
	}
}

// Collect computes it.
func (g *gaps) Collect(ch chan<- prometheus.Metric) {
	g.mu.Lock()
	defer g.mu.Unlock()
	tell := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if g.watched {
		up := 0.0
		if g.up {
			up = 1
		}
		tell(g.descs.up, up)
	}
	unowned, halted := 0, 0
	for _, p := range g.sorted() {
		gp, number := g.of[p], strconv.Itoa(int(p.Number))
		if gp.placed {
			tell(g.descs.next, float64(gp.next), p.Topic, number)
			tell(g.descs.lagInTime, g.age(gp).Seconds(), p.Topic, number)
		}
		if gp.placed && gp.ended {
			tell(g.descs.lag, float64(gp.records()), p.Topic, number)
		}
		if gp.halted != "" {
			halted++
		}
		if gp.ownerKnown {
			tell(g.descs.owner, 1, p.Topic, number, gp.owner)
			if gp.owner == "" {
				unowned++
			}
		}
	}
	tell(g.descs.unowned, float64(unowned))
	tell(g.descs.halted, float64(halted))
}
