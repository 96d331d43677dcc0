package rating

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

// This file keeps a consumer group to one database (ADR 020). Two systems with different databases in one group would share the
// partitions, and each would miss the other's events without a sign. So the name of the group's protocol has the database in it:
// brokers do not let in a member that has no protocol in common with those that are there. And the offsets that are committed for
// display say whose they are, for a stranger that comes while nobody is there.

// groupMark begins the metadata of the offsets that we commit; the database's identity follows.
const groupMark = "movieexample database "

// databaseBalancer is the balancer of a group that belongs to one database.
type databaseBalancer struct {
	kgo.GroupBalancer
	database string
}

// ProtocolName has the database in it.
func (b databaseBalancer) ProtocolName() string {
	return b.GroupBalancer.ProtocolName() + " of database " + b.database
}

func newBalancer(database string) databaseBalancer {
	return databaseBalancer{GroupBalancer: kgo.CooperativeStickyBalancer(), database: database}
}

// markOffsets makes a commit say whose offsets they are.
func markOffsets(ctx context.Context, database string) context.Context {
	mark := groupMark + database
	return kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				req.Topics[i].Partitions[j].Metadata = &mark
			}
		}
		return nil
	})
}

// group is what this process knows of the consumer group. It is safe for concurrent use.
type group struct {
	mu       sync.Mutex
	database string // ours
	reason   string // why we must keep away; empty if we need not
	lasting  bool   // until an operator decides
}

// away sets why this process keeps away from the group; an empty reason says that it need not.
func (in *ingester) away(reason string, lasting bool) {
	in.group.mu.Lock()
	defer in.group.mu.Unlock()
	in.group.reason, in.group.lasting = reason, lasting
	in.metrics.foreignGroup.Set(0)
	if reason != "" {
		in.metrics.foreignGroup.Set(1)
	}
}

// keepsAway says why this process keeps away from the group, and whether that lasts until an operator decides.
func (in *ingester) keepsAway() (reason string, lasting bool) {
	in.group.mu.Lock()
	defer in.group.mu.Unlock()
	return in.group.reason, in.group.lasting
}

// database is the identity of our database.
func (in *ingester) database(ctx context.Context) (string, error) {
	in.group.mu.Lock()
	defer in.group.mu.Unlock()
	if in.group.database == "" {
		id, err := in.store.db.Identity(ctx)
		if err == nil && id == "" {
			err = errors.New("the database has no identity: run 'movieexample migrate up rating'")
		}
		if err != nil {
			return "", err
		}
		in.group.database = id
	}
	return in.group.database, nil
}

// GroupReady is a readiness check: an error while the consumer group belongs to another database, so that this process ingests
// nothing until an operator decides.
func (s *Service) GroupReady(context.Context) error {
	if reason, lasting := s.ingester.keepsAway(); lasting {
		return errors.New(reason)
	}
	return nil
}

// errForeignGroup ends the taking over of partitions.
var errForeignGroup = errors.New("the consumer group belongs to another database")

// foreignReason says that the group belongs to another database. Halts that begin with it end by themselves with their cause.
func foreignReason(groupName, topic, owner, own string) string {
	return fmt.Sprintf("%s %q belongs to another system: its offsets of topic %q are those of database %s, and this process works on database %s. "+
		"To run both, give this one a topic of its own (rating.topic), or at least a group (rating.group); if the other one is gone for good: "+
		"'movieexample ingestion resume --topic %s --all --from earliest'", foreignPrefix, groupName, topic, owner, own, topic)
}

const foreignPrefix = "the consumer group"

// ownerOf returns another database than ours whose offsets the group has, or "".
func ownerOf(ctx context.Context, client *kgo.Client, groupName, topic, own string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	offsets, err := kadm.NewClient(client).FetchOffsets(ctx, groupName)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("look up whose consumer group %q is: %w", groupName, kafka.Explain(client, err))
	}
	for _, o := range offsets[topic] {
		if id, marked := strings.CutPrefix(o.Metadata, groupMark); marked && o.Err == nil && id != own {
			return id, nil
		}
	}
	return "", nil
}

// occupied says why the members that a group has would not let this process in, or "".
func occupied(d kadm.DescribedGroup, own string) string {
	if len(d.Members) == 0 || d.Protocol == "" || d.Protocol == newBalancer(own).ProtocolName() {
		return ""
	}
	return fmt.Sprintf("%s %q has members that use the protocol %q, and not that of this process's database, %s: they are of another system, or of a release "+
		"that does not tell databases apart. It waits until they leave; if they are another system, give this one a topic of its own (rating.topic)",
		foreignPrefix, d.Group, d.Protocol, own)
}

// awaitGroup waits as long as the group belongs to another database, or its members would not let us in; false: ctx ended. It does
// not join meanwhile: the stranger must not keep the group's owner out.
func (c *consumer) awaitGroup(ctx context.Context) bool {
	var said saying
	for attempt := 5; ; attempt++ {
		reason, lasting, err := c.objectionToGroup(ctx)
		if err == nil {
			c.in.away(reason, lasting)
		}
		switch {
		case ctx.Err() != nil:
			return false
		case err != nil:
			said.say(c.in.log, slog.LevelWarn, "rating events are not ingested: waiting for Kafka", err, "group", c.cfg.Group)
		case reason == "":
			return true
		default:
			said.say(c.in.log, slog.LevelError, "rating events are not ingested: the consumer group is not this system's", errors.New(reason), "group", c.cfg.Group, "topic", c.cfg.Topic)
		}
		if backoff(ctx, attempt) != nil {
			return false
		}
	}
}

// objectionToGroup says why this process must keep away from the group, and whether that lasts until an operator decides. When one
// has, it makes the group ours.
func (c *consumer) objectionToGroup(ctx context.Context) (reason string, lasting bool, err error) {
	own, err := c.in.database(ctx)
	if err != nil {
		return "", false, err
	}
	owner, err := ownerOf(ctx, c.client, c.cfg.Group, c.cfg.Topic, own)
	if err != nil {
		return "", false, err
	}
	asking, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	groups, err := kadm.NewClient(c.client).DescribeGroups(asking, c.cfg.Group)
	if err == nil {
		err = groups[c.cfg.Group].Err
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return "", false, fmt.Errorf("look up who is in consumer group %q: %w", c.cfg.Group, kafka.Explain(c.client, err))
	}
	busy := occupied(groups[c.cfg.Group], own)
	if owner == "" {
		if busy != "" {
			return busy, false, nil
		}
		return "", false, c.in.store.liftHalts(ctx, foreignPrefix)
	}
	reason = foreignReason(c.cfg.Group, c.cfg.Topic, owner, own)
	state, err := c.look(ctx)
	if err != nil {
		return "", false, err
	}
	if busy == "" && c.permitted(state) {
		return "", false, c.claim(ctx, own, state)
	}
	c.askedFor = true
	return reason, true, c.haltAll(ctx, state, reason)
}

// permitted reports whether an operator has let all partitions go on since they were halted for the group.
func (c *consumer) permitted(s state) bool {
	return c.askedFor && !slices.ContainsFunc(s.rows, func(o ingestOffset) bool {
		return o.Topic == c.cfg.Topic && o.TopicID == s.log.id && strings.HasPrefix(o.halted, foreignPrefix)
	})
}

// haltAll records the reason for all partitions that were not let go on yet.
func (c *consumer) haltAll(ctx context.Context, s state, reason string) error {
	rows := make(map[int32]ingestOffset)
	halted := false
	for _, o := range s.rows {
		if o.Topic == c.cfg.Topic && o.TopicID == s.log.id {
			rows[o.Number] = o
			halted = halted || strings.HasPrefix(o.halted, foreignPrefix)
		}
	}
	if halted {
		return nil // all of them were; those that are not any more, an operator has let go on
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

// claim makes the group, which has no members, ours: it commits our offsets.
func (c *consumer) claim(ctx context.Context, own string, s state) error {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	offsets := make(kadm.Offsets)
	for _, o := range s.rows {
		if o.Topic == c.cfg.Topic && o.TopicID == s.log.id {
			offsets.Add(kadm.Offset{Topic: o.Topic, Partition: o.Number, At: o.next, LeaderEpoch: -1, Metadata: groupMark + own})
		}
	}
	if err := kadm.NewClient(c.client).CommitAllOffsets(ctx, c.cfg.Group, offsets); err != nil {
		return fmt.Errorf("take over consumer group %q: %w", c.cfg.Group, err)
	}
	c.in.log.Warn("an operator gives this system the consumer group", "group", c.cfg.Group, "topic", c.cfg.Topic, "database", own)
	return nil
}

// checkGroup is errForeignGroup where the group turns out to be another database's when we have joined.
func (c *consumer) checkGroup(ctx context.Context) error {
	own, err := c.in.database(ctx)
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

// shutOut takes note that the members of the group did not let us in.
func (c *consumer) shutOut(ctx context.Context) {
	own, err := c.in.database(ctx)
	if err != nil {
		return
	}
	c.leave.Store(true)
	c.in.away(fmt.Sprintf("%s %q has members of another database than %s, or of a release that does not tell databases apart: the brokers do not let this process in",
		foreignPrefix, c.cfg.Group, own), false)
}

// groupTrouble is what a process that looks at the group finds wrong with it, as a fault of kind Unavailable, or nil.
func (s *Service) groupTrouble(ctx context.Context, d kadm.DescribedGroup) error {
	own, err := s.ingester.database(ctx)
	if err != nil {
		return err
	}
	if busy := occupied(d, own); busy != "" {
		return fault.Unavailable(nil, "%s", busy)
	}
	return nil
}
