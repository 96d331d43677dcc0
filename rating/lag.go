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

// lagTracker tracks, for every partition of the topic, the lag between the next record to ingest and the end of the log. The metrics
// and ListIngestPartitions read it. The ingester reports the partitions of this process; the watcher finds the others in the database.
// While the brokers do not answer, the lag stays and its age grows: ages are computed when read.
type lagTracker struct {
	now   func() time.Time
	descs lagDescs

	mu sync.Mutex
	of map[partition]*partitionLag
	// watched: the brokers were asked, so there is a metric of whether they answer.
	watched bool
	// up: they answered the last request.
	up bool
	// answered is when they last answered; before the first answer, when they were first asked.
	answered time.Time
	// answersSeen counts their answers.
	answersSeen int
	// topicID is the topic's id in the last answer; empty before, or if there is no topic.
	topicID string
}

// staleAfter is how long the brokers may not answer before the lag is at least that time: records may have been published since.
const staleAfter = 5 * time.Second

// partitionLag is the lag of one partition.
type partitionLag struct {
	// ours: this process ingests the partition.
	ours   bool
	next   int64
	placed bool // next is known
	end    int64
	ended  bool // end is known
	// from is the first offset that is not ingested: next, unless the log was truncated before it. Then it is where the log ended when
	// the truncation was found.
	from int64
	// first is where the log begins.
	first int64
	// since is the timestamp of the oldest record that is not ingested: exact, or of the record before it. Zero if unknown.
	since time.Time
	exact bool
	// noticed is when the lag was first seen, for records without a timestamp.
	noticed time.Time
	// owner is the member of the group that owns the partition; empty: none. ownerKnown: the brokers have answered.
	owner      string
	ownerKnown bool
	// halted is the halt reason of a partition.
	halted string
}

type lagDescs struct{ up, next, lag, lagInTime, owner, unowned, halted *prometheus.Desc }

func newLagTracker(now func() time.Time) *lagTracker {
	labels := []string{"topic", "partition"}
	return &lagTracker{
		now: now, of: make(map[partition]*partitionLag),
		descs: lagDescs{
			up: prometheus.NewDesc("movieexample_kafka_up",
				"1 if the brokers answered the last request about the topic of rating events, sent every second; 0 if they did not.", nil, nil),
			next: prometheus.NewDesc("movieexample_rating_ingest_next_offset", "Offset of the next record to ingest, of every partition.", labels, nil),
			lag: prometheus.NewDesc("movieexample_rating_ingest_lag_records",
				"Offsets between the next record to ingest and the end of the partition, as of the last answer of the brokers, which are asked every second. Every process reports every partition.", labels, nil),
			lagInTime: prometheus.NewDesc("movieexample_rating_ingest_lag_seconds",
				"Age of the oldest record that is not ingested, by its timestamp; without one, since it was first seen. 0 if everything is ingested. While the brokers do not answer, at least the time since they last did.", labels, nil),
			owner: prometheus.NewDesc("movieexample_rating_ingest_partition_owner",
				"1, with the member of the group that owns the partition as owner; empty if none does.", append(labels, "owner"), nil),
			unowned: prometheus.NewDesc("movieexample_rating_ingest_unowned_partitions", "Partitions of the topic without an owner.", nil, nil),
			halted:  prometheus.NewDesc("movieexample_rating_ingest_halted_partitions", "Halted partitions of the topic; ListIngestPartitions shows the reasons.", nil, nil),
		},
	}
}

// change changes the lag of a partition.
func (t *lagTracker) change(p partition, f func(*partitionLag)) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.changeLocked(p, f)
}

func (t *lagTracker) changeLocked(p partition, f func(*partitionLag)) {
	if t.of[p] == nil {
		t.of[p] = &partitionLag{}
	}
	f(t.of[p])
	if l := t.of[p]; !l.placed || !l.ended || l.from >= l.end {
		l.since, l.exact, l.noticed = time.Time{}, false, time.Time{}
	} else if l.noticed.IsZero() {
		l.noticed = t.now()
	}
}

func (l *partitionLag) moveTo(next int64) {
	if l.placed && next == l.next {
		return
	}
	if l.exact = false; next < l.next {
		l.since = time.Time{} // back to older records
	}
	l.next, l.from, l.placed, l.noticed = next, next, true, time.Time{}
}

// moved sets the next offset of a partition of this process.
func (t *lagTracker) moved(p partition, next int64) {
	t.change(p, func(l *partitionLag) {
		l.ours, l.halted = true, ""
		l.moveTo(next)
	})
}

// setHalted sets the halt reason of a partition of this process, until it is moved.
func (t *lagTracker) setHalted(p partition, reason string) {
	t.change(p, func(l *partitionLag) { l.halted = reason })
}

// truncated says that the log ends before the next offset: later records are not ingested.
func (t *lagTracker) truncated(p partition, end int64) {
	t.change(p, func(l *partitionLag) { l.from, l.end, l.ended = min(l.next, end), end, true })
}

// fetched says that records with these first and last timestamps were read, and where the log ended then. ingested is called when they
// are durable.
func (t *lagTracker) fetched(p partition, first, last time.Time, end int64) (ingested func()) {
	t.change(p, func(l *partitionLag) { l.end, l.ended, l.since, l.exact = end, true, first, true })
	// The next record is not known yet. It is hardly older than the last one.
	return func() { t.change(p, func(l *partitionLag) { l.since, l.exact = last, false }) }
}

// ends sets where the log of a partition of this process ends.
func (t *lagTracker) ends(p partition, end int64) {
	t.change(p, func(l *partitionLag) { l.end, l.ended = end, true })
}

// forget records that a partition no longer belongs to this process: its offset now comes from the database.
func (t *lagTracker) forget(p partition) {
	t.change(p, func(l *partitionLag) { l.ours, l.halted = false, "" })
}

// silent records that the brokers did not answer.
func (t *lagTracker) silent() {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.answered.IsZero() {
		t.answered = t.now()
	}
	t.watched, t.up = true, false
}

// answers returns how often the brokers have answered.
func (t *lagTracker) answers() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.answersSeen
}

// observe updates the lag from what the brokers and the database have of a topic, and who owns its partitions. placed: the database
// has answered.
func (t *lagTracker) observe(topic string, s state, who owners, placed bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watched, t.up, t.answered, t.topicID = true, true, t.now(), s.log.id
	t.answersSeen++
	if s.log.id == "" {
		return // deleted: the lag stays, and the ingester sets the halt reason
	}
	for _, number := range s.log.numbers {
		p := partition{Topic: topic, TopicID: s.log.id, Number: number}
		b, led := s.log.partitions[number]
		d := s.decide(p)
		t.changeLocked(p, func(l *partitionLag) {
			if led {
				l.first, l.end, l.ended = b.first, b.end, true
			}
			if !l.ours && placed {
				l.halted = d.reason
				if led || d.known {
					l.moveTo(d.next)
				}
				if l.ended && l.from == l.next {
					l.from = min(l.from, l.end) // a truncated log
				}
			}
			if who.known {
				l.ownerKnown = true
			}
			if who.settled {
				l.owner = who.of[number]
			}
		})
	}
	// Partitions of a former topic of this name.
	maps.DeleteFunc(t.of, func(p partition, l *partitionLag) bool { return p.TopicID != s.log.id && !l.ours })
}

// recorded updates the next offsets from the database, before the brokers have answered.
func (t *lagTracker) recorded(topic string, rows []ingestOffset) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, o := range rows {
		if o.Topic != topic || t.topicID != "" && o.TopicID != t.topicID {
			continue
		}
		t.changeLocked(o.partition, func(l *partitionLag) {
			if !l.ours {
				l.halted = o.halted
				l.moveTo(o.next)
			}
		})
	}
}

// oldest sets the timestamp of a partition's first record that is not ingested, at from; zero if it has none.
func (t *lagTracker) oldest(p partition, from int64, at time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if l := t.of[p]; l != nil && max(l.from, l.first) == from && l.from < l.end {
		l.since, l.exact = at, true
	}
}

// unknown returns the partitions that have lagged for a while and whose oldest record has an unknown timestamp, with that record's
// offset. A partition whose records are being fetched is not among them.
func (t *lagTracker) unknown(while time.Duration) map[partition]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	var out map[partition]int64
	for p, l := range t.of {
		if l.ended && l.from < l.end && !l.exact && !l.noticed.IsZero() && t.now().Sub(l.noticed) >= while {
			if out == nil {
				out = make(map[partition]int64)
			}
			out[p] = max(l.from, l.first)
		}
	}
	return out
}

// lag is the lag of a partition at one moment.
type lag struct {
	partitionLag
	age time.Duration
}

// lagOf returns the lag of a partition; ok is false if its next offset or the end of its log is unknown.
func (t *lagTracker) lagOf(p partition) (k lag, ok bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	l := t.of[p]
	if l == nil {
		return lag{}, false
	}
	return lag{*l, t.age(l)}, l.placed && l.ended
}

// topic returns the topic's id in the last answer of the brokers; empty before, or if there is no topic.
func (t *lagTracker) topic() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.topicID
}

// partitions returns the tracked partitions by number.
func (t *lagTracker) partitions() []partition {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sorted()
}

// sorted returns one partition of each number: that of the current topic, if it is tracked.
func (t *lagTracker) sorted() []partition {
	all := slices.SortedFunc(maps.Keys(t.of), func(a, b partition) int {
		rank := func(p partition) int {
			switch {
			case p.TopicID == t.topicID:
				return 0
			case t.of[p].ours:
				return 1
			}
			return 2
		}
		return cmp.Or(cmp.Compare(a.Number, b.Number), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.TopicID, b.TopicID))
	})
	return slices.CompactFunc(all, func(a, b partition) bool { return a.Number == b.Number })
}

// silence returns how long the brokers have not answered; 0 for less than staleAfter.
func (t *lagTracker) silence() time.Duration {
	if since := t.now().Sub(t.answered); t.watched && !t.up && since >= staleAfter {
		return since
	}
	return 0
}

// silentFor returns how long the brokers have not answered; 0 while they do.
func (t *lagTracker) silentFor() time.Duration {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.up || !t.watched {
		return 0
	}
	return t.now().Sub(t.answered)
}

func (l *partitionLag) records() int64 { return max(0, l.end-l.from) }

func (t *lagTracker) age(l *partitionLag) time.Duration {
	age := time.Duration(0)
	if l.placed && l.ended && l.from < l.end {
		since := l.since
		if since.IsZero() {
			since = l.noticed
		}
		age = t.now().Sub(since)
	}
	return max(0, age, t.silence())
}

// Describe implements prometheus.Collector.
func (t *lagTracker) Describe(ch chan<- *prometheus.Desc) {
	d := t.descs
	for _, desc := range []*prometheus.Desc{d.up, d.next, d.lag, d.lagInTime, d.owner, d.unowned, d.halted} {
		ch <- desc
	}
}

// Collect implements prometheus.Collector.
func (t *lagTracker) Collect(ch chan<- prometheus.Metric) {
	t.mu.Lock()
	defer t.mu.Unlock()
	send := func(desc *prometheus.Desc, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	if t.watched {
		up := 0.0
		if t.up {
			up = 1
		}
		send(t.descs.up, up)
	}
	unowned, halted := 0, 0
	for _, p := range t.sorted() {
		l, number := t.of[p], strconv.Itoa(int(p.Number))
		if l.placed {
			send(t.descs.next, float64(l.next), p.Topic, number)
			send(t.descs.lagInTime, t.age(l).Seconds(), p.Topic, number)
		}
		if l.placed && l.ended {
			send(t.descs.lag, float64(l.records()), p.Topic, number)
		}
		if l.halted != "" {
			halted++
		}
		if l.ownerKnown {
			send(t.descs.owner, 1, p.Topic, number, l.owner)
			if l.owner == "" {
				unowned++
			}
		}
	}
	send(t.descs.unowned, float64(unowned))
	send(t.descs.halted, float64(halted))
}
