package rating

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/twmb/franz-go/pkg/kadm"

	"movieexample.com/internal/telemetry"
)

// awaitGroup waits while the group belongs to another database, or its members would refuse us; false: ctx ended. It does not join
// meanwhile, so that it does not keep the group's owner out.
func (c *consumer) awaitGroup(ctx context.Context) bool {
	var throttle telemetry.Throttle
	for attempt := 5; ; attempt++ {
		reason, lasting, err := c.claimGroup(ctx)
		if err == nil {
			c.in.group.stayOut(reason, lasting)
		}
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			throttle.Error(c.in.log, slog.LevelWarn, waitingForKafka, err, "group", c.cfg.Group)
		case reason == "":
			return true
		default:
			throttle.Error(c.in.log, slog.LevelError, "rating events are not ingested: the consumer group is not this system's", errors.New(reason), "group", c.cfg.Group, "topic", c.cfg.Topic)
		}
		if backoff(ctx, attempt) != nil {
			return false
		}
	}
}

// claimGroup returns why this process must stay out of the group, and whether until an operator decides. When an operator has decided, it
// claims the group.
func (c *consumer) claimGroup(ctx context.Context) (reason string, lasting bool, err error) {
	own, err := c.in.group.identity(ctx)
	if err != nil {
		return "", false, err
	}
	owner, err := ownerOf(ctx, c.client, c.cfg.Group, c.cfg.Topic, own)
	if err != nil {
		return "", false, err
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	described, err := describeGroup(asking, c.client, c.cfg.Group)
	if err != nil {
		return "", false, err
	}
	occupied := occupiedReason(described, own)
	if owner == "" {
		if occupied != "" {
			return occupied, false, nil
		}
		return "", false, c.in.store.liftHalts(ctx, foreignPrefix)
	}
	reason = foreignReason(c.cfg.Group, c.cfg.Topic, owner, own)
	state, err := c.look(ctx)
	if err != nil {
		return "", false, err
	}
	if occupied == "" && c.permitted(state) {
		return "", false, c.commitClaim(ctx, own, state)
	}
	c.heldGroup = true
	return reason, true, c.haltAll(ctx, state, reason)
}

// permitted reports whether an operator has resumed all partitions since they were halted for the group.
func (c *consumer) permitted(s state) bool {
	return c.heldGroup && !slices.ContainsFunc(s.rows, func(o ingestOffset) bool {
		return o.Topic == c.cfg.Topic && o.TopicID == s.log.id && strings.HasPrefix(o.halted, foreignPrefix)
	})
}

// haltAll records the reason for all partitions, unless it did so before: those without it by then were resumed.
func (c *consumer) haltAll(ctx context.Context, s state, reason string) error {
	rows := make(map[int32]ingestOffset)
	for _, o := range s.rows {
		if o.Topic == c.cfg.Topic && o.TopicID == s.log.id {
			rows[o.Number] = o
			if strings.HasPrefix(o.halted, foreignPrefix) {
				return nil
			}
		}
	}
	for number, b := range s.log.partitions {
		next := b.first
		if row, known := rows[number]; known {
			next = row.next
		}
		p := partition{Topic: c.cfg.Topic, TopicID: s.log.id, Number: number}
		if err := c.in.store.halt(ctx, p, next, reason); err != nil && !errors.Is(err, errFenced) {
			return err
		}
	}
	return nil
}

// commitClaim makes the group, which has no members, ours: it commits our offsets.
func (c *consumer) commitClaim(ctx context.Context, own string, s state) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	offsets := make(kadm.Offsets)
	for _, o := range s.rows {
		if o.Topic == c.cfg.Topic && o.TopicID == s.log.id {
			offsets.Add(kadm.Offset{Topic: o.Topic, Partition: o.Number, At: o.next, LeaderEpoch: -1, Metadata: groupMark + own})
		}
	}
	if err := kadm.NewClient(c.client).CommitAllOffsets(ctx, c.cfg.Group, offsets); err != nil {
		return fmt.Errorf("claim consumer group %q: %w", c.cfg.Group, err)
	}
	c.in.log.Warn("consumer group claimed at an operator's request", "group", c.cfg.Group, "topic", c.cfg.Topic, "database", own)
	return nil
}

// refusedByGroup takes note that the members of the group refused us.
func (c *consumer) refusedByGroup(ctx context.Context) {
	own, err := c.in.group.identity(ctx)
	if err != nil {
		return
	}
	c.leave.Store(true)
	c.in.group.stayOut(refusedReason(c.cfg.Group, own), false)
}
