package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"movieexample.com/internal/fault"
)

// wish is where an operator wants a partition to go on.
type wish struct {
	topic         string
	number        int32
	from          startPoint
	offset        int64 // for fromOffset
	dryRun, force bool
}

type startPoint uint8

const (
	fromEarliest startPoint = iota
	fromOffset
	fromEnd
)

// effect is what a resumption does.
type effect struct {
	resumption
	halted                  string // why the partition stood still
	skipped, lost, repeated int64  // offsets, see ResumeIngestPartitionResponse
	takenUp                 bool   // it goes on there; false if no process has it
	givenUp                 []string
}

// resume lets a partition go on, or with dryRun only tells what that would do. Whoever has the partition notices. The errors are
// faults: Invalid names what is wrong with the wish, Precondition that the partition does not stand still, Conflict that it
// moved meanwhile.
func (s *Service) resume(ctx context.Context, w wish) (effect, error) {
	switch {
	case len(s.cfg.Brokers) == 0:
		return effect{}, fault.Precondition("this process of the rating service ingests nothing: ask one that does")
	case w.topic != s.cfg.Topic:
		return effect{}, fault.Invalid("topic", "must be %q, which this service ingests; got %q", s.cfg.Topic, w.topic)
	}
	now := s.look(ctx)
	if err := cmp.Or(now.logErr, now.rowsErr); err != nil {
		return effect{}, err
	}
	if now.log.id == "" {
		return effect{}, fault.Precondition("there is no topic %q: create it (a restart of the rating service does), then resume its partitions", w.topic)
	}
	b, ok := now.log.partitions[w.number]
	if !ok {
		return effect{}, fault.Invalid("partition", "the topic has no partition %d with a leader; it has %d of them, counted from 0", w.number, len(now.log.partitions))
	}
	e, err := now.state.effectOf(w, b)
	if err != nil || w.dryRun {
		return e, err
	}
	if err := s.store.resume(ctx, e.resumption); errors.Is(err, errFenced) {
		return effect{}, fault.Conflict("partition %s moved meanwhile: nothing was changed; look at it again", e.partition)
	} else if err != nil {
		return effect{}, err
	}
	s.log.WarnContext(ctx, "an operator lets a partition go on", "partition", e.partition.String(), "topic_id", e.TopicID, "from", e.from, "to", e.to,
		"skipped", e.skipped, "lost", e.lost, "repeated", e.repeated, "halted", e.halted)
	if c := s.consumer.Load(); c != nil {
		c.nudge() // it may be ours; others look every second
	}
	e.takenUp, err = s.awaitTakenUp(ctx, e.resumption)
	return e, err
}

// takeUpTimeout is how long a moved partition may take to go on where it was moved to.
const takeUpTimeout = 2 * time.Second

// awaitTakenUp waits until the process that has a partition goes on where it was moved to. It returns false if no process has it: the
// one that gets it begins there. A process that does not take it up in time is an Unavailable fault.
func (s *Service) awaitTakenUp(ctx context.Context, r resumption) (bool, error) {
	if k, _ := s.ingester.gaps.lagOf(r.partition); k.ownerKnown && k.owner == "" {
		return false, nil // as of the look that came before
	}
	ctx, cancel := context.WithTimeout(ctx, takeUpTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var err error
	for {
		var waits bool
		if waits, err = s.store.awaitsOwner(ctx, r.partition); err == nil && !waits {
			return true, nil
		}
		select {
		case <-tick.C:
			continue
		case <-ctx.Done():
		}
		break
	}
	k, _ := s.ingester.gaps.lagOf(r.partition)
	if k.ownerKnown && k.owner == "" {
		return false, nil
	}
	return false, fault.Unavailable(err, "partition %s is set to go on at %d, but %s has not taken that up within %s: it does as soon as it can read the database; 'movieexample ingestion list' shows where it is",
		r.partition, r.to, cmp.Or(k.owner, "the process that has it"), takeUpTimeout)
}

// effectOf computes what a wish would do to a partition with these bounds.
func (s state) effectOf(w wish, b bounds) (effect, error) {
	p := partition{Topic: w.topic, TopicID: s.log.id, Number: w.number}
	j := s.judge(p)
	if j.reason == "" && !w.force {
		return effect{}, fault.Precondition("partition %s does not stand still, it goes on at %d of %d by itself; to move it all the same, say force", p, j.next, b.end)
	}
	e := effect{halted: j.reason, resumption: resumption{
		partition: p, known: j.known, from: j.next, to: b.first, partitions: len(s.log.partitions),
	}}
	switch w.from {
	case fromEnd:
		e.to = b.end
	case fromOffset:
		e.to = w.offset
	}
	if e.to < b.first || e.to > b.end {
		return effect{}, fault.Invalid("offset", "must be from %d, the first record of the log, to %d, its end; got %d", b.first, b.end, e.to)
	}
	give := func(format string, args ...any) { e.givenUp = append(e.givenUp, fmt.Sprintf(format, args...)) }
	for _, o := range s.rows {
		if o.Topic == w.topic && o.Number == w.number && o.TopicID != p.TopicID {
			give("what the topic that was here before (id %s) held from offset %d on: it went with that topic, and how much it was is not known", o.TopicID, o.next)
		}
	}
	if e.from < b.first {
		e.lost = b.first - e.from
		give("the records %d to %d: the log has them no more", e.from, b.first-1)
	}
	switch stood := max(e.from, b.first); {
	case e.from > b.end:
		give("what the log held behind its truncation and was not ingested: how much it was is not known")
		if e.to > b.first {
			e.skipped = e.to - b.first
			give("those of the records %d to %d that were written after the truncation: they are passed over", b.first, e.to-1)
		}
		e.repeated = b.end - e.to
	case e.to > stood:
		e.skipped = e.to - stood
		give("the records %d to %d: the log has them, and they are passed over", stood, e.to-1)
	case e.to < e.from:
		e.repeated = e.from - e.to
	}
	return e, nil
}
