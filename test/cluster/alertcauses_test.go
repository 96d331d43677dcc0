//go:build servers

package cluster_test

import (
	"context"
	"errors"
	"fmt"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	"movieexample.com/internal/guard"
	"movieexample.com/metadata"
	"movieexample.com/test/cluster"
)

// guardedJob is background work under the guard that the services have, in this program: no input makes a service panic.
type guardedJob struct {
	address string // of its metrics, host:port
	panics  chan struct{}
}

func newGuardedJob(t *testing.T) *guardedJob {
	t.Helper()
	metrics := prometheus.NewRegistry()
	g, err := guard.New(guard.Config{Metrics: metrics})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewServer(promhttp.HandlerFor(metrics, promhttp.HandlerOpts{}))
	ctx, cancel := context.WithCancel(t.Context())
	job, ended := &guardedJob{strings.TrimPrefix(server.URL, "http://"), make(chan struct{})}, make(chan error)
	go func() {
		ended <- g.Run(ctx, "alerts", func(ctx context.Context) error {
			select {
			case <-job.panics:
				panic("as asked")
			case <-ctx.Done():
				return nil
			}
		})
	}()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		server.Close()
	})
	return job
}

// pileUp takes a lock that every write of a film needs, and writes more films than may wait for it, until release.
func pileUp(t *testing.T, c *cluster.Cluster) (release func() error, err error) {
	t.Helper()
	conn, err := grpc.NewClient(c.Process("metadata-1").Address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return nil, err
	}
	client := metadatav1.NewMetadataServiceClient(conn)
	lock, err := c.MariaDB.Root().BeginTx(context.WithoutCancel(t.Context()), nil)
	if err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	if _, err := lock.ExecContext(t.Context(), "SELECT last_number FROM movieexample_metadata.sequences FOR UPDATE"); err != nil {
		return nil, errors.Join(err, lock.Rollback(), conn.Close())
	}
	ctx, cancel := context.WithCancel(t.Context())
	var writers sync.WaitGroup
	for w := range 40 {
		writers.Go(func() {
			batch := make([]*metadatav1.Movie, metadata.MaxBatch)
			for i := range batch {
				batch[i] = &metadatav1.Movie{Id: fmt.Sprintf("pile-%d-%d", w, i), Title: "Pile"}
			}
			pause := time.NewTicker(200 * time.Millisecond)
			defer pause.Stop()
			for ctx.Err() == nil {
				writing, end := context.WithTimeout(ctx, 3*time.Second)
				_, _ = client.BatchPutMovies(writing, &metadatav1.BatchPutMoviesRequest{Movies: batch, Mode: metadatav1.BatchPutMode_BATCH_PUT_MODE_REPLACE}) // to be refused is what some of them are for
				<-pause.C
				end()
			}
		})
	}
	release = sync.OnceValue(func() error {
		cancel()
		writers.Wait()
		return errors.Join(lock.Rollback(), conn.Close())
	})
	t.Cleanup(func() { _ = release() }) // for a test that failed
	return release, nil
}
