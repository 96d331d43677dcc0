//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync"
	"time"

	"movieexample.com/test/cluster"
)

// restartAfter is the pause before a process that has ended is started again.
const restartAfter = 2 * time.Second

// run runs a cluster until ctx ends.
func run(ctx context.Context, o options, stderr io.Writer) error {
	held, err := lock(o.dir)
	if err != nil {
		return err
	}
	if held == nil {
		return fmt.Errorf("another cluster runs in %s: stop it first (make cluster-down)", o.dir)
	}
	defer held.Close()
	binary, err := filepath.Abs(filepath.Join("bin", "movieexample"))
	if err != nil {
		return err
	}
	c, err := cluster.Start(ctx, cluster.Config{
		Dir: o.dir, Brokers: o.brokers, StaticDiscovery: o.static, Binary: binary, DrainDelay: time.Second,
	})
	if err != nil {
		return err
	}
	err = describe(c).write(o.dir)
	if err == nil {
		err = errors.Join(watch(ctx, c, o.dir, stderr), c.Stop())
	}
	return errors.Join(err, c.Close())
}

// watch starts again what ends, until ctx does.
func watch(ctx context.Context, c *cluster.Cluster, dir string, stderr io.Writer) error {
	said := func(format string, args ...any) {
		fmt.Fprintf(stderr, time.Now().Format("15:04:05")+" "+format+"\n", args...)
	}
	var (
		mu       sync.Mutex // of the state file
		watchers sync.WaitGroup
		failed   error
	)
	for _, p := range c.Processes() {
		watchers.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case <-p.Exited():
				}
				said("%s has ended; it is started again in %s. Its log is %s", p.Name, restartAfter, p.LogFile())
				select {
				case <-ctx.Done():
					return
				case <-time.After(restartAfter):
				}
				err := p.Launch()
				mu.Lock()
				if err == nil {
					err = describe(c).write(dir)
				}
				if err != nil {
					failed = errors.Join(failed, err)
					said("%v", err)
					mu.Unlock()
					return
				}
				mu.Unlock()
			}
		})
	}
	watchers.Wait()
	<-ctx.Done()
	return failed
}
