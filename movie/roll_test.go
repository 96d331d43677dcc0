package movie

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"

	metadatav1 "movieexample.com/gen/movieexample/metadata/v1"
)

// selecting is a metadata service that hangs until it is released, and then knows every film.
type selecting struct {
	grpc.ClientConnInterface
	release chan struct{}
	calls   int
}

func (s *selecting) Invoke(ctx context.Context, _ string, args, reply any, _ ...grpc.CallOption) error {
	s.calls++
	select {
	case <-s.release:
	case <-ctx.Done():
		return ctx.Err()
	}
	for _, id := range args.(*metadatav1.SelectMoviesRequest).GetIds() {
		r := reply.(*metadatav1.SelectMoviesResponse)
		r.Matches = append(r.Matches, &metadatav1.SelectMoviesResponse_Match{Id: id, SortKey: id})
	}
	return nil
}

// Who waits for what another asks of the metadata service waits no longer than its own time, and finds the answer when it is there.
func TestRollWaitsNoLongerThanItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		conn := &selecting{release: make(chan struct{})}
		r := newRoll(newCatalogue(conn), moment{})
		entries := []chartEntry{{id: "a"}, {id: "b"}}
		numbers := r.number(entries)
		judge := func(ctx context.Context) error {
			_, matches, err := r.judge(ctx, entries, numbers, filter{genre: "Drama"})
			if err == nil && !(matches[0] && matches[1]) {
				t.Errorf("matches are %v, want both", matches)
			}
			return err
		}
		first := make(chan error, 2)
		go func() { first <- judge(t.Context()) }()
		synctest.Wait()
		began := time.Now()
		brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := judge(brief); err == nil {
			t.Error("a caller with 100ms was answered by a service that hangs")
		}
		if took := time.Since(began); took != 100*time.Millisecond {
			t.Errorf("a caller with 100ms waited %v", took)
		}
		go func() { first <- judge(t.Context()) }()
		synctest.Wait()
		close(conn.release)
		if err := errors.Join(<-first, <-first); err != nil || conn.calls != 1 {
			t.Errorf("%v after %d calls, want one call for both", err, conn.calls)
		}
	})
}

// Of two standings that come at the same time the newer is remembered.
func TestTheNewerStandingIsRemembered(t *testing.T) {
	b := newBackground()
	defer b.close()
	s, err := newStandings(DefaultConfig(), ratings{}, slog.New(slog.NewTextHandler(io.Discard, nil)), b, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	t0 := time.Unix(1_700_000_000, 0)
	rated := func(at time.Time) *Standing { return &Standing{Status: Fresh, Summary: &Summary{Votes: 1, AsOf: at}} }
	for i := range 2000 {
		older, newer := t0.Add(time.Duration(2*i)*time.Second), t0.Add(time.Duration(2*i+1)*time.Second)
		var wg sync.WaitGroup
		for _, at := range []time.Time{older, newer} {
			wg.Go(func() { s.remember("a", rated(at), at) })
		}
		wg.Go(func() { s.remember("a", &Standing{Status: Unrated}, older) })
		wg.Wait()
		if k, ok := s.known.GetIfPresent("a"); !ok || !k.Summary.AsOf.Equal(newer) {
			t.Fatalf("round %d: what is remembered is %v, want the newer", i, k)
		}
	}
	s.remember("a", &Standing{Status: Unrated}, t0.Add(time.Hour*2))
	if k, ok := s.known.GetIfPresent("a"); ok {
		t.Errorf("a film that nobody rates any more is remembered as %v", k)
	}
}
