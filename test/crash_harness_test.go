package test

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/proto"
	_ "modernc.org/sqlite" // the result is read from the file, not through the code under test

	ratingv1 "movieexample.com/gen/movieexample/rating/v1"
	"movieexample.com/test/oracle"
)

const topic = "ratings"

func dialRating(t testing.TB, addr string) *grpc.ClientConn {
	t.Helper()
	conn, err := grpc.NewClient(addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	return conn
}

// bursts is the number of pieces in which a life's events come, and burstGap the time between two.
const (
	bursts   = 12
	burstGap = 50 * time.Millisecond
)

// publisher publishes part of the queue in bursts and knows what became of each record.
type publisher struct {
	run       *crashRun
	client    *kgo.Client
	begun     [bursts]chan struct{} // closed when the burst begins
	published chan struct{}         // closed when everything was handed to the client
	answers   sync.WaitGroup        // one for each record handed to the client

	mu      sync.Mutex
	ends    map[int32]int64
	failed  []item
	pending int       // handed to the client and not answered
	last    time.Time // of the last acknowledgement
}

// publish takes quota records off the queue and publishes them until ctx ends.
func (c *crashRun) publish(ctx context.Context, broker string, quota int) *publisher {
	client, err := kgo.NewClient(
		kgo.SeedBrokers(broker),
		kgo.DefaultProduceTopic(topic),
		kgo.UnknownTopicRetries(-1), // the service creates the topic when it comes to it
		kgo.MetadataMinAge(50*time.Millisecond),
		kgo.MaxBufferedRecords(quota+1),
		kgo.DisableClientMetrics(),
	)
	if err != nil {
		c.t.Fatal(err)
	}
	p := &publisher{run: c, client: client, ends: map[int32]int64{}, published: make(chan struct{})}
	for i := range p.begun {
		p.begun[i] = make(chan struct{})
	}
	batch := slices.Clone(c.queue[:quota])
	c.queue = c.queue[quota:]
	go func() {
		defer close(p.published)
		gap := time.NewTicker(burstGap)
		defer gap.Stop()
		for i := range bursts {
			close(p.begun[i])
			for _, it := range batch[len(batch)*i/bursts : len(batch)*(i+1)/bursts] {
				p.produce(ctx, it)
			}
			if i < bursts-1 {
				select {
				case <-gap.C:
				case <-ctx.Done(): // what is left fails at once, and goes back
				}
			}
		}
	}()
	return p
}

func (p *publisher) produce(ctx context.Context, it item) {
	p.mu.Lock()
	p.pending++
	p.mu.Unlock()
	p.run.said.Sending(it.value, it.poison != "")
	p.answers.Add(1)
	p.client.Produce(ctx, &kgo.Record{Key: it.key, Value: it.value}, func(r *kgo.Record, err error) {
		defer p.answers.Done()
		p.mu.Lock()
		defer p.mu.Unlock()
		if err != nil {
			p.failed = append(p.failed, it)
			p.run.said.Unanswered()
			return
		}
		p.pending--
		p.last = time.Now()
		p.ends[r.Partition] = max(p.ends[r.Partition], r.Offset+1)
		p.run.said.Sent(oracle.Place{Partition: r.Partition, Offset: r.Offset}, r.Value)
	})
}

// burst is closed when the i-th burst begins.
func (p *publisher) burst(i int) <-chan struct{} { return p.begun[i] }

// quiet is how long nothing has been acknowledged.
func (p *publisher) quiet() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return time.Since(p.last)
}

// end is the sum of the acknowledged ends of all partitions.
func (p *publisher) end() (sum int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, end := range p.ends {
		sum += end
	}
	return sum
}

// stop gives up what has no answer, puts it back into the queue, and returns how much that is. Some of it may be in the
// log anyway: one more duplicate.
func (p *publisher) stop() int {
	p.mu.Lock()
	unanswered := p.pending
	p.mu.Unlock()
	<-p.published
	p.client.Close()
	p.answers.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.run.queue = slices.Concat(p.failed, p.run.queue)
	return unanswered
}

// watcher follows how far ingestion is.
type watcher struct {
	mu          sync.Mutex
	first, last int64 // sums of next offsets; first is -1 before the first answer
	cancel      context.CancelFunc
	done        chan struct{}
}

func watchIngestion(ctx context.Context, conn *grpc.ClientConn) *watcher {
	ctx, cancel := context.WithCancel(ctx)
	w := &watcher{first: -1, cancel: cancel, done: make(chan struct{})}
	admin := ratingv1.NewRatingAdminServiceClient(conn)
	go func() {
		defer close(w.done)
		tick := time.NewTicker(10 * time.Millisecond)
		defer tick.Stop()
		for {
			resp, err := admin.ListIngestPartitions(ctx, &ratingv1.ListIngestPartitionsRequest{})
			if err == nil {
				var sum int64
				for _, p := range resp.GetPartitions() {
					sum += p.GetNextOffset()
				}
				w.mu.Lock()
				if w.first < 0 {
					w.first = sum
				}
				w.last = sum
				w.mu.Unlock()
			}
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
		}
	}()
	return w
}

// behind returns how much of end is not ingested yet, and from where to where ingestion got in this life.
func (w *watcher) behind(end int64) (lag, first, last int64) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return end - w.last, max(w.first, 0), w.last
}

func (w *watcher) stop() {
	w.cancel()
	<-w.done
}

// writers rate synchronously and write down the answers. Each has its own keys, so the attempts of a key are in order.
type writers struct {
	said *oracle.Ledger
	keys [][]oracle.Key
	rngs []*rand.Rand

	mu       sync.Mutex
	answered map[bool]int // attempts, by whether they were
	last     time.Time    // of the last acknowledgement
}

// newWriters shares out keys: half of them are keys of events too, so that both ways meet in one row.
func newWriters(p plan, seed uint64, said *oracle.Ledger) *writers {
	const count, keysEach = 3, 40
	w := &writers{said: said, answered: map[bool]int{}}
	shared := map[oracle.Key]bool{}
	for i := range count {
		var keys []oracle.Key
		for n := range keysEach {
			k := oracle.Key{RecordType: "movie", RecordID: fmt.Sprintf("r%d", n), UserID: fmt.Sprintf("sync-%d", i)}
			if n%2 == 0 {
				for _, it := range p.items[(i*keysEach+n)*7%len(p.items):] {
					if ek, _, err := it.meaning(); it.poison == "" && err == nil && !shared[ek] {
						k = ek
						break
					}
				}
			}
			shared[k] = true
			keys = append(keys, k)
		}
		w.keys = append(w.keys, keys)
		w.rngs = append(w.rngs, rand.New(rand.NewPCG(seed, uint64(100+i))))
	}
	return w
}

// start lets the writers write until ctx ends; the function returned waits for them.
func (w *writers) start(ctx context.Context, conn *grpc.ClientConn) (wait func()) {
	client := ratingv1.NewRatingServiceClient(conn)
	var wg sync.WaitGroup
	for i := range w.keys {
		wg.Go(func() {
			rng := w.rngs[i]
			for ctx.Err() == nil {
				k := w.keys[i][rng.IntN(len(w.keys[i]))]
				value, began := 1+rng.IntN(10), time.Now()
				resp, err := client.PutRating(ctx, &ratingv1.PutRatingRequest{
					RecordType: k.RecordType, RecordId: k.RecordID, UserId: k.UserID, Value: proto.Int32(int32(value)),
				})
				w.said.Rated(k, value, resp.GetRating().GetRatedAt().AsTime().UnixMicro(), began, err == nil)
				w.mu.Lock()
				w.answered[err == nil]++
				if err == nil {
					w.last = time.Now()
				}
				w.mu.Unlock()
				if err != nil {
					return // the process is gone; the next life starts over
				}
			}
		})
	}
	return wg.Wait
}

// quiet is how long no write has been acknowledged.
func (w *writers) quiet() time.Duration {
	w.mu.Lock()
	defer w.mu.Unlock()
	return time.Since(w.last)
}

// count is how many writes were acknowledged, or lost their answer.
func (w *writers) count(acked bool) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.answered[acked]
}

// awaitDrained waits until the service has ingested every partition to its end.
func awaitDrained(ctx context.Context, t testing.TB, broker string, conn *grpc.ClientConn) {
	t.Helper()
	ends, err := oracle.Ends(ctx, []string{broker}, topic)
	if err != nil {
		t.Fatal(err)
	}
	admin := ratingv1.NewRatingAdminServiceClient(conn)
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		resp, err := admin.ListIngestPartitions(ctx, &ratingv1.ListIngestPartitionsRequest{})
		if err != nil {
			t.Fatalf("list ingest partitions: %v", err)
		}
		next := map[int32]int64{}
		for _, p := range resp.GetPartitions() {
			if p.GetHalted() != "" {
				t.Fatalf("partition %d is halted: %s", p.GetPartition(), p.GetHalted())
			}
			next[p.GetPartition()] = p.GetNextOffset()
		}
		drained := true
		for p, end := range ends {
			drained = drained && next[p] >= end
		}
		if drained {
			return
		}
		select {
		case <-ctx.Done():
			t.Fatalf("not drained: ingested %v of %v", next, ends)
		case <-tick.C:
		}
	}
}

// readDatabase reads the rating service's tables from the file of a stopped process.
func readDatabase(t testing.TB, dataDir string) oracle.Outcome {
	t.Helper()
	path := filepath.Join(dataDir, "rating", "rating.db")
	db, err := sql.Open("sqlite", "file:"+(&url.URL{Path: path}).EscapedPath()+"?mode=ro")
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var integrity string
	if err := db.QueryRowContext(t.Context(), "SELECT group_concat(integrity_check, char(10)) FROM pragma_integrity_check").Scan(&integrity); err != nil {
		t.Fatalf("check the database's integrity: %v", err)
	}
	if integrity != "ok" {
		t.Errorf("the database is damaged: %s", integrity)
	}
	return readTables(t, db, "")
}

// readTables reads the rating service's tables from a database of either engine; prefix is what their names need, such as
// "name_of_database.".
func readTables(t testing.TB, db *sql.DB, prefix string) (o oracle.Outcome) {
	t.Helper()
	if err := o.ReadRatings(t.Context(), db, prefix); err != nil {
		t.Fatal(err)
	}
	return o
}
