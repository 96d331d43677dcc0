package rating

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ingestMetrics are what an operator watches of ingestion.
type ingestMetrics struct {
	applied, refused prometheus.Counter
	batches          prometheus.Histogram
	retries, fenced  prometheus.Counter
	halted           prometheus.Gauge
	foreignGroup     prometheus.Gauge
	gaps             *gaps
}

// newIngestMetrics registers the metrics. deadLetters counts those that are there, now is the clock of ages.
func newIngestMetrics(reg prometheus.Registerer, now func() time.Time, deadLetters func() float64) (*ingestMetrics, error) {
	records := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "rating_ingest_records_total",
		Help: "Records read from the rating topic, by what became of them: applied, or refused to the dead letters.",
	}, []string{"result"})
	m := &ingestMetrics{
		applied: records.WithLabelValues("applied"),
		refused: records.WithLabelValues("refused"),
		batches: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "rating_ingest_batch_seconds",
			Help:    "Time to make one batch durable, retries included.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 15),
		}),
		retries: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rating_ingest_retries_total",
			Help: "Transactions of ingestion that failed and were tried again.",
		}),
		fenced: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "rating_ingest_fenced_total",
			Help: "Batches discarded because another process had ingested the partition meanwhile.",
		}),
		halted: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rating_ingest_halted_partitions",
			Help: "Partitions that stand still until an operator looks at them; ListIngestPartitions says why.",
		}),
		foreignGroup: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "rating_ingest_foreign_group",
			Help: "1 while this process keeps away from the consumer group because it is another database's, or its members do not let it in.",
		}),
		gaps: newGaps(now),
	}
	present := prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "rating_dead_letters",
		Help: "Dead letters that wait for an operator to replay or drop them; NaN where the database does not answer.",
	}, deadLetters)
	for _, c := range []prometheus.Collector{records, present, m.batches, m.retries, m.fenced, m.halted, m.foreignGroup, m.gaps} {
		if err := reg.Register(c); err != nil {
			return nil, err
		}
	}
	return m, nil
}

func (m *ingestMetrics) batch(records, refused int, took time.Duration) {
	m.refused.Add(float64(refused))
	m.applied.Add(float64(records - refused))
	m.batches.Observe(took.Seconds())
}
