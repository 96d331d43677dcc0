//go:build servers

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
)

// What is stored is read as root and from the brokers, not through the services, so that none of their mistakes hides another.

// query calls each for every row.
func (r *rig) query(ctx context.Context, query string, each func(scan func(...any) error) error) error {
	rows, err := r.c.MariaDB.Root().QueryContext(ctx, query)
	if err != nil {
		return fmt.Errorf("%s: %w", query, err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := each(rows.Scan); err != nil {
			return fmt.Errorf("%s: %w", query, err)
		}
	}
	return rows.Err()
}

// nextOffsets is where ingestion goes on, by partition.
func (r *rig) nextOffsets(ctx context.Context) (map[int32]int64, error) {
	next := map[int32]int64{}
	return next, r.query(ctx, "SELECT part, next_offset FROM movieexample_rating.ingest_offsets", func(scan func(...any) error) error {
		var p int32
		var n int64
		err := scan(&p, &n)
		next[p] = n
		return err
	})
}

// ends is where the log ends, by partition.
func (r *rig) ends(ctx context.Context) (map[int32]int64, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.c.Kafka.Bootstrap()...), kgo.DisableClientMetrics())
	if err != nil {
		return nil, err
	}
	defer client.Close()
	listed, err := kadm.NewClient(client).ListEndOffsets(ctx, topic)
	if err = errors.Join(err, listed.Error()); err != nil {
		return nil, fmt.Errorf("list the ends of the log: %w", err)
	}
	ends := map[int32]int64{}
	listed.Each(func(o kadm.ListedOffset) { ends[o.Partition] = o.Offset })
	return ends, nil
}

// replicated returns an error while a replica of a partition lacks records.
func (r *rig) replicated(ctx context.Context) error {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.c.Kafka.Bootstrap()...), kgo.DisableClientMetrics())
	if err != nil {
		return err
	}
	defer client.Close()
	topics, err := kadm.NewClient(client).ListTopics(ctx, topic)
	if err = errors.Join(err, topics.Error()); err != nil {
		return fmt.Errorf("list the replicas: %w", err)
	}
	for _, p := range topics[topic].Partitions {
		if len(p.ISR) != r.setup.brokers {
			return fmt.Errorf("partition %d has %d replicas in sync", p.Partition, len(p.ISR))
		}
	}
	return nil
}

// readLog reads the log up to ends: what is new, or all of it again where the log itself was in danger.
func (r *rig) readLog(ctx context.Context, ends map[int32]int64, again bool) error {
	if again {
		r.log = nil
	}
	from, left := map[int32]kgo.Offset{}, map[int32]int64{}
	at := map[int32]int64{}
	for _, e := range r.log {
		at[e.partition] = max(at[e.partition], e.offset+1)
	}
	for p, end := range ends {
		if at[p] < end {
			from[p], left[p] = kgo.NewOffset().At(at[p]), end
		}
	}
	if len(left) == 0 {
		return nil
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(r.c.Kafka.Bootstrap()...), kgo.DisableClientMetrics(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: from}), kgo.FetchMaxPartitionBytes(8<<20))
	if err != nil {
		return err
	}
	defer client.Close()
	for len(left) > 0 {
		fetches := client.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			return fmt.Errorf("read the log back: %w", err)
		}
		fetches.EachRecord(func(rec *kgo.Record) {
			end, wanted := left[rec.Partition]
			if !wanted {
				return
			}
			r.log = append(r.log, logEntry{place: place{rec.Partition, rec.Offset}, value: rec.Value, sent: rec.Timestamp})
			if rec.Offset+1 >= end {
				delete(left, rec.Partition)
			}
		})
	}
	return nil
}

// drained waits until everything that is in the log is ingested, and returns where the log ends.
func (r *rig) drained(ctx context.Context) (map[int32]int64, error) {
	ends, err := r.ends(ctx)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		next, err := r.nextOffsets(ctx)
		if err == nil && maps.EqualFunc(ends, next, func(end, next int64) bool { return next >= end }) {
			return ends, nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("ingested up to %v, and the log ends at %v (%v): %w", next, ends, err, ctx.Err())
		case <-tick.C:
		}
	}
}

// outcome reads everything that is stored. Nothing may be under way.
func (r *rig) outcome(ctx context.Context, logAgain bool) (o outcome, err error) {
	if o.ends, err = r.drained(ctx); err != nil {
		return o, err
	}
	if err := r.readLog(ctx, o.ends, logAgain); err != nil {
		return o, err
	}
	o.log = r.log
	if o.next, err = r.nextOffsets(ctx); err != nil {
		return o, err
	}
	o.rows, o.aggregates, o.films = map[rowKey]row{}, map[[2]string]aggregate{}, map[string]string{}
	return o, errors.Join(
		r.query(ctx, "SELECT record_type, record_id, user_id, value, rated_at FROM movieexample_rating.ratings", func(scan func(...any) error) error {
			var k rowKey
			var s row
			err := scan(&k.recordType, &k.record, &k.user, &s.value, &s.at)
			o.rows[k] = s
			return err
		}),
		r.query(ctx, "SELECT record_type, record_id, votes, total, c1, c2, c3, c4, c5, c6, c7, c8, c9, c10 FROM movieexample_rating.aggregates",
			func(scan func(...any) error) error {
				var name [2]string
				var a aggregate
				dest := []any{&name[0], &name[1], &a.votes, &a.sum}
				for i := range a.counts {
					dest = append(dest, &a.counts[i])
				}
				err := scan(dest...)
				o.aggregates[name] = a
				return err
			}),
		r.query(ctx, "SELECT part, record_offset FROM movieexample_rating.dead_letters", func(scan func(...any) error) error {
			var p place
			err := scan(&p.partition, &p.offset)
			o.dead = append(o.dead, p)
			return err
		}),
		r.query(ctx, "SELECT id, title FROM movieexample_metadata.movies", func(scan func(...any) error) error {
			var id, title string
			err := scan(&id, &title)
			o.films[id] = title
			return err
		}),
	)
}

// audit asks the rating service to recompute all aggregates, and returns how many it looked at and what differs.
func (r *rig) audit(ctx context.Context) (checked int64, differ []string, err error) {
	req := &ratingv1.AuditAggregatesRequest{}
	for {
		resp, err := r.admin.AuditAggregates(ctx, req)
		if err != nil {
			return checked, differ, fmt.Errorf("audit: %w", err)
		}
		checked += resp.GetChecked()
		for _, d := range resp.GetDifferences() {
			differ = append(differ, fmt.Sprintf("audit: %s %q: %s is %d, recomputed %d", d.GetRecordType(), d.GetRecordId(), d.GetField(), d.GetStored(), d.GetRecomputed()))
		}
		if req.PageToken = resp.GetNextPageToken(); req.PageToken == "" {
			return checked, differ, nil
		}
	}
}
