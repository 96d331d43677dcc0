package rating

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/telemetry"
)

// startOffsets replaces Kafka's committed offsets by the database's. The former owner has released the partitions, or is
// presumed dead. If it still commits a batch, our next batch is fenced.
//
// It waits for brokers and database as long as the assignment holds: an error would make this member leave with all its partitions and
// rejoin, and every other member stops for a rebalance each time.
func (c *consumer) startOffsets(ctx context.Context, assigned map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	if len(assigned[c.cfg.Topic]) == 0 {
		return assigned, nil
	}
	var throttle telemetry.Throttle
	for attempt := 0; ; attempt++ {
		err := c.guarded(func() error { return c.assign(ctx, assigned[c.cfg.Topic]) })
		if err == nil {
			throttle.Recovered(c.in.log, "ingestion of the assigned partitions started", "topic", c.cfg.Topic, "partitions", len(assigned[c.cfg.Topic]))
			return assigned, nil
		}
		if ctx.Err() != nil || errors.Is(err, errForeignGroup) || c.failed.Load() != nil {
			return nil, errors.Join(ctx.Err(), err)
		}
		throttle.Error(c.in.log, slog.LevelWarn, "starting ingestion of the assigned partitions failed; retrying", err, "topic", c.cfg.Topic, "partitions", len(assigned[c.cfg.Topic]))
		if err := backoff(ctx, attempt); err != nil {
			return nil, err
		}
	}
}

// assign takes ownership of assigned partitions and sets the offsets to read from.
func (c *consumer) assign(ctx context.Context, assigned map[int32]kgo.Offset) error {
	if err := c.checkGroup(ctx); err != nil {
		return err
	}
	state, err := c.look(ctx)
	if err != nil {
		return err
	}
	c.mu.Lock()
	if c.topicID == "" {
		c.topicID = state.log.id
	}
	id := c.topicID
	c.mu.Unlock()
	for number := range assigned {
		p := partition{Topic: c.cfg.Topic, TopicID: id, Number: number}
		next, err := c.reconcile(ctx, p, state)
		if err != nil {
			return err
		}
		c.mu.Lock()
		c.owned[number] = p
		c.mu.Unlock()
		// No epoch: the database does not keep one.
		assigned[number] = kgo.NewOffset().At(next).WithEpoch(-1)
	}
	return nil
}

// checkGroup returns errForeignGroup if the group turns out to be another database's after we have joined.
func (c *consumer) checkGroup(ctx context.Context) error {
	own, err := c.in.group.identity(ctx)
	if err != nil {
		return err
	}
	owner, err := ownerOf(ctx, c.client, c.cfg.Group, c.cfg.Topic, own)
	if err == nil && owner != "" {
		c.leave.Store(true)
		err = errForeignGroup
	}
	return err
}

// reconcile takes ownership of a partition as the state of brokers and database demands: it starts ingestion, or halts the partition. It
// returns the offset to read from.
func (c *consumer) reconcile(ctx context.Context, p partition, s state) (int64, error) {
	if _, known := s.log.partitions[p.Number]; !known && s.log.id == p.TopicID {
		return 0, fmt.Errorf("partition %s has no leader to ask for its first and last offset", p)
	}
	d := s.decide(p)
	if d.reason != "" {
		c.in.own(p, d.next)
		c.halt(ctx, p, halt{reason: d.reason, lasting: d.lasting, known: d.known})
		c.noteTruncation(p, s.log)
		return d.next, nil
	}
	next, err := c.in.startPartition(ctx, p, d.next)
	if err != nil {
		return 0, fmt.Errorf("look up the next offset: %w", err)
	}
	c.in.lag.ends(p, s.log.partitions[p.Number].end)
	if d.row != nil {
		c.recordResumed(ctx, *d.row)
	}
	// A pause for a halt outlives the assignment.
	c.client.ResumeFetchPartitions(map[string][]int32{p.Topic: {p.Number}})
	return next, nil
}

// stop releases partitions that were revoked or lost.
func (c *consumer) stop(_ context.Context, _ *kgo.Client, given map[string][]int32) {
	_ = c.guarded(func() error { // poll returns its panic
		c.mu.Lock()
		defer c.mu.Unlock()
		for _, number := range given[c.cfg.Topic] {
			if p, ok := c.owned[number]; ok {
				c.in.stop(p)
				delete(c.owned, number)
			}
		}
		return nil
	})
}

// stopAll releases the remaining partitions when the client is closed.
func (c *consumer) stopAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for number, p := range c.owned {
		c.in.stop(p)
		delete(c.owned, number)
	}
}

// review looks at our partitions: an operator may have moved or resumed one, the cause of a halt may have ended, and one may be
// stalled at a batch that the client does not report. It reports whether the topic has another id, which needs a new client.
func (c *consumer) review(ctx context.Context) (recreated bool) {
	c.mu.Lock()
	id := c.topicID
	c.mu.Unlock()
	// A member without partitions learns of another topic only from the watcher.
	watched := c.in.lag.topic()
	halted, other := c.in.halts(), id != "" && watched != "" && watched != id
	moved := c.follow(ctx, id)
	c.checkStalled(ctx)
	if len(halted) == 0 && !other && !moved {
		return false
	}
	s, err := c.look(ctx)
	if err != nil {
		return false // the next review looks again, and the parts that wait for brokers or database log it
	}
	if s.log.id != id && s.log.id != "" {
		c.in.log.Info("the topic was recreated; reading it under its new id", "topic", c.cfg.Topic, "topic_id", s.log.id, "was", id)
		return true
	}
	for p, h := range halted {
		d := s.decide(p)
		next, _ := c.in.position(p)
		// Not recorded yet, and the log may have grown over the cause: it still holds, unless the partition was moved. That a
		// topic was recreated, its rows tell at any time.
		unrecorded := h.lasting && !h.recorded
		if d.reason == "" && unrecorded && h.known && d.next == next {
			d.reason = h.reason
		}
		if d.reason != "" {
			if unrecorded {
				c.recordHalt(ctx, p, d.reason)
			}
			continue
		}
		next, err := c.reconcile(ctx, p, s)
		if err != nil {
			continue
		}
		c.seek(p, next)
		c.in.log.Info("ingestion of a partition resumed", "partition", p.String(), "topic_id", p.TopicID, "offset", next)
	}
	return false
}

// follow seeks in partitions that are not halted and that an operator has moved. It runs while no batch is being written, so that the
// database's offset and ours are otherwise the same. It reports whether an operator has moved a partition under another id of the
// topic: the topic was recreated, and the watcher may learn it later than the operator who waits.
func (c *consumer) follow(ctx context.Context, id string) (elsewhere bool) {
	rows, err := c.in.store.offsets(ctx)
	if err != nil {
		return false // the next review looks again
	}
	for _, o := range rows {
		if o.Topic == c.cfg.Topic && o.TopicID != id && o.moved != 0 {
			elsewhere = true
		}
		p, owned := c.part(o.Number)
		if !owned || p != o.partition || o.halted != "" || c.in.haltReason(p) != "" {
			continue
		}
		if next, ours := c.in.position(p); !ours || next == o.next && o.moved == 0 {
			continue
		}
		c.in.own(p, o.next)
		c.seek(p, o.next)
		c.in.log.Info("ingestion of a moved partition resumed", "partition", p.String(), "topic_id", p.TopicID, "offset", o.next)
		c.recordResumed(ctx, o)
	}
	return elsewhere
}

// recordResumed records that a moved partition has resumed, for the operator who waits for it.
func (c *consumer) recordResumed(ctx context.Context, o ingestOffset) {
	if o.moved == 0 {
		return
	}
	if err := c.in.store.resumed(ctx, o); err != nil && ctx.Err() == nil {
		c.in.log.Warn("recording that a moved partition resumed failed; retrying", "partition", o.partition.String(), "error", err)
	}
}
