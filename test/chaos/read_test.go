//go:build servers

package chaos_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/oracle"
)

// database is where MariaDB is read past the services, so that none of their mistakes hides another.
func (r *rig) database() *sql.DB { return r.c.MariaDB.Root() }

// Prefixes of the services' tables.
const (
	ratingTables   = "movieexample_rating."
	metadataTables = "movieexample_metadata."
)

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

// drained waits until everything that is in the log is ingested.
func (r *rig) drained(ctx context.Context) error {
	ends, err := oracle.Ends(ctx, r.c.Kafka.Bootstrap(), topic)
	if err != nil {
		return err
	}
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		next, err := oracle.NextOffsets(ctx, r.database(), ratingTables)
		if err == nil && maps.EqualFunc(ends, next, func(end, next int64) bool { return next >= end }) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("ingested up to %v, and the log ends at %v (%v): %w", next, ends, err, ctx.Err())
		case <-tick.C:
		}
	}
}

// outcome reads everything that is stored; nothing may be in flight. Of the log it reads what is new, or all of it again where
// the log itself was in danger.
func (r *rig) outcome(ctx context.Context, logAgain bool) (o oracle.Outcome, err error) {
	if err := r.drained(ctx); err != nil {
		return o, err
	}
	if !logAgain {
		o.Log = r.log
	}
	if err := o.ReadLog(ctx, r.c.Kafka.Bootstrap(), topic); err != nil {
		return o, err
	}
	r.log = o.Log
	return o, errors.Join(o.ReadRatings(ctx, r.database(), ratingTables), o.ReadFilms(ctx, r.database(), metadataTables))
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
