//go:build servers

package chaos_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"movieexample.com/test/cluster"
)

// Bounds of a request, longer than the system's own (10 s): what hangs shall be its answer and not ours.
const requestTimeout = 15 * time.Second

// checkEvery is how often a gateway is asked whether it is ready. With --drain-delay above it no request comes to one that has
// stopped to take them.
const checkEvery = 200 * time.Millisecond

// balancer sends requests to the gateways as a load balancer does: to those that say that they are ready, in turn, over
// connections that are kept.
type balancer struct {
	gateways []*gateway
	turn     atomic.Uint64
	client   *http.Client
	// retry sends a request that came to nothing to another gateway: one that reads, or that was never sent. Without it each
	// request has one try.
	retry bool
}

type gateway struct {
	*cluster.Process
	ready atomic.Bool
}

func newBalancer(c *cluster.Cluster, retry bool) *balancer {
	b := &balancer{retry: retry, client: &http.Client{
		Timeout:   requestTimeout,
		Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute},
	}}
	for _, p := range c.Of("gateway") {
		b.gateways = append(b.gateways, &gateway{Process: p})
	}
	return b
}

// watch follows the gateways' readiness until ctx ends.
func (b *balancer) watch(ctx context.Context) {
	tick := time.NewTicker(checkEvery)
	defer tick.Stop()
	for {
		for _, g := range b.gateways {
			g.ready.Store(g.ask(ctx) == nil)
		}
		select {
		case <-ctx.Done():
			b.client.CloseIdleConnections()
			return
		case <-tick.C:
		}
	}
}

func (g *gateway) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+g.Admin+"/readyz", nil)
	if err != nil {
		return err
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New(resp.Status)
	}
	return nil
}

// pick is the next gateway that is ready, but for one that was tried; any where none is.
func (b *balancer) pick(but *gateway) *gateway {
	first := b.turn.Add(1)
	for n := range uint64(len(b.gateways)) {
		if g := b.gateways[(first+n)%uint64(len(b.gateways))]; g != but && g.ready.Load() {
			return g
		}
	}
	return b.gateways[first%uint64(len(b.gateways))]
}

// refusal is an answer with another status than 200.
type refusal struct {
	status int
	text   string
}

func (e *refusal) Error() string { return fmt.Sprintf("status %d: %.300s", e.status, e.text) }

// do sends a request and returns the body of its answer; another status than 200 is a *refusal.
func (b *balancer) do(ctx context.Context, method, path, body string) ([]byte, error) {
	g := b.pick(nil)
	answer, err := b.try(ctx, g, method, path, body)
	refused := (*refusal)(nil)
	if err == nil || !b.retry || errors.As(err, &refused) || method != http.MethodGet {
		return answer, err
	}
	g.ready.Store(false) // until it is asked again
	return b.try(ctx, b.pick(g), method, path, body)
}

func (b *balancer) try(ctx context.Context, g *gateway, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, "http://"+g.Address+path, bytes.NewReader([]byte(body)))
	if err != nil {
		return nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := b.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", g.Name, err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil, fmt.Errorf("%s: read the answer: %w", g.Name, err)
	}
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: %w", g.Name, &refusal{resp.StatusCode, string(text)})
	}
	return text, nil
}
