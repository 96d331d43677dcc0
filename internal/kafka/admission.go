package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kmsg"
)

// admission bounds the state that the library keeps for clients. The library has no bound, or forgets late.
type admission struct {
	member   *bucket // of groups: one that does not return is forgotten after at most 5 minutes
	producer *bucket // ids are never forgotten
	stranger *bucket // producers whose id this process did not assign
	transact *bucket // transactional ids; forgotten after forgetTransaction

	now       func() time.Time
	maxGroups int

	groupsMu sync.Mutex // held while the library is asked
	groups   map[string]struct{}
	asked    time.Time // when groups was last asked for

	producersMu sync.Mutex
	producers   map[int64]struct{}

	transactionsMu sync.Mutex
	transactions   map[string]int64 // to their producer ids, -1: not known yet
}

func newAdmission(groups int, now func() time.Time) *admission {
	return &admission{
		member:       &bucket{now: now, size: 500, refill: 200 * time.Millisecond},
		producer:     &bucket{now: now, size: 1000, refill: 100 * time.Millisecond},
		stranger:     &bucket{now: now, size: 1000, refill: 100 * time.Millisecond},
		transact:     &bucket{now: now, size: 1000, refill: 10 * time.Second},
		transactions: make(map[string]int64),
		groups:       make(map[string]struct{}), maxGroups: groups, now: now,
		producers: make(map[int64]struct{}),
	}
}

// knowsProducer reports whether records with that producer id may be taken. After a restart every id counts as a stranger's.
func (a *admission) knowsProducer(id int64) bool {
	a.producersMu.Lock()
	defer a.producersMu.Unlock()
	if _, ok := a.producers[id]; ok {
		return true
	}
	if !a.stranger.take() {
		return false
	}
	if len(a.producers) >= 100_000 {
		clear(a.producers)
	}
	a.producers[id] = struct{}{}
	return true
}

// knowsTransaction reports whether the transactional id was seen before, or a new one is allowed.
func (a *admission) knowsTransaction(id string) bool {
	a.transactionsMu.Lock()
	defer a.transactionsMu.Unlock()
	if _, ok := a.transactions[id]; ok {
		return true
	}
	if !a.transact.take() {
		return false
	}
	a.addTransaction(id, -1)
	return true
}

func (a *admission) ownsTransaction(id string, producer int64) bool {
	a.transactionsMu.Lock()
	defer a.transactionsMu.Unlock()
	of, ok := a.transactions[id]
	return ok && of == producer && producer >= 0
}

func (a *admission) learnTransaction(id string, producer int64) {
	a.transactionsMu.Lock()
	defer a.transactionsMu.Unlock()
	a.addTransaction(id, producer)
}

func (a *admission) addTransaction(id string, producer int64) {
	if len(a.transactions) >= 10_000 {
		clear(a.transactions)
	}
	a.transactions[id] = producer
}

// knowsGroup reports whether the group exists, or a new one is allowed.
func (g *guard) knowsGroup(name string) bool {
	a := g.admission
	a.groupsMu.Lock()
	defer a.groupsMu.Unlock()
	if _, ok := a.groups[name]; ok {
		return true
	}
	if now := a.now(); a.asked.IsZero() || len(a.groups) >= a.maxGroups && now.Sub(a.asked) >= time.Second {
		a.asked = now
		ctx, cancel := context.WithTimeout(context.Background(), stuckAfter)
		defer cancel()
		k := kmsg.NewPtrListGroupsRequest()
		k.Version = 3
		if resp, err := g.inside.ask(ctx, k); err == nil {
			clear(a.groups)
			for _, of := range resp.(*kmsg.ListGroupsResponse).Groups {
				a.groups[of.Group] = struct{}{}
			}
		}
	}
	if _, ok := a.groups[name]; !ok && len(a.groups) >= a.maxGroups {
		g.log("the embedded Kafka broker refused a consumer group: limit reached", "group", name, "limit", a.maxGroups)
		return false
	}
	a.groups[name] = struct{}{}
	return true
}

// bucket is a token bucket: size at once, and one more in each refill.
type bucket struct {
	now    func() time.Time
	size   int64
	refill time.Duration

	mu   sync.Mutex
	full time.Time // when it is full again
}

func (b *bucket) take() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	now := b.now()
	if b.full.Before(now) {
		b.full = now
	}
	if b.full.Sub(now) > time.Duration(b.size-1)*b.refill {
		return false
	}
	b.full = b.full.Add(b.refill)
	return true
}
