package movie

import (
	"context"
	"sync"
	"time"
)

// background is the work of a service that belongs to no request: calls that several callers share, and what is read before
// anybody asks. It ends when the service is closed.
type background struct {
	ctx  context.Context
	stop context.CancelFunc

	mu     sync.Mutex
	closed bool
	work   sync.WaitGroup
}

func newBackground() *background {
	b := &background{}
	b.ctx, b.stop = context.WithCancel(context.Background())
	return b
}

// start runs do in a goroutine, on a context that has ctx's values but not its end. After close the context has ended already.
func (b *background) start(ctx context.Context, do func(context.Context)) {
	ctx = detached{life: b.ctx, values: ctx}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed {
		go do(ctx) // comes back at once; who waits for it is told so
		return
	}
	b.work.Go(func() { do(ctx) })
}

// close ends what is under way and waits for it.
func (b *background) close() {
	b.mu.Lock()
	b.closed = true
	b.mu.Unlock()
	b.stop()
	b.work.Wait()
}

// sleep returns after d, or earlier when ctx ends.
func sleep(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
	}
}

// detached is a context with the life of one and the values of another.
type detached struct{ life, values context.Context }

// Deadline implements context.Context.
func (d detached) Deadline() (time.Time, bool) { return d.life.Deadline() }

// Done implements context.Context.
func (d detached) Done() <-chan struct{} { return d.life.Done() }

// Err implements context.Context.
func (d detached) Err() error { return d.life.Err() }

// Value implements context.Context. The life's comes first, because the context package looks by it for the end of a context.
func (d detached) Value(key any) any {
	if v := d.life.Value(key); v != nil {
		return v
	}
	return d.values.Value(key)
}
