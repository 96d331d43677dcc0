//go:build servers

package cluster_test

import (
	"context"
	"database/sql"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"movieexample.com/test/cluster"
)

// When a write was made.
const (
	beforeMistake int32 = iota // acknowledged before the mistake was begun
	duringMistake              // neither
	afterMistake               // begun when the mistake had been made
)

// written is one rating by its own user, or the last title of a film.
type written struct {
	phase int32
	value int
}

// writers write through a gateway and through Kafka until they are stopped, and keep what was acknowledged.
type writers struct {
	cancel  context.CancelFunc
	all     sync.WaitGroup
	now     atomic.Int32
	count   atomic.Int64
	mu      sync.Mutex
	puts    map[string]written // by user
	events  map[string]written // by user
	films   map[string]written // by id; value is in the title
	poison  int
	problem error
}

func startWriters(t *testing.T, c *cluster.Cluster) *writers {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	w := &writers{cancel: cancel, puts: make(map[string]written), events: make(map[string]written), films: make(map[string]written)}
	t.Cleanup(func() { cancel(); w.all.Wait() })
	client, err := kgo.NewClient(kgo.SeedBrokers(c.Kafka.Bootstrap()...), kgo.DefaultProduceTopic(cluster.Topic), kgo.RecordDeliveryTimeout(patience))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	gateway := c.Targets().Gateways[0]
	record := func(n int) string { return fmt.Sprintf("tt%07d", n%23) }
	w.run(func(n int) error {
		user, value := fmt.Sprintf("put-%d", n), n%10+1
		return w.write(w.puts, user, value, func() error {
			_, err := ask(ctx, http.MethodPut, gateway+"/v1/records/movie/"+record(n)+"/ratings/"+user, fmt.Sprintf(`{"value": %d}`, value))
			return err
		})
	}, ctx)
	w.run(func(n int) error {
		id := record(n)
		return w.write(w.films, id, n, func() error {
			_, err := ask(ctx, http.MethodPut, gateway+"/v1/movies/"+id, fmt.Sprintf(`{"title": "Film %d"}`, n))
			return err
		})
	}, ctx)
	pace := time.NewTicker(2 * time.Millisecond) // Kafka takes more than is read on a busy machine
	t.Cleanup(pace.Stop)
	w.run(func(n int) error {
		select {
		case <-pace.C:
		case <-ctx.Done():
			return ctx.Err()
		}
		user, value := fmt.Sprintf("event-%d", n), n%10+1
		if n%500 == 0 {
			if err := client.ProduceSync(ctx, &kgo.Record{Value: fmt.Appendf(nil, "no event %d", n)}).FirstErr(); err != nil {
				return err
			}
			w.mu.Lock()
			w.poison++
			w.mu.Unlock()
		}
		return w.write(w.events, user, value, func() error {
			event := fmt.Appendf(nil, `{"userId":%q,"recordId":%q,"recordType":"movie","value":%d,"ratedAt":"2026-01-31T20:15:00Z"}`, user, record(n), value)
			return client.ProduceSync(ctx, &kgo.Record{Value: event}).FirstErr()
		})
	}, ctx)
	return w
}

// run calls one until the writers are stopped; its first error ends them.
func (w *writers) run(one func(n int) error, ctx context.Context) {
	w.all.Go(func() {
		for n := 0; ctx.Err() == nil; n++ {
			if err := one(n); err != nil && ctx.Err() == nil {
				w.mu.Lock()
				w.problem = err
				w.mu.Unlock()
				w.cancel()
			}
		}
	})
}

// write does a write and keeps it when it was acknowledged. A write that was in flight when the phase changed belongs to neither.
func (w *writers) write(kept map[string]written, key string, value int, do func() error) error {
	begun := w.now.Load()
	if err := do(); err != nil {
		return err
	}
	if w.now.Load() != begun {
		begun = duringMistake
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	kept[key] = written{begun, value}
	w.count.Add(1)
	return nil
}

func (w *writers) acknowledged() int64 { return w.count.Load() }

// phase is what writes belong to from now on.
func (w *writers) phase(t *testing.T, p int32) {
	t.Helper()
	w.now.Store(p)
}

// await waits until so many more writes of each kind are acknowledged.
func (w *writers) await(t *testing.T, more int) {
	t.Helper()
	sizes := func() (puts, events int, err error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return len(w.puts), len(w.events), w.problem
	}
	puts, events, _ := sizes()
	eventually(t, fmt.Sprintf("%d more writes", more), func(context.Context) error {
		p, e, err := sizes()
		if err != nil {
			t.Fatalf("a write failed: %v", err)
		}
		if p < puts+more || e < events+more {
			return fmt.Errorf("there are %d of the API and %d events", p-puts, e-events)
		}
		return nil
	})
}

// stop ends the writers. A write that it cuts off may have been made, and is not acknowledged.
func (w *writers) stop(t *testing.T) {
	t.Helper()
	w.cancel()
	w.all.Wait()
	if w.problem != nil {
		t.Fatalf("a write failed: %v", w.problem)
	}
}

// stored is what the databases have.
type stored struct {
	ratings     map[string]int    // by user
	films       map[string]string // titles
	deadLetters int
}

func readStored(t *testing.T, db *sql.DB) stored {
	t.Helper()
	s := stored{ratings: make(map[string]int), films: make(map[string]string)}
	rows, err := db.QueryContext(t.Context(), "SELECT user_id, value FROM movieexample_rating.ratings")
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var user string
		var value int
		if err := rows.Scan(&user, &value); err != nil {
			t.Fatal(err)
		}
		s.ratings[user] = value
	}
	films, err := db.QueryContext(t.Context(), "SELECT id, title FROM movieexample_metadata.movies")
	if err != nil {
		t.Fatal(err)
	}
	defer films.Close()
	for films.Next() {
		var id, title string
		if err := films.Scan(&id, &title); err != nil {
			t.Fatal(err)
		}
		s.films[id] = title
	}
	if err := db.QueryRowContext(t.Context(), "SELECT COUNT(*) FROM movieexample_rating.dead_letters").Scan(&s.deadLetters); err != nil {
		t.Fatal(err)
	}
	return s
}

// judgeRestored wants the instant before the mistake.
func (w *writers) judgeRestored(t *testing.T, s stored) {
	t.Helper()
	there, lost := 0, 0
	for user, put := range w.puts {
		value, ok := s.ratings[user]
		switch {
		case put.phase == beforeMistake && value != put.value:
			t.Errorf("%s is %d, %v, want %d", user, value, ok, put.value)
		case put.phase == beforeMistake:
			there++
		case put.phase == afterMistake && ok:
			t.Errorf("%s is there, which was written after the mistake", user)
		case put.phase == afterMistake:
			lost++
		}
	}
	again := 0
	for user := range w.events {
		if _, ok := s.ratings[user]; !ok {
			again++
		}
	}
	t.Logf("restored: %d ratings of the API until the mistake; %d after it are not there; %d of %d events will have to come from Kafka", there, lost, again, len(w.events))
	if there < 300 || lost < 100 || again < 100 {
		t.Error("that is too little to prove something")
	}
}

// awaitIngested waits until all events have been read.
func (w *writers) awaitIngested(t *testing.T, db *sql.DB) {
	t.Helper()
	eventually(t, "all events", func(ctx context.Context) error {
		var n int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM movieexample_rating.ratings WHERE user_id LIKE 'event-%'").Scan(&n); err != nil {
			return err
		}
		if n < len(w.events) {
			return fmt.Errorf("there are %d of %d", n, len(w.events))
		}
		var dead int
		if err := db.QueryRowContext(ctx, "SELECT COUNT(*) FROM movieexample_rating.dead_letters").Scan(&dead); err != nil {
			return err
		}
		if dead < w.poison {
			return fmt.Errorf("there are %d of %d dead letters", dead, w.poison)
		}
		return nil
	})
}

// judgeAfterwards wants all events, once each, besides what was restored.
func (w *writers) judgeAfterwards(t *testing.T, s stored) {
	t.Helper()
	for user, event := range w.events {
		if value, ok := s.ratings[user]; value != event.value {
			t.Errorf("%s is %d, %v, want %d", user, value, ok, event.value)
		}
	}
	for user, put := range w.puts {
		if put.phase == beforeMistake && s.ratings[user] != put.value {
			t.Errorf("%s is %d, want %d", user, s.ratings[user], put.value)
		}
	}
	if unsure := s.deadLetters - w.poison; unsure < 0 || unsure > 1 { // one may have been cut off
		t.Errorf("there are %d dead letters, want %d", s.deadLetters, w.poison)
	}
	if len(s.films) != 23 {
		t.Errorf("there are %d films, want 23", len(s.films))
	}
	for id, title := range s.films {
		if film := w.films[id]; film.phase == beforeMistake && title != fmt.Sprintf("Film %d", film.value) {
			t.Errorf("film %s is %q, and its last title was Film %d", id, title, film.value)
		}
	}
}
