package groupcommit_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"pgregory.net/rapid"

	"movieexample.com/internal/fault"
	"movieexample.com/internal/groupcommit"
)

// errBad is what the database says of a transaction that holds a bad write.
var errBad = errors.New("the value does not fit")

// database keeps what transactions wrote, all or nothing. A transaction waits in gate, where there is one.
type database struct {
	gate chan struct{}

	mu       sync.Mutex
	began    chan []string // each transaction as it begins
	running  int
	most     int
	batches  [][]string // those that were committed
	attempts int
}

func newDatabase(gated bool) *database {
	d := &database{began: make(chan []string, 1000)}
	if gated {
		d.gate = make(chan struct{})
	}
	return d
}

func (d *database) commit(ctx context.Context, writes []*groupcommit.Write[string]) ([]groupcommit.Result[string], error) {
	d.mu.Lock()
	d.attempts++
	d.running++
	d.most = max(d.most, d.running)
	d.mu.Unlock()
	defer func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		d.running--
	}()
	var texts []string
	for _, w := range writes {
		texts = append(texts, w.Value)
	}
	d.began <- slices.Clone(texts)
	if d.gate != nil {
		select {
		case <-d.gate:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	d.mu.Lock() // from here on no one else can write what this one writes
	defer d.mu.Unlock()
	texts = texts[:0]
	results := make([]groupcommit.Result[string], len(writes))
	for i, w := range writes {
		switch {
		case w.Left() != nil:
			results[i].Err = w.Left()
			continue
		case strings.Contains(w.Value, "panic"):
			panic("no such case: " + w.Value)
		case strings.Contains(w.Value, "bad"):
			return nil, fmt.Errorf("insert %s: %w", w.Value, errBad)
		case strings.Contains(w.Value, "stale"):
			results[i].Err = fault.Conflict("%s", w.Value)
			continue
		}
		texts = append(texts, w.Value)
		results[i].Value = "stored " + w.Value
	}
	d.batches = append(d.batches, texts)
	return results, nil
}

func group(d *database, batches, most, waiting int) *groupcommit.Group[string, string] {
	return groupcommit.New(groupcommit.Config[string]{Batches: batches, MaxBatch: most, MaxWaiting: waiting}, d.commit)
}

// answer is what came back of a write.
type answer struct {
	value    string
	err      error
	panicked any
}

// write starts a caller that writes value; the channel gets its answer.
func write(ctx context.Context, g *groupcommit.Group[string, string], value string) <-chan answer {
	ch := make(chan answer, 1)
	go func() {
		var a answer
		defer func() { a.panicked = recover(); ch <- a }()
		a.value, a.err = g.Do(ctx, value)
	}()
	return ch
}

// gathered waits until so many writes wait.
func gathered(t *testing.T, g *groupcommit.Group[string, string], n int) {
	t.Helper()
	for groupcommit.Waiting(g) != n {
		if t.Context().Err() != nil {
			t.Fatal(t.Context().Err())
		}
	}
}

// A write that comes alone starts at once; those that come while it is in flight are committed together, in order.
func TestWritesGatherBehindTheOneUnderWay(t *testing.T) {
	d := newDatabase(true)
	g := group(d, 1, 10, 100)
	var answers []<-chan answer
	var want []string
	answers = append(answers, write(t.Context(), g, "0"))
	if got := <-d.began; !slices.Equal(got, []string{"0"}) {
		t.Fatalf("the first transaction has %v", got)
	}
	for i := 1; i <= 5; i++ {
		want = append(want, fmt.Sprint(i))
		answers = append(answers, write(t.Context(), g, fmt.Sprint(i)))
		gathered(t, g, i)
	}
	d.gate <- struct{}{}
	if got := <-d.began; !slices.Equal(got, want) {
		t.Errorf("the second transaction has %v, want %v", got, want)
	}
	d.gate <- struct{}{}
	for i, ch := range answers {
		if a := <-ch; a.err != nil || a.value != fmt.Sprint("stored ", i) {
			t.Errorf("write %d: %+v", i, a)
		}
	}
	if len(d.batches) != 2 {
		t.Errorf("%d transactions, want 2", len(d.batches))
	}
}

// What a write is refused for is its own business: by the rules, by the database or by a panic.
func TestABadWriteFailsAlone(t *testing.T) {
	for name, c := range map[string]struct {
		bad      string
		is       func(answer) bool
		attempts int
	}{
		"refused by the rules": {"stale", func(a answer) bool { return fault.KindOf(a.err) == fault.KindConflict }, 2},
		"refused by the database": {"bad", func(a answer) bool {
			return errors.Is(a.err, errBad) && a.panicked == nil
		}, 2 + 6},
		"a panic": {"panic", func(a answer) bool {
			return strings.Contains(fmt.Sprint(a.panicked), "no such case: panic") && strings.Contains(fmt.Sprint(a.panicked), "commit(")
		}, 2 + 6},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDatabase(true)
			g := group(d, 1, 10, 100)
			first := write(t.Context(), g, "first")
			<-d.began
			answers := map[string]<-chan answer{}
			for i, v := range []string{"a", "b", c.bad, "c", "d", "e", "f", "g"} {
				answers[v] = write(t.Context(), g, v)
				gathered(t, g, i+1)
			}
			close(d.gate)
			if a := <-first; a.err != nil {
				t.Error(a.err)
			}
			for v, ch := range answers {
				a := <-ch
				if v == c.bad && !c.is(a) || v != c.bad && (a.err != nil || a.panicked != nil || a.value != "stored "+v) {
					t.Errorf("write %q: %+v", v, a)
				}
			}
			if d.attempts != c.attempts {
				t.Errorf("%d transactions were tried, want %d", d.attempts, c.attempts)
			}
		})
	}
}

// Who waits no more is told at once, whatever becomes of the write; one that has not started never does.
func TestACallerLeaves(t *testing.T) {
	d := newDatabase(true)
	g := group(d, 1, 10, 100)
	underWay, leaveUnderWay := context.WithCancel(t.Context())
	waiting, leaveWaiting := context.WithCancel(t.Context())
	first := write(underWay, g, "first")
	<-d.began
	second := write(waiting, g, "second")
	gathered(t, g, 1)
	third := write(t.Context(), g, "third")
	gathered(t, g, 2)

	leaveWaiting()
	if a := <-second; !errors.Is(a.err, context.Canceled) {
		t.Errorf("the one that waited: %+v", a)
	}
	gathered(t, g, 1)
	leaveUnderWay() // the only one of its batch, which is interrupted therefore
	if a := <-first; !errors.Is(a.err, context.Canceled) {
		t.Errorf("the one in flight: %+v", a)
	}
	if got := <-d.began; !slices.Equal(got, []string{"third"}) {
		t.Errorf("then %v started, want the third", got)
	}
	d.gate <- struct{}{}
	if a := <-third; a.err != nil {
		t.Errorf("the one that stayed: %+v", a)
	}
	if len(d.batches) != 1 {
		t.Errorf("committed %v, want the third alone", d.batches)
	}
	if a := <-write(underWay, g, "late"); !errors.Is(a.err, context.Canceled) || d.attempts != 2 {
		t.Errorf("after its context ended: %+v, with %d transactions", a, d.attempts)
	}
}

// A batch continues for those who stay, and knows who left.
func TestABatchEndsWithItsLastCaller(t *testing.T) {
	started, look, leftSeen := make(chan context.Context), make(chan struct{}), make(chan []bool, 10)
	g := groupcommit.New(groupcommit.Config[string]{Batches: 1, MaxBatch: 10, MaxWaiting: 10},
		func(ctx context.Context, writes []*groupcommit.Write[string]) ([]groupcommit.Result[string], error) {
			started <- ctx
			<-look
			var gone []bool
			for _, w := range writes {
				gone = append(gone, w.Left() != nil)
			}
			leftSeen <- gone
			return make([]groupcommit.Result[string], len(writes)), ctx.Err()
		})
	first := write(t.Context(), g, "first")
	<-started
	ctx, leave := context.WithCancel(t.Context())
	a := write(ctx, g, "a")
	gathered(t, g, 1)
	b := write(t.Context(), g, "b")
	gathered(t, g, 2)
	look <- struct{}{}
	<-first
	<-leftSeen
	batch := <-started
	leave()
	if got := <-a; !errors.Is(got.err, context.Canceled) {
		t.Errorf("the one that left: %+v", got)
	}
	if batch.Err() != nil {
		t.Error("the batch was canceled although a caller still waits")
	}
	look <- struct{}{}
	if got := <-leftSeen; !slices.Equal(got, []bool{true, false}) {
		t.Errorf("left: %v, want the first of two", got)
	}
	if got := <-b; got.err != nil {
		t.Errorf("the one that stayed: %+v", got)
	}
}

// Writes above the bound are refused at once, with a kind that says to retry, and are never started.
func TestTheQueueIsBounded(t *testing.T) {
	d := newDatabase(true)
	g := group(d, 1, 10, 3)
	answers := []<-chan answer{write(t.Context(), g, "in flight")}
	<-d.began
	for i := range 3 {
		answers = append(answers, write(t.Context(), g, "waits"))
		gathered(t, g, i+1)
	}
	a := <-write(t.Context(), g, "too many")
	if status.Code(a.err) != codes.Unavailable || !strings.Contains(a.err.Error(), "nothing was written") {
		t.Errorf("one too many: %+v", a)
	}
	close(d.gate)
	for _, ch := range answers {
		if a := <-ch; a.err != nil {
			t.Error(a.err)
		}
	}
	for _, b := range d.batches {
		if slices.Contains(b, "too many") {
			t.Error("what was refused was written")
		}
	}
}

// An error that is no one's fault goes to all of the batch, once: it is for each to decide.
func TestAnErrorOfTheDatabaseIsEverybodys(t *testing.T) {
	lost := context.DeadlineExceeded
	attempts := 0
	gate := make(chan struct{})
	g := groupcommit.New(groupcommit.Config[string]{Batches: 1, MaxBatch: 10, MaxWaiting: 10},
		func(_ context.Context, writes []*groupcommit.Write[string]) ([]groupcommit.Result[string], error) {
			attempts++
			<-gate
			results := make([]groupcommit.Result[string], len(writes))
			for i, w := range writes {
				results[i].Value = "tried " + w.Value
			}
			return results, lost
		})
	answers := []<-chan answer{write(t.Context(), g, "x")}
	for i := range 3 {
		if i == 0 {
			gathered(t, g, 0)
		}
		answers = append(answers, write(t.Context(), g, "x"))
	}
	close(gate)
	for _, ch := range answers {
		if a := <-ch; !errors.Is(a.err, lost) || a.value != "tried x" {
			t.Errorf("%+v, want what was tried beside the error", a)
		}
	}
	if attempts > 4 {
		t.Errorf("%d attempts for 4 writes", attempts)
	}
}

// Whatever comes, from however many callers: each write is in one committed transaction if it was acknowledged, and in none if
// it was refused; the writes of one caller keep their order; batches and the number of them stay within their bounds.
func TestAnyWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		batches, most := rapid.IntRange(1, 3).Draw(t, "batches"), rapid.IntRange(1, 8).Draw(t, "most")
		callers := rapid.SliceOfN(rapid.SliceOfN(rapid.SampledFrom([]string{"fine", "fine", "fine", "heavy", "stale", "bad", "panic", "gone"}), 0, 8), 1, 12).Draw(t, "callers")
		weight := func(v string) int {
			if strings.Contains(v, "heavy") {
				return 3
			}
			return 1
		}
		d := newDatabase(false)
		reg := prometheus.NewRegistry()
		metrics, err := groupcommit.NewMetrics(reg, "test")
		if err != nil {
			t.Fatal(err)
		}
		g := groupcommit.New(groupcommit.Config[string]{Batches: batches, MaxBatch: most, MaxWaiting: 1000, Weight: weight, Metrics: metrics}, d.commit)
		var (
			wg    sync.WaitGroup
			mu    sync.Mutex
			acked = map[string]bool{}
		)
		for c, writes := range callers {
			wg.Go(func() {
				for i, kind := range writes {
					v := fmt.Sprintf("%d/%d %s", c, i, kind)
					ctx, cancel := context.WithCancel(context.Background())
					if kind == "gone" {
						go cancel()
					}
					a := <-write(ctx, g, v)
					cancel()
					ok := a.err == nil && a.panicked == nil
					if kind == "fine" && !ok || kind == "heavy" && !ok || kind == "stale" && fault.KindOf(a.err) != fault.KindConflict ||
						kind == "bad" && !errors.Is(a.err, errBad) || kind == "panic" && a.panicked == nil || kind == "gone" && !ok && !errors.Is(a.err, context.Canceled) {
						t.Errorf("write %q: %+v", v, a)
					}
					mu.Lock()
					acked[v] = ok
					mu.Unlock()
				}
			})
		}
		wg.Wait()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.most > batches {
			t.Errorf("%d transactions at a time, %d allowed", d.most, batches)
		}
		times, last := map[string]int{}, map[string]string{}
		for _, b := range d.batches {
			sum := 0
			for _, v := range b {
				sum += weight(v)
				times[v]++
				caller, _, _ := strings.Cut(v, "/")
				if last[caller] >= v && len(last[caller]) == len(v) {
					t.Errorf("%q came after %q", v, last[caller])
				}
				last[caller] = v
			}
			if sum > most && len(b) > 1 {
				t.Errorf("a batch weighs %d, %d allowed: %v", sum, most, b)
			}
		}
		for v, ok := range acked {
			kind := v[strings.Index(v, " ")+1:]
			switch {
			case ok && times[v] != 1, times[v] > 1:
				t.Errorf("write %q happened %d times, acknowledged %v", v, times[v], ok)
			case !ok && (kind == "bad" || kind == "panic") && times[v] != 0:
				t.Errorf("write %q was refused, and happened", v)
			}
		}
		if n, err := testutil.GatherAndCount(reg, "movieexample_group_commit_batch_writes", "movieexample_group_commit_wait_seconds"); n != 2 || err != nil {
			t.Errorf("%d metrics, %v", n, err)
		}
	})
}
