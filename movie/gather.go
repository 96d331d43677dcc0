package movie

import (
	"context"
	"runtime"
	"slices"
	"time"
)

const (
	// gatherMost is how many keys go in one call. More would save little, and would have more callers depend on one answer.
	gatherMost = 50
	// gatherUnder is how many calls are under way while keys are gathered. With two, a question took a tenth less processor time in
	// all processes than with one, and one call that hangs holds nobody up.
	gatherUnder = 2
	// gatherFor is the longest that a key waits for the calls before it. They come back sooner, unless an instance of the service
	// hangs: who was sent to one shall not keep the others from the rest.
	gatherFor = 10 * time.Millisecond
)

// gather lets keys that are asked for one by one, at the same time, travel together: a call costs the same whatever it brings,
// and most of what a film costs is calls. Nobody waits for company: a key goes at once and by itself unless gatherUnder calls
// are under way already; what is asked for meanwhile goes together when one of them comes back.
//
// It belongs to a [flights], whose mutex guards it. There is one flight for each key as ever, with an end of its own; a call
// that fails, fails for all who are in it.
type gather[K comparable, V any] struct {
	one  func(ctx context.Context, key K) (V, error)
	many func(ctx context.Context, keys []K) (map[K]V, error)

	under   []*party[K, V] // the calls that keys wait for, oldest first
	waiting *party[K, V]   // nil: nobody waits
}

// party are keys that travel together.
type party[K comparable, V any] struct {
	ctx     context.Context // of the first of them: its values are those of the call, its end is not
	keys    []K
	flights []*flight[V]
	done    chan struct{}
	overdue *time.Timer // sends them if the calls before them do not come back; nil for those who need not wait
}

// gatherWith makes f read keys that are asked for one by one, with joinGathered, in company: one reads a key, many several of
// them, where a key that is not in the answer does not exist.
func (f *flights[K, V]) gatherWith(one func(context.Context, K) (V, error), many func(context.Context, []K) (map[K]V, error)) {
	f.gather.one, f.gather.many = one, many
}

// joinGathered returns the call for key that is under way, or sends key on its way.
func (f *flights[K, V]) joinGathered(ctx context.Context, now moment, key K) *flight[V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	if c := f.known(now, key, false); c != nil {
		return c
	}
	g := &f.gather
	p := g.waiting
	if p == nil {
		p = &party[K, V]{ctx: ctx, done: make(chan struct{})}
		g.waiting = p
		if len(g.under) < gatherUnder {
			g.under = append(g.under, p)
			f.send(p)
		} else {
			p.overdue = time.AfterFunc(gatherFor, func() { f.overtake(p) })
		}
	}
	c := &flight[V]{done: p.done, read: now}
	f.calls[key] = c
	p.keys, p.flights = append(p.keys, key), append(p.flights, c)
	if len(p.keys) == gatherMost {
		g.waiting = nil
		if p.overdue != nil { // else it is about to depart by itself
			p.overdue.Stop()
			f.send(p)
		}
	}
	return c
}

// send has p depart.
func (f *flights[K, V]) send(p *party[K, V]) {
	f.background.start(p.ctx, func(ctx context.Context) { f.depart(ctx, p) })
}

// depart makes the calls of p, and of those who wait when it comes back.
func (f *flights[K, V]) depart(ctx context.Context, p *party[K, V]) {
	// Requests that have come already, and wait for a processor only, are let in: on a machine that has nothing else to do this
	// takes no time, and on one that has, their calls would wait behind this one anyway.
	runtime.Gosched()
	for p != nil {
		f.mu.Lock()
		if f.gather.waiting == p {
			f.gather.waiting = nil
		}
		f.mu.Unlock()
		f.travel(ctx, p)
		if p = f.next(p); p != nil {
			ctx = detached{life: f.background.ctx, values: p.ctx}
		}
	}
}

// next returns who goes in the place of p, which has come back; nil: nobody, or p has lost its place.
func (f *flights[K, V]) next(p *party[K, V]) *party[K, V] {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := &f.gather
	place := slices.Index(g.under, p)
	switch {
	case place < 0:
		return nil
	case g.waiting == nil || g.waiting.overdue == nil:
		g.under = slices.Delete(g.under, place, place+1)
		return nil
	}
	n := g.waiting
	g.waiting = nil
	n.overdue.Stop()
	g.under = append(slices.Delete(g.under, place, place+1), n)
	return n
}

// overtake sends p, which has waited long enough, in the place of the oldest call.
func (f *flights[K, V]) overtake(p *party[K, V]) {
	f.mu.Lock()
	defer f.mu.Unlock()
	g := &f.gather
	if g.waiting != p {
		return // it went meanwhile
	}
	g.waiting = nil
	g.under = append(slices.Delete(g.under, 0, 1), p)
	f.send(p)
}

// travel makes the call of p.
func (f *flights[K, V]) travel(ctx context.Context, p *party[K, V]) {
	f.fly(ctx, p.keys, p.flights, func(ctx context.Context, keys []K) (map[K]V, error) {
		if len(keys) > 1 {
			return f.gather.many(ctx, keys)
		}
		v, err := f.gather.one(ctx, keys[0])
		return map[K]V{keys[0]: v}, err
	})
}
