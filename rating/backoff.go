package rating

import (
	"context"
	"math/rand/v2"
	"time"
)

// backoff waits before another attempt: up to 10 ms · 2^attempt, at most a second, with full jitter so that colliding writers do not
// collide again. It returns ctx's error if that ends first.
func backoff(ctx context.Context, attempt int) error {
	limit := min(10*time.Millisecond<<min(attempt, 10), time.Second)
	t := time.NewTimer(rand.N(limit) + time.Millisecond)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-t.C:
		return nil
	}
}
