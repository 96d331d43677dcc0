//go:build servers

package chaos_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/resolver"
	"google.golang.org/protobuf/proto"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/internal/discovery"
	"movieexample.com/internal/rpc"
	"movieexample.com/test/cluster"
	"movieexample.com/test/oracle"
	"movieexample.com/test/servers"
)

// partitions is how many the topic has: the service's default.
const partitions = 4

// drainDelay of every process: long enough for the load balancer to notice.
const drainDelay = time.Second

// setup is what a kind of fault needs of a cluster.
type setup struct {
	brokers int
	// fragile puts MariaDB's data on a small disk, and a proxy before it.
	fragile bool
}

// rig is a cluster and everything that was said to it.
type rig struct {
	setup    setup
	c        *cluster.Cluster
	disk     *servers.SmallDisk // nil unless fragile
	registry *discovery.Registry
	closers  []io.Closer
	rating   ratingv1.RatingServiceClient
	admin    ratingv1.RatingAdminServiceClient
	metadata metadatav1.MetadataServiceClient

	ledger *oracle.Ledger
	log    []oracle.Entry // read so far
	serial int            // of the run

	mu     sync.Mutex
	rng    *rand.Rand
	claims map[oracle.Key]bool
}

// smallDisk is room for MariaDB's own files, for what a run writes, and for not much more.
const smallDisk = 320 << 20

// startRig starts a cluster, and puts the films that reads ask for.
func startRig(ctx context.Context, s setup, seed uint64, binary string) (_ *rig, err error) {
	ctx, cancel := context.WithTimeout(ctx, 4*time.Minute)
	defer cancel()
	r := &rig{setup: s, ledger: oracle.NewLedger(), rng: rand.New(rand.NewPCG(seed, uint64(s.brokers))), claims: map[oracle.Key]bool{}}
	defer func() {
		if err != nil {
			err = errors.Join(err, r.close())
		}
	}()
	config := cluster.Config{Brokers: s.brokers, DrainDelay: drainDelay, Binary: binary}
	if *chaosOther != "" {
		config.Binaries = map[string]string{"metadata-2": *chaosOther, "rating-2": *chaosOther, "movie-2": *chaosOther, "gateway-2": *chaosOther}
	}
	if s.fragile {
		if r.disk, err = servers.NewSmallDisk(smallDisk); err != nil {
			return nil, err
		}
		config.DatabaseProxy = true
		config.MariaDB.DataDir = filepath.Join(r.disk.Dir(), "data")
	}
	if r.c, err = cluster.Start(ctx, config); err != nil {
		return nil, err
	}
	if r.registry, err = discovery.Open(ctx, "consul://"+r.c.Consul.Address(), discovery.Options{}); err != nil {
		return nil, err
	}
	dial := func(service string) (*grpc.ClientConn, error) {
		conn, err := rpc.Dial(r.registry.Target(service), rpc.DialConfig{
			Name: service, Timeout: requestTimeout, Resolvers: []resolver.Builder{r.registry.Resolver()},
		})
		if err != nil {
			return nil, err
		}
		r.closers = append(r.closers, conn)
		return conn.ClientConn, nil
	}
	rating, err := dial("rating")
	if err != nil {
		return nil, err
	}
	metadata, err := dial("metadata")
	if err != nil {
		return nil, err
	}
	r.rating, r.admin = ratingv1.NewRatingServiceClient(rating), ratingv1.NewRatingAdminServiceClient(rating)
	r.metadata = metadatav1.NewMetadataServiceClient(metadata)
	for n := range filmCount {
		id, title := filmID(n), fmt.Sprintf("Film %d", n)
		if _, err := r.metadata.PutMovie(ctx, &metadatav1.PutMovieRequest{Movie: &metadatav1.Movie{
			Id: id, Title: title, Year: proto.Int32(int32(1950 + n)), Genres: []string{"Drama"},
		}}); err != nil {
			return nil, fmt.Errorf("put a film: %w", err)
		}
		r.ledger.Edited(id, title, true)
	}
	return r, nil
}

// close ends the cluster.
func (r *rig) close() error {
	var errs []error
	for _, c := range r.closers {
		errs = append(errs, c.Close())
	}
	if r.registry != nil {
		errs = append(errs, r.registry.Close())
	}
	if r.c != nil {
		errs = append(errs, r.c.Close())
	}
	if r.disk != nil {
		errs = append(errs, r.disk.Close())
	}
	return errors.Join(errs...)
}

// newRand is its own source, which the seed decides.
func (r *rig) newRand() *rand.Rand {
	r.mu.Lock()
	defer r.mu.Unlock()
	return rand.New(rand.NewPCG(r.rng.Uint64(), r.rng.Uint64()))
}

// between is a random time.
func (r *rig) between(least, most time.Duration) time.Duration {
	r.mu.Lock()
	defer r.mu.Unlock()
	return least + time.Duration(r.rng.Int64N(int64(most-least)))
}

// claim reports whether a key is the first one's that asks for it.
func (r *rig) claim(k oracle.Key) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.claims[k] {
		return false
	}
	r.claims[k] = true
	return true
}

// live reports whether a process id is of a process of the cluster that runs.
func (r *rig) live(pid int) bool {
	for _, p := range r.c.Processes() {
		if p.PID() == pid && p.Running() {
			return true
		}
	}
	return false
}

// ready returns what is missing for every process that runs to be ready.
func (r *rig) ready(ctx context.Context) error {
	for _, p := range r.c.Processes() {
		if p.Running() {
			if err := p.Ready(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepLogs copies what all processes and servers wrote to a directory that stays, and returns it.
func (r *rig) keepLogs(parent string) (string, error) {
	dir, err := os.MkdirTemp(parent, "movieexample-chaos-")
	if err != nil {
		return "", err
	}
	files := map[string]string{"mariadb": r.c.MariaDB.LogFile(), "consul": r.c.Consul.LogFile()}
	for _, b := range r.c.Kafka.Brokers {
		files[fmt.Sprintf("kafka-%d", b.NodeID)] = b.LogFile()
	}
	for _, p := range r.c.Processes() {
		files[p.Name] = p.LogFile()
	}
	for name, file := range files {
		text, err := os.ReadFile(file)
		if errors.Is(err, os.ErrNotExist) {
			continue // never started
		}
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name+".log"), text, 0o644)
		}
		if err != nil {
			return dir, err
		}
	}
	return dir, nil
}

// rigs has one rig at a time: the machine has not room for two.
type rigs struct {
	binary  string
	seed    uint64
	started int
	rig     *rig
}

// build builds the binary of this tree for as long as the test runs, or takes the one that is given.
func build(t *testing.T) string {
	t.Helper()
	if path := os.Getenv(cluster.BinaryVariable); path != "" {
		return path
	}
	path := filepath.Join(t.TempDir(), "movieexample")
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-trimpath", "-o", path, "movieexample.com/cmd/movieexample").CombinedOutput(); err != nil {
		t.Fatalf("build the binary: %v\n%s", err, out)
	}
	return path
}

// get returns a rig of that setup: the one that is there where it is of that kind and not broken.
func (rs *rigs) get(t *testing.T, s setup) *rig {
	t.Helper()
	if rs.rig != nil && rs.rig.setup == s {
		return rs.rig
	}
	rs.drop(t)
	began := time.Now()
	r, err := startRig(t.Context(), s, rs.seed+uint64(rs.started), rs.binary)
	if err != nil {
		t.Fatal(err)
	}
	rs.started++
	rs.rig = r
	t.Logf("a cluster with %d brokers started in %s", s.brokers, time.Since(began).Round(time.Millisecond))
	return r
}

// drop closes the rig; where t has failed its logs are kept.
func (rs *rigs) drop(t *testing.T) {
	t.Helper()
	if rs.rig == nil {
		return
	}
	if t.Failed() {
		if dir, err := rs.rig.keepLogs(*logsDir); err != nil {
			t.Errorf("keep the logs: %v", err)
		} else {
			t.Logf("logs of all processes are in %s", dir)
		}
	}
	if err := rs.rig.close(); err != nil {
		t.Errorf("close the cluster: %v", err)
	}
	rs.rig = nil
}
