package rpc

import (
	"context"
	"sync/atomic"

	"google.golang.org/grpc"
)

// maxIdleWorkers is how many goroutines wait for the next in-process call.
const maxIdleWorkers = 16

// workers run the handlers of in-process calls. A new goroutine starts with a
// small stack, and a handler that reads a database makes it grow, by copying, in
// every call; a goroutine that has done so once need not do it again. There is no
// limit and no queue: where no worker is idle, a new one starts.
type workers struct {
	jobs chan job
	idle atomic.Int64
	// stopped ends the idle ones.
	stopped <-chan struct{}
}

// job is what a worker needs to run a call.
type job struct {
	call    *call
	ctx     context.Context
	req     any
	handler grpc.UnaryHandler
}

func newWorkers(stopped <-chan struct{}) *workers {
	return &workers{jobs: make(chan job), stopped: stopped}
}

func (w *workers) start(j job) {
	select {
	case w.jobs <- j:
	default:
		go w.work(j)
	}
}

func (w *workers) work(j job) {
	for {
		j.call.run(j.ctx, j.req, j.handler)
		j = job{} // an idle worker keeps no call alive
		if w.idle.Add(1) > maxIdleWorkers {
			w.idle.Add(-1)
			return
		}
		select {
		case j = <-w.jobs:
			w.idle.Add(-1)
		case <-w.stopped:
			return
		}
	}
}
