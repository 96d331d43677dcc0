package test

import (
	"context"
	"flag"
	"math/rand/v2"
	"testing"
	"time"

	"movieexample.com/test/oracle"
	"movieexample.com/test/system"
)

var (
	crashFull = flag.Bool("crash.full", false, "the crash test in full: 200,000 events, 50 kills")
	crashSeed = flag.Uint64("crash.seed", 0, "seed of the crash test; 0 takes a new one")
)

// TestCrash kills the real binary at random moments while events and synchronous writes flow in, until the log is
// drained, and then compares everything that is stored with everything that was said.
func TestCrash(t *testing.T) {
	events, kills := 8_000, 5
	if *crashFull {
		events, kills = 200_000, 55
	}
	seed := *crashSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("seed %d (repeat with -args -crash.seed=%d)", seed, seed)
	p := newPlan(seed, events)
	t.Logf("plan: %d records: %v", len(p.items), p.counts)
	classes := map[string]bool{}
	for _, it := range p.items {
		if it.poison != "" {
			classes[it.poison] = true
		}
	}
	if len(classes) < 10 {
		t.Fatalf("only %d classes of poison in the plan", len(classes))
	}

	c := newCrashRun(t, system.Build(t), p, seed)
	for life := range kills {
		c.life(len(c.queue) / (kills - life))
	}
	c.drain()
	o := c.read(p)
	t.Logf("%d kills, %d of them in traffic, %d of these with events in flight; %d records acknowledged, %d in the log; %d synchronous writes acknowledged, %d lost their answer",
		kills, c.hits, c.inside, c.said.Acknowledged(), len(o.Log), c.writers.count(true), c.writers.count(false))
	if c.hits*10 < kills*8 {
		t.Errorf("only %d of %d kills hit during traffic: this run proves nothing", c.hits, kills)
	}
	if c.inside*4 < kills {
		t.Errorf("only %d of %d kills met events that were not answered or not ingested yet: this run proves nothing", c.inside, kills)
	}
	if c.advanced*2 < kills {
		t.Errorf("ingestion advanced in only %d of %d lives: this run proves nothing", c.advanced, kills)
	}
	if n := c.writers.count(true); n < kills*3 {
		t.Errorf("only %d synchronous writes were acknowledged: this run proves nothing", n)
	}
	if found := c.said.Check(o); len(found) > 0 {
		t.Errorf("%d violations:\n%s", len(found), found)
	}
}

// crashRun is the state that outlives the process under test.
type crashRun struct {
	t    *testing.T
	bin  string
	data string
	rng  *rand.Rand

	queue    []item // to publish, in order; what lost its answer goes in again
	said     *oracle.Ledger
	writers  *writers
	log      oracle.Outcome // the log alone, read back from the broker at the end
	hits     int           // kills in traffic: something was acknowledged just before
	inside   int           // kills that met events without an answer, or not ingested yet
	advanced int           // lives in which ingestion got on
}

func newCrashRun(t *testing.T, bin string, p plan, seed uint64) *crashRun {
	said := oracle.NewLedger()
	return &crashRun{
		t: t, bin: bin, data: t.TempDir(), rng: rand.New(rand.NewPCG(seed, 3)),
		queue: p.items, said: said, writers: newWriters(p, seed, said),
	}
}

// life starts the process, publishes up to quota records while writers write, and kills it at a random moment.
func (c *crashRun) life(quota int) {
	p := system.Start(c.t, c.bin, c.data)
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	conn := dialRating(c.t, p.Rating)
	defer conn.Close()
	watch := watchIngestion(ctx, conn)
	stopWriters := c.writers.start(ctx, conn)
	pub := c.publish(ctx, p.Kafka, quota)

	// Not a wait for anything: the moment of the kill is what is random. Every other kill comes soon after a burst of
	// events has begun, when transactions are being written.
	moment := time.Duration(50+c.rng.IntN(700)) * time.Millisecond
	if c.rng.IntN(2) == 0 {
		select {
		case <-pub.burst(c.rng.IntN(bursts)):
		case <-p.Exited():
		}
		moment = time.Duration(c.rng.IntN(40_000)) * time.Microsecond
	}
	select {
	case <-time.After(moment):
	case <-p.Exited():
		c.t.Fatalf("the process ended unexpectedly:\n%s", p.Log())
	}
	behind, first, last := watch.behind(pub.end())
	quiet := min(pub.quiet(), c.writers.quiet())
	p.Kill()
	cancel()
	stopWriters()
	watch.stop()
	unanswered := pub.stop()
	if quiet < 100*time.Millisecond {
		c.hits++
	}
	if behind > 0 || unanswered > 0 {
		c.inside++
	}
	if last > first {
		c.advanced++
	}
}

// drain publishes the rest, waits until everything is ingested, audits through the binary and stops in order.
func (c *crashRun) drain() {
	p := system.Start(c.t, c.bin, c.data)
	ctx, cancel := context.WithTimeout(c.t.Context(), 10*time.Minute)
	defer cancel()
	conn := dialRating(c.t, p.Rating)
	defer conn.Close()
	pub := c.publish(ctx, p.Kafka, len(c.queue))
	<-pub.published
	if err := pub.client.Flush(ctx); err != nil {
		c.t.Fatalf("publish the rest: %v", err)
	}
	if n := pub.stop(); n > 0 {
		c.t.Fatalf("%d records were not acknowledged although the broker lives", n)
	}
	awaitDrained(ctx, c.t, p.Kafka, conn)
	c.readLog(ctx, p.Kafka)
	if r := system.Run(ctx, c.t, c.bin, "audit", "--addresses", p.File); r.Code != 0 {
		c.t.Errorf("audit: exit code %d\n%s%s", r.Code, r.Stdout, r.Stderr)
	}
	took, err := p.Terminate(10 * time.Second)
	if err != nil {
		c.t.Error(err)
	}
	c.t.Logf("drained; stopped %s after SIGTERM", took.Round(time.Millisecond))
}

// readLog reads every record of the topic.
func (c *crashRun) readLog(ctx context.Context, broker string) {
	if err := c.log.ReadLog(ctx, []string{broker}, topic); err != nil {
		c.t.Fatal(err)
	}
}

// read is together with what the stopped process has stored.
func (c *crashRun) read(p plan) oracle.Outcome { return c.together(p, readDatabase(c.t, c.data)) }

// together brings together the log and what is stored, and wants everything planned in the log.
func (c *crashRun) together(p plan, stored oracle.Outcome) oracle.Outcome {
	missing := map[string]bool{}
	for _, it := range p.items {
		missing[string(it.value)] = true
	}
	for _, e := range c.log.Log {
		delete(missing, string(e.Value))
	}
	if len(missing) > 0 {
		c.t.Errorf("%d planned records are not in the log", len(missing))
	}
	stored.Log, stored.Ends = c.log.Log, c.log.Ends
	return stored
}
