//go:build servers

package cluster_test

import (
	"context"
	"testing"
	"time"

	"movieexample.com/test/cluster"
)

func start(t *testing.T, config cluster.Config) *cluster.Cluster {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	c, err := cluster.Start(ctx, config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestStart(t *testing.T) {
	began := time.Now()
	c := start(t, cluster.Config{})
	t.Logf("ready after %s", time.Since(began))
	for _, p := range c.Processes() {
		log, _ := p.Log()
		t.Logf("%s\n%s", p.Name, log)
		rss, err := p.RSS()
		t.Log(rss>>20, err)
	}
	t.Log(c.Stop())
	for _, p := range c.Processes() {
		log, _ := p.Log()
		t.Logf("%s\n%s", p.Name, log)
	}
}
