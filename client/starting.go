package client

import (
	"context"
	"fmt"
	"sync"
	"time"

	"google.golang.org/grpc"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/rpc"
)

// startWait is how long a client waits for parts of the system that are starting.
type startWait struct {
	most time.Duration     // 0 does not wait
	say  func(text string) // told whom is waited for; may be nil
}

// AwaitStart makes the first call to each part of the system wait for it, for most at most: a system that was started a
// moment ago does not listen yet, or says that it does not serve yet. say is told whom is waited for and why. Without AwaitStart,
// and with 0, nothing is waited for. Call it before anything else.
func (c *Client) AwaitStart(most time.Duration, say func(text string)) {
	c.start = startWait{most, say}
}

// unsaid is how long the client waits for a part before it says so.
const unsaid = 100 * time.Millisecond

func (w startWait) tell(part, addr, reason string) {
	if w.say != nil {
		w.say(fmt.Sprintf("%s, for at most %s (--wait)", waitingText(part, addr, reason), w.most))
	}
}

// starting is a connection to a service that may be starting.
type starting struct {
	*rpc.Connection
	c    *Client
	part string
	once sync.Once
}

// Invoke implements grpc.ClientConnInterface.
func (s *starting) Invoke(ctx context.Context, method string, args, reply any, opts ...grpc.CallOption) error {
	s.once.Do(func() { s.await(ctx) })
	return s.Connection.Invoke(ctx, method, args, reply, opts...)
}

// NewStream implements grpc.ClientConnInterface.
func (s *starting) NewStream(ctx context.Context, desc *grpc.StreamDesc, method string, opts ...grpc.CallOption) (grpc.ClientStream, error) {
	s.once.Do(func() { s.await(ctx) })
	return s.Connection.NewStream(ctx, desc, method, opts...)
}

// await waits. If the part does not come up, the call reports why.
func (s *starting) await(ctx context.Context) {
	w := s.c.start
	if w.most == 0 {
		return
	}
	began := time.Now()
	try := func(d time.Duration) error {
		ctx, cancel := context.WithTimeout(ctx, d)
		defer cancel()
		return s.AwaitUsable(ctx)
	}
	err := try(min(unsaid, w.most))
	if err == nil || ctx.Err() != nil {
		return
	}
	addr := s.c.address(s.part)
	w.tell(s.part, addr, reasonOf(fault.FromRPC(err), addr))
	_ = try(w.most - time.Since(began))
}
