package client

import (
	"sync"
	"time"
)

const (
	// waitingAfter is how long the client waits for an answer before it says so.
	waitingAfter = 3 * time.Second
	// waitingAgain is how often it is said again.
	waitingAgain = 15 * time.Second
)

// watch tells the user whom the stream is waiting for, until it is stopped. state returns a number that grows with every
// answer, and what to say if it has not grown for a while; nothing if nothing is waited for.
func (s *eventStream) watch(state func() (answers int64, text string)) (stop func()) {
	if s.waiting == nil {
		return func() {}
	}
	// With a short timeout, say so before it expires.
	after := min(waitingAfter, s.stall/4)
	quit := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		tick := time.NewTicker(max(after/4, time.Millisecond))
		defer tick.Stop()
		var answers int64
		began, next := time.Now(), after
		for {
			select {
			case <-quit:
				return
			case <-tick.C:
			}
			n, text := state()
			if n != answers || text == "" {
				answers, began, next = n, time.Now(), after
				continue
			}
			if time.Since(began) >= next {
				s.waiting(text)
				next = time.Since(began) + waitingAgain
			}
		}
	})
	return func() {
		close(quit)
		running.Wait()
	}
}

// watchKafka is watch for the answers to what is published.
func (s *eventStream) watchKafka() (stop func()) {
	return s.watch(func() (int64, string) {
		answers := s.acknowledged.Load() + s.failed.Load()
		if answers == s.published.Load() {
			return answers, ""
		}
		return answers, waitingText(Kafka, s.c.address(Kafka), "no answer")
	})
}

// hearing is what has been heard from a service that is asked again and again.
type hearing struct {
	part, addr string

	mu      sync.Mutex
	answers int64
	reason  string // of the last failure
}

// answer takes down what came of a question.
func (h *hearing) answer(err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		h.reason = reasonOf(err, h.addr)
		return
	}
	h.answers++
	h.reason = ""
}

func (h *hearing) state() (int64, string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	reason := h.reason
	if reason == "" {
		reason = "no answer"
	}
	return h.answers, waitingText(h.part, h.addr, reason)
}

func waitingText(part, addr, reason string) string {
	return "waiting for " + partName(part) + " at " + addr + ": " + reason
}
