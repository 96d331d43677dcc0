package rating

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ingestMetrics are the metrics of ingestion.
type ingestMetrics struct {
	applied, superseded, repeated, refused prometheus.Counter
	times                                  *prometheus.CounterVec // by what is unusual
	batches                                prometheus.Histogram
	retries, fenced                        prometheus.Counter
	foreignGroup                           prometheus.Gauge
	letters                                *deadLetterMetrics
	lag                                    *lagTracker
}

// Why a dead letter was dropped.
const (
	droppedForBytes   = "bytes"
	droppedForAge     = "age"
	droppedByOperator = "operator"
)

// deadLetterMetrics count the existing dead letters. While the database is down, they keep the values of the last measurement.
type deadLetterMetrics struct {
	present, bytes prometheus.Gauge
	dropped        *prometheus.CounterVec // by reason
}

// noTime is the reason for events without a time in the metric of implausible times.
const noTime = "none"

// newIngestMetrics registers the metrics. now is the clock for ages.
func newIngestMetrics(reg prometheus.Registerer, now func() time.Time) (*ingestMetrics, error) {
	records := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "movieexample_rating_ingest_records_total",
		Help: "Records read from the rating topic, by result: applied; superseded by a newer rating, or repeated, both without effect; or refused and kept as dead letters.",
	}, []string{"result"})
	m := &ingestMetrics{
		applied:    records.WithLabelValues("applied"),
		superseded: records.WithLabelValues("superseded"),
		repeated:   records.WithLabelValues("repeated"),
		refused:    records.WithLabelValues("refused"),
		times: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "movieexample_rating_ingest_implausible_times_total",
			Help: "Ingested events whose time is implausible, by reason: seconds (a record's timestamp that is likely in seconds), before-1990, or none (dated when first read).",
		}, []string{"reason"}),
		letters: &deadLetterMetrics{
			present: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "movieexample_rating_dead_letters",
				Help: "Dead letters to be replayed or dropped by an operator, when last counted.",
			}),
			bytes: prometheus.NewGauge(prometheus.GaugeOpts{
				Name: "movieexample_rating_dead_letters_bytes",
				Help: "Size of the dead letters, which rating.dead_letter_bytes bounds.",
			}),
			dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
				Name: "movieexample_rating_dead_letters_dropped_total",
				Help: "Dead letters that this process dropped, by reason: bytes or age, the configured bounds, or operator.",
			}, []string{"reason"}),
		},
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "movieexample_rating_ingest_batch_duration_seconds",
			Help:    "Time to make one batch durable, retries included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_rating_ingest_retries_total",
			Help: "Ingestion transactions that failed and were retried.",
		}),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "movieexample_rating_ingest_fenced_batches_total",
			Help: "Batches discarded because another process had ingested the partition.",
		}),
		foreignGroup: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "movieexample_rating_ingest_foreign_group",
			Help: "1 while this process stays out of the consumer group because the group belongs to another database or its members refuse this process.",
		}),
		lag: newLagTracker(now),
	}
	// Present before the first event, so that their rate is known.
	for _, reason := range []string{"seconds", "before-1990", noTime} {
		m.times.WithLabelValues(reason)
	}
	for _, reason := range []string{droppedForBytes, droppedForAge, droppedByOperator} {
		m.letters.dropped.WithLabelValues(reason)
	}
	for _, c := range []prometheus.Collector{records, m.times, m.letters.present, m.letters.bytes, m.letters.dropped, m.batches, m.retries, m.fenced, m.foreignGroup, m.lag} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// batch counts a durable batch.
func (m *ingestMetrics) batch(recs []logRecord, done outcome, took time.Duration) {
	for i := range recs {
		switch {
		case recs[i].arrives:
			m.times.WithLabelValues(noTime).Inc()
		case recs[i].implausible != "":
			m.times.WithLabelValues(recs[i].implausible).Inc()
		}
	}
	m.applied.Add(float64(done.applied))
	m.superseded.Add(float64(done.superseded))
	m.repeated.Add(float64(done.repeated))
	m.refused.Add(float64(done.refused))
	m.batches.Observe(took.Seconds())
}
