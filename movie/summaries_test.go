package movie

import (
	"log/slog"
	"sync"
	"testing"
	"time"

	"movieexample.com/internal/cache"
)

// Of summaries that come with charts the newest is remembered, unless what was loaded is newer or may still be fresh.
func TestTheNewestSummaryIsRemembered(t *testing.T) {
	t0 := time.Unix(1_700_000_000, 0)
	g := cache.NewGroup(nil, func() time.Time { return t0.Add(10 * time.Hour) })
	defer g.Close()
	spec := cache.Spec{Name: "summaries", Holds: "x", Entries: 10, MaxAge: "x", Fresh: "x", Away: "x"}
	s, err := newSummaries(g, spec, DefaultConfig(), ratings{}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	rated := func(at time.Time) *Rating { return &Rating{Status: Fresh, Summary: &Summary{Votes: 1, AsOf: at}} }
	for i := range 2000 {
		older, newer := t0.Add(time.Duration(2*i)*time.Second), t0.Add(time.Duration(2*i+1)*time.Second)
		var wg sync.WaitGroup
		for _, at := range []time.Time{older, newer} {
			wg.Go(func() { s.remember("a", rated(at)) })
		}
		wg.Wait()
		if e, ok := s.Last("a"); !ok || !e.Value.Summary.AsOf.Equal(newer) {
			t.Fatalf("round %d: remembered is %v, want the newer", i, e)
		}
	}
	if _, ok := s.Peek(readView{at: t0}, "a"); ok {
		t.Error("a summary from a chart is fresh")
	}
	loaded := t0.Add(5 * time.Hour)
	s.Put(readView{at: loaded}, "a", &Rating{Status: Unrated})
	if s.remember("a", rated(loaded.Add(-time.Second))); lastStatus(s) != Unrated {
		t.Error("an older summary replaced that the film has no ratings any more")
	}
	if s.remember("a", rated(loaded.Add(time.Second))); lastStatus(s) != Fresh {
		t.Error("a newer summary is not remembered")
	}
	s.Put(readView{at: g.Now()}, "a", &Rating{Status: Unrated})
	if s.remember("a", rated(g.Now().Add(time.Second))); lastStatus(s) != Unrated {
		t.Error("a summary that may be fresh was replaced by one that never is")
	}
}

func lastStatus(s *summaries) Status {
	e, _ := s.Last("a")
	return e.Value.Status
}
