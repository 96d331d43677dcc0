package rating

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/kafka"
)

const (
	// watchInterval is how often the offsets of each partition are read from the brokers and the database.
	watchInterval = time.Second
	// watchTimeout bounds one such request. Brokers that are down are noticed within watchInterval plus watchTimeout.
	watchTimeout = 3 * time.Second
	// tidyInterval is how often times of arrival are deleted whose records are no longer in the log.
	tidyInterval = time.Minute
)

// watcher follows how far each partition of the topic is, whichever process owns it. It works while ingestion waits for the database or
// a rebalance: it has its own client.
type watcher struct {
	cfg Config
	in  *ingester
}

// run updates the lag until ctx ends.
func (w *watcher) run(ctx context.Context) error {
	client, err := kafka.NewClient(w.cfg.kafkaConfig())
	if err != nil {
		return fmt.Errorf("watch the topic of rating events: %w", err)
	}
	defer client.Close()
	tick := time.NewTicker(watchInterval)
	defer tick.Stop()
	tidied := time.Now()
	for {
		// A lag that is older than a fetch takes: the consumer reports a partition that is being read.
		if o := w.observe(ctx, client, watchInterval); time.Since(tidied) >= tidyInterval && o.log.id != "" {
			tidied = time.Now()
			w.tidy(ctx, o.log)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-tick.C:
		}
	}
}

// tidy deletes the times of arrival of records that are no longer in the log. If it fails, the next call retries.
func (w *watcher) tidy(ctx context.Context, log topicLog) {
	first := make(map[int32]int64, len(log.partitions))
	for number, b := range log.partitions {
		first[number] = b.first
	}
	if err := w.in.store.forgetArrivals(ctx, log.id, first); err != nil && ctx.Err() == nil {
		w.in.log.Warn("could not delete the times of records that are no longer in the log; retrying", "topic", w.cfg.Topic, "error", err)
	}
}

// observation is what brokers and database have at one moment, and the errors of those that did not answer.
type observation struct {
	state
	logErr, ownersErr, rowsErr error
}

// observe asks brokers and database once, and updates the lag. For partitions that have lagged for a while it reads their oldest record.
func (w *watcher) observe(ctx context.Context, client *kgo.Client, while time.Duration) (o observation) {
	asking, cancel := context.WithTimeout(ctx, watchTimeout)
	defer cancel()
	lag := w.in.lag
	o.log, o.logErr = readLog(asking, client, w.cfg.Topic)
	if o.rows, o.rowsErr = w.in.store.offsets(ctx); o.rowsErr == nil {
		lag.recorded(w.cfg.Topic, o.rows)
	}
	if ctx.Err() != nil {
		return o // errors say nothing about the brokers
	}
	if o.logErr != nil {
		lag.silent()
		return o
	}
	var who owners
	who, o.ownersErr = w.owners(asking, client)
	lag.observe(w.cfg.Topic, o.state, who, o.rowsErr == nil)
	unknown, waiting := lag.unknown(while), make(map[int32]int64)
	for p, from := range unknown {
		waiting[p.Number] = from
	}
	times := readOldest(ctx, w.cfg, waiting)
	for p, from := range unknown {
		if at, read := times[p.Number]; read {
			lag.oldest(p, from, at)
		}
	}
	return o
}

// owners asks the group for the owner of each partition. An error of kind Unavailable says that the group's members would refuse us.
func (w *watcher) owners(ctx context.Context, client *kgo.Client) (owners, error) {
	group, err := describeGroup(ctx, client, w.cfg.Group)
	if err != nil {
		return owners{}, err
	}
	who := owners{of: make(map[int32]string), known: true, settled: len(group.Members) == 0 || group.State == "Stable"}
	for _, member := range group.Members {
		assigned, ok := member.Assigned.AsConsumer()
		if !ok {
			continue
		}
		for _, t := range assigned.Topics {
			if t.Topic != w.cfg.Topic {
				continue
			}
			for _, number := range t.Partitions {
				who.of[number] = fmt.Sprintf("%s (%s)", member.ClientID, strings.TrimPrefix(member.ClientHost, "/"))
			}
		}
	}
	own, err := w.in.group.identity(ctx)
	if err == nil {
		if reason := occupiedReason(group, own); reason != "" {
			err = fault.Unavailable(nil, "%s", reason)
		}
	}
	return who, err
}

// look asks brokers and database, for a process whose consumer may not run.
func (w *watcher) look(ctx context.Context) (o observation) {
	client, err := kafka.NewClient(w.cfg.kafkaConfig())
	if err != nil {
		return observation{logErr: err}
	}
	defer client.Close()
	return w.observe(ctx, client, 0)
}

// brokersSilentFor returns how long the brokers have not answered; 0 while they do.
func (w *watcher) brokersSilentFor() time.Duration { return w.in.lag.silentFor() }

// partitionInfo is a partition as the operator sees it.
type partitionInfo struct {
	ingestOffset
	// lag is that of the metrics; nil for a topic that no longer exists, and if the brokers were not asked.
	lag *lag
}

// partitions returns how far every partition is. brokersErr is why the brokers did not answer, if they were to be asked.
func (w *watcher) partitions(ctx context.Context, askBrokers bool) (list []partitionInfo, brokersErr, err error) {
	switch {
	case !askBrokers:
	case len(w.cfg.Brokers) == 0:
		brokersErr = errors.New("this process of the rating service ingests no events, and has no brokers configured")
	default:
		o := w.look(ctx)
		brokersErr = cmp.Or(o.logErr, o.ownersErr)
	}
	rows, err := w.in.store.offsets(ctx)
	if err != nil {
		return nil, nil, err
	}
	listed := make(map[partition]int)
	for _, o := range rows {
		// What this process knows comes first.
		if reason := w.in.haltReason(o.partition); reason != "" {
			o.halted = reason
		}
		listed[o.partition] = len(list)
		list = append(list, partitionInfo{ingestOffset: o})
	}
	if !askBrokers {
		return list, nil, nil
	}
	lag := w.in.lag
	for _, p := range lag.partitions() {
		if p.Topic != w.cfg.Topic || lag.topic() != "" && p.TopicID != lag.topic() {
			continue
		}
		l, ok := lag.lagOf(p)
		i, recorded := listed[p]
		if !recorded { // never ingested
			i = len(list)
			list = append(list, partitionInfo{ingestOffset: ingestOffset{partition: p}})
		}
		if ok {
			list[i].next = l.next
		}
		if list[i].halted == "" {
			list[i].halted = l.halted
		}
		list[i].lag = &l
	}
	slices.SortFunc(list, func(a, b partitionInfo) int { return a.ingestOffset.compare(b.ingestOffset) })
	return list, brokersErr, nil
}

// readOldest returns the timestamps of the first records at or after these offsets. Those that cannot be read within two seconds are
// missing, for example because of an open transaction. The time is zero for a record without one.
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
