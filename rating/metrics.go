package rating

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ingestMetrics are what an operator watches of ingestion.
type ingestMetrics struct {
	applied, superseded, repeated, refused prometheus.Counter
	times                                  *prometheus.CounterVec // by what is remarkable
	batches                                prometheus.Histogram
	retries, fenced                        prometheus.Counter
	foreignGroup                           prometheus.Gauge
	letters                                *letterMetrics
	gaps                                   *gaps
}

// letterMetrics are about the dead letters that there are. They are of the last measurement, and stay while the database is away.
type letterMetrics struct {
	present, bytes prometheus.Gauge
	dropped        *prometheus.CounterVec // by reason
}

// noTime counts, among what is remarkable about times, that there was none.
const noTime = "none"

// newIngestMetrics registers the metrics. now is the clock of ages.
func newIngestMetrics(reg prometheus.Registerer, now func() time.Time) (*ingestMetrics, error) {
	records := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_rating_ingest_records_total",
		Help: "Records read from the rating topic, by what became of them: applied; superseded by a newer rating, or repeated, both without effect; or refused to the dead letters.",
	}, []string{"result"})
	m := &ingestMetrics{
		applied:    records.WithLabelValues("applied"),
		superseded: records.WithLabelValues("superseded"),
		repeated:   records.WithLabelValues("repeated"),
		refused:    records.WithLabelValues("refused"),
		times: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "movieexample_rating_ingest_implausible_times_total",
			Help: "Events ingested whose time is remarkable, by reason: seconds (a record's timestamp that is likely in seconds), before-1990, or none (dated when it was first read).",
		}, []string{"reason"}),
		letters: &letterMetrics{
			present: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "movieexample_rating_dead_letters",
				Help: "Dead letters that wait for an operator to replay or drop them, when they were last counted.",
			}),
			bytes: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "movieexample_rating_dead_letters_bytes",
				Help: "What the dead letters count for against rating.dead_letter_bytes.",
			}),
			dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "movieexample_rating_dead_letters_dropped_total",
				Help: "Dead letters that this process dropped for good, by reason: bytes or age, the bounds of the settings, or operator.",
			}, []string{"reason"}),
		},
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "movieexample_rating_ingest_batch_duration_seconds",
			Help:    "Time to make one batch durable, retries included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_rating_ingest_retries_total",
			Help: "Transactions of ingestion that failed and were tried again.",
		}),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_rating_ingest_fenced_batches_total",
			Help: "Batches discarded because another process had ingested the partition meanwhile.",
		}),
		foreignGroup: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "movieexample_rating_ingest_foreign_group",
			Help: "1 while this process keeps away from the consumer group because it is another database's, or its members do not let it in.",
		}),
		gaps: newGaps(now),
	}
	// Known before they happen first, so that their rate is.
	for _, reason := range []string{"seconds", "before-1990", noTime} {
		m.times.WithLabelValues(reason)
	}
	for _, reason := range []string{droppedForBytes, droppedForAge, droppedByOperator} {
		m.letters.dropped.WithLabelValues(reason)
	}
	for _, c := range []prometheus.Collector{records, m.times, m.letters.present, m.letters.bytes, m.letters.dropped, m.batches, m.retries, m.fenced, m.foreignGroup, m.gaps} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// batch counts what became durable.
func (m *ingestMetrics) batch(recs []logRecord, done outcome, took time.Duration) {
	m.applied.Add(float64(done.applied))
	m.superseded.Add(float64(done.superseded))
	m.repeated.Add(float64(done.repeated))
	m.refused.Add(float64(done.refused))
	m.batches.Observe(took.Seconds())
	for i := range recs {
		switch {
		case recs[i].arrives:
			m.times.WithLabelValues(noTime).Inc()
		case recs[i].implausible != "":
			m.times.WithLabelValues(recs[i].implausible).Inc()
		}
	}
}
