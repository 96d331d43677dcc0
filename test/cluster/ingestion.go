//go:build linux

package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// The topic of rating events and the consumer group of the rating processes, which have the names of the defaults.
const (
	Topic = "ratings"
	Group = "rating"
)

// AwaitIngestion waits until the topic of rating events is there and each of its partitions belongs to a process, for two minutes at
// most. A process is ready before: it answers calls without Kafka.
func (c *Cluster) AwaitIngestion(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...))
	if err != nil {
		return err
	}
	defer client.Close()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		err := c.ingesting(ctx, kadm.NewClient(client))
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("wait for the ingestion of rating events: %w", err)
		}
	}
}

// ingesting returns nil when every partition has an owner.
func (c *Cluster) ingesting(ctx context.Context, admin *kadm.Client) error {
	topics, err := admin.ListTopics(ctx, Topic)
	if err = errors.Join(err, topics.Error()); err != nil {
		return err
	}
	groups, err := admin.DescribeGroups(ctx, Group)
	if err = errors.Join(err, groups.Error()); err != nil {
		return err
	}
	group, owned := groups[Group], 0
	for _, m := range group.Members {
		if a, ok := m.Assigned.AsConsumer(); ok {
			for _, t := range a.Topics {
				owned += len(t.Partitions)
			}
		}
	}
	if all := len(topics[Topic].Partitions); owned != all || group.State != "Stable" {
		return fmt.Errorf("%d of %d partitions have an owner, and the group of %d members is %s", owned, all, len(group.Members), group.State)
	}
	return nil
}
