package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/kafka"
)

const (
	// watchInterval is how often brokers and database are asked how far each partition is.
	watchInterval = time.Second
	// watchTimeout bounds one such question: so much later than watchInterval is it known that the brokers are gone.
	watchTimeout = 3 * time.Second
	// tidyInterval is how often times of arrival are removed whose records the log has no more.
	tidyInterval = time.Minute
)

// watch asks now and then how far each partition of the topic is, whichever process has it, for the metrics. It goes on while the
// ingestion itself waits for the database, or stands in a rebalance: it has a client of its own.
func (s *Service) watch(ctx context.Context) error {
	client, err := kafka.NewClient(s.cfg.kafkaConfig())
	if err != nil {
		return fmt.Errorf("watch the topic of rating events: %w", err)
	}
	defer client.Close()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	tidied := time.Now()
	for {
		// A while longer than it takes to fetch: a partition that is being read tells by itself.
		if o := s.observe(ctx, client, watchInterval); time.Since(tidied) >= tidyInterval && o.log.id != "" {
			tidied = time.Now()
			s.tidy(ctx, o.log)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tidy removes the times of arrival of records that the log has no more. What it fails to remove, the next time does.
func (s *Service) tidy(ctx context.Context, log topicLog) {
	first := make(map[int32]int64, len(log.partitions))
	for number, b := range log.partitions {
		first[number] = b.first
	}
	if err := s.store.forgetArrivals(ctx, log.id, first); err != nil && ctx.Err() == nil {
		s.log.Warn("times of records that the log has no more are not removed", "topic", s.cfg.Topic, "error", err)
	}
}

// observation is what brokers and database told at one moment, and why they did not tell a part of it.
type observation struct {
	state
	logErr, ownersErr, rowsErr error
}

// observe asks brokers and database once, and tells the gaps. Of partitions that have waited at a place for a while it reads since when.
func (s *Service) observe(ctx context.Context, client *kgo.Client, while time.Duration) (o observation) {
	asking, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	gaps := s.ingester.gaps
	o.log, o.logErr = readLog(asking, client, s.cfg.Topic)
	if o.rows, o.rowsErr = s.store.offsets(ctx); o.rowsErr == nil {
		gaps.recorded(s.cfg.Topic, o.rows)
	}
	if ctx.Err() != nil {
		return o // nobody is to blame
	}
	if o.logErr != nil {
		gaps.silent()
		return o
	}
	var who owners
	who, o.ownersErr = s.owners(asking, client)
	gaps.observe(s.cfg.Topic, o.state, who, o.rowsErr == nil)
	unknown, waiting := gaps.unknown(while), make(map[int32]int64)
	for p, from := range unknown {
		waiting[p.Number] = from
	}
	times := readOldest(ctx, s.cfg, waiting)
	for p, from := range unknown {
		if at, read := times[p.Number]; read {
			gaps.oldest(p, from, at)
		}
	}
	return o
}

// owners are the group's members that have the partitions.
type owners struct {
	of map[int32]string
	// known: the group told whether it has members. settled: it told who has what; while it shares the partitions out it does not.
	known, settled bool
}

// owners asks the group who has each partition.
func (s *Service) owners(ctx context.Context, client *kgo.Client) (owners, error) {
	groups, err := kadm.NewClient(client).DescribeGroups(ctx, s.cfg.Group)
	if err == nil {
		err = groups[s.cfg.Group].Err
	}
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) {
		return owners{}, fmt.Errorf("look up who has the partitions, in group %q: %w", s.cfg.Group, kafka.Explain(client, err))
	}
	group := groups[s.cfg.Group]
	who := owners{of: make(map[int32]string), known: true, settled: len(group.Members) == 0 || group.State == "Stable"}
	for _, member := range group.Members {
		assigned, ok := member.Assigned.AsConsumer()
		if !ok {
			continue
		}
		for _, t := range assigned.Topics {
			if t.Topic != s.cfg.Topic {
				continue
			}
			for _, number := range t.Partitions {
				who.of[number] = fmt.Sprintf("%s (%s)", member.ClientID, strings.TrimPrefix(member.ClientHost, "/"))
			}
		}
	}
	return who, s.groupTrouble(ctx, group)
}

// look asks database and brokers, for a process that may have no consumer at work.
func (s *Service) look(ctx context.Context) (o observation) {
	client, err := kafka.NewClient(s.cfg.kafkaConfig())
	if err != nil {
		return observation{logErr: err}
	}
	defer client.Close()
	return s.observe(ctx, client, 0)
}

// ingestPartition is a partition as the operator sees it.
type ingestPartition struct {
	ingestOffset
	// known is what the metrics tell; nil for a topic that is there no more, and where the brokers were not asked.
	known *known
}

// ingestion tells how far every partition is, from what the metrics tell, after a look at brokers and database. brokersErr is why
// the brokers, if they were to be asked, did not answer.
func (s *Service) ingestion(ctx context.Context, askBrokers bool) (list []ingestPartition, brokersErr, err error) {
	switch {
	case !askBrokers:
	case len(s.cfg.Brokers) == 0:
		brokersErr = errors.New("this process of the rating service ingests nothing, and knows no brokers")
	default:
		o := s.look(ctx)
		brokersErr = cmp.Or(o.logErr, o.ownersErr)
	}
	rows, err := s.store.offsets(ctx)
	if err != nil {
		return nil, nil, err
	}
	listed := make(map[partition]int)
	for _, o := range rows {
		// What this process knows first.
		if reason := s.ingester.haltedReason(o.partition); reason != "" {
			o.halted = reason
		}
		listed[o.partition] = len(list)
		list = append(list, ingestPartition{ingestOffset: o})
	}
	if !askBrokers {
		return list, nil, nil
	}
	gaps := s.ingester.gaps
	for _, p := range gaps.partitions() {
		if p.Topic != s.cfg.Topic || gaps.topic() != "" && p.TopicID != gaps.topic() {
			continue
		}
		k, ok := gaps.lagOf(p)
		i, recorded := listed[p]
		if !recorded { // never ingested
			i = len(list)
			list = append(list, ingestPartition{ingestOffset: ingestOffset{partition: p}})
		}
		if ok {
			list[i].next = k.next
		}
		if list[i].halted == "" {
			list[i].halted = k.halted
		}
		list[i].known = &k
	}
	slices.SortFunc(list, func(a, b ingestPartition) int { return a.ingestOffset.compare(b.ingestOffset) })
	return list, brokersErr, nil
}

// readOldest returns the timestamps of the first records at or behind these offsets. What cannot be read within two seconds is
// missing, for example where somebody's transaction is open. The time is zero for a record without one.
func readOldest(ctx context.Context, cfg Config, from map[int32]int64) map[int32]time.Time {
	if len(from) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	offsets := make(map[int32]kgo.Offset)
	for number, offset := range from {
		offsets[number] = kgo.NewOffset().At(offset)
	}
	var meter kafka.Meter
	client, err := kafka.NewClient(cfg.kafkaConfig(),
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{cfg.Topic: offsets}),
		kgo.FetchIsolationLevel(kgo.ReadCommitted()), kgo.KeepControlRecords(), kgo.WithDecompressor(&meter),
		kgo.ConsumeResetOffset(kgo.NoResetOffset()), kgo.FetchMaxPartitionBytes(64<<10), kgo.FetchMaxWait(100*time.Millisecond))
	if err != nil {
		return nil
	}
	defer client.Close()
	times := make(map[int32]time.Time)
	for len(times) < len(from) {
		fetches := client.PollFetches(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			break
		}
		fetches.EachPartition(func(fp kgo.FetchTopicPartition) {
			if _, found := times[fp.Partition]; !found && len(fp.Records) > 0 {
				times[fp.Partition] = recordTime(fp.Records[0])
			}
		})
		meter.Handled()
	}
	return times
}
