//go:build servers

package chaos_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/oracle"
)

// watch follows the consumer group and ingestion, by Kafka and the database and not by what the services say of themselves.
type watch struct {
	rig    *rig
	client *kgo.Client
	cancel context.CancelFunc
	done   sync.WaitGroup

	mu      sync.Mutex
	owners  map[int32]int   // process ids, by partition
	asked   time.Time       // when owners were requested
	members map[int]bool    // process ids
	changes int             // of the set of members
	next    map[int32]int64 // where ingestion continues
	read    time.Time       // when next was read
}

const watchEvery = 100 * time.Millisecond

func (r *rig) startWatch() (*watch, error) {
	client, err := kgo.NewClient(kgo.SeedBrokers(r.c.Kafka.Bootstrap()...), kgo.DisableClientMetrics(),
		kgo.RetryTimeout(2*time.Second), kgo.RequestTimeoutOverhead(time.Second), kgo.DialTimeout(time.Second))
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	w := &watch{rig: r, client: client, cancel: cancel}
	repeat := func(do func(context.Context)) {
		w.done.Go(func() {
			tick := time.NewTicker(watchEvery)
			defer tick.Stop()
			for {
				do(ctx)
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
				}
			}
		})
	}
	repeat(w.group)
	repeat(w.offsets)
	return w, nil
}

func (w *watch) stop() {
	w.cancel()
	w.done.Wait()
	w.client.Close()
}

// group asks who has which partition. While the group is between two assignments no member has any.
func (w *watch) group(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	began := time.Now()
	groups, err := kadm.NewClient(w.client).DescribeGroups(ctx, "rating")
	if err != nil || groups.Error() != nil {
		return
	}
	group := groups["rating"]
	owners, members := map[int32]int{}, map[int]bool{}
	for _, m := range group.Members {
		// movieexample-rating-HOST-PID
		pid, err := strconv.Atoi(m.ClientID[strings.LastIndexByte(m.ClientID, '-')+1:])
		if err != nil {
			continue
		}
		members[pid] = true
		assigned, ok := m.Assigned.AsConsumer()
		if !ok || group.State != "Stable" {
			continue
		}
		for _, t := range assigned.Topics {
			for _, p := range t.Partitions {
				owners[p] = pid
			}
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !maps.Equal(members, w.members) {
		w.changes++
	}
	w.owners, w.members, w.asked = owners, members, began
}

// offsets reads where ingestion is.
func (w *watch) offsets(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	began := time.Now()
	next, err := oracle.NextOffsets(ctx, w.rig.database(), ratingTables)
	if err != nil {
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.next, w.read = next, began
}

// owned reports whether every partition has an owner that lives, as of a question asked after t.
func (w *watch) owned(t time.Time, live func(pid int) bool) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.asked.After(t) {
		return fmt.Errorf("the group was last described %s ago", time.Since(w.asked).Round(time.Millisecond))
	}
	if len(w.owners) != partitions {
		return fmt.Errorf("%d of %d partitions have an owner", len(w.owners), partitions)
	}
	for p, pid := range w.owners {
		if !live(pid) {
			return fmt.Errorf("partition %d belongs to process %d, which does not live", p, pid)
		}
	}
	return nil
}

// holds reports whether a process has a partition.
func (w *watch) holds(pid int) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(slices.Collect(maps.Values(w.owners)), pid)
}

// positions is where ingestion is, by partition.
func (w *watch) positions() map[int32]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return maps.Clone(w.next)
}

// positionsAfter is where ingestion is, as of a question asked after t; nil as long as there was no answer.
func (w *watch) positionsAfter(t time.Time) map[int32]int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.read.After(t) {
		return nil
	}
	return maps.Clone(w.next)
}

// moved reports whether every partition is beyond where it was, as of a question asked after t.
func (w *watch) moved(t time.Time, from map[int32]int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.read.After(t) || from == nil {
		return fmt.Errorf("the offsets were last read %s ago", time.Since(w.read).Round(time.Millisecond))
	}
	for p := range int32(partitions) {
		if w.next[p] <= from[p] {
			return fmt.Errorf("partition %d has not moved from %d", p, from[p])
		}
	}
	return nil
}

// groupChanges is how often the set of members changed so far.
func (w *watch) groupChanges() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.changes
}
