//go:build servers

package cluster_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"movieexample.com/test/cluster"
)

// create makes a cluster whose servers run and whose processes do not; the test's end closes it, and shows the logs of a
// failed test.
func create(t *testing.T, config cluster.Config) *cluster.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, err := cluster.New(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range c.Processes() {
			if log, err := p.Log(); err == nil && t.Failed() {
				t.Logf("log of %s:\n%s", p.Name, log)
			}
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

// start is create, and everything is ready.
func start(t *testing.T, config cluster.Config) *cluster.Cluster {
	t.Helper()
	c := create(t, config)
	for _, step := range []func() error{
		c.Launch,
		func() error { return c.AwaitReady(t.Context()) },
		func() error { return c.AwaitIngestion(t.Context()) },
	} {
		if err := step(); err != nil {
			t.Fatal(err)
		}
	}
	return c
}

// patience bounds what a test waits for; it is a bound for what hangs, not a measurement.
const patience = 30 * time.Second

// eventually asks until there is no error.
func eventually(t *testing.T, what string, holds func(context.Context) error) {
	t.Helper()
	eventuallyEvery(t, 10*time.Millisecond, what, holds)
}

func eventuallyEvery(t *testing.T, pause time.Duration, what string, holds func(context.Context) error) {
	t.Helper()
	await(t, patience, pause, what, holds)
}

// eventuallyWithin is eventually for what may take longer.
func eventuallyWithin(t *testing.T, limit time.Duration, what string, holds func(context.Context) error) {
	t.Helper()
	await(t, limit, 100*time.Millisecond, what, holds)
}

func await(t *testing.T, limit, pause time.Duration, what string, holds func(context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		err := holds(t.Context()) // which bounds itself; an answer that was cut off tells nothing
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("waited %s for %s: %v", limit, what, err)
		}
	}
}

// ask sends a request to a gateway and returns the answer's body; another status than 200 is an error.
func ask(ctx context.Context, method, url, body string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return "", err
	}
	req.Close = true // of one life of the gateway
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return "", err
	}
	if resp.StatusCode != http.StatusOK {
		return "", fmt.Errorf("%s %s: %s: %s", method, url, resp.Status, text)
	}
	return string(text), nil
}

// details are what a gateway tells of a film.
type details struct {
	Title  string
	Rating struct{ Votes int } `json:"ratingSummary"`
	Status string              `json:"ratingStatus"`
}

func movie(ctx context.Context, gateway, id string) (d details, err error) {
	text, err := ask(ctx, http.MethodGet, gateway+"/v1/movies/"+id, "")
	if err != nil {
		return d, err
	}
	return d, json.Unmarshal([]byte(text), &d)
}

// awaitVotes waits until every gateway shows that many fresh votes of a film.
func awaitVotes(t *testing.T, c *cluster.Cluster, id string, votes int) {
	t.Helper()
	for _, gateway := range c.Targets().Gateways {
		eventually(t, fmt.Sprintf("%d votes of %s at %s", votes, id, gateway), func(ctx context.Context) error {
			d, err := movie(ctx, gateway, id)
			if err == nil && (d.Rating.Votes != votes || d.Status != "fresh") {
				err = fmt.Errorf("there are %d votes, %s", d.Rating.Votes, d.Status)
			}
			return err
		})
	}
}
