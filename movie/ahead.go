package movie

import (
	"context"
	"sync"
	"time"
)

const (
	// aheadGather is how long ids are gathered before they are read together.
	aheadGather = 20 * time.Millisecond
	// aheadMost is the most that one call may ask for.
	aheadMost = 200
)

// ahead reads things again before they are too old to be used: few calls for many things, one at a time, which nobody waits for.
// What comes in is bounded by what is kept, of which each is added once.
type ahead struct {
	background *background

	mu      sync.Mutex
	ids     []string
	running bool
}

// add has id read, soon and with others, by read, which returns when it is done.
func (a *ahead) add(id string, read func(context.Context, []string)) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.ids = append(a.ids, id)
	if !a.running {
		a.running = true
		a.background.start(context.Background(), func(ctx context.Context) { a.run(ctx, read) })
	}
}

func (a *ahead) run(ctx context.Context, read func(context.Context, []string)) {
	for {
		// Not by the clock of the caches: this is about the machine's load, not about anybody's age.
		sleep(ctx, aheadGather)
		for ids := a.take(); len(ids) > 0 && ctx.Err() == nil; ids = a.take() {
			read(ctx, ids)
			if len(ids) < aheadMost {
				break
			}
		}
		a.mu.Lock()
		if len(a.ids) == 0 {
			a.running = false
			a.mu.Unlock()
			return
		}
		a.mu.Unlock()
	}
}

// take returns the next ids to read.
func (a *ahead) take() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	n := min(aheadMost, len(a.ids))
	ids := a.ids[:n:n]
	if a.ids = a.ids[n:]; len(a.ids) == 0 {
		a.ids = nil
	}
	return ids
}
