package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"movieexample.com/internal/fault"
)

// resumeRequest asks to resume a partition at another offset.
type resumeRequest struct {
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

// resumePlan is what a resumption does.
type resumePlan struct {
	resumption
	halted                  string // the halt reason
	skipped, lost, repeated int64  // offsets, see ResumeIngestPartitionResponse
	resumed                 bool   // the owner has resumed there; false if there is no owner
	givenUp                 []string
}

// resume moves and resumes a partition; with dryRun it only returns the plan. It calls nudge to make the consumer of this process
// check at once; others check every second. The errors are faults: Invalid names what is wrong with the request, Precondition says
// that the partition is not halted, Conflict that it has moved meanwhile.
func (w *watcher) resume(ctx context.Context, req resumeRequest, nudge func()) (resumePlan, error) {
	switch {
	case len(w.cfg.Brokers) == 0:
		return resumePlan{}, fault.Precondition("this process of the rating service ingests no events: ask one that does")
	case req.topic != w.cfg.Topic:
		return resumePlan{}, fault.Invalid("topic", "must be %q, which this service ingests; got %q", w.cfg.Topic, req.topic)
	}
	now := w.look(ctx)
	if err := cmp.Or(now.logErr, now.rowsErr); err != nil {
		return resumePlan{}, err
	}
	if now.log.id == "" {
		return resumePlan{}, fault.Precondition("topic %q does not exist: create it (a restart of the rating service does), then resume its partitions", req.topic)
	}
	b, ok := now.log.partitions[req.number]
	if !ok {
		return resumePlan{}, fault.Invalid("partition", "the topic has no partition %d with a leader; it has %d of them, counted from 0", req.number, len(now.log.partitions))
	}
	plan, err := now.plan(req, b)
	if err != nil || req.dryRun {
		return plan, err
	}
	if err := w.in.store.resume(ctx, plan.resumption); errors.Is(err, errFenced) {
		return resumePlan{}, fault.Conflict("partition %s moved meanwhile: nothing was changed; look at it again", plan.partition)
	} else if err != nil {
		return resumePlan{}, err
	}
	w.in.log.WarnContext(ctx, "an operator resumed a partition", "partition", plan.partition.String(), "topic_id", plan.TopicID, "from", plan.from, "to", plan.to,
		"skipped", plan.skipped, "lost", plan.lost, "repeated", plan.repeated, "halted", plan.halted)
	nudge()
	plan.resumed, err = w.awaitOwner(ctx, plan.resumption)
	return plan, err
}

// resumeTimeout is how long the owner of a moved partition may take to resume there.
const resumeTimeout = 2 * time.Second

// awaitOwner waits until the owner of a moved partition has resumed there. It returns false if there is no owner: the next one starts
// there. An owner that takes too long is an Unavailable fault.
func (w *watcher) awaitOwner(ctx context.Context, r resumption) (bool, error) {
	unowned := func() bool {
		l, _ := w.in.lag.lagOf(r.partition)
		return l.ownerKnown && l.owner == ""
	}
	if unowned() { // in the last answer of the brokers
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, resumeTimeout)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	var err error
	for ctx.Err() == nil {
		var waits bool
		if waits, err = w.in.store.awaitsOwner(ctx, r.partition); err == nil && !waits {
			return true, nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	if unowned() {
		return false, nil
	}
	l, _ := w.in.lag.lagOf(r.partition)
	return false, fault.Unavailable(err, "partition %s was moved to %d, but %s has not resumed there within %s: it will when it can read the database; 'movieexample ingestion list' shows its offset",
		r.partition, r.to, cmp.Or(l.owner, "its owner"), resumeTimeout)
}

// plan computes what a request would do to a partition with these bounds.
func (s state) plan(req resumeRequest, b bounds) (resumePlan, error) {
	p := partition{Topic: req.topic, TopicID: s.log.id, Number: req.number}
	d := s.decide(p)
	if d.reason == "" && !req.force {
		return resumePlan{}, fault.Precondition("partition %s is not halted (offset %d of %d); use --force to move it", p, d.next, b.end)
	}
	plan := resumePlan{halted: d.reason, resumption: resumption{
		partition: p, known: d.known, from: d.next, to: b.first, partitions: len(s.log.partitions),
	}}
	switch req.from {
	case fromEnd:
		plan.to = b.end
	case fromOffset:
		plan.to = req.offset
	}
	if plan.to < b.first || plan.to > b.end {
		return resumePlan{}, fault.Invalid("offset", "must be from %d, the first record of the log, to %d, its end; got %d", b.first, b.end, plan.to)
	}
	give := func(format string, args ...any) { plan.givenUp = append(plan.givenUp, fmt.Sprintf(format, args...)) }
	for _, o := range s.rows {
		if o.Topic == req.topic && o.Number == req.number && o.TopicID != p.TopicID {
			give("the records of the deleted topic (id %s) from offset %d on: their number is unknown", o.TopicID, o.next)
		}
	}
	if plan.from < b.first {
		plan.lost = b.first - plan.from
		give("the records %d to %d: they are no longer in the log", plan.from, b.first-1)
	}
	switch first := max(plan.from, b.first); {
	case plan.from > b.end:
		give("the truncated records that were not ingested: their number is unknown")
		if plan.to > b.first {
			plan.skipped = plan.to - b.first
			give("those of the records %d to %d that were written after the truncation: they are skipped", b.first, plan.to-1)
		}
		plan.repeated = b.end - plan.to
	case plan.to > first:
		plan.skipped = plan.to - first
		give("the records %d to %d: they are in the log, and are skipped", first, plan.to-1)
	case plan.to < plan.from:
		plan.repeated = plan.from - plan.to
	}
	return plan, nil
}
